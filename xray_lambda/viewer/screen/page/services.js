// The services of the map as a table, to sort: the same figures for who wants them exact, or cannot see the map.
import { count, duration, share } from "./format.js";
import { html, useState } from "./html.js";
import { Icon, kindOfService } from "./icons.js";

/** @type {Array<[string, string, (node: any) => number | string]>} */
const COLUMNS = [
  ["name", "Service", (node) => node.name.toLowerCase()],
  ["requests", "Requests", (node) => node.requests],
  ["faults", "Faults", (node) => node.faults / (node.requests || 1)],
  ["errors", "Errors", (node) => node.errors / (node.requests || 1)],
  ["throttles", "Throttled", (node) => node.throttles / (node.requests || 1)],
  ["mean", "Mean", (node) => node.mean ?? -1],
  ["p50", "p50", (node) => node.p50 ?? -1],
  ["p90", "p90", (node) => node.p90 ?? -1],
  ["p99", "p99", (node) => node.p99 ?? -1],
];

/** @param {{ nodes: any[], choose: (node: any) => void }} props */
export function ServiceTable({ nodes, choose }) {
  const [[by, down], sort] = useState(/** @type {[string, boolean]} */ (["requests", true]));
  const value = COLUMNS.find(([key]) => key === by)?.[2] ?? COLUMNS[1][2];
  const rows = nodes
    .filter((node) => kindOfService(node.name, node.type) !== "client")
    .sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0) * (down ? -1 : 1));
  if (!rows.length) return null;
  return html`<div class="table-frame" tabindex="0" role="group" aria-label="Services"><table class="table">
    <thead><tr>${COLUMNS.map(
      ([
        key,
        name,
      ]) => html`<th key=${key} scope="col" class=${key === "name" ? "" : "number"}
        aria-sort=${key === by ? (down ? "descending" : "ascending") : "none"}>
      <button onClick=${() => sort([key, key === by ? !down : key !== "name"])}>${name}${key === by ? (down ? " ↓" : " ↑") : ""}</button></th>`,
    )}</tr></thead>
    <tbody>${rows.map(
      (node) => html`<tr key=${node.id}>
      <th scope="row"><button class="with-icon" onClick=${() => choose(node)}>
      <${Icon} name=${kindOfService(node.name, node.type)} /><span>${node.name}</span>
      <span class="faint">${node.type}</span></button></th>
      <td class="number">${count(node.requests)}</td><${Part} node=${node} of="faults" how="fault" />
      <${Part} node=${node} of="errors" how="error" /><${Part} node=${node} of="throttles" how="throttle" />
      <td class="number">${duration(node.mean)}</td><td class="number">${duration(node.p50)}</td>
      <td class="number">${duration(node.p90)}</td><td class="number">${duration(node.p99)}</td>
    </tr>`,
    )}</tbody>
  </table></div>`;
}

/** @param {{ node: any, of: string, how: string }} props */
function Part({ node, of, how }) {
  return html`<td
    class="number ${node[of] ? `is-${how}` : "faint"}">${node[of] ? share(node[of], node.requests) : "–"}</td>`;
}
