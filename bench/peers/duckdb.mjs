// The billing task in DuckDB. usage: duckdb.mjs EVENTS TASK_DIRECTORY THREADS [DATABASE]
//
// Tuned: declared columns; the catalog's conditions, months and plan changes folded into two small integers per event;
// identity as two 64-bit hashes, of which only the first is grouped by, and both tell the few candidates apart; what
// came again is found once, sorted by arrival, and left out by row number.
// With DATABASE the run is durable: identities, totals, charges and journal are committed and checkpointed there.
import { DuckDBInstance } from "@duckdb/node-api";
import {
  cellOf, dataType, finish, pathsOf, readTask, rowsText, smallTables, spanOf, tracer, valueOf,
} from "./sql.mjs";

const [events, directory, threads, database] = process.argv.slice(2);
const task = readTask(directory);
const instance = await DuckDBInstance.create(database ?? ":memory:", { threads });
const connection = await instance.connect();
const start = performance.now();
const trace = tracer();
async function run(name, sql) {
  const reader = await connection.runAndReadAll(sql);
  trace(name);
  return reader.getRowObjectsJson();
}

const isCsv = events.endsWith(".csv"); // with a column for each path
const data = (path) => (isCsv ? "" : "data.") + path.split(".").map((part) => `"${part}"`).join(".");
const columns = {
  taker: "plan, cell, aggregation, charge",
  step: "charge, model, included, package, above, up_to, price, flat",
  span: "span, month",
  unit: "journal, minor",
};
for (const [name, rows] of Object.entries(smallTables(task, (text) => `${text}::HUGEINT`))) {
  await run(name, `CREATE TEMP TABLE ${name} AS FROM (VALUES ${rowsText(rows)}) AS ${name}(${columns[name]})`);
}
await run("version", `CREATE TEMP TABLE version AS FROM read_csv('${directory}/subscribers.csv', header=true,
  columns={sid: 'INTEGER', subject: 'VARCHAR', plan: 'INTEGER', journal: 'INTEGER', first_span: 'INTEGER',
    last_span: 'INTEGER'})`);

// The id is read as JSON, since a number would become a text else, and a text has its quotes. What the reader cannot
// cast, and lines that are no JSON, become nulls; in CSV they have no row. Rows stay in the order of arrival.
const csvPaths = pathsOf(task).sort(([a, aIsValue], [b, bIsValue]) => bIsValue - aIsValue || (a < b ? -1 : 1));
const csvColumns = csvPaths.map(([path, isValue]) => `"${path}": '${isValue ? "DECIMAL(18, 6)" : "VARCHAR"}'`);
const sources = {
  json: `read_json('${events}', format='newline_delimited', ignore_errors=true, auto_detect=false, columns={id: 'JSON',
    source: 'VARCHAR', type: 'VARCHAR', subject: 'VARCHAR', time: 'VARCHAR',
    data: '${dataType(pathsOf(task), "STRUCT", '"', "DECIMAL(18, 6)", "VARCHAR")}'})
    WHERE starts_with(id, '"') AND id <> '""'`,
  csv: `read_csv('${events}', header=true, ignore_errors=true, auto_detect=false, delim=',', quote='"', columns={
    id: 'VARCHAR', source: 'VARCHAR', type: 'VARCHAR', subject: 'VARCHAR', time: 'VARCHAR', ${csvColumns.join(", ")}})
    WHERE id <> ''`,
};
const span = spanOf(task, "ts", (day) => `TIMESTAMP '${day}'`);
await run("load", `CREATE TEMP TABLE event AS
  SELECT hash(source, id) AS k1, hash(id, 'second', source) AS k2, subject, cell::TINYINT AS cell,
    (${span})::TINYINT AS span, ts, (v * 1000000)::BIGINT AS v
  FROM (
    SELECT id, source, subject, try_cast(time AS TIMESTAMP) AS ts, ${valueOf(task, data)} AS v,
      ${cellOf(task, data)} AS cell
    FROM ${isCsv ? sources.csv : sources.json} AND source <> '' AND subject <> ''
      AND (ends_with(time, 'Z') OR time[-6] IN ('+', '-')))
  WHERE v >= 0 AND ts IS NOT NULL`);
await run("repeated", "CREATE TEMP TABLE repeated AS SELECT k1 FROM event GROUP BY k1 HAVING count(*) > 1");
await run("later", `CREATE TEMP TABLE later AS
  SELECT arrival, content <> first_content AS conflict FROM (
    SELECT arrival, content, first_value(content) OVER arrivals AS first_content, row_number() OVER arrivals AS n
    FROM (SELECT k1, k2, event.rowid AS arrival, hash(cell, subject, ts, v) AS content
      FROM event SEMI JOIN repeated USING (k1))
    WINDOW arrivals AS (PARTITION BY k1, k2 ORDER BY arrival))
  WHERE n > 1`);
// The latest value by time, and of two at one time the larger: one whole number that holds both.
const latest = task.meters.filter((meter) => meter.aggregation === "latest").map((meter) => meter.cell);
await run("totals", `CREATE TABLE total AS
  SELECT subject, cell, span, count(*) AS events, sum(v) AS added, max(v) AS largest,
    max(epoch_us(ts)::HUGEINT * 1000000000000000000::HUGEINT + v) FILTER (WHERE cell IN (${[0, ...latest]})) AS latest
  FROM event ANTI JOIN later ON later.arrival = event.rowid GROUP BY ALL`);
await run("charges", `CREATE TABLE charge AS
  SELECT sid, journal, charge, month, CASE any_value(aggregation) WHEN 'max' THEN max(largest)::HUGEINT
    WHEN 'latest' THEN max(latest) % 1000000000000000000::HUGEINT ELSE sum(added)::HUGEINT END AS quantity
  FROM total JOIN version ON version.subject = total.subject AND span BETWEEN first_span AND last_span
    JOIN span USING (span) JOIN taker USING (plan, cell)
  GROUP BY ALL`);
await run("journal", `CREATE TABLE journal AS
  WITH rated AS (
    SELECT journal, sid, charge, month, sum(CASE
      WHEN model = 'package' THEN (b + package - 1) // package * 1000000::HUGEINT * price
      WHEN b <= above OR (model = 'volume' AND b > up_to) THEN 0::HUGEINT
      WHEN model = 'volume' THEN b * price + flat
      ELSE (least(b, up_to) - above) * price + flat END)::HUGEINT AS worth
    FROM (SELECT *, greatest(quantity - included, 0::HUGEINT) AS b FROM charge JOIN step USING (charge)) GROUP BY ALL)
  SELECT journal, sum((worth + minor // 2) // minor)::HUGEINT AS amount
  FROM rated JOIN unit USING (journal) GROUP BY ALL`);
if (database) {
  await run("keep", "CREATE TABLE seen AS SELECT k1, k2 FROM event ANTI JOIN later ON later.arrival = event.rowid");
  await run("checkpoint", "CHECKPOINT");
}
const [counts] = await run("counts", `SELECT sum(events)::BIGINT AS accepted,
  (SELECT count(*) FILTER (NOT conflict) FROM later) AS duplicate,
  (SELECT count(*) FILTER (conflict) FROM later) AS conflict,
  (SELECT coalesce(sum(events), 0)::BIGINT FROM total ANTI JOIN version
    ON version.subject = total.subject AND span BETWEEN first_span AND last_span) AS unattributed
  FROM total`);
finish(task, start, counts, await run("answer", "SELECT journal, amount FROM journal"));
connection.closeSync();
instance.closeSync();
