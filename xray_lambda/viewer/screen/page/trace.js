// One trace: what it comes to, its map, its timeline, and beside it whatever is selected.
import { useAnswer } from "./api.js";
import { Copy } from "./copy.js";
import { counted, duration, exactTime, moment, pathOf } from "./format.js";
import { html, useEffect, useMemo, useState } from "./html.js";
import { Icon, OutcomeChip } from "./icons.js";
import { useKeys } from "./keyboard.js";
import { statusClass } from "./list.js";
import { useEvents } from "./live.js";
import { Graph } from "./map.js";
import { Panel } from "./panel.js";
import { addressOf, go } from "./place.js";
import { Timeline } from "./timeline.js";
import { buildTree } from "./tree.js";

/** @typedef {import("./place.js").Place} Place */

/** @param {{ place: Place }} props */
export function Trace({ place }) {
  const [version, again] = useState(0);
  const { data, fault } = useAnswer(`/api/trace/${encodeURIComponent(place.trace)}`, version);
  useEvents((kind, event) => {
    if (kind === "back" || (kind === "traces" && event.changed.includes(place.trace))) again((before) => before + 1);
  });
  const tree = useMemo(() => data && buildTree(data.entities), [data]);
  const [raw, showRaw] = useState(false);
  useKeys({
    Escape: () => (place.at ? go({ at: "" }, { replace: true }) : go({ trace: "", at: "" })),
    r: () => showRaw((before) => !before),
    c: () => pick(place),
  });
  if (fault && !data) return html`<${Lost} id=${place.trace} fault=${fault} />`;
  if (!data || !tree) return html`<div class="trace-head" aria-busy="true"></div>`;
  const node = tree.byId.get(place.at) ?? null;
  return html`
    <${Head} summary=${data.summary} place=${place} />
    ${data.problems.length > 0 && html`<${Problems} problems=${data.problems} />`}
    <div class="trace-body ${node ? "with-panel" : ""}">
      <div class="trace-main">
        <${TraceMap} graph=${data.map} tree=${tree} />
        <${Timeline} tree=${tree} selected=${place.at}
          select=${(/** @type {string} */ id) => go({ at: id }, { replace: true })} />
      </div>
      ${node && html`<${Panel} node=${node} tree=${tree} raw=${raw} showRaw=${showRaw} />`}
    </div>`;
}

/** @param {Place} place */
const pick = (place) => go({ trace: "", at: "", view: "", pick: place.trace });

/** @param {{ summary: any, place: Place }} props */
function Head({ summary, place }) {
  const { time, millis, date } = moment(summary.start);
  return html`<header class="trace-head">
    <a class="button bare" href=${addressOf({ trace: "", at: "" })} aria-label="Back to the list"
      title="Back to the list (Esc)"><${Icon} name="back" /></a>
    <div class="trace-title">
      <h1 class="cut" title=${summary.url ?? summary.name}>${summary.name}
        ${summary.method && html`<small> ${summary.method} ${pathOf(summary.url)}</small>`}</h1>
      <p class="facts muted">
        <span title=${exactTime(summary.start)}>${date} ${time}<span class="faint">${millis}</span></span>
        <span>${counted(summary.documents, "document")}, ${counted(summary.subsegments, "subsegment")}</span>
        <span class="trace-id"><code>${summary.trace_id}</code>
        <${Copy} text=${summary.trace_id} label="Copy the trace id" /></span>
      </p>
    </div>
    <div class="trace-figures">
      <${OutcomeChip} of=${summary} />${summary.cold_start && html`<span class="chip cold">cold start</span>`}
      ${summary.status != null && html`<span class="figure ${statusClass(summary.status)}">${summary.status}</span>`}
      <span class="figure">${duration(summary.duration)}</span>
    </div>
    <div class="trace-actions">
      <button class="button" title="Compare with another trace (c)" onClick=${() => pick(place)}>
        <${Icon} name="compare" /><span class="label">Compare</span></button>
      <a class="button" href="/api/trace/${encodeURIComponent(place.trace)}/export" download="${place.trace}.json"
        title="The documents of the trace, as X-Ray has them">
        <${Icon} name="download" /><span class="label">JSON</span></a>
    </div>
  </header>`;
}

/** @param {{ problems: string[] }} props */
function Problems({ problems }) {
  const [open, set] = useState(false);
  const shown = open ? problems : problems.slice(0, 1);
  return html`<div class="notice problems" role="status"><${Icon} name="help" />
    <ul>${shown.map((problem) => html`<li key=${problem}>${problem}</li>`)}</ul>
    ${problems.length > 1 && html`<${More} open=${open} more=${problems.length - 1} toggle=${() => set(!open)} />`}</div>`;
}

/** @param {{ open: boolean, more: number, toggle: () => void }} props */
function More({ open, more, toggle }) {
  return html`<button class="button push" onClick=${toggle}>${open ? "Less" : `${more} more`}</button>`;
}

/** A strip with the services of this trace; it can be closed, and stays so. @param {{ graph: any, tree: any }} props */
function TraceMap({ graph, tree }) {
  const [open, set] = useStored("xray-lambda.trace-map", "open");
  const select = (/** @type {any} */ service) => {
    const found =
      [...tree.byId.values()].find(
        (node) => (node.segment && node.name === service.name) || node.service === service.name,
      ) ?? findCall(tree, service.name);
    if (found) go({ at: found.id }, { replace: true });
  };
  return html`<section class="trace-map" aria-label="Services of this trace" data-open=${open}>
    <button class="map-toggle" aria-expanded=${open === "open"}
      onClick=${() => set(open === "open" ? "closed" : "open")}>
      <${Icon} name=${open === "open" ? "down" : "right"} />Map</button>
    ${open === "open" && html`<${Graph} graph=${graph} choose=${select} verb="Select" compact=${true} />`}
  </section>`;
}

/** @param {any} tree @param {string} name */
function findCall(tree, name) {
  const folded = name.toLowerCase();
  return [...tree.byId.values()].find(
    (node) =>
      !node.segment &&
      (node.name === name ||
        JSON.stringify(node.document.aws ?? {})
          .toLowerCase()
          .includes(folded)),
  );
}

/** @param {string} key @param {string} fallback @returns {[string, (value: string) => void]} */
export function useStored(key, fallback) {
  const [value, set] = useState(() => {
    try {
      return localStorage.getItem(key) ?? fallback;
    } catch {
      return fallback;
    }
  });
  useEffect(() => {
    try {
      localStorage.setItem(key, value);
    } catch {
      // storage is switched off: it lasts as long as the page
    }
  }, [value]);
  return [value, set];
}

/** @param {{ id: string, fault: any }} props */
function Lost({ id, fault }) {
  const [title, text] =
    fault.status === 404
      ? ["This trace is not here", "It may still be on its way, or the viewer has forgotten it."]
      : ["That did not work", fault.message];
  return html`<div class="page"><div class="inner lost"><h1>${title}</h1><p class="muted">${text}</p><p>
    <code>${id}</code></p>
    <p>From a real account: <code>xray-lambda traces pull ${id}</code></p><p>
    <a class="button" href=${addressOf({ trace: "", at: "" })}>Back to the list</a></p></div></div>`;
}
