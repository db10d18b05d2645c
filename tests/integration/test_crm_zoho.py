"""The Zoho reader against the Zoho sandbox over real HTTP; the two share no code. One named test for every trap."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from steward.crm.mapping import parse_mapping
from steward.crm.profiles import Profile
from steward.crm.zoho import ZohoReader
from steward.errors import DeniedError, SchemaMismatchError, StewardError, ThrottledError, UnavailableError, WrongTargetError
from steward.records import Absent, Record, RecordKey, canonical_text, object_digest, record_digest
from steward.sandbox.zoho.auth import CLIENT
from tests.support.vendor_sandbox import serve
from tests.support.zoho_sandbox import Caller, Fresh

MAPPING = """
format = "steward-mapping/1"
system = "zoho"
tenant = "demo"
environment = "sandbox"

[objects.user]
table = "users"
key = "id"
role = "user"
label = ["full_name"]
writable = []

[objects.company]
table = "Accounts"
key = "id"
role = "company"
label = ["Account_Name", "Billing_City"]
created = "Created_Time"
modified = "Modified_Time"
version = "Modified_Time"
owner = "Owner"
parents = { Owner = "user" }

[objects.contact]
table = "Contacts"
key = "id"
role = "person"
label = ["First_Name", "Last_Name"]
created = "Created_Time"
modified = "Modified_Time"
version = "Modified_Time"
owner = "Owner"
parents = { Account_Name = "company", Owner = "user" }

[objects.lead]
table = "Leads"
key = "id"
role = "lead"
label = ["First_Name", "Last_Name"]
version = "Modified_Time"
owner = "Owner"
parents = { Owner = "user" }

[objects.deal]
table = "Deals"
key = "id"
role = "deal"
label = ["Deal_Name"]
version = "Modified_Time"
amount = "Amount"
parents = { Account_Name = "company", Contact_Name = "contact" }

[objects.task]
table = "Tasks"
key = "id"
role = "activity"
label = ["Subject"]
version = "Modified_Time"
parents = { Who_Id = "contact", What_Id = "company" }

[objects.note]
table = "Notes"
key = "id"
role = "note"
version = "Modified_Time"
parents = { Parent_Id = "contact" }
"""
MODULE = {"company": "Accounts", "contact": "Contacts", "lead": "Leads", "deal": "Deals", "task": "Tasks", "note": "Notes"}


class SharedClock:
    """Waiting moves our clock and the sandbox's, and takes no time."""

    def __init__(self, fresh: Fresh) -> None:
        self.fresh, self.now, self.slept = fresh, 0.0, 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds
        self.fresh.app.state.advance(seconds)


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Fresh]]:
    fresh = Fresh(300)
    with serve(fresh) as address:
        yield address, fresh


@pytest.fixture
def crm(server: tuple[str, Fresh]) -> Iterator[Caller]:
    address, fresh = server
    caller = Caller(address, fresh.renew())
    yield caller
    caller.http.close()


@pytest.fixture
def clock(server: tuple[str, Fresh]) -> SharedClock:
    return SharedClock(server[1])


def open_zoho(
    crm: Caller, clock: SharedClock, *, kept: Path | None = None, environment: str = "sandbox", refresh: str = "1000.reader"
) -> ZohoReader:
    address = str(crm.http.base_url).rstrip("/")
    profile = Profile(
        system="zoho", tenant="demo", environment=environment, address=address, name="z",
        read={**CLIENT, "refresh_token": refresh}, options={"data_centre": "eu", "accounts": address},
    )  # fmt: skip
    mapping = parse_mapping(MAPPING.replace('environment = "sandbox"', f'environment = "{environment}"'))
    return ZohoReader(profile, mapping, kept=kept, clock=clock)


@pytest.fixture
def reader(crm: Caller, clock: SharedClock) -> Iterator[ZohoReader]:
    with open_zoho(crm, clock) as found:
        assert isinstance(found, ZohoReader)
        yield found


def everything(reader: ZohoReader, name: str, batch: int = 97) -> dict[str, Record]:
    found: dict[str, Record] = {}
    for records in reader.scan(name, batch=batch):
        assert 0 < len(records) <= batch
        for record in records:
            assert record.key.id not in found, "a record came twice"
            found[record.key.id] = record
    return found


def posts(crm: Caller) -> int:
    log = crm.http.get("/_control/log").json()["log"]
    return sum(e["method"] == "POST" and e["path"] == "/crm/bulk/v8/read" for e in log)


@pytest.mark.parametrize("name", MODULE)
def test_everything_is_read_once_through_several_page_tokens(reader: ZohoReader, crm: Caller, name: str) -> None:
    ids = crm.ids(MODULE[name])
    size = max(1, len(ids) // 3)
    crm.control("switches", bulk_page=size)
    assert sorted(everything(reader, name)) == ids
    assert posts(crm) == -(-len(ids) // size) >= 3


def test_users_are_read_as_users(reader: ZohoReader, crm: Caller) -> None:
    held = {str(i) for (i,) in crm.state.db.execute("SELECT id FROM person")}
    assert everything(reader, "user").keys() == held and not held & set(crm.ids("Contacts"))


@pytest.mark.parametrize(("name", "zone"), [*((name, 330) for name in MODULE), ("contact", -480), ("task", 0)])
def test_scan_and_fetch_agree_to_the_digest_for_every_kind_of_field(
    reader: ZohoReader, crm: Caller, name: str, zone: int
) -> None:
    crm.control("switches", zone_minutes=zone)
    scanned = everything(reader, name)
    some = dict(list(scanned.items())[:40])
    fetched = reader.fetch(name, list(some))
    for key, record in some.items():
        other = fetched[key]
        assert isinstance(other, Record)
        a, b = ({n: canonical_text(v) for n, v in r.fields.items()} for r in (record, other))
        assert a == b
        assert record.version == other.version and record.version is not None
    digests = [
        object_digest(name, (record_digest(r.fields) for r in records if isinstance(r, Record)))
        for records in (some.values(), fetched.values())
    ]
    assert digests[0] == digests[1]


def test_a_list_would_cut_rich_text_a_snapshot_does_not(reader: ZohoReader, crm: Caller) -> None:
    held = {
        str(i): json.loads(doc)["Background"]
        for i, doc in crm.state.db.execute("SELECT id, doc FROM record WHERE module = 'Contacts'")
        if "Background" in json.loads(doc)
    }
    scanned = everything(reader, "contact")
    assert held and all(len(text) > 500 and scanned[i].fields["Background"] == text for i, text in held.items())


def test_ids_keep_every_digit(reader: ZohoReader) -> None:
    (first, *_) = everything(reader, "contact").values()
    assert int(first.key.id) > 2**53 and first.fields["id"] == first.key.id
    assert isinstance(first.fields["Owner"], str) and int(first.fields["Owner"]) > 2**53


def test_a_human_edit_moves_the_version_and_the_digest(reader: ZohoReader, crm: Caller) -> None:
    ident = crm.ids("Contacts")[0]
    before = reader.fetch("contact", [ident])[ident]
    crm.control("edit", id=ident, values={"Mobile": "+49 30 5550199"})
    after = reader.fetch("contact", [ident])[ident]
    assert isinstance(before, Record) and isinstance(after, Record)
    assert before.version != after.version
    assert after.fields["Mobile"] == "+49 30 5550199"


def test_a_change_in_a_subform_moves_the_version_though_no_column_shows_it(reader: ZohoReader, crm: Caller) -> None:
    ident = crm.ids("Contacts")[0]
    before = reader.fetch("contact", [ident])[ident]
    crm.control("edit", id=ident, values={"Visits": [{"id": "1", "Remark": "changed"}]})
    after = reader.fetch("contact", [ident])[ident]
    assert isinstance(before, Record) and isinstance(after, Record)
    assert "Visits" not in reader.columns("contact") and before.version != after.version


@pytest.mark.parametrize("name", ["INVALID_TOKEN", "INVALID_OAUTHTOKEN"])
def test_a_token_that_runs_out_in_the_middle_of_a_read_is_renewed(reader: ZohoReader, crm: Caller, name: str) -> None:
    crm.control("switches", bulk_page=60, token_seconds=8, expired_code=name)
    assert sorted(everything(reader, "contact")) == crm.ids("Contacts")
    log = crm.http.get("/_control/log").json()["log"]
    assert any(e["status"] == 401 for e in log) and sum("/oauth/" in e["path"] for e in log) > 2


def test_the_token_service_denies_with_status_200_and_is_believed(reader: ZohoReader, crm: Caller) -> None:
    other = Caller(str(crm.http.base_url), crm.state, "1000.reader")
    for _ in range(9):
        other.ask_token()
    other.http.close()
    with pytest.raises(ThrottledError) as caught:
        reader.count("contact")
    assert caught.value.facts["retry_after"] == 600.0
    crm.control("clock", seconds=601)
    assert reader.count("contact") == len(crm.ids("Contacts"))


def test_the_reader_never_asks_for_more_than_ten_tokens_in_ten_minutes(
    reader: ZohoReader, crm: Caller, clock: SharedClock
) -> None:
    for _ in range(14):
        crm.control("revoke")
        reader.count("contact")
    assert clock.slept >= 600
    assert not [e for e in crm.http.get("/_control/log").json()["log"] if "/oauth/" in e["path"] and e["status"] != 200]


def test_a_refused_client_is_denied_and_no_secret_is_shown(crm: Caller, clock: SharedClock) -> None:
    with open_zoho(crm, clock, refresh="1000.stranger") as found, pytest.raises(DeniedError) as caught:
        found.columns("contact")
    assert "stranger" not in str(caught.value) and "sandbox-client" not in str(caught.value)


@pytest.mark.parametrize(
    ("says", "environment"), [("production", "sandbox"), ("sandbox", "production"), ("developer", "production")]
)
def test_an_organisation_of_the_other_kind_is_refused_before_a_record_is_read(
    crm: Caller, clock: SharedClock, says: str, environment: str
) -> None:
    crm.control("switches", org_type=says)
    with open_zoho(crm, clock, environment=environment) as found, pytest.raises(WrongTargetError):
        everything(found, "contact")
    paths = {e["path"] for e in crm.http.get("/_control/log").json()["log"]}
    assert not [p for p in paths if "bulk" in p or "Contacts" in p]


def test_an_organisation_that_may_not_be_read_stops_the_read_and_is_shown_as_missing(crm: Caller, clock: SharedClock) -> None:
    with open_zoho(crm, clock, refresh="1000.narrow") as found:
        with pytest.raises(DeniedError):
            found.columns("contact")
        assert found.access().missing == ("org",)
    assert not posts(crm)


def test_an_organisation_without_a_kind_is_not_read(crm: Caller, clock: SharedClock) -> None:
    crm.control("switches", org_type="")
    with open_zoho(crm, clock) as found, pytest.raises(SchemaMismatchError):
        found.columns("contact")
    assert not posts(crm)


def test_an_empty_module_is_read_as_empty(reader: ZohoReader, crm: Caller) -> None:
    crm("POST", "Leads/actions/mass_delete", json={"ids": crm.ids("Leads", 500)})
    assert crm.ids("Leads") == [] and everything(reader, "lead") == {}


def test_children_by_coql_beyond_one_answer_and_one_list_of_ids(reader: ZohoReader, crm: Caller) -> None:
    parents = crm.ids("Contacts")
    links = reader.children("contact", parents)
    expected = set()
    for module, look in (("Deals", "Contact_Name"), ("Tasks", "Who_Id"), ("Notes", "Parent_Id")):
        for ident, parent in crm.state.db.execute(
            f"SELECT id, json_extract(doc, '$.{look}.id') FROM record WHERE module = ?", (module,)
        ):
            if parent in set(parents):
                expected.add((str(ident), look, parent))
    assert {(link.child.id, link.field, link.parent.id) for link in links} == expected
    assert len(links) > 400 and len(links) == len(expected)


def test_more_than_two_hundred_children_of_one_parent_all_come(reader: ZohoReader, crm: Caller) -> None:
    parent = crm.ids("Contacts")[0]
    link = {"id": parent, "name": "x"}
    for n in range(450):
        crm.state.put("Tasks", 8_000_000_000_000_000_000 + n, {"Subject": f"t{n}", "Who_Id": link}, created=1.0, modified=1.0)
    links = [found for found in reader.children("contact", [parent]) if found.child.object == "task"]
    assert len({found.child.id for found in links}) >= 450


def test_a_child_created_a_moment_ago_is_seen_though_search_and_count_lag(reader: ZohoReader, crm: Caller) -> None:
    crm.control("switches", search_lag=600, count_lag=600)
    parent = crm.ids("Contacts")[-1]
    now = crm.state.now()
    crm.state.put(
        "Deals", 8_100_000_000_000_000_000, {"Deal_Name": "n", "Contact_Name": {"id": parent}}, created=now, modified=now
    )
    assert RecordKey("deal", "8100000000000000000") in {found.child for found in reader.children("contact", [parent])}
    assert not [e for e in crm.http.get("/_control/log").json()["log"] if "/search" in e["path"]]


def test_the_recycle_bin_says_who(reader: ZohoReader, crm: Caller) -> None:
    a, b = crm.ids("Contacts", 2)
    crm("DELETE", f"Contacts/{a}")
    said = reader.fetch("contact", [a, b, "123456789012345678", "x"])
    who = str(crm.state.db.execute("SELECT id FROM person ORDER BY id LIMIT 1 OFFSET 1").fetchone()[0])
    gone, never, wrong = said[a], said["123456789012345678"], said["x"]
    assert isinstance(gone, Absent) and gone.deleted_by == who and "recycle bin" in gone.how
    assert isinstance(said[b], Record)
    assert isinstance(never, Absent) and never.deleted_by is None
    assert isinstance(wrong, Absent)


@pytest.mark.parametrize("status", [204, 400])
def test_an_unknown_id_is_absent_in_either_form_of_the_answer(reader: ZohoReader, crm: Caller, status: int) -> None:
    crm.control("switches", missing_single=status)
    found = reader.fetch("contact", ["123456789012345678"])["123456789012345678"]
    assert isinstance(found, Absent)


def test_purged_is_absent_without_a_name(reader: ZohoReader, crm: Caller) -> None:
    a = crm.ids("Contacts", 1)[0]
    crm("DELETE", f"Contacts/{a}")
    crm("DELETE", f"settings/recycle_bin/{a}")
    found = reader.fetch("contact", [a])[a]
    assert isinstance(found, Absent)


def test_a_read_that_broke_goes_on_where_it_stood(crm: Caller, clock: SharedClock, tmp_path: Path) -> None:
    crm.control("switches", bulk_page=60)
    with open_zoho(crm, clock, kept=tmp_path) as first:
        assert isinstance(first, ZohoReader)
        crm.control("faults", kind="500", path="/result", skip=2, times=20)
        with pytest.raises(UnavailableError):
            everything(first, "contact")
    crm.http.delete("/_control/faults")
    before = posts(crm)
    with open_zoho(crm, clock, kept=tmp_path) as second:
        assert isinstance(second, ZohoReader)
        assert sorted(everything(second, "contact")) == crm.ids("Contacts")
    pages = -(-len(crm.ids("Contacts")) // 60)
    assert posts(crm) - before == pages - 2, "two pages were kept"


def test_a_page_token_that_the_crm_no_longer_takes_begins_anew(crm: Caller, clock: SharedClock, tmp_path: Path) -> None:
    crm.control("switches", bulk_page=60)
    with open_zoho(crm, clock, kept=tmp_path) as first:
        assert isinstance(first, ZohoReader)
        crm.control("faults", kind="500", path="/result", skip=2, times=20)
        with pytest.raises(UnavailableError):
            everything(first, "contact")
    crm.http.delete("/_control/faults")
    crm.control("clock", days=1.5)
    with open_zoho(crm, clock, kept=tmp_path) as second:
        assert isinstance(second, ZohoReader)
        assert sorted(everything(second, "contact")) == crm.ids("Contacts")


def test_a_bulk_job_that_fails_at_the_crm_is_told(reader: ZohoReader, crm: Caller) -> None:
    crm.control("switches", bulk_failures=1)
    with pytest.raises(UnavailableError):
        everything(reader, "deal")
    assert sorted(everything(reader, "deal")) == crm.ids("Deals")


def test_connections_that_break_and_429_are_waited_out(reader: ZohoReader, crm: Caller, clock: SharedClock) -> None:
    for kind, path in (("cut_before", "/read$"), ("cut_after", "/result"), ("429", "/read/"), ("500", "fields")):
        crm.control("faults", kind=kind, path=path)
    assert sorted(everything(reader, "contact")) == crm.ids("Contacts")
    assert clock.slept > 3


def test_ten_downloads_a_minute_are_kept(reader: ZohoReader, crm: Caller) -> None:
    crm.control("switches", bulk_page=20, bulk_polls=0)
    assert sorted(everything(reader, "contact")) == crm.ids("Contacts")
    assert posts(crm) > 11
    assert 429 not in {e["status"] for e in crm.http.get("/_control/log").json()["log"]}


@pytest.mark.parametrize("as_text", [True, False])
def test_a_count_as_number_or_as_text_is_shown_and_never_held_against_a_read(
    reader: ZohoReader, crm: Caller, as_text: bool
) -> None:
    crm.control("switches", count_text=as_text, count_lag=600)
    assert reader.counts_exactly is False
    before = reader.count("contact")
    crm("DELETE", f"Contacts/{crm.ids('Contacts')[0]}")
    assert reader.count("contact") == before == len(everything(reader, "contact")) + 1


@pytest.mark.parametrize("shape", ["object", "string"])
def test_the_module_of_a_bin_entry_in_either_shape(reader: ZohoReader, crm: Caller, shape: str) -> None:
    crm.control("switches", bin_module=shape)
    ident = crm.ids("Leads", 1)[0]
    crm("DELETE", f"Leads/{ident}")
    found = reader.fetch("lead", [ident])[ident]
    assert isinstance(found, Absent) and found.deleted_by


def test_an_id_binned_in_another_module_is_not_taken_for_this_one(reader: ZohoReader, crm: Caller) -> None:
    ident = crm.ids("Leads", 1)[0]
    crm("DELETE", f"Leads/{ident}")
    found = reader.fetch("contact", [ident])[ident]
    assert isinstance(found, Absent) and found.deleted_by is None and "another" in found.how


def test_a_converted_lead_is_read_too(reader: ZohoReader, crm: Caller) -> None:
    ident = crm.ids("Leads", 1)[0]
    crm.control("edit", id=ident, values={"Converted__s": True})
    assert ident in everything(reader, "lead")
    found = reader.fetch("lead", [ident])[ident]
    assert isinstance(found, Record) and found.fields["Converted__s"] == "true"


def test_access_says_organisation_kind_clock_and_whether_it_may_write(crm: Caller, clock: SharedClock) -> None:
    with open_zoho(crm, clock) as found:
        said = found.access()
    assert (said.organisation, said.environment, said.missing, said.may_write) == ("Sandbox", "sandbox", (), None)
    crm.control("switches", token_scope=True)
    for refresh, wanted in (("1000.reader", False), ("1000.executor", True)):
        with open_zoho(crm, clock, refresh=refresh) as found:
            said = found.access()
            assert said.may_write is wanted and said.scopes


def test_no_request_of_the_reader_changes_anything(reader: ZohoReader, crm: Caller) -> None:
    before = crm.state.db.execute("SELECT id, doc, life, modified FROM record ORDER BY id").fetchall()
    reader.access()
    for name in MODULE:
        reader.fetch(name, list(everything(reader, name))[:2])
    reader.children("contact", crm.ids("Contacts", 5))
    assert crm.state.db.execute("SELECT id, doc, life, modified FROM record ORDER BY id").fetchall() == before
    asked = {(e["method"], e["path"].split("?")[0]) for e in crm.http.get("/_control/log").json()["log"]}
    assert {p for m, p in asked if m != "GET"} <= {"/oauth/v2/token", "/crm/bulk/v8/read", "/crm/v8/coql"}


def test_hostile_values_do_not_reach_a_message(reader: ZohoReader, crm: Caller) -> None:
    crm.control("faults", kind="500", path="/Contacts/", times=20)
    with pytest.raises(StewardError) as caught:
        reader.fetch("contact", crm.ids("Contacts", 1))
    assert crm.ids("Contacts", 1)[0] not in str(caught.value) and not isinstance(caught.value, httpx.HTTPError)
