#!/bin/bash
# Where a run spends its time, as a flame graph: bench/profile.sh TOLLBOOK OUT_DIRECTORY [EVENTS]
#
# Needs perf. Without frame pointers in the libraries stacks come from DWARF, which makes perf.data large: 2 M events
# give a few hundred megabytes, which are deleted. Exits with 77 where nothing can be recorded.
set -euo pipefail
tollbook=$1 out=$2 events=${3:-2M}

if ! command -v perf >/dev/null; then
  echo "make profile: perf is missing: install linux-perf (Debian) or linux-tools-generic (Ubuntu)" >&2
  exit 77
fi
mkdir -p "$out"
scratch=$(mktemp -d "$out/scratch-XXXXXX")
trap 'rm -rf "$scratch"' EXIT

"$tollbook" generate --quiet --events "$events" --subscriptions 20000 --out "$scratch/usage.ndjson" \
  --catalog-out "$scratch/catalog" >/dev/null
# cpu-clock works on virtual machines without hardware counters, too.
if ! perf record --event cpu-clock --freq 499 --call-graph dwarf,8192 --output "$scratch/perf.data" -- \
  "$tollbook" run --json --quiet --books "$scratch/book" --catalog "$scratch/catalog" "$scratch/usage.ndjson" \
  >"$scratch/report.json" 2>"$scratch/perf.log"; then
  cat "$scratch/perf.log" >&2
  echo "make profile: perf could not record: see above; kernel.perf_event_paranoid must be 2 or less, or be root" >&2
  exit 77
fi
perf script --input "$scratch/perf.data" 2>/dev/null |
  python3 -B "$(dirname "$0")/flame.py" "tollbook run, $events events" >"$out/profile.svg"
# A profile in which the work is not is none.
grep -q 'Absorb' "$out/profile.svg"
echo "$out/profile.svg"
