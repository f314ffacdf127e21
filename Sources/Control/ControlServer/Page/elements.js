// ---- Elements and numbers ------------------------------------------------------------------------------------

const byId = (id) => document.getElementById(id);

/** A new element; children may be strings. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Writing the same text again would make screen readers say it again and browsers lay it out again. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const isKnown = (value) => Number.isFinite(value);
const whole = (value) => (isKnown(value) ? Math.round(value).toLocaleString("en") : "–");

/** So many significant digits, zeros too, so that a changing number keeps its width. */
function decimal(value, digits = 4) {
  if (!isKnown(value)) return "–";
  if (Math.abs(value) >= 10 ** (digits - 1)) return whole(value);
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(digits - 2);
  return value.toLocaleString("en", { minimumSignificantDigits: digits, maximumSignificantDigits: digits });
}

/** As short as can be, for axes: 20k, 0.002, 5e-7. */
function short(value) {
  if (value !== 0 && Math.abs(value) < 1e-4) return value.toExponential().replace(/\.?0*e/, "e");
  const options = { notation: "compact", maximumSignificantDigits: 4 };
  return value.toLocaleString("en", options).replace("K", "k");
}

function duration(seconds) {
  if (!isKnown(seconds)) return "–";
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first < 0) return seconds < 0.5 ? "0 s" : "1 s";
  // The two largest units say enough; below ten minutes nobody wants to see seconds tick.
  const [unit, size] = units[first];
  const [nextUnit, nextSize] = units[first + 1] ?? ["", 1];
  const rest = Math.floor((seconds % size) / nextSize);
  const count = Math.floor(seconds / size);
  return rest > 0 && unit !== "s" && (unit !== "min" || count < 10)
    ? `${count} ${unit} ${rest} ${nextUnit}` : `${count} ${unit}`;
}

/** Seconds of a few milliseconds or many. */
function seconds(value) {
  return value < 1 ? `${decimal(1000 * value, 3)} ms` : `${decimal(value, 3)} s`;
}

const dateAndTime = (secondsSince1970) =>
  new Date(1000 * secondsSince1970).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
const clock = (date) => date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

/** Says something to screen readers that others see elsewhere. */
const announce = (text) => setText(byId("announcement"), text);
