// ---- Following the daemon ------------------------------------------------------------------------------------

/** The server sends at least a comment every 15 seconds; this long without one is a dead connection. */
const silenceLimit = 40000;

const handlers = {
  status: followStatus,
  curves(tables) { if (tables.run === known.status?.run?.name) curves.append(tables); },
  evaluation(result) {
    addLog({ time: Date.now() / 1000, level: "info", message: evaluationText(result) });
    announce(`${result.part} ${resultText(result)}`);
  },
  sample(sample) {
    addSample(sample);
    announce(`New sample after step ${whole(sample.step)}`);
  },
  job: queueChanged,
  log: addLog,
};

/** A status with another run, or from another daemon, starts the page over. */
async function followStatus(status, isFirst) {
  const started = Date.now() / 1000 - status.uptime;
  const isOtherDaemon = known.started === null || Math.abs(started - known.started) > 5;
  const isOtherRun = status.run?.name !== known.status?.run?.name;
  if (isFirst || isOtherRun) await catchUp(status, isOtherRun || (isFirst && isOtherDaemon));
  known.started = started;
  showStatus(status);
}

/** Fetches what the stream does not repeat. Until that is here the next events wait in the stream, so nothing is
    lost between the two, and old curves stay to be seen. */
async function catchUp(status, isFresh) {
  const after = isFresh ? 0 : curves.lastStep;
  const [tables, samples, queue] = await Promise.all([
    status.run ? ask("GET", `/v1/curves?after=${after}&points=6000`) : null,
    status.run ? ask("GET", "/v1/samples") : null,
    status.mode === "serve" ? ask("GET", "/v1/queue") : null,
  ]);
  if (isFresh) forgetRun();
  setMetrics(status.run?.metrics);
  if (tables && tables.run === status.run.name) curves.append(tables);
  showSamples(samples?.samples ?? []);
  showQueue(queue?.jobs ?? []);
  if (isFresh && status.run) await showConfiguration();
}

function forgetRun() {
  cursor.step = null;
  curves.clear();
  setText(byId("configuration").querySelector("pre"), "");
  if (writing !== null) return;
  byId("written").replaceChildren();
  setText(byId("written-end"), "");
}

/** One connection, from its beginning to its end; always throws. */
async function followOnce(connected) {
  const connection = new AbortController();
  let alarm = setTimeout(() => connection.abort(), silenceLimit);
  try {
    const response = await request("GET", "/v1/events", undefined, connection.signal);
    let isFirst = true;
    for await (const { name, data } of readEvents(response)) {
      clearTimeout(alarm);
      alarm = setTimeout(() => connection.abort(), silenceLimit);
      if (data === "" || !(name in handlers)) continue;
      await handlers[name](parse(data), isFirst);
      if (isFirst) connected();
      isFirst = false;
    }
    throw new ServerError(0, "The stream of events ended.");
  } finally {
    clearTimeout(alarm);
    connection.abort();
  }
}

async function follow() {
  for (let failures = 0; ; failures++) {
    isWoken = false;
    try {
      await followOnce(() => { failures = 0; showConnection("live", "live"); tabs.postMessage("connected"); });
    } catch (error) {
      // A mistake in this page must be seen by whoever looks for it, and must not end the following.
      if (!(error instanceof ServerError) && error.name !== "AbortError") console.error(error);
      showLoss(error);
      await wait(delay(error, failures));
    }
  }
}

/** Milliseconds until the next try. Not all pages at the same moment; and a login does not become good by asking. */
function delay(error, failures) {
  if (error.status === 401) return 60000;
  return Math.min(5000, 250 * 2 ** failures) * (0.8 + 0.2 * Math.random());
}

function showLoss(error) {
  if (error.status === 401) {
    showConnection("lost", "logged out");
    if (!document.querySelector(".message.login")) {
      say(loginMessage, true);
      byId("messages").firstChild.classList.add("login");
    }
    return;
  }
  const hasEnded = ["stopping", "finished"].includes(known.status?.activity);
  showConnection("lost", hasEnded ? "the daemon has ended" : "connection lost, trying again");
}

function showConnection(state, text) {
  document.body.dataset.connection = state;
  byId("connection").dataset.state = state;
  setText(byId("connection"), text);
  if (state === "live") document.querySelector(".message.login")?.remove();
}

// Ends the wait before the next try: someone looks, the network is back, or another tab got through. If that happens
// during a try, which may be a slow one, there is no wait after it.
let isWoken = false;
let endWait = () => {};

function wake() {
  isWoken = true;
  endWait();
}

function wait(milliseconds) {
  return new Promise((resolve) => {
    if (isWoken) return resolve();
    const timer = setTimeout(resolve, milliseconds);
    endWait = () => { clearTimeout(timer); resolve(); };
  });
}

const tabs = new BroadcastChannel("lockstep");
tabs.addEventListener("message", () => wake());
window.addEventListener("online", () => wake());
document.addEventListener("visibilitychange", () => document.hidden || wake());
