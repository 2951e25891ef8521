// The billing task in ClickHouse, embedded. usage: clickhouse.mjs EVENTS TASK_DIRECTORY THREADS [STORE]
//
// Tuned: the file is read as lines (its JSON formats stop at a line that is no JSON, or count such lines on one thread),
// each parsed once by its simdjson into a typed tuple; conditions, months and plan changes are folded into two small
// integers per event; what came again is found once and left out by its line number.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Session } from "chdb";
import { readTask, caseOfSpan, finish } from "./sql.mjs";

const [events, directory, threads, kept] = process.argv.slice(2);
const task = readTask(directory);
const store = kept ?? mkdtempSync(join(tmpdir(), "peers-clickhouse-"));
const session = new Session(store);
const start = performance.now();
function run(name, sql) {
  const from = performance.now();
  const text = session.query(sql, "JSONEachRow");
  if (process.env.TRACE) console.error(name, ((performance.now() - from) / 1000).toFixed(2));
  return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

function tupleOf(paths) {
  const heads = new Map();
  for (const [path, type] of paths) {
    const [head, ...rest] = path.split(".");
    if (!heads.has(head)) heads.set(head, []);
    heads.get(head).push([rest.join("."), type]);
  }
  return `Tuple(${[...heads].map(([head, below]) => `\`${head}\` ${below[0][0] ? tupleOf(below) : below[0][1]}`).join(", ")})`;
}
const paths = new Map(task.meters.filter((meter) => meter.value).map((meter) => [meter.value, "Nullable(Decimal(18, 6))"]));
for (const meter of task.meters) for (const dimension of meter.dimensions) paths.set(dimension, "Nullable(String)");
const data = (path) => path.split(".").reduce((tuple, part) => `tupleElement(${tuple}, '${part}')`, "data");
const byType = (of, otherwise) => `multiIf(${task.meters.map((meter) => `type = '${meter.type}', ${of(meter)}`).join(", ")}, ${otherwise})`;
const value = byType((meter) => meter.value ? `toInt64(${data(meter.value)} * 1000000)` : `if(${data(meter.dimensions[0])} IS NULL, NULL, 1000000)`, "NULL");
const cell = byType((meter) => `toUInt8(${[meter.cell, ...meter.conditions.map(([path, text], i) => `ifNull(${data(path)} = '${text}', 0) * ${1 << i}`)].join(" + ")})`, "toUInt8(0)");
const span = caseOfSpan(task, "instant", (d) => `toDateTime64('${d} 00:00:00', 3, 'UTC')`);

for (const setting of [`max_threads = ${threads}`, "max_insert_threads = 1"]) run("set", `SET ${setting}`);
run("database", "CREATE DATABASE IF NOT EXISTS billing");
run("version", `CREATE TABLE billing.version ENGINE = Memory AS SELECT * FROM file('${directory}/subscribers.csv', CSVWithNames,
  'sid Int32, subject String, plan Int16, journal Int16, first_span UInt8, last_span UInt8')`);
const rows = (name, columns, values) => {
  run(name, `CREATE TABLE billing.${name} (${columns}) ENGINE = Memory`);
  run(name, `INSERT INTO billing.${name} VALUES ${values.map((row) => `(${row.join(", ")})`).join(", ")}`);
};
const unlimited = (1n << 120n).toString();
rows("taker", "plan Int16, cell UInt8, aggregation String, charge Int16", task.cells.map((c) => [c.plan, c.cell, `'${c.aggregation}'`, c.charge]));
rows("step", "charge Int16, model String, included Int128, package Int128, above Int128, up_to Int128, price Int128, flat Int128",
  task.charges.flatMap((c) => c.tiers.map((t) => [c.charge, `'${c.model}'`, ...[c.included, c.package, t.above, t.up_to ?? unlimited, t.price, t.flat].map((n) => `'${n}'`)])));
rows("span", "span UInt8, month Int32", task.spans.map((s) => [s.span, s.month]));
const digits = BigInt(task.value_digits + task.price_digits);
rows("unit", "journal Int16, minor Int128", task.journals.map((j) => [j.journal, `'${10n ** (digits - BigInt(j.digits))}'`]));

const engine = kept ? "MergeTree ORDER BY tuple()" : "Memory";
run("load", `CREATE TABLE billing.event ENGINE = Memory AS
  SELECT arrival, sipHash128(assumeNotNull(e.source), assumeNotNull(e.id)) AS k, assumeNotNull(e.subject) AS subject, cell, assumeNotNull(instant) AS ts, assumeNotNull(value) AS v,
    toUInt8(ifNull(${span}, 255)) AS span
  FROM (
    SELECT line, arrival, e, tupleElement(e, 'type') AS type, tupleElement(e, 'time') AS time, tupleElement(e, 'data') AS data,
      ${cell} AS cell, ${value} AS value, parseDateTime64BestEffortOrNull(ifNull(time, ''), 3, 'UTC') AS instant
    FROM (SELECT line, _row_number AS arrival, JSONExtract(line, 'Tuple(id Nullable(String), source Nullable(String), type Nullable(String),
        subject Nullable(String), time Nullable(String), data ${tupleOf([...paths])})') AS e
      FROM file('${events}', LineAsString, 'line String'))
    WHERE if(match(ifNull(e.id, ''), '^[0-9.eE+-]*$'), e.id <> '' AND JSONType(line, 'id') = 'String', true) AND e.source <> '' AND e.subject <> '' AND match(time, '(Z|[+-][0-9]{2}:[0-9]{2})$'))
  WHERE cell <> 0 AND value >= 0 AND instant IS NOT NULL`);
run("later", `CREATE TABLE billing.later ENGINE = Memory AS
  SELECT tupleElement(entry, 1) AS arrival, tupleElement(entry, 2) <> tupleElement(entries[1], 2) AS conflict
  FROM (SELECT arraySort(groupArray((arrival, cityHash64(cell, subject, ts, v)))) AS entries FROM billing.event
    WHERE k IN (SELECT k FROM billing.event GROUP BY k HAVING count() > 1) GROUP BY k)
  ARRAY JOIN arraySlice(entries, 2) AS entry`);
run("totals", `CREATE TABLE billing.total ENGINE = ${engine} AS
  SELECT subject, cell, span, count() AS events, sum(v) AS added, max(v) AS largest, argMax(v, (ts, v)) AS latest, max(ts) AS at
  FROM billing.event WHERE arrival NOT IN (SELECT arrival FROM billing.later) GROUP BY subject, cell, span`);
run("charges", `CREATE TABLE billing.charge ENGINE = ${engine} AS
  SELECT sid, journal, charge, month, multiIf(any(aggregation) = 'max', toInt128(max(largest)), any(aggregation) = 'latest', toInt128(argMax(latest, (at, latest))),
    sum(toInt128(added))) AS quantity
  FROM billing.total AS t JOIN billing.version AS s ON t.subject = s.subject JOIN billing.taker AS c ON s.plan = c.plan AND t.cell = c.cell
    JOIN billing.span AS p ON t.span = p.span
  WHERE t.span BETWEEN first_span AND last_span GROUP BY sid, journal, charge, month`);
run("journal", `CREATE TABLE billing.journal ENGINE = ${engine} AS
  SELECT journal, sum(intDiv(worth + intDiv(minor, 2), minor)) AS amount FROM (
    SELECT journal, sid, charge, month, sum(multiIf(
        model = 'package', intDiv(b + package - 1, package) * toInt128(1000000) * price,
        model = 'volume', if(b > above AND b <= up_to, b * price + flat, toInt128(0)),
        if(b > above, (least(b, up_to) - above) * price + flat, toInt128(0)))) AS worth
    FROM (SELECT *, greatest(quantity - included, toInt128(0)) AS b FROM billing.charge AS c JOIN billing.step AS s ON c.charge = s.charge)
    GROUP BY journal, sid, charge, month) AS r JOIN billing.unit AS u ON r.journal = u.journal
  GROUP BY journal`);
const counts = run("counts", `SELECT toString(sum(events)) AS accepted,
  (SELECT toString(countIf(NOT conflict)) FROM billing.later) AS duplicate, (SELECT toString(countIf(conflict)) FROM billing.later) AS conflict,
  toString(sumIf(events, subject NOT IN (SELECT subject FROM billing.version))) AS unattributed FROM billing.total`)[0];
finish(task, start, counts, run("answer", "SELECT journal, toString(amount) AS amount FROM billing.journal"));
if (!kept) {
  session.cleanup();
  if (existsSync(store)) rmSync(store, { recursive: true });
}
