// Beside the timeline: all that is known of the selected segment or subsegment.
import { AwsBlock, HttpBlock, SqlBlock } from "./blocks.js";
import { Copy } from "./copy.js";
import { Exceptions } from "./exceptions.js";
import { duration, exactTime, moment, quoted, record, share, shown } from "./format.js";
import { html, isValidElement, useEffect, useRef } from "./html.js";
import { Icon, OutcomeChip } from "./icons.js";
import { JsonTree } from "./json.js";
import { addressOf, go } from "./place.js";
import { ownTime } from "./tree.js";

/** @typedef {import("./tree.js").Node} Node */

/** @param {{ node: Node, tree: any, raw: boolean, showRaw: (raw: boolean) => void }} props */
export function Panel({ node, tree, raw, showRaw }) {
  const panel = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => panel.current?.querySelector(".panel-scroll")?.scrollTo(0, 0), [node.id]);
  const text = () => JSON.stringify(node.document, null, 2);
  return html`<aside class="panel tone-${node.tone}" ref=${panel} aria-label="Details of ${node.name}">
    <header class="panel-head">
      <${Icon} name=${node.kind} class="kind" />
      <h2 class="cut" title=${node.name}>${node.name}</h2>
      <${OutcomeChip} of=${{ ...node.document, in_progress: node.running }} />
      <span class="push"></span>
      <button class="button bare" aria-pressed=${raw} title="Raw JSON (r)" onClick=${() => showRaw(!raw)}>
      <code>{ }</code></button>
      <${Copy} text=${text} label="Copy as JSON" />
      <button class="button bare" aria-label="Close the panel" title="Close (Esc)"
        onClick=${() => go({ at: "" }, { replace: true })}><${Icon} name="close" /></button>
    </header>
    <div class="panel-scroll" tabindex="0" role="group" aria-label="Details">
      ${raw ? html`<pre class="raw">${text()}</pre>` : html`<${Sections} node=${node} tree=${tree} />`}
    </div>
  </aside>`;
}

/** @param {{ node: Node, tree: any }} props */
function Sections({ node, tree }) {
  const { document } = node;
  return html`
    ${node.missing && html`<p
    class="remark">The segment itself was not sent here: outside of this machine, Lambda and AWS's services write their own. Its name and times are those of its subsegments.</p>`}
    ${node.cut && html`<p class="remark">
    <${Icon} name="cut" />Truncated: something was left out of this one to keep within X-Ray's limits.</p>`}
    <${Exceptions} cause=${document.cause} tree=${tree} />
    <${Overview} node=${node} tree=${tree} />
    <${HttpBlock} http=${document.http} />
    <${SqlBlock} sql=${document.sql} />
    <${AwsBlock} aws=${document.aws} />
    <${Annotations} annotations=${document.annotations} />
    <${Metadata} metadata=${document.metadata} />
    <${Links} links=${document.links} />`;
}

/** @param {{ title: string, copy?: () => string, children?: any }} props */
export function Section({ title, copy, children }) {
  return html`<section class="section"><header><h3>${title}</h3>
    ${copy && html`<${Copy} text=${copy} label="Copy ${title.toLowerCase()}" />`}</header>${children}</section>`;
}

/**
 * Names and values; what is empty is left out, all in sight can be copied.
 * @param {{ of: Array<[string, any, string?]> }} props a third item says how the value is shown
 */
export function Facts({ of }) {
  const known = of.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return html`<dl class="facts-list">${known.map(([name, value, how]) => html`<dt key=${name}>${name}</dt>
    <dd class=${how ?? ""}>${isValidElement(value) ? value : shown(value)}</dd>`)}</dl>`;
}

/** @param {{ node: Node, tree: any }} props */
function Overview({ node, tree }) {
  const { document } = node;
  const took = node.end - node.start;
  const own = ownTime(node);
  const began = moment(node.start);
  return html`<${Section} title="Overview"><${Facts} of=${[
    ["Duration", node.running ? "in progress" : `${duration(took)}, ${share(took, tree.to - tree.from)} of the trace`],
    ["Own time", node.children.length && !node.running ? `${duration(own)}, ${share(own, took)} of it` : ""],
    [
      "Began",
      html`<span
        title=${exactTime(node.start)}>${began.date} ${began.time}${began.millis}, ${duration(node.start - tree.from)} into the trace</span>`,
    ],
    ["Kind", kindText(node)],
    ["Part of", node.segment ? "" : node.service],
    ["Origin", document.origin],
    ["Version", document.service?.version],
    ["Runtime", [document.service?.runtime, document.service?.runtime_version].filter(Boolean).join(" ")],
    ["User", document.user],
    ["Resource", document.resource_arn, "code"],
    ["Id", html`<span class="with-copy"><code>${node.id}</code><${Copy} text=${node.id} label="Copy the id" /></span>`],
  ]} /></${Section}>`;
}

/** @param {Node} node */
function kindText(node) {
  const place = node.segment
    ? "segment"
    : node.document.type === "subsegment"
      ? "subsegment, sent on its own"
      : "subsegment";
  return [node.document.namespace, place].filter(Boolean).join(" ");
}

/** Each is a way to others like it: it can be filtered by. @param {{ annotations: any }} props */
function Annotations({ annotations }) {
  const entries = Object.entries(record(annotations));
  if (!entries.length) return null;
  return html`<${Section} title="Annotations" copy=${() => JSON.stringify(annotations, null, 2)}>
    <dl class="facts-list">${entries.map(
    ([key, value]) => html`
    <dt key=${key}>${key}</dt><dd class="with-copy"><span class="code">${shown(value)}</span>
      <a class="copy" href=${addressOf({ trace: "", at: "", view: "", filter: expression(key, value) })}
        title="Traces with this annotation" aria-label="Traces with ${key} ${shown(value)}">
        <${Icon} name="filter" /></a>
    </dd>`,
  )}</dl></${Section}>`;
}

/** @param {string} key @param {any} value */
function expression(key, value) {
  const name = /^[A-Za-z_]\w*$/.test(key) ? `annotation.${key}` : `annotation[${quoted(key)}]`;
  return `${name} = ${typeof value === "string" ? quoted(value) : shown(value)}`;
}

/** @param {{ metadata: any }} props */
function Metadata({ metadata }) {
  const spaces = Object.entries(record(metadata));
  if (!spaces.length) return null;
  return html`<${Section} title="Metadata" copy=${() => JSON.stringify(metadata, null, 2)}>
    ${spaces.map(([name, value]) => html`<div class="namespace"
    key=${name}>${spaces.length > 1 || name !== "default" ? html`<h4>${name}</h4>` : null}
    <${JsonTree} value=${value} /></div>`)}
  </${Section}>`;
}

/** @param {{ links: any }} props */
function Links({ links }) {
  const known = Array.isArray(links) ? links.filter((link) => typeof link?.trace_id === "string") : [];
  if (!known.length) return null;
  return html`<${Section} title="Linked traces"><ul>${known.map((link) => html`<li key=${link.trace_id}>
    <a class="code" href=${addressOf({ trace: link.trace_id, at: "" })}>${link.trace_id}</a></li>`)}</ul></${Section}>`;
}
