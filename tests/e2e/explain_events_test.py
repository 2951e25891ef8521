"""Explain goes down to single events: their shares come to the line, whatever the file; and says why when it cannot."""

import decimal
import gzip
import json
import pathlib
import random
import shutil
import subprocess

import book
import small

D = decimal.Decimal
SEED = 20250131
FIRST_LOOK = book.REPOSITORY / "data" / "first-look"


def write_feed(path):
    """Calls per minute, as the catalog of the first look maps them: more than are included, on two days."""
    path.write_text("tenant;t;per_minute;minutes;region\n" + "".join(
        f"s1;{86400 * (3 + row % 2) + 977 * row % 80000};{100 + row}.25;{row % 7 + 1};eu\n" for row in range(40)))
    return path


class Explained(book.Case):
    def lines_of(self, bill):
        return sorted({(row["batch_id"] + "/" + row["line"], D(row["debit"]) or D(row["credit"]))
                       for row in bill.postings()})

    def explain(self, bill, line, *flags):
        return bill.explain(line, "--limit", "100000", "--events", "--event-limit", "100000", *flags)

    def assert_events_come_to(self, found, amount):
        """How many events there are."""
        count = 0
        self.assertEqual(abs(sum(D(charge["difference"]) for charge in found["charges"])), amount)
        for charge in found["charges"]:
            if not charge["rated"] or charge["kind"] != "usage":
                continue
            events = charge["events"]
            own = [] if events["by_day"] else events["shown"]
            shares = sum((D(part["share"]) for part in own + events["days"]), D(0))
            self.assertEqual(len(events["shown"]), events["count"])
            self.assertEqual(shares + D(events["at_period_end"]), D(events["sum"]))
            self.assertEqual(D(events["sum"]) + D(events["rounding"]) - D(charge["booked_before"]),
                             D(charge["difference"]))
            self.assertEqual(events["count"], sum(origin["events"] for origin in charge["origins"]))
            places = [(event["path"], event["line"], event["part"]) for event in events["shown"]]
            self.assertEqual(len(set(places)), len(places))
            count += events["count"]
        return count

    def refuse(self, bill, line, *words):
        done = book.tollbook("explain", "--books", bill.directory, line, "--events", expect=1)
        self.assertEqual(done.stdout, b"")
        self.assert_message(done.stderr, *words)
        bill.explain(line)  # the arithmetic needs no source


class Files(Explained):
    def test_generated_usage_in_files_of_each_kind(self):
        usage, catalog, _ = book.generate(self.scratch, "4k", "--subscriptions", "30", "--conflicts", "5000",
                                          "--redelivered-within", "500")
        events = usage.read_bytes().splitlines(keepends=True)
        chance = random.Random(SEED)
        packed = self.scratch / "packed"
        packed.mkdir()
        pieces = [events[:1000], events[1000:2000], events[2000:]]
        (packed / "a.ndjson").write_bytes(b"".join(pieces[0]))
        (packed / "b.ndjson.gz").write_bytes(gzip.compress(b"".join(pieces[1])))
        last = packed / "c.ndjson"
        last.write_bytes(b"".join(pieces[2]))
        if shutil.which("zstd"):
            subprocess.run(["zstd", "-q", "--rm", str(last)], check=True)
        bill = book.Book(self.scratch / "book", catalog)
        report = bill.run(packed, "--epoch-bytes", "100000", "--block-bytes", "20000")
        self.assertGreater(report["duplicate"], 20)
        self.assertGreater(report["conflict"], 5)
        lines = self.lines_of(bill)
        seen = sum(self.assert_events_come_to(self.explain(bill, line), amount)
                   for line, amount in chance.sample(lines, 25))
        self.assertGreater(seen, 100)

    def test_rows_of_csv_are_found_again(self):
        bill = book.Book(self.scratch / "book", FIRST_LOOK / "catalog")
        feed = write_feed(self.scratch / "calls_jan.csv")
        bill.run(feed)
        rows = feed.read_text().splitlines()
        events = 0
        for line, amount in self.lines_of(bill):
            found = self.explain(bill, line)
            events += self.assert_events_come_to(found, amount)
            for charge in found["charges"]:
                for event in charge["events"]["shown"]:
                    self.assertEqual(event["id"], f"calls_jan.csv:{event['line'] - 1}")
                    per_minute, minutes = (D(rows[event["line"] - 1].split(";")[rows[0].split(";").index(name)])
                                           for name in ("per_minute", "minutes"))
                    self.assertEqual(D(event["value"]), per_minute * minutes)
        self.assertEqual(events, len(rows) - 1)

    def test_usage_that_was_held_first_is_found(self):
        catalog = small.write_catalog(self.scratch / "catalog")
        bill = book.Book(self.scratch / "book", catalog)
        usage = self.scratch / "usage.ndjson"
        usage.write_bytes(small.lines(small.event(1, 5), small.event(2, 7, meter="mails")))
        bill.run(usage)
        small.write_catalog(catalog, meters=small.CALLS + "  - {name: mails, aggregation: sum, value: calls}\n",
                            charges="      - {name: mails, meter: mails, product: mail, model: per_unit, price: 1}\n")
        bill.retry()
        bill.seal()
        (line, amount), = [(line, amount) for line, amount in self.lines_of(bill) if amount == 7]
        found = self.explain(bill, line)
        self.assertEqual(self.assert_events_come_to(found, amount), 1)
        self.assertEqual(found["charges"][0]["events"]["shown"][0]["line"], 2)


class Told(Explained):
    def setUp(self):
        super().setUp()
        self.bill = book.Book(self.scratch / "book", small.write_catalog(self.scratch / "catalog"))
        self.usage = self.scratch / "usage.ndjson"
        self.usage.write_bytes(small.lines(*(small.event(n, n) for n in range(1, 31))))

    def test_a_pipe_cannot_be_read_again(self):
        with open(self.usage, "rb") as usage:
            self.bill.run("-", stdin=usage)
        (line, _), = self.lines_of(self.bill)
        self.refuse(self.bill, line, "pipe", "-", "leave out --events")

    def test_a_source_that_is_gone_or_changed_is_named(self):
        self.bill.run(self.usage)
        (line, _), = self.lines_of(self.bill)
        before = self.usage.read_bytes()
        self.usage.write_bytes(before.replace(b":12}", b":21}"))
        self.refuse(self.bill, line, "was changed", str(self.usage), "put it back")
        self.usage.unlink()
        self.refuse(self.bill, line, "is gone", str(self.usage), "put it back")
        self.usage.write_bytes(before)
        self.assertEqual(self.assert_events_come_to(self.explain(self.bill, line), D("4.65")), 30)

    def test_a_feed_that_is_mapped_otherwise_now_is_read_as_it_was(self):
        """The book keeps the mapping with each seal; one that it never sealed with is not there to be found."""
        catalog = self.scratch / "mapped"
        shutil.copytree(FIRST_LOOK / "catalog", catalog)
        bill = book.Book(self.scratch / "mapped-book", catalog)
        feed = write_feed(self.scratch / "calls_jan.csv")
        bill.run(feed)
        line, amount = self.lines_of(bill)[0]
        sources = catalog / "sources.yaml"
        sources.write_text(sources.read_text().replace("{file}:{row}", "{row}"))
        plans = catalog / "plans.yaml"
        plans.write_text(plans.read_text().replace("included: 1000", "included: 0"))
        bill.seal()
        self.assertGreater(len(self.lines_of(bill)), 1)
        for line, amount in self.lines_of(bill):
            self.assertGreater(self.assert_events_come_to(self.explain(bill, line), amount), 0)

    def test_people_see_rows_that_add_up(self):
        self.bill.run(self.usage)
        (line, _), = self.lines_of(self.bill)
        text = self.bill.read("explain", line, "--events", "--event-limit", "2").decode()
        for words in ("30 events, in the order of time", "before", "per unit +1 ", "and 28 more", "+4.54", "rounding",
                      "difference"):
            self.assertIn(words, text)
        self.assertNotIn("in the order of time", self.bill.read("explain", line).decode())
        shown = json.loads(self.bill.read("explain", line, "--events", "--event-limit", "0", "--json"))
        events = shown["charges"][0]["events"]
        self.assertEqual((events["shown"], events["more"], events["more_share"]), ([], 30, "4.65"))


class BehindOthers(Explained):
    """What an event costs where usage of another plan, or what a grant paid, stands before it."""

    def test_a_plan_goes_on_where_the_one_before_left_the_tiers(self):
        goes_on = "model: graduated, on_amendment: continue, tiers: [{up_to: 100, price: %s}, {price: %s}]"
        pro = ("  - name: pro\n    currency: USD\n    charges:\n"
               "      - {name: calls, meter: api.calls, product: api, " + goes_on % ("0.08", "0.02") + "}\n")
        catalog = small.write_catalog(self.scratch / "catalog", charge=goes_on % ("0.10", "0.05"), charges=pro)
        (catalog / "subscriptions.csv").write_text(
            "subscription,account,plan,entity,currency,valid_from,valid_to\n"
            "s1,s1,basic,acme-us,USD,2025-01-01,2025-01-16\ns1,s1,pro,acme-us,USD,2025-01-16,\n")
        bill = book.Book(self.scratch / "book", catalog)
        usage = self.scratch / "usage.ndjson"
        usage.write_bytes(small.lines(
            small.event(1, 80, time="2025-01-10T08:00:00Z"), small.event(2, 15, time="2025-01-20T08:00:00Z"),
            small.event(3, 10, time="2025-01-20T09:00:00Z"), small.event(4, 25, time="2025-01-20T10:00:00Z")))
        bill.run(usage)
        line, = [line for line, amount in self.lines_of(bill) if amount == D("2.20")]
        found = self.explain(bill, line)
        self.assertEqual(self.assert_events_come_to(found, D("2.20")), 3)
        events = found["charges"][0]["events"]
        self.assertEqual((events["by_day"], events["days"]), (False, []))
        self.assertEqual([(event["id"], event["quantity_to_date"], event["position"], event["share"])
                          for event in events["shown"]],
                         [("2", "15", "95", "1.2"), ("3", "25", "105", "0.5"), ("4", "50", "130", "0.5")])
        self.assertEqual(events["shown"][1]["falls_in"], ["from 2025-01-16: tier 1 (up to 100) +5",
                                                          "from 2025-01-16: tier 2 (above 100) +5"])
        text = bill.read("explain", line, "--events").decode()
        self.assertNotIn("beside them", text)
        self.assertIn("+1.2", text)
        self.assertRegex(text, r"to date +position +falls in")
        self.assertRegex(text, r"10 +25 +105 +from")
        rows = json.loads(bill.read("charges", "--json"))  # of one name: the plan tells them apart
        self.assertEqual([(row["charge"], row["quantity"], row["plan"]) for row in rows],
                         [("calls", "50", "pro"), ("calls", "80", "basic")])

    def test_a_grant_pays_some_and_later_the_rest(self):
        catalog = small.write_catalog(self.scratch / "catalog", charge="model: per_unit, price: 0.10")
        (catalog / "unit_grants.csv").write_text(
            "grant,subscription,charge,units,starts,ends,voided,priority,refill,refill_on,reset,reset_on,rollover_min,"
            "rollover_max,pays_earlier,keeps_overage\n"
            "contract,s1,calls,500,2025-01-01,,,0,,,,,,,,\ntopup,s1,calls,500,2025-01-20,,,1,,,,,,,true,\n")
        bill = book.Book(self.scratch / "book", catalog)
        usage = self.scratch / "usage.ndjson"
        usage.write_bytes(small.lines(
            small.event(1, 450, time="2025-01-16T08:00:00Z"), small.event(2, 250, time="2025-01-16T09:00:00Z")))
        bill.run(usage, "--through", "2025-01-31")
        (paid, _), (rest, _) = self.lines_of(bill)
        found = self.explain(bill, paid)
        self.assertEqual(self.assert_events_come_to(found, D("20.00")), 2)
        self.assertEqual([event["share"] for event in found["charges"][0]["events"]["shown"]], ["0", "20"])
        events = self.explain(bill, rest)["charges"][0]["events"]
        self.assertEqual((events["count"], events["days"], events["sum"]),
                         (0, [{"day": "2025-01-20", "quantity_to_date": "700", "share": "-20"}], "-20"))
        self.assertIn("beside them", bill.read("explain", rest, "--events").decode())


class Positions(Explained):
    """Where the tiers stand that an event falls in, if that is not the line's quantity."""

    CELLS = ("model: matrix, %scells: [{when: {region: eu}, model: graduated, "
             "tiers: [{up_to: 10, price: 1}, {price: 0.5}]}], default: {price: 0.01}")

    def positions(self, bill, line, amount, text):
        """As (id, quantity to date, position); whether people see a column of them."""
        found = self.explain(bill, line)
        self.assert_events_come_to(found, amount)
        self.assertEqual("position" in bill.read("explain", line, "--events").decode(), text)
        return [(event["id"], event["quantity_to_date"], event["position"])
                for charge in found["charges"] for event in charge["events"]["shown"]]

    def book_of(self, *events, **catalog):
        bill = book.Book(self.scratch / "book", small.write_catalog(self.scratch / "catalog", **catalog))
        usage = self.scratch / "usage.ndjson"
        usage.write_bytes(small.lines(*events))
        bill.run(usage, "--through", "2025-01-31")
        return bill

    def test_a_cell_has_its_own(self):
        bill = self.book_of(small.event(1, 100, time="2025-01-04T08:00:00Z", region="us"),
                            small.event(2, 8, time="2025-01-05T08:00:00Z", region="eu"),
                            small.event(3, 50, time="2025-01-05T09:00:00Z", region="us"),
                            small.event(4, 5, time="2025-01-05T10:00:00Z", region="eu"), charge=self.CELLS % "")
        (line, _), (other, _) = self.lines_of(bill)
        self.assertEqual(self.positions(bill, line, D("1.00"), False), [("1", "100", "100")])
        self.assertEqual(self.positions(bill, other, D("12.00"), True),
                         [("2", "108", "8"), ("3", "158", "150"), ("4", "163", "13")])

    def test_a_bucket_has_its_own(self):
        bill = self.book_of(small.event(1, 8, time="2025-01-04T08:00:00Z"),
                            small.event(2, 8, time="2025-01-05T08:00:00Z"),
                            charge="model: graduated, per_bucket: day, tiers: [{up_to: 10, price: 1}, {price: 0.5}]")
        (_, _), (line, _) = self.lines_of(bill)
        self.assertEqual(self.positions(bill, line, D("8.00"), True), [("2", "16", "8")])

    def test_a_cell_goes_on_over_an_amendment(self):
        cells = self.CELLS % "on_amendment: continue, "
        pro = ("  - name: pro\n    currency: USD\n    charges:\n"
               "      - {name: calls, meter: api.calls, product: api, " + cells + "}\n")
        catalog = small.write_catalog(self.scratch / "catalog", charge=cells, charges=pro)
        (catalog / "subscriptions.csv").write_text(
            "subscription,account,plan,entity,currency,valid_from,valid_to\n"
            "s1,s1,basic,acme-us,USD,2025-01-01,2025-01-16\ns1,s1,pro,acme-us,USD,2025-01-16,\n")
        bill = book.Book(self.scratch / "book", catalog)
        usage = self.scratch / "usage.ndjson"
        usage.write_bytes(small.lines(small.event(1, 8, time="2025-01-10T08:00:00Z", region="eu"),
                                      small.event(2, 100, time="2025-01-10T09:00:00Z", region="us"),
                                      small.event(3, 4, time="2025-01-20T08:00:00Z", region="eu"),
                                      small.event(4, 20, time="2025-01-20T09:00:00Z", region="us")))
        bill.run(usage)
        (_, _), (line, _) = self.lines_of(bill)
        # 2 at 1.00 and 2 at 0.50, as 8 were used before; 20 at 0.01.
        self.assertEqual(self.positions(bill, line, D("3.20"), True), [("3", "4", "12"), ("4", "24", "120")])


class NothingDueAnyMore(Explained):
    """A line that only takes back what earlier seals booked for its days says so among its events."""

    def assert_taken_back(self, bill, line, plan, amount, by_day):
        charge, = [charge for charge in self.explain(bill, line)["charges"] if charge["plan"] == plan]
        events = charge["events"]
        self.assertEqual((charge["rated"], charge["difference"], charge["booked_before"]), (True, "-" + amount, amount))
        self.assertEqual((events["count"], events["shown"], events["days"], events["by_day"]), (0, [], [], by_day))
        self.assertEqual((events["sum"], events["rounding"]), ("0", "0"))
        text = bill.read("explain", line, "--events").decode()
        self.assertIn("nothing is due for that day any more", text)
        self.assertRegex(text, r"booked before +-" + amount.replace(".", r"\."))

    def test_a_change_of_plan_that_moved_the_usage_away(self):
        pro = ("  - name: pro\n    currency: USD\n    charges:\n"
               "      - {name: calls, meter: api.calls, product: api, model: per_unit, price: 0.03}\n")
        catalog = small.write_catalog(self.scratch / "catalog", charges=pro)
        bill = book.Book(self.scratch / "book", catalog)
        usage = self.scratch / "usage.ndjson"
        usage.write_bytes(small.lines(small.event(1, 100, time="2025-01-10T08:00:00Z"),
                                      small.event(2, 200, time="2025-01-20T08:00:00Z")))
        bill.run(usage)
        (catalog / "subscriptions.csv").write_text(
            "subscription,account,plan,entity,currency,valid_from,valid_to\n"
            "s1,s1,basic,acme-us,USD,2025-01-01,2025-01-16\ns1,s1,pro,acme-us,USD,2025-01-16,\n")
        bill.seal()
        (line, amount), = [(line, amount) for line, amount in self.lines_of(bill) if "-0002/" in line]
        self.assertEqual(self.assert_events_come_to(self.explain(bill, line), amount), 1)
        self.assert_taken_back(bill, line, "basic", "2.00", False)

    def test_a_level_that_was_another_with_no_event_that_day(self):
        meters = "meters:\n  - {name: api.calls, aggregation: weighted_sum, value: calls, dimensions: [region]}\n"
        bill = book.Book(self.scratch / "book", small.write_catalog(self.scratch / "catalog", meters=meters,
                                                                    charge="model: per_unit, price: 31"))
        usage = self.scratch / "usage.ndjson"
        usage.write_bytes(small.lines(small.event(1, 1, time="2025-01-29T00:00:00Z")))
        bill.run(usage, "--through", "2025-01-31")
        late = self.scratch / "late.ndjson"
        late.write_bytes(small.lines(small.event(2, -1, time="2025-01-30T00:00:00Z")))
        bill.run(late, "--through", "2025-01-31")
        lines = [(line, amount) for line, amount in self.lines_of(bill) if "-0002/" in line]
        self.assertEqual([amount for _, amount in lines], [1, 1])
        counts = [self.assert_events_come_to(self.explain(bill, line), amount) for line, amount in lines]
        self.assertEqual(counts, [1, 0])
        self.assert_taken_back(bill, lines[1][0], "basic", "1.00", True)


class TakenBack(Explained):
    """A day whose events were all voided says which, and by whom."""

    def void(self, *numbers):
        bill = book.Book(self.scratch / "book", small.write_catalog(self.scratch / "catalog"))
        usage = self.scratch / "usage.ndjson"
        usage.write_bytes(small.lines(small.event(1, 300, time="2025-01-05T12:00:00Z"),
                                      small.event(2, 400, time="2025-01-06T12:00:00Z")))
        bill.run(usage)
        voids = self.scratch / "voids.ndjson"
        originals = {1: (300, "2025-01-05T12:00:00Z"), 2: (400, "2025-01-06T12:00:00Z")}
        voids.write_bytes(small.lines(*(json.dumps({
            **json.loads(small.event(f"v{n}", originals[n][0], time=originals[n][1])), "voids": str(n)}).encode()
            for n in numbers)))
        bill.run(voids)
        return bill

    def assert_shown(self, bill, line, event, quantity, amount):
        found = self.explain(bill, line)
        charge, = found["charges"]
        self.assertEqual((charge["difference"], charge["kind"], charge["steps"] != []),
                         (amount, "usage", charge["quantity_to_date"] != "0"))
        shown, = charge["events"]["shown"]
        self.assertEqual((shown["id"], shown["value"], shown["voided_by"], shown["path"]),
                         (event, quantity, "v" + event, str(self.scratch / "usage.ndjson")))
        text = bill.read("explain", line, "--events").decode()
        self.assertIn(f"({quantity})", text)
        self.assertNotIn("charges it no more", text)
        return text

    def test_beside_a_day_that_is_still_used(self):
        self.assert_shown(self.void(2), "acme-us-USD-2025-01-0002/1", "2", "400", "-4.00")

    def test_where_nothing_is_left_of_the_period(self):
        bill = self.void(1, 2)
        for line, event, quantity, amount in (("1", "1", "300", "-3.00"), ("2", "2", "400", "-4.00")):
            text = self.assert_shown(bill, "acme-us-USD-2025-01-0002/" + line, event, quantity, amount)
            self.assertNotIn("  step", text)


class BothWorlds(Explained):
    DISCOUNT = ("discount,subscription,account,plan,charge,percent,amount,currency,product,starts_on,ends_on,order,"
                "reaches_back\nspring,s1,,,calls,10,,,coupons,2025-01-01,,,\n")

    def booked_twice(self, first, second, discounts=None):
        """The same usage, sealed by one catalog and by another."""
        catalog = small.write_catalog(self.scratch / "catalog", **first)
        if discounts:
            (catalog / "discounts.csv").write_text(discounts)
        bill = book.Book(self.scratch / "book", catalog)
        usage = self.scratch / "usage.ndjson"
        usage.write_bytes(small.lines(small.event(1, 300), small.event(2, 500, subject="s2")))
        bill.run(usage)
        small.write_catalog(catalog, **second)
        bill.seal()
        return bill

    def earlier_of_second_seal(self, bill):
        found = {}
        for line, _ in self.lines_of(bill):
            explained = bill.explain(line)
            if explained["seal"] == 2:
                found.update({(charge["subscription"], charge["charge"]): charge["earlier"]
                              for charge in explained["charges"]})
        return found

    def test_a_discount_of_which_only_the_price_changed(self):
        bill = self.booked_twice({}, {"charge": "model: per_unit, price: 0.02"}, self.DISCOUNT)
        world = self.earlier_of_second_seal(bill)["s1", "discount calls (coupons)"]
        self.assertEqual((world["worth"], world["worth_now"]), ("-0.30", "-0.60"))
        self.assertEqual(world["changed"], ["s1 calls in the period: then 3.00; now 6.00"])

    def test_usage_that_had_no_subscription_then(self):
        bill = self.booked_twice({}, {"subscriptions": ("s1", "s2")})
        world = self.earlier_of_second_seal(bill)["s2", "calls"]
        self.assertEqual((world["worth"], world["worth_now"], world["charges"]), ("0.00", "5.00", []))
        self.assertEqual(world["changed"], ["subscription s2: then none; now basic from 2025-01-01"])
        line, = [line for line, _ in self.lines_of(bill) if "-0002/" in line]
        self.assertIn("by the catalog of seal 1 nothing was due of it that day, and 5.00 now",
                      bill.read("explain", line).decode())

    def test_a_charge_that_the_plan_did_not_have_then(self):
        more = "      - {name: again, meter: mails, product: mail, model: per_unit, price: 1}\n"
        meters = small.CALLS + "  - {name: mails, aggregation: count, event_type: api.calls}\n"
        bill = self.booked_twice({"meters": meters}, {"meters": meters, "charges": more})
        world = self.earlier_of_second_seal(bill)["s1", "again"]
        self.assertEqual((world["worth"], world["worth_now"]), ("0.00", "1.00"))
        self.assertEqual(world["changed"], ["basic/again: not in the plan then"])


class Limited(Explained):
    def test_what_is_left_out_is_summed(self):
        names = tuple(f"s{n}" for n in range(1, 9))
        bill = book.Book(self.scratch / "book", small.write_catalog(self.scratch / "catalog", subscriptions=names))
        usage = self.scratch / "usage.ndjson"
        usage.write_bytes(small.lines(*(small.event(n, 100 * n, subject=f"s{n}") for n in range(1, 9))))
        bill.run(usage)
        (line, amount), = self.lines_of(bill)
        found = bill.explain(line, "--limit", "2")
        self.assertEqual((found["more"], found["more_sum"]), (6, "21.00"))
        self.assertEqual(sum(D(charge["difference"]) for charge in found["charges"]) + D(found["more_sum"]), amount)
        self.assertIn("and 6 smaller, together +21.00; --limit shows more",
                      bill.read("explain", line, "--limit", "2").decode())

    def test_one_customer_of_many_is_picked(self):
        names = tuple(f"s{n}" for n in range(1, 9))
        bill = book.Book(self.scratch / "book", small.write_catalog(self.scratch / "catalog", subscriptions=names))
        usage = self.scratch / "usage.ndjson"
        usage.write_bytes(small.lines(*(small.event(n, 100 * n, subject=f"s{n}") for n in range(1, 9))))
        bill.run(usage)
        (line, _), = self.lines_of(bill)
        found = bill.explain(line, "--subscription", "s3", "--charge", "calls", "--events")
        charge, = found["charges"]
        self.assertEqual((charge["subscription"], charge["difference"], found["more"], found["more_sum"]),
                         ("s3", "3.00", 7, "33.00"))
        self.assertEqual([event["id"] for event in charge["events"]["shown"]], ["3"])
        self.assertIn("and 7 others, together +33.00\n",
                      bill.read("explain", line, "--subscription", "s3").decode())
        for flags in (("--subscription", "s9"), ("--subscription", "s3", "--charge", "mails")):
            done = book.tollbook("explain", "--books", bill.directory, line, *flags, expect=1)
            self.assert_message(done.stderr, "nothing in this journal line", flags[-1])


if __name__ == "__main__":
    book.main()
