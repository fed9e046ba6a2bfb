// A JSON value as a tree that opens branch by branch; long lists and texts show their beginning first.
import { count } from "./format.js";
import { html, useState } from "./html.js";
import { Icon } from "./icons.js";

const OPEN_DEPTH = 2;
const FIRST = 50; // items of a branch shown at first
const LONG = 400; // characters of a text shown at first

/** @param {{ value: unknown, name?: string, depth?: number }} props */
export function JsonTree({ value, name, depth = 0 }) {
  const branch = value !== null && typeof value === "object";
  return branch
    ? html`<${Branch} value=${value} name=${name} depth=${depth} />`
    : html`<div class="leaf"><${Key} name=${name} /><${Leaf} value=${value} /></div>`;
}

/** @param {{ name?: string }} props */
function Key({ name }) {
  return name === undefined ? null : html`<span class="json-key">${name}</span>`;
}

/** @param {{ value: any, name?: string, depth: number }} props */
function Branch({ value, name, depth }) {
  const list = Array.isArray(value);
  const entries = list
    ? value.map((item, place) => /** @type {[string, any]} */ ([String(place), item]))
    : Object.entries(value);
  const [open, set] = useState(depth < OPEN_DEPTH && entries.length <= FIRST);
  const [shown, show] = useState(FIRST);
  const sum = list ? `[ ${count(entries.length)} ]` : `{ ${count(entries.length)} }`;
  const inner =
    open &&
    entries
      .slice(0, shown)
      .map(([key, item]) => html`<${JsonTree} key=${key} value=${item} name=${key} depth=${depth + 1} />`);
  if (depth === 0 && name === undefined && open)
    return html`<div class="json">${inner}<${More} left=${entries.length - shown}
      more=${() => show(shown + 500)} /></div>`;
  return html`<div class="branch"><button aria-expanded=${open} onClick=${() => set(!open)}>
    <${Icon} name=${open ? "down" : "right"} /><${Key} name=${name} /><span class="faint">${sum}</span></button>
    ${open && html`<div class="inner">${inner}<${More} left=${entries.length - shown}
    more=${() => show(shown + 500)} /></div>`}</div>`;
}

/** @param {{ left: number, more: () => void }} props */
function More({ left, more }) {
  return left > 0 ? html`<button class="button bare" onClick=${more}>${count(left)} more</button>` : null;
}

/** @param {{ value: any }} props */
function Leaf({ value }) {
  const [all, showAll] = useState(false);
  if (typeof value !== "string")
    return html`<span class="json-${value === null ? "null" : typeof value}">${String(value)}</span>`;
  const long = value.length > LONG && !all;
  return html`<span class="json-string">${long ? value.slice(0, LONG) : value}${long && html`… <button
    class="button bare" onClick=${() => showAll(true)}>all ${count(value.length)} characters</button>`}</span>`;
}
