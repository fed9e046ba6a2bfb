// The range of time that is in view: some minutes back from now, or from one time to another.
import { html, useState } from "./html.js";
import { go } from "./place.js";

const LAST = [
  ["", "All times"],
  ["300", "Last 5 minutes"],
  ["900", "Last 15 minutes"],
  ["3600", "Last hour"],
  ["21600", "Last 6 hours"],
  ["86400", "Last day"],
];

/** @param {{ place: import("./place.js").Place }} props */
export function Range({ place }) {
  const [own, setOwn] = useState(Boolean(place.since || place.until));
  const value = own ? "own" : place.last;
  const listed = LAST.some(([seconds]) => seconds === value);
  const choose = (/** @type {string} */ next) => {
    setOwn(next === "own");
    if (next !== "own") go({ last: next, since: "", until: "" });
  };
  return html`<select class="field range" aria-label="Range of time" value=${value}
    onChange=${(/** @type {any} */ event) => choose(event.currentTarget.value)}>
    ${LAST.map(([seconds, name]) => html`<option key=${seconds} value=${seconds}>${name}</option>`)}
    ${!listed && value !== "own" && html`<option value=${value}>Last ${value} s</option>`}
    <option value="own">From … to …</option>
  </select>
  ${own && html`<span class="times"><${Edge} name="since" place=${place} label="From" />
  <${Edge} name="until" place=${place} label="To" /></span>`}`;
}

/** @param {{ name: "since" | "until", place: import("./place.js").Place, label: string }} props */
function Edge({ name, place, label }) {
  const change = (/** @type {any} */ event) => {
    const epoch = new Date(event.currentTarget.value).getTime() / 1000;
    go({ last: "", [name]: Number.isFinite(epoch) ? String(epoch) : "" });
  };
  return html`<input class="field" type="datetime-local" step="1" aria-label=${label} value=${local(place[name])}
    onChange=${change} />`;
}

/** @param {string} epoch @returns {string} as the field wants it: local, without a zone */
function local(epoch) {
  if (!epoch) return "";
  const date = new Date(Number(epoch) * 1000);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
