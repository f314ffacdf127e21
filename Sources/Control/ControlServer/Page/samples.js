// ---- Samples and log -----------------------------------------------------------------------------------------

/** Puts an item first and lets the oldest go. */
function prepend(list, item, limit) {
  list.prepend(item);
  while (list.children.length > limit) list.lastChild.remove();
}

const sampleList = document.querySelector("#samples ol");

function showSamples(samples) {
  sampleList.replaceChildren();
  samples.forEach(addSample);
  if (samples.length === 0) sampleList.append(make("li", { className: "muted" }, "The model has written nothing yet."));
}

function addSample(sample) {
  // One that came while the list was being fetched is in both.
  const key = JSON.stringify(sample);
  if ([...sampleList.children].some((item) => item.dataset.key === key)) return;
  if (sampleList.firstChild?.className === "muted") sampleList.replaceChildren();
  const facts = `step ${whole(sample.step)} · temperature ${sample.temperature} · seed ${sample.seed}`;
  const item = make("li", {}, make("p", { className: "muted" }, facts),
    make("pre", {}, make("span", { className: "prompt" }, sample.prompt), sample.text));
  item.dataset.key = key;
  prepend(sampleList, item, 50);
}

function addLog({ time, level, message }) {
  const text = make("span", {});
  if (level !== "info") text.append(make("b", {}, `${level}: `));
  text.append(message);
  const item = make("li", {}, make("time", {}, clock(new Date(1000 * time))), text);
  item.dataset.level = level;
  prepend(document.querySelector("#log ol"), item, 200);
}

function evaluationText(result) {
  return `${result.part} after step ${whole(result.step)}: ${resultText(result)}${costText(result)}`;
}

const costText = ({ seconds: taken, pausedSeconds }) =>
  `; took ${seconds(taken)}, training stood still for ${seconds(pausedSeconds)}`;
