"""Billing systems on the loopback, as far as usage is told to them: each with its own memory of keys, and its own words
for what it has seen or will not take. Faults as in fault_server.py; the kind is "usage", the key the item's own.
"""

import base64
import calendar
import collections
import json
import re
import time
import urllib.parse

import fault_server

DAY = 86_400
LYING_200 = b'{"object":"list","data":[]}'


class Billing(fault_server.Server):
    """`told`: what was taken: key -> (customer, code, seconds, quantity as text)."""

    def __init__(self, key, faults=None):
        super().__init__(faults=faults)
        self.api_key = key
        self.told = {}
        self.lying = lambda key, count: False

    def serve(self, handler, body):
        if not self.authorised(handler.headers.get("Authorization", "")):
            return self.answer(handler, 401, b'{"error":{"message":"no such key"}}')
        path, _, query = handler.path.partition("?")
        return self.serve_body(handler, handler.command, urllib.parse.unquote(path), body,
                               dict(urllib.parse.parse_qsl(query)))

    def serve_body(self, handler, method, path, body, query):
        fields = urllib.parse.parse_qs(body.decode(), strict_parsing=bool(body))
        return self.serve_form(handler, method, path, {name: values[0] for name, values in fields.items()}, query)

    def change(self, handler, key, make, in_part=None):
        """Plays the fault that is due for the item, around `make`: () -> (status, body); so is `in_part`, of some of the
        items."""
        fault = self.choose("usage", key)
        truth = []

        def carry_out():
            with self.lock:
                truth.append(make())

        if fault == "lying_200":
            return self.answer(handler, 200, LYING_200)
        if fault in fault_server.BULK:
            with self.lock:
                return self.answer(handler, *in_part())
        self.play(handler, fault, carry_out, lambda: truth[0])

    def sums(self):
        """(customer, code) -> what all that was taken adds up to, in thousandths."""
        sums = collections.Counter()
        for customer, code, _, quantity in self.told.values():
            sums[(customer, code)] += thousandths(quantity)
        return {place: amount for place, amount in sums.items() if amount}


def thousandths(text):
    whole, _, fraction = text.lstrip("-").partition(".")
    return (-1 if text.startswith("-") else 1) * int(whole + fraction.ljust(3, "0")[:3])


class Stripe(Billing):
    """Meter events: an identifier is taken once, and said to be there the second time."""

    EVENTS = ("api_calls", "eu_calls")

    def authorised(self, header):
        return header == "Bearer " + self.api_key

    def serve_form(self, handler, method, path, form, query):
        meter = re.fullmatch(r"/v1/billing/meters/mtr_([12])/event_summaries", path)
        if method == "GET" and meter:
            return self.answer(handler, 200, self.summary(self.EVENTS[int(meter[1]) - 1], query))
        if (method, path) != ("POST", "/v1/billing/meter_events"):
            return self.answer(handler, 404, b"{}")
        self.change(handler, form.get("identifier", ""), lambda: self.take(form))

    def summary(self, name, query):
        begin, end = int(query["start_time"]), int(query["end_time"])
        if begin % 60 or end % 60:
            self.problems.append(f"{begin} to {end} is not of whole minutes")
        with self.lock:
            total = sum(int(value) for customer, event, seconds, value in self.told.values()
                        if (customer, event) == (query["customer"], name) and begin <= seconds < end)
        return json.dumps({"object": "list", "url": "/v1/billing/meters", "has_more": False,
                           "data": [{"object": "billing.meter_event_summary", "aggregated_value": total}]}).encode()

    def take(self, form):
        expected = {"event_name", "identifier", "timestamp", "payload[stripe_customer_id]", "payload[value]"}
        if set(form) != expected:
            self.problems.append("fields: %s" % sorted(form))
        key, seconds = form["identifier"], int(form["timestamp"])
        if form["event_name"] not in self.EVENTS:
            return 400, self.error("No active meter found for event name %s." % form["event_name"])
        if not re.fullmatch(r"-?\d+", form["payload[value]"]) or len(key) > 100:
            return 400, self.error("Invalid value.")
        if not time.time() - 35 * DAY <= seconds <= time.time() + 300:
            self.problems.append("a timestamp out of its window")
            return 400, self.error("The timestamp must be within the past 35 days.")
        if key in self.told:
            return 400, self.error("An event already exists with identifier %s." % key)
        self.told[key] = (form["payload[stripe_customer_id]"], form["event_name"], seconds, form["payload[value]"])
        return 200, json.dumps({"object": "billing.meter_event", "identifier": key, "event_name": form["event_name"],
                                "created": int(time.time()), "livemode": False, "timestamp": seconds,
                                "payload": {"value": form["payload[value]"]}}).encode()

    @staticmethod
    def error(message):
        return json.dumps({"error": {"type": "invalid_request_error", "message": message}}).encode()


class Chargebee(Billing):
    """Usage records: one a subscription, item price and date; an id is taken once."""

    def __init__(self, key, faults=None):
        super().__init__(key, faults)
        self.notes = {}

    def authorised(self, header):
        return header == "Basic " + base64.b64encode((self.api_key + ":").encode()).decode()

    def serve_form(self, handler, method, path, form, query):
        if (method, path) == ("GET", "/usages"):
            begin, end = json.loads(query["usage_date[between]"])
            with self.lock:
                found = [{"usage": self.usage(key)} for key, (customer, code, seconds, _) in self.told.items()
                         if customer == query["subscription_id[is]"] and code == query["item_price_id[is]"] and
                         begin <= seconds <= end]
            return self.answer(handler, 200, json.dumps({"list": found}).encode())
        match = re.fullmatch(r"/subscriptions/([^/]+)/(usages|delete_usage)", path)
        if method != "POST" or not match:
            return self.answer(handler, 404, b"{}")
        make = self.take if match[2] == "usages" else self.delete
        self.change(handler, form["id"], lambda: make(match[1], form))

    def usage(self, key):
        customer, code, seconds, quantity = self.told[key]
        return {"id": key, "subscription_id": customer, "item_price_id": code, "usage_date": seconds,
                "quantity": quantity, "note": self.notes[key]}

    def take(self, customer, form):
        key, place = form["id"], (customer, form["item_price_id"], int(form["usage_date"]))
        if not re.fullmatch(r"\d+(\.\d+)?", form["quantity"]) or len(key) > 50:
            return 400, self.error("quantity", "is invalid")
        if key in self.told:
            return 400, self.error("id", "The value %s is already present." % key)
        if place in [there[:3] for there in self.told.values()]:
            self.problems.append("a second record of one date")
            return 400, self.error("usage_date", "has a usage already")
        self.told[key] = (*place, form["quantity"])
        self.notes[key] = form["note"]
        return 200, json.dumps({"usage": self.usage(key)}).encode()

    def delete(self, customer, form):
        if form["id"] not in self.told:
            return 404, self.error("id", "not found")
        usage = self.usage(form["id"])
        del self.told[form["id"]]
        return 200, json.dumps({"usage": usage}).encode()

    @staticmethod
    def error(param, message):
        return json.dumps({"message": message, "type": "invalid_request", "api_error_code": "param_wrong_value",
                           "param": param}).encode()


class Maxio(Billing):
    """Events of a stream, in bulk: a token that was seen is dropped without a word; all of a request, or none of it."""

    STREAMS = ("api_calls", "eu_calls")

    def __init__(self, key, faults=None):
        super().__init__(key, faults)
        self.refused = set()  # subscriptions

    def authorised(self, header):
        return header == "Basic " + base64.b64encode((self.api_key + ":x").encode()).decode()

    def serve_body(self, handler, method, path, body, query):
        match = re.fullmatch(r"/events/([^/]+)/bulk\.json", path)
        if method != "POST" or not match:
            return self.answer(handler, 404, b"{}")
        events = json.loads(body, parse_float=str, parse_int=str)
        key = events[0]["chargify"]["uniqueness_token"]
        self.change(handler, key, lambda: self.take(match[1], events), lambda: self.take_in_part(match[1], events))

    def take_in_part(self, stream, events):
        """Some are taken, and all are refused as one."""
        self.take(stream, events[::2])
        return 422, b'{"errors":["some are not taken"]}'

    def take(self, stream, events):
        if stream not in self.STREAMS:
            return 404, b'{"errors":["no such stream"]}'
        if len(events) > 1000 or any(
                event["chargify"].get("subscription_reference") in self.refused for event in events):
            return 422, b'{"errors":["an event is not taken"]}'
        for event in events:
            chargify = event["chargify"]
            key = chargify["uniqueness_token"]
            if len(key) > 64 or set(event) != {"chargify", "quantity"}:
                self.problems.append("a token or members: %s" % sorted(event))
            seconds = int(calendar.timegm(time.strptime(chargify["timestamp"], "%Y-%m-%dT%H:%M:%SZ")))
            if key not in self.told:
                self.told[key] = (chargify["subscription_reference"], stream, seconds, event["quantity"])
        return 201, b""


class Zuora(Billing):
    """Usage records: as many of a key as are sent, but that an Idempotency-Key is answered as the first time."""

    FIELDS = {"AccountNumber", "SubscriptionNumber", "UOM", "Quantity", "StartDateTime", "Description"}

    def __init__(self, key, faults=None):
        super().__init__(key, faults)
        self.answers = {}  # Idempotency-Key -> (body, answer); `clear()` is a day later
        self.refused = set()  # units of measure that no charge has

    def authorised(self, header):
        return header == "Bearer " + self.api_key

    def serve_body(self, handler, method, path, body, query):
        usage = json.loads(body, parse_float=str, parse_int=str)
        if (method, path) == ("POST", "/v1/action/query"):
            key = re.fullmatch("select Id, Quantity from Usage where UniqueKey__c = '([^']*)'", usage["queryString"])[1]
            with self.lock:
                found = [{"Id": "u-" + there, "Quantity": json.loads(self.told[there][3])}
                         for there in self.told if there.split("#")[0] == key]
            return self.answer(handler, 200, json.dumps({"size": len(found), "done": True, "records": found}).encode())
        if (method, path) != ("POST", "/v1/object/usage"):
            return self.answer(handler, 404, b"{}")
        key = handler.headers["Idempotency-Key"]
        self.change(handler, key, lambda: self.once(key, body, usage))

    def once(self, key, body, usage):
        if key not in self.answers:
            self.answers[key] = (body, self.take(key, usage))
        first, answer = self.answers[key]
        return answer if first == body else (422, b'{"success":false}')

    def take(self, key, usage):
        field = usage.pop("UniqueKey__c", key)
        if set(usage) != self.FIELDS or field != key or usage["Description"] != key:
            self.problems.append("members: %s" % sorted(usage))
        if not re.fullmatch(r"-?\d+(\.\d+)?", usage["Quantity"]) or usage["AccountNumber"] != "A-" + usage[
                "SubscriptionNumber"]:
            self.problems.append("a quantity or an account: %s" % usage)
        if usage["UOM"] in self.refused:
            return 400, b'{"Success":false,"Errors":[{"Code":"INVALID_VALUE","Message":"The UOM is invalid."}]}'
        seconds = calendar.timegm(time.strptime(usage["StartDateTime"], "%Y-%m-%dT%H:%M:%S.000+00:00"))
        again = key + "#2" if key in self.told else key  # nothing there drops it
        self.told[again] = (usage["SubscriptionNumber"], usage["UOM"], seconds, usage["Quantity"])
        return 200, json.dumps({"Success": True, "Id": "u-" + again}).encode()
