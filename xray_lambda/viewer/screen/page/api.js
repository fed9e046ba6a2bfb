// Talks to the viewer that served the page, and to nobody else.
import { useEffect, useRef, useState } from "./html.js";

/** An answer that says what is wrong. */
export class Refused extends Error {
  /** @param {number} status @param {any} body */
  constructor(status, body) {
    super(body?.message ?? body?.error ?? `The viewer answered ${status}.`);
    this.status = status;
    this.body = body;
  }
}

/** What is wrong with the filter, where that is why there was no answer. @param {unknown} fault */
export const filterFault = (fault) => (fault instanceof Refused ? (fault.body?.filter_error ?? null) : null);

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<any>}
 */
export async function ask(path, options = {}) {
  const headers = { Accept: "application/json", "X-Requested-With": "xray-lambda", ...options.headers };
  const answer = await fetch(path, { ...options, headers });
  const body = await answer.json().catch(() => null);
  if (!answer.ok || body?.filter_error) throw new Refused(answer.status, body);
  return body;
}

/**
 * What of the place asks for traces: the filter with the durations that were brushed over, and the range of time.
 * @param {import("./place.js").Place} place
 * @param {{ brushed?: boolean }} [options]
 */
export function queryOf(place, { brushed = true } = {}) {
  const query = new URLSearchParams();
  if (place.filter.trim()) query.set("filter", place.filter.trim());
  if (place.last) query.set("since", (Date.now() / 1000 - Number(place.last)).toFixed(3));
  if (place.since) query.set("since", place.since);
  if (place.until) query.set("until", place.until);
  if (brushed && place.slower) query.set("slower", place.slower);
  if (brushed && place.faster) query.set("faster", place.faster);
  return query;
}

/** What the traces in view depend on, as a key for effects. @param {import("./place.js").Place} place */
export const viewKey = (place) =>
  [place.filter, place.last, place.since, place.until, place.slower, place.faster].join("\n");

/**
 * Ask again whenever the address changes or `version` does, keep the last answer while asking. An answer is waited for
 * before the same is asked again: what takes long is not asked faster than it is answered.
 * @param {string | null} path null: do not ask yet
 * @param {unknown} [version]
 * @returns {{ data: any, fault: Error | null, asking: boolean }}
 */
export function useAnswer(path, version = 0) {
  const [state, set] = useState(/** @type {any} */ ({ data: null, fault: null, asking: true }));
  const under = useRef({ path: /** @type {string | null} */ (null), turn: 0, again: false });
  const run = (/** @type {string} */ wanted) => {
    const turn = ++under.current.turn;
    under.current = { path: wanted, turn, again: false };
    const done = (/** @type {any} */ news) => {
      if (turn !== under.current.turn) return;
      set((/** @type {any} */ before) => ({ ...before, ...news, asking: false }));
      if (under.current.again) run(wanted);
      else under.current.path = null;
    };
    set((/** @type {any} */ before) => ({ ...before, asking: true }));
    ask(wanted).then(
      (data) => done({ data, fault: null }),
      (fault) => done({ fault }),
    );
  };
  useEffect(() => {
    if (path === null) return;
    if (under.current.path === path) under.current.again = true;
    else run(path);
  }, [path, version]);
  useEffect(() => () => void under.current.turn++, []);
  return state;
}
