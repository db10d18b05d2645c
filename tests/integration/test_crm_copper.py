"""The Copper reader against the Copper sandbox over real HTTP; each trap of the contract page has a test of its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from steward.crm.copper import CopperReader
from steward.crm.examples import example_mapping
from steward.crm.mapping import Mapping, parse_mapping
from steward.crm.profiles import Profile
from steward.errors import DeniedError, UnavailableError
from steward.records import Absent, Record, RecordKey
from steward.sandbox.copper import ADMIN_KEY, RESTRICTED_KEY
from tests.support.copper_sandbox import Copies, Sandbox

MAPPING = parse_mapping(example_mapping("copper"))
FOR_GOOD = parse_mapping("\n".join(x for x in example_mapping("copper").splitlines() if not x.startswith("soft_delete")))
CUSTOMERS = 700
Open = Callable[..., CopperReader]


class Virtual:
    """A clock that nobody waits for."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    return Copies(tmp_path_factory.mktemp("copper"), CUSTOMERS)


@pytest.fixture(scope="module")
def served(copies: Copies) -> Iterator[Sandbox]:
    with copies.running() as sandbox:
        yield sandbox


@pytest.fixture
def box(copies: Copies, served: Sandbox) -> Sandbox:
    copies.reset(served.state)
    return served


@pytest.fixture
def reader(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    opened: list[CopperReader] = []

    def make(
        *,
        admin: bool = True,
        kept: Path | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Virtual | None = None,
        mapping: Mapping = MAPPING,
        **options: str,
    ) -> CopperReader:
        monkeypatch.setenv("COPPER_USER", box.mail(1 if admin else 2))
        monkeypatch.setenv("COPPER_TOKEN", ADMIN_KEY if admin else RESTRICTED_KEY)
        read = {"user": "${COPPER_USER}", "token": "${COPPER_TOKEN}"}
        profile = Profile(
            system="copper", tenant="default", environment="production", address=box.base, read=read, options=options, name="t"
        )
        opened.append(CopperReader(profile, mapping, kept=kept, transport=transport, clock=clock or Virtual()))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def every(reader: CopperReader, object: str) -> dict[str, Record]:
    rows = [record for batch in reader.scan(object, batch=150) for record in batch]
    found = {record.key.id: record for record in rows}
    assert len(found) == len(rows)  # none twice
    return found


def there(box: Sandbox, kind: str) -> set[str]:
    return {str(body["id"]) for body in box.state.all(kind) if not body.get("is_deleted")}


KINDS = {
    "user": "users", "company": "companies", "contact": "people", "lead": "leads", "deal": "opportunities",
    "project": "projects", "task": "tasks", "activity": "activities",
}  # fmt: skip


def test_everything_is_read_once(box: Sandbox, reader: Open) -> None:
    one = reader()
    for object, kind in KINDS.items():
        assert set(every(one, object)) == there(box, kind), object
    assert one.doubts == []


@pytest.mark.parametrize("object", ["contact", "activity"])
@pytest.mark.parametrize(
    "habit",
    [{"short_by": 60}, {"overlap_sorted": 9}, {"short_by": 31, "overlap_sorted": 4}, {"empty_pages": 1}, {"bounds": "exclusive"},
     {"total": "overstate", "total_extra": 900}, {"total": "omit"}],
    ids=["short pages", "overlap", "both", "an empty page before the end", "exclusive bounds", "overstated total", "no total"],
)  # fmt: skip
def test_no_habit_of_pages_loses_or_doubles_a_record(box: Sandbox, reader: Open, object: str, habit: dict[str, object]) -> None:
    box.state.switches.turn(habit)
    assert set(every(reader(), object)) == there(box, KINDS[object])


def test_a_page_of_stubs_is_not_the_end(box: Sandbox, reader: Open) -> None:
    box.state.switches.stubs_in_search = True
    ids = sorted((body["date_created"], body["id"]) for body in box.state.all("activities"))
    for _, id_ in ids[:450]:  # stubs have no date and so may fill whole pages, wherever they are sorted
        box.state.put("activities", {"id": id_, "is_deleted": True})
    found = every(reader(), "activity")
    assert set(found) == there(box, "activities")
    assert found


class Between(httpx.BaseTransport):
    """Does something after a number of searches of one entity."""

    def __init__(self, path: str, after: int, act: Callable[[], object]) -> None:
        self.inner, self.path, self.left, self.act = httpx.HTTPTransport(), path, after, act

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        reply = self.inner.handle_request(request)
        if request.url.path.endswith(self.path):
            self.left -= 1
            if self.left == 0:
                reply.read()
                self.act()
        return reply

    def close(self) -> None:
        self.inner.close()


def test_a_delete_during_the_read_hides_no_other_record(box: Sandbox, reader: Open) -> None:
    first = box.search("people", sort_by="date_created", page_size=5)

    def act() -> None:
        for row in first:
            box.call("DELETE", f"/people/{row['id']}")

    found = every(reader(transport=Between("/people/search", 1, act)), "contact")
    assert there(box, "people") <= set(found)


def test_activities_that_go_away_during_the_read_are_a_doubt(box: Sandbox, reader: Open) -> None:
    first = box.search("activities", sort_by="date_created", page_size=1)[0]["id"]
    one = reader(transport=Between("/activities/search", 2, lambda: box.call("DELETE", f"/activities/{first}")))
    every(one, "activity")
    assert len(one.doubts) == 1
    every(calm := reader(), "activity")
    assert calm.doubts == []


def test_a_thousand_records_of_one_second_are_all_read(box: Sandbox, reader: Open) -> None:
    for body in list(box.state.all("people")):
        box.state.put("people", {**body, "date_created": 1_700_000_000})
    one = reader()
    assert set(every(one, "contact")) == there(box, "people")
    assert one.doubts == []


def test_past_the_ceiling_a_read_goes_on_or_doubts(box: Sandbox, reader: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steward.crm.copper.CEILING", 400)
    box.state.switches.ceiling = 400
    one = reader()
    assert set(every(one, "contact")) == there(box, "people")
    assert one.doubts == []
    assert len(every(one, "activity")) == 400 < len(there(box, "activities"))
    assert len(one.doubts) == 1


def test_429_without_a_header_is_waited_out(box: Sandbox, reader: Open) -> None:
    for _ in range(3):
        box.control("faults", {"kind": "429", "path": "/people/search", "skip": 1})
    box.control("faults", {"kind": "500", "path": "/people/search", "skip": 2})
    clock = Virtual()
    assert set(every(reader(clock=clock), "contact")) == there(box, "people")
    assert clock.now > 1


def test_the_limit_is_kept_so_that_no_429_comes(box: Sandbox, reader: Open) -> None:
    class Together(Virtual):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            box.state.ahead += seconds

    box.state.switches.per_minute = 10
    one = reader(clock=Together(), requests_per_minute="10")
    assert set(every(one, "activity")) == there(box, "activities")
    assert not [row for row in box.control("log", method="GET") if row["status"] == 429]


def test_a_broken_read_goes_on_where_it_stopped(box: Sandbox, reader: Open, tmp_path: Path) -> None:
    box.control("faults", {"kind": "cut_before", "path": "/activities/search", "skip": 3, "times": 6})
    with pytest.raises(UnavailableError):
        every(reader(kept=tmp_path), "activity")
    box.control("log", method="DELETE")
    again = reader(kept=tmp_path)
    assert set(every(again, "activity")) == there(box, "activities")
    asked = [row for row in box.control("log", method="GET") if row["path"] == "/activities/search"]
    assert '"page_number":4' in asked[0]["asked"].replace(" ", "")
    again.finished()
    assert list(tmp_path.glob("*.pages")) == []


def test_a_key_of_a_restricted_team_is_a_doubt(box: Sandbox, reader: Open) -> None:
    box.state.switches.team_permissions = True
    one = reader(admin=False)
    assert set(every(one, "contact")) < there(box, "people")
    assert one.doubts
    every(sure := reader(sees_everything="yes"), "contact")
    assert sure.doubts == []


@pytest.mark.parametrize("hidden", ["404", "403"])
def test_a_record_that_may_not_be_seen_is_not_called_absent(box: Sandbox, reader: Open, hidden: str) -> None:
    box.state.switches.turn({"team_permissions": True, "hidden": hidden})
    one = reader(admin=False)
    hidden_id = min(there(box, "people") - set(every(one, "contact")), key=int)
    if hidden == "403":
        with pytest.raises(DeniedError):
            one.fetch("contact", [hidden_id])
    else:
        assert one.fetch("contact", [hidden_id]) == {}


def test_what_is_gone_is_fetched_as_absent(box: Sandbox, reader: Open) -> None:
    box.call("DELETE", "/people/5")
    box.call("DELETE", "/activities/2")
    one = reader()
    said = one.fetch("contact", ["5", "6", "abc"])
    assert isinstance(said["5"], Absent)
    assert isinstance(said["6"], Record)
    assert isinstance(said["abc"], Absent)
    assert isinstance(one.fetch("activity", ["2"])["2"], Absent)


def test_a_fetched_record_is_the_scanned_one(box: Sandbox, reader: Open) -> None:
    one = reader()
    for object in KINDS:
        scanned = every(one, object)
        ids = sorted(scanned, key=int)[:4]
        assert dict(one.fetch(object, ids)) == {id_: scanned[id_] for id_ in ids}, object


def test_search_that_lags_is_found_out_by_fetch(box: Sandbox, reader: Open) -> None:
    box.state.switches.lag = True
    box.call("DELETE", "/people/7")
    one = reader()
    assert "7" in every(one, "contact")
    assert isinstance(one.fetch("contact", ["7"])["7"], Absent)


def test_a_deal_that_search_does_not_list_yet_is_a_child(box: Sandbox, reader: Open) -> None:
    box.state.switches.lag = True
    made = box.call("POST", "/opportunities", {"name": "New", "primary_contact_id": 9}).json()
    assert RecordKey("deal", str(made["id"])) in {link.child for link in reader().children("contact", ["9"])}


def test_children_are_complete(box: Sandbox, reader: Open) -> None:
    one = reader()
    people = list(box.state.all("people"))
    wanted = {str(body["company_id"]) for body in people if body["company_id"]}
    some = sorted(wanted, key=int)[:3]
    links = one.children("company", some)
    for company in some:
        mine = {str(body["id"]) for body in people if str(body["company_id"]) == company}
        told = {link.child.id for link in links if link.child.object == "contact" and link.parent.id == company}
        assert mine == told
    task = next(body for body in box.state.all("tasks") if body["related_resource"])
    owner = {"person": "contact", "lead": "lead"}[task["related_resource"]["type"]]
    id_ = str(task["related_resource"]["id"])
    children = {link.child for link in one.children(owner, [id_])}
    assert RecordKey("task", str(task["id"])) in children
    activity = next(body for body in box.state.all("activities") if body["parent"]["type"] == "person")
    children = {link.child for link in one.children("contact", [str(activity["parent"]["id"])])}
    assert RecordKey("activity", str(activity["id"])) in children


def test_activities_of_a_user_are_children(box: Sandbox, reader: Open) -> None:
    mine = {str(body["id"]) for body in box.state.all("activities") if body["user_id"] == 3}
    links = reader().children("user", ["3"])
    assert mine == {link.child.id for link in links if link.child.object == "activity"}
    assert mine


@pytest.mark.parametrize("form", ["plural", "singular"])
def test_connect_fields_are_children(box: Sandbox, reader: Open, form: str) -> None:
    box.state.switches.turn({"link_entity_type": form, "links_both_ways": True})
    ((source, target),) = box.state.query("SELECT a_id, b_id FROM link ORDER BY id LIMIT 1")
    one = reader()
    marked = one.children("contact", [str(source)])
    assert not [link for link in marked if "connect" in link.field], "what only gets a mark keeps them"
    for id_, other in ((source, target), (target, source)):
        found = {(link.child, link.field) for link in one.lost_with("contact", [str(id_)])}
        assert (RecordKey("contact", str(other)), "connect_7") in found
        found = {(link.child, link.field) for link in reader(mapping=FOR_GOOD).children("contact", [str(id_)])}
        assert (RecordKey("contact", str(other)), "connect_7") in found
    ignoring = reader(mapping=FOR_GOOD, connect_fields="ignore")
    assert not [link for link in ignoring.children("contact", [str(source)]) if "connect" in link.field]


def test_files_are_children_where_a_deletion_is_for_good(box: Sandbox, reader: Open) -> None:
    ((owner,),) = box.state.query("SELECT owner FROM file WHERE kind = 'people' ORDER BY id LIMIT 1")
    asked = {"mapping": FOR_GOOD}
    assert "files" in {link.field for link in reader(**asked).children("contact", [str(owner)])}
    assert "files" not in {link.field for link in reader(**asked, files="ignore").children("contact", [str(owner)])}
    assert "files" not in {link.field for link in reader().children("contact", [str(owner)])}


def test_a_primary_contact_is_in_use(box: Sandbox, reader: Open) -> None:
    person = next(body for body in box.state.all("people") if body["company_id"])
    box.control("edit", {"kind": "companies", "id": person["company_id"], "changes": {"primary_contact_id": person["id"]}})
    found = reader(mapping=FOR_GOOD).children("contact", [str(person["id"])])
    assert (RecordKey("company", str(person["company_id"])), "primary_contact_id") in {(x.child, x.field) for x in found}


def test_what_is_related_and_in_no_field_is_read_where_it_is_asked_for(box: Sandbox, reader: Open) -> None:
    rows = box.state.query("SELECT a, a_id, b_id FROM relation WHERE b = 'projects' AND a IN ('people', 'companies')")
    wanted: dict[tuple[str, str], set[int]] = {}
    for kind, one, project in rows:
        wanted.setdefault((str(project), {"people": "person_id", "companies": "company_id"}[kind]), set()).add(one)
    asking = reader(related="ask")
    found = every(asking, "project")
    for (project, column), ids in wanted.items():
        assert found[project].fields[column] == (next(iter(ids)) if len(ids) == 1 else None)
    (project, column), ids = next(w for w in wanted.items() if w[0][1] == "person_id" and len(w[1]) == 1)
    (person,) = (str(i) for i in ids)
    assert (RecordKey("project", project), column) in {(x.child, x.field) for x in asking.children("contact", [person])}
    assert asking.fetch("project", [project])[project] == found[project], "read alike by page and by id"
    silent = reader()
    assert all(record.fields["person_id"] is None for record in every(silent, "project").values())
    assert (RecordKey("project", project), "related") in {(x.child, x.field) for x in silent.children("contact", [person])}


def test_the_mark_of_a_deletion_is_a_column_and_no_tag(box: Sandbox, reader: Open) -> None:
    box.control("edit", {"kind": "people", "id": 4, "changes": {"tags": ["vip", "steward:pending-delete", "old"]}})
    marked, other = (one.fetch("contact", ["4"])["4"] for one in (reader(), reader(deleted_tag="old")))
    assert isinstance(marked, Record) and isinstance(other, Record)
    assert (marked.fields["pending_delete"], marked.fields["tags"], marked.deleted) == (True, ["vip", "old"], True)
    assert other.fields["tags"] == ["vip", "steward:pending-delete"] and other.deleted
    assert reader().count("contact") == len(there(box, "people")) - 1


def test_activities_of_the_system_are_links_or_stand_apart(box: Sandbox, reader: Open) -> None:
    row = next(body for body in box.state.all("activities") if body["type"]["category"] == "system")
    column = f"{row['parent']['type']}_id"
    linked, apart = (
        one.fetch("activity", [str(row["id"])])[str(row["id"])] for one in (reader(), reader(system_activities="apart"))
    )
    assert isinstance(linked, Record) and isinstance(apart, Record)
    assert linked.fields[column] == row["parent"]["id"] and apart.fields[column] is None
    assert apart.fields["more"] == {"about": f"{row['parent']['type']}/{row['parent']['id']}"}


def test_converted_leads_are_read_too(box: Sandbox, reader: Open) -> None:
    converted = {str(body["id"]) for body in box.state.all("leads") if body["converted_at"]}
    assert converted
    assert converted <= set(every(one := reader(), "lead"))
    assert one.count("lead") == len(there(box, "leads"))
    assert not converted & set(every(reader(converted_leads="none"), "lead"))


def test_both_forms_of_a_date_become_one(box: Sandbox, reader: Open) -> None:
    one = reader()
    for object, column in (("task", "due_date"), ("contact", "cf_1"), ("deal", "close_date")):
        values = [record.fields[column] for record in every(one, object).values() if record.fields[column] is not None]
        assert values
        assert all(isinstance(value, str) and len(value) == 10 and value[4] == "-" for value in values), column


def test_leads_that_are_off_are_told_and_never_an_empty_list(box: Sandbox, reader: Open) -> None:
    box.state.switches.leads = False
    one = reader()
    assert one.access().missing == ("lead",)
    with pytest.raises(DeniedError):
        every(one, "lead")


def test_a_missing_total_is_not_zero(box: Sandbox, reader: Open) -> None:
    box.state.switches.total = "omit"
    assert reader().count("contact") == len(there(box, "people"))


def test_ids_of_two_entities_do_not_mix(box: Sandbox, reader: Open) -> None:
    one = reader()
    names = {object: one.fetch(object, ["3"])["3"] for object in ("contact", "company", "deal")}
    assert len({record.fields["name"] for record in names.values() if isinstance(record, Record)}) == 3


def test_a_removed_user_leaves_owners_empty_not_records_changed_hands(box: Sandbox, reader: Open) -> None:
    owned = {str(body["id"]) for body in box.state.all("people") if body["assignee_id"] == 4}
    box.control("remove_user", {"id": 4})
    found = every(reader(), "contact")
    assert owned
    assert all(found[id_].fields["assignee_id"] is None for id_ in owned)
    assert isinstance(reader().fetch("user", ["4"])["4"], Absent)


def test_a_human_edit_moves_the_version(box: Sandbox, reader: Open) -> None:
    one = reader()
    before = one.fetch("contact", ["8"])["8"]
    box.control("edit", {"kind": "people", "id": 8, "changes": {"title": "Head"}})
    after = one.fetch("contact", ["8"])["8"]
    assert isinstance(before, Record)
    assert isinstance(after, Record)
    assert before.version != after.version
    assert replace(after, fields={**after.fields, "title": before.fields["title"]}).fields != before.fields


def test_a_wrong_key_is_refused_without_being_told(box: Sandbox, reader: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    one = reader()
    box.state.query("DELETE FROM access")
    with pytest.raises(DeniedError) as error:
        every(one, "contact")
    assert ADMIN_KEY not in str(error.value)


def test_a_token_reads_as_a_key_does(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPPER_BEARER", box.state.token(1))
    profile = Profile(
        system="copper",
        tenant="default",
        environment="production",
        address=box.base,
        read={"bearer": "${COPPER_BEARER}"},
        name="t",
    )
    with CopperReader(profile, MAPPING, clock=Virtual()) as one:
        assert set(one.fetch("contact", ["3"])) == {"3"}


def test_access_says_organisation_and_user(box: Sandbox, reader: Open) -> None:
    said = reader().access()
    assert (said.organisation, said.acts_as, said.may_write, said.missing) == ("Sandbox", "1", None, ())
