// Exceptions: what was raised, what caused it, and where, with the frames that stand nearest to the fault first.
import { count, shown } from "./format.js";
import { html, useState } from "./html.js";
import { go } from "./place.js";
import { Section } from "./panel.js";

/** Where code of others lies, and its path within. */
const LIBRARY =
  /^.*\/(?:site|dist)-packages\/(.*)$|^.*\/lib\/python3[^/]*\/(.*)$|^(<frozen.*)$|^\/(?:var\/runtime|opt\/python)\/(.*)$/;
const FIRST = 8; // frames shown before one asks for the rest

/** @param {{ cause: any, tree: { byId: Map<string, import("./tree.js").Node> } }} props */
export function Exceptions({ cause, tree }) {
  if (typeof cause === "string") return html`<${Elsewhere} id=${cause} tree=${tree} />`;
  const chain = inOrder(cause?.exceptions);
  if (!chain.length) return null;
  return html`<${Section} title=${chain.length > 1 ? "Exceptions" : "Exception"}
    copy=${() => chain.map(({ exception }) => asText(exception)).join("\n\n")}>
    ${chain.map(({ exception, link }) => html`<${One} key=${exception.id} exception=${exception} link=${link} />`)}
    ${cause.working_directory && html`<p class="faint">in <span
    class="code">${shown(cause.working_directory)}</span></p>`}
  </${Section}>`;
}

/**
 * Each exception, and after it what caused it. A cause that points at itself, or round in a circle, is shown once.
 * @param {any} exceptions
 * @returns {Array<{ exception: any, link: string }>}
 */
export function inOrder(exceptions) {
  const all = Array.isArray(exceptions) ? exceptions.filter((each) => each && typeof each === "object") : [];
  const byId = new Map(all.map((each) => [each.id, each]));
  const causes = new Set(all.map((each) => each.cause).filter(Boolean));
  const done = new Set();
  /** @type {Array<{ exception: any, link: string }>} */
  const chain = [];
  for (const start of [...all.filter((each) => !causes.has(each.id)), ...all]) {
    let link = "";
    for (let each = start; each && !done.has(each); each = byId.get(each.cause)) {
      done.add(each);
      chain.push({ exception: each, link });
      link = "caused by";
    }
  }
  return chain;
}

/** @param {{ exception: any, link: string }} props */
function One({ exception, link }) {
  const stack = Array.isArray(exception.stack) ? exception.stack : [];
  const [all, showAll] = useState(false);
  const visible = all ? stack : stack.slice(0, FIRST);
  return html`<div class="exception">
    ${link && html`<p class="link-word muted">${link}</p>`}
    <p class="raised"><b class="is-fault">${shown(exception.type ?? "Exception")}</b>
    ${exception.remote && html` <span class="chip">remote</span>`}</p>
    ${exception.message && html`<p class="message">${shown(exception.message)}</p>`}
    ${stack.length > 0 && html`<ol
    class="frames">${visible.map((/** @type {any} */ frame, /** @type {number} */ place) => html`<${Frame} key=${place}
    frame=${frame ?? {}} />`)}</ol>`}
    ${stack.length > FIRST && html`<button class="button bare"
    onClick=${() => showAll(!all)}>${all ? "Fewer frames" : `${stack.length - FIRST} more frames`}</button>`}
    ${exception.truncated > 0 && html`<p class="faint">${count(exception.truncated)} frames were left out</p>`}
    ${exception.skipped > 0 && html`<p class="faint">${count(exception.skipped)} exceptions were left out</p>`}
  </div>`;
}

/** Whoever looks for a fault looks at the program's own frames: those of libraries step back. @param {{ frame: any }} props */
function Frame({ frame }) {
  const path = shown(frame.path);
  const library = LIBRARY.exec(path);
  const short = library ? library.slice(1).find(Boolean) : path;
  const cut = String(short).lastIndexOf("/") + 1;
  return html`<li class=${library ? "library" : ""} title="${path}:${shown(frame.line)}">
    <span class="label cut">${shown(frame.label ?? "?")}</span>
    <span class="file"><span class="folder">${short?.slice(0, cut)}</span>
    <span class="base">${short?.slice(cut)}${frame.line == null ? "" : `:${shown(frame.line)}`}</span></span></li>`;
}

/** The exception was recorded further down, where it was raised. @param {{ id: string, tree: any }} props */
function Elsewhere({ id, tree }) {
  const node = [...tree.byId.values()].find(
    (each) =>
      Array.isArray(each.document.cause?.exceptions) &&
      each.document.cause.exceptions.some((/** @type {any} */ one) => one?.id === id),
  );
  const one = node?.document.cause.exceptions.find((/** @type {any} */ each) => each.id === id);
  return html`<${Section} title="Exception">${
    node
      ? html`<p class="raised"><b class="is-fault">${shown(one.type ?? "Exception")}</b></p>
        ${one.message && html`<p class="message">${shown(one.message)}</p>`}
        <p><button class="button"
          onClick=${() => go({ at: node.id }, { replace: true })}>Raised in ${node.name}</button></p>`
      : html`<p class="muted">The same as <code>${id}</code>, which did not come.</p>`
  }</${Section}>`;
}

/** @param {any} exception */
function asText(exception) {
  const frames = (Array.isArray(exception.stack) ? exception.stack : []).map(
    (/** @type {any} */ frame) => `  at ${shown(frame?.label)} (${shown(frame?.path)}:${shown(frame?.line)})`,
  );
  return [`${shown(exception.type)}: ${shown(exception.message)}`, ...frames].join("\n");
}
