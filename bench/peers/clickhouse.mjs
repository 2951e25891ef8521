// The billing task in ClickHouse, embedded. usage: clickhouse.mjs EVENTS TASK_DIRECTORY THREADS
//
// Tuned: the file is read as lines (its formats for JSON end at a line that is none), each parsed once by its simdjson
// into a typed tuple; conditions, months and plan changes are folded into two small integers per event; what came again
// is found once and left out by its line number.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Session } from "chdb";
import { cellOf, dataType, finish, pathsOf, readTask, rowsText, smallTables, spanOf, tracer, valueOf } from "./sql.mjs";

const [events, directory, threads] = process.argv.slice(2);
const task = readTask(directory);
const store = mkdtempSync(join(tmpdir(), "peers-clickhouse-"));
const session = new Session(store);
const start = performance.now();
const trace = tracer();
function run(name, sql) {
  const text = session.query(sql, "JSONEachRow");
  trace(name);
  return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

const data = (path) => path.split(".").reduce((tuple, part) => `tupleElement(${tuple}, '${part}')`, "data");
const columns = {
  taker: "plan Int16, cell UInt8, aggregation String, charge Int16",
  step: "charge Int16, model String, included Int128, package Int128, above Int128, up_to Int128, price Int128, "
    + "flat Int128",
  span: "span UInt8, month Int32",
  unit: "journal Int16, minor Int128",
};
run("threads", `SET max_threads = ${threads}`);
run("database", "CREATE DATABASE billing");
for (const [name, rows] of Object.entries(smallTables(task, (text) => `'${text}'`))) {
  run(name, `CREATE TABLE billing.${name} (${columns[name]}) ENGINE = Memory`);
  run(name, `INSERT INTO billing.${name} VALUES ${rowsText(rows)}`);
}
run("version", `CREATE TABLE billing.version ENGINE = Memory AS SELECT * FROM file('${directory}/subscribers.csv',
  CSVWithNames, 'sid Int32, subject String, plan Int16, journal Int16, first_span UInt8, last_span UInt8')`);

// A number becomes a text here, so an id that could be one is looked at again. Tuples of what is no JSON are nulls.
const typed = ["id", "source", "type", "subject", "time"].map((name) => `${name} Nullable(String)`);
typed.push(`data ${dataType(pathsOf(task), "Tuple", "`", "Nullable(Decimal(18, 6))", "Nullable(String)")}`);
const span = spanOf(task, "instant", (day) => `toDateTime64('${day} 00:00:00', 3, 'UTC')`);
run("load", `CREATE TABLE billing.event ENGINE = Memory AS
  SELECT arrival, sipHash128(assumeNotNull(e.source), assumeNotNull(e.id)) AS k, assumeNotNull(e.subject) AS subject,
    assumeNotNull(held) AS cell, assumeNotNull(instant) AS ts, toInt64(assumeNotNull(measured) * 1000000) AS v,
    toUInt8(ifNull(${span}, 255)) AS span
  FROM (
    SELECT line, arrival, e, e.type AS type, e.data AS data, ${valueOf(task, data)} AS measured,
      toNullable(toUInt8(ifNull(${cellOf(task, data)}, 0))) AS held,
      parseDateTime64BestEffortOrNull(ifNull(e.time, ''), 3, 'UTC') AS instant
    FROM (SELECT line, _row_number AS arrival, JSONExtract(line, 'Tuple(${typed.join(", ")})') AS e
      FROM file('${events}', LineAsString, 'line String'))
    WHERE if(match(ifNull(e.id, ''), '^[0-9.eE+-]*$'), e.id <> '' AND JSONType(line, 'id') = 'String', true)
      AND e.source <> '' AND e.subject <> '' AND match(e.time, '(Z|[+-][0-9]{2}:[0-9]{2})$'))
  WHERE held <> 0 AND measured >= 0 AND instant IS NOT NULL`);
run("later", `CREATE TABLE billing.later ENGINE = Memory AS
  SELECT tupleElement(entry, 1) AS arrival, tupleElement(entry, 2) <> tupleElement(entries[1], 2) AS conflict
  FROM (SELECT arraySort(groupArray((arrival, cityHash64(cell, subject, ts, v)))) AS entries FROM billing.event
    WHERE k IN (SELECT k FROM billing.event GROUP BY k HAVING count() > 1) GROUP BY k)
  ARRAY JOIN arraySlice(entries, 2) AS entry`);
run("totals", `CREATE TABLE billing.total ENGINE = Memory AS
  SELECT subject, cell, span, count() AS events, sum(v) AS added, max(v) AS largest, argMax(v, (ts, v)) AS latest,
    max(ts) AS at
  FROM billing.event WHERE arrival NOT IN (SELECT arrival FROM billing.later) GROUP BY subject, cell, span`);
run("charges", `CREATE TABLE billing.charge ENGINE = Memory AS
  SELECT sid, journal, charge, month, multiIf(any(aggregation) = 'max', toInt128(max(largest)),
    any(aggregation) = 'latest', toInt128(argMax(latest, (at, latest))), sum(toInt128(added))) AS quantity
  FROM billing.total AS t JOIN billing.version AS s ON t.subject = s.subject
    JOIN billing.taker AS c ON s.plan = c.plan AND t.cell = c.cell JOIN billing.span AS p ON t.span = p.span
  WHERE t.span BETWEEN first_span AND last_span GROUP BY sid, journal, charge, month`);
run("journal", `CREATE TABLE billing.journal ENGINE = Memory AS
  SELECT journal, sum(intDiv(worth + intDiv(minor, 2), minor)) AS amount FROM (
    SELECT journal, sid, charge, month, sum(multiIf(
      model = 'package', intDiv(b + package - 1, package) * toInt128(1000000) * price,
      b <= above OR (model = 'volume' AND b > up_to), toInt128(0),
      model = 'volume', b * price + flat,
      (least(b, up_to) - above) * price + flat)) AS worth
    FROM (SELECT *, greatest(quantity - included, toInt128(0)) AS b
      FROM billing.charge AS c JOIN billing.step AS s ON c.charge = s.charge)
    GROUP BY journal, sid, charge, month) AS r JOIN billing.unit AS u ON r.journal = u.journal
  GROUP BY journal`);
const [counts] = run("counts", `SELECT toString(sum(events)) AS accepted,
  (SELECT toString(countIf(NOT conflict)) FROM billing.later) AS duplicate,
  (SELECT toString(countIf(conflict)) FROM billing.later) AS conflict,
  toString(sumIf(events, subject NOT IN (SELECT subject FROM billing.version))) AS unattributed FROM billing.total`);
finish(task, start, counts, run("answer", "SELECT journal, toString(amount) AS amount FROM billing.journal"));
session.cleanup();
rmSync(store, { recursive: true, force: true });
