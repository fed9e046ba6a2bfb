// Places the services of a map, by dagre: callers before what they call, few lines crossing.
import dagre from "./vendor/dagre.js";

export const BOX = { width: 196, height: 64 };

/**
 * @param {{ nodes: any[], edges: any[] }} graph
 * @param {"LR" | "TB"} direction from left to right, or from top to bottom where there is little room
 */
export function place(graph, direction) {
  const plan = new dagre.graphlib.Graph({ multigraph: false }).setGraph({ rankdir: direction, nodesep: 22, ranksep: direction === "LR" ? 104 : 48, marginx: 16, marginy: 16 }).setDefaultEdgeLabel(() => ({}));
  for (const node of graph.nodes) plan.setNode(String(node.id), { ...BOX });
  const known = graph.edges.filter((edge) => plan.hasNode(String(edge.source)) && plan.hasNode(String(edge.target)) && edge.source !== edge.target);
  for (const edge of known) plan.setEdge(String(edge.source), String(edge.target), {});
  dagre.layout(plan);
  const nodes = graph.nodes.map((node) => ({ ...node, ...pick(plan.node(String(node.id))) }));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const edges = known.map((edge) => {
    const { points } = plan.edge(String(edge.source), String(edge.target));
    return { ...edge, key: `${edge.source} ${edge.target}`, from: byId.get(edge.source), to: byId.get(edge.target), ...drawn(points) };
  });
  const { width = 0, height = 0 } = plan.graph();
  return { nodes, edges, width: Math.ceil(width), height: Math.ceil(height) };
}

/** @param {{ x: number, y: number }} at */
const pick = ({ x, y }) => ({ x, y });

/** A soft line through the points, its arrow's place and angle, and where its label goes. @param {Array<{ x: number, y: number }>} points */
function drawn(points) {
  const [first, ...rest] = points;
  let path = `M${first.x} ${first.y}`;
  for (let at = 0; at < rest.length - 1; at++) {
    const [here, next] = [rest[at], rest[at + 1]];
    const end = at === rest.length - 2 ? next : { x: (here.x + next.x) / 2, y: (here.y + next.y) / 2 };
    path += `Q${here.x} ${here.y} ${end.x} ${end.y}`;
  }
  if (rest.length === 1) path += `L${rest[0].x} ${rest[0].y}`;
  const [last, before] = [points[points.length - 1], points[points.length - 2]];
  const angle = (Math.atan2(last.y - before.y, last.x - before.x) * 180) / Math.PI;
  return { path, tip: { ...last, angle }, label: points[Math.floor(points.length / 2)] };
}
