// ---- Scales and ticks ----------------------------------------------------------------------------------------

/** Round numbers from low to high, at most `count`. */
function roundTicks(low, high, count) {
  const least = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= least);
  const ticks = [];
  for (let index = Math.ceil(low / step); index * step <= high; index++) {
    // Multiplying leaves digits like 0.30000000000000004.
    ticks.push(Number((index * step).toPrecision(12)));
  }
  return ticks;
}

/** Ticks of a logarithmic axis: as many leading digits of every power of ten as there is room for. */
function logTicks(low, high, count) {
  const firstPower = Math.floor(Math.log10(low));
  const powers = Array.from({ length: Math.ceil(Math.log10(high)) - firstPower + 1 }, (_, index) => firstPower + index);
  for (const digits of [[1, 1.5, 2, 3, 4, 5, 7], [1, 2, 5], [1, 3], [1]]) {
    const ticks = powers.flatMap((power) => digits.map((digit) => Number((digit * 10 ** power).toPrecision(3))))
      .filter((tick) => tick >= low && tick <= high);
    // Within a small factor there are no such numbers, and the axis is nearly linear.
    if (ticks.length < 3) break;
    if (ticks.length <= count) return ticks;
  }
  if (high / low < 20) return roundTicks(low, high, count);
  const every = Math.ceil(powers.length / count);
  return powers.filter((power) => power % every === 0).map((power) => 10 ** power)
    .filter((tick) => tick >= low && tick <= high);
}

/** `range` widens the least and greatest value to what the axis shows. */
const scales = {
  fromZero: { place: (value) => value, ticks: roundTicks, range: (low, high) => [0, high * 1.08 || 1] },
  logarithmic: {
    place: Math.log, ticks: logTicks,
    range(low, high) {
      const room = Math.max(0.02, 0.06 * Math.log(high / low));
      return [low * Math.exp(-room), high * Math.exp(room)];
    },
  },
};
