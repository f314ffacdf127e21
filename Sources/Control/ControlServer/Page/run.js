// ---- The run -------------------------------------------------------------------------------------------------

/** The last status, and when the daemon that sent it was started. */
const known = { status: null, started: null };

function showStatus(status) {
  known.status = status;
  setMetrics(status.run?.metrics);
  const run = status.run ?? {};
  setText(byId("run"), run.name ?? "No run yet");
  setText(byId("activity"), status.activity);
  byId("activity").dataset.state = status.activity;
  showTiles(run);
  showPause(status.activity);
  showFacts(status, run);
  showRanks(status.ranks);
  byId("queue").hidden = status.mode !== "serve";
  showJobUnderWay(run);
  invalidateCharts();
}

function showTiles(run) {
  const part = run.totalSteps > 0 ? run.step / run.totalSteps : 0;
  const tiles = {
    step: whole(run.step), steps: run.totalSteps > 0 ? `of ${whole(run.totalSteps)}, ${Math.floor(100 * part)} %` : "",
    epoch: whole(run.epoch), epochs: run.epochs > 0 ? `of ${whole(run.epochs)}` : "",
    "time-left": duration(run.secondsLeft), "end-time": endTime(run.secondsLeft),
    speed: whole(run.tokensPerSecond), tokens: run.tokens > 0 ? `${short(run.tokens)} so far` : "",
    ...metricTexts(run),
  };
  for (const [id, text] of Object.entries(tiles)) setText(byId(id), text);
  byId("progress").value = part;
  document.title = run.name ? `${Math.floor(100 * part)} % · ${run.name} · Lockstep` : "Lockstep";
}

/** A clock time, with the day if that is not today. */
function endTime(secondsLeft) {
  if (!isKnown(secondsLeft) || secondsLeft < 60) return "";
  const end = new Date(Date.now() + 1000 * secondsLeft);
  const isToday = end.toDateString() === new Date().toDateString();
  return `until ${isToday ? "" : `${end.toLocaleDateString([], { day: "numeric", month: "short" })}, `}${clock(end)}`;
}

function showPause(activity) {
  setText(byId("pause"), activity === "paused" ? "Resume" : "Pause");
}

function showFacts(status, run) {
  const facts = [
    `Lockstep ${status.version}`,
    `up ${duration(status.uptime)}`,
    run.parameters > 0 && `${whole(run.parameters)} parameters`,
    run.savedCheckpoints > 0 && `${whole(run.savedCheckpoints)} checkpoints saved`,
    run.delayedCheckpoints > 0 && `${whole(run.delayedCheckpoints)} of them had to wait for the one before`,
    run.copiedStep !== undefined && `step ${whole(run.copiedStep)} also on ${run.copyHost}`,
    run.skippedSteps > 0 && `${whole(run.skippedSteps)} steps skipped because a value was not a number`,
  ];
  setText(byId("facts"), facts.filter(Boolean).join(" · "));
}
