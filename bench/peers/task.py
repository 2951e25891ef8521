"""The billing task as plain rows, so that every peer can do it in its own language: meters, cells, charges, tiers.

A cell is a meter together with which of the catalog's filter conditions hold. So grouping by subscription, cell and
month is all the grouping that any charge needs, and which charge takes a cell is known before the first event is read.

Reads the catalog that `tollbook generate --catalog-out` writes. That is a small, regular part of YAML (one entry a
line, two spaces a level, short maps in braces), and this is a reader of that part only: it refuses what it does not
know.
"""

import csv
import datetime
import itertools
import json
import pathlib
import re
import sys
from decimal import Decimal

MINOR_DIGITS = {"USD": 2, "EUR": 2, "JPY": 0}
VALUE_DIGITS = 6  # of every metered value: peers count in millionths
PRICE_DIGITS = 12  # of a price for one unit


def flow(text):
    """`{a: 1, b: {c: d}}`, `[a, b]` or a scalar."""
    tokens = re.findall(r'"[^"]*"|[{}\[\],]|[^{}\[\],:"\s][^{}\[\],:]*|:', text)

    def value():
        token = tokens.pop(0)
        if token == "{":
            made = {}
            while tokens[0] != "}":
                key = tokens.pop(0).strip()
                if tokens.pop(0) != ":":
                    raise ValueError(text)
                made[key] = value()
                if tokens[0] == ",":
                    tokens.pop(0)
            tokens.pop(0)
            return made
        if token == "[":
            made = []
            while tokens[0] != "]":
                made.append(value())
                if tokens[0] == ",":
                    tokens.pop(0)
            tokens.pop(0)
            return made
        return token.strip().strip('"')

    made = value()
    if tokens:
        raise ValueError(f"not the YAML that the generator writes: {text}")
    return made


def block(lines, indent):
    """The lines at `indent` and deeper, taken off the front of `lines`."""
    made = None
    while lines and lines[0][0] >= indent:
        depth, text = lines[0]
        if depth != indent:
            raise ValueError(f"not the YAML that the generator writes: {text}")
        if text.startswith("- "):
            made = [] if made is None else made
            rest = text[2:]
            if rest.startswith("{"):
                lines.pop(0)
                made.append(flow(rest))
            else:
                lines[0] = (indent + 2, rest)
                made.append(block(lines, indent + 2))
        else:
            made = {} if made is None else made
            key, _, rest = text.partition(":")
            lines.pop(0)
            made[key] = flow(rest.strip()) if rest.strip() else block(lines, indent + 2)
    return made


def yaml(path):
    text = path.read_text(encoding="utf-8")
    lines = [(len(line) - len(line.lstrip()), line.strip()) for line in text.splitlines() if line.strip()]
    return block(lines, 0)


def whole(value, digits):
    scaled = Decimal(value) * 10**digits
    if scaled != int(scaled):
        raise ValueError(f"{value} has more than {digits} decimals")
    return int(scaled)


def tiers_of(charge):
    """(above, up_to or None, price of a unit, flat): quantities, prices and amounts at their scales."""
    if charge["model"] in ("per_unit", "package"):
        steps = [{"price": charge["price"]}]
    else:
        steps = charge["tiers"]
    per = Decimal(charge.get("per", 1))
    above, made = 0, []
    for step in steps:
        up_to = whole(step["up_to"], VALUE_DIGITS) if "up_to" in step else None
        made.append({"above": str(above), "up_to": None if up_to is None else str(up_to),
                     "price": str(whole(Decimal(step["price"]) / per, PRICE_DIGITS)),
                     "flat": str(whole(step.get("flat", 0), VALUE_DIGITS + PRICE_DIGITS))})
        above = up_to
    return made


def conditions_of(meter, plans):
    """The (dimension, value) pairs that a filter on this meter names, in a fixed order."""
    found = {pair for plan in plans for charge in plan["charges"] if charge["meter"] == meter["name"]
             for pair in charge.get("filter", {}).items()}
    return sorted(found)


def taker(plan, meter, held):
    """The charge that takes usage for which the conditions `held` hold: the one whose filter names most."""
    fits = [charge for charge in plan["charges"]
            if charge["meter"] == meter["name"] and set(charge.get("filter", {}).items()) <= set(held)]
    return max(fits, key=lambda charge: len(charge.get("filter", {})), default=None)


def task_of(catalog):
    plans = yaml(catalog / "plans.yaml")["plans"]
    meters, charges, cells, number = [], [], [], {}
    for plan in plans:
        for charge in plan["charges"]:
            number[plan["name"], charge["name"]] = len(charges)
            charges.append({"charge": len(charges), "model": charge["model"],
                            "included": str(whole(charge.get("included", 0), VALUE_DIGITS)),
                            "package": str(whole(charge.get("package_size", 1), VALUE_DIGITS)),
                            "tiers": tiers_of(charge)})
    next_cell = 1
    for meter in yaml(catalog / "meters.yaml")["meters"]:
        conditions = conditions_of(meter, plans)
        meters.append({"type": meter.get("event_type", meter["name"]), "aggregation": meter["aggregation"],
                       "value": meter.get("value"), "dimensions": meter.get("dimensions", []),
                       "conditions": conditions, "cell": next_cell})
        for bits in itertools.product((0, 1), repeat=len(conditions)):
            held = [pair for pair, bit in zip(conditions, bits) if bit]
            cell = next_cell + sum(bit << i for i, bit in enumerate(bits))
            for plan_number, plan in enumerate(plans):
                charge = taker(plan, meter, held)
                if charge is not None:
                    cells.append({"plan": plan_number, "cell": cell, "aggregation": meter["aggregation"],
                                  "charge": number[plan["name"], charge["name"]]})
        next_cell += 1 << len(conditions)
    return {"meters": meters, "charges": charges, "cells": cells, "plans": [plan["name"] for plan in plans]}


def spans_of(versions, first, last):
    """[from, to) dates in which no subscription and no month begins or ends, over the months of `first` to `last`."""
    cuts, month = set(), first.replace(day=1)
    while month <= last:
        cuts.add(month)
        month = (month + datetime.timedelta(days=31)).replace(day=1)
    end = month
    for row in versions:
        for text in (row["valid_from"], row["valid_to"]):
            if text and min(cuts) < datetime.date.fromisoformat(text) < end:
                cuts.add(datetime.date.fromisoformat(text))
    ordered = sorted(cuts) + [end]
    return list(zip(ordered, ordered[1:]))


def write(catalog, directory, first, last):
    """In `directory`: task.json, and subscribers.csv with a row for each version of a subscription that can have usage
    from `first` to `last`: subject and its number, plan, journal, and the spans in which it holds."""
    task = task_of(catalog)
    with open(catalog / "subscriptions.csv", newline="", encoding="utf-8") as source:
        versions = list(csv.DictReader(source))
    spans = spans_of(versions, first, last)
    journals, numbers = {}, {}
    with open(directory / "subscribers.csv", "w", newline="", encoding="utf-8") as target:
        out = csv.writer(target, lineterminator="\n")
        out.writerow(["sid", "subject", "plan", "journal", "first_span", "last_span"])
        for row in versions:
            start, end = row["valid_from"], row["valid_to"] or "9999-12-31"
            held = [number for number, (begin, _) in enumerate(spans) if start <= begin.isoformat() < end]
            if not held:
                continue
            subject = row.get("subject") or row["subscription"]
            out.writerow([numbers.setdefault(subject, len(numbers) + 1), subject, task["plans"].index(row["plan"]),
                          journals.setdefault((row["entity"], row["currency"]), len(journals)), held[0], held[-1]])
    task["journals"] = [{"journal": number, "entity": entity, "currency": currency, "digits": MINOR_DIGITS[currency]}
                        for (entity, currency), number in journals.items()]
    task["spans"] = [{"span": number, "from": begin.isoformat(), "to": end.isoformat(),
                      "month": begin.year * 12 + begin.month - 1} for number, (begin, end) in enumerate(spans)]
    task["value_digits"] = VALUE_DIGITS
    task["price_digits"] = PRICE_DIGITS
    (directory / "task.json").write_text(json.dumps(task, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), datetime.date.fromisoformat(sys.argv[3]),
          datetime.date.fromisoformat(sys.argv[4]))
