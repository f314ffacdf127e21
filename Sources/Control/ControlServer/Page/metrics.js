// ---- Metrics -------------------------------------------------------------------------------------------------

/** Of a run that does not name its metrics: that of an older daemon, and none. */
const languageModelMetrics = [
  { name: "loss", unit: "nats per token", better: "lower", scale: "linear", isHeadline: false },
  { name: "perplexity", unit: "", better: "lower", scale: "logarithmic", isHeadline: true },
];

/** What the run measures. People look at the headlines first: each has two tiles and a chart. */
let metrics = [];
const headlines = () => metrics.filter((metric) => metric.isHeadline);

/** `loss` is that of training, `validationLoss` and `bestLoss` those of evaluations. */
const keyOf = (prefix, name) => prefix + name[0].toUpperCase() + name.slice(1);
const titleOf = (name) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
const capital = (text) => text[0].toUpperCase() + text.slice(1);

/** Makes room for the metrics of a run, if the one before had others. */
function setMetrics(list = languageModelMetrics) {
  if (JSON.stringify(list) === JSON.stringify(metrics)) return;
  metrics = list;
  for (const { name } of metrics) {
    for (const [prefix, words] of [["", ""], ["validation", "validation "], ["best", "best validation "]]) {
      const key = prefix ? keyOf(prefix, name) : name;
      formats[key] = decimal;
      spokenNames[key] = `${words || "training "}${titleOf(name)}`;
    }
  }
  curves.setMetrics(metrics.map(({ name }) => name));
  byId("epoch-head").replaceChildren(
    ...["epoch", "step", ...metrics.map(({ name }) => titleOf(name))].map((text) => make("th", {}, text)));
  byId("metric-tiles").replaceChildren(...headlines().flatMap(metricTiles));
  showMetricCharts();
}

function metricTiles({ name }) {
  const title = headlines().length > 1 ? titleOf(name) : "";
  return [
    make("div", {}, make("dt", {}, `Validation ${titleOf(name)}`),
      make("dd", { id: keyOf("validation", name), className: "validation" }, "–"),
      make("dd", { id: `${keyOf("validation", name)}-note`, className: "note" })),
    make("div", {}, make("dt", {}, title ? `Best ${title} so far` : "Best so far"),
      make("dd", { id: keyOf("best", name) }, "–"),
      make("dd", { id: `${keyOf("best", name)}-note`, className: "note" })),
  ];
}

/** What the tiles say of a run. The metric that decides is told under the others. */
function metricTexts(run) {
  const texts = {};
  const [deciding] = metrics;
  for (const { name } of headlines()) {
    const other = deciding.name === name ? undefined : run[keyOf("validation", deciding.name)];
    texts[keyOf("validation", name)] = decimal(run[keyOf("validation", name)]);
    texts[`${keyOf("validation", name)}-note`] = isKnown(other) ? `${titleOf(deciding.name)} ${decimal(other)}` : "";
    texts[keyOf("best", name)] = decimal(run[keyOf("best", name)]);
    texts[`${keyOf("best", name)}-note`] = isKnown(run.bestStep) ? `after step ${whole(run.bestStep)}` : "";
  }
  return texts;
}

function showMetricCharts() {
  for (const chart of charts.filter(({ metric }) => metric)) chart.end();
  byId("metric-charts").replaceChildren();
  charts.splice(0, charts.length, ...charts.filter(({ metric }) => !metric));
  const others = metrics.filter((metric) => !metric.isHeadline);
  for (const [place, metric] of headlines().entries()) {
    const { name } = metric;
    const figure = byId("metric-chart").content.firstElementChild.cloneNode(true);
    figure.id = name;
    setText(figure.querySelector("h2"), capital(titleOf(name)));
    // Where one points is told once, with what has no chart.
    const told = place === 0 ? [["step", "step"], ["epoch", "epoch"], ...others.map(({ name }) => [titleOf(name), name])] : [];
    const values = [
      ...told.map(([title, key]) => ["", title, key]), ["key", "training", name],
      ["key validation", "validation", keyOf("validation", name)], ["key best", "best", keyOf("best", name)],
    ];
    figure.querySelector("dl").append(...values.map(([className, title, key]) => {
      const value = make("dd");
      value.dataset.value = key;
      return make("div", {}, make("dt", { className }, title), value);
    }));
    if (place > 0) figure.querySelector("label").remove();
    byId("metric-charts").append(figure);
    charts.push(new Chart(name, {
      metric: name, scale: metric.scale === "logarithmic" ? scales.logarithmic : scales.fromZero,
      series: [
        { table: curves.training, column: name, color: "--training" },
        { table: curves.validation, column: name, color: "--validation", dots: true },
      ],
    }));
  }
}

/** The values of a result, the headlines first: "perplexity 110.2 (loss 4.702, ...)". */
function resultText(result) {
  const list = result.metrics ?? metrics;
  const text = ({ name, unit, better }) => {
    const value = better ? decimal(result[name]) : whole(result[name]);
    return `${titleOf(name)} ${value}${unit ? ` ${unit}` : ""}`;
  };
  const known = list.filter(({ name }) => isKnown(result[name]));
  const others = known.filter(({ isHeadline }) => !isHeadline).map(text);
  return known.filter(({ isHeadline }) => isHeadline).map(text).join(", ")
    + (others.length > 0 ? ` (${others.join(", ")})` : "");
}
