// ---- Ranks ---------------------------------------------------------------------------------------------------

function showRanks(ranks) {
  const training = ranks.filter((rank) => rank.role === "training");
  const work = training.map((rank) => rank.stepSeconds).sort((first, second) => first - second);
  // The lower median: of two ranks, the faster one is the measure.
  const median = work[(work.length - 1) >> 1] ?? 0;
  const longest = Math.max(...ranks.map((rank) => rank.stepSeconds + rank.waitSeconds), 1e-9);
  const list = document.querySelector("#ranks ul");
  while (list.children.length > ranks.length) list.lastChild.remove();
  while (list.children.length < ranks.length) list.append(makeRank());
  ranks.forEach((rank, index) => showRank(list.children[index], rank, longest));
  showRanksSummary(training, median);
}

function makeRank() {
  return make("li", { className: "rank" },
    make("div", { className: "label" },
      make("span", { className: "host" }), make("span", { className: "role" }), make("span", { className: "times" })),
    make("div", { className: "bar" },
      make("div", { className: "work" }), make("div", { className: "wait" })));
}

function showRank(item, rank, longest) {
  item.classList.toggle("straggler", rank.isStraggler);
  setText(item.querySelector(".host"), `${rank.rank} · ${rank.host}`);
  setText(item.querySelector(".role"), rank.role === "evaluating" ? "evaluates" : rank.isStraggler ? "straggler" : "");
  const isTimed = rank.stepSeconds + rank.waitSeconds > 0;
  setText(item.querySelector(".times"), isTimed ? `${seconds(rank.stepSeconds)} + ${seconds(rank.waitSeconds)}` : "");
  item.querySelector(".work").style.width = `${(100 * rank.stepSeconds) / longest}%`;
  item.querySelector(".wait").style.width = `${(100 * rank.waitSeconds) / longest}%`;
}

function showRanksSummary(training, median) {
  const slowest = training.reduce((slow, rank) => (rank.stepSeconds > (slow?.stepSeconds ?? 0) ? rank : slow), null);
  const summary = byId("ranks-summary");
  const isSlow = slowest !== null && slowest.isStraggler;
  summary.classList.toggle("straggler-text", isSlow);
  if (slowest === null) return setText(summary, "No step times are known yet.");
  const factor = (slowest.stepSeconds / median).toFixed(2);
  setText(summary, isSlow
    ? `Rank ${slowest.rank} on ${slowest.host} is a straggler: its steps take ${factor} times the median.`
    : training.length > 1 ? `All keep step: the slowest takes ${factor} times the median.` : "One rank trains.");
}
