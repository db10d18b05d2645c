"""What every reader must do, whatever the system: inherit, give a ``world``, and these tests run against it.

A ``world`` is a :class:`ReaderWorld`: a freshly built CRM of 400 contacts in the system under test, the reader on it,
and the few levers a test needs (change, delete and add behind the reader's back). The expected values come from the
generator's SQLite file, which is read with plain ``sqlite3`` here, so that reader and expectation share no code.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from steward.crm.base import CrmReader
from steward.errors import SchemaMismatchError
from steward.records import Absent, Record, RecordKey, canonical_text, object_digest


@dataclass
class ReaderWorld:
    """One CRM under test."""

    reader: CrmReader
    original: Path
    """The generator's SQLite file with the same rows."""
    execute: Callable[[str], None]
    """Runs one SQL statement on the CRM behind the reader's back, committed."""
    again: Callable[[], CrmReader]
    """Opens a second reader."""


def expected(world: ReaderWorld, sql: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(world.original) as connection:
        return connection.execute(sql).fetchall()


def everything(reader: CrmReader, name: str, batch: int = 97) -> dict[str, Record]:
    found: dict[str, Record] = {}
    for records in reader.scan(name, batch=batch):
        assert 0 < len(records) <= batch
        for record in records:
            assert record.key.id not in found, "a record came twice"
            found[record.key.id] = record
    return found


class ReaderSuite:
    """Inherit and provide a fixture ``world``."""

    def test_is_a_reader(self, world: ReaderWorld) -> None:
        assert isinstance(world.reader, CrmReader)
        assert world.reader.tenant and world.reader.environment and world.reader.connector_version
        assert world.reader.capabilities.source

    def test_parents_come_before_children(self, world: ReaderWorld) -> None:
        seen: set[str] = set()
        for entry in world.reader.objects():
            assert set(entry.parents.values()) <= seen | {entry.name}
            seen.add(entry.name)
        assert len(seen) == 9

    @pytest.mark.parametrize("batch", [1, 7, 400, 5_000])
    def test_scan_gives_every_record_once_at_any_page_size(self, world: ReaderWorld, batch: int) -> None:
        found = everything(world.reader, "company", batch)
        assert sorted(found) == [row[0] for row in expected(world, "select id from company order by id")]

    def test_every_value_is_what_is_stored(self, world: ReaderWorld) -> None:
        for name in ("contact", "order", "invoice", "activity"):
            with sqlite3.connect(world.original) as connection:
                connection.row_factory = sqlite3.Row
                rows = {row["id"]: dict(row) for row in connection.execute(f'select * from "{name}"')}
            found = everything(world.reader, name)
            assert found.keys() == rows.keys()
            for key, record in found.items():
                assert {n: canonical_text(v) for n, v in record.fields.items()} == {
                    n: canonical_text(v) for n, v in rows[key].items()
                }

    def test_object_digest_is_the_same_in_every_system(self, world: ReaderWorld) -> None:
        with sqlite3.connect(world.original) as connection:
            connection.row_factory = sqlite3.Row
            rows = [Record(RecordKey("deal", r["id"]), dict(r)).digest for r in connection.execute("select * from deal")]
        found = [r.digest for r in everything(world.reader, "deal").values()]
        assert object_digest("deal", found) == object_digest("deal", rows)

    def test_ids_are_text_to_the_last_digit(self, world: ReaderWorld) -> None:
        for key in everything(world.reader, "contact"):
            assert isinstance(key, str) and len(key) == 18 and key.isdigit()

    def test_deleted_records_are_scanned_and_marked(self, world: ReaderWorld) -> None:
        (victim,) = expected(world, "select id from contact where is_deleted = 0 order by id limit 1")[0]
        world.execute(f"update contact set is_deleted = 1, deleted_by = 'somebody' where id = '{victim}'")
        record = everything(world.reader, "contact")[victim]
        assert record.deleted
        if world.reader.capabilities.tells_who_deleted:
            assert record.deleted_by == "somebody"
        live = [r for r in everything(world.reader, "contact").values() if not r.deleted]
        assert all(r.deleted_by is None for r in live)

    def test_count_counts_live_records(self, world: ReaderWorld) -> None:
        before = world.reader.count("contact")
        assert before == expected(world, "select count(*) from contact where is_deleted = 0")[0][0]
        world.execute(f"update contact set is_deleted = 1 where id = '{_some(world, 'contact')[0]}'")
        assert world.reader.count("contact") == before - 1

    def test_version_comes_from_the_mapped_column(self, world: ReaderWorld) -> None:
        key = _some(world, "contact")[0]
        before = world.reader.fetch("contact", [key])[key]
        world.execute(f"update contact set row_version = row_version + 1 where id = '{key}'")
        after = world.reader.fetch("contact", [key])[key]
        assert isinstance(before, Record) and isinstance(after, Record)
        assert before.version is not None and after.version == str(int(before.version) + 1)

    def test_fetch_sees_the_present(self, world: ReaderWorld) -> None:
        key = _some(world, "contact")[0]
        everything(world.reader, "contact")
        world.execute(f"update contact set last_name = '新名' where id = '{key}'")
        record = world.reader.fetch("contact", [key])[key]
        assert isinstance(record, Record) and record.fields["last_name"] == "新名"

    def test_fetch_of_a_deleted_row_is_positive_absence(self, world: ReaderWorld) -> None:
        keys = _some(world, "note")
        world.execute(f"delete from note where id = '{keys[0]}'")
        found = world.reader.fetch("note", keys)
        assert found[keys[0]] == Absent(RecordKey("note", keys[0]), how="no row")
        assert all(isinstance(found[k], Record) for k in keys[1:])

    def test_fetch_keeps_the_order_asked_for_and_takes_thousands(self, world: ReaderWorld) -> None:
        keys = [row[0] for row in expected(world, "select id from activity order by subject, id")]
        asked = keys + [f"nobody-{n}" for n in range(1_500)]
        found = world.reader.fetch("activity", asked)
        assert list(found) == asked
        assert sum(isinstance(r, Absent) for r in found.values()) == 1_500

    @pytest.mark.parametrize("odd", ["", "' OR 1=1 --", "0", "١٢٣", "\x00", "💥", "a" * 5_000, "%", "\ud800"])
    def test_fetch_of_a_strange_id_is_absent_and_harmless(self, world: ReaderWorld, odd: str) -> None:
        assert isinstance(world.reader.fetch("contact", [odd])[odd], Absent)
        assert world.reader.count("contact") > 0

    def test_children_are_all_live_references(self, world: ReaderWorld) -> None:
        (parent,) = expected(world, "select contact_id from invoice order by id limit 1")[0]
        links = world.reader.children("contact", [str(parent)])
        wanted = {
            (name, row[0])
            for name in ("deal", "order", "invoice", "ticket", "activity", "note")
            for row in expected(world, f"select id from \"{name}\" where contact_id = '{parent}' and is_deleted = 0")
        }
        assert {(link.child.object, link.child.id) for link in links} == wanted
        assert {link.parent for link in links} == {RecordKey("contact", str(parent))}
        assert {link.field for link in links} == {"contact_id"}

    def test_children_leave_out_deleted_ones(self, world: ReaderWorld) -> None:
        key, parent = expected(world, "select id, contact_id from activity where is_deleted = 0 order by id limit 1")[0]
        world.execute(f"update activity set is_deleted = 1 where id = '{key}'")
        assert RecordKey("activity", str(key)) not in {link.child for link in world.reader.children("contact", [str(parent)])}

    def test_children_of_many_parents_at_once(self, world: ReaderWorld) -> None:
        keys = [row[0] for row in expected(world, "select id from contact order by id")]
        links = world.reader.children("contact", keys)
        assert len(links) == sum(
            expected(world, f'select count(*) from "{n}" where contact_id is not null and is_deleted = 0')[0][0]
            for n in ("deal", "order", "invoice", "ticket", "activity", "note")
        )
        assert len(links) == len(set(links))

    def test_nothing_asked_nothing_answered(self, world: ReaderWorld) -> None:
        assert world.reader.fetch("contact", []) == {}
        assert world.reader.children("contact", []) == []

    def test_an_object_that_is_not_mapped_is_refused(self, world: ReaderWorld) -> None:
        with pytest.raises(SchemaMismatchError, match="ghost"):
            world.reader.count("ghost")
        with pytest.raises(SchemaMismatchError, match="ghost"):
            list(world.reader.scan("ghost"))

    def test_two_readers_at_once_see_the_same(self, world: ReaderWorld) -> None:
        other = world.again()
        try:
            left, right = world.reader.scan("contact", batch=50), other.scan("contact", batch=50)
            for mine, theirs in zip(left, right, strict=True):
                assert mine == theirs
        finally:
            other.close()

    def test_a_scan_left_half_way_does_no_harm(self, world: ReaderWorld) -> None:
        pages = world.reader.scan("contact", batch=10)
        next(pages)
        del pages
        assert len(everything(world.reader, "contact")) == 400

    def test_close_can_be_called_twice(self, world: ReaderWorld) -> None:
        other = world.again()
        other.close()
        other.close()


class MomentSuite:
    """For systems with transactions: a snapshot is one moment, across objects."""

    def test_changes_during_a_scan_are_not_seen(self, world: ReaderWorld) -> None:
        pages = world.reader.scan("contact", batch=50)
        first = {r.key.id for r in next(pages)}
        late = expected(world, "select id from contact order by id desc limit 1")[0][0]
        world.execute(f"update contact set last_name = 'LATER' where id = '{late}'")
        world.execute(f"delete from note where id = '{_some(world, 'note')[0]}'")
        rest = {r.key.id: r for page in pages for r in page}
        assert late not in first and rest[late].fields["last_name"] != "LATER"
        notes = [r for page in world.reader.scan("note") for r in page]
        assert len(notes) == expected(world, "select count(*) from note")[0][0]
        assert world.reader.fetch("contact", [late])[late].fields["last_name"] == "LATER"  # type: ignore[union-attr]  # it is there

    def test_scanning_again_begins_a_new_moment(self, world: ReaderWorld) -> None:
        key = _some(world, "contact")[0]
        everything(world.reader, "contact")
        world.execute(f"update contact set last_name = 'LATER' where id = '{key}'")
        assert everything(world.reader, "contact")[key].fields["last_name"] == "LATER"


def _some(world: ReaderWorld, name: str) -> list[str]:
    return [row[0] for row in expected(world, f'select id from "{name}" where is_deleted = 0 order by id limit 5')]
