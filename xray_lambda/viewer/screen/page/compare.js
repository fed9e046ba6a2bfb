// Two traces side by side, branch by branch on one axis: what only one of them has, and what took longer.
import { pair } from "./align.js";
import { useAnswer } from "./api.js";
import { duration, moment, pathOf, tick } from "./format.js";
import { html, useMemo, useRef, useState } from "./html.js";
import { Icon, OutcomeChip } from "./icons.js";
import { useKeys } from "./keyboard.js";
import { addressOf, go } from "./place.js";
import { buildTree } from "./tree.js";
import { reveal, useWindow } from "./virtual.js";

const ROW = 30;

/** @param {{ place: import("./place.js").Place }} props */
export function Compare({ place }) {
  const left = useAnswer(`/api/trace/${encodeURIComponent(place.trace)}`);
  const right = useAnswer(`/api/trace/${encodeURIComponent(place.versus)}`);
  useKeys({ Escape: () => go({ versus: "" }) });
  const fault = left.fault ?? right.fault;
  if (fault)
    return html`<div class="page"><div class="inner lost"><h1>One of these traces is not here</h1>
      <p class="muted">${fault.message}</p><p><a class="button"
        href=${addressOf({ trace: "", versus: "" })}>Back to the list</a></p></div></div>`;
  if (!left.data || !right.data) return html`<div aria-busy="true"></div>`;
  return html`<${Sides} left=${left.data} right=${right.data} place=${place} />`;
}

/** @param {{ left: any, right: any, place: any }} props */
function Sides({ left, right, place }) {
  const trees = useMemo(() => [buildTree(left.entities), buildTree(right.entities)], [left, right]);
  const pairs = useMemo(() => pair(trees[0].roots, trees[1].roots), [trees]);
  const span = Math.max(...trees.map((tree) => tree.to - tree.from));
  return html`<div class="compare">
    <header class="sides">
      <div class="side-names"><h1>Comparison</h1><button class="button"
        onClick=${() => go({ trace: place.versus, versus: place.trace })}>Swap sides</button></div>
      <${Side} name="A" summary=${left.summary} /><${Side} name="B" summary=${right.summary} />
      <${Difference} left=${left.summary} right=${right.summary} />
    </header>
    <${Pairs} pairs=${pairs} trees=${trees} span=${span} place=${place} />
  </div>`;
}

/** @param {{ name: string, summary: any }} props */
function Side({ name, summary }) {
  const { time, date } = moment(summary.start);
  return html`<div class="side side-${name.toLowerCase()}"><span class="letter" aria-hidden="true">${name}</span>
    <div><a class="side-name cut" href=${addressOf({ trace: summary.trace_id, versus: "", at: "" })}>
    <b>${summary.name}</b> ${summary.method} ${pathOf(summary.url)}</a>
      <p class="facts muted"><span>${date} ${time}</span>
      ${summary.status != null && html`<span>${summary.status}</span>`}<b class="ink">${duration(summary.duration)}</b>
      <span>${summary.subsegments} subsegments</span>
        <${OutcomeChip} of=${summary} />${summary.cold_start && html`<span class="chip cold">cold start</span>`}</p>
      <p class="facts faint">${differences(summary).map(([key, value]) => html`<span key=${key}>${key} <span
        class="code">${String(value)}</span></span>`)}</p></div></div>`;
}

/** @param {any} summary */
const differences = (summary) =>
  Object.entries(summary.annotations)
    .filter(([key]) => key !== "ColdStart")
    .slice(0, 4);

/** @param {{ left: any, right: any }} props */
function Difference({ left, right }) {
  const by = right.duration - left.duration;
  return html`<div class="difference"><span class="figure">${signed(by)}</span>
    <span class="muted">${times(left.duration, right.duration)}</span></div>`;
}

/** @param {number} seconds */
const signed = (seconds) => (Math.abs(seconds) < 5e-7 ? "±0" : `${seconds > 0 ? "+" : ""}${duration(seconds)}`);

/** @param {number} before @param {number} after */
function times(before, after) {
  if (!(before > 0) || !(after > 0)) return "";
  const ratio = after / before;
  if (Math.abs(ratio - 1) < 0.005) return "as long";
  return ratio > 1
    ? `B took ${ratio.toFixed(ratio < 10 ? 2 : 0)} times as long`
    : `A took ${(1 / ratio).toFixed(1 / ratio < 10 ? 2 : 0)} times as long`;
}

/** @param {{ pairs: any[], trees: any[], span: number, place: any }} props */
function Pairs({ pairs, trees, span, place }) {
  const scroller = useRef(/** @type {HTMLElement | null} */ (null));
  const [first, last] = useWindow(scroller, pairs.length, ROW);
  const [at, set] = useState(-1);
  const move = (/** @type {number} */ by) => {
    const next = Math.max(0, Math.min(pairs.length - 1, at + by));
    set(next);
    reveal(scroller.current, next, ROW);
  };
  const open = () => {
    const chosen = pairs[at];
    if (chosen)
      go(chosen.left ? { versus: "", at: chosen.left.id } : { trace: place.versus, versus: "", at: chosen.right.id });
  };
  useKeys({ j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), Enter: open });
  const scale = { x: (/** @type {number} */ seconds) => `${Math.max(0, Math.min(100, (seconds / span) * 100))}%` };
  return html`<div class="pair-row pair-head" aria-hidden="true"><span>Segment, subsegment</span>
    <span class="pair-bars"><i>0</i><i>${tick(span / 2)}</i><i>${tick(span)}</i></span><span class="number">A</span>
    <span class="number">B</span><span class="number">B − A</span></div>
    <div class="scroller" ref=${scroller} tabindex="0" role="listbox" aria-label="Both traces"
      aria-activedescendant=${at >= 0 ? `pair-${at}` : null}>
      <div class="rows" style=${{ height: `${pairs.length * ROW}px` }}>
        ${pairs.slice(first, last).map((each, offset) => html`<${Pair} key=${first + offset} pair=${each}
        place=${first + offset} chosen=${first + offset === at} trees=${trees} scale=${scale}
        choose=${() => set(first + offset)} />`)}
      </div></div>`;
}

/** @param {any} props */
function Pair({ pair: { left, right, depth }, place, chosen, trees, scale, choose }) {
  const node = left ?? right;
  const only = left && right ? "" : left ? "A" : "B";
  const [a, b] = [left, right].map((side) => (side ? side.end - side.start : null));
  const by = a !== null && b !== null ? b - a : null;
  const weight = by !== null && Math.abs(by) > 0.1 * Math.max(a ?? 0, b ?? 0) && Math.abs(by) > 0.0005;
  return html`<div class="pair-row ${only ? "only" : ""}" id="pair-${place}" role="option" aria-selected=${chosen}
    style=${{ transform: `translateY(${place * ROW}px)` }} onClick=${choose}>
    <span class="cell-name" style=${{ "--depth": Math.min(depth, 24) }}><${Icon} name=${node.kind} class="kind" />
    <span class="cut ${node.segment ? "is-segment" : ""}" title=${node.name}>${node.name}</span>
      ${[left, right].map((side, index) => side && ["fault", "error", "throttle"].includes(side.outcome) && html`<${Icon}
      name=${side.outcome} label="${side.outcome} in ${"AB"[index]}" class="is-${side.outcome}" />`)}
      ${only && html`<span class="chip"><span class="only-in">only in </span>${only}</span>`}</span>
    <span class="pair-bars">${[left, right].map((side, index) => side && html`<i class="pair-bar side-${"ab"[index]}"
      style=${{ left: scale.x(side.start - trees[index].from), width: `max(2px, ${scale.x(side.end - side.start)})` }}></i>`)}</span>
    <span class="number">${duration(a)}</span><span class="number">${duration(b)}</span>
    <span class="number ${weight ? (Number(by) > 0 ? "slower" : "quicker") : "faint"}">${by === null ? "" : signed(by)}</span>
  </div>`;
}
