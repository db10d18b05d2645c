"""The Jiandaoyun reader and the proposed mapping against the sandbox, over real HTTP; the sandbox's own tables say what is true."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from steward.cli import main
from steward.crm.base import CrmReader
from steward.crm.jiandaoyun import JiandaoyunReader
from steward.crm.jiandaoyun_map import propose_forms
from steward.crm.jiandaoyun_wire import open_wire
from steward.crm.mapping import parse_mapping
from steward.crm.profiles import read_profile
from steward.errors import DeniedError, SchemaMismatchError, StewardError, UnavailableError
from steward.records import Absent, Record, RecordKey
from steward.sandbox.jiandaoyun import READ_KEY, create_app
from tests.support.vendor_sandbox import serve

PROFILES = """
format = "steward-profiles/1"
[profiles.acme]
system = "jiandaoyun"
tenant = "acme"
environment = "sandbox"
address = "{address}/api"
mapping = "mapping.toml"
[profiles.acme.read]
token = "${{JDY_KEY}}"
"""


@dataclass
class Patience:
    """A clock that does not wait, and writes down how long it should have."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


class World:
    """One sandbox with a profile and a mapping, and the levers behind the reader's back."""

    def __init__(self, address: str, folder: Path) -> None:
        self.folder = folder
        self.http = httpx.Client(base_url=address, timeout=10)
        self.control("settings", rates=False)
        self.profiles = folder / "profiles.toml"
        self.profiles.write_text(PROFILES.format(address=address), encoding="utf-8")
        self.profile = read_profile(self.profiles, "acme")
        self.form = {f["name"]: f for f in self.http.get("/_control/forms").json()}
        self.clock = Patience()
        self.begun = len(self.http.get("/_control/log").json())

    def control(self, name: str, **body: Any) -> Any:
        answer = self.http.post(f"/_control/{name}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def truth(self, form: str) -> dict[str, dict[str, Any]]:
        rows = self.http.get("/_control/records", params={"entry_id": self.form[form]["entry_id"]}).json()
        return {r["_id"]: r["body"] for r in rows}

    def widget(self, form: str, label: str) -> str:
        return str(next(f["widget"] for f in self.form[form]["fields"] if f["label"] == label))

    def key(self, form: str, label: str) -> str:
        return str(next(f["key"] for f in self.form[form]["fields"] if f["label"] == label))

    def reader(self, kept: Path | None = None) -> JiandaoyunReader:
        mapping = parse_mapping((self.folder / "mapping.toml").read_text(encoding="utf-8"), where="mapping.toml")
        return JiandaoyunReader(self.profile, mapping, kept=kept, clock=self.clock)

    def calls(self, path: str) -> list[dict[str, Any]]:
        return [r for r in self.http.get("/_control/log").json()[self.begun :] if r["path"].endswith(path)]

    def rename(self, form: str, label: str, alias: str) -> None:
        self.control("alias", entry_id=self.form[form]["entry_id"], widget=self.widget(form, label), alias=alias)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build one company, and propose its mapping once."""
    folder = tmp_path_factory.mktemp("company")
    create_app(folder / "company.sqlite", customers=260).state.company.db.close()
    with pytest.MonkeyPatch.context() as patch, serve(create_app(folder / "company.sqlite")) as address:
        patch.setenv("JDY_KEY", READ_KEY)
        world = World(address, folder)
        wire = open_wire(world.profile, clock=world.clock)
        text = propose_forms(wire).to_toml(tenant="acme", environment="sandbox")
        wire.close()
        (folder / "mapping.toml").write_text(text, encoding="utf-8")
        world.http.close()
    return folder


@pytest.fixture
def world(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("JDY_KEY", READ_KEY)
    for name in ("company.sqlite", "mapping.toml"):
        shutil.copy(template / name, tmp_path / name)
    with serve(create_app(tmp_path / "company.sqlite")) as address:
        made = World(address, tmp_path)
        yield made
        made.http.close()


def read(reader: CrmReader, name: str) -> dict[str, Record]:
    found: dict[str, Record] = {}
    for records in reader.scan(name, batch=70):
        for record in records:
            assert record.key.id not in found, "a record came twice"
            found[record.key.id] = record
    return found


def test_the_proposed_mapping_finds_every_form_and_where_links_point(world: World) -> None:
    mapping = parse_mapping((world.folder / "mapping.toml").read_text(encoding="utf-8"), where="mapping.toml")
    by_entry = {o.source.partition("/")[2]: o for o in mapping.objects.values()}
    wanted = {f["entry_id"]: f for f in world.form.values() if f["name"] != "线索池"}
    assert set(by_entry) == set(wanted)
    for entry_id, form in wanted.items():
        links = {f["widget"]: f["target"] for f in form["fields"] if f["target"] and not f["in"]}
        got = {name: mapping.objects[parent].source.partition("/")[2] for name, parent in by_entry[entry_id].parents.items()}
        assert got == links, form["name"]
    roles = {form["name"]: by_entry[entry_id].role for entry_id, form in wanted.items()}
    assert roles["客户"] == "company"
    assert roles["联系人"] == "person"
    assert (roles["商机"], roles["订单"], roles["工单"], roles["发票"]) == ("deal", "order", "ticket", "invoice")
    assert "30002" in (world.folder / "mapping.toml").read_text(encoding="utf-8"), "the preset form is said to be left out"


def test_a_first_value_that_dangles_does_not_hide_where_a_link_points(world: World) -> None:
    entry = world.form["工单"]["entry_id"]
    field = world.widget("工单", "客户")
    first = next(k for k, body in world.truth("工单").items() if field in body)
    world.control("edit", entry_id=entry, data_id=first, data={world.key("工单", "客户"): "f" * 24})
    wire = open_wire(world.profile, clock=world.clock)
    proposal = propose_forms(wire, apps=["客户管理", "售后服务"])
    wire.close()
    tickets = next(o for o in proposal.objects if o.table.endswith(entry))
    assert field in tickets.parents


def test_a_link_inside_a_subform_is_said_to_hold_deletions_back(world: World) -> None:
    text = (world.folder / "mapping.toml").read_text(encoding="utf-8")
    assert f"{world.widget('订单', '收货人')} refers from inside a subform; it holds a deletion back" in text


def test_the_proposed_mapping_says_what_a_call_may_write(world: World) -> None:
    mapping = parse_mapping((world.folder / "mapping.toml").read_text(encoding="utf-8"), where="mapping.toml")
    by_entry = {o.source.partition("/")[2]: o for o in mapping.objects.values()}
    never = {"sn", "upload", "image", "linkdata", "separator"}
    for form in world.form.values():
        entry = by_entry.get(form["entry_id"])
        if entry is None:
            continue
        top = [f for f in form["fields"] if not f["in"]]
        losing = {f["in"] for f in form["fields"] if f["in"] and f["type"] in never}
        assert set(entry.writable or ()) == {f["widget"] for f in top if f["type"] not in never and f["widget"] not in losing}


def test_members_are_an_object_of_their_own(world: World) -> None:
    text = (world.folder / "mapping.toml").read_text(encoding="utf-8")
    text += '\n[objects.user]\ntable = "members"\nkey = "username"\nrole = "user"\n'
    (world.folder / "mapping.toml").write_text(text, encoding="utf-8")
    with world.reader() as reader:
        assert reader.access().missing == ()
        found = read(reader, "user")
        assert found and all(r.fields["status"] != -1 for r in found.values()), "who has left is not listed"
        asked = reader.fetch("user", [*found, "nobody"])
    assert {i: r for i, r in asked.items() if i != "nobody"} == found
    assert asked["nobody"] == Absent(RecordKey("user", "nobody"), how="1010")


def test_map_by_command_writes_a_file_that_check_accepts(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    to = world.folder / "proposed.toml"
    at = ["--profile", "acme", "--profiles", str(world.profiles)]
    assert main(["connectors", "map", *at, "--to", str(to), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert len(said["objects"]) == 7
    assert to.read_text(encoding="utf-8") == (world.folder / "mapping.toml").read_text(encoding="utf-8")
    assert main(["connectors", "check", *at, "--json"]) == 0
    checked = json.loads(capsys.readouterr().out)
    assert checked["access"]["missing"] == []
    assert len(checked["objects"]) == 7 and all(o["records"] is None for o in checked["objects"])


def test_check_says_that_the_vendor_counts_nothing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connectors", "check", "--profile", "acme", "--profiles", str(world.profiles)]) == 0
    shown = capsys.readouterr().out
    assert shown.count("not counted") == 7 and "jiandaoyun counts nothing" in shown


def test_everything_is_read_once_with_the_values_that_stand_there(world: World) -> None:
    with world.reader() as reader:
        for entry in reader.objects():
            form = next(f for f in world.form.values() if entry.source.endswith(f["entry_id"]))
            found, truth = read(reader, entry.name), world.truth(form["name"])
            assert set(found) == set(truth), form["name"]
            simple = [f for f in form["fields"] if not f["in"] and f["type"] not in ("upload", "image", "subform")]
            for key, body in truth.items():
                for f in simple:
                    if f["type"] != "separator":
                        got = found[key].fields[f["widget"]]
                        assert (float(got) if f["type"] == "number" and got is not None else got) == body.get(f["widget"])
        assert reader.doubts == []


def test_a_page_never_asks_for_the_default_of_ten(world: World) -> None:
    with world.reader() as reader:
        read(reader, "person")
    assert {json.loads(r["body"])["limit"] for r in world.calls("data/list")} == {100}


def test_an_exact_multiple_of_pages_is_read_whole(world: World) -> None:
    keys = sorted(world.truth("联系人"))
    for key in keys[200:]:
        world.control("delete", entry_id=world.form["联系人"]["entry_id"], data_id=key)
    with world.reader() as reader:
        assert sorted(read(reader, "person")) == keys[:200]


@pytest.mark.parametrize("empties", ["typed", "null", "absent"])
def test_kinds_of_empty_are_one(world: World, empties: str) -> None:
    world.control("settings", empties=empties)
    with world.reader() as reader:
        found = read(reader, "person")
    name = world.widget("联系人", "职务")
    bare = [k for k, body in world.truth("联系人").items() if name not in body]
    assert bare
    assert all(found[k].fields[name] is None for k in bare)


@pytest.mark.parametrize("filters", ["silent", "strict"])
def test_children_are_found_whether_the_filter_works_or_is_ignored(world: World, filters: str) -> None:
    world.control("settings", filters=filters)
    orders, field = world.truth("订单"), world.widget("订单", "联系人")
    wanted = sorted({body[field] for body in orders.values() if field in body})[:3]
    with world.reader() as reader:
        links = reader.children("person", wanted)
        got = {(link.child.id, link.parent.id) for link in links if link.child.object == "order"}
        kinds = {link.child.object for link in links}
    assert got == {(k, body[field]) for k, body in orders.items() if body.get(field) in wanted}
    assert kinds >= {"order", "invoice", "activity"}, "linkobject and linkdata are compared here"


def test_a_filter_is_asked_by_the_alias_and_so_spares_the_whole_form(world: World) -> None:
    wanted = next(b[world.widget("商机", "客户")] for b in world.truth("商机").values() if world.widget("商机", "客户") in b)
    with world.reader() as reader:
        reader.children("company", [wanted])
    asked = [json.loads(r["body"]) for r in world.calls("data/list")]
    deals = [a for a in asked if a["entry_id"] == world.form["商机"]["entry_id"]]
    assert deals[0]["filter"]["cond"][0]["field"] == "customer"
    assert all("filter" in a for a in deals), "nothing beside the filtered pages was read"


def test_a_filter_that_is_off_costs_one_whole_read_and_loses_nothing(world: World) -> None:
    field = world.widget("跟进记录", "商机")
    truth = world.truth("跟进记录")
    deals = sorted({b[field] for b in truth.values() if field in b})
    ids = [f"{n:024x}" for n in range(450)] + deals
    app = world.form["跟进记录"]
    with world.reader() as reader:
        entry = next(e for e in reader.objects() if e.source.endswith(app["entry_id"]))
        # Somebody renames the field between describing and asking: the filter names nothing any more and is ignored.
        whole = list(truth)
        described = reader._describe_again(entry)
        reader._describe_again = lambda _entry: described  # type: ignore[method-assign]
        world.rename("跟进记录", "商机", "somewhere_else")
        rows = list(reader.referring(entry, field, ids))
    assert {str(r["_id"]) for r in rows} == set(whole)
    assert len(world.calls("data/list")) <= 3 + len(whole) // 100 + 1


def test_an_alias_that_changes_while_a_form_is_read_loses_no_value_and_leaves_a_doubt(world: World) -> None:
    name = world.widget("联系人", "电子邮箱")
    truth = world.truth("联系人")
    with world.reader() as reader:
        found: dict[str, Record] = {}
        for n, records in enumerate(reader.scan("person", batch=100)):
            found |= {r.key.id: r for r in records}
            if n == 0:
                world.rename("联系人", "电子邮箱", "new_alias")
        assert {k: r.fields[name] for k, r in found.items()} == {k: b.get(name) for k, b in truth.items()}
        assert all("new_alias" not in (r.fields["more"] or {}) for r in found.values())
        assert reader.doubts == ["person: its fields were renamed while it was read"]


def test_two_fields_that_swap_their_aliases_leave_a_doubt(world: World) -> None:
    with world.reader() as reader:
        for n, _ in enumerate(reader.scan("person", batch=100)):
            if n == 0:
                world.rename("联系人", "姓", "first_name")
                world.rename("联系人", "名", "last_name")
        assert len(reader.doubts) == 1


def test_an_alias_changed_between_reads_changes_nothing(world: World) -> None:
    with world.reader() as reader:
        before = {k: r.fields for k, r in read(reader, "company").items()}
    world.rename("客户", "客户名称", "another")
    with world.reader() as reader:
        assert {k: r.fields for k, r in read(reader, "company").items()} == before
        assert reader.doubts == []


def test_links_of_attachments_are_no_part_of_a_record_even_in_a_subform(world: World) -> None:
    for object in ("company", "order", "person"):
        with world.reader() as reader:
            first, again = read(reader, object), read(reader, object)
        assert {k: r.fields for k, r in first.items()} == {k: r.fields for k, r in again.items()}
        assert "url" not in json.dumps([r.fields for r in first.values()], default=str)
    assert "签收单.jpg" in json.dumps([r.fields for r in read_all(world, "order")], default=str, ensure_ascii=False)


def read_all(world: World, object: str) -> list[Record]:
    with world.reader() as reader:
        return list(read(reader, object).values())


def test_a_broken_read_goes_on_where_it_stopped_even_under_new_names(world: World) -> None:
    kept = world.folder / "kept"
    name = world.widget("联系人", "电子邮箱")
    world.control("fault", kind="http_502", path="data/list", after=2, times=6)
    with world.reader(kept) as reader, pytest.raises(UnavailableError):
        read(reader, "person")
    done = len(world.calls("data/list"))
    world.rename("联系人", "电子邮箱", "renamed_while_broken")
    with world.reader(kept) as reader:
        found = read(reader, "person")
        assert {k: r.fields[name] for k, r in found.items()} == {k: b.get(name) for k, b in world.truth("联系人").items()}
    asked = [json.loads(r["body"]) for r in world.calls("data/list")[done:]]
    assert asked[0]["data_id"] == sorted(found)[199], "the first two pages were not read again"


@pytest.mark.parametrize("kind", ["cut_before", "cut_after", "http_429", "http_502"])
def test_reads_are_repeated_after_a_break(world: World, kind: str) -> None:
    world.control("fault", kind=kind, path="data/list", after=1, times=2)
    with world.reader() as reader:
        assert set(read(reader, "person")) == set(world.truth("联系人"))
    assert world.clock.slept


@pytest.mark.parametrize("code", [8303, 8304, 4012, 9004, 9007])
def test_codes_that_mean_wait_are_waited_for(world: World, code: int) -> None:
    world.control("fault", kind="code", code=code, path="data/list", times=2)
    with world.reader() as reader:
        assert set(read(reader, "company")) == set(world.truth("客户"))
    assert sum(world.clock.slept) >= 1.0


@pytest.mark.parametrize("code", [1058, 4025, 8302, 7103, 7206, 7212, 7221, 17053, 17054, 30002])
def test_codes_that_mean_no_stop_the_read(world: World, code: int) -> None:
    world.control("fault", kind="code", code=code, path="data/list")
    with world.reader() as reader, pytest.raises(DeniedError):
        read(reader, "company")


@pytest.mark.parametrize("code", [1, 3005, 17017, 2004, 3000, 4815])
def test_codes_nobody_expects_stop_the_read(world: World, code: int) -> None:
    world.control("fault", kind="code", code=code, path="data/list")
    with world.reader() as reader, pytest.raises(SchemaMismatchError):
        read(reader, "company")


def test_absence_is_said_by_the_code_alone(world: World) -> None:
    keys = sorted(world.truth("联系人"))
    world.control("delete", entry_id=world.form["联系人"]["entry_id"], data_id=keys[0])
    with world.reader() as reader:
        got = reader.fetch("person", [keys[0], keys[1], "no id"])
        assert got[keys[0]] == Absent(RecordKey("person", keys[0]), how="4001")
        assert isinstance(got[keys[1]], Record)
        assert got[keys[1]] == next(r for r in read(reader, "person").values() if r.key.id == keys[1])
        assert isinstance(got["no id"], Absent)
        world.control("fault", kind="code", code=9999, path="data/get")
        with pytest.raises(StewardError):
            reader.fetch("person", [keys[1]])


def test_a_record_of_another_form_is_not_taken_for_ours(world: World) -> None:
    other = sorted(world.truth("客户"))[0]
    with world.reader() as reader:
        assert isinstance(reader.fetch("person", [other])[other], Absent)


def test_a_bad_key_is_refused_before_anything_is_read(world: World) -> None:
    world.control("key", key=READ_KEY, enabled=False)
    with world.reader() as reader, pytest.raises(DeniedError):
        reader.access()


def test_a_key_that_misses_an_app_says_which_objects(world: World) -> None:
    world.control("key", key=READ_KEY, apps=[world.form["客户"]["app_id"]])
    with world.reader() as reader:
        assert set(reader.access().missing) == {
            e.name for e in reader.objects() if e.source.startswith(world.form["工单"]["app_id"])
        }


def test_the_pace_stays_under_the_limits_of_the_vendor(world: World) -> None:
    with world.reader() as reader:
        for _ in range(3):
            for entry in reader.objects():
                read(reader, entry.name)
        calls = len(world.calls("data/list"))
    assert calls > 30
    assert world.clock.now >= (calls - 30) / 30
