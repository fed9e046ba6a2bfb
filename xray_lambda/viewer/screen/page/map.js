// The service map: of all traces in view, or of one. Boxes are buttons, lines are drawn behind them.
import { filterFault, queryOf, useAnswer, viewKey } from "./api.js";
import { Filter } from "./filter.js";
import { count, duration, quoted, share } from "./format.js";
import { html, useLayoutEffect, useMemo, useRef, useState } from "./html.js";
import { Icon, kindOfService } from "./icons.js";
import { useKeys } from "./keyboard.js";
import { place as placed } from "./layout.js";
import { useTraceClock } from "./live.js";
import { go, toView } from "./place.js";
import { ServiceTable } from "./services.js";

/** @param {{ place: import("./place.js").Place }} props */
export function MapView({ place }) {
  const clock = useTraceClock(2000);
  const path = useMemo(() => `/api/map?${queryOf(place)}`, [viewKey(place), clock]);
  const { data, fault } = useAnswer(path, clock);
  const search = useRef(/** @type {HTMLInputElement | null} */ (null));
  useKeys({ "/": () => search.current?.focus(), Escape: () => go(place.filter ? { filter: "" } : toView("")) });
  const choose = (/** @type {any} */ node) =>
    go({ ...toView(""), filter: both(place.filter, `service(${quoted(node.name)})`) });
  const chooseEdge = (/** @type {any} */ edge) =>
    go({ ...toView(""), filter: both(place.filter, `edge(${quoted(edge.from.name)}, ${quoted(edge.to.name)})`) });
  return html`<h1 class="hidden">Service map</h1><div class="tools">
    <${Filter} place=${place} fault=${filterFault(fault)} input=${search} /></div>
    <div class="map-view">
      ${fault && !filterFault(fault) && html`<p class="nothing">${fault.message}</p>`}
      <${Graph} graph=${data} choose=${choose} chooseEdge=${chooseEdge} verb="Traces of" />
      <${ServiceTable} nodes=${data?.nodes ?? []} choose=${choose} />
    </div>`;
}

/** @param {string} filter @param {string} more */
function both(filter, more) {
  if (!filter.trim() || filter.includes(more)) return filter.trim() || more;
  return /\bOR\b/i.test(filter) ? `(${filter.trim()}) AND ${more}` : `${filter.trim()} AND ${more}`;
}

/**
 * @param {{ graph: any, choose: (node: any) => void, chooseEdge?: (edge: any) => void, verb: string, compact?: boolean }} props
 * verb: what a click does with a service, for screen readers
 */
export function Graph({ graph, choose, chooseEdge, verb, compact = false }) {
  const frame = useRef(/** @type {HTMLElement | null} */ (null));
  const width = useWidth(frame);
  const [zoom, setZoom] = useState(0);
  const layout = useMemo(
    () => graph && width > 0 && placed(graph, width < 560 ? "TB" : "LR"),
    [graph, width < 560, width > 0],
  );
  if (!layout) return html`<div class="graph ${compact ? "compact" : ""}" ref=${frame}></div>`;
  if (!layout.nodes.length)
    return html`<div class="graph empty" ref=${frame}><p class="muted">No services: no trace is in view.</p></div>`;
  const fit = Math.min(1, Math.max(width < 560 ? 0.72 : 0.5, (width - 2) / layout.width));
  const scale = zoom || fit;
  const most = Math.max(...layout.edges.map((/** @type {any} */ edge) => edge.requests), 1);
  return html`<div class="graph ${compact ? "compact" : ""}" ref=${frame}>
    <div class="graph-scroll" tabindex="0" role="group" aria-label="Service map">
      <div class="graph-size" style=${{ width: `${layout.width * scale}px`, height: `${layout.height * scale}px` }}>
        <div class="graph-inner"
          style=${{ width: `${layout.width}px`, height: `${layout.height}px`, transform: `scale(${scale})` }}>
          <svg width=${layout.width} height=${layout.height} aria-hidden="true">
            ${layout.edges.map((/** @type {any} */ edge) => html`<${Edge} key=${edge.key} edge=${edge} most=${most}
            choose=${chooseEdge} />`)}
            ${layout.edges.map((/** @type {any} */ edge) => html`<text key=${edge.key} x=${edge.label.x}
            y=${edge.label.y + 4}>${labelOf(edge)}</text>`)}
          </svg>
          ${layout.nodes.map((/** @type {any} */ node) => html`<${Box} key=${node.id} node=${node} choose=${choose}
          verb=${verb} />`)}
        </div>
      </div>
    </div>
    ${
      !compact &&
      html`<div class="graph-zoom" role="group" aria-label="Zoom">
        <button class="button" aria-label="Smaller" onClick=${() => setZoom(Math.max(0.3, scale - 0.15))}>
        <${Icon} name="minus" /></button>
      <button class="button" onClick=${() => setZoom(0)}>Fit</button>
      <button class="button" aria-label="Larger" onClick=${() => setZoom(Math.min(2, scale + 0.15))}>
      <${Icon} name="plus" /></button></div>`
    }
  </div>`;
}

/** @param {{ current: HTMLElement | null }} frame */
function useWidth(frame) {
  const [width, set] = useState(0);
  useLayoutEffect(() => {
    if (!frame.current) return;
    set(frame.current.clientWidth); // before the first picture, which so has its height
    const watcher = new ResizeObserver(([entry]) => set(Math.round(entry.contentRect.width)));
    watcher.observe(frame.current);
    return () => watcher.disconnect();
  }, [frame.current]);
  return width;
}

/** @param {{ edge: any, most: number, choose?: (edge: any) => void }} props */
function Edge({ edge, most, choose }) {
  const weight = 1.25 + 1.25 * (Math.log1p(edge.requests) / Math.log1p(most));
  const how = edge.faults ? "fault" : edge.errors || edge.throttles ? "error" : "";
  const says = `${edge.from.name} → ${edge.to.name}: ${count(edge.requests)} requests, ${duration(edge.p50)} median`;
  return html`<g class="edge ${how}" onClick=${() => choose?.(edge)}>
    <path class="wide" d=${edge.path}><title>${says}</title></path>
    <path class="line" d=${edge.path} stroke-width=${weight} />
    <path class="tip" d="M-9 -4.5L0 0L-9 4.5z"
      transform="translate(${edge.tip.x} ${edge.tip.y}) rotate(${edge.tip.angle})" />
  </g>`;
}

/** @param {any} edge */
const labelOf = ({ requests, p50 }) =>
  [requests > 1 && count(requests), p50 != null && duration(p50)].filter(Boolean).join(" · ");

/** @param {{ node: any, choose: (node: any) => void, verb: string }} props */
function Box({ node, choose, verb }) {
  const kind = kindOfService(node.name, node.type);
  const client = kind === "client";
  const bad = [
    node.faults && `${share(node.faults, node.requests)} faults`,
    node.errors && `${share(node.errors, node.requests)} errors`,
    node.throttles && `${share(node.throttles, node.requests)} throttled`,
  ].filter(Boolean);
  const style = {
    left: `${node.x - node.width / 2}px`,
    top: `${node.y - node.height / 2}px`,
    width: `${node.width}px`,
    height: `${node.height}px`,
  };
  if (client) return html`<div class="box client" style=${style}><${Icon} name="client" />Client</div>`;
  return html`<button class="box" style=${style} title=${`${node.name}\n${typeText(node.type)}`}
    onClick=${() => choose(node)}>
    <${Ring} node=${node} kind=${kind} />
    <span class="box-text"><span class="hidden">${verb} </span><b class="cut">${nameOf(node)}</b>
      <span class="cut">${node.requests > 1 ? html`${count(node.requests)} req <span
        class="faint">p50</span> ` : ""}${duration(node.p50)}</span>
      <span class="cut">${bad.length ? html`<span
        class="is-${node.faults ? "fault" : node.errors ? "error" : "throttle"}">${bad[0]}</span>` : html`<span
        class="faint">${typeText(node.type)}</span>`}</span>
    </span>
  </button>`;
}

/** What a queue or topic is called by people: the end of its URL or ARN. @param {any} node */
const nameOf = ({ name }) =>
  /^(?:https?:\/\/[^/]+\/\d+\/|arn:)/.test(name)
    ? name.slice(Math.max(name.lastIndexOf("/"), name.lastIndexOf(":")) + 1)
    : name;

/** X-Ray's type in short: what is told by the icon need not be said in full. @param {string} type */
function typeText(type) {
  return (
    { remote: "remote", "Database::SQL": "SQL" }[type] ??
    (type || "service").replace(/^AWS::/, "").replaceAll("::", " ")
  );
}

const CIRCLE = 2 * Math.PI * 15;

/** The share of faults, errors, throttles and the rest, in this order, round the sign of the kind. @param {{ node: any, kind: string }} props */
function Ring({ node, kind }) {
  let at = 0;
  const total = Math.max(1, node.requests);
  const parts = [
    ["fault", node.faults],
    ["error", node.errors],
    ["throttle", node.throttles],
  ].map(([name, value]) => {
    const part = (Number(value) / total) * CIRCLE;
    const drawn = html`<circle key=${name} class=${name} cx="18" cy="18" r="15"
      stroke-dasharray="${part} ${CIRCLE - part}" stroke-dashoffset=${-at} />`;
    at += part;
    return part > 0 ? drawn : null;
  });
  return html`<span class="ring"><svg viewBox="0 0 36 36" aria-hidden="true">
    <circle class="rest" cx="18" cy="18" r="15" /><g transform="rotate(-90 18 18)">${parts}</g></svg>
    <${Icon} name=${kind} /></span>`;
}
