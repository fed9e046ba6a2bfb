// The list of traces, newest first: what is in view by filter, range of time and brushed durations, and what arrives.
import { Filter } from "./filter.js";
import { count, duration, exactTime, moment, pathOf, roundUp } from "./format.js";
import { Histogram } from "./histogram.js";
import { html, useEffect, useMemo, useRef, useState } from "./html.js";
import { Icon, Outcome, outcome } from "./icons.js";
import { isControl, useKeys } from "./keyboard.js";
import { go } from "./place.js";
import { useTraces } from "./traces.js";
import { reveal, useWindow } from "./virtual.js";
import { Welcome } from "./welcome.js";

/** @typedef {import("./place.js").Place} Place */

const narrow = matchMedia("(max-width: 600px)");

/** @param {{ place: Place }} props */
export function List({ place }) {
  const [atTop, setAtTop] = useState(true);
  const traces = useTraces(place, atTop);
  const [chosen, choose] = useState("");
  const search = useRef(/** @type {HTMLInputElement | null} */ (null));
  useKeys({ "/": () => search.current?.focus(), Escape: () => stepBack(place) });
  if (traces.empty) return html`<${Welcome} />`;
  return html`<h1 class="hidden">Traces</h1>
    ${place.pick && html`<${Picking} place=${place} />`}
    <div class="tools"><${Filter} place=${place} fault=${traces.filterError} input=${search} /></div>
    <${Histogram} place=${place} fresh=${traces.clock} />
    <section class="traces" aria-label="Traces">
      <div class="row head" aria-hidden="true">
        <span>Time</span><span></span><span>Trace</span><span>Status</span><span class="duration-head">
        <span>Duration</span><span></span></span>
        <span class="for-notes">Annotations</span><span class="for-pair"></span>
      </div>
      ${traces.waiting > 0 && html`<button class="button main more"
      onClick=${() => setAtTop(true)}>${count(traces.waiting)} new</button>`}
      <${Rows} traces=${traces} place=${place} chosen=${chosen} choose=${choose} atTop=${atTop} setAtTop=${setAtTop} />
    </section>`;
}

/** Escape undoes one thing at a time. @param {Place} place */
function stepBack(place) {
  if (place.pick) go({ pick: "" });
  else if (place.slower || place.faster) go({ slower: "", faster: "" });
  else if (place.filter) go({ filter: "" });
}

/** @param {{ place: Place }} props */
function Picking({ place }) {
  return html`<div class="notice" role="status"><${Icon} name="compare" />
    <span>Choose the trace to compare with <code>…${place.pick.slice(-8)}</code>.</span>
    <button class="button push" onClick=${() => go({ pick: "" })}>Cancel</button></div>`;
}

/** @param {{ traces: any, place: Place, chosen: string, choose: (id: string) => void, atTop: boolean, setAtTop: (at: boolean) => void }} props */
function Rows({ traces, place, chosen, choose, atTop, setAtTop }) {
  const { rows } = traces;
  const scroller = useRef(/** @type {HTMLElement | null} */ (null));
  const height = useRowHeight();
  const [first, last] = useWindow(scroller, rows.length, height);
  const scale = useScale(rows);
  const index = rows.findIndex((/** @type {any} */ row) => row.trace_id === chosen);
  useEffect(() => {
    if (atTop && scroller.current) scroller.current.scrollTop = 0;
  }, [atTop]);
  useEffect(() => {
    if (last > rows.length - 20) traces.loadMore();
  }, [last, rows.length]);
  const move = (/** @type {number} */ by) => {
    const next = Math.max(0, Math.min(rows.length - 1, index < 0 ? 0 : index + by));
    if (!rows[next]) return;
    choose(rows[next].trace_id);
    reveal(scroller.current, next, height);
  };
  const room = () => Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / height) - 1);
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    PageDown: () => move(room()),
    PageUp: () => move(-room()),
    Home: () => move(-rows.length),
    End: () => move(rows.length),
    Enter: (event) =>
      isControl(event.target)
        ? /** @type {HTMLElement} */ (event.target).click()
        : rows[index] && open(place, rows[index]),
    c: () => rows[index] && go({ pick: rows[index].trace_id }),
  });
  return html`<div class="scroller" ref=${scroller} tabindex="0" role="listbox" aria-label="Traces, newest first"
    aria-activedescendant=${chosen ? `row-${chosen}` : null}
      onScroll=${(/** @type {any} */ event) => setAtTop(event.currentTarget.scrollTop < height)}>
    <div class="rows" style=${{ height: `${rows.length * height}px` }}>
      ${rows.slice(first, last).map(
        (/** @type {any} */ row, /** @type {number} */ place_) => html`
        <${Row} key=${row.trace_id} row=${row} top=${(first + place_) * height} scale=${scale}
          chosen=${row.trace_id === chosen} fresh=${traces.fresh.has(row.trace_id)}
          position=${first + place_ + 1} open=${() => open(place, row)} />`,
      )}
    </div>
  </div>
  ${rows.length === 0 && !traces.asking && html`<${Nothing} place=${place} traces=${traces} />`}`;
}

/** @param {{ place: Place, traces: any }} props */
function Nothing({ place, traces }) {
  const narrowed = place.filter || place.slower || place.faster || place.last || place.since || place.until;
  return html`<div class="nothing">
    <p>${traces.fault ? traces.fault.message : traces.filterError ? "The filter cannot be read." : "No trace matches."}</p>
    ${narrowed && html`<button class="button"
    onClick=${() => go({ filter: "", slower: "", faster: "", last: "", since: "", until: "" })}>Show all traces</button>`}</div>`;
}

/** @param {Place} place @param {any} row */
function open(place, row) {
  if (place.pick && place.pick !== row.trace_id) go({ trace: place.pick, versus: row.trace_id, pick: "", at: "" });
  else go({ trace: row.trace_id, at: "" });
}

/** @param {{ row: any, top: number, scale: number, chosen: boolean, fresh: boolean, position: number, open: () => void }} props */
function Row({ row, top, scale, chosen, fresh, position, open }) {
  const { time, millis, date } = moment(row.start);
  return html`<div class="row ${fresh ? "fresh" : ""}" id="row-${row.trace_id}" role="option" aria-selected=${chosen}
    aria-posinset=${position} aria-setsize="-1"
      style=${{ transform: `translateY(${top}px)` }} onClick=${open} data-trace=${row.trace_id}>
    <span class="when" title=${exactTime(row.start)}>${date && html`<small>${date} </small>`}${time}
    <small>${date ? "" : millis}</small></span>
    <span class="mark"><${Outcome} of=${row} /></span>
    <span class="what"><b class="cut" title=${row.name}>${row.name}</b>
    ${row.method && html`<span class="method">${row.method}</span>`}
      <span class="path cut" title=${row.url}>${pathOf(row.url)}</span>
      ${row.cold_start && html`<span class="chip cold" title="Cold start">cold</span>`}</span>
    <span class="status ${statusClass(row.status)}">${row.status ?? ""}</span>
    <${Took} row=${row} scale=${scale} />
    <span class="notes">${Object.entries(row.annotations)
      .filter(([key]) => key !== "ColdStart")
      .map(([key, value]) => html`<${Note} key=${key} name=${key} value=${value} />`)}</span>
    <span class="pair" title="Compare with another trace (c)" aria-hidden="true"
      onClick=${(/** @type {Event} */ event) => (event.stopPropagation(), go({ pick: row.trace_id }))}>
      <${Icon} name="compare" /></span>
  </div>`;
}

/** The bar says in its shade how it ended, and the sign beside the name says so in its shape. @param {{ row: any, scale: number }} props */
function Took({ row, scale }) {
  const share = row.duration / scale;
  const width = `${Math.min(100, Math.max(0.5, share * 100))}%`;
  return html`<span class="took"><span class="track">
    <span class="fill ${outcome(row)} ${share > 1.001 ? "over" : ""}" style=${{ width }}></span></span>
    <span class="number">${row.in_progress ? "…" : duration(row.duration)}</span></span>`;
}

/** @param {{ name: string, value: unknown }} props */
export function Note({ name, value }) {
  return html`<span class="note" title="${name}: ${String(value)}"><span class="key">${name}</span>
    <span>${String(value)}</span></span>`;
}

/** @param {number | null} status */
export function statusClass(status) {
  if (status == null || status < 400) return "";
  if (status === 429) return "is-throttle";
  return status >= 500 ? "is-fault" : "is-error";
}

/**
 * The duration that fills a bar: of all but the slowest of twenty, rounded up, so that one outlier flattens nothing
 * and what arrives seldom changes it.
 * @param {any[]} rows
 */
function useScale(rows) {
  return useMemo(() => {
    const sorted = rows
      .slice(0, 500)
      .map((row) => row.duration)
      .sort((a, b) => a - b);
    return roundUp(sorted[Math.floor(sorted.length * 0.95)] ?? 0);
  }, [rows]);
}

function useRowHeight() {
  const [height, set] = useState(narrow.matches ? 52 : 36);
  useEffect(() => {
    const look = () => set(narrow.matches ? 52 : 36);
    narrow.addEventListener("change", look);
    return () => narrow.removeEventListener("change", look);
  }, []);
  return height;
}
