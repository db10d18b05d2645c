"""Going on from an earlier snapshot of Zoho: equal to a whole read of the sandbox at the same moment, trap by trap."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from steward.crm import zoho_changes
from steward.crm.mapping import parse_mapping
from steward.crm.profiles import Profile
from steward.crm.zoho import ZohoReader
from steward.errors import SnapshotError
from steward.sandbox.zoho.auth import CLIENT
from tests.integration.test_crm_zoho import MAPPING, SharedClock
from tests.support.onward import Pair, few
from tests.support.vendor_sandbox import serve
from tests.support.zoho_sandbox import Caller, Fresh

SMALL = few(MAPPING, "user", "company", "contact", "deal")
MODULES = ("Accounts", "Contacts", "Leads", "Deals", "Tasks", "Notes")
PERSON = {"id": "1", "name": "Somebody", "email": "s@crm.example"}


class Zoho(Pair):
    """A sandbox, its levers, and the two workspaces."""

    def __init__(self, folder: Path, crm: Caller, fresh: Fresh) -> None:
        self.crm, self.state, self.clock = crm, crm.state, SharedClock(fresh)
        self.transport: httpx.BaseTransport | None = None
        self.mapping = SMALL
        self.state.switches.update(bulk_polls=0, bulk_downloads=10_000)
        super().__init__(folder, self.reader)

    def reader(self) -> ZohoReader:
        address = str(self.crm.http.base_url).rstrip("/")
        profile = Profile(
            system="zoho", tenant="demo", environment="sandbox", address=address, name="z",
            read={**CLIENT, "refresh_token": "1000.reader"}, options={"data_centre": "eu", "accounts": address},
        )  # fmt: skip
        return ZohoReader(profile, parse_mapping(self.mapping), clock=self.clock, transport=self.transport)

    def edit(self, id: str, **values: object) -> None:
        assert self.state.edit(int(id), values, PERSON)

    def bin(self, module: str, *ids: str) -> None:
        answer = self.crm("DELETE", module, params={"ids": ",".join(ids)})
        assert answer.status_code == 200, answer.text

    def restore(self, *ids: str) -> None:
        answer = self.crm("POST", "settings/recycle_bin/actions/restore", json={"ids": list(ids)})
        assert answer.status_code == 200, answer.text

    def purge(self, id: str) -> None:
        assert self.crm("DELETE", f"settings/recycle_bin/{id}").status_code == 200

    def add(self, module: str, like: str) -> str:
        ((doc,),) = self.state.db.execute("SELECT doc FROM record WHERE id = ?", (int(like),)).fetchall()
        id, now = self.state.new_id(), self.state.now()
        self.state.put(module, id, json.loads(doc), created=now, modified=now)
        return str(id)

    def jobs(self) -> int:
        ((n,),) = self.state.db.execute("SELECT count(*) FROM job WHERE kind = 'bulk'").fetchall()
        return int(n)


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Fresh]]:
    fresh = Fresh(60)
    with serve(fresh) as address:
        yield address, fresh


@pytest.fixture
def zoho(server: tuple[str, Fresh], tmp_path: Path) -> Iterator[Zoho]:
    address, fresh = server
    caller = Caller(address, fresh.renew())
    made = Zoho(tmp_path, caller, fresh)
    yield made
    made.close()
    caller.http.close()


def test_it_equals_a_whole_read_after_random_edits(zoho: Zoho) -> None:
    chance = random.Random(1)
    zoho.mapping = MAPPING
    zoho.state.switches["cascade"] = ["Accounts>Deals"]
    for module in MODULES:
        zoho.bin(module, *chance.sample(zoho.crm.ids(module), 2)) if len(zoho.crm.ids(module)) > 9 else None
    zoho.begin()
    binned = zoho.state.db.execute("SELECT id FROM record WHERE life = 'bin' AND dragged_by IS NULL").fetchall()
    ways: set[str] = set()
    for _ in range(2):
        for n in range(chance.randint(4, 10)):
            module = chance.choice(MODULES)
            held = zoho.crm.ids(module)
            if len(held) < 5:
                continue
            id = chance.choice(held)
            match chance.randrange(5):
                case 0 | 1:
                    zoho.edit(id, Description=f"随 {n}", Subject=str(n))
                case 2:
                    zoho.bin(module, id)
                case 3:
                    zoho.add(module, id)
                case 4 if binned:
                    back = str(binned.pop(chance.randrange(len(binned)))[0])
                    if zoho.state.get(int(back), life="bin"):
                        zoho.purge(back) if chance.randrange(2) else zoho.restore(back)
        ways |= set(zoho.ways(zoho.same()).values())
    assert ways == {"feed", "whole"}  # users are read whole


def test_quiet_modules_cost_no_bulk_job(zoho: Zoho) -> None:
    first = zoho.begin()
    zoho.edit(zoho.crm.ids("Contacts")[0], Description="new")
    before = zoho.jobs()
    made = zoho.go_on()
    assert zoho.jobs() == before
    assert made.digest != first.digest
    ways = zoho.onward.readings(made)[0].ways
    assert (ways["contact"].way, ways["contact"].read) == ("feed", 1)
    assert {name: way.way for name, way in ways.items()} == dict.fromkeys(ways, "feed") | {"user": "whole"}


def test_many_changes_of_a_module_that_fits_one_file_are_read_whole(zoho: Zoho, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoho_changes, "ONE_BY_ONE", 5)
    zoho.begin()
    for id in zoho.crm.ids("Contacts")[:6]:
        zoho.edit(id, Description="new")
    assert zoho.ways(zoho.same())["contact"] == "whole"


def test_many_changes_of_a_large_module_are_one_bulk_job(zoho: Zoho, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoho_changes, "ONE_BY_ONE", 5)
    monkeypatch.setattr(zoho_changes, "ONE_FILE", 10)
    zoho.begin()
    for id in zoho.crm.ids("Contacts")[:8]:
        zoho.edit(id, Description="x" * 900)  # longer than a list shows
    before = zoho.jobs()
    made = zoho.go_on()
    assert zoho.jobs() == before + 1
    way = zoho.onward.readings(made)[0].ways["contact"]
    assert (way.way, way.read) == ("feed", 8)
    assert made.digest == zoho.whole()[0].digest


def test_restored_from_the_bin_with_its_old_time(zoho: Zoho) -> None:
    """The sandbox gives a restored record back as it was; nothing in it says that it came back."""
    id = zoho.crm.ids("Contacts")[0]
    zoho.bin("Contacts", id)
    zoho.begin()
    zoho.restore(id)
    made = zoho.same()
    assert id in zoho.onward.records(made, "contact", [id])
    assert zoho.ways(made)["contact"] == "feed"


def test_restored_later_than_the_next_reading(zoho: Zoho) -> None:
    id = zoho.crm.ids("Contacts")[0]
    zoho.begin()
    zoho.bin("Contacts", id)
    assert not zoho.onward.records(zoho.same(), "contact", [id])
    zoho.restore(id)
    assert id in zoho.onward.records(zoho.same(), "contact", [id])


def test_deleted_while_the_module_was_read_and_restored_later(zoho: Zoho) -> None:
    """It lay in neither the list of the bin before the read nor in the rows."""
    id = zoho.crm.ids("Deals")[0]

    class Deleting(httpx.HTTPTransport):
        done = False

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if not self.done and request.url.path.endswith("/bulk/v8/read") and b'"Deals"' in request.content:
                self.done = True
                zoho.bin("Deals", id)
            return super().handle_request(request)

    zoho.transport = Deleting()
    first = zoho.begin()
    zoho.transport = None
    assert not zoho.onward.records(first, "deal", [id])
    zoho.restore(id)
    assert id in zoho.onward.records(zoho.same(), "deal", [id])


def test_deleted_and_restored_in_between_is_live(zoho: Zoho) -> None:
    id = zoho.crm.ids("Contacts")[0]
    first = zoho.begin()
    zoho.bin("Contacts", id)
    zoho.restore(id)
    assert zoho.same().digest == first.digest


def test_a_list_of_deletions_that_is_late_is_not_believed(zoho: Zoho) -> None:
    """It still names a record that came back: the record is asked for."""
    one, two = zoho.crm.ids("Contacts")[:2]
    zoho.begin()
    zoho.edit(one, Description="changed")
    entries = [{"id": i, "type": "recycle", "deleted_time": "2026-01-01T00:00:00+00:00"} for i in (one, two)]

    class Late(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/Contacts/deleted"):
                return httpx.Response(200, json={"data": entries, "info": {"more_records": False}})
            return super().handle_request(request)

    zoho.transport = Late()
    made = zoho.go_on()
    zoho.transport = None
    assert made.digest == zoho.whole()[0].digest


def test_deleted_and_made_again_is_another_record(zoho: Zoho) -> None:
    id = zoho.crm.ids("Contacts")[0]
    zoho.begin()
    new = zoho.add("Contacts", id)
    zoho.bin("Contacts", id)
    zoho.purge(id)
    made = zoho.same()
    assert set(zoho.onward.records(made, "contact", [id, new])) == {new}


def test_a_reference_that_the_vendor_empties_moves_no_time(zoho: Zoho) -> None:
    account, contacts = zoho.crm.parent_with("Deals", "Contact_Name")
    zoho.begin()
    zoho.bin("Contacts", account)
    for id in contacts:  # what some pairs of modules may do; per pair it is not documented
        doc = json.loads(zoho.state.db.execute("SELECT doc FROM record WHERE id = ?", (int(id),)).fetchone()[0])
        doc["Contact_Name"] = None
        zoho.state.db.execute("UPDATE record SET doc = ? WHERE id = ?", (json.dumps(doc), int(id)))
    made = zoho.same()
    assert zoho.ways(made)["deal"] == "feed"


def test_a_clock_that_runs_behind_ours_loses_nothing(zoho: Zoho) -> None:
    """The vendor stamps an edit two hours before our reading began; the date of its answers says so."""

    class Behind(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            said = datetime.now(UTC) - timedelta(hours=2)
            answer.headers["date"] = said.strftime("%a, %d %b %Y %H:%M:%S GMT")
            return answer

    zoho.transport = Behind()
    zoho.begin()
    id = zoho.crm.ids("Contacts")[0]
    zoho.edit(id, Description="new")
    zoho.state.db.execute("UPDATE record SET modified = modified - 7200 WHERE id = ?", (int(id),))
    zoho.same()


def test_changed_shortly_before_the_earlier_reading_and_indexed_late(zoho: Zoho) -> None:
    """What the earlier reading was shown in its old form, although its time lies before that reading, is read again."""
    id = zoho.crm.ids("Contacts")[0]
    then = zoho.state.now()
    zoho.begin()
    zoho.edit(id, Description="late")
    zoho.state.db.execute("UPDATE record SET modified = ? WHERE id = ?", (then - 300, int(id)))
    zoho.same()


def test_a_formula_changes_without_a_sign_so_its_module_is_read_whole(zoho: Zoho) -> None:
    class Formula(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            if request.url.path.endswith("/settings/fields") and b"Deals" in request.url.query:
                said = json.loads(answer.read())
                next(f for f in said["fields"] if f["api_name"] == "Amount")["data_type"] = "formula"
                return httpx.Response(200, json=said)
            return answer

    zoho.transport = Formula()
    zoho.begin()
    id = zoho.crm.ids("Deals")[0]
    doc = json.loads(zoho.state.db.execute("SELECT doc FROM record WHERE id = ?", (int(id),)).fetchone()[0])
    zoho.state.db.execute("UPDATE record SET doc = ? WHERE id = ?", (json.dumps(doc | {"Amount": 1.25}), int(id)))
    assert zoho.ways(zoho.same())["deal"] == "whole"


def test_older_than_the_vendor_lists_deletions_is_refused(zoho: Zoho) -> None:
    zoho.begin(datetime.now(UTC) - timedelta(days=61))
    with pytest.raises(SnapshotError, match="older than 60 days"):
        zoho.go_on()
    assert len(zoho.onward.snapshots()) == 1


def test_a_record_that_changes_while_it_is_read_is_in_the_next(zoho: Zoho) -> None:
    one, two = zoho.crm.ids("Contacts")[:2]
    zoho.begin()
    zoho.edit(one, Description="first")

    class Editing(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            if request.url.path.endswith(f"/Contacts/{one}"):
                zoho.edit(one, Description="second")
                zoho.edit(two, Description="second")
            return answer

    zoho.transport = Editing()
    made = zoho.go_on()
    zoho.transport = None
    assert zoho.onward.records(made, "contact", [one])[one]["Description"] == "first"
    zoho.same()


def test_who_may_not_see_the_list_of_deletions_reads_whole(zoho: Zoho) -> None:
    class Denied(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/deleted"):
                return httpx.Response(403, json={"code": "NO_PERMISSION", "details": {}, "message": "", "status": "error"})
            return super().handle_request(request)

    zoho.transport = Denied()
    first = zoho.begin()
    assert first.complete
    zoho.bin("Contacts", zoho.crm.ids("Contacts")[0])
    assert set(zoho.ways(zoho.same()).values()) == {"whole"}
