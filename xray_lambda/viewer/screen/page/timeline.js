// The timeline: a row for each segment and subsegment, its bar on one axis, the critical path drawn strong in it.
import { count, duration, tick } from "./format.js";
import { html, useEffect, useMemo, useRef, useState } from "./html.js";
import { Icon, OUTCOMES } from "./icons.js";
import { useKeys } from "./keyboard.js";
import { criticalPath, everyNode, gapsOf, rowsOf, searchText } from "./tree.js";
import { reveal, useWindow } from "./virtual.js";

const ROW = 26;

/** @typedef {import("./tree.js").Node} Node */

/** @param {{ tree: { roots: Node[], byId: Map<string, Node>, from: number, to: number }, selected: string, select: (id: string) => void }} props */
export function Timeline({ tree, selected, select }) {
  const [closed, setClosed] = useState(/** @type {Set<string>} */ (new Set()));
  const [focused, focus] = useState(""); // what a link selects is scrolled to, so it begins elsewhere
  const [zoom, setZoom] = useState(/** @type {[number, number] | null} */ (null));
  const scroller = useRef(/** @type {HTMLElement | null} */ (null));
  const rows = useMemo(() => rowsOf(tree.roots, closed), [tree, closed]);
  const path = useMemo(() => criticalPath(tree.roots), [tree]);
  const search = useSearch(tree, (node) => goTo(node));
  const at = rows.findIndex((row) => row.id === (focused || selected));
  const axis = useMemo(() => axisOf(zoom ?? [tree.from, tree.to]), [tree, zoom]);

  /** Open what hides a node, put the focus on it, scroll to it. @param {Node | undefined} node */
  function goTo(node) {
    if (!node) return;
    const above = new Set();
    for (let up = node.parent; up; up = up.parent) above.add(up.id);
    const next = new Set([...closed].filter((id) => !above.has(id)));
    if (next.size !== closed.size) setClosed(next);
    focus(node.id);
    if (selected) select(node.id);
    reveal(scroller.current, rowsOf(tree.roots, next).indexOf(node), ROW);
  }
  useEffect(() => {
    if (selected && selected !== focused) goTo(tree.byId.get(selected));
  }, [selected, tree]);
  const toggle = (/** @type {string} */ id, /** @type {boolean} */ open) => {
    const next = new Set(closed);
    open ? next.delete(id) : next.add(id);
    setClosed(next);
  };
  const move = (/** @type {number} */ by) => goTo(rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + by))]);
  useTimelineKeys({ rows, at, move, toggle, closed, select, goTo, tree, scroller, search });

  return html`<section class="timeline" aria-label="Timeline">
    <${Tools} search=${search} tree=${tree} closed=${closed} setClosed=${setClosed} zoom=${zoom} setZoom=${setZoom} />
    <${Ruler} axis=${axis} zoom=${setZoom} />
    <${Grid} rows=${rows} axis=${axis} path=${path} closed=${closed} selected=${selected} at=${at} scroller=${scroller}
      search=${search} tree=${tree}
      choose=${(/** @type {Node} */ node) => (focus(node.id), select(node.id))} toggle=${toggle} />
  </section>`;
}

/** @param {any} props */
function useTimelineKeys({ rows, at, move, toggle, closed, select, goTo, tree, scroller, search }) {
  const page = () => Math.floor((scroller.current?.clientHeight ?? ROW) / ROW) - 1;
  const inward = () => {
    const row = rows[at];
    if (row?.children.length) closed.has(row.id) ? toggle(row.id, true) : move(1);
  };
  const outward = () => {
    const row = rows[at];
    if (!row) return;
    if (row.children.length && !closed.has(row.id)) toggle(row.id, false);
    else goTo(row.parent);
  };
  const nextBad = () => {
    const all = everyNode(tree.roots);
    const from = at < 0 ? -1 : all.indexOf(rows[at]);
    goTo(
      [...all.slice(from + 1), ...all.slice(0, from + 1)].find((node) =>
        ["fault", "error", "throttle"].includes(node.outcome),
      ),
    );
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    ArrowRight: inward,
    ArrowLeft: outward,
    l: inward,
    h: outward,
    PageDown: () => move(page()),
    PageUp: () => move(-page()),
    Home: () => move(-rows.length),
    End: () => move(rows.length),
    e: nextBad,
    Enter: (event) =>
      event.target instanceof HTMLButtonElement || event.target instanceof HTMLAnchorElement
        ? event.target.click()
        : rows[at] && select(rows[at].id),
    "/": () => search.input.current?.focus(),
    n: () => search.step(1),
    N: () => search.step(-1),
  });
}

/**
 * @param {{ roots: Node[] }} tree
 * @param {(node: Node) => void} show
 */
function useSearch(tree, show) {
  const [text, write] = useState("");
  const [place, setPlace] = useState(-1);
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const texts = useMemo(
    () => everyNode(tree.roots).map((node) => /** @type {[Node, string]} */ ([node, searchText(node)])),
    [tree],
  );
  const hits = useMemo(() => {
    const words = text.trim().toLowerCase();
    return words ? texts.filter(([, found]) => found.includes(words)).map(([node]) => node) : [];
  }, [texts, text]);
  const set = useMemo(() => new Set(hits.map((node) => node.id)), [hits]);
  const step = (/** @type {number} */ by) => {
    if (!hits.length) return;
    const next = place < 0 ? (by > 0 ? 0 : hits.length - 1) : (place + by + hits.length) % hits.length;
    setPlace(next);
    show(hits[next]);
  };
  return { text, write: (/** @type {string} */ next) => (write(next), setPlace(-1)), hits, set, step, place, input };
}

/** @param {any} props */
function Tools({ search, tree, closed, setClosed, zoom, setZoom }) {
  const inner = () => everyNode(tree.roots).filter((node) => node.children.length && node.depth > 0);
  const key = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter") (event.preventDefault(), search.step(event.shiftKey ? -1 : 1));
    if (event.key === "Escape")
      (event.preventDefault(), event.stopPropagation(), search.text ? search.write("") : search.input.current?.blur());
  };
  const found = search.place >= 0 ? `${search.place + 1} of ${count(search.hits.length)}` : count(search.hits.length);
  const toggleAll = () => setClosed(closed.size ? new Set() : new Set(inner().map((node) => node.id)));
  return html`<div class="timeline-tools">
    <div class="find" role="search"><${Icon} name="search" />
      <input class="field" type="text" ref=${search.input} value=${search.text} placeholder="Search in this trace"
        aria-label="Search in this trace" spellcheck=${false} onKeyDown=${key}
        onInput=${(/** @type {any} */ event) => search.write(event.currentTarget.value)} />
      <span class="hits muted" role="status">${search.text.trim() && found}</span></div>
    <span class="legend muted" aria-hidden="true">
      <i class="path"></i>critical path<i class="gap"></i>own time<i class="running"></i>in progress</span>
    ${zoom && html`<button class="button bare" onClick=${() => setZoom(null)}>Whole trace</button>`}
    <button class="button bare push" onClick=${toggleAll}>${closed.size ? "Open all" : "Close all"}</button>
  </div>`;
}

/** @typedef {{ from: number, to: number, ticks: number[], x: (at: number) => number }} Axis */

/** @param {[number, number]} extent @returns {Axis} */
function axisOf([from, to]) {
  const span = to - from;
  const power = 10 ** Math.floor(Math.log10(span / 5));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => span / each <= 6) ?? power * 10;
  const ticks = Array.from({ length: Math.floor(span / step + 1e-9) + 1 }, (_, place) => place * step);
  return { from, to, ticks, x: (at) => ((at - from) / span) * 100 };
}

/** The axis; a drag over it zooms in. @param {{ axis: Axis, zoom: (to: [number, number] | null) => void }} props */
function Ruler({ axis, zoom }) {
  const ruler = useRef(/** @type {HTMLElement | null} */ (null));
  const [drag, set] = useState(/** @type {[number, number] | null} */ (null));
  const at = (/** @type {PointerEvent} */ event) => {
    const box = /** @type {HTMLElement} */ (ruler.current).getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  };
  const end = () => {
    if (!drag) return;
    const [low, high] = [...drag].sort((a, b) => a - b);
    set(null);
    if (high - low > 0.01) zoom([axis.from + low * (axis.to - axis.from), axis.from + high * (axis.to - axis.from)]);
  };
  const begin = (/** @type {PointerEvent} */ event) => {
    ruler.current?.setPointerCapture(event.pointerId);
    set([at(event), at(event)]);
  };
  const share = (/** @type {number} */ value) => `${(value / (axis.to - axis.from)) * 100}%`;
  const brush = drag && { left: `${Math.min(...drag) * 100}%`, width: `${Math.abs(drag[1] - drag[0]) * 100}%` };
  return html`<div class="ruler" aria-hidden="true"><span class="ruler-name">Segment, subsegment</span>
    <span class="ruler-took number">Duration</span>
    <div class="ruler-axis" title="Drag to zoom in, double click for the whole trace" ref=${ruler} onPointerDown=${begin}
      onPointerMove=${(/** @type {PointerEvent} */ event) => drag && set([drag[0], at(event)])} onPointerUp=${end}
      onPointerCancel=${() => set(null)} onDblClick=${() => zoom(null)}>
      ${axis.ticks.map((value) => html`<span key=${value} style=${{ left: share(value) }}>${tick(value)}</span>`)}
      ${brush && html`<i class="ruler-brush" style=${brush}></i>`}
    </div></div>`;
}

/** @param {any} props */
function Grid({ rows, axis, path, closed, selected, at, scroller, search, tree, choose, toggle }) {
  const [first, last] = useWindow(scroller, rows.length, ROW);
  const current = rows[at];
  const share = (/** @type {number} */ value) => `${(value / (axis.to - axis.from)) * 100}%`;
  const shown = rows.slice(first, last).map((/** @type {Node} */ node, /** @type {number} */ place) => {
    const open = node.children.length ? !closed.has(node.id) : null;
    return html`<${Row} key=${node.id} node=${node} top=${(first + place) * ROW} axis=${axis} path=${path.get(node.id)}
      open=${open} selected=${node.id === selected} focused=${node.id === current?.id} hit=${search.set.has(node.id)}
      choose=${choose} toggle=${toggle} />`;
  });
  return html`<div class="scroller grid" ref=${scroller} tabindex="0" role="tree"
    aria-label="${count(tree.byId.size)} segments and subsegments" aria-activedescendant=${current ? `node-${current.id}` : null}>
    <div class="rows" style=${{ height: `${rows.length * ROW}px` }}>
      <div class="grid-lines" aria-hidden="true">
        ${axis.ticks.map((/** @type {number} */ value) => html`<i key=${value} style=${{ left: share(value) }}></i>`)}</div>
      ${shown}
    </div></div>`;
}

/**
 * @typedef {object} RowProps
 * @property {Node} node
 * @property {number} top pixels
 * @property {Axis} axis
 * @property {Array<[number, number]> | undefined} path where the critical path is in it
 * @property {boolean | null} open null: there is nothing below
 * @property {boolean} selected shown in the panel
 * @property {boolean} focused where the keys are
 * @property {boolean} hit found by the search
 * @property {(node: Node) => void} choose
 * @property {(id: string, open: boolean) => void} toggle
 */

/** @param {RowProps} props */
function Row({ node, top, axis, path, open, selected, focused, hit, choose, toggle }) {
  const bad = node.outcome && node.outcome !== "progress" ? node.outcome : "";
  const classes = `grid-row tone-${node.tone} ${focused ? "focused" : ""} ${hit ? "hit" : ""}`;
  return html`<div id="node-${node.id}" class=${classes} role="treeitem" aria-level=${node.depth + 1}
    aria-expanded=${open === null ? undefined : open} aria-selected=${selected}
    style=${{ transform: `translateY(${top}px)` }} onClick=${() => choose(node)}>
    <span class="cell-name" style=${{ "--depth": Math.min(node.depth, 24) }}>
      <${Twig} open=${open} toggle=${() => toggle(node.id, !open)} />
      <${Icon} name=${node.kind} class="kind" />
      <span class="cut ${node.segment ? "is-segment" : ""} ${bad && `is-${bad}`}" title=${node.name}>${node.name}</span>
      ${open === false && html`<span class="folded">${count(sizeOf(node))}</span>`}
      ${bad && html`<${Icon} name=${bad} label=${OUTCOMES[/** @type {"fault"} */ (bad)]} class="is-${bad}" />`}
      ${node.cut && html`<${Icon} name="cut" label="truncated" class="faint" />`}
      ${node.missing && html`<span class="faint missing" title="Its own document never came">not sent</span>`}
    </span>
    <span class="cell-took number ${path ? "on-path" : ""}">
      ${node.running ? html`<span class="hidden">in progress</span><span aria-hidden="true">…</span>` : duration(node.end - node.start)}
      ${path && html`<span class="hidden"> on the critical path</span>`}</span>
    <span class="cell-bar"><${Bar} node=${node} axis=${axis} path=${path} bad=${bad} /></span>
  </div>`;
}

/** @param {{ open: boolean | null, toggle: () => void }} props */
function Twig({ open, toggle }) {
  if (open === null) return html`<i class="twig"></i>`;
  const click = (/** @type {Event} */ event) => (event.stopPropagation(), toggle());
  return html`<span class="twig" onClick=${click}><${Icon} name=${open ? "down" : "right"} /></span>`;
}

/** @param {Node} node */
const sizeOf = (node) => everyNode([node]).length - 1;

/** @param {{ node: Node, axis: Axis, path: Array<[number, number]> | undefined, bad: string }} props */
function Bar({ node, axis, path, bad }) {
  const left = axis.x(node.start);
  const right = axis.x(node.end);
  if (right < -0.5 || left > 100.5) return html`<span class="outside">${left > 100 ? "▸" : "◂"}</span>`;
  const piece = (/** @type {[number, number]} */ [from, to]) => ({
    left: `${clamp(axis.x(from))}%`,
    width: `max(1px, ${clamp(axis.x(to)) - clamp(axis.x(from))}%)`,
  });
  const gaps = node.children.length ? gapsOf(node).filter(([from, to]) => axis.x(to) - axis.x(from) > 0.15) : [];
  return html`<i class="span ${bad} ${node.running ? "running" : ""} ${node.missing ? "missing" : ""}"
    style=${piece([node.start, node.end])}></i>
    ${gaps.map((gap) => html`<i class="gap" style=${piece(gap)}></i>`)}
    ${path?.map((part) => html`<i class="path ${bad}" style=${piece(part)}></i>`)}`;
}

/** @param {number} percent */
const clamp = (percent) => Math.max(0, Math.min(100, percent));
