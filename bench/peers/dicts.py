"""The billing task as one would write it in an afternoon: the standard library, dictionaries, whole numbers.

usage: dicts.py EVENTS TASK_DIRECTORY THREADS (one is used)
"""

import csv
import datetime
import json
import pathlib
import sys
import time


def millionths(text):
    """A number's text in millionths, exactly; None when it has more decimals."""
    whole, _, decimals = text.partition(".")
    decimals = decimals.rstrip("0")
    if len(decimals) > 6 or "e" in text or "E" in text:
        return None
    return int(whole + decimals.ljust(6, "0"))


class Meter:
    def __init__(self, row):
        self.cell, self.conditions, self.aggregation = row["cell"], row["conditions"], row["aggregation"]
        self.path = row["value"] and row["value"].split(".")

    def read(self, data):
        """(cell, value in millionths), or None when it is no usage."""
        if not isinstance(data, dict):
            return None
        value = 1_000_000
        if self.path:
            found = data
            for name in self.path:
                found = found.get(name) if isinstance(found, dict) else None
            # Numbers come as their text in a list of one, so that "12" and 12 differ; see read_number.
            value = millionths(found[0]) if isinstance(found, list) and len(found) == 1 else None
            if value is None or value < 0:
                return None
        cell = self.cell
        for bit, (name, text) in enumerate(self.conditions):
            if data.get(name) == text:
                cell += 1 << bit
        return cell, value


def read_number(text):
    return [text]


def absorb(path, task):
    """({(subject, cell, span): [events, sum, largest, (time, value)]}, accepted, duplicate, conflict)"""
    meters = {row["type"]: Meter(row) for row in task["meters"]}
    cuts = [(datetime.datetime.fromisoformat(row["to"] + "T00:00:00+00:00"), row["span"]) for row in task["spans"]]
    decode = json.JSONDecoder(parse_float=read_number, parse_int=read_number).decode
    parse_time = datetime.datetime.fromisoformat
    seen, totals, duplicate, conflict = {}, {}, 0, 0
    with open(path, "rb") as file:
        for line in file:
            try:
                event = decode(line.decode())
                at = parse_time(event["time"])
                meter = meters.get(event["type"])
                identity, source, subject = event["id"], event["source"], event["subject"]
                read = meter and meter.read(event["data"])
            except (ValueError, KeyError, TypeError):
                continue
            if not (read and identity and source and subject and at.tzinfo) or type(identity) is not str:
                continue
            cell, value = read
            content = hash((cell, subject, at, value))
            first = seen.setdefault((source, identity), content)
            # The same object only when this is the first arrival.
            if first is not content:
                if first == content:
                    duplicate += 1
                else:
                    conflict += 1
                continue
            span = next((number for cut, number in cuts if at < cut), None)
            total = totals.get((subject, cell, span))
            if total is None:
                totals[subject, cell, span] = [1, value, value, (at, value)]
            else:
                total[0] += 1
                total[1] += value
                total[2] = max(total[2], value)
                total[3] = max(total[3], (at, value))
    return totals, len(seen), duplicate, conflict


def worth(charge, quantity):
    b = max(quantity - int(charge["included"]), 0)
    if charge["model"] == "package":
        return -(-b // int(charge["package"])) * 1_000_000 * int(charge["tiers"][0]["price"])
    total = 0
    for tier in charge["tiers"]:
        above, price, flat = int(tier["above"]), int(tier["price"]), int(tier["flat"])
        up_to = b if tier["up_to"] is None else int(tier["up_to"])
        if b <= above:
            continue
        if charge["model"] == "volume":
            if b <= up_to:
                total += b * price + flat
        else:
            total += (min(b, up_to) - above) * price + flat
    return total


def bill(totals, task, directory):
    """({journal: minor units}, unattributed events)"""
    taker = {(row["plan"], row["cell"]): row for row in task["cells"]}
    month = {row["span"]: row["month"] for row in task["spans"]}
    versions = {}
    with open(directory / "subscribers.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for span in range(int(row["first_span"]), int(row["last_span"]) + 1):
                versions[row["subject"], span] = (int(row["plan"]), int(row["journal"]))
    quantities, unattributed = {}, 0
    for (subject, cell, span), (events, added, largest, latest) in totals.items():
        version = versions.get((subject, span))
        if version is None:
            unattributed += events
            continue
        row = taker.get((version[0], cell))
        if row is None:
            continue
        key = subject, version[1], row["charge"], month[span]
        if row["aggregation"] == "max":
            quantities[key] = max(quantities.get(key, 0), largest)
        elif row["aggregation"] == "latest":
            quantities[key] = max(quantities.get(key, latest), latest)
        else:
            quantities[key] = quantities.get(key, 0) + added
    digits = task["value_digits"] + task["price_digits"]
    units = {row["journal"]: 10 ** (digits - row["digits"]) for row in task["journals"]}
    amounts = dict.fromkeys(units, 0)
    for (_, journal, charge, _), quantity in quantities.items():
        exact = worth(task["charges"][charge], quantity[1] if isinstance(quantity, tuple) else quantity)
        amounts[journal] += (exact + units[journal] // 2) // units[journal]
    return amounts, unattributed


def main(path, directory):
    start = time.monotonic()
    task = json.loads((directory / "task.json").read_text(encoding="utf-8"))
    totals, accepted, duplicate, conflict = absorb(path, task)
    amounts, unattributed = bill(totals, task, directory)
    print(json.dumps({"accepted": accepted, "duplicate": duplicate, "conflict": conflict, "unattributed": unattributed,
                      "totals": {f"{row['entity']} {row['currency']}": str(amounts[row["journal"]])
                                 for row in task["journals"]}, "seconds": time.monotonic() - start}))


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
