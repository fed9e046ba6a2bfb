// The traces in view: asked for page by page, kept current by the live stream.
import { ask, filterFault, queryOf, viewKey } from "./api.js";
import { useCallback, useEffect, useRef, useState } from "./html.js";
import { useEvents } from "./live.js";

const PAGE = 100;
const AT_ONCE = 200; // traces asked for together: an address of some kilobytes
const PAUSE = 250; // ms between two such questions
const MOST = 20_000; // rows kept in the page: beyond, older ones go and can be loaded again
const START = { rows: [], next: null, empty: false, asking: true, filterError: null, fault: null };

/**
 * @param {import("./place.js").Place} place
 * @param {boolean} atTop whether what arrives may push the rows down; else it waits
 */
export function useTraces(place, atTop) {
  const [state, set] = useState(/** @type {any} */ (START));
  const [waiting, setWaiting] = useState(/** @type {any[]} */ ([]));
  const [clock, tick] = useState(0);
  const fresh = useRef(/** @type {Set<string>} */ (new Set()));
  const turn = useRef(0);
  const loading = useRef(false);
  const key = viewKey(place);

  const load = useCallback(
    async (/** @type {string | null} */ before) => {
      const mine = before ? turn.current : ++turn.current;
      const query = queryOf(place);
      query.set("limit", String(PAGE));
      if (before) query.set("before", before);
      try {
        const answer = await ask(`/api/traces?${query}`);
        if (mine === turn.current) set((/** @type {any} */ old) => received(old, answer, before, query));
      } catch (fault) {
        if (mine === turn.current)
          set((/** @type {any} */ old) => ({
            ...old,
            asking: false,
            ...(filterFault(fault) ? { filterError: filterFault(fault) } : { fault }),
          }));
      }
    },
    [key],
  );

  const again = () => {
    flooded.current = false;
    setWaiting([]);
    load(null);
    tick((before) => before + 1);
  };
  useEffect(() => {
    fresh.current = new Set();
    again();
  }, [key]);

  const loadMore = async () => {
    if (loading.current || !state.next) return;
    loading.current = true;
    await load(state.next);
    loading.current = false;
  };
  const flooded = useArrivals({ place, state, set, atTop, setWaiting, fresh, again, tick });
  useEffect(() => {
    if (!atTop) return;
    if (flooded.current) return again();
    set((/** @type {any} */ old) => ({ ...old, rows: merged(old.rows, waiting, true) }));
    setWaiting([]);
  }, [atTop]);
  return { ...state, waiting: waiting.length, fresh: fresh.current, loadMore, clock };
}

/** @param {any} old @param {any} answer @param {string | null} before @param {URLSearchParams} query */
function received(old, answer, before, query) {
  const rows = before ? merged(old.rows, answer.traces, false) : answer.traces;
  const empty = !before && rows.length === 0 && [...query.keys()].join() === "limit";
  return { rows, next: answer.next, empty, asking: false, filterError: null, fault: null };
}

/**
 * What the stream says, taken into the rows at once or kept until the user is at the top again. Which traces are in
 * view only the server can say, so it is asked about those that changed: the newest of them, when more come than
 * anybody reads. The list has holes then, and is loaded anew when the flood is over.
 * @returns {{ current: boolean }} whether the list has holes
 */
function useArrivals(/** @type {any} */ { place, state, set, atTop, setWaiting, fresh, again, tick }) {
  const busy = useRef(false);
  const flooded = useRef(false);
  const changed = useRef(/** @type {Set<string>} */ (new Set()));
  const latest = useRef(/** @type {any} */ (null));
  latest.current = { place, state, atTop, again };

  const take = async () => {
    busy.current = true;
    while (changed.current.size) {
      const ids = [...changed.current].slice(-AT_ONCE);
      flooded.current ||= changed.current.size > AT_ONCE;
      changed.current = new Set();
      const key = viewKey(latest.current.place);
      const query = queryOf(latest.current.place);
      query.set("ids", ids.join());
      const answer = await ask(`/api/changed?${query}`).catch(() => null);
      if (answer && key === viewKey(latest.current.place)) put(ids, answer.traces);
      await new Promise((done) => setTimeout(done, PAUSE));
    }
    busy.current = false;
    if (flooded.current && latest.current.atTop) latest.current.again();
    else tick((/** @type {number} */ before) => before + 1);
  };
  const put = (/** @type {string[]} */ ids, /** @type {any[]} */ rows) => {
    const { rows: shown, next } = latest.current.state;
    const known = new Set(shown.map((/** @type {any} */ row) => row.trace_id));
    const found = new Set(rows.map((row) => row.trace_id));
    const gone = new Set(ids.filter((id) => known.has(id) && !found.has(id)));
    const oldest = next ? shown.at(-1).start : -Infinity; // what lies below comes when one scrolls there
    const newer = rows.filter((row) => !known.has(row.trace_id) && row.start >= oldest);
    const same = rows.filter((row) => known.has(row.trace_id));
    for (const row of newer) fresh.current.add(row.trace_id);
    set((/** @type {any} */ old) => changedBy(old, gone, latest.current.atTop ? [...same, ...newer] : same));
    if (!latest.current.atTop) setWaiting((/** @type {any[]} */ old) => merged(old, newer, true));
  };
  useEvents((kind, data) => {
    if (kind === "back" || kind === "cleared") return again();
    if (kind !== "traces") return;
    for (const id of data.changed) changed.current.add(id);
    if (!busy.current) take();
  });
  return flooded;
}

/** @param {any} old @param {Set<string>} gone @param {any[]} rows */
function changedBy(old, gone, rows) {
  if (!gone.size && !rows.length) return old;
  const kept = old.rows.filter((/** @type {any} */ row) => !gone.has(row.trace_id));
  return { ...old, empty: false, rows: merged(kept, rows, true) };
}

/**
 * Rows by start, newest first; of the same trace the later one counts.
 * @param {any[]} rows @param {any[]} more @param {boolean} front whether what is too much goes at the end
 */
export function merged(rows, more, front) {
  const byId = new Map(rows.map((row) => [row.trace_id, row]));
  for (const row of more) byId.set(row.trace_id, row);
  const all = [...byId.values()].sort((a, b) => b.start - a.start || (a.trace_id < b.trace_id ? 1 : -1));
  return front ? all.slice(0, MOST) : all;
}
