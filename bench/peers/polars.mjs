// The billing task in Polars. usage: polars.mjs EVENTS TASK_DIRECTORY THREADS (by POLARS_MAX_THREADS)
//
// Its reader of NDJSON ends at the first line that is no JSON. So lines are read as a CSV of one column, those whose
// data is no JSON object are left out, and the rest is decoded into a typed struct, a million lines at a time to bound
// memory. Identities are two 64-bit hashes, of which the first alone finds the candidates. The charges are priced in
// whole numbers here: Polars for Node.js has no exact arithmetic that is wide enough.
import { readFileSync } from "node:fs";
import pl from "nodejs-polars";
import { finish, readTask, tracer } from "./sql.mjs";

const [events, directory] = process.argv.slice(2);
const task = readTask(directory);
const start = performance.now();
const trace = tracer();
const SLICE = 1_000_000;
const UNUSED = ["\x01", "\x02"]; // no JSON text has them unescaped

function structOf(paths) {
  const heads = new Map();
  for (const path of paths) {
    const [head, ...rest] = path.split(".");
    heads.set(head, [...(heads.get(head) ?? []), ...(rest.length ? [rest.join(".")] : [])]);
  }
  return pl.Struct([...heads].map(([head, below]) => new pl.Field(head, below.length ? structOf(below) : pl.Utf8)));
}
const paths = new Set(task.meters.flatMap((meter) => [...(meter.value ? [meter.value] : []), ...meter.dimensions]));
const field = (name) => pl.col("event").struct.field(name);
const data = (path) => path.split(".").reduce((at, part) => at.struct.field(part), pl.col("data"));
const line = pl.Struct([...["id", "source", "type", "subject", "time"].map((name) => new pl.Field(name, pl.Utf8)),
  new pl.Field("data", structOf(paths))]);
const is = (column, text) => pl.col(column).eq(pl.lit(text));
const choose = (condition, then, otherwise) => pl.when(condition).then(then).otherwise(otherwise);
const byType = (of, otherwise) =>
  task.meters.reduceRight((rest, meter) => choose(is("type", meter.type), of(meter), rest), otherwise);
const bitOf = ([path, text], bit) => choose(data(path).eq(pl.lit(text)), pl.lit(1 << bit), pl.lit(0));
const cellOf = (meter) => meter.conditions.map(bitOf).reduce((sum, bit) => sum.plus(bit), pl.lit(meter.cell));
const cell = byType(cellOf, pl.lit(0)).cast(pl.Int16);
const nothing = pl.lit(null).cast(pl.Float64);
const one = (meter) => choose(data(meter.dimensions[0]).isNotNull(), pl.lit(1), pl.lit(null)).cast(pl.Float64);
// Exact: a value of six decimals in a double of fifteen digits, rounded to millionths.
const value = byType((meter) => (meter.value ? data(meter.value).cast(pl.Float64, false) : one(meter)), nothing);
const millionths = value.multiplyBy(pl.lit(1000000)).round(0).cast(pl.Int64);
const instant = pl.col("time").str.slice(0, 23).str.strptime(pl.Datetime("ms"), "%Y-%m-%dT%H:%M:%S%.3f").cast(pl.Int64);
const ms = (date) => Date.parse(`${date}T00:00:00Z`);
const spanOf = (rest, { span: number, to }) => choose(pl.col("ts").lt(pl.lit(ms(to))), pl.lit(number), rest);
const span = task.spans.reduceRight(spanOf, pl.lit(-1)).cast(pl.Int16);

function decode(lines) {
  const typed = lines
    .filter(pl.col("line").isNotNull().and(pl.col("line").str.contains("\ufffd", true).not()))
    .filter(pl.col("line").str.jsonPathMatch("$.data").str.startsWith("{"))
    // A number is decoded as its text, so an id of digits only is looked at again.
    .withColumns(pl.col("line").str.contains('"id"\\s*:\\s*"').alias("id_is_text"))
    .select(pl.col("n"), pl.col("id_is_text"), pl.col("line").str.jsonDecode(line).alias("event"));
  return typed.lazy()
    .select(pl.col("n"), pl.col("id_is_text"), ...["id", "source", "type", "subject", "time", "data"].map(field))
    .filter(pl.col("id_is_text").and(is("id", "").not()).and(is("source", "").not()).and(is("subject", "").not())
      .and(pl.col("time").str.contains("(Z|\\+00:00)$")))
    .withColumns(instant.alias("ts"), cell.alias("cell"), millionths.alias("v"),
      pl.concatString({ exprs: [pl.col("source"), pl.col("id")], sep: "\x01" }).alias("key"))
    .filter(pl.col("v").gtEq(pl.lit(0)).and(pl.col("ts").isNotNull()).and(pl.col("cell").gt(pl.lit(0))))
    .select(pl.col("n"), pl.col("key").hash(1, 2, 3, 4).alias("k1"), pl.col("key").hash(5, 6, 7, 8).alias("k2"),
      pl.col("subject"), pl.col("cell"), span.alias("span"), pl.col("ts"), pl.col("v"))
    .collectSync();
}

const all = pl.scanCSV(events, {
  hasHeader: false, sep: UNUSED[0], quoteChar: UNUSED[1], schema: { line: pl.Utf8 }, ignoreErrors: true,
  encoding: "utf8-lossy",
}).collectSync().withRowIndex("n");
trace("lines");
const parts = [];
for (let at = 0; at < all.height; at += SLICE) parts.push(decode(all.slice(at, SLICE)));
let event = pl.concat(parts);
trace("decode");

// The candidates in order of arrival; of each identity all but the first are left out.
const repeated = event.lazy().groupBy("k1").agg(pl.col("n").count().alias("times"))
  .filter(pl.col("times").gt(pl.lit(1))).collectSync();
const candidates = event.join(repeated.select("k1"), { on: "k1", how: "semi" }).sort("n");
trace("repeated");
const column = (frame, name) => frame.getColumn(name).toArray();
const counts = { accepted: 0, duplicate: 0, conflict: 0, unattributed: 0 };
const first = new Map();
const later = [];
{
  const [k1, k2, n, subject, cells, ts, v] =
    ["k1", "k2", "n", "subject", "cell", "ts", "v"].map((name) => column(candidates, name));
  for (let i = 0; i < n.length; ++i) {
    const key = `${k1[i]} ${k2[i]}`, content = `${subject[i]} ${cells[i]} ${ts[i]} ${v[i]}`;
    const known = first.get(key);
    if (known === undefined) first.set(key, content);
    else {
      counts[known === content ? "duplicate" : "conflict"] += 1;
      later.push(Number(n[i]));
    }
  }
}
const left = pl.DataFrame({ n: later }).withColumn(pl.col("n").cast(event.getColumn("n").dtype));
event = event.join(left, { on: "n", how: "anti" });
counts.accepted = event.height;
trace("later");
const totals = event.lazy().groupBy(["subject", "cell", "span"]).agg(pl.col("n").count().alias("events"),
  pl.col("v").sum().alias("added"), pl.col("v").max().alias("largest"),
  pl.col("v").sortBy([pl.col("ts"), pl.col("v")]).last().alias("latest"), pl.col("ts").max().alias("at")).collectSync();
trace("totals");

const versions = new Map();
for (const row of readFileSync(`${directory}/subscribers.csv`, "utf8").trim().split("\n").slice(1)) {
  const [, subject, plan, journal, from, to] = row.split(",");
  const version = { plan: Number(plan), journal: Number(journal) };
  for (let i = Number(from); i <= Number(to); ++i) versions.set(`${subject} ${i}`, version);
}
const taker = new Map(task.cells.map((row) => [row.plan * 256 + row.cell, row]));
const quantities = new Map();
{
  const [subject, cells, spans, eventsOf, added, largest, latest, at] =
    ["subject", "cell", "span", "events", "added", "largest", "latest", "at"]
      .map((name) => column(totals, name));
  for (let i = 0; i < subject.length; ++i) {
    const version = versions.get(`${subject[i]} ${spans[i]}`);
    if (version === undefined) {
      counts.unattributed += Number(eventsOf[i]);
      continue;
    }
    const row = taker.get(version.plan * 256 + Number(cells[i]));
    if (row === undefined) continue;
    const key = `${subject[i]} ${row.charge} ${task.spans[spans[i]].month}`;
    const known = quantities.get(key) ?? { ...version, charge: row.charge, quantity: 0n, at: -1n };
    if (row.aggregation === "max") {
      const larger = BigInt(largest[i]);
      if (larger > known.quantity) known.quantity = larger;
    } else if (row.aggregation === "latest") {
      if (BigInt(at[i]) > known.at) [known.at, known.quantity] = [BigInt(at[i]), BigInt(latest[i])];
    } else known.quantity += BigInt(added[i]);
    quantities.set(key, known);
  }
}
const tierOf = (tier) => ({
  above: BigInt(tier.above), upTo: tier.up_to && BigInt(tier.up_to), price: BigInt(tier.price), flat: BigInt(tier.flat),
});
const charges = task.charges.map((charge) => ({
  model: charge.model, included: BigInt(charge.included), pack: BigInt(charge.package), tiers: charge.tiers.map(tierOf),
}));
function worth({ model, included, pack, tiers }, quantity) {
  const b = quantity > included ? quantity - included : 0n;
  if (model === "package") return ((b + pack - 1n) / pack) * 1000000n * tiers[0].price;
  let total = 0n;
  for (const { above, upTo, price, flat } of tiers) {
    if (b <= above) continue;
    const within = upTo === null || b <= upTo;
    if (model !== "volume") total += ((within ? b : upTo) - above) * price + flat;
    else if (within) total += b * price + flat;
  }
  return total;
}
const amounts = task.journals.map((journal) => ({ journal: journal.journal, amount: 0n,
  minor: 10n ** BigInt(task.value_digits + task.price_digits - journal.digits) }));
for (const { charge, journal, quantity } of quantities.values()) {
  const row = amounts[journal];
  row.amount += (worth(charges[charge], quantity) + row.minor / 2n) / row.minor;
}
trace("charges");
finish(task, start, counts, amounts);
