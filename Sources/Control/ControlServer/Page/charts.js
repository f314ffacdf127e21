// ---- Charts --------------------------------------------------------------------------------------------------

const margin = { top: 10, right: 10, bottom: 22, left: 46 };

/** A chart over steps: { scale, series: [{ table, column, color, dots }], metric: whose best value it marks }. */
class Chart {
  constructor(id, description) {
    Object.assign(this, description);
    this.figure = byId(id);
    this.canvas = make("canvas");
    this.plot = this.figure.querySelector(".plot");
    this.plot.append(this.canvas);
    this.isVisible = false;
    this.isDirty = true;
    this.describe();
    this.listen();
  }

  /** To a screen reader a chart is a slider over steps: arrow keys reach it, and it says the values it stands at. */
  describe() {
    this.canvas.setAttribute("aria-hidden", "true");
    this.plot.setAttribute("role", "slider");
    this.plot.setAttribute("aria-label", `${this.figure.querySelector("h2").textContent} by step`);
    this.plot.setAttribute("aria-valuemin", 0);
    this.speak();
  }

  speak() {
    const values = valuesAtCursor();
    const names = [...this.figure.querySelectorAll("[data-value]")].map((element) => element.dataset.value);
    const parts = [...new Set(["step", "epoch", ...names])].filter((name) => isKnown(values[name]))
      .map((name) => `${spokenNames[name] ?? name} ${formats[name](values[name])}`);
    this.plot.setAttribute("aria-valuemax", curves.lastStep);
    this.plot.setAttribute("aria-valuenow", values.step ?? 0);
    this.plot.setAttribute("aria-valuetext", parts.join(", ") || "no values yet");
  }

  listen() {
    const { plot } = this;
    plot.addEventListener("pointermove", (event) => pointAt(this.stepAt(event.offsetX)));
    plot.addEventListener("pointerdown", (event) => pointAt(this.stepAt(event.offsetX)));
    plot.addEventListener("pointerleave", () => plot.matches(":focus-visible") || pointAt(null));
    plot.addEventListener("focus", () => this.speak());
    plot.addEventListener("blur", () => pointAt(null));
    plot.addEventListener("keydown", (event) => this.press(event));
    this.observers = [
      new IntersectionObserver((entries) => {
        this.isVisible = entries.at(-1).isIntersecting;
        requestFrame();
      }, { rootMargin: "200px" }),
      new ResizeObserver(() => this.invalidate()),
    ];
    for (const observer of this.observers) observer.observe(plot);
  }

  /** Before it is taken off the page. */
  end() {
    for (const observer of this.observers) observer.disconnect();
  }

  /** About two hundred presses lead from end to end; with Shift each goes one row. */
  press(event) {
    const { training } = curves;
    if (training.count === 0) return;
    const stride = event.shiftKey ? 1 : Math.ceil(training.count / 200);
    const now = cursor.step === null ? training.count - 1 : training.nearest(cursor.step);
    const row = {
      ArrowLeft: now - stride, ArrowDown: now - stride, ArrowRight: now + stride, ArrowUp: now + stride,
      PageDown: now - 20 * stride, PageUp: now + 20 * stride, Home: 0, End: training.count - 1,
    }[event.key];
    if (row === undefined && event.key !== "Escape") return;
    event.preventDefault();
    pointAt(row === undefined ? null : training.steps[Math.min(Math.max(row, 0), training.count - 1)]);
    this.speak();
  }

  invalidate() {
    this.isDirty = true;
    requestFrame();
  }

  stepAt(x) {
    const width = this.plot.clientWidth - margin.left - margin.right;
    return view.firstStep + (Math.max(0, x - margin.left) / width) * view.steps;
  }

  // -- Drawing: everything in CSS pixels, the canvas in the screen's.

  draw() {
    this.isDirty = false;
    const width = this.plot.clientWidth;
    const height = this.plot.clientHeight;
    const context = this.prepare(width, height);
    const range = this.valueRange();
    if (range === null) return this.drawNothing(context, width, height);
    const [low, high] = this.scale.range(...range);
    const bottom = this.scale.place(low);
    const perUnit = (height - margin.top - margin.bottom) / (this.scale.place(high) - bottom);
    const perStep = (width - margin.left - margin.right) / view.steps;
    const area = {
      context, width, height, low, high,
      x: (step) => margin.left + (step - view.firstStep) * perStep,
      y: (value) => height - margin.bottom - (this.scale.place(value) - bottom) * perUnit,
    };
    this.drawAxes(area);
    for (const series of this.series) this.drawSeries(area, series);
    if (this.metric) this.drawBest(area);
    if (cursor.step !== null) this.drawCursor(area);
  }

  prepare(width, height) {
    const ratio = window.devicePixelRatio || 1;
    const pixels = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== pixels[0] || this.canvas.height !== pixels[1]) {
      [this.canvas.width, this.canvas.height] = pixels;
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = `11.5px ${getComputedStyle(document.body).fontFamily}`;
    context.lineJoin = "round";
    return context;
  }

  /** The least and greatest value the scale can show, or null. */
  valueRange() {
    let low = Infinity;
    let high = -Infinity;
    for (const { table, column } of this.series) {
      for (const value of table.columns[column].slice(table.firstFrom(view.firstStep))) {
        if (!this.canShow(value)) continue;
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
    return low <= high ? [low, high] : null;
  }

  canShow(value) { return value !== null && Number.isFinite(this.scale.place(value)); }

  drawNothing(context, width, height) {
    const isAwaited = known.status === null || known.status.run !== undefined;
    context.fillStyle = color("--muted");
    context.textAlign = "center";
    context.fillText(isAwaited ? "Begins with the first steps." : "Begins with a run.", width / 2, height / 2);
  }

  drawAxes({ context, width, height, low, high, x, y }) {
    context.strokeStyle = color("--line");
    context.fillStyle = color("--muted");
    context.lineWidth = 1;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const tick of this.scale.ticks(low, high, Math.max(2, Math.floor(height / 34)))) {
      // Half a pixel over, a line of one pixel is sharp.
      const line = Math.round(y(tick)) + 0.5;
      strokeLine(context, margin.left, line, width - margin.right, line);
      context.fillText(short(tick), margin.left - 7, line);
    }
    context.textBaseline = "alphabetic";
    context.textAlign = "center";
    const ticks = roundTicks(view.firstStep, curves.lastStep, Math.max(2, Math.floor(width / 80)));
    for (const tick of ticks.filter(Number.isInteger)) {
      const place = Math.min(x(tick), width - margin.right - context.measureText(short(tick)).width / 2);
      context.fillText(short(tick), place, height - 5);
    }
  }

  /** Where there are more rows than room, a line through the means and a band from the least to the greatest. */
  drawSeries(area, series) {
    const { context, height } = area;
    const bins = this.bins(area, series);
    context.strokeStyle = context.fillStyle = color(series.color);
    context.globalAlpha = 0.22;
    fillBand(context, bins);
    context.globalAlpha = 1;
    context.lineWidth = height > 200 ? 2 : 1.5;
    context.beginPath();
    for (const { x, y } of bins) context.lineTo(x, y);
    context.stroke();
    // One value makes no line, and dots side by side make a worm.
    if (bins.length === 1 || (series.dots && bins.length < 60)) {
      for (const { x, y } of bins) fillDot(context, x, y, 3);
    }
  }

  /** Values by columns of a few pixels; the mean on a logarithmic scale is the geometric one. */
  bins({ x, y, width }, { table, column, dots }) {
    const bins = [];
    const values = table.columns[column];
    const first = table.firstFrom(view.firstStep);
    // Some eight rows make a mean that is steady; wider than ten pixels, one would see the corners.
    const size = dots ? 3 : Math.min(10, Math.max(3, (8 * width) / (values.length - first)));
    for (let row = first; row < values.length; row++) {
      if (!this.canShow(values[row])) continue;
      const place = x(table.steps[row]);
      const key = Math.floor(place / size);
      const level = y(values[row]);
      let bin = bins.at(-1);
      if (bin?.key !== key) bins.push(bin = { key, count: 0, x: 0, y: 0, top: level, bottom: level });
      bin.count += 1;
      bin.x += (place - bin.x) / bin.count;
      bin.y += (level - bin.y) / bin.count;
      bin.top = Math.min(bin.top, level);
      bin.bottom = Math.max(bin.bottom, level);
    }
    return bins;
  }

  drawBest({ context, width, low, high, x, y }) {
    const run = known.status?.run ?? {};
    const [step, best] = [run.bestStep, run[keyOf("best", this.metric)]];
    if (!isKnown(best) || best < low || best > high || step < view.firstStep) return;
    const [left, top] = [x(step), y(best)];
    context.strokeStyle = color("--validation");
    context.lineWidth = 2;
    context.beginPath();
    context.arc(left, top, 6.5, 0, 2 * Math.PI);
    context.stroke();
    const text = `best ${decimal(best)}`;
    context.fillStyle = color("--validation");
    context.textAlign = left + context.measureText(text).width / 2 > width - margin.right ? "right" : "center";
    context.strokeStyle = color("--card");
    context.lineWidth = 4;
    context.strokeText(text, Math.min(left, width - margin.right), top - 13);
    context.fillText(text, Math.min(left, width - margin.right), top - 13);
  }

  drawCursor({ context, height, width, x, y }) {
    const values = valuesAtCursor();
    if (!isKnown(values.step)) return;
    const place = x(values.step);
    context.strokeStyle = color("--edge");
    context.lineWidth = 1;
    strokeLine(context, Math.round(place) + 0.5, margin.top, Math.round(place) + 0.5, height - margin.bottom);
    const { column, color: name } = this.series[0];
    if (!this.canShow(values[column])) return;
    context.fillStyle = color("--card");
    fillDot(context, place, y(values[column]), 6);
    context.fillStyle = color(name);
    fillDot(context, place, y(values[column]), 4);
  }
}

function strokeLine(context, x1, y1, x2, y2) {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

function fillDot(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function fillBand(context, bins) {
  context.beginPath();
  for (const { x, top } of bins) context.lineTo(x, top);
  for (const { x, bottom } of bins.toReversed()) context.lineTo(x, bottom);
  context.fill();
}

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

const charts = [];
let frame = 0;

/** At most one drawing a frame. Browsers ask for none while the page is hidden. */
function requestFrame() {
  if (frame === 0) frame = requestAnimationFrame(drawFrame);
}

function drawFrame() {
  frame = 0;
  for (const chart of charts) if (chart.isDirty && chart.isVisible) chart.draw();
  const values = valuesAtCursor();
  for (const element of document.querySelectorAll("[data-value]")) {
    setText(element, formats[element.dataset.value](values[element.dataset.value]));
  }
}

function invalidateCharts() {
  for (const chart of charts) chart.invalidate();
}

function pointAt(step) {
  cursor.step = step;
  invalidateCharts();
}

/** Newest first; as many as anyone reads. */
function showEpochRows() {
  const { validation } = curves;
  const rows = Array.from({ length: Math.min(validation.count, 200) }, (_, index) =>
    validation.row(validation.count - 1 - index));
  byId("epoch-rows").replaceChildren(...rows.map((row) => make("tr", {},
    ...["epoch", "step", ...metrics.map(({ name }) => name)].map((name) => make("td", {}, formats[name](row[name]))))));
}
