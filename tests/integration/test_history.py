"""Last year's figures stay: what a snapshot says after customers went, and the history, are what it said before."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from steward.cli import main
from steward.crm.mapping import Mapping, parse_mapping
from steward.crm.sql import SqlReader
from steward.errors import AlreadyAppliedError, MalformedManifestError, ScoringError, StewardError, WrongTargetError
from steward.manifest.format import FieldChange
from steward.manifest_files import read_trust_folder
from steward.policy import Policy, default_policy, parse_policy
from steward.records import RecordKey, Snapshot
from steward.sandbox import build_crm, demo_mapping
from steward.scoring.history import OTHERS, Line, YearFigure, add_executions, figures_of, read_history
from steward.scoring.receipts import Receipt, read_receipt
from steward.signing import load_trust, read_trust
from steward.store import FileSource, Workspace
from tests.support import signing
from tests.support.executor import World
from tests.support.receipts import trust_of, write_receipt

ROOT = Path(__file__).resolve().parents[2]
BEFORE = datetime(2026, 11, 1, tzinfo=UTC)
AFTER = datetime(2026, 11, 20, tzinfo=UTC)
NORTHWIND = """
[history]
smallest = 5
segments = { customer = "Country" }
[[history.figures]]
object = "order"
[[history.figures]]
name = "revenue"
object = "order_line"
amount = ["UnitPrice", "Quantity"]
less = "Discount"
"""


def policy_with(history: str, name: str = "default") -> Policy:
    return parse_policy((ROOT / "steward" / f"{name}_policy.toml").read_text(encoding="utf-8") + history)


def done(gone: dict[RecordKey, str], tenant: str, manifest: str = "01JD0000000000000000000001") -> Receipt:
    at = BEFORE + timedelta(days=5)
    return Receipt(manifest, "files", tenant, "sandbox", at, at + timedelta(hours=1), gone)


def by_year(figures: list[YearFigure], lines: list[Line] = []) -> dict[tuple[str, str, int], tuple[int, Decimal]]:  # noqa: B006
    found: dict[tuple[str, str, int], tuple[int, Decimal]] = defaultdict(lambda: (0, Decimal(0)))
    for f in figures:
        n, worth = found[f.customers_of, f.figure, f.year]
        found[f.customers_of, f.figure, f.year] = (n + f.records, worth + (f.amount or 0))
    for x in lines:
        assert x.first_year == x.last_year
        n, worth = found[x.customers_of, x.figure, x.first_year]
        found[x.customers_of, x.figure, x.first_year] = (n + x.records, worth + (x.amount or 0))
    return dict(found)


def segments(figures: list[YearFigure]) -> dict[tuple[str, str, int, str], tuple[int, Decimal]]:
    return {(f.customers_of, f.figure, f.year, f.segment): (f.records, f.amount or Decimal(0)) for f in figures}


@pytest.mark.real_data
def test_northwind_keeps_orders_and_revenue_of_every_year(tmp_path: Path, real_data: Path) -> None:
    mapping = parse_mapping((ROOT / "steward/crm/examples/northwind.toml").read_text(encoding="utf-8"))
    policy = policy_with(NORTHWIND)
    with (real_data / "crm_northwind/customers.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    # Of Germany, France, Brazil and the USA enough customers go; of eleven other countries one or two each.
    going = {r[0] for n, r in enumerate(rows[1:]) if r[8] in ("Germany", "France", "Brazil", "USA") or n % 3 == 0}
    folder = tmp_path / "after"
    shutil.copytree(real_data / "crm_northwind", folder)
    with (folder / "customers.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([rows[0], *(r for r in rows[1:] if r[0] not in going)])
    with Workspace.open(tmp_path / "w", create=True) as ws:
        before = ws.take_snapshot(FileSource(real_data / "crm_northwind", mapping=mapping), taken_at=BEFORE)
        receipt = done({RecordKey("customer", id): "hard_delete" for id in going}, "northwind")
        added = add_executions(ws, [receipt], policy)
        assert added.withheld == () and list(added.lines) == read_history(ws)
        after = ws.take_snapshot(FileSource(folder, mapping=mapping), taken_at=AFTER)
        was, now, lines = figures_of(ws, before, policy), figures_of(ws, after, policy), read_history(ws)

        years = by_year(was)
        assert {y for _c, _f, y in years} == {1996, 1997, 1998}
        assert years["customer", "order", 1997][0] == 408  # counted by hand in the file
        assert by_year(now) != years
        assert by_year(now, lines) == years  # counts, and revenue to the last digit
        old, new = segments(was), segments(now)
        for line in lines:
            if line.segment != OTHERS:
                place = (line.customers_of, line.figure, line.first_year, line.segment)
                n, worth = new.get(place, (0, Decimal(0)))
                assert (n + line.records, worth + (line.amount or 0)) == old[place]
        named = {x.segment for x in lines}
        assert {"Germany", "France", "Brazil", "USA", OTHERS} <= named and len(named) < 10
        assert all(x.customers >= 5 for x in lines)
        _holds_no_value(ws, before, going, lines)
        with pytest.raises(AlreadyAppliedError, match="already"):
            add_executions(ws, [receipt], policy)
        assert read_history(ws) == lines


def _holds_no_value(ws: Workspace, snapshot: Snapshot, going: set[str], lines: list[Line]) -> None:
    """No value of any column of those that went stands in the table, but for the segment that many share."""
    told = {str(part) for x in lines for part in (x.customers_of, x.figure, x.segment, x.first_year, x.last_year)}
    shared = {x.segment for x in lines}
    for record in ws.records(snapshot, "customer", going).values():
        assert not {v for v in record.values() if v} & (told - shared)
    columns = [
        c for (c,) in ws.connection.execute("SELECT column_name FROM duckdb_columns() WHERE table_name = 'history'").fetchall()
    ]
    assert columns == ["customers_of", "figure", "first_year", "last_year", "segment", "customers", "records", "amount"]


def _revenue_by_hand(path: Path, live: set[str]) -> dict[int, tuple[int, Decimal]]:
    """Invoices per year of live contacts, in Python, straight from the CRM."""
    found: dict[int, tuple[int, Decimal]] = defaultdict(lambda: (0, Decimal(0)))
    with sqlite3.connect(path) as crm:
        for contact, day, amount in crm.execute("SELECT contact_id, issued_on, amount FROM invoice WHERE is_deleted = 0"):
            if contact in live:
                n, worth = found[int(day[:4])]
                found[int(day[:4])] = (n + 1, worth + Decimal(str(amount)))
    crm.close()
    return dict(found)


def test_generated_crm_through_the_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signed receipt, the command people type, and the figures of a CRM from which half of the contacts went."""
    path = tmp_path / "crm.sqlite"
    build_crm(f"sqlite:///{path}", customers=1_000, seed=5)
    mapping = parse_mapping(demo_mapping())
    text = '\n[history]\nsmallest = 5\nsegments = { contact = "country", company = "country" }\n'
    policy = policy_with(text, "demo")
    (tmp_path / "policy.toml").write_text(
        (ROOT / "steward/demo_policy.toml").read_text(encoding="utf-8") + text, encoding="utf-8"
    )
    with Workspace.open(tmp_path / "w", create=True) as ws:
        before = _snapshot(ws, path, mapping, BEFORE)
        ids = sorted(ws.connection.execute(f"SELECT _id FROM {ws.table(before, 'contact')} WHERE NOT _deleted").fetchall())
        going = {i for (i,) in ids[::2]}
        receipt = write_receipt(
            tmp_path, {RecordKey("contact", i): "soft_delete" for i in sorted(going)}, started=BEFORE + timedelta(days=1),
            finished=BEFORE + timedelta(days=2), tenant="demo", failed={RecordKey("contact", min(going)): "blocked"},
        )  # fmt: skip
        going -= {min(going)}
    monkeypatch.setattr("steward.commands._signing.open_trust", lambda _args: trust_of("demo"))
    monkeypatch.setattr("steward.commands._signing.now", lambda: signing.NOW)
    words = ["history", "--add", str(receipt), "--policy", str(tmp_path / "policy.toml"), "--workspace", str(tmp_path / "w")]
    assert main([*words, "--to", str(tmp_path / "history.csv"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["added"] == len(told["lines"]) > 0 and told["withheld"] == []
    with sqlite3.connect(path) as crm:
        crm.executemany("UPDATE contact SET is_deleted = 1 WHERE id = ?", [(i,) for i in sorted(going)])
    crm.close()
    with Workspace.open(tmp_path / "w") as ws:
        after = _snapshot(ws, path, mapping, AFTER)
        was, now, lines = figures_of(ws, before, policy), figures_of(ws, after, policy), read_history(ws)
        mine = [x for x in lines if (x.customers_of, x.figure) == ("contact", "invoice")]
        everybody = {i for (i,) in ids}
        by_hand = _revenue_by_hand(path, everybody)
        assert {y: v for (c, f, y), v in by_year(was).items() if (c, f) == ("contact", "invoice")} == by_hand
        last = max(x.last_year for x in mine if x.first_year == x.last_year)
        kept = [x for x in mine if x.first_year == x.last_year]
        assert last >= 2025 and len(kept) >= 3
        for year in {x.first_year for x in kept}:  # last year's figures stay, and so do those of every year with enough
            only = [x for x in kept if x.first_year == year]
            n, worth = _revenue_by_hand(path, everybody - going)[year]
            assert (
                n + sum(x.records for x in only),
                worth + sum((x.amount or Decimal(0) for x in only), Decimal(0)),
            ) == by_hand[year]
        total = sum((f.amount or Decimal(0) for f in was if (f.customers_of, f.figure) == ("contact", "invoice")), Decimal(0))
        left = sum((f.amount or Decimal(0) for f in now if (f.customers_of, f.figure) == ("contact", "invoice")), Decimal(0))
        assert left + sum((x.amount or Decimal(0) for x in mine), Decimal(0)) == total
        people = ws.records(before, "contact", going).values()
        with (tmp_path / "history.csv").open(encoding="utf-8", newline="") as stream:
            written = {cell for row in csv.reader(stream) for cell in row}
        values = {v for person in people for c, v in person.items() if v and len(v) > 3 and c != "country"}
        assert len(values) > 1_000 and not values & written
    assert main(words) == 7  # the same execution twice


def _snapshot(ws: Workspace, path: Path, mapping: Mapping, at: datetime) -> Snapshot:
    reader = SqlReader(f"sqlite:///{path}", mapping)
    try:
        return ws.take_snapshot(reader, taken_at=at)
    finally:
        reader.close()


def test_who_is_anonymised_by_the_executor_keeps_the_figures_of_the_segment(tmp_path: Path) -> None:
    """A manifest, the executor, its receipt: some contacts lose their country, others go, and every country's years stay.

    By token, which leaves another text in every record; the other methods leave an empty one, as in the test after this.
    """
    url = f"sqlite:///{tmp_path / 'crm.sqlite'}"
    build_crm(url, customers=1_000, seed=5)
    world = World(tmp_path, url)
    policy = policy_with('\n[history]\nsmallest = 5\nsegments = { contact = "country" }\n', "demo")
    ids = sorted(k.id for k, r in world.records().items() if k.object == "contact" and not r.deleted)
    anonymised, deleted = set(ids[::4] + ids[1::4] + ids[2::4]), set(ids[3::4])
    with Workspace.open(tmp_path / "w", create=True) as ws:
        before = _snapshot(ws, tmp_path / "crm.sqlite", world.mapping, BEFORE)
        actions = {RecordKey("contact", i): "anonymise" for i in anonymised} | {
            RecordKey("contact", i): "delete" for i in deleted
        }
        fields = (FieldChange(field="country", method="token"), FieldChange(field="last_name", method="token"))
        manifest = world.manifest(actions, anonymise={"contact": fields})
        with world.executor() as executor:
            path = executor.apply(manifest).receipt
        said = read_trust_folder(world.folder / "trust")
        now_ = datetime.now(UTC)
        receipt = read_receipt(path, load_trust(said, pin=read_trust(said[0])[1], now=now_), world.mapping.tenant, now_)
        assert len(receipt.emptied) > 100 and all("country" in f for k, f in receipt.emptied.items() if k.id in anonymised)
        assert receipt.gone and not set(receipt.gone) & set(receipt.emptied)
        added = add_executions(ws, [receipt], policy)
        assert added.withheld == () and list(added.lines) == read_history(ws)
        after = _snapshot(ws, tmp_path / "crm.sqlite", world.mapping, datetime.now(UTC))
        was, now, lines = figures_of(ws, before, policy), figures_of(ws, after, policy), read_history(ws)
        taken = [x for x in lines if x.records < 0]
        assert taken and {x.segment for x in taken} == {""} and {x.customers_of for x in taken} == {"contact"}
        assert all(abs(x.customers) >= 5 for x in lines)
        assert {f.segment for f in now if f.customers_of == "contact"} > {""}
        # Of every country and year that has a line of its own, and is in no other, the figures are what they were.
        old, new = segments(was), segments(now)
        exact, rough = defaultdict(list), set()
        for x in lines:
            if x.segment == OTHERS or x.first_year != x.last_year:
                rough |= {(x.customers_of, x.figure, y) for y in range(x.first_year, x.last_year + 1)}
            exact[x.customers_of, x.figure, x.first_year, x.segment].append(x)
        kept = 0
        for place in {p for p in (*old, *new) if p[0] == "contact" and p[:3] not in rough}:
            n, worth = new.get(place, (0, Decimal(0)))
            n, worth = n + sum(x.records for x in exact[place]), worth + sum((x.amount or 0 for x in exact[place]), Decimal(0))
            assert (n, worth) == old.get(place, (0, Decimal(0))), place
            kept += place not in new or new[place] != old.get(place)
        assert kept > 20
        for figure in {f.figure for f in was}:  # and over all of them nothing is lost or counted twice
            mine = [[x for x in found if (x.customers_of, x.figure) == ("contact", figure)] for found in (was, now, lines)]
            counts = [sum(x.records for x in found) for found in mine]
            worths = [sum((x.amount or 0 for x in found), Decimal(0)) for found in mine]
            assert counts[0] == counts[1] + counts[2] and worths[0] == worths[1] + worths[2]


@pytest.mark.real_data
def test_northwind_keeps_the_countries_of_those_who_were_anonymised(tmp_path: Path, real_data: Path) -> None:
    mapping = parse_mapping((ROOT / "steward/crm/examples/northwind.toml").read_text(encoding="utf-8"))
    policy = policy_with(NORTHWIND)
    with (real_data / "crm_northwind/customers.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    emptied = {r[0] for r in rows[1:] if r[8] in ("Germany", "USA", "France")}
    gone = {r[0] for r in rows[1:] if r[8] == "Brazil"}
    folder = tmp_path / "after"
    shutil.copytree(real_data / "crm_northwind", folder)
    with (folder / "customers.csv").open("w", encoding="utf-8", newline="") as stream:
        left = [[*r[:8], "", *r[9:]] if r[0] in emptied else r for r in rows[1:] if r[0] not in gone]
        csv.writer(stream).writerows([rows[0], *left])

    def receipt(number: int, ids: set[str], field: str) -> Receipt:
        went = {RecordKey("customer", i): "hard_delete" for i in gone} if number == 1 else {}
        mine = {RecordKey("customer", i): frozenset({field, "Phone"}) for i in ids}
        return replace(done(went, "northwind", f"01JD000000000000000000000{number}"), emptied=mine)

    with Workspace.open(tmp_path / "w", create=True) as ws:
        before = ws.take_snapshot(FileSource(real_data / "crm_northwind", mapping=mapping), taken_at=BEFORE)
        assert add_executions(ws, [receipt(2, emptied, "ContactName")], policy).lines == ()  # the country was not touched
        with pytest.raises(ScoringError, match="Only 3 customers"):
            add_executions(ws, [receipt(3, set(sorted(emptied)[:3]), "Country")], policy)
        assert read_history(ws) == []
        add_executions(ws, [receipt(1, emptied, "Country")], policy)
        lines = read_history(ws)
        after = ws.take_snapshot(FileSource(folder, mapping=mapping), taken_at=AFTER)
        was, now = figures_of(ws, before, policy), figures_of(ws, after, policy)
        assert by_year(now, lines) == by_year(was)
        old, new = segments(was), segments(now)
        assert any(p[3] == "" for p in new) and not any(p[3] == "" for p in old)
        for x in lines:
            place = (x.customers_of, x.figure, x.first_year, x.segment)
            n, worth = new.get(place, (0, Decimal(0)))
            new[place] = (n + x.records, worth + (x.amount or 0))
        assert {p: v for p, v in new.items() if v != (0, 0)} == old  # every country and year, to the last digit
        assert {x.segment for x in lines} == {"Germany", "USA", "France", "Brazil", ""}
        assert all(abs(x.customers) >= 5 for x in lines)


@pytest.mark.real_data
def test_too_few_are_refused_and_several_executions_go_together(tmp_path: Path, real_data: Path) -> None:
    mapping = parse_mapping((ROOT / "steward/crm/examples/northwind.toml").read_text(encoding="utf-8"))
    policy = policy_with(NORTHWIND)
    few = {RecordKey("customer", i): "hard_delete" for i in ("ALFKI", "BLAUS", "DRACD")}
    more = {RecordKey("customer", i): "hard_delete" for i in ("FRANK", "KOENE", "LEHMS", "MORGK")}
    with Workspace.open(tmp_path / "w", create=True) as ws:
        ws.take_snapshot(FileSource(real_data / "crm_northwind", mapping=mapping), taken_at=BEFORE)
        first, second = done(few, "northwind"), done(more, "northwind", "01JD0000000000000000000002")
        with pytest.raises(ScoringError, match="Only 3 customers"):
            add_executions(ws, [first], policy)
        assert read_history(ws) == []
        assert add_executions(ws, [first, second], policy).lines
        merged = done({RecordKey("customer", "VINET"): "merge_into"}, "northwind", "01JD0000000000000000000003")
        assert add_executions(ws, [merged], policy).lines == ()  # what was merged went on with the survivor
        with pytest.raises(WrongTargetError):
            add_executions(ws, [done(few, "nobody", "01JD0000000000000000000004")], policy)
        with pytest.raises(StewardError, match="names the record"):
            bad = policy_with('\n[history]\nsegments = { customer = "CompanyName" }\n')
            add_executions(ws, [done(more, "northwind", "01JD0000000000000000000005")], bad)


def test_a_receipt_must_be_signed_by_an_executor_of_the_tenant(tmp_path: Path) -> None:
    gone = {RecordKey("contact", "1"): "soft_delete", RecordKey("contact", "2"): "merge_into"}
    times = {"started": BEFORE, "finished": BEFORE + timedelta(hours=1)}
    path = write_receipt(tmp_path, gone, **times, failed={RecordKey("contact", "2"): "done_inferred"})
    receipt = read_receipt(path, trust_of(), "t", signing.NOW)
    assert receipt.gone == gone and receipt.started == BEFORE
    with pytest.raises(StewardError):
        read_receipt(path, trust_of("other"), "t", signing.NOW)
    outcomes = next(tmp_path.glob("*.outcomes.ndjson"))
    outcomes.write_bytes(outcomes.read_bytes().replace(b'"1"', b'"3"'))
    with pytest.raises(MalformedManifestError, match="not those that were signed"):
        read_receipt(path, trust_of(), "t", signing.NOW)
    path = write_receipt(tmp_path, {RecordKey("contact", "1"): "anonymise"}, **times)  # which does not say what it emptied
    with pytest.raises(MalformedManifestError, match="anonymised"):
        read_receipt(path, trust_of(), "t", signing.NOW)
    path = write_receipt(tmp_path, gone, **times, signer="bob")
    with pytest.raises(StewardError):
        read_receipt(path, trust_of(), "t", signing.NOW)


def test_the_default_policy_asks_for_ten() -> None:
    assert default_policy().history.smallest == 10
    with pytest.raises(StewardError, match="smallest"):
        policy_with("\n[history]\nsmallest = 4\n")
