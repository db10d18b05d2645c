"""Going on from an earlier snapshot of Copper, Fxiaoke and Jiandaoyun: equal to a whole read, and what nobody can tell."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from steward.cli import main
from steward.crm.copper import CopperReader
from steward.crm.examples import example_mapping
from steward.crm.fxiaoke import FxiaokeReader
from steward.crm.jiandaoyun import open_wire
from steward.crm.jiandaoyun_map import propose_forms
from steward.crm.mapping import parse_mapping
from steward.crm.profiles import Profile
from steward.errors import UnavailableError
from steward.sandbox.copper import ADMIN_KEY
from steward.sandbox.fxiaoke import create_app as create_fxiaoke
from steward.sandbox.fxiaoke import sandbox_mapping
from steward.sandbox.fxiaoke.world import Switches, World
from steward.sandbox.jiandaoyun import READ_KEY
from steward.sandbox.jiandaoyun import create_app as create_jiandaoyun
from tests.integration.test_crm_copper import Virtual
from tests.integration.test_crm_fxiaoke import KEYS, SandboxClock
from tests.integration.test_crm_jiandaoyun import World as Jiandaoyun
from tests.support.copper_sandbox import Copies, Sandbox
from tests.support.onward import Pair, few
from tests.support.vendor_sandbox import serve

UNKNOWN = "was not looked for"

# ------------------------------------------------------------------------------------------------ Copper


@pytest.fixture(scope="module")
def copper_copies(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    return Copies(tmp_path_factory.mktemp("copper"), 60)


@pytest.fixture(scope="module")
def copper_served(copper_copies: Copies) -> Iterator[Sandbox]:
    with copper_copies.running() as sandbox:
        yield sandbox


class Copper(Pair):
    def __init__(self, folder: Path, box: Sandbox) -> None:
        self.box, self.state = box, box.state
        self.options: dict[str, str] = {}
        self.mapping = few(example_mapping("copper"), "user", "company", "contact", "deal")
        super().__init__(folder, self.reader)

    @contextmanager
    def reader(self) -> Iterator[CopperReader]:
        profile = Profile(
            system="copper", tenant="default", environment="production", address=self.box.base, options=self.options, name="t",
            read={"user": "${COPPER_USER}", "token": "${COPPER_TOKEN}"},
        )  # fmt: skip
        with CopperReader(profile, parse_mapping(self.mapping), clock=Virtual()) as made:
            yield made  # type: ignore[misc]

    def ids(self, kind: str) -> list[int]:
        return [int(body["id"]) for body in self.state.all(kind)]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.box.call(method, path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def copper(copper_copies: Copies, copper_served: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Copper]:
    copper_copies.reset(copper_served.state)
    monkeypatch.setenv("COPPER_USER", copper_served.mail(1))
    monkeypatch.setenv("COPPER_TOKEN", ADMIN_KEY)
    made = Copper(tmp_path, copper_served)
    yield made
    made.close()


def stir_copper(copper: Copper, chance: random.Random, *, delete: bool) -> None:
    for n in range(chance.randint(4, 9)):
        kind = chance.choice([k for k in ("people", "companies", "leads", "opportunities", "tasks") if len(copper.ids(k)) > 3])
        id = chance.choice(copper.ids(kind))
        match chance.randrange(3):
            case 0:
                copper.call("PUT", f"/{kind}/{id}", {"details": f"随 {n}"})
            case 1 if delete:
                copper.call("DELETE", f"/{kind}/{id}")
            case _:
                copper.call("POST", "/people", {"name": f"New {chance.random()}", "details": "x"})


def test_copper_equals_a_whole_read_after_random_edits(copper: Copper) -> None:
    chance = random.Random(1)
    copper.mapping = example_mapping("copper")
    copper.begin()
    for _ in range(2):
        stir_copper(copper, chance, delete=True)
        copper.state.switches.overlap_sorted = chance.randrange(4)
        made = copper.same()
        assert made.complete and set(copper.ways(made).values()) == {"whole"}


def test_copper_without_deletions_equals_but_for_them(copper: Copper) -> None:
    chance = random.Random(2)
    copper.mapping = example_mapping("copper")
    copper.begin()
    stir_copper(copper, chance, delete=False)
    made = copper.go_on(deletions_matter=False)
    whole, _ = copper.whole()
    assert made.digest == whole.digest
    assert not made.complete and whole.complete
    assert all(UNKNOWN in note for note in made.notes) and made.notes
    ways = copper.onward.readings(made)[-1].ways
    assert {name for name, way in ways.items() if way.way == "changes"} == {"contact", "company", "deal", "task", "project"}
    # and from there on: what was deleted meanwhile is found by the next reading that looks
    stir_copper(copper, chance, delete=True)
    assert copper.same().complete


def test_copper_what_is_deleted_is_not_noticed_unless_looked_for(copper: Copper) -> None:
    copper.begin()
    id, other = (str(i) for i in copper.ids("opportunities")[:2])
    copper.call("DELETE", f"/opportunities/{id}")
    copper.call("PUT", f"/opportunities/{other}", {"details": "x"})
    careless = copper.go_on(deletions_matter=False)
    assert id in copper.onward.records(careless, "deal", [id]) and not careless.complete
    assert id not in copper.onward.records(copper.same(), "deal", [id])


def test_copper_who_did_not_look_for_deletions_takes_no_completeness_away(copper: Copper) -> None:
    first = copper.begin()
    again = copper.go_on(deletions_matter=False)
    assert again.digest == first.digest and again.complete
    assert [r.deletions_known for r in copper.onward.readings(first)] == [True, False]


def test_copper_a_changed_company_changes_its_people_without_a_sign(copper: Copper) -> None:
    """People show the name of their company; renaming it moves no ``date_modified`` of theirs."""
    copper.begin()
    person = next(body for body in copper.state.all("people") if body.get("company_id"))
    company = person["company_id"]
    copper.call("PUT", f"/companies/{company}", {"name": "Renamed 公司"})
    for body in list(copper.state.all("people")):
        if body.get("company_id") == company:
            copper.state.put("people", body | {"company_name": "Renamed 公司"})
    made = copper.go_on(deletions_matter=False)
    id = str(person["id"])
    assert copper.onward.records(made, "contact", [id])[id]["company_name"] == "Renamed 公司"
    assert made.digest == copper.whole()[0].digest


def test_copper_an_interaction_moves_no_time_of_change(copper: Copper) -> None:
    copper.begin()
    body = next(iter(copper.state.all("people")))
    now = int(copper.state.now())
    copper.state.put("people", body | {"interaction_count": 99, "date_last_contacted": now})
    made = copper.go_on(deletions_matter=False)
    id = str(body["id"])
    assert copper.onward.records(made, "contact", [id])[id]["interaction_count"] == "99"
    assert made.digest == copper.whole()[0].digest


def test_copper_an_index_that_lags_is_caught_up_with(copper: Copper) -> None:
    copper.begin()
    id = copper.ids("people")[0]
    copper.state.switches.lag = True
    copper.call("PUT", f"/people/{id}", {"details": "late"})
    copper.same()  # both are shown the old form
    copper.state.switches.lag = False
    copper.state.settle()
    for how in ({"deletions_matter": False}, {}):
        made = copper.go_on(**how)
        assert copper.onward.records(made, "contact", [str(id)])[str(id)]["details"] == "late"
        assert made.digest == copper.whole()[0].digest


def test_copper_a_record_that_is_changed_while_changes_are_read_comes_last(
    copper: Copper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steward.crm.copper.PAGE", 5)
    copper.begin()
    ids = copper.ids("people")[:12]
    for id in ids:
        copper.call("PUT", f"/people/{id}", {"details": "first"})
    before = copper.opened

    @contextmanager
    def disturbed() -> Iterator[CopperReader]:
        with before() as reader:
            search, done = reader._search, []

            def again(source: str, body: Any) -> Any:
                found = search(source, body)
                if source == "people" and "minimum_modified_date" in body and not done:
                    done.append(copper.call("PUT", f"/people/{ids[0]}", {"details": "second"}))
                return found

            reader._search = again
            yield reader

    copper.opened = disturbed
    made = copper.go_on(deletions_matter=False)
    copper.opened = before
    found = copper.onward.records(made, "contact", [str(i) for i in ids])
    assert [found[str(i)]["details"] for i in ids] == ["second", *["first"] * 11]
    assert made.digest == copper.whole()[0].digest


def test_copper_another_profile_may_see_other_records_and_is_read_whole(copper: Copper) -> None:
    copper.begin()
    with copper.reader() as reader:
        reader.sight = "another"
        made = copper.onward.next_snapshot(reader, taken_at=datetime.now(UTC), deletions_matter=False)
    assert {way.why for way in copper.onward.readings(made)[-1].ways.values()} == {"the profile changed"}


def test_pages_of_a_read_that_broke_off_count_from_when_they_were_read(copper: Copper, tmp_path: Path) -> None:
    """A read that goes on with pages of an hour ago has not seen what changed since: the next one asks from then."""
    kept = tmp_path / "kept"
    profile = Profile(
        system="copper", tenant="default", environment="production", address=copper.box.base, name="t",
        read={"user": "${COPPER_USER}", "token": "${COPPER_TOKEN}"},
    )  # fmt: skip
    mapping = parse_mapping(copper.mapping)
    with CopperReader(profile, mapping, kept=kept, clock=Virtual()) as reader:
        assert isinstance(reader, CopperReader)
        next(reader.scan("contact", batch=10))
    page = kept / "contact.pages"
    head, rest = page.read_bytes().split(b"\n", 1)
    hour_ago = time.time() - 3_600
    page.write_bytes(json.dumps(json.loads(head) | {"begun": hour_ago}).encode() + b"\n" + rest)
    id = copper.ids("people")[0]
    copper.state.put(
        "people", (copper.state.get("people", id) or {}) | {"details": "meanwhile", "date_modified": int(hour_ago) + 60}
    )
    with CopperReader(profile, mapping, kept=kept, clock=Virtual()) as reader:
        first = copper.onward.take_snapshot(reader, taken_at=datetime.now(UTC))
    assert copper.onward.records(first, "contact", [str(id)])[str(id)]["details"] != "meanwhile"
    assert abs(copper.onward.readings(first)[0].began.timestamp() - hour_ago) < 1
    assert copper.go_on(deletions_matter=False).digest == copper.whole()[0].digest


# ------------------------------------------------------------------------------------------------ Fxiaoke


class Fxiaoke(Pair):
    def __init__(self, folder: Path, world: World, address: str) -> None:
        self.world, self.address = world, address
        self.clock = SandboxClock(world)
        self.options = {"sees_everything": "yes"}
        super().__init__(folder, self.reader)

    @contextmanager
    def reader(self) -> Iterator[FxiaokeReader]:
        profile = Profile(
            system="fxiaoke", tenant="sandbox01", environment="sandbox", address=self.address, name="s", read=KEYS,
            options=self.options,
        )  # fmt: skip
        mapping = parse_mapping(few(sandbox_mapping(), "user", "company", "contact", "deal"))
        with FxiaokeReader(profile, mapping, clock=self.clock) as reader:
            yield reader  # type: ignore[misc]

    def ids(self, api: str, *, voided: bool = False) -> list[str]:
        return [str(d["_id"]) for d in self.world.records(api) if (d["life_status"] == "invalid") == voided]

    def edit(self, api: str, id: str, **values: object) -> None:
        doc = self.world.get(api, id)
        assert doc is not None
        doc.update(values)
        self.world.touch(doc, "1000")
        self.world.put(api, doc)

    def void(self, api: str, id: str, *, moves: bool = True, status: str = "invalid") -> None:
        doc = self.world.get(api, id)
        assert doc is not None
        doc["life_status"] = status
        self.world.touch(doc, "1000", moves=moves)
        self.world.put(api, doc)

    def add(self, api: str, like: str) -> str:
        doc = dict(self.world.get(api, like) or {})
        doc["_id"] = f"{random.getrandbits(96):024x}"
        doc["last_modified_time"] = doc["create_time"] = self.world.now_ms()
        self.world.put(api, doc)
        return str(doc["_id"])


OBJECTS = ("ContactObj", "NewOpportunityObj", "AccountObj")


@pytest.fixture(scope="module")
def fxiaoke_served() -> Iterator[tuple[World, str]]:
    app = create_fxiaoke(customers=60, seed=5)
    app.state.world.clock.freeze()
    with serve(app) as address:
        yield app.state.world, address


@pytest.fixture
def fxiaoke(fxiaoke_served: tuple[World, str], tmp_path: Path) -> Iterator[Fxiaoke]:
    world, address = fxiaoke_served
    world.switches = Switches(calls_per_window=100_000, tokens_per_minute=10_000)
    kept = list(world.db.execute("SELECT * FROM record"))
    made = Fxiaoke(tmp_path, world, address)
    yield made
    made.close()
    world.db.execute("DELETE FROM record")
    world.db.executemany("INSERT INTO record VALUES (?, ?, ?, ?)", kept)


def stir_fxiaoke(fxiaoke: Fxiaoke, chance: random.Random, *, drop: bool) -> None:
    moves = fxiaoke.world.switches.void_moves_time
    for n in range(chance.randint(5, 10)):
        api = chance.choice(OBJECTS)
        live, voided = fxiaoke.ids(api), fxiaoke.ids(api, voided=True)
        match chance.randrange(6):
            case 0 | 1:
                fxiaoke.edit(api, chance.choice(live), name=f"随 {n}")
            case 2:
                fxiaoke.void(api, chance.choice(live), moves=moves)
            case 3 if voided:
                fxiaoke.void(api, chance.choice(voided), moves=moves, status="normal")
            case 4 if voided and drop:
                fxiaoke.world.drop(api, chance.choice(voided))
            case 5:
                fxiaoke.add(api, chance.choice(live))


def trust(fxiaoke: Fxiaoke) -> None:
    """The profile says that totals are exact, and voided records are shown to who asks for them: there is one."""
    fxiaoke.options["counts"] = "exact"
    fxiaoke.world.switches.voided_in_query = "filtered"
    fxiaoke.void("ContactObj", fxiaoke.ids("ContactObj")[-1])


@pytest.mark.parametrize(("seed", "counts"), [(1, "doubted"), (2, "exact"), (3, "exact")])
def test_fxiaoke_equals_a_whole_read_after_random_edits(fxiaoke: Fxiaoke, seed: int, counts: str) -> None:
    chance = random.Random(seed)
    fxiaoke.options["counts"] = counts
    fxiaoke.world.switches.void_moves_time = seed != 2
    fxiaoke.world.switches.voided_in_query = ("no", "yes", "filtered")[seed - 1]  # type: ignore[assignment]
    fxiaoke.begin()
    for _ in range(2):
        stir_fxiaoke(fxiaoke, chance, drop=True)
        made = fxiaoke.same()
        assert made.complete
        ways = fxiaoke.ways(made)
        assert (ways["contact"] in ("changes", "whole")) if counts == "exact" else set(ways.values()) == {"whole"}


def test_fxiaoke_a_total_that_agrees_saves_the_whole_read(fxiaoke: Fxiaoke) -> None:
    trust(fxiaoke)
    fxiaoke.begin()
    fxiaoke.edit("ContactObj", fxiaoke.ids("ContactObj")[0], name="new")
    ways = fxiaoke.onward.readings(fxiaoke.same())[-1].ways
    assert (ways["contact"].way, ways["contact"].read) == ("changes", 2)  # the voided one is read each time


def test_fxiaoke_deleted_for_good_makes_the_total_disagree(fxiaoke: Fxiaoke) -> None:
    trust(fxiaoke)
    fxiaoke.begin()
    fxiaoke.world.drop("ContactObj", fxiaoke.ids("ContactObj")[0])
    way = fxiaoke.onward.readings(fxiaoke.same())[-1].ways["contact"]
    assert (way.way, way.why) == ("whole", "the total does not agree")


def test_fxiaoke_one_recovered_and_one_deleted_do_not_hide_each_other(fxiaoke: Fxiaoke) -> None:
    """The total is as before, the records are not; and neither voiding nor recovering moves the time."""
    trust(fxiaoke)
    one, two = fxiaoke.ids("ContactObj")[:2]
    fxiaoke.void("ContactObj", one, moves=False)
    fxiaoke.begin()
    fxiaoke.void("ContactObj", one, moves=False, status="normal")
    fxiaoke.world.drop("ContactObj", two)
    fxiaoke.same()


def test_fxiaoke_where_voided_records_are_never_shown_no_total_is_trusted(fxiaoke: Fxiaoke) -> None:
    """One that came back with its old time would make up for one that was deleted."""
    fxiaoke.options["counts"] = "exact"
    one, two = fxiaoke.ids("ContactObj")[:2]
    fxiaoke.void("ContactObj", one, moves=False)
    fxiaoke.begin()
    fxiaoke.void("ContactObj", one, moves=False, status="normal")
    fxiaoke.world.drop("ContactObj", two)
    assert fxiaoke.ways(fxiaoke.same())["contact"] == "whole"


def test_fxiaoke_voided_then_deleted_for_good_is_gone(fxiaoke: Fxiaoke) -> None:
    trust(fxiaoke)
    id = fxiaoke.ids("ContactObj")[0]
    fxiaoke.void("ContactObj", id)
    fxiaoke.begin()
    fxiaoke.world.drop("ContactObj", id)
    made = fxiaoke.same()
    assert fxiaoke.ways(made)["contact"] == "changes" and not fxiaoke.onward.records(made, "contact", [id])


def test_fxiaoke_a_roll_up_changes_without_a_sign_so_its_object_is_read_whole(fxiaoke: Fxiaoke) -> None:
    trust(fxiaoke)
    fxiaoke.begin()
    doc = fxiaoke.world.get("AccountObj", fxiaoke.ids("AccountObj")[0])
    assert doc is not None
    fxiaoke.world.put("AccountObj", doc | {"order_count__c": "77"})
    assert fxiaoke.ways(fxiaoke.same())["company"] == "whole"


def test_fxiaoke_without_deletions_says_so(fxiaoke: Fxiaoke) -> None:
    fxiaoke.world.switches.voided_in_query = "filtered"
    fxiaoke.begin()
    stir_fxiaoke(fxiaoke, random.Random(3), drop=False)
    made = fxiaoke.go_on(deletions_matter=False)
    assert made.digest == fxiaoke.whole()[0].digest and not made.complete
    assert any(note.startswith("contact:") and UNKNOWN in note for note in made.notes)


@pytest.mark.parametrize("ignored", [["last_modified_time"], ["life_status"]])
def test_fxiaoke_a_filter_that_is_ignored_gives_more_and_never_less(fxiaoke: Fxiaoke, ignored: list[str]) -> None:
    trust(fxiaoke)
    fxiaoke.world.switches.voided_in_query = "yes"
    fxiaoke.begin()
    stir_fxiaoke(fxiaoke, random.Random(4), drop=True)
    fxiaoke.world.switches.ignored_filters = ignored
    fxiaoke.same()


# ------------------------------------------------------------------------------------------------ Jiandaoyun


@pytest.fixture(scope="module")
def jdy_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("company")
    create_jiandaoyun(folder / "company.sqlite", customers=40).state.company.db.close()
    with pytest.MonkeyPatch.context() as patch, serve(create_jiandaoyun(folder / "company.sqlite")) as address:
        patch.setenv("JDY_KEY", READ_KEY)
        world = Jiandaoyun(address, folder)
        wire = open_wire(world.profile, clock=world.clock)
        (folder / "mapping.toml").write_text(
            propose_forms(wire).to_toml(tenant="acme", environment="sandbox"), encoding="utf-8"
        )
        wire.close()
        world.http.close()
    return folder


@pytest.fixture
def jdy(jdy_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Jiandaoyun, Pair, Any]]:
    monkeypatch.setenv("JDY_KEY", READ_KEY)
    for name in ("company.sqlite", "mapping.toml"):
        shutil.copy(jdy_template / name, tmp_path / name)
    app = create_jiandaoyun(tmp_path / "company.sqlite")
    with serve(app) as address:
        world = Jiandaoyun(address, tmp_path)
        pair = Pair(tmp_path, world.reader)
        app.state.company.run("UPDATE forms SET modified = modified - 7200")  # they were filled two hours ago
        yield world, pair, app.state.company
        pair.close()
        world.http.close()


def form_of(world: Jiandaoyun, object: str) -> tuple[str, str]:
    """Id of the form behind an object, and its name."""
    mapping = parse_mapping((world.folder / "mapping.toml").read_text(encoding="utf-8"))
    entry = mapping.objects[object].source.partition("/")[2]
    return entry, next(name for name, form in world.form.items() if form["entry_id"] == entry)


Change = Callable[[Jiandaoyun, str, str], Any]


def test_jiandaoyun_equals_a_whole_read_after_random_edits(jdy: tuple[Jiandaoyun, Pair, Any]) -> None:
    world, pair, state = jdy
    chance = random.Random(2)
    first = pair.begin()
    names = [o.name for o in first.objects]
    for _ in range(3):
        touched = set(chance.sample(names, 2))
        for object in touched:
            entry, form = form_of(world, object)
            held = sorted(world.truth(form))
            match chance.randrange(3):
                case 0:
                    state.update(entry, held[0], {}, "operator")
                case 1:
                    world.control("delete", entry_id=entry, data_id=held[0])
                case 2:
                    world.control("create", entry_id=entry, data={})
        made = pair.same()
        unchanged = {name for name, way in pair.ways(made).items() if way == "unchanged"}
        assert unchanged >= set(names) - touched or unchanged  # what moved a moment ago is read once more
        assert not unchanged & touched


@pytest.mark.parametrize(
    "change",
    [
        lambda world, entry, id: world.control("delete", entry_id=entry, data_id=id),
        lambda world, entry, id: world.control("create", entry_id=entry, data={}),
        lambda world, entry, id: [world.control("delete", entry_id=entry, data_id=id), world.control("recover", data_id=id)],
    ],
    ids=["deleted", "made", "restored from the bin"],
)
def test_jiandaoyun_a_form_that_moved_is_read_whole_and_no_other(jdy: tuple[Jiandaoyun, Pair, Any], change: Change) -> None:
    world, pair, _ = jdy
    first = pair.begin()
    object = max(first.objects, key=lambda o: o.rows).name
    entry, form = form_of(world, object)
    change(world, entry, min(world.truth(form)))
    before = len(world.calls("data/list"))
    made = pair.same()
    assert {n for n, way in pair.ways(made).items() if way != "unchanged"} == {object}
    assert len(world.calls("data/list")) > before


def test_jiandaoyun_a_form_that_moved_just_before_the_reading_is_not_believed(jdy: tuple[Jiandaoyun, Pair, Any]) -> None:
    """Two changes within one tick, one before and one after the reading: the mark is the same."""
    world, pair, state = jdy
    entry, form = form_of(world, "contact") if "contact" in _objects(world) else form_of(world, _objects(world)[0])
    state.touch(entry)
    pair.begin()
    ((then,),) = [tuple(r) for r in state.rows("SELECT modified FROM forms WHERE entry_id = ?", entry)]
    world.control("delete", entry_id=entry, data_id=min(world.truth(form)))
    state.run("UPDATE forms SET modified = ? WHERE entry_id = ?", then, entry)
    pair.same()


def test_jiandaoyun_a_read_that_went_on_has_no_mark(jdy: tuple[Jiandaoyun, Pair, Any], tmp_path: Path) -> None:
    """The mark of today says nothing of pages that were read before it."""
    world, pair, _ = jdy
    object = max(_objects(world), key=lambda o: len(world.truth(form_of(world, o)[1])))
    entry, form = form_of(world, object)
    world.control("fault", kind="http_502", path="/data/list", after=1, times=50)
    with world.reader(tmp_path / "kept") as reader, pytest.raises(UnavailableError):
        for _ in reader.scan(object):
            pass
    world.control("calm")
    world.control("delete", entry_id=entry, data_id=min(world.truth(form)))
    with world.reader(tmp_path / "kept") as reader:
        pair.onward.take_snapshot(reader, taken_at=datetime.now(UTC))
        assert object not in reader.marks
    assert pair.ways(pair.same())[object] == "whole"


def test_jiandaoyun_who_does_not_believe_the_vendor_reads_all(jdy: tuple[Jiandaoyun, Pair, Any]) -> None:
    world, pair, _ = jdy
    world.profile = msgspec.structs.replace(world.profile, options={"unmoved": "read"})
    pair.begin()
    assert set(pair.ways(pair.go_on()).values()) == {"whole"}


def test_by_command_with_a_profile(jdy: tuple[Jiandaoyun, Pair, Any], capsys: pytest.CaptureFixture[str]) -> None:
    world, _, _ = jdy
    words = [
        "snapshot",
        "--profile",
        "acme",
        "--profiles",
        str(world.profiles),
        "--workspace",
        str(world.folder / "w"),
        "--json",
    ]
    ways = []
    for more in ([], ["--since", "last"], ["--since", "last"]):
        capsys.readouterr()
        assert main([*words, *more]) == 0
        onward = json.loads(capsys.readouterr().out)["onward"]
        ways.append({(way["way"], way["why"]) for way in onward["objects"].values()} if onward else None)
        if len(ways) == 2:  # other options may show other records
            text = world.profiles.read_text(encoding="utf-8")
            world.profiles.write_text(text + '[profiles.acme.options]\nunmoved = "skip"\n', encoding="utf-8")
    assert ways == [None, {("unchanged", "")}, {("whole", "the profile changed")}]


def _objects(world: Jiandaoyun) -> list[str]:
    return list(parse_mapping((world.folder / "mapping.toml").read_text(encoding="utf-8")).objects)
