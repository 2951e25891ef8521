"""The same events as a CSV file, and the catalog that reads it: what the peers are given by `run.py --input csv`.

Lines that are no JSON, and fields that are no text, have no row: a CSV cannot say them. All else stays, wrong times and
values too, and so do the counts of what is accepted, duplicate and conflicting.
"""

import csv
import json
import re
import shutil

import task

ENVELOPE = ("id", "source", "type", "subject", "time")


def sources_yaml(dimensions):
    members = "".join(f'          {name}: "{{{name}}}"\n' for name in dimensions)
    fields = "".join(f'{"      - " if name == "id" else "        "}{name}: "{{{name}}}"\n' for name in ENVELOPE)
    return (f'sources:\n  - glob: "*.csv"\n    format: csv\n    events:\n{fields}        data:\n{members}'
            '          value: {number: "{value}"}\n')


def at(data, path):
    for name in path.split("."):
        data = data.get(name) if isinstance(data, dict) else None
    return data


def row_of(line, values, dimensions):
    """The row of a line, or None. Numbers are their text, so that 12.0 stays 12.0."""
    try:
        event = json.loads(line.decode(), parse_float=str, parse_int=str)
        envelope = [event[name] for name in ENVELOPE]
        quoted = re.search(rb'"id"\s*:\s*"', line)
    except (ValueError, KeyError, TypeError):
        return None
    data = event.get("data")
    if not (quoted and isinstance(data, dict) and all(isinstance(text, str) for text in envelope)):
        return None
    path = values.get(event["type"])
    return [*envelope, at(data, path) if path else "1", *(data.get(name, "") for name in dimensions)]


def write(events, catalog, directory):
    """(events, catalog) as CSV below `directory`."""
    meters = task.yaml(catalog / "meters.yaml")["meters"]
    values = {meter.get("event_type", meter["name"]): meter.get("value") for meter in meters}
    dimensions = sorted({name for meter in meters for name in meter.get("dimensions", [])})
    made = directory / "catalog-csv"
    shutil.copytree(catalog, made)
    text = (made / "meters.yaml").read_text(encoding="utf-8")
    (made / "meters.yaml").write_text(re.sub(r"value: [\w.]+", "value: value", text), encoding="utf-8")
    (made / "sources.yaml").write_text(sources_yaml(dimensions), encoding="utf-8")
    path = directory / "usage.csv"
    with open(events, "rb") as source, open(path, "w", newline="", encoding="utf-8", buffering=1 << 20) as target:
        out = csv.writer(target, lineterminator="\n")
        out.writerow([*ENVELOPE, "value", *dimensions])
        for line in source:
            row = row_of(line, values, dimensions)
            if row is not None:
                out.writerow(row)
    return path, made
