// ---- The run's buttons ---------------------------------------------------------------------------------------

async function evaluate() {
  const result = await ask("POST", "/v1/evaluate", { part: byId("part").value });
  say(evaluationText(result));
}

async function checkpoint() {
  const result = await ask("POST", "/v1/checkpoint");
  say(`Step ${whole(result.step)} is saved in ${result.path}`);
}

async function pauseOrResume() {
  const path = known.status?.activity === "paused" ? "/v1/resume" : "/v1/pause";
  say((await ask("POST", path)).message);
}

async function stop() {
  const consequence = "The daemon saves a checkpoint after the step under way and ends. "
    + "Start it again to resume from there.";
  if (await isSure("Stop training?", consequence, "Stop")) say((await ask("POST", "/v1/stop")).message);
}
