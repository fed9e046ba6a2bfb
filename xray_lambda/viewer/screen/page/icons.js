// Signs, each with a shape of its own: nothing on the page is told by colour alone.
import { html } from "./html.js";

const SHAPES = {
  fault: "M4 4l8 8M12 4l-8 8",
  error: "M8 3v6.5M8 12.4v.2",
  throttle: "M3 5h10M5 8h6M7 11h2",
  progress: "M8 4.5V8l2.2 1.6M8 2a6 6 0 1 1-5.2 3",
  ok: "M3.5 8.5l3 3 6-7",
  search: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.4 10.4L14 14",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M6 6h7v7.5H6zM10 6V2.5H3V10h3",
  right: "M6 3.5L10.5 8 6 12.5",
  down: "M3.5 6L8 10.5 12.5 6",
  back: "M10 3.5L5.5 8l4.5 4.5",
  compare: "M2.5 3.5h4.5v9H2.5zM9 3.5h4.5v9H9z",
  sun: "M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6M8 1.2v1.6M8 13.2v1.6M1.2 8h1.6M13.2 8h1.6M3.2 3.2l1.1 1.1M11.7 11.7l1.1 1.1M3.2 12.8l1.1-1.1M11.7 4.3l1.1-1.1",
  moon: "M13.2 9.6A5.6 5.6 0 0 1 6.4 2.8a5.6 5.6 0 1 0 6.8 6.8z",
  help: "M5.6 6a2.4 2.4 0 1 1 3.4 2.2c-.7.3-1 .8-1 1.6M8 12.4v.2",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  cut: "M3 5.5A1.8 1.8 0 1 0 3 2a1.8 1.8 0 0 0 0 3.5M3 14a1.8 1.8 0 1 0 0-3.5A1.8 1.8 0 0 0 3 14M4.6 4.8L14 11.5M4.6 11.2L14 4.5",
  download: "M8 2.5v8M4.5 7.5L8 11l3.5-3.5M3 13.5h10",
  filter: "M2 3h12l-4.6 5.6V13l-2.8-1.4v-3z",
  // kinds of work
  code: "M5.5 4.5L2 8l3.5 3.5M10.5 4.5L14 8l-3.5 3.5",
  server: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.1M5 11h.1",
  lambda: "M4 13L7.6 6 6 2.8H4.2M6 2.8h1.2L12 13h1.2",
  aws: "M8 1.8l5.4 3.1v6.2L8 14.2l-5.4-3.1V4.9zM8 8l5.2-3M8 8v6M8 8L2.8 5",
  http: "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2M2.2 8h11.6M8 2c2.2 2 2.2 10 0 12M8 2c-2.2 2-2.2 10 0 12",
  sql: "M3 4c0-2.2 10-2.2 10 0v8c0 2.2-10 2.2-10 0zM3 4c0 2.2 10 2.2 10 0M3 8c0 2.2 10 2.2 10 0",
  queue: "M2 5h3v6H2zM6.5 5h3v6h-3zM11 5h3v6h-3z",
  client: "M8 2.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5M3 14c0-5.5 10-5.5 10 0",
};

/**
 * @param {{ name: string, label?: string, class?: string }} props without a label it is decoration, for no screen reader
 */
export function Icon({ name, label, class: extra = "" }) {
  const says = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  const shape = SHAPES[/** @type {keyof typeof SHAPES} */ (name)] ?? SHAPES.code;
  return html`<svg class="icon ${extra}" viewBox="0 0 16 16" ...${says}>${label && html`<title>${label}</title>`}
    <path d=${shape} /></svg>`;
}

/**
 * How something ended, worst first.
 * @param {{ fault?: boolean, error?: boolean, throttle?: boolean, in_progress?: boolean }} flags
 * @returns {"fault" | "throttle" | "error" | "progress" | ""}
 */
export function outcome(flags) {
  if (flags.fault) return "fault";
  if (flags.throttle) return "throttle";
  if (flags.error) return "error";
  return flags.in_progress ? "progress" : "";
}

export const OUTCOMES = { fault: "fault", throttle: "throttled", error: "error", progress: "in progress", "": "" };

/** @param {{ of: object }} props */
export function Outcome({ of }) {
  const how = outcome(of);
  return how ? html`<${Icon} name=${how} label=${OUTCOMES[how]} class="is-${how}" />` : null;
}

/** The sign and the word. @param {{ of: object }} props */
export function OutcomeChip({ of }) {
  const how = outcome(of);
  return how ? html`<span class="chip ${how}"><${Icon} name=${how} />${OUTCOMES[how]}</span>` : null;
}

/**
 * The kind of a segment or subsegment, by what it has.
 * @param {any} document
 * @param {boolean} segment
 */
export function kindOf(document, segment) {
  if (segment) return /Lambda/i.test(document.origin ?? "") ? "lambda" : "server";
  if (document.sql) return "sql";
  if (document.namespace === "aws") return kindOfService(document.name, "AWS::");
  return document.namespace === "remote" ? "http" : "code";
}

/** @type {Array<[RegExp, string]>} by type and name of a service, the first that fits */
const SERVICES = [
  [/^client /i, "client"],
  [/lambda/i, "lambda"],
  [/^AWS::(ECS|EC2|EKS|ElasticBeanstalk|AppRunner)\b/i, "server"],
  [/dynamodb|database|postgres|mysql|mariadb|sqlite|sql|redis|mongo|rds|elasticache/i, "sql"],
  [/sqs|sns|queue|topic|kinesis|events/i, "queue"],
  [/^AWS::/, "aws"],
  [/^remote /, "http"],
];

/** @param {string} name of a service @param {string} type X-Ray's */
export function kindOfService(name, type) {
  return SERVICES.find(([pattern]) => pattern.test(`${type} ${name}`))?.[1] ?? "server";
}
