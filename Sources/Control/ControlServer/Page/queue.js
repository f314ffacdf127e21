// ---- The queue -----------------------------------------------------------------------------------------------

const jobItems = new Map();
let queueTimer = 0;

/** Events about jobs come in flurries; the order is the server's to tell. */
function queueChanged() {
  if (queueTimer === 0) queueTimer = setTimeout(refreshQueue, 150);
}

async function refreshQueue() {
  queueTimer = 0;
  try {
    showQueue((await ask("GET", "/v1/queue")).jobs);
  } catch {
    // A daemon that has gone is noticed, and told, where the events come from.
  }
}

function showQueue(jobs) {
  // Moving an element in the page takes the focus from it, and whoever presses "up" may want to press it again.
  const focused = document.activeElement;
  const line = jobs.filter((job) => job.state === "waiting" || job.state === "paused").map((job) => job.id);
  jobItems.forEach((item, id) => jobs.some((job) => job.id === id) || removeJob(id, item));
  for (const job of jobs) showJob(job, line.indexOf(job.id), line.length);
  byId("jobs").append(...jobs.map((job) => jobItems.get(job.id)));
  byId("queue-empty").hidden = jobs.length > 0;
  if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
}

function removeJob(id, item) {
  item.remove();
  jobItems.delete(id);
}

const isOver = (job) => ["finished", "failed", "cancelled"].includes(job.state);

/** `place` counts from 0 among those that wait or pause; -1: it runs or is over. */
function showJob(job, place, lineLength) {
  const item = jobItems.get(job.id) ?? makeJob(job.id);
  item.job = job;
  item.place = place;
  item.classList.toggle("over", isOver(job));
  setText(item.querySelector(".title"), `${job.id}  ${job.name}`);
  setText(item.querySelector(".pill"), place < 0 ? job.state : `${job.state}, place ${place + 1}`);
  item.querySelector(".pill").dataset.state = job.state;
  setText(item.querySelector(".facts"), jobFacts(job));
  item.querySelector(".facts").classList.toggle("failed", job.state === "failed");
  const offered = {
    up: place > 0, down: place >= 0 && place < lineLength - 1, pause: ["waiting", "running"].includes(job.state),
    resume: job.state === "paused", cancel: !isOver(job),
  };
  for (const button of item.querySelectorAll("button")) {
    const verb = button.dataset.verb;
    button.hidden = isOver(job) || (!offered[verb] && (verb === "pause" || verb === "resume"))
      || (place < 0 && (verb === "up" || verb === "down"));
    // At an end of the queue the button stays: hiding it would drop the focus.
    button.setAttribute("aria-disabled", String(!offered[verb]));
    button.ariaLabel = `${button.title} ${job.name}`;
  }
}

/** Events tell how a job changes, not how its run gets on. */
function showJobUnderWay(run) {
  for (const item of jobItems.values()) {
    if (item.job.state !== "running" || item.job.name !== run.name) continue;
    const { step, totalSteps } = run;
    const values = headlines().map(({ name }) => keyOf("validation", name)).map((key) => [key, run[key]]);
    Object.assign(item.job, { step, totalSteps }, Object.fromEntries(values));
    setText(item.querySelector(".facts"), jobFacts(item.job));
  }
}

function jobFacts(job) {
  const facts = [
    job.error,
    isKnown(job.step) && job.totalSteps > 0
      && `step ${whole(job.step)} of ${whole(job.totalSteps)}, ${Math.floor((100 * job.step) / job.totalSteps)} %`,
    ...Object.keys(job).filter((key) => key.startsWith("validation") && isKnown(job[key]))
      .map((key) => `${titleOf(key)} ${decimal(job[key])}`),
    job.deaths > 0 && `the daemon died ${job.deaths === 1 ? "once" : `${job.deaths} times`} while it ran`,
    isOver(job) && isKnown(job.ended) ? `ended ${dateAndTime(job.ended)}` : `submitted ${dateAndTime(job.submitted)}`,
  ];
  return facts.filter(Boolean).join(" · ");
}

function makeJob(id) {
  const button = (verb, title, text) => {
    const element = make("button", { type: "button", className: "small", title, textContent: text });
    element.dataset.verb = verb;
    element.addEventListener("click", () => pressJob(element, jobItems.get(id)));
    return element;
  };
  const item = make("li", { className: "job" },
    make("div", { className: "name" }, make("span", { className: "title" }), make("span", { className: "pill" })),
    make("div", { className: "buttons" }, button("up", "Move up", "↑"), button("down", "Move down", "↓"),
      button("pause", "Pause", "Pause"), button("resume", "Resume", "Resume"), button("cancel", "Cancel", "Cancel")),
    make("p", { className: "facts muted" }));
  jobItems.set(id, item);
  return item;
}

async function pressJob(button, { job, place }) {
  if (button.getAttribute("aria-disabled") === "true") return;
  const { verb } = button.dataset;
  if (verb === "cancel" && !(await isSureToCancel(job))) return;
  const moves = { up: place - 1, down: place + 1 };
  try {
    if (verb in moves) await ask("POST", `/v1/queue/${job.id}/move`, { position: moves[verb] });
    else await ask("POST", `/v1/queue/${job.id}/${verb}`);
    await refreshQueue();
    announce(`${job.name}: ${button.title} done`);
  } catch (error) {
    sayError(error);
  }
}

const isSureToCancel = (job) => isSure(`Cancel ${job.name}?`, "It ends and is not started again.", "Cancel it");

async function submitJob(form) {
  const { configuration, settings } = form.elements;
  const lines = settings.value.split("\n").map((line) => line.trim()).filter(Boolean);
  const job = await ask("POST", "/v1/queue", { configuration: configuration.value, settings: lines });
  say(`${job.name} is in the queue as job ${job.id}.`);
  form.reset();
  await refreshQueue();
}

const runConfiguration = async () => (await ask("GET", "/v1/configuration")).yaml;

async function showConfiguration() {
  const details = byId("configuration");
  if (details.open) setText(details.querySelector("pre"), await runConfiguration());
}
