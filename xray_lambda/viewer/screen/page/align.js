// Two trees side by side: children of the same name and kind are the same step, in the order in which they came.

/** @typedef {import("./tree.js").Node} Node */
/** @typedef {{ left: Node | null, right: Node | null, depth: number }} Pair */

/** The longest lists that are aligned by their longest common run of steps; beyond, by name and number alone. */
const MOST = 400;

/**
 * @param {Node[]} left @param {Node[]} right
 * @returns {Pair[]} parents first
 */
export function pair(left, right) {
  /** @type {Pair[]} */
  const pairs = [];
  const waiting = aligned(left, right, 0).reverse();
  while (waiting.length) {
    const next = /** @type {Pair} */ (waiting.pop());
    pairs.push(next);
    waiting.push(...aligned(next.left?.children ?? [], next.right?.children ?? [], next.depth + 1).reverse());
  }
  return pairs;
}

/** What makes two nodes the same step. @param {Node} node */
const step = (node) => `${node.segment ? "segment" : node.kind} ${node.name} ${node.document.aws?.operation ?? ""}`;

/** @param {Node[]} left @param {Node[]} right @param {number} depth @returns {Pair[]} */
function aligned(left, right, depth) {
  const [ours, theirs] = [left.map(step), right.map(step)];
  const matches = left.length > MOST || right.length > MOST ? inTurn(ours, theirs) : longestRun(ours, theirs);
  /** @type {Pair[]} */
  const pairs = [];
  let at = 0;
  for (const [mine, other] of [...matches, [left.length, right.length]]) {
    const last = pairs.length ? (pairs.findLast((each) => each.left)?.left ?? null) : null;
    for (let place = last ? left.indexOf(last) + 1 : 0; place < mine; place++)
      pairs.push({ left: left[place], right: null, depth });
    for (; at < other; at++) pairs.push({ left: null, right: right[at], depth });
    if (mine < left.length) pairs.push({ left: left[mine], right: right[other], depth });
    at = other + 1;
  }
  return pairs;
}

/** The longest common subsequence of two lists of steps. @param {string[]} left @param {string[]} right @returns {Array<[number, number]>} */
function longestRun(left, right) {
  const width = right.length + 1;
  const best = new Uint16Array((left.length + 1) * width);
  for (let mine = left.length - 1; mine >= 0; mine--) {
    for (let other = right.length - 1; other >= 0; other--) {
      const at = mine * width + other;
      best[at] = left[mine] === right[other] ? best[at + width + 1] + 1 : Math.max(best[at + width], best[at + 1]);
    }
  }
  /** @type {Array<[number, number]>} */
  const matches = [];
  for (let mine = 0, other = 0; mine < left.length && other < right.length;) {
    if (left[mine] === right[other]) matches.push([mine++, other++]);
    else if (best[(mine + 1) * width + other] >= best[mine * width + other + 1]) mine++;
    else other++;
  }
  return matches;
}

/** The next one of the same step that is still free. @param {string[]} left @param {string[]} right @returns {Array<[number, number]>} */
function inTurn(left, right) {
  /** @type {Array<[number, number]>} */
  const matches = [];
  let from = 0;
  left.forEach((name, mine) => {
    const other = right.indexOf(name, from);
    if (other < 0) return;
    matches.push([mine, other]);
    from = other + 1;
  });
  return matches;
}
