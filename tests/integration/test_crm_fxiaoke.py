"""The Fxiaoke reader against the sandbox over real HTTP: everything once, through every trap of the contract page.

Expected values come from the sandbox's own store, which shares no code with the reader. The reader waits on the
sandbox's clock, so that limits and token lives pass without real time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from steward.crm.examples import example_mapping
from steward.crm.fxiaoke import FxiaokeReader
from steward.crm.mapping import parse_mapping
from steward.crm.profiles import Profile
from steward.errors import DeniedError, SchemaMismatchError, ThrottledError, UnavailableError, UsageError
from steward.records import Absent, Record, canonical_text
from steward.sandbox.fxiaoke import create_app, sandbox_mapping
from steward.sandbox.fxiaoke.world import Fault, Switches, World
from steward.store import Workspace
from tests.support.vendor_sandbox import serve

KEYS = {"app_id": "FSAID_sandbox", "app_secret": "sandbox-secret", "permanent_code": "sandbox-code", "user_id": "1000"}
SEES = {"sees_everything": "yes"}


class SandboxClock:
    """Waiting moves the sandbox's clock and nothing else."""

    def __init__(self, world: World) -> None:
        self.world, self.slept = world, 0.0

    def monotonic(self) -> float:
        return self.world.clock.now()

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.world.clock.advance(seconds)


class Sandbox:
    def __init__(self, world: World, address: str) -> None:
        self.world, self.address = world, address
        self.clock = SandboxClock(world)

    @contextmanager
    def reader(self, kept: Path | None = None, user: str = "1000", **options: str) -> Iterator[FxiaokeReader]:
        profile = Profile(
            system="fxiaoke", tenant="sandbox01", environment="sandbox", address=self.address, name="sandbox",
            read={**KEYS, "user_id": user}, options=options,
        )  # fmt: skip
        reader = FxiaokeReader(profile, parse_mapping(sandbox_mapping()), kept=kept, clock=self.clock)
        try:
            yield reader
        finally:
            reader.close()

    def stored(self, api: str) -> dict[str, Any]:
        return {str(d["_id"]): d for d in self.world.records(api)}

    def paths(self, part: str) -> int:
        (n,) = self.world.db.execute("SELECT count(*) FROM request_log WHERE path LIKE ?", (f"%{part}%",)).fetchone()
        return int(n)


@pytest.fixture(scope="module")
def served() -> Iterator[Sandbox]:
    app = create_app(customers=820, seed=5)
    app.state.world.clock.freeze()
    with serve(app) as address:
        yield Sandbox(app.state.world, address)


@pytest.fixture
def sandbox(served: Sandbox) -> Iterator[Sandbox]:
    served.world.switches = Switches()
    served.world.faults.clear()
    served.world.clock.advance(120)
    served.clock.slept = 0.0
    kept = list(served.world.db.execute("SELECT * FROM record"))
    yield served
    served.world.db.execute("DELETE FROM record")
    served.world.db.executemany("INSERT INTO record VALUES (?, ?, ?, ?)", kept)


def everything(reader: FxiaokeReader, name: str) -> dict[str, Record]:
    found: dict[str, Record] = {}
    for batch in reader.scan(name, batch=333):
        for record in batch:
            assert record.key.id not in found, "a record came twice"
            found[record.key.id] = record
    return found


# ------------------------------------------------------------------------------------------------ everything, once


@pytest.mark.parametrize("voided", ["yes", "filtered"])
@pytest.mark.parametrize("style", ["headers", "body"])
def test_every_record_comes_once_voided_ones_too(sandbox: Sandbox, voided: Any, style: str) -> None:
    sandbox.world.switches.voided_in_query = voided
    boss = sandbox.world.employee("1000")
    assert boss is not None
    user = str(boss["open_id"]) if style == "body" else "1000"
    with sandbox.reader(user=user, style=style, **SEES) as reader:
        assert not reader.doubts
        for entry in reader.objects():
            stored, found = sandbox.stored(str(entry.source)), everything(reader, entry.name)
            assert len(found) == len(stored) > 0
            if entry.key == "_id":
                assert sorted(found) == sorted(stored)
                assert {k for k, r in found.items() if r.deleted} == {k for k, d in stored.items() if d["is_deleted"]}
        assert any(r.deleted for r in everything(reader, "contact").values())


def test_values_are_what_is_stored_and_renderings_are_no_values(sandbox: Sandbox) -> None:
    with sandbox.reader(**SEES) as reader:
        stored = sandbox.stored("SalesOrderObj")
        for key, record in everything(reader, "order").items():
            doc = stored[key]
            assert (
                not [n for n in record.fields if n.endswith(("__r", "__l", "__relation_ids"))] and record.fields["more"] is None
            )
            assert record.fields.keys() - {"more"} == doc.keys()
            for name in ("name", "account_id", "contact__c", "order_amount", "order_status", "version", "life_status"):
                assert canonical_text(record.fields[name]) == doc[name]
            assert record.fields["owner"] == doc["owner"][0]
            assert str(record.fields["create_time"]).startswith("20") and record.version == doc["version"]


def test_with_ids_of_two_shapes_they_come_in_the_order_of_text(sandbox: Sandbox) -> None:
    with sandbox.reader(**SEES) as reader:
        plain = [k for k, r in everything(reader, "contact").items() if not r.deleted]
    assert plain == sorted(plain) and {len(k) for k in plain} == {24, 32}
    assert [len(k) for k in plain[:40]] != sorted(len(k) for k in plain[:40])


def test_null_fields_are_read_as_null(sandbox: Sandbox) -> None:
    with sandbox.reader(**SEES) as reader:
        found = everything(reader, "contact")
    without = [k for k, d in sandbox.stored("ContactObj").items() if d["account_id"] is None and not d["is_deleted"]]
    assert without and all(found[k].fields["account_id"] is None for k in without)


def test_voided_records_that_no_query_shows_are_found_by_id(sandbox: Sandbox) -> None:
    voided = next(k for k, d in sandbox.stored("ContactObj").items() if d["is_deleted"])
    with sandbox.reader(**SEES) as reader:
        assert voided not in everything(reader, "contact")
        record = reader.fetch("contact", [voided])[voided]
    assert isinstance(record, Record) and record.deleted


@pytest.mark.parametrize("voided", ["no", "filtered", "yes"])
def test_many_ids_take_few_calls_and_the_answers_are_those_of_one_by_one(sandbox: Sandbox, voided: Any) -> None:
    sandbox.world.switches.voided_in_query = voided
    stored = sandbox.stored("ContactObj")
    gone = next(k for k, d in stored.items() if not d["is_deleted"])
    sandbox.world.drop("ContactObj", gone)
    hidden = [k for k, d in stored.items() if d["is_deleted"]][:3]
    wanted = [*list(stored)[:100], *hidden, gone, "0" * 24]
    with sandbox.reader(**SEES) as reader:
        before = sandbox.paths("data/query") + sandbox.paths("data/get")
        found = reader.fetch("contact", wanted)
        asked = sandbox.paths("data/query") + sandbox.paths("data/get") - before
        reader.exact = True
        assert reader.fetch("contact", wanted) == found and found.keys() == set(wanted)
        assert isinstance(found[gone], Absent) and isinstance(found["0" * 24], Absent)
    assert asked <= 2 * 6 + 3 * (2 + sum(stored[k]["is_deleted"] for k in wanted if k in stored))


def test_trap_an_id_filter_that_fails_open_fetches_nothing_wrong(sandbox: Sandbox) -> None:
    wanted = list(sandbox.stored("ContactObj"))[-30:]
    sandbox.world.switches.ignored_filters = ["_id"]
    with sandbox.reader(**SEES) as reader:
        found = reader.fetch("contact", wanted)
    assert {k: r.key.id for k, r in found.items()} == {k: k for k in wanted}


@pytest.mark.parametrize("voided", ["no", "filtered", "yes"])
def test_what_is_counted_is_not_voided(sandbox: Sandbox, voided: Any) -> None:
    sandbox.world.switches.voided_in_query = voided
    with sandbox.reader(**SEES) as reader:
        assert reader.count("contact") == sum(not d["is_deleted"] for d in sandbox.stored("ContactObj").values())


# ------------------------------------------------------------------------------------------------ tokens, limits, faults


@pytest.mark.parametrize("style", ["headers", "body"])
def test_a_token_that_runs_out_in_the_middle_of_a_scan_is_renewed_once(sandbox: Sandbox, style: str) -> None:
    boss = sandbox.world.employee("1000")
    assert boss is not None
    with sandbox.reader(user=str(boss["open_id"]) if style == "body" else "1000", style=style, **SEES) as reader:
        before = sandbox.paths("oauth2.0/token") + sandbox.paths("corpAccessToken")
        found = 0
        for n, batch in enumerate(reader.scan("contact", batch=100)):
            found += len(batch)
            if n == 2:
                sandbox.world.clock.advance(7_201)
        assert found == sum(not d["is_deleted"] for d in sandbox.stored("ContactObj").values())
        assert sandbox.paths("oauth2.0/token") + sandbox.paths("corpAccessToken") - before == 2


def test_a_token_refused_twice_is_a_denial(sandbox: Sandbox) -> None:
    with sandbox.reader(**SEES) as reader:
        sandbox.world.faults.append(Fault("code", "object/list", 20016, times=9))
        with pytest.raises(DeniedError):
            reader.access()
        assert sandbox.world.faults[0].times == 7


@pytest.mark.parametrize("code", [30004, 14001])
def test_a_throttled_call_waits_and_goes_on(sandbox: Sandbox, code: int) -> None:
    sandbox.world.switches.limit_code, sandbox.world.switches.calls_per_window = code, 4
    with sandbox.reader(**SEES) as reader:
        assert len(everything(reader, "contact")) > 800
    assert sandbox.clock.slept > 20


@pytest.mark.parametrize("code", [30004, 14001, -1])
def test_a_token_call_that_others_use_up_is_waited_for(sandbox: Sandbox, code: int) -> None:
    sandbox.world.faults.append(Fault("code", "oauth2.0/token", code, times=2))
    with sandbox.reader(**SEES) as reader:
        assert reader.access().organisation == "sandbox01"


def test_our_own_limit_stays_below_the_vendors(sandbox: Sandbox) -> None:
    with sandbox.reader(**SEES) as reader:
        wanted = list(sandbox.stored("ContactObj"))[:230]
        assert sum(len(reader.fetch("contact", [key])) for key in wanted) == 230
    refused = sandbox.world.db.execute(
        "SELECT count(*) FROM request_log WHERE code = 30004 AND path LIKE '%data/get'"
    ).fetchone()
    assert refused == (0,) and sandbox.clock.slept > 40


def test_another_limit_is_kept_where_the_profile_says_one(sandbox: Sandbox) -> None:
    wanted = list(sandbox.stored("ContactObj"))[:30]
    with sandbox.reader(calls_per_20_seconds="10", **SEES) as reader:
        assert sum(len(reader.fetch("contact", [key])) for key in wanted) == 30
    assert sandbox.clock.slept > 40
    for wrong in ("0", "many", "-1", "1e3"):
        with pytest.raises(UsageError), sandbox.reader(calls_per_20_seconds=wrong, **SEES):
            pass


def test_a_busy_vendor_and_broken_connections_are_asked_again(sandbox: Sandbox) -> None:
    for kind, code in (("code", -1), ("code", 50009), ("cut", 0), ("cut_after", 0)):
        sandbox.world.faults.append(Fault(kind, "data/query", code, skip=2))
    with sandbox.reader(**SEES) as reader:
        assert len(everything(reader, "contact")) == sum(not d["is_deleted"] for d in sandbox.stored("ContactObj").values())
    assert not sandbox.world.faults


@pytest.mark.parametrize("switch", ["daily_quota", "no_pack"])
def test_a_used_up_day_stops_the_read_and_says_so(sandbox: Sandbox, switch: str) -> None:
    setattr(sandbox.world.switches, switch, 0 if switch == "daily_quota" else True)
    with sandbox.reader(**SEES) as reader, pytest.raises(ThrottledError if switch == "daily_quota" else DeniedError):
        reader.access()


def test_a_page_instead_of_json_is_no_answer(sandbox: Sandbox) -> None:
    with sandbox.reader(**SEES) as reader:
        reader.columns("contact")
        sandbox.world.faults.append(Fault("html", "data/query"))
        with pytest.raises(UnavailableError):
            everything(reader, "contact")


def test_a_broken_read_goes_on_where_it_stopped(sandbox: Sandbox, tmp_path: Path) -> None:
    with sandbox.reader(kept=tmp_path, **SEES) as reader:
        sandbox.world.faults.append(Fault("html", "v2/data/query", skip=7))
        with pytest.raises(UnavailableError):
            everything(reader, "contact")
    before = sandbox.paths("v2/data/query")
    with sandbox.reader(kept=tmp_path, **SEES) as reader:
        found = everything(reader, "contact")
        again = sandbox.paths("v2/data/query") - before
        assert len(found) == sum(not d["is_deleted"] for d in sandbox.stored("ContactObj").values())
        assert again == len(found) // 100 + 1 - 7 + 2, "pages that were kept are not asked for again"
        reader.finished()
    assert not list(tmp_path.glob("*.pages"))


# ------------------------------------------------------------------------------------------------ traps


def test_trap_a_filter_that_fails_open_does_not_read_for_ever(sandbox: Sandbox) -> None:
    sandbox.world.switches.ignored_filters = ["_id"]
    parent = next(str(d["account_id"]) for d in sandbox.stored("ContactObj").values() if d["account_id"])
    with sandbox.reader(**SEES) as reader:
        with pytest.raises(SchemaMismatchError):
            everything(reader, "contact")
        with pytest.raises(SchemaMismatchError):
            reader.children("company", [parent])


def test_trap_an_order_that_is_ignored_loses_no_records_in_silence(sandbox: Sandbox) -> None:
    sandbox.world.switches.order_ignored = True
    parents = list(sandbox.stored("AccountObj"))[:20]
    with sandbox.reader(**SEES) as reader:
        with pytest.raises(SchemaMismatchError):
            everything(reader, "contact")
        with pytest.raises(SchemaMismatchError):
            reader.children("company", parents)


def test_trap_a_void_filter_that_fails_open_gives_no_record_twice(sandbox: Sandbox) -> None:
    sandbox.world.switches.ignored_filters = ["life_status"]
    with sandbox.reader(**SEES) as reader:
        found = everything(reader, "contact")
    assert found.keys() == {k for k, d in sandbox.stored("ContactObj").items() if not d["is_deleted"]}


def test_trap_a_child_filter_that_fails_open_links_nothing_wrong(sandbox: Sandbox) -> None:
    sandbox.world.switches.ignored_filters = ["account_id", "account__c"]
    parents = list(sandbox.stored("AccountObj"))[:3]
    with sandbox.reader(**SEES) as reader:
        assert reader.children("company", parents) == expected_children(sandbox, reader, parents)


def test_children_are_all_live_rows_that_refer(sandbox: Sandbox) -> None:
    sandbox.world.switches.voided_in_query = "yes"
    parents = list(sandbox.stored("AccountObj"))[:45]
    with sandbox.reader(**SEES) as reader:
        links = reader.children("company", parents)
        assert links == expected_children(sandbox, reader, parents)
        assert {link.child.object for link in links} >= {"contact", "deal", "order", "payment", "ticket", "lead"}


def test_an_employees_records_are_found_by_number(sandbox: Sandbox) -> None:
    number = next(d["user_id"] for d in sandbox.stored("PersonnelObj").values() if d["user_id"] != "1000")
    owned = {k for k, d in sandbox.stored("AccountObj").items() if d["owner"] == [number]}
    with sandbox.reader(**SEES) as reader:
        assert {link.child.id for link in reader.children("user", [number]) if link.child.object == "company"} == owned


def expected_children(sandbox: Sandbox, reader: FxiaokeReader, parents: list[str]) -> list[Any]:
    found = []
    for child, column in reader.mapping.children_of("company"):
        for key, doc in sandbox.stored(str(child.source)).items():
            if doc[column] in parents and not doc["is_deleted"]:
                found.append((doc[column], child.name, key, column))
    links = reader.children("company", parents)
    assert {(x.parent.id, x.child.object, x.child.id, x.field) for x in links} == set(found)
    return list(links)


def test_trap_a_record_is_absent_only_by_positive_evidence(sandbox: Sandbox) -> None:
    keys = [k for k, d in sandbox.stored("ContactObj").items() if not d["is_deleted"]]
    gone, voided = keys[0], next(k for k, d in sandbox.stored("ContactObj").items() if d["is_deleted"])
    sandbox.world.drop("ContactObj", gone)
    with sandbox.reader(**SEES) as reader:
        assert isinstance(reader.fetch("contact", [gone])[gone], Absent)
        for code in (-1, -2, 14001, 15002, 20017, 30003, 32000, 50009):
            sandbox.world.faults[:] = [Fault("code", "data/get", code, times=50)]
            assert voided not in reader_fetch(reader, voided), code


def reader_fetch(reader: FxiaokeReader, key: str) -> Any:
    try:
        return reader.fetch("contact", [key])
    except ThrottledError:
        return {}


def test_trap_what_an_employee_may_not_see_is_not_absent(sandbox: Sandbox) -> None:
    active = next(
        d["user_id"] for d in sandbox.stored("PersonnelObj").values() if d["status"] == "0" and d["user_id"] != "1000"
    )
    sandbox.world.switches.limited_users = [active]
    mine = {k for k, d in sandbox.stored("ContactObj").items() if d["owner"] == [active] and not d["is_deleted"]}
    other = next(k for k, d in sandbox.stored("ContactObj").items() if d["owner"] != [active] and not d["is_deleted"])
    with sandbox.reader(user=active) as reader:
        assert reader.doubts, "nothing says that this employee sees all"
        assert everything(reader, "contact").keys() == mine
        assert other not in reader.fetch("contact", [other])


def test_trap_invisible_employees_are_a_doubt_after_a_resume_too(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.world.switches.personnel_visible = False
    for _ in range(2):
        with sandbox.reader(kept=tmp_path, **SEES) as reader:
            assert not reader.doubts and everything(reader, "user") == {}
            assert any("PersonnelObj" in doubt for doubt in reader.doubts)


def test_trap_an_employee_is_fetched_by_number_not_by_record_id(sandbox: Sandbox) -> None:
    with sandbox.reader(**SEES) as reader:
        found = reader.fetch("user", ["1000", "9999"])
    assert isinstance(found["1000"], Record) and found["1000"].fields["user_id"] == "1000"
    assert "9999" not in found or isinstance(found["9999"], Absent)


def test_trap_a_custom_object_is_asked_on_its_own_path(sandbox: Sandbox) -> None:
    before = sandbox.paths("custom/v2/data/query")
    with sandbox.reader(**SEES) as reader:
        assert everything(reader, "ticket").keys() == sandbox.stored("x__c").keys()
    assert sandbox.paths("custom/v2/data/query") > before


def test_trap_a_wrong_host_answers_a_page_and_is_refused(sandbox: Sandbox) -> None:
    wrong = Sandbox(sandbox.world, sandbox.address + "/elsewhere")
    with wrong.reader(**SEES) as reader, pytest.raises(SchemaMismatchError):
        reader.access()


def test_a_change_and_a_void_behind_the_readers_back_are_seen(sandbox: Sandbox) -> None:
    key, other = [k for k, d in sandbox.stored("ContactObj").items() if not d["is_deleted"]][:2]
    with sandbox.reader(**SEES) as reader:
        before = reader.fetch("contact", [key, other])
        doc, second = sandbox.stored("ContactObj")[key], sandbox.stored("ContactObj")[other]
        doc["name"] = "Somebody Else"
        second.update(life_status="invalid", is_deleted=True)
        for changed in (doc, second):
            sandbox.world.touch(changed, "1001")
            sandbox.world.put("ContactObj", changed)
        after = reader.fetch("contact", [key, other])
    old, new, voided = before[key], after[key], after[other]
    assert isinstance(old, Record) and isinstance(new, Record) and isinstance(voided, Record)
    assert old.version != new.version and new.fields["name"] == "Somebody Else" and voided.deleted


def test_trap_a_record_id_beside_another_key_goes_into_a_workspace(sandbox: Sandbox, tmp_path: Path) -> None:
    with sandbox.reader(**SEES) as reader, Workspace.open(tmp_path / "w", create=True) as workspace:
        snapshot = workspace.take_snapshot(reader, taken_at=datetime.now(UTC))
        assert snapshot.complete
        rows = {o.name: o.rows for o in snapshot.objects}
    assert rows["user"] == len(sandbox.stored("PersonnelObj")) and rows["ticket"] == len(sandbox.stored("x__c"))


def test_the_mapping_that_ships_reads_everything(sandbox: Sandbox) -> None:
    mapping = parse_mapping(example_mapping("fxiaoke"))
    profile = Profile(
        system="fxiaoke", tenant="sandbox01", environment="sandbox", address=sandbox.address, read={**KEYS}, options=SEES
    )  # fmt: skip
    with FxiaokeReader(profile, mapping, clock=sandbox.clock) as reader:
        for entry in reader.objects():
            live = sum(d["life_status"] != "invalid" for d in sandbox.stored(entry.source).values())
            assert sum(not r.deleted for part in reader.scan(entry.name) for r in part) == live > 0
        assert not reader.doubts
