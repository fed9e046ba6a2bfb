// The cold-start lens: how many invocations began a function's life, and what that cost the ones who waited.
import { filterFault, queryOf, useAnswer, viewKey } from "./api.js";
import { Filter } from "./filter.js";
import { count, duration, exactTime, moment, quoted, share } from "./format.js";
import { html, useMemo, useRef } from "./html.js";
import { Outcome } from "./icons.js";
import { useKeys } from "./keyboard.js";
import { useTraceClock } from "./live.js";
import { addressOf, go, toView } from "./place.js";

/** @param {{ place: import("./place.js").Place }} props */
export function ColdStarts({ place }) {
  const clock = useTraceClock(2000);
  const path = useMemo(() => `/api/coldstarts?${queryOf(place)}`, [viewKey(place), clock]);
  const { data, fault } = useAnswer(path, clock);
  const search = useRef(/** @type {HTMLInputElement | null} */ (null));
  useKeys({ "/": () => search.current?.focus(), Escape: () => go(toView("")) });
  return html`<h1 class="hidden">Cold starts</h1><div class="tools">
    <${Filter} place=${place} fault=${filterFault(fault)} input=${search} /></div>
    <div class="page"><div class="inner">
      ${data && (data.count ? html`<${Lens} data=${data} />` : html`<${None} />`)}</div></div>`;
}

function None() {
  return html`<div class="lost"><h1>No Lambda invocations in view</h1>
    <p class="muted">A trace counts here when it says whether it was a cold start:${" "}
      <code>@traced_handler</code> and the layer do, with the annotation <code>ColdStart</code>;${" "}
      so does Lambda's own <code>Initialization</code>.</p></div>`;
}

/** @param {{ data: any }} props */
function Lens({ data }) {
  const { count: all, cold, p50_cold: coldTime, p50_warm: warmTime, cost } = data;
  return html`<div class="figures">
      <${Figure} value=${share(cold, all)} name="cold starts" more="${count(cold)} of ${count(all)} invocations" />
      <${Figure} value=${duration(coldTime)} name="a cold one, median" more="" />
      <${Figure} value=${duration(warmTime)} name="a warm one, median"
        more=${coldTime && warmTime ? `${(coldTime / warmTime).toFixed(1)} times quicker` : ""} />
      <${Figure} value=${duration(cost)} name="waited in all" more="what the cold ones took beyond a warm median" />
    </div>
    <${Functions} functions=${data.functions} />
    <h2>Cold starts, newest first</h2>
    ${data.traces.length === 0 && html`<p class="muted">None: every invocation in view was warm.</p>`}
    ${data.traces.length > 0 && html`<${Table} traces=${data.traces} functions=${data.functions} />`}`;
}

/** @param {{ traces: any[], functions: any[] }} props */
function Table({ traces, functions }) {
  const warm = new Map(functions.map((each) => [each.name, each.p50_warm]));
  return html`<div class="table-frame" tabindex="0" role="group" aria-label="Cold starts"><table class="table">
    <thead><tr><th scope="col">Time</th><th scope="col">Function</th><th scope="col" class="number">Duration</th>
      <th scope="col" class="number">Beyond warm</th></tr></thead>
    <tbody>${traces.map((trace) => html`<${Cold} key=${trace.trace_id} trace=${trace} warm=${warm.get(trace.name)} />`)}</tbody>
  </table></div>`;
}

/** @param {{ value: string, name: string, more: string }} props */
function Figure({ value, name, more }) {
  return html`<div class="figure-card"><span class="figure">${value}</span><span>${name}</span>
    <span class="faint">${more}</span></div>`;
}

/** Of each function its share, and what a cold start adds, on one axis. @param {{ functions: any[] }} props */
function Functions({ functions }) {
  const longest = Math.max(...functions.flatMap((each) => [each.p50_cold ?? 0, each.p50_warm ?? 0]), 1e-6);
  return html`<h2>By function</h2>
    <div class="functions">${functions.map((each) => html`<${One} key=${each.name} of=${each} longest=${longest} />`)}</div>`;
}

/** @param {{ of: any, longest: number }} props */
function One({ of: { name, cold, count: all, p50_cold: coldTime, p50_warm: warmTime }, longest }) {
  const traces = addressOf({ ...toView(""), filter: `service(${quoted(name)}) AND coldstart` });
  return html`<div class="function">
    <a class="cut" href=${traces}>${name}</a>
    <span class="share-bar" role="img" aria-label="${share(cold, all)} cold"><i style=${{ width: `${(100 * cold) / all}%` }}></i></span>
    <span class="number">${share(cold, all)}</span>
    <span class="duel"><${Duel} name="cold" value=${coldTime} longest=${longest} />
      <${Duel} name="warm" value=${warmTime} longest=${longest} /></span>
    <span class="muted">${coldTime && warmTime ? `+${duration(coldTime - warmTime)} each` : ""}</span>
  </div>`;
}

/** @param {{ name: string, value: number | null, longest: number }} props */
function Duel({ name, value, longest }) {
  return html`<span class="duel-row"><span class="faint">${name}</span><span class="duel-track">
    <i class=${name} style=${{ width: `${(100 * (value ?? 0)) / longest}%` }}></i></span>
    <span class="number">${duration(value)}</span></span>`;
}

/** @param {{ trace: any, warm: number | null | undefined }} props */
function Cold({ trace, warm }) {
  const { time, date } = moment(trace.start);
  return html`<tr><td title=${exactTime(trace.start)}>${date} ${time}</td><th scope="row">
    <a href=${addressOf({ trace: trace.trace_id })}>${trace.name}</a> <${Outcome} of=${trace} /></th>
    <td class="number">${duration(trace.duration)}</td>
    <td class="number muted">${warm ? `+${duration(Math.max(0, trace.duration - warm))}` : "–"}</td></tr>`;
}
