// Places the services of a map, by dagre: callers before what they call, few lines crossing.
import dagre from "./vendor/dagre.js";

const BOX = { width: 196, height: 64 };
const CLIENT = { width: 92, height: 36 };
const LABEL = { width: 84, height: 14, labelpos: "c" };

/**
 * @param {{ nodes: any[], edges: any[] }} graph
 * @param {"LR" | "TB"} direction from left to right, or from top to bottom where there is little room
 */
export function place(graph, direction) {
  const level = direction === "LR";
  const plan = new dagre.graphlib.Graph({ multigraph: false }).setGraph({
    rankdir: direction,
    nodesep: 20,
    ranksep: level ? 28 : 22,
    marginx: 16,
    marginy: 16,
  });
  for (const node of graph.nodes) plan.setNode(String(node.id), { ...(node.type === "client" ? CLIENT : BOX) });
  const known = graph.edges.filter(
    (edge) => plan.hasNode(String(edge.source)) && plan.hasNode(String(edge.target)) && edge.source !== edge.target,
  );
  for (const edge of known)
    plan.setEdge(String(edge.source), String(edge.target), level ? { ...LABEL } : { ...LABEL, width: 60, height: 20 });
  dagre.layout(plan);
  const nodes = graph.nodes.map((node) => ({ ...node, ...plan.node(String(node.id)) }));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const edges = known.map((edge) => {
    const [from, to] = [byId.get(edge.source), byId.get(edge.target)];
    const { points, x, y } = plan.edge(String(edge.source), String(edge.target));
    return {
      ...edge,
      key: `${edge.source} ${edge.target}`,
      from,
      to,
      label: { x, y },
      ...drawn(from, to, throughLabel(points.slice(1, -1), { x, y }, level), level),
    };
  });
  const { width = 0, height = 0 } = plan.graph();
  return { nodes, edges, width: Math.ceil(width), height: Math.ceil(height) };
}

/**
 * Behind its label a line is straight, so that the text stands in it.
 * @param {Array<{ x: number, y: number }>} points @param {{ x: number, y: number }} label @param {boolean} level
 */
function throughLabel(points, label, level) {
  const half = level ? { x: LABEL.width / 2 - 4, y: 0 } : { x: 0, y: 8 };
  return points.flatMap((point) => {
    if (Math.abs(point.x - label.x) > 1 || Math.abs(point.y - label.y) > 1) return [point];
    const forth = level ? points[0].x <= label.x : points[0].y <= label.y;
    const sign = forth ? 1 : -1;
    return [-sign, sign].map((way) => ({ x: label.x + way * half.x, y: label.y + way * half.y }));
  });
}

/**
 * A line that leaves the middle of one side and meets the middle of the other, soft between; a call back goes the other way.
 * @param {any} from @param {any} to @param {Array<{ x: number, y: number }>} between @param {boolean} level
 */
function drawn(from, to, between, level) {
  const forth = level ? from.x <= to.x : from.y <= to.y;
  const way = forth ? 1 : -1;
  const side = (/** @type {any} */ node, /** @type {number} */ sign) =>
    level ? { x: node.x + (sign * node.width) / 2, y: node.y } : { x: node.x, y: node.y + (sign * node.height) / 2 };
  const points = [side(from, way), ...between, side(to, -way)];
  let path = `M${points[0].x} ${points[0].y}`;
  points.slice(1).forEach((next, at) => {
    const last = points[at];
    const half = level ? { x: (next.x - last.x) / 2, y: 0 } : { x: 0, y: (next.y - last.y) / 2 };
    path += `C${last.x + half.x} ${last.y + half.y} ${next.x - half.x} ${next.y - half.y} ${next.x} ${next.y}`;
  });
  return { path, tip: { ...points[points.length - 1], angle: (level ? 0 : 90) + (forth ? 0 : 180) } };
}
