// The entities of a trace as a tree, and what can be said of it: which rows show, the critical path, own time.
import { kindOf, outcome } from "./icons.js";

/**
 * @typedef {object} Node
 * @property {string} id
 * @property {string} name
 * @property {number} start epoch seconds
 * @property {number} end epoch seconds; the end of the trace while it is in progress
 * @property {boolean} running in progress
 * @property {boolean} segment
 * @property {boolean} missing stands in for a segment that never came
 * @property {boolean} cut whether something of it was left out on the way
 * @property {string} kind
 * @property {string} outcome
 * @property {string} service name of the segment it belongs to
 * @property {number} tone which of six colours its service has
 * @property {number} depth
 * @property {any} document
 * @property {Node | null} parent
 * @property {Node[]} children
 */

/**
 * @param {Array<{ id: string, parent: string | null, segment: boolean, missing: boolean, document: any }>} entities parents first
 * @returns {{ roots: Node[], byId: Map<string, Node>, from: number, to: number }}
 */
export function buildTree(entities) {
  const [from, to] = extent(entities);
  /** @type {Map<string, Node>} */
  const byId = new Map();
  const tones = new Map();
  const roots = [];
  for (const entity of entities) {
    const parent = entity.parent === null ? null : (byId.get(entity.parent) ?? null);
    const node = nodeOf(entity, parent, to);
    if (!tones.has(node.service)) tones.set(node.service, tones.size % 6);
    node.tone = tones.get(node.service);
    byId.set(node.id, node);
    (parent ? parent.children : roots).push(node);
  }
  return { roots, byId, from, to };
}

/** @param {any[]} entities */
function extent(entities) {
  let [from, to] = [Infinity, -Infinity];
  for (const { start, end } of entities) {
    if (start == null) continue;
    from = Math.min(from, start);
    to = Math.max(to, end ?? start);
  }
  if (from === Infinity) return [0, 1e-6];
  return [from, Math.max(to, from + 1e-6)];
}

/** @param {any} entity @param {Node | null} parent @param {number} last @returns {Node} */
function nodeOf({ id, segment, missing, start, end, document }, parent, last) {
  const begin = start ?? parent?.start ?? last;
  return {
    id,
    segment,
    missing,
    document,
    parent,
    children: [],
    start: begin,
    end: end ?? last,
    name: String(document.name ?? id),
    running: end == null,
    cut: isCut(document),
    kind: kindOf(document, segment),
    outcome: outcome({ ...document, in_progress: end == null }),
    service: segment || !parent ? String(document.name ?? id) : parent.service,
    tone: 0,
    depth: parent ? parent.depth + 1 : 0,
  };
}

/** Something was left out to keep within X-Ray's limits: our tracer says so in metadata. @param {any} document */
function isCut(document) {
  return document.metadata?.xray_lambda?.truncated === true;
}

/**
 * The rows that show, parents first.
 * @param {Node[]} roots @param {Set<string>} closed ids of branches that are closed
 * @returns {Node[]}
 */
export function rowsOf(roots, closed) {
  const rows = [];
  const waiting = roots.toReversed();
  while (waiting.length) {
    const node = /** @type {Node} */ (waiting.pop());
    rows.push(node);
    if (closed.has(node.id)) continue;
    for (let place = node.children.length - 1; place >= 0; place--) waiting.push(node.children[place]);
  }
  return rows;
}

/**
 * What the end of the trace waited for: from the end of the longest root back to its start, always into the child
 * that ended last, as critical paths are found in graphs of tasks. Work that goes on after its parent is not waited for.
 * @param {Node[]} roots
 * @returns {Map<string, Array<[number, number]>>} by id, the stretches of time in which the path is in that node itself
 */
export function criticalPath(roots) {
  const path = new Map();
  const root = roots.reduce(
    (/** @type {Node | null} */ best, node) => (!best || node.end - node.start > best.end - best.start ? node : best),
    null,
  );
  const waiting = root ? [{ node: root, from: root.start, to: root.end }] : [];
  while (waiting.length) {
    const { node, from, to } = /** @type {any} */ (waiting.pop());
    const own = [];
    let at = to;
    for (const child of node.children.toSorted((/** @type {Node} */ a, /** @type {Node} */ b) => b.end - a.end)) {
      const end = Math.min(child.end, at);
      const start = Math.max(child.start, from);
      if (end <= start) continue;
      if (at > end) own.push([end, at]);
      waiting.push({ node: child, from: start, to: end });
      at = start;
    }
    if (at > from || own.length === 0) own.push([from, at]);
    path.set(node.id, own.reverse());
  }
  return path;
}

/**
 * The stretches of a node in which none of its children ran.
 * @param {Node} node
 * @returns {Array<[number, number]>}
 */
export function gapsOf(node) {
  /** @type {Array<[number, number]>} */
  const gaps = [];
  let at = node.start;
  for (const child of node.children.toSorted((a, b) => a.start - b.start)) {
    if (child.start > at) gaps.push([at, Math.min(child.start, node.end)]);
    at = Math.max(at, child.end);
    if (at >= node.end) return gaps;
  }
  gaps.push([at, node.end]);
  return gaps;
}

/** Seconds of a node that are not its children's. @param {Node} node */
export function ownTime(node) {
  return gapsOf(node).reduce((sum, [from, to]) => sum + to - from, 0);
}

/** Every node, parents first. @param {Node[]} roots */
export const everyNode = (roots) => rowsOf(roots, new Set());

/**
 * What a search finds a node by: name, kind of trouble, annotations, SQL, URL, messages of exceptions.
 * @param {Node} node
 */
export function searchText(node) {
  const { document } = node;
  const exceptions = Array.isArray(document.cause?.exceptions) ? document.cause.exceptions : [];
  const parts = [
    node.name,
    node.id,
    node.outcome,
    document.http?.request?.url,
    document.http?.request?.method,
    document.http?.response?.status,
    document.sql?.sanitized_query,
    ...Object.entries(document.annotations ?? {}).flat(),
    ...Object.values(document.aws ?? {}).filter((value) => typeof value === "string"),
    ...exceptions.flatMap((/** @type {any} */ exception) => [exception?.type, exception?.message]),
  ];
  return parts
    .filter((part) => part != null)
    .join("\n")
    .toLowerCase();
}
