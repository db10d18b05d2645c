"""Going on from an earlier snapshot of a CRM in SQL: equal to a whole read, on SQLite and PostgreSQL, trap by trap."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import create_engine, text

from steward.crm.mapping import parse_mapping
from steward.crm.sql import SqlReader
from steward.errors import SnapshotError
from steward.sandbox import build_crm, demo_mapping
from steward.store import Workspace, onward
from tests.support.crm import CrmTemplates
from tests.support.onward import Pair, few

SMALL = few(demo_mapping(), "user", "company", "contact", "note")
TABLES = ("company", "contact", "deal", "activity", "note", "ticket")


class Crm:
    """A database, the program that edits it, and the pair of workspaces over it."""

    def __init__(self, url: str, folder: Path, mapping: str = "") -> None:
        self.url = url
        self.engine = create_engine(url)
        self.mapping = mapping or demo_mapping()
        self.pair = Pair(folder, lambda: SqlReader(url, parse_mapping(self.mapping)))

    def do(self, sql: str, **values: object) -> list[tuple[object, ...]]:
        with self.engine.begin() as connection:
            if self.engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA foreign_keys = ON")
            done = connection.execute(text(sql), values)
            return [tuple(r) for r in done] if done.returns_rows else []

    def ids(self, table: str) -> list[str]:
        return [str(r[0]) for r in self.do(f'SELECT id FROM "{table}" ORDER BY id')]

    def edit(self, table: str, id: str, column: str, value: object, at: str | None = None) -> None:
        self.do(
            f'UPDATE "{table}" SET {column} = :v, updated_at = :at, row_version = row_version + 1 WHERE id = :id',
            v=value, id=id, at=at or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )  # fmt: skip

    def close(self) -> None:
        self.pair.close()
        self.engine.dispose()


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> CrmTemplates:
    return CrmTemplates(tmp_path_factory.mktemp("crm"))


@pytest.fixture
def crm(templates: CrmTemplates, tmp_path: Path) -> Iterator[Crm]:
    path, _ = templates.copy(tmp_path, customers=60)
    made = Crm(f"sqlite:///{path}", tmp_path, SMALL)
    yield made
    made.close()


def disturb(crm: Crm, chance: random.Random) -> None:
    """Edit, mark, unmark, delete, make again and add at random, as people and programs do."""
    for n in range(chance.randint(3, 12)):
        table = chance.choice(TABLES)
        held = crm.ids(table)
        if not held:
            continue
        id = chance.choice(held)
        match chance.randrange(6):
            case 0 | 1:
                column = {"company": "city", "contact": "job_title", "deal": "stage", "note": "body"}.get(table, "subject")
                crm.edit(table, id, column, f"随 {n} '\" {chance.random()}")
            case 2:
                crm.edit(table, id, "is_deleted", chance.randrange(2))
            case 3:
                blocked = crm.do("SELECT 1 FROM \"order\" WHERE contact_id = :i OR deal_id = :i UNION SELECT 1 FROM invoice WHERE contact_id = :i UNION SELECT 1 FROM deal WHERE company_id = :i UNION SELECT 1 FROM \"order\" WHERE company_id = :i UNION SELECT 1 FROM invoice WHERE company_id = :i", i=id)  # fmt: skip
                if not blocked:
                    crm.do(f'DELETE FROM "{table}" WHERE id = :i', i=id)
            case 4:
                now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                names = list(crm.do(f'SELECT * FROM "{table}" WHERE id = :i', i=id)[0])
                columns = _columns(crm, table)
                row = dict(zip(columns, names, strict=True)) | {
                    "id": f"new-{chance.getrandbits(60)}", "created_at": now, "updated_at": now, "row_version": 1,
                }  # fmt: skip
                crm.do(f'INSERT INTO "{table}" VALUES ({", ".join(f":{c}" for c in columns)})', **row)
            case 5 if table == "note":
                row = dict(zip(_columns(crm, table), crm.do("SELECT * FROM note WHERE id = :i", i=id)[0], strict=True))
                crm.do("DELETE FROM note WHERE id = :i", i=id)
                now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                row |= {"body": "made again", "created_at": now, "updated_at": now, "row_version": 1}
                crm.do(f"INSERT INTO note VALUES ({', '.join(f':{c}' for c in row)})", **row)


def _columns(crm: Crm, table: str) -> list[str]:
    with crm.engine.connect() as connection:
        return list(connection.execute(text(f'SELECT * FROM "{table}" LIMIT 0')).keys())


@pytest.mark.parametrize("seed", range(2))
def test_it_equals_a_whole_read_after_random_edits(crm: Crm, seed: int) -> None:
    chance = random.Random(seed)
    crm.mapping = demo_mapping()
    crm.pair.begin()
    for _ in range(2):
        disturb(crm, chance)
        made = crm.pair.same()
        assert set(crm.pair.ways(made).values()) <= {"stamps", "whole"}
        assert "stamps" in crm.pair.ways(made).values()


def test_it_equals_a_whole_read_on_postgresql(postgres_database: str, tmp_path: Path) -> None:
    build_crm(postgres_database, customers=50, seed=4)
    crm = Crm(postgres_database, tmp_path)
    crm.pair.begin()
    chance = random.Random(1)
    for _ in range(2):
        disturb(crm, chance)
        crm.pair.same()
    crm.close()


def test_nothing_changed_gives_the_snapshot_that_is_there(crm: Crm) -> None:
    first = crm.pair.begin()
    again = crm.pair.go_on()
    assert again.digest == first.digest and again.taken_at == first.taken_at
    assert len(crm.pair.onward.snapshots()) == 1
    whole, onward = crm.pair.onward.readings(first)
    assert whole.origin is None and onward.origin == first.digest
    assert onward.ways["contact"].read == 0 and onward.ways["contact"].carried == first.object("contact").rows


def test_it_says_from_which_it_was_made_and_how_much_was_read(crm: Crm) -> None:
    first = crm.pair.begin()
    crm.edit("contact", crm.ids("contact")[0], "city", "Köln")
    crm.do("DELETE FROM note WHERE id = :i", i=crm.ids("note")[0])
    made = crm.pair.same()
    reading = crm.pair.onward.readings(made)[0]
    assert reading.origin == first.digest
    contact, note = reading.ways["contact"], reading.ways["note"]
    assert (contact.way, contact.read, contact.carried, contact.gone) == ("stamps", 1, first.object("contact").rows - 1, 0)
    assert (note.read, note.carried, note.gone) == (0, first.object("note").rows - 1, 1)


def test_equal_times_at_the_border_are_read_again(crm: Crm) -> None:
    """Two edits within one second, one before and one after the reading: the stamp is the same, the value is not."""
    crm.mapping = crm.mapping.replace('version = "row_version"\n', "")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    id = crm.ids("contact")[3]
    crm.do("UPDATE contact SET city = 'before', updated_at = :t WHERE id = :i", i=id, t=now)
    crm.pair.begin()
    crm.do("UPDATE contact SET city = 'after', updated_at = :t WHERE id = :i", i=id, t=now)
    made = crm.pair.same()
    assert crm.pair.ways(made)["contact"] == "stamps"
    assert crm.pair.onward.records(made, "contact", [id])[id]["city"] == "after"


def test_a_clock_that_is_hours_off_loses_nothing(crm: Crm) -> None:
    """A database that writes local time stamps an edit hours before the reading that did not see it."""
    crm.mapping = crm.mapping.replace('version = "row_version"\n', "")
    behind = (datetime.now(UTC) - timedelta(hours=11)).strftime("%Y-%m-%dT%H:%M:%SZ")
    id = crm.ids("contact")[3]
    crm.do("UPDATE contact SET city = 'before', updated_at = :t WHERE id = :i", i=id, t=behind)
    crm.pair.begin()
    crm.do("UPDATE contact SET city = 'after', updated_at = :t WHERE id = :i", i=id, t=behind)
    crm.pair.same()


def test_a_row_without_a_time_that_can_be_read_is_read_again(crm: Crm) -> None:
    crm.mapping = crm.mapping.replace('version = "row_version"\n', "")
    ids = crm.ids("contact")
    crm.do("UPDATE contact SET updated_at = 'yesterday or so' WHERE id = :i", i=ids[0])
    crm.pair.begin()
    crm.do("UPDATE contact SET city = 'Elsewhere' WHERE id = :i", i=ids[0])
    crm.pair.same()


def test_a_reference_that_the_database_empties_moves_no_time(crm: Crm) -> None:
    """``ON DELETE SET NULL``: the company goes, its contacts stay as they were but for it."""
    free = crm.do(
        "SELECT c.id FROM company c JOIN contact p ON p.company_id = c.id WHERE c.id NOT IN (SELECT company_id FROM deal WHERE company_id IS NOT NULL) "
        'AND c.id NOT IN (SELECT company_id FROM "order" WHERE company_id IS NOT NULL) '
        "AND c.id NOT IN (SELECT company_id FROM invoice WHERE company_id IS NOT NULL) LIMIT 1"
    )
    crm.pair.begin()
    crm.do("DELETE FROM company WHERE id = :i", i=free[0][0])
    made = crm.pair.same()
    assert crm.pair.onward.readings(made)[0].ways["contact"].read >= 1


def test_deleted_and_made_again_under_the_same_id(crm: Crm) -> None:
    """The counter begins anew and happens to be the same; the time of making tells."""
    id = crm.ids("note")[0]
    old = "2020-01-01T00:00:00Z"
    crm.do("UPDATE note SET row_version = 1, updated_at = :t WHERE id = :i", i=id, t=old)
    crm.pair.begin()
    row = dict(zip(_columns(crm, "note"), crm.do("SELECT * FROM note WHERE id = :i", i=id)[0], strict=True))
    crm.do("DELETE FROM note WHERE id = :i", i=id)
    row |= {"created_at": "2026-01-02T00:00:00Z", "body": "another"}
    crm.do(f"INSERT INTO note VALUES ({', '.join(f':{c}' for c in row)})", **row)
    crm.pair.same()


def test_restored_from_the_bin(crm: Crm) -> None:
    id = crm.ids("contact")[0]
    crm.edit("contact", id, "is_deleted", 1)
    crm.pair.begin()
    crm.edit("contact", id, "is_deleted", 0)
    made = crm.pair.same()
    assert crm.pair.onward.record_digests(made, "contact", [id])[id][2] is False


def test_a_row_that_changes_during_the_read_is_of_the_moment_in_which_it_began(crm: Crm) -> None:
    with crm.engine.connect() as connection:  # so that others write while we read
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    crm.pair.begin()
    ids = crm.ids("note")
    crm.edit("note", ids[0], "body", "first")

    class Edited(SqlReader):
        def sweep(self, object: str, names, *, batch: int = 20_000):  # type: ignore[no-untyped-def]
            for rows in super().sweep(object, names, batch=batch):
                if object == "note":
                    crm.do("UPDATE note SET body = 'later', row_version = 99 WHERE id = :i", i=ids[1])
                yield rows

    with Edited(crm.url, parse_mapping(crm.mapping)) as reader:
        made = crm.pair.onward.next_snapshot(reader, taken_at=datetime.now(UTC))
    found = crm.pair.onward.records(made, "note", ids[:2])
    assert found[ids[0]]["body"] == "first" and found[ids[1]]["body"] != "later"
    crm.pair.same()  # the next one has it


def test_much_that_changed_is_read_whole_in_the_same_moment(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onward, "FEW", 5)
    with crm.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    crm.pair.begin()
    crm.do("UPDATE contact SET city = 'all', row_version = row_version + 1")
    note = crm.ids("note")[0]

    class Edited(SqlReader):
        def scan(self, object: str, *, batch: int = 5_000):  # type: ignore[no-untyped-def]
            crm.do("UPDATE note SET body = 'later', row_version = row_version + 1 WHERE id = :i", i=note)
            return super().scan(object, batch=batch)

    with Edited(crm.url, parse_mapping(crm.mapping)) as reader:
        made = crm.pair.onward.next_snapshot(reader, taken_at=datetime.now(UTC))
    assert crm.pair.ways(made)["contact"] == "whole" and crm.pair.ways(made)["note"] == "stamps"
    assert crm.pair.onward.records(made, "note", [note])[note]["body"] != "later"  # one moment for all objects
    crm.pair.same()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda crm: setattr(crm, "mapping", crm.mapping.replace('label = ["first_name", "last_name"]', 'label = ["last_name"]')), "the mapping changed"),
        (lambda crm: crm.do("ALTER TABLE contact ADD COLUMN nickname TEXT"), "the fields changed"),
    ],
)  # fmt: skip
def test_another_shape_is_read_whole(crm: Crm, change: Callable[[Crm], object], why: str) -> None:
    crm.pair.begin()
    change(crm)
    made = crm.pair.same()
    reading = crm.pair.onward.readings(made)[-1]
    assert (reading.ways["contact"].way, reading.ways["contact"].why) == ("whole", why)
    assert reading.ways["note"].way == "stamps"


def test_without_a_mapped_time_or_version_the_table_is_read_whole(crm: Crm) -> None:
    crm.mapping = crm.mapping.replace('version = "row_version"\n', "").replace('modified = "updated_at"\n', "")
    crm.pair.begin()
    crm.do("UPDATE note SET body = 'silently'")
    assert set(crm.pair.ways(crm.pair.same()).values()) == {"whole"}


def test_there_must_be_something_sound_to_go_on_from(crm: Crm, tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="no earlier snapshot of this CRM"):
        crm.pair.go_on()
    with SqlReader(crm.url, parse_mapping(crm.mapping)) as reader:
        reader.doubts = ["something may be missing"]  # type: ignore[attr-defined]
        partial = crm.pair.onward.take_snapshot(reader, taken_at=datetime.now(UTC))
    assert not partial.complete
    with pytest.raises(SnapshotError, match="may be partial"):
        crm.pair.go_on()
    crm.pair.begin()
    assert crm.pair.same().complete


def test_another_tenants_snapshot_is_no_ground(crm: Crm) -> None:
    first = crm.pair.begin()
    crm.mapping = crm.mapping.replace('tenant = "demo"', 'tenant = "other"')
    with pytest.raises(SnapshotError, match="no earlier snapshot"):
        crm.pair.go_on()
    with pytest.raises(SnapshotError, match="is of another CRM"):
        crm.pair.go_on(since=first)


def test_a_snapshot_from_the_future_is_no_ground(crm: Crm) -> None:
    crm.pair.begin(datetime.now(UTC) + timedelta(days=2))
    with pytest.raises(SnapshotError, match="a clock is wrong"):
        crm.pair.go_on()


def test_a_workspace_from_before_readings_were_kept_is_no_ground_but_opens(crm: Crm) -> None:
    first = crm.pair.begin()
    crm.pair.onward.close()
    with duckdb.connect(str(crm.pair.folder / "onward" / "snapshots.duckdb")) as connection:
        connection.execute("DROP TABLE readings")
    with Workspace.open(crm.pair.folder / "onward", read_only=True) as ws:
        assert ws.readings(first) == []
    crm.pair.onward = Workspace.open(crm.pair.folder / "onward")
    with pytest.raises(SnapshotError, match="no earlier snapshot"):
        crm.pair.go_on()


def test_an_interrupted_one_leaves_the_workspace_as_it_was(crm: Crm) -> None:
    first = crm.pair.begin()
    crm.edit("contact", crm.ids("contact")[0], "city", "x")

    class Broken(SqlReader):
        def pick(self, object: str, ids):  # type: ignore[no-untyped-def]
            raise OSError("gone")

    with Broken(crm.url, parse_mapping(crm.mapping)) as reader, pytest.raises(OSError, match="gone"):
        crm.pair.onward.next_snapshot(reader, taken_at=datetime.now(UTC))
    assert [s.digest for s in crm.pair.onward.snapshots()] == [first.digest]
    assert len(crm.pair.onward.readings(first)) == 1
    crm.pair.same()
