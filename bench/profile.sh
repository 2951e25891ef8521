#!/bin/bash
# Where a run spends its time, as a flame graph and by subjects: bench/profile.sh TOLLBOOK OUT_DIRECTORY [EVENTS [SUBSCRIPTIONS]]
#
# Needs perf. Without frame pointers in the libraries stacks come from DWARF, which makes perf.data large: 2 M events
# give a few hundred megabytes, which are deleted. Exits with 77 where nothing can be recorded.
set -euo pipefail
tollbook=$1 out=$2 events=${3:-2M} subscriptions=${4:-20000} frequency=499

if ! command -v perf >/dev/null; then
  echo "make profile: perf is missing: install linux-perf (Debian) or linux-tools-generic (Ubuntu)" >&2
  exit 77
fi
mkdir -p "$out"
scratch=$(mktemp -d "$out/scratch-XXXXXX")
trap 'rm -rf "$scratch"' EXIT

"$tollbook" generate --quiet --events "$events" --subscriptions "$subscriptions" --out "$scratch/usage.ndjson" \
  --catalog-out "$scratch/catalog" >/dev/null
# cpu-clock works on virtual machines without hardware counters, too.
if ! perf record --event cpu-clock --freq "$frequency" --call-graph dwarf,8192 --output "$scratch/perf.data" -- \
  "$tollbook" run --json --quiet --books "$scratch/book" --catalog "$scratch/catalog" "$scratch/usage.ndjson" \
  >"$scratch/report.json" 2>"$scratch/perf.log"; then
  cat "$scratch/perf.log" >&2
  echo "make profile: perf could not record: see above; kernel.perf_event_paranoid must be 2 or less, or be root" >&2
  exit 77
fi
perf script --input "$scratch/perf.data" >"$scratch/stacks" 2>/dev/null
here=$(dirname "$0")
python3 -B "$here/flame.py" "tollbook run, $events events" <"$scratch/stacks" >"$out/profile.svg"
# A profile in which the work is not is none.
grep -q 'Absorb' "$out/profile.svg"
lines=$(wc -l <"$scratch/usage.ndjson")
python3 -B "$here/subjects.py" "$lines" "$frequency" <"$scratch/stacks" >"$out/profile.csv"
echo "$out/profile.svg $out/profile.csv"
