// Values as people read them: durations, times, sizes, counts.

/**
 * A duration with three digits that count: 840 µs, 12.3 ms, 1.25 s, 2 min 5 s.
 * @param {number | null | undefined} seconds
 * @returns {string}
 */
export function duration(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return "–";
  if (seconds < 0) return `−${duration(-seconds)}`;
  if (seconds === 0) return "0 ms";
  if (seconds < 0.0009995) return `${digits(seconds * 1e6)} µs`;
  if (seconds < 0.9995) return `${digits(seconds * 1e3)} ms`;
  if (seconds < 59.95) return `${digits(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** @param {number} value */
function digits(value) {
  const places = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return value.toFixed(places);
}

/**
 * A point on an axis: as short as it is exact.
 * @param {number} seconds
 */
export function tick(seconds) {
  if (seconds === 0) return "0";
  const [unit, size] = seconds < 0.001 ? ["µs", 1e6] : seconds < 1 ? ["ms", 1e3] : ["s", 1];
  return `${Number((seconds * size).toPrecision(3))} ${unit}`;
}

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });

/**
 * The local time of day, its milliseconds apart, with the date where that is not today's.
 * @param {number} epoch seconds
 * @returns {{ time: string, millis: string, date: string }}
 */
export function moment(epoch) {
  const date = new Date(epoch * 1000);
  const today = new Date().toDateString() === date.toDateString();
  return {
    time: clock.format(date),
    millis: `.${String(date.getMilliseconds()).padStart(3, "0")}`,
    date: today ? "" : day.format(date),
  };
}

/** @param {number} epoch seconds */
export function exactTime(epoch) {
  return new Date(epoch * 1000).toISOString();
}

/** @param {number | null | undefined} value */
export function count(value) {
  return value == null ? "–" : value.toLocaleString("en-US").replaceAll(",", " ");
}

/** "1 trace", "2 traces" @param {number} value @param {string} thing */
export function counted(value, thing) {
  return `${count(value)} ${thing}${value === 1 ? "" : "s"}`;
}

/** @param {number} part @param {number} whole */
export function share(part, whole) {
  if (!whole) return "–";
  const percent = (100 * part) / whole;
  if (percent === 0 || percent >= 9.95) return `${Math.round(percent)} %`;
  return percent < 0.1 ? "< 0.1 %" : `${percent.toFixed(1)} %`;
}

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${digits(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${digits(bytes / 1e6)} MB` : `${digits(bytes / 1e9)} GB`;
}

/**
 * The path of a URL, which tells requests apart better than its host does.
 * @param {string | null | undefined} url
 */
export function pathOf(url) {
  if (!url) return "";
  const match = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*([^]*)$/i.exec(url);
  return match ? match[1] || "/" : url;
}

/**
 * A string as a value of a filter expression.
 * @param {string} text
 */
export function quoted(text) {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/**
 * The next number of 1, 2, 5, 10, ... that is not smaller: axes that seldom change.
 * @param {number} value
 */
export function roundUp(value) {
  if (!(value > 0)) return 0.001;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.9999) ?? value;
}

/**
 * Any value of a document as text: what programs send may be of any kind, and an object may even bear a `toString`.
 * @param {unknown} value
 * @returns {string}
 */
export function shown(value) {
  if (value === undefined || value === null) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** @param {unknown} value @returns {Record<string, any>} the value if it is an object, else an empty one */
export function record(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value)
    ? /** @type {Record<string, any>} */ (value)
    : {};
}
