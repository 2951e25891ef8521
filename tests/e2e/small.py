"""A catalog small enough to work out its bill in one's head, and events for it."""

import json

# For book.yaml: the book keeps what it reads.
USAGE_LOG = "usage_log: true\n"
CALLS = 'meters:\n  - {name: api.calls, aggregation: sum, value: calls, dimensions: [region]}\n'
PRICE = "model: per_unit, price: 0.01"


def files(charge=PRICE, meters=CALLS, charges="", subscriptions=("s1",), summary="daily", starts="2025-01-01", more=""):
    """One legal entity, one plan, one charge for api.calls; what is given replaces a part, and `more` ends book.yaml."""
    rows = "".join(f"{name},{name},basic,acme-us,USD,{starts},\n" for name in subscriptions)
    return {
        "book.yaml": "name: small\nzone: UTC\n" + more,
        "entities.yaml": "entities:\n  - {name: acme-us, functional_currency: USD}\n",
        "chart.yaml": 'accounts:\n  - {code: "1200", name: Unbilled receivable, type: asset}\n'
                      '  - {code: "4000", name: Usage revenue, type: revenue}\n',
        "meters.yaml": meters,
        "plans.yaml": "plans:\n  - name: basic\n    currency: USD\n    charges:\n"
                      "      - {name: calls, meter: api.calls, product: api, " + charge + "}\n" + charges,
        "posting.yaml": 'posting:\n  - {debit: "1200", credit: "4000", summary: ' + summary + "}\n",
        "subscriptions.csv": "subscription,account,plan,entity,currency,valid_from,valid_to\n" + rows,
    }


def write_catalog(directory, **parts):
    """Writes the catalog there, over the one before."""
    directory.mkdir(exist_ok=True)
    for name, text in files(**parts).items():
        (directory / name).write_text(text, encoding="utf-8")
    return directory


def event(number, calls=1, subject="s1", time="2025-01-05T12:00:00Z", meter="api.calls", source="test", **data):
    """One usage event as a line, without its end."""
    return json.dumps({"id": str(number), "source": source, "type": meter, "subject": subject, "time": time,
                       "data": {"calls": calls, **data}}, separators=(",", ":")).encode()


def lines(*events):
    return b"".join(line + b"\n" for line in events)
