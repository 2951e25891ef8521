// What the peers share: the task, pieces of SQL, and the answer as all of them print it.
import { readFileSync } from "node:fs";

export function readTask(directory) {
  return JSON.parse(readFileSync(`${directory}/task.json`, "utf8"));
}

// The paths into an event's data that the meters name: [path, whether it is the metered value].
export function pathsOf(task) {
  const paths = new Map();
  for (const meter of task.meters) {
    if (meter.value) paths.set(meter.value, true);
    for (const dimension of meter.dimensions) paths.set(dimension, false);
  }
  return [...paths];
}

// The type of data, nested as the paths are: `container` is the engine's word for a struct, `quote` its quote of names.
export function dataType(paths, container, quote, number, text) {
  const members = new Map();
  for (const [path, isValue] of paths) {
    const [head, ...rest] = path.split(".");
    members.set(head, [...(members.get(head) ?? []), [rest.join("."), isValue]]);
  }
  const typeOf = (below) => {
    const [[rest, isValue]] = below;
    if (rest !== "") return dataType(below, container, quote, number, text);
    return isValue ? number : text;
  };
  const fields = [...members].map(([head, below]) => `${quote}${head}${quote} ${typeOf(below)}`);
  return `${container}(${fields.join(", ")})`;
}

// By the event's type, what `of` makes of its meter; null for a type that no meter counts.
export function byType(task, of) {
  const cases = task.meters.map((meter) => `WHEN type = '${meter.type}' THEN ${of(meter)}`);
  return `CASE ${cases.join(" ")} END`;
}

// The cell of an event: that of its meter and of which conditions hold. `data` makes a path an expression.
export function cellOf(task, data) {
  return byType(task, (meter) => {
    const bits = meter.conditions.map(
      ([path, text], bit) => `CASE WHEN ${data(path)} = '${text}' THEN ${1 << bit} ELSE 0 END`);
    return [meter.cell, ...bits].join(" + ");
  });
}

// The metered value. Data that is no object is read as nulls; a count has no value that would show it, but a dimension.
export function valueOf(task, data) {
  return byType(task, (meter) =>
    meter.value ? data(meter.value) : `CASE WHEN ${data(meter.dimensions[0])} IS NOT NULL THEN 1 END`);
}

// Which span an instant is in. Usage outside all of them is in none.
export function spanOf(task, instant, literal) {
  const cases = task.spans.map(({ span, to }) => `WHEN ${instant} < ${literal(to)} THEN ${span}`);
  return `CASE WHEN ${instant} < ${literal(task.spans[0].from)} THEN NULL ${cases.join(" ")} END`;
}

// The small tables, as the rows of VALUES.
export function smallTables(task, whole) {
  const digits = BigInt(task.value_digits + task.price_digits);
  const unlimited = String(1n << 120n);
  const steps = task.charges.flatMap((charge) => charge.tiers.map((tier) => [
    charge.charge, `'${charge.model}'`, whole(charge.included), whole(charge.package), whole(tier.above),
    whole(tier.up_to ?? unlimited), whole(tier.price), whole(tier.flat)]));
  return {
    taker: task.cells.map((row) => [row.plan, row.cell, `'${row.aggregation}'`, row.charge]),
    step: steps,
    span: task.spans.map((row) => [row.span, row.month]),
    unit: task.journals.map((row) => [row.journal, whole(String(10n ** (digits - BigInt(row.digits))))]),
  };
}

export const rowsText = (rows) => rows.map((row) => `(${row.join(", ")})`).join(", ");

export function tracer() {
  let last = performance.now();
  return (name) => {
    if (process.env.TRACE) console.error(name, ((performance.now() - last) / 1000).toFixed(2));
    last = performance.now();
  };
}

// Prints the answer as one line: the counts, the journals' amounts in minor units, and the seconds since `start`, when
// the library was loaded and nothing of the task was done.
export function finish(task, start, counts, journals) {
  const answer = {};
  for (const name of ["accepted", "duplicate", "conflict", "unattributed"]) answer[name] = Number(counts[name]);
  answer.totals = Object.fromEntries(task.journals.map(({ journal, entity, currency }) => {
    const row = journals.find((entry) => Number(entry.journal) === journal);
    return [`${entity} ${currency}`, row === undefined ? "0" : String(row.amount)];
  }));
  answer.seconds = (performance.now() - start) / 1000;
  console.log(JSON.stringify(answer));
}
