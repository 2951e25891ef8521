// What the peers share: the task, and the answer as all of them print it.
import { readFileSync } from "node:fs";

export function readTask(directory) {
  return JSON.parse(readFileSync(`${directory}/task.json`, "utf8"));
}

// Which span an instant is in. Usage outside all of them is in none.
export function caseOfSpan(task, instant, literal) {
  const { spans } = task;
  return `CASE WHEN ${instant} < ${literal(spans[0].from)} THEN NULL ${spans
    .map(({ span, to }) => `WHEN ${instant} < ${literal(to)} THEN ${span}`).join(" ")} END`;
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
