"""The conformance suite of writers: the same questions to every connector, each over its real system or its sandbox.

A writer is asked through the deciders of plan and restore, as the engine asks it, and its answers are compared with what the
CRM itself says. What only the engine does (backup, journal, order) is proved elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from steward.errors import CrmError, ThrottledError
from steward.executor.plan import LiveDecider
from steward.executor.ports import Answer, Effect, Result, Settled, State, Unit, Work
from steward.executor.restore import RestoreDecider
from steward.executor.verdict import Verdict
from steward.manifest.chunks import ids_digest
from steward.manifest.format import RelatedSet, Survivor
from steward.records import Absent, Record, RecordKey, canonical_text
from tests.support.writer_case import SYSTEMS, WriterCase, open_case

MANIFEST = "0000000000000000000000000A"


@pytest.fixture(scope="module", params=SYSTEMS)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WriterCase]:
    """One CRM per system for the whole module; every test makes customers of its own."""
    with ExitStack() as stack:
        yield stack.enter_context(open_case(request.param, tmp_path_factory.mktemp(request.param)))


@pytest.fixture
def case(opened: WriterCase) -> WriterCase:
    return opened


class Asked:
    """A case with what the questions need."""

    seq = 0

    def __init__(self, case: WriterCase) -> None:
        self.case, self.writer = case, case.writer

    def record(self, id: str) -> Record:
        found = self.writer.read([RecordKey(self.case.person, id)]).records[RecordKey(self.case.person, id)]
        assert isinstance(found, Record) and not found.deleted
        return found

    @property
    def goes(self) -> str:
        """The action by which a customer goes here."""
        soft = self.writer.capabilities.recycle_bin or self.case.mapping.objects[self.case.person].soft_delete is not None
        return "soft_delete" if soft else "hard_delete"

    def work(self, id: str, action: str = "", *, target: str | None = None, choices: Mapping[str, str] | None = None) -> Work:
        Asked.seq += 1
        found = self.record(id)
        survivor = None
        if action == "merge_into":
            kept = self.record(target or "")
            survivor = Survivor(version=kept.version, preimage=kept.digest)
        key = RecordKey(self.case.person, id)
        links = self.writer.read([], links_of=[key]).links.get(key, ())
        places: dict[tuple[str, str], list[str]] = {}
        for link in links:
            places.setdefault((link.child.object, link.field), []).append(link.child.id)
        rule = "move" if action == "merge_into" else "detach"
        related = tuple(
            RelatedSet(object=o, field=f, rule=rule, target=None, count=len(ids), digest=ids_digest(ids))  # type: ignore[arg-type]  # a rule
            for (o, f), ids in sorted(places.items())
        )
        unit = f"{self.case.person}>{target}" if action == "merge_into" else ""
        return Work(
            Asked.seq, self.case.person, id, action or self.goes, target, found.version, found.digest, survivor, choices or {}, related, unit,  # type: ignore[arg-type]  # an action
        )  # fmt: skip

    def decide(self, *works: Work) -> tuple[list[Unit], list[Verdict]]:
        units, verdicts, later = self.decider.decide(works)
        assert not later
        return units, verdicts

    @property
    def decider(self) -> LiveDecider:
        return LiveDecider(
            self.writer, self.case.mapping, "steward-executor", lambda: datetime.now(UTC), {}, vetoed=frozenset, held=frozenset,
            patient=False, privacy=True,
        )  # fmt: skip

    def units(self, *works: Work) -> list[Unit]:
        units, verdicts = self.decide(*works)
        assert not verdicts, [v.code for v in verdicts]
        return units

    def apply(self, units: Sequence[Unit], manifest: str = MANIFEST) -> dict[int, Result]:
        """Send as the engine does: what raises leaves no answer."""
        try:
            return dict(self.writer.apply(units, manifest=manifest, attempt=1))
        except ThrottledError:
            return {w.seq: Result(Answer.LATER, "throttled") for u in units for w in u.works}
        except CrmError:
            return {}

    def settle(self, *works: Work) -> dict[int, Settled]:
        return dict(self.writer.settle(works, manifest=MANIFEST))

    def live(self, id: str) -> bool:
        found = self.case.look.read([RecordKey(self.case.person, id)]).records.get(RecordKey(self.case.person, id))
        assert found is not None, "an answer"
        return isinstance(found, Record) and not found.deleted


@pytest.fixture
def ask(case: WriterCase) -> Asked:
    return Asked(case)


class Frames:
    """A backup in memory: item → its effects."""

    def __init__(self, effects: Sequence[Effect]) -> None:
        self._effects = effects

    def of(self, seq: int) -> list[Effect]:
        return [e for e in self._effects if e.seq == seq]

    def untouched(self, seq: int, key: RecordKey) -> bool:
        return False  # nothing here is done in part


def restore(ask: Asked, effects: Sequence[Effect], moved: dict[tuple[str, str], str]) -> dict[int, Result]:
    """Bring effects back as the engine does, batch after batch; ``moved`` gets the new ids."""
    decider = RestoreDecider(
        ask.writer, ask.case.mapping, Frames(effects), lambda o, i: moved.get((o, i)), actor=ask.writer.me or "steward-executor",  # type: ignore[arg-type]  # the backup
    )  # fmt: skip
    works = []
    for e in [e for e in effects if e.role == "item"]:
        Asked.seq += 1
        works.append(Work(Asked.seq, e.before.key.object, e.before.key.id, "restore", of_seq=e.seq))
    answers: dict[int, Result] = {}
    for _ in range(6):
        open_works = [w for w in works if w.seq not in answers]
        if not open_works:
            break
        units, verdicts, _later = decider.decide(open_works)
        answers |= {v.work.seq: Result(Answer.DONE if v.state is State.DONE else Answer.REFUSED, v.code) for v in verdicts}
        said = ask.apply(units)
        for unit in units:
            for work in unit.works:
                settled = ask.settle(work).get(work.seq)
                became = said[work.seq].became if work.seq in said else settled.became if settled else None
                if became is not None:
                    moved[work.object, work.id] = became
                if (work.seq in said and said[work.seq].answer is Answer.DONE) or (settled and settled.state == "done"):
                    answers[work.seq] = Result(Answer.DONE)
                elif work.seq in said and said[work.seq].answer is not Answer.LATER:
                    answers[work.seq] = said[work.seq]
    return answers


def same_but_for(before: Record, after: Record, *without: str) -> list[str]:
    """Names of fields that differ."""
    return sorted(
        n
        for n in {*before.fields, *after.fields} - set(without)
        if canonical_text(before.fields.get(n)) != canonical_text(after.fields.get(n))
    )


# reading --------------------------------------------------------------------------------------------------------------


def test_a_record_is_read_whole_and_a_strange_id_is_absent(ask: Asked) -> None:
    id = ask.case.new_person("Ada Reading")
    assert canonical_text(ask.record(id).fields[ask.case.text_field]) == "Ada Reading"
    ask.case.remove(other := ask.case.new_person("Ada Removed"))
    found = ask.case.look.read([RecordKey(ask.case.person, other)]).records.get(RecordKey(ask.case.person, other))
    assert isinstance(found, Absent) or (isinstance(found, Record) and found.deleted)


def test_what_refers_to_a_record_is_found(ask: Asked) -> None:
    id = ask.case.new_person("Ben Parent")
    child = ask.case.new_child(id)
    key = RecordKey(ask.case.person, id)
    reading = ask.case.look.read([key], links_of=[key])
    assert (RecordKey(ask.case.child[0], child), ask.case.child[1]) in {(x.child, x.field) for x in reading.links[key]}
    assert isinstance(reading.records[RecordKey(ask.case.child[0], child)], Record)


def test_records_are_counted(ask: Asked) -> None:
    ask.case.new_person("Cid Counted")
    assert ask.case.look.count(ask.case.person) >= 0  # type: ignore[attr-defined]  # every look counts


# deleting -------------------------------------------------------------------------------------------------------------


def test_a_customer_goes_and_reading_says_so(ask: Asked) -> None:
    id = ask.case.new_person("Dan Goes")
    work = ask.work(id)
    said = ask.apply(ask.units(work))
    settled = ask.settle(work)[work.seq]
    assert settled.state == "done"
    assert work.seq not in said or said[work.seq].answer is Answer.DONE
    assert ask.case.gone(id) and not ask.live(id)


def test_several_go_together_and_one_that_was_edited_stays(ask: Asked) -> None:
    ids = [ask.case.new_person(f"Eve {n}") for n in range(4)]
    works = [ask.work(i) for i in ids]
    units = ask.units(*works)
    ask.case.edit(ids[2], "Eve edited")
    _forget(ask)
    said = ask.apply(units)
    assert said[works[2].seq].answer is Answer.CHANGED
    assert [ask.live(i) for i in ids] == [False, False, True, False]
    assert ask.settle(works[2])[works[2].seq].state in ("changed", "again")


def test_what_people_removed_is_not_ours(ask: Asked) -> None:
    id = ask.case.new_person("Fay Removed")
    work = ask.work(id)
    units = ask.units(work)
    ask.case.remove(id)
    _forget(ask)
    said = ask.apply(units)
    assert said.get(work.seq, Result(Answer.ABSENT)).answer in (Answer.ABSENT, Answer.CHANGED)


def test_an_intent_without_a_call_is_sent_again(ask: Asked) -> None:
    work = ask.work(ask.case.new_person("Gus Intent"))
    assert ask.settle(work)[work.seq].state == "again"


# faults ---------------------------------------------------------------------------------------------------------------


def test_a_call_that_was_lost_is_settled_as_not_done(ask: Asked) -> None:
    id = ask.case.new_person("Hal Lost")
    work = ask.work(id)
    units = ask.units(work)
    ask.case.fault("lost")
    said = ask.apply(units)
    if work.seq in said:  # a system that knows for certain says so
        assert said[work.seq].answer is not Answer.DONE
    assert ask.settle(work)[work.seq].state == "again"
    assert ask.live(id)
    again = ask.work(id)
    ask.apply(ask.units(again))
    assert ask.settle(again)[again.seq].state == "done" and not ask.live(id)


def test_a_call_that_worked_without_an_answer_is_settled_as_done(ask: Asked) -> None:
    id = ask.case.new_person("Ida Applied")
    work = ask.work(id)
    units = ask.units(work)
    ask.case.fault("applied")
    said = ask.apply(units)
    assert said.get(work.seq, Result(Answer.DONE)).answer is Answer.DONE
    assert ask.settle(work)[work.seq].state == "done" and not ask.live(id)


def test_throttled_means_certainly_not_done(ask: Asked) -> None:
    id = ask.case.new_person("Jim Throttled")
    work = ask.work(id)
    units = ask.units(work)
    ask.case.fault("throttled")
    said = ask.apply(units)
    if said.get(work.seq, Result(Answer.LATER)).answer is not Answer.DONE:  # SQL has no such fault
        assert ask.live(id) and ask.settle(work)[work.seq].state == "again"


def test_a_refusal_changes_nothing_and_is_named_without_the_vendors_text(ask: Asked) -> None:
    id = ask.case.new_person("Kai Refused")
    work = ask.work(id)
    units = ask.units(work)
    ask.case.fault("refused")
    said = ask.apply(units)
    assert said[work.seq].answer is Answer.REFUSED, "a clear refusal has an answer"
    assert said[work.seq].code and " " not in said[work.seq].code
    assert ask.live(id)


# changing -------------------------------------------------------------------------------------------------------------


def update(ask: Asked, id: str, /, **changes: Any) -> tuple[Work, list[Unit]]:
    work = replace(ask.work(id), action="anonymise", related=())
    before = ask.record(id)
    return work, [Unit(f"#{work.seq}", (work,), (Effect(work.seq, "item", "update", before, changes),))]


def test_one_field_changes_and_no_other(ask: Asked) -> None:
    id = ask.case.new_person("Leo Before")
    work, units = update(ask, id, **{ask.case.text_field: "Leo After"})
    before = ask.record(id)
    ask.apply(units)
    assert ask.settle(work)[work.seq].state == "done"
    after = ask.record(id)
    assert canonical_text(after.fields[ask.case.text_field]) == "Leo After"
    assert same_but_for(before, after, ask.case.text_field, *ask.writer.moving(ask.case.person)) == []


def test_a_column_that_cannot_be_written_is_refused(ask: Asked) -> None:
    if ask.writer.capabilities.transactional:
        return  # the mapping's list of writable columns is asked before; a database takes any
    id = ask.case.new_person("Mia Key")
    key = ask.case.mapping.objects[ask.case.person].key
    work, units = update(ask, id, **{key: "999"})
    assert ask.apply(units)[work.seq].answer is Answer.REFUSED
    assert ask.live(id)


def test_an_update_without_an_answer_is_settled_by_what_is_there(ask: Asked) -> None:
    id = ask.case.new_person("Ned Before")
    work, units = update(ask, id, **{ask.case.text_field: "Ned After"})
    ask.case.fault("applied")
    ask.apply(units)
    assert ask.settle(work)[work.seq].state == "done"
    work, units = update(ask, id, **{ask.case.text_field: "Ned Later"})
    ask.case.fault("lost")
    ask.apply(units)
    assert ask.settle(work)[work.seq].state == "again"


# merging --------------------------------------------------------------------------------------------------------------


def merged(ask: Asked, name: str) -> tuple[str, str, str, Work]:
    """Two customers, a child of the one that goes, and the work that merges them with the loser's text kept."""
    survivor, loser = ask.case.new_person(f"{name} Survivor"), ask.case.new_person(f"{name} Loser")
    child = ask.case.new_child(loser)
    return survivor, loser, child, ask.work(loser, "merge_into", target=survivor, choices={ask.case.text_field: loser})


def is_merged(ask: Asked, survivor: str, loser: str, child: str, name: str) -> bool:
    row = ask.writer.read([RecordKey(ask.case.child[0], child)]).records[RecordKey(ask.case.child[0], child)]
    assert isinstance(row, Record)
    led = canonical_text(row.fields[ask.case.child[1]]) == survivor
    kept = canonical_text(ask.record(survivor).fields[ask.case.text_field]) == f"{name} Loser"
    return led and kept and not ask.live(loser)


def test_a_merge_moves_what_hangs_on_it_writes_the_survivor_and_lets_the_loser_go(ask: Asked) -> None:
    survivor, loser, child, work = merged(ask, "Oda")
    (unit,) = ask.units(work)
    assert unit.effects[-1].before.key.id == loser, "the loser goes last"
    ask.apply([unit])
    assert ask.settle(work)[work.seq].state == "done"
    assert is_merged(ask, survivor, loser, child, "Oda")


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("point", ["vendor.call", "vendor.called"])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_merge_that_was_cut_off_is_gone_on_with(ask: Asked, point: str, at: int) -> None:
    if ask.writer.capabilities.transactional:
        return  # a transaction has no halves; test_executor_kills cuts it
    name = f"Pia{point[-1]}{at}"
    survivor, loser, child, work = merged(ask, name)
    units = ask.units(work)
    seen = 0

    def hook(said: str) -> None:
        nonlocal seen
        seen += said == point
        if said == point and seen == at:
            raise Killed

    ask.writer._hook = hook  # type: ignore[attr-defined]  # as a crash harness does
    with pytest.raises(Killed):
        ask.apply(units)
    ask.writer._hook = lambda said: None  # type: ignore[attr-defined]
    state = ask.settle(work)[work.seq].state
    assert state in ("again", "partly", "done")
    if state == "again":
        again = ask.work(loser, "merge_into", target=survivor, choices=work.choices)
        ask.apply(ask.units(again))
        work = again
    elif state == "partly":
        rest = ask.decider.rest([work])
        assert rest is not None
        ask.writer.go_on([rest], manifest=MANIFEST)
    assert ask.settle(work)[work.seq].state == "done"
    assert is_merged(ask, survivor, loser, child, name)


def test_a_merge_that_was_cut_off_does_not_take_along_what_people_did_since(ask: Asked) -> None:
    if ask.writer.capabilities.transactional:
        return
    _survivor, loser, _child, work = merged(ask, "Quin")
    units = ask.units(work)
    calls = 0

    def hook(said: str) -> None:
        nonlocal calls
        calls += said == "vendor.called"
        if calls == 1:
            raise Killed

    ask.writer._hook = hook  # type: ignore[attr-defined]
    with pytest.raises(Killed):
        ask.apply(units)
    ask.writer._hook = lambda said: None  # type: ignore[attr-defined]
    ask.case.edit(loser, "Quin edited")
    assert ask.settle(work)[work.seq].state == "partly"
    rest = ask.decider.rest([work])
    if rest is not None:
        said = ask.writer.go_on([rest], manifest=MANIFEST)
        assert all(r.answer is not Answer.DONE for r in said.values())
    assert ask.live(loser), "an edit of people is never lost"
    assert ask.settle(work)[work.seq].state == "partly" and ask.settle(work)[work.seq].made


# restoring ------------------------------------------------------------------------------------------------------------


def not_back(ask: Asked, object: str) -> set[str]:
    """Columns that are not as they were when a record is made anew, whatever one does."""
    entry = ask.case.mapping.objects[object]
    fixed = {entry.key, *ask.writer.moving(object)} | {n for n in (entry.created,) if n}
    if not ask.writer.capabilities.transactional:
        fixed |= set(ask.record_columns(object)) - ask.writer.writable(entry, create=True)  # type: ignore[attr-defined]
    return fixed


def _columns(self: Asked, object: str) -> tuple[str, ...]:
    return tuple(self.writer.reader.columns(object))  # type: ignore[attr-defined]  # vendors' writers have one


Asked.record_columns = _columns  # type: ignore[attr-defined]


def test_what_went_comes_back(ask: Asked) -> None:
    id = ask.case.new_person("Rex Back")
    before = ask.record(id)
    work = ask.work(id)
    units = ask.units(work)
    ask.apply(units)
    moved: dict[tuple[str, str], str] = {}
    answers = restore(ask, units[0].effects, moved)
    assert [a.answer for a in answers.values()] == [Answer.DONE]
    after = ask.record(moved.get((ask.case.person, id), id))
    if moved:
        assert same_but_for(before, after, *not_back(ask, ask.case.person)) == []
    else:
        assert same_but_for(before, after, *ask.writer.moving(ask.case.person)) == []


def test_a_merge_is_undone_with_its_links(ask: Asked) -> None:
    survivor, loser, child, work = merged(ask, "Sue")
    units = ask.units(work)
    ask.apply(units)
    assert is_merged(ask, survivor, loser, child, "Sue")
    moved: dict[tuple[str, str], str] = {}
    restore(ask, units[0].effects, moved)
    back = moved.get((ask.case.person, loser), loser)
    assert canonical_text(ask.record(back).fields[ask.case.text_field]) == "Sue Loser"
    assert canonical_text(ask.record(survivor).fields[ask.case.text_field]) == "Sue Survivor"
    row = ask.writer.read([RecordKey(ask.case.child[0], child)]).records[RecordKey(ask.case.child[0], child)]
    assert isinstance(row, Record) and canonical_text(row.fields[ask.case.child[1]]) == back


def test_a_record_that_was_made_without_an_answer_is_found_and_not_made_twice(ask: Asked) -> None:
    id = ask.case.new_person("Tom Twice")
    work = ask.work(id)
    units = ask.units(work)
    ask.apply(units)
    assert not ask.live(id)
    ask.case.fault("applied")
    moved: dict[tuple[str, str], str] = {}
    restore(ask, units[0].effects, moved)
    now = moved.get((ask.case.person, id), id)
    assert canonical_text(ask.record(now).fields[ask.case.text_field]) == "Tom Twice"
    alike = _with_text(ask, "Tom Twice")
    assert len(alike) == 1, alike


def _with_text(ask: Asked, text: str) -> list[str]:
    if ask.writer.capabilities.transactional:
        return [""]  # a key of the database
    reader = ask.writer.reader  # type: ignore[attr-defined]
    return [
        r.key.id
        for part in reader.scan(ask.case.person)
        for r in part
        if not r.deleted and canonical_text(r.fields.get(ask.case.text_field)) == text
    ]


def test_a_deletion_that_people_had_edited_before_is_put_back_or_was_never_made(ask: Asked) -> None:
    """Between the last look and the call: what conditional writes refuse is compared afterwards elsewhere."""
    id = ask.case.new_person("Uta Between")
    work = ask.work(id)
    units = ask.units(work)

    def hook(said: str) -> None:
        if said == "vendor.call":
            ask.writer._hook = lambda said: None  # type: ignore[attr-defined]
            ask.case.edit(id, "Uta edited")

    if ask.writer.capabilities.transactional:
        return
    ask.writer._hook = hook  # type: ignore[attr-defined]
    said = ask.apply(units)
    ask.writer._hook = lambda said: None  # type: ignore[attr-defined]
    settled = ask.settle(work).get(work.seq)
    assert settled is not None
    if settled.state == "edited":
        assert ask.writer.put_back(work, manifest=MANIFEST)
        assert canonical_text(ask.record(id).fields[ask.case.text_field]) == "Uta edited"
    elif ask.writer.capabilities.conditional_delete:
        assert said[work.seq].answer is Answer.CHANGED and ask.live(id)
    else:  # the vendor neither refuses nor shows what lies in its bin: documented, and the window is one call
        assert settled.state == "done"


def test_users_are_never_deleted(ask: Asked) -> None:
    users = [o for o in ask.case.mapping.objects.values() if o.role == "user"]
    if ask.writer.capabilities.transactional or not users:
        return
    reader = ask.writer.reader  # type: ignore[attr-defined]
    first = next(r for part in reader.scan(users[0].name) for r in part)
    Asked.seq += 1
    work = Work(Asked.seq, users[0].name, first.key.id, "hard_delete", None, first.version, first.digest)
    unit = Unit(f"#{work.seq}", (work,), (Effect(work.seq, "item", "delete", first),))
    assert ask.apply([unit])[work.seq].answer is Answer.REFUSED
    assert isinstance(ask.writer.read([first.key]).records[first.key], Record)


def _forget(ask: Asked) -> None:
    """Let the writer look again: in earnest a record read so short a time ago is taken as it was read."""
    seen = getattr(ask.writer, "_seen", None)
    if seen is not None:
        seen.clear()
