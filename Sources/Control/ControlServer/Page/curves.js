// ---- Curves --------------------------------------------------------------------------------------------------

/** Rows with growing steps, a column an array. Bounded: beyond `limit` they are thinned to half of that. */
class Table {
  constructor(names, limit = 8000) {
    this.limit = limit;
    this.names = names;
    this.columns = Object.fromEntries(names.map((name) => [name, []]));
  }

  /** Columns for the metrics of another run, beside those that every run has: all rows go. */
  setMetrics(metrics) {
    this.columns = Object.fromEntries([...this.names, ...metrics].map((name) => [name, []]));
  }

  get steps() { return this.columns.step; }
  get count() { return this.steps.length; }
  get lastStep() { return this.steps.at(-1) ?? 0; }

  /** Columns as the server has them. Rows from the first new step on are replaced: a run can go back to its last
      checkpoint. */
  append(rows) {
    if (rows.step.length === 0) return;
    this.cut(rows.step[0]);
    for (const [name, column] of Object.entries(this.columns)) {
      const values = rows[name] ?? Array(rows.step.length).fill(null);
      for (const value of values) column.push(value);
    }
    if (this.count > this.limit) this.thin();
  }

  /** Drops the rows from this step on. */
  cut(step) {
    const count = this.firstFrom(step);
    for (const column of Object.values(this.columns)) column.length = count;
  }

  /** Leaves the first row of each so many steps, and the last of all. So many is a power of two: rows that were left
      once are left again, and the beginning of a long run stays as clear as its end. */
  thin() {
    const { steps } = this;
    const size = 2 ** Math.ceil(Math.log2((this.lastStep - steps[0]) / (this.limit / 2)));
    const cell = (row) => Math.floor(steps[row] / size);
    const stays = (_, row) => row === 0 || row === steps.length - 1 || cell(row) !== cell(row - 1);
    for (const name in this.columns) this.columns[name] = this.columns[name].filter(stays);
  }

  /** The first row whose step is not below this one. */
  firstFrom(step) {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.steps[middle] < step) low = middle + 1; else high = middle;
    }
    return low;
  }

  /** The row nearest to a step, or -1. */
  nearest(step) {
    const after = this.firstFrom(step);
    if (after === 0) return this.count > 0 ? 0 : -1;
    if (after === this.count) return after - 1;
    return this.steps[after] - step < step - this.steps[after - 1] ? after : after - 1;
  }

  /** A row as an object; nothing is known of a row that is not there. */
  row(index) {
    return Object.fromEntries(Object.entries(this.columns).map(([name, column]) => [name, column[index]]));
  }
}

const curves = {
  training: new Table(["step", "epoch", "learningRate", "gradientNorm", "tokensPerSecond"]),
  validation: new Table(["step", "epoch"]),

  setMetrics(names) {
    this.training.setMetrics(names);
    this.validation.setMetrics(names);
    showEpochRows();
  },

  append(tables) {
    const first = tables.training.step[0];
    const isRewound = first <= this.training.lastStep;
    if (isRewound) this.validation.cut(first);
    this.training.append(tables.training);
    this.validation.append(tables.validation);
    if (isRewound || tables.validation.step.length > 0) showEpochRows();
    invalidateCharts();
  },

  clear() {
    this.training.cut(0);
    this.validation.cut(0);
    showEpochRows();
    invalidateCharts();
  },

  get lastStep() { return Math.max(this.training.lastStep, this.validation.lastStep); },
};

/** The step people point at, in all charts; null: the newest. */
const cursor = { step: null };

/** The part of the run that charts show, up to its newest step. */
const view = {
  part: 1,
  get firstStep() { return Math.floor(curves.lastStep * (1 - this.part)); },
  get steps() { return Math.max(1, curves.lastStep - this.firstStep); },
};

/** What is known of the step pointed at, or of the newest. */
function valuesAtCursor() {
  const { training, validation } = curves;
  const row = cursor.step === null ? training.count - 1 : training.nearest(cursor.step);
  const values = training.row(row);
  // Validation as it stood then: the last one up to that step.
  const until = cursor.step === null ? validation.count : validation.firstFrom((values.step ?? 0) + 1);
  const evaluated = validation.row(until - 1);
  for (const { name } of metrics) {
    values[keyOf("validation", name)] = evaluated[name];
    values[keyOf("best", name)] = known.status?.run?.[keyOf("best", name)];
  }
  return values;
}

/** Of metrics too: see setMetrics. */
const formats = {
  step: whole, epoch: whole, tokensPerSecond: whole, learningRate: (value) => decimal(value, 3), gradientNorm: (value) => decimal(value, 3),
};

const spokenNames = {
  tokensPerSecond: "tokens a second", learningRate: "learning rate", gradientNorm: "gradient norm",
};
