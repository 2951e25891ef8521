// The billing task in DuckDB. usage: duckdb.mjs EVENTS TASK_DIRECTORY THREADS [DATABASE]
//
// Tuned: declared columns; the catalog's conditions, months and plan changes folded into two small integers per event;
// identity as two 64-bit hashes, of which only the first is grouped by, and both tell the few candidates apart; what
// came again is found once, sorted by arrival, and left out by row number.
// With DATABASE the run is durable: identities, totals and journal are committed and checkpointed there.
import { DuckDBInstance } from "@duckdb/node-api";
import { readTask, caseOfSpan, finish } from "./sql.mjs";

const [events, directory, threads, database] = process.argv.slice(2);
const task = readTask(directory);
const instance = await DuckDBInstance.create(database ?? ":memory:", { threads });
const connection = await instance.connect();
const start = performance.now();
const trace = process.env.TRACE ? (name, from) => console.error(name, ((performance.now() - from) / 1000).toFixed(2)) : () => {};
async function run(name, sql) {
  const from = performance.now();
  const reader = await connection.runAndReadAll(sql);
  trace(name, from);
  return reader.getRowObjectsJson();
}

const valued = task.meters.filter((meter) => meter.value);
// data's type: what the meters name, nested as they name it.
function structOf(paths) {
  const heads = new Map();
  for (const [path, type] of paths) {
    const [head, ...rest] = path.split(".");
    if (!heads.has(head)) heads.set(head, []);
    heads.get(head).push([rest.join("."), type]);
  }
  return `STRUCT(${[...heads].map(([head, below]) => `"${head}" ${below[0][0] ? structOf(below) : below[0][1]}`).join(", ")})`;
}
const paths = new Map(valued.map((meter) => [meter.value, "DECIMAL(18,6)"]));
for (const meter of task.meters) for (const dimension of meter.dimensions) paths.set(dimension, "VARCHAR");
const byType = (of) => `CASE type ${task.meters.map((meter) => `WHEN '${meter.type}' THEN ${of(meter)}`).join(" ")} END`;
const data = (path) => "data." + path.split(".").map((part) => `"${part}"`).join(".");
// Data that is no object is read as a struct of nulls. A count has no value that would show it: its dimension does.
const value = byType((meter) => (meter.value ? data(meter.value) : `CASE WHEN ${data(meter.dimensions[0])} IS NOT NULL THEN 1 END`));
const cell = byType((meter) =>
  [meter.cell, ...meter.conditions.map(([path, text], i) => `CASE WHEN ${data(path)} = '${text}' THEN ${1 << i} ELSE 0 END`)].join(" + "));

await run("subscribers", `CREATE TEMP TABLE version AS FROM read_csv('${directory}/subscribers.csv', header=true, columns={
  sid: 'INTEGER', subject: 'VARCHAR', plan: 'TINYINT', journal: 'TINYINT', first_span: 'TINYINT', last_span: 'TINYINT'})`);
const json = (name, rows) => run(name, `CREATE TEMP TABLE ${name} AS FROM (VALUES ${rows.map((row) => `(${row.join(", ")})`).join(", ")})
  AS ${name}(${{ taker: "plan, cell, aggregation, charge", step: "charge, model, included, package, above, up_to, price, flat",
                 span: "span, month", unit: "journal, minor" }[name]})`);
await json("taker", task.cells.map((c) => [`${c.plan}::TINYINT`, `${c.cell}::TINYINT`, `'${c.aggregation}'`, c.charge]));
await json("step", task.charges.flatMap((c) => c.tiers.map((t) => [c.charge, `'${c.model}'`, `${c.included}::HUGEINT`, `${c.package}::HUGEINT`,
  `${t.above}::HUGEINT`, `${t.up_to ?? "NULL"}::HUGEINT`, `${t.price}::HUGEINT`, `${t.flat}::HUGEINT`])));
await json("span", task.spans.map((s) => [`${s.span}::TINYINT`, s.month]));
const digits = task.value_digits + task.price_digits;
await json("unit", task.journals.map((j) => [`${j.journal}::TINYINT`, `${10n ** BigInt(digits - j.digits)}::HUGEINT`]));

await run("load", `CREATE TEMP TABLE event AS
  SELECT hash(source, id) AS k1, hash(id, 'second', source) AS k2, event.subject, cell::TINYINT AS cell, (${caseOfSpan(task, "ts", (d) => `TIMESTAMP '${d}'`)})::TINYINT AS span,
    ts, (v * 1000000)::BIGINT AS v
  FROM (
    SELECT id, source, subject, try_cast(time AS TIMESTAMP) AS ts, ${value} AS v, ${cell} AS cell
    FROM read_json('${events}', format='newline_delimited', ignore_errors=true, auto_detect=false, columns={id: 'JSON',
      source: 'VARCHAR', type: 'VARCHAR', subject: 'VARCHAR', time: 'VARCHAR', data: '${structOf([...paths])}'})
    WHERE starts_with(id, '"') AND id <> '""' AND source <> '' AND subject <> '' AND (ends_with(time, 'Z') OR time[-6] IN ('+', '-'))
  ) AS event 
  WHERE v >= 0 AND ts IS NOT NULL`);
await run("repeated", "CREATE TEMP TABLE repeated AS SELECT k1 FROM event GROUP BY k1 HAVING count(*) > 1");
await run("later", `CREATE TEMP TABLE later AS SELECT arrival, content <> first_content AS conflict FROM (
    SELECT arrival, content, first_value(content) OVER first AS first_content, row_number() OVER first AS n
    FROM (SELECT k1, k2, event.rowid AS arrival, hash(cell, subject, ts, v) AS content FROM event SEMI JOIN repeated USING (k1))
    WINDOW first AS (PARTITION BY k1, k2 ORDER BY arrival))
  WHERE n > 1`);
await run("totals", `CREATE TABLE total AS
  SELECT event.subject, cell, span, count(*) AS events, sum(v) AS added, max(v) AS largest,
    max(epoch_us(ts)::HUGEINT * 1000000000000000000::HUGEINT + v) FILTER (WHERE cell IN (${task.meters.filter((m) => m.aggregation === "latest").map((m) => m.cell)})) AS latest
  FROM event ANTI JOIN later ON later.arrival = event.rowid GROUP BY ALL`);
await run("charges", `CREATE TABLE charge AS
  SELECT sid, journal, charge, month, CASE any_value(aggregation) WHEN 'max' THEN max(largest)::HUGEINT
      WHEN 'latest' THEN max(latest) % 1000000000000000000::HUGEINT ELSE sum(added)::HUGEINT END AS quantity
  FROM total JOIN version ON version.subject = total.subject AND span BETWEEN first_span AND last_span
    JOIN span USING (span) JOIN taker USING (plan, cell)
  GROUP BY ALL`);
await run("journal", `CREATE TABLE journal AS
  WITH rated AS (
    SELECT journal, sid, charge, month, sum(CASE model
        WHEN 'package' THEN (b + package - 1) // package * 1000000::HUGEINT * price
        WHEN 'volume' THEN CASE WHEN b > above AND (up_to IS NULL OR b <= up_to) THEN b * price + flat ELSE 0 END
        ELSE CASE WHEN b > above THEN (least(b, coalesce(up_to, b)) - above) * price + flat ELSE 0 END END)::HUGEINT AS worth
    FROM (SELECT *, greatest(quantity - included, 0::HUGEINT) AS b FROM charge JOIN step USING (charge)) GROUP BY ALL)
  SELECT journal, sum((worth + minor // 2) // minor)::HUGEINT AS amount FROM rated JOIN unit USING (journal) GROUP BY ALL`);
if (database) {
  await run("keep", "CREATE TABLE seen AS SELECT k1, k2 FROM event ANTI JOIN later ON later.arrival = event.rowid");
  await run("checkpoint", "CHECKPOINT");
}
const counts = (await run("counts", `SELECT sum(events)::BIGINT AS accepted, (SELECT count(*) FILTER (NOT conflict) FROM later) AS duplicate,
  (SELECT count(*) FILTER (conflict) FROM later) AS conflict, (SELECT sum(events)::BIGINT FROM total ANTI JOIN version ON version.subject = total.subject AND span BETWEEN first_span AND last_span) AS unattributed FROM total`))[0];
finish(task, start, counts, await run("answer", "SELECT journal, amount FROM journal"));
connection.closeSync();
instance.closeSync();
