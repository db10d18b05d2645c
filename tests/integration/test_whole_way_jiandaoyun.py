"""The main job over Jiandaoyun's API, end to end over real HTTP: snapshot, score, decide, propose, sign, plan, apply under
faults, verify, restore, compare record by record and link by link.

Known duplicates and stale people are planted by the generator; a named person decides on exactly these. While the manifest is
applied, calls are throttled, lost, cut off and held back, people edit, and the process dies twice; the restore is broken in the
same ways. Waiting takes no time here; nothing else is made easier. By hand with 5,000 customers:
``JIANDAOYUN_WAY=5000 pytest tests/integration/test_whole_way_jiandaoyun.py -s``.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import parse_mapping
from steward.errors import BreakerTrippedError, PartialExecutionError
from steward.executor.runner import Executor
from steward.executor.writers.jiandaoyun_payload import comes_back
from steward.manifest_files import read_key, read_secret
from steward.records import Record, RecordKey, canonical_text
from steward.sandbox import Truth
from steward.sandbox.jiandaoyun import FULL_KEY, READ_KEY, create_app
from steward.sandbox.jiandaoyun.state import State
from steward.signing import load_key
from tests.support.jiandaoyun_company import Company
from tests.support.vendor_deaths import hurry_the_wire, until_done
from tests.support.vendor_sandbox import serve
from tests.support.vendor_way import VendorWay, key_of, links_follow_the_survivor

CUSTOMERS = int(os.environ.get("JIANDAOYUN_WAY", "300"))
PROFILE = """
address = "{address}/api"

[profiles.vendor.read]
token = "${{JDY_READER}}"

[profiles.vendor.write]
token = "${{JDY_EXECUTOR}}"

[profiles.vendor.options]
running_flow = "goes"
"""
MOVING = {"updater", "updateTime"}
ANEW = {"_id", "createTime", "flowState"}
"""Columns of the vendor's own that a record that was made anew cannot have back."""


@pytest.fixture
def crm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[Company, State, Truth, dict[str, str]]]:
    app = create_app(customers=CUSTOMERS, seed=7)
    state: State = app.state.company
    # In this company activities and invoices point at contacts by a field that can be written; the order's lines do not.
    state.run("UPDATE widgets SET kind = 'linkobject' WHERE kind = 'linkdata' AND parent = ''")
    monkeypatch.setenv("JDY_READER", READ_KEY)
    monkeypatch.setenv("JDY_EXECUTOR", FULL_KEY)
    with serve(app) as address:
        company = Company(address, tmp_path)
        yield company, state, app.state.truth, app.state.ids
        company.close()


def test_what_was_planted_goes_and_comes_back_record_by_record_and_link_by_link(
    crm: tuple[Company, State, Truth, dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    company, state, truth, ids = crm
    hurry_the_wire(monkeypatch)
    began = time.process_time()
    text = company.mapping_text(along=[("activity", "联系人")])
    way = VendorWay.start(
        tmp_path / "way", "jiandaoyun", text, PROFILE.format(address=company.address),
        switched_off=("active_contract", "open_quote", "open_order"), more_propose=("--hard", "person"),
    )  # fmt: skip
    mapping = parse_mapping(text)
    before = way.records()
    way.snapshot()
    way.score()
    people = {k.id for k in before if k.object == "person"}
    pairs = [sorted(ids[i] for i in c) for c in truth.duplicate_clusters["contact"] if len(c) == 2]
    merges = {loser: survivor for survivor, loser in pairs if {loser, survivor} <= people}
    stale = frozenset(ids[i] for i in truth.stale["contact"]) & people - merges.keys() - set(merges.values())
    decided = way.decide_on(merges, stale, "person")
    assert len(decided & set(merges)) >= 3 and len(decided - set(merges)) >= 5
    way.propose()
    items = way.items()
    assert {str(i["id"]) for i in items if i["object"] == "person"} <= decided
    way.sign()
    plan = way.plan()
    verdicts: dict[str, int] = dict(plan["verdicts"])  # type: ignore[call-overload]  # a table
    held = verdicts.get("blocked", 0)
    assert held >= 1 and verdicts == {"apply": len(items) - held, "blocked": held}, "held back from inside a subform"
    assert way.records() == before, "until the executor applies, nothing in the CRM has changed"

    edited = _somebody_edits(company, items)
    calls = _calls(state)
    applied = _under_faults(way, company, lambda executor: executor.apply(way.manifest))
    calls = _calls(state) - calls
    counts = {name: n for name, n in applied.counts.items() if n}
    assert set(counts) <= {"done", "done_inferred", "drift", "blocked"}, counts
    assert counts.get("drift", 0) == len(edited) and counts.get("blocked", 0) >= held
    way.facts["receipt"] = applied.receipt
    after = way.records()
    outcomes = _states(way)
    meant = {
        key_of(i)
        for i in items
        if i["action"] in ("hard_delete", "merge_into") and outcomes[int(str(i["seq"]))] in ("done", "done_inferred")
    }
    assert {k for k in before if k not in after} == meant
    assert not [k for k in after if k not in before]
    merged = [i for i in items if key_of(i) in meant]
    moved = links_follow_the_survivor(
        mapping, merged, before, after, stays=lambda key, parent: parent != "user" and key.object != "person", object="person"
    )
    assert moved >= 3, "links that had to follow"
    way.audit()

    calls_back = _calls(state)
    signer = load_key(read_key(way.path("keys", "ben.key")), read_secret(way.path("keys", "ben.passphrase")))
    back = _under_faults(
        way,
        company,
        lambda executor: executor.restore(applied.receipt, signer, identities=[way.path("keys", "operations.age")]),
    )
    calls_back = _calls(state) - calls_back
    assert {n for n, c in back.counts.items() if c} <= {"done", "done_inferred"}, back.counts
    restored = way.records()
    with Executor(way.path("executor")) as executor:
        new_id = executor.journal.new_id
        made = {k: RecordKey(k.object, new) for k in before if (new := new_id(k.object, k.id)) is not None}
    assert set(made) == meant, "what went has come back, each once"
    assert set(restored) == (set(before) - meant) | set(made.values()), "and nothing came twice"
    lost = _compare(company, way, mapping, before, restored, made, edited)
    links = Counter(str(line.outcome) for line in back.lines if line.what == "link")
    assert links["restored"] >= 5
    way.audit()
    print(
        f"\n{CUSTOMERS:,} customers, {len(before):,} records, {len(items):,} items ({held} held back by the plan): apply "
        f"{_said(calls)}, restore {_said(calls_back)}; links {dict(links)}; not back by kind {dict(lost)}; "
        f"{time.process_time() - began:.0f} s of this process"
    )


def _somebody_edits(company: Company, items: list[dict[str, object]]) -> set[RecordKey]:
    """Two records are edited after they were reviewed; whatever was decided about them, they stay."""
    along = Counter(str(r) for i in items for r in [i["object"]])
    assert along["activity"], "activities go with whom they are about"
    free = [i for i in items if i["object"] == "person" and i["action"] == "hard_delete" and not i.get("related")][:2]
    for item in free:
        company.edit("person", str(item["id"]), 职务="edited by people")
    return {RecordKey("person", str(i["id"])) for i in free}


def _under_faults(way: VendorWay, company: Company, run: Callable[[Executor], Any]) -> Any:
    """Run to the end; the process dies twice, calls fail in every way, and each time the same command goes on."""
    faults = [
        {"kind": "cut_after", "path": "writes", "after": 3}, {"kind": "http_429", "path": "writes", "after": 6},
        {"kind": "cut_before", "path": "writes", "after": 9}, {"kind": "code", "code": 9004, "path": "writes", "after": 13},
        {"kind": "late", "path": "writes", "after": 17}, {"kind": "http_502", "path": "writes", "after": 21},
        {"kind": "code", "code": 4012, "path": "writes", "after": 24}, {"kind": "http_502", "path": "data/list", "after": 9},
        {"kind": "cut_before", "path": "data/get", "after": 5}, {"kind": "http_429", "path": "data/list", "after": 30},
        {"kind": "cut_after", "path": "batch_create", "after": 2},
    ]  # fmt: skip
    for fault in faults:
        company.control("fault", **fault)
    deaths = (("vendor.called", 4), ("answered", 3))
    stops = (PartialExecutionError, BreakerTrippedError)
    try:
        return until_done(way, run, deaths, most=12, stops=stops, between=lambda: company.control("late"))
    finally:
        company.control("calm")
        company.control("late")


def _states(way: VendorWay) -> dict[int, str]:
    with Executor(way.path("executor")) as executor:
        rows = executor.journal.db.execute(
            "SELECT seq, state FROM item WHERE manifest = (SELECT id FROM manifest WHERE kind = 'deletion')"
        ).fetchall()
    return {int(seq): str(state) for seq, state in rows}


def _compare(
    company: Company,
    way: VendorWay,
    mapping: CrmMapping,
    before: Mapping[RecordKey, Record],
    restored: Mapping[RecordKey, Record],
    made: Mapping[RecordKey, RecordKey],
    edited: set[RecordKey],
) -> Counter[str]:
    """Compare every record and link with what it was; return what is not back, by kind of field."""
    left = {k.id for k in before if k.object == "user"}
    lost: Counter[str] = Counter()
    fields = {o: {f["widget"]: f for f in company.form[name]["fields"]} for o, name in _forms(company).items()}
    for key, old in before.items():
        now = restored[made.get(key, key)]
        parents = mapping.objects[key.object].parents
        for name in old.fields:
            was: Any = old.fields[name]
            if name in parents and was is not None:
                parent = RecordKey(parents[name], str(canonical_text(was)))
                was = made.get(parent, parent).id
            if name in MOVING or canonical_text(was) == canonical_text(now.fields.get(name)):
                continue
            if key in edited:
                assert canonical_text(now.fields[name]) == "edited by people"
                continue
            assert key in made, (key, name)
            kind = str(fields[key.object].get(name, {}).get("type", name))
            if name in ANEW or kind in ("sn", "upload", "image"):
                lost[kind] += 1
            elif name == "creator":
                assert str(was) not in left, "who made it has left"
                lost[kind] += 1
            elif kind == "subform":
                inner = [{"widgetName": f["widget"], "type": f["type"]} for f in fields[key.object].values() if f["in"] == name]
                widget = {"widgetName": name, "type": "subform", "items": inner}
                assert canonical_text(comes_back(widget, was)) == canonical_text(now.fields[name])
                lost[kind] += 1
            else:
                parent_key = RecordKey(parents[name], str(canonical_text(old.fields[name]))) if name in parents else None
                assert parent_key is not None and parent_key not in before, (key, name, kind)
                lost["link to what was gone before"] += 1
    return lost


def _forms(company: Company) -> dict[str, str]:
    from tests.support.jiandaoyun_company import FORMS

    return FORMS


def _calls(state: State) -> Counter[str]:
    """Calls so far, by the end of their path."""
    found = state.rows("SELECT path, count(*) FROM log GROUP BY path")
    return Counter({str(path).rpartition("entry/")[2]: int(n) for path, n in found})


def _said(calls: Counter[str]) -> str:
    return f"{calls.total():,} calls ({', '.join(f'{n:,} {path}' for path, n in calls.most_common())})"
