"""Snapshots as a whole: digests in SQL and Python, retaking, interruption, comparison, impact, evidence, dates, locks."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from steward.crm.base import Capabilities
from steward.crm.examples import example_mapping
from steward.crm.mapping import ObjectMapping, SoftDelete, compose_id, parse_mapping
from steward.errors import IntegrityError, SchemaMismatchError, ScoringError, SnapshotError, UsageError
from steward.evidence import CandidatePair, Evidence, MatchWeight, ShownValue
from steward.records import Absent, Link, Record, RecordKey, Scalar, object_digest, record_digest, snapshot_digest
from steward.store import FileSource, Workspace
from steward.store.findings import weights_json

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class ListReader:
    """A reader over records in memory: the contract of ``CrmReader`` and nothing else."""

    system, tenant, environment, connector_version = "list", "t", "test", "list/1"
    capabilities = Capabilities("list")

    def __init__(self, entry: ObjectMapping, records: Sequence[Record], counted: int | None = None) -> None:
        self.entry, self.records, self.counted = entry, records, counted

    def objects(self) -> Sequence[ObjectMapping]:
        return (self.entry,)

    def count(self, object: str) -> int:
        return sum(not r.deleted for r in self.records) if self.counted is None else self.counted

    def scan(self, object: str, *, batch: int = 5_000) -> Iterator[list[Record]]:
        for at in range(0, len(self.records), batch):
            yield list(self.records[at : at + batch])

    def fetch(self, object: str, ids: Sequence[str]) -> Mapping[str, Record | Absent]:
        return {}

    def children(self, object: str, ids: Sequence[str]) -> Sequence[Link]:
        return ()

    def close(self) -> None:
        pass


ENTRY = ObjectMapping(key="id", name="thing", version="v")
VALUES: list[Scalar] = [
    None, "", "x", "ü张\U0001f600", "a\0b", "S1:x;", "N;", True, 7, -(2**70), 1.5, 1e300, Decimal("1.10"), b"\x00\xff", date(2024, 2, 29),
    datetime(2024, 1, 1, 10, tzinfo=UTC), {"b": [1, None, "é"], "a": 1.0}, "'; DROP TABLE evidence; --", '"',
]  # fmt: skip


def records(n: int, seed: int = 0) -> list[Record]:
    dice = random.Random(seed)
    return [
        Record(
            RecordKey("thing", f"id{i}"),
            {"id": f"id{i}", "v": str(i), "Ä": dice.choice(VALUES), 'od"d': dice.choice(VALUES)},
            version=str(i),
        )
        for i in range(n)
    ]


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.open(tmp_path / "w", create=True) as opened:
        yield opened


def test_sql_and_python_agree_on_digests(ws: Workspace) -> None:
    rows = records(6_000)
    taken = ws.take_snapshot(ListReader(ENTRY, rows), taken_at=NOW)
    (stats,) = taken.objects
    assert stats.digest == object_digest("thing", [r.digest for r in rows])
    assert taken.digest == snapshot_digest(taken.objects)
    kept = ws.record_digests(taken, "thing", ["id0", "id5999", "none"])
    assert kept == {i: (record_digest(rows[n].fields), str(n), False) for i, n in (("id0", 0), ("id5999", 5999))}
    assert taken.complete and taken.rows == 6_000


def test_row_order_does_not_matter_and_every_cell_does(tmp_path: Path) -> None:
    rows = records(300)
    digests = []
    shuffled = random.Random(3).sample(rows, len(rows))
    changed = [*rows]
    changed[7] = Record(rows[7].key, {**rows[7].fields, "Ä": "other"}, rows[7].version)
    empty = [Record(r.key, {**r.fields, "Ä": ""}, r.version) for r in rows]
    null = [Record(r.key, {**r.fields, "Ä": None}, r.version) for r in rows]
    for n, given in enumerate((rows, shuffled, changed, rows[:-1], empty, null)):
        with Workspace.open(tmp_path / f"w{n}", create=True) as ws:
            digests.append(ws.take_snapshot(ListReader(ENTRY, given), taken_at=NOW).digest)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 5


def test_a_shifted_delimiter_or_a_swapped_column_is_another_record() -> None:
    assert (
        len(
            {
                record_digest(f)
                for f in ({"a": "x", "b": "y"}, {"a": "y", "b": "x"}, {"a": "x;1:b=S1:y", "b": None}, {"a": "xy", "b": ""})
            }
        )
        == 4
    )


def test_the_same_records_again_are_the_same_snapshot(ws: Workspace) -> None:
    first = ws.take_snapshot(ListReader(ENTRY, records(50)), taken_at=NOW)
    again = ws.take_snapshot(ListReader(ENTRY, records(50)), taken_at=NOW + timedelta(days=1))
    assert again == first and ws.snapshots() == [first]
    ws.replace_evidence(first, "stale", "thing", evidence=[_evidence("id1")], definition_digest="d", summary={})
    other = ObjectMapping(key="id", name="thing", version="v", role="person")
    renewed = ws.take_snapshot(ListReader(other, records(50)), taken_at=NOW)
    assert renewed == first
    assert ws.mapping(first).objects["thing"].role == "person"
    assert ws.evidence(first) == [] and ws.runs(first) == []


def test_the_same_records_of_another_tenant_are_refused(ws: Workspace) -> None:
    ws.take_snapshot(ListReader(ENTRY, records(5)), taken_at=NOW)
    stranger = ListReader(ENTRY, records(5))
    stranger.tenant = "other"
    with pytest.raises(SnapshotError, match="workspace of its own"):
        ws.take_snapshot(stranger, taken_at=NOW)


def test_a_short_read_is_not_complete(ws: Workspace) -> None:
    taken = ws.take_snapshot(ListReader(ENTRY, records(5), counted=6), taken_at=NOW)
    assert not taken.complete and "6" in taken.notes[0]


def test_an_interrupted_snapshot_leaves_nothing(ws: Workspace) -> None:
    class Interrupted(ListReader):
        def scan(self, object: str, *, batch: int = 5_000) -> Iterator[list[Record]]:
            yield list(self.records)
            raise KeyboardInterrupt

    before = ws.take_snapshot(ListReader(ENTRY, records(5)), taken_at=NOW)
    with pytest.raises(KeyboardInterrupt):
        ws.take_snapshot(Interrupted(ENTRY, records(5_000, seed=1)), taken_at=NOW)
    assert ws.snapshots() == [before]
    assert ws.connection.execute("SELECT count(*) FROM duckdb_tables() WHERE schema_name LIKE 'take_%'").fetchall() == [(1,)]
    assert ws.take_snapshot(ListReader(ENTRY, records(6)), taken_at=NOW).rows == 6


@pytest.mark.parametrize(
    "bad",
    [
        [Record(RecordKey("thing", "a"), {"id": "a", "v": "1"}), Record(RecordKey("thing", "b"), {"id": "b"})],
        [Record(RecordKey("thing", "a"), {"id": "a", "v": "1"}), Record(RecordKey("thing", "a"), {"id": "a", "v": "2"})],
        [Record(RecordKey("thing", "a"), {"id": "a", "v": "\ud800"})],
        [Record(RecordKey("thing", "a"), {"id": "a"})],
        [Record(RecordKey("thing", "a"), {"id": "a", "v": "1", "_digest": "x"})],
    ],
    ids=["ragged", "id twice", "surrogate", "no mapped column", "reserved"],
)
def test_what_a_reader_must_not_give(ws: Workspace, bad: list[Record]) -> None:
    with pytest.raises(SnapshotError):
        ws.take_snapshot(ListReader(ENTRY, bad), taken_at=NOW)
    assert ws.snapshots() == []


def test_a_key_named_like_ours_is_kept(ws: Workspace) -> None:
    entry = ObjectMapping(key="_id", name="thing")
    rows = [Record(RecordKey("thing", "a"), {"_id": "a", "n": "x"})]
    taken = ws.take_snapshot(ListReader(entry, rows), taken_at=NOW)
    assert ws.columns(taken, "thing") == ["_id", "n"]
    assert ws.records(taken, "thing", ["a"]) == {"a": {"_id": "a", "n": "x"}}
    assert taken.objects[0].digest == object_digest("thing", [rows[0].digest])


def test_comparison_names_what_came_changed_and_went(ws: Workspace) -> None:
    first = ws.take_snapshot(ListReader(ENTRY, records(20)), taken_at=NOW)
    rows = records(21)[1:]
    rows[3] = Record(rows[3].key, {**rows[3].fields, "Ä": "new"}, rows[3].version)
    rows[4] = Record(rows[4].key, rows[4].fields, rows[4].version, deleted=True)
    second = ws.take_snapshot(ListReader(ENTRY, rows), taken_at=NOW)
    found = ws.compare(first, second)["thing"]
    assert (found.added, found.changed, found.gone) == (("id20",), ("id4", "id5"), ("id0",))
    assert ws.compare(second, second)["thing"].empty
    assert ws.snapshot(first.digest[:8]) == first and ws.snapshot() == second
    with pytest.raises(UsageError):
        ws.snapshot("0000nothing")


def _evidence(record: str, score: float = 0.5) -> Evidence:
    return Evidence(
        "stale",
        RecordKey("thing", record),
        "policy",
        score,
        "Nothing for 5 years.",
        (ShownValue("v", None, "36", "thing", 12.5),),
        f"stale:thing:{record}",
        "p",
    )


def test_evidence_is_replaced_whole_and_read_back_as_written(ws: Workspace) -> None:
    taken = ws.take_snapshot(ListReader(ENTRY, records(9)), taken_at=NOW)
    wanted = [_evidence("id1"), _evidence("id2", 0.25)]
    ws.replace_evidence(taken, "stale", "thing", evidence=[_evidence("id7")], definition_digest="x", summary={})
    ws.replace_evidence(taken, "stale", "thing", evidence=wanted, definition_digest="y", summary={"n": 2}, complete=False)
    assert ws.evidence(taken) == wanted
    assert ws.evidence(taken, keys=[RecordKey("thing", "id2")]) == wanted[1:]
    assert ws.evidence(taken, kind="invalid") == []
    assert ws.runs(taken) == [
        {"kind": "stale", "object": "thing", "definition_digest": "y", "summary": {"n": 2}, "complete": False}
    ]
    stored = ws.connection.execute("SELECT digest FROM evidence ORDER BY record_id").fetchall()
    assert stored == [(e.digest,) for e in wanted]


def test_pairs_and_clusters_come_back_as_the_core_has_them(ws: Workspace) -> None:
    taken = ws.take_snapshot(ListReader(ENTRY, records(9)), taken_at=NOW)
    weights = (MatchWeight("name", "agree", "exact", 9.0, "a", "a"), MatchWeight("mail", "missing", "missing", 0.0, None, "b"))
    pairs = pl.DataFrame(
        {"left_id": ["id1", "id1"], "right_id": ["id2", "id8"], "match_weight": [4.0, 1.0], "probability": [0.9, 0.6], "rule": ["r", "r"],
         "weights_json": [weights_json(weights)] * 2}
    )  # fmt: skip
    clusters = pl.DataFrame({"cluster_id": ["c", "c"], "record_id": ["id2", "id1"], "survivor": [True, False]})
    protections = pl.DataFrame({"record_id": ["id1"], "code": ["legal_hold"], "outcome": ["keep"], "sentence": ["On hold."]})
    ws.replace_evidence(
        taken,
        "duplicate",
        "thing",
        evidence=[],
        pairs=pairs,
        clusters=clusters,
        protections=protections,
        definition_digest="d",
        summary={},
    )
    (cluster,) = ws.clusters(taken, "thing")
    pair = CandidatePair(RecordKey("thing", "id1"), RecordKey("thing", "id2"), "r")
    assert cluster.survivor == RecordKey("thing", "id2") and cluster.links == ((pair, 0.9),)
    (vector,) = ws.pairs_of(taken, "thing", "c")
    assert vector.pair == pair and vector.weights == weights and vector.match_weight == pytest.approx(4.0)
    assert [p.code for p in ws.protections(taken)[RecordKey("thing", "id1")]] == ["legal_hold"]
    assert ws.protections(taken, [RecordKey("thing", "id2")]) == {}
    before = ws.connection.execute("SELECT count(*) FROM pairs").fetchall()
    with pytest.raises(ScoringError, match="nonsense"):
        ws.replace_evidence(
            taken, "duplicate", "thing", evidence=[], pairs=pairs.with_columns(nonsense=1), definition_digest="d", summary={}
        )
    assert ws.connection.execute("SELECT count(*) FROM pairs").fetchall() == before


def test_the_database_can_reach_nothing_outside(ws: Workspace, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    for statement in (
        f"SELECT * FROM read_csv('{secret}')", f"COPY (SELECT 1) TO '{tmp_path}/out.csv'", f"ATTACH '{tmp_path}/x.duckdb'", "INSTALL httpfs", "LOAD httpfs",
        "SET enable_external_access = true", "SELECT * FROM 'https://example.org/x.parquet'",
    ):  # fmt: skip
        with pytest.raises(duckdb.Error):
            ws.connection.execute(statement).fetchall()
    assert not (tmp_path / "out.csv").exists()


def test_one_writes_or_many_read(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    probe = [sys.executable, "-c", "import sys\nfrom steward.store import Workspace\nfrom steward.errors import StewardError\n"
             "try:\n  ws = Workspace.open(sys.argv[1], read_only=sys.argv[2] == 'r'); print(ws.snapshot().rows)\nexcept StewardError as e: print('refused', e)"]  # fmt: skip
    with Workspace.open(folder, create=True) as ws:
        ws.take_snapshot(ListReader(ENTRY, records(5)), taken_at=NOW)
        busy = subprocess.run([*probe, str(folder), "r"], capture_output=True, text=True, check=True).stdout
        assert busy.startswith("refused") and "in use" in busy
    with Workspace.open(folder, read_only=True) as ws:
        assert subprocess.run([*probe, str(folder), "r"], capture_output=True, text=True, check=True).stdout == "5\n"
        with pytest.raises(duckdb.Error):
            ws.connection.execute("DELETE FROM snapshots")


def test_no_workspace_or_no_database(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        Workspace.open(tmp_path / "none")
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "snapshots.duckdb").write_bytes(b"junk" * 5_000)
    with pytest.raises(IntegrityError):
        Workspace.open(tmp_path / "junk")


def test_dates_are_parsed_as_declared_and_never_guessed(ws: Workspace, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text(
        "id,d,m,iso\n1,13/02/2024,01/02/2024,2024-01-02\n2,2024-02-13,13/02/2024,2024-01-02T10:00:00+02:00\n3,nonsense,02/02/2024,01/02/2024\n4,31/02/2024,,2024-13-01\n"
    )
    mapping = parse_mapping(
        'format="steward-mapping/1"\nsystem="files"\ntenant="t"\nenvironment="e"\n[objects.d]\nkey="id"\nfiles=["d.csv"]\nevent="iso"\n'
        'dates={d="%d/%m/%Y|%Y-%m-%d", m="%d/%m/%Y|%m/%d/%Y"}\n'
    )
    taken = ws.take_snapshot(FileSource(tmp_path, mapping), taken_at=NOW)
    rows = ws.connection.execute(f"SELECT d, d__date, m__date, iso__date FROM {ws.typed(taken, 'd')} ORDER BY _id").fetchall()
    at = lambda *a: datetime(*a)  # noqa: E731
    assert rows == [
        ("13/02/2024", at(2024, 2, 13), None, at(2024, 1, 2)),  # 01/02/2024 could be two days
        ("2024-02-13", at(2024, 2, 13), at(2024, 2, 13), at(2024, 1, 2, 8)),
        ("nonsense", None, at(2024, 2, 2), None),  # both readings are the same day
        ("31/02/2024", None, None, None),
    ]


@pytest.mark.parametrize(
    ("mark", "value", "deleted"),
    [
        (SoftDelete(column="x", deleted="1"), "1", True), (SoftDelete(column="x", deleted="1"), "0", False), (SoftDelete(column="x", deleted="1"), "", False),
        (SoftDelete(column="x"), "2024-01-01", True), (SoftDelete(column="x"), "", False), (SoftDelete(column="x", live="0"), "0", False),
        (SoftDelete(column="x", live="0"), "", True),
    ],
)  # fmt: skip
def test_the_mapping_says_what_is_deleted(ws: Workspace, tmp_path: Path, mark: SoftDelete, value: str, deleted: bool) -> None:
    (tmp_path / "d.csv").write_text(f"id,x\n1,{value}\n")
    mapping = parse_mapping(
        'format="steward-mapping/1"\nsystem="s"\ntenant="t"\nenvironment="e"\n[objects.d]\nkey="id"\nfiles=["d.csv"]\n'
    )
    import msgspec

    entry = msgspec.structs.replace(mapping.objects["d"], soft_delete=mark, version="x")
    taken = ws.take_snapshot(FileSource(tmp_path, msgspec.structs.replace(mapping, objects={"d": entry})), taken_at=NOW)
    assert ws.record_digests(taken, "d", ["1"])["1"][1:] == (value or None, deleted)


def test_composite_ids_never_meet(ws: Workspace, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("a,b\n1,2\n1+2,3\n1,2+3\n1\\,+\n1,\\+\n")
    taken = ws.take_snapshot(FileSource(tmp_path / "c.csv", key="a+b"), taken_at=NOW)
    rows = ws.connection.execute(f"SELECT _id, a, b FROM {ws.table(taken, 'c')}").fetchall()
    assert len({r[0] for r in rows}) == 5 and all(r[0] == compose_id(r[1:]) for r in rows)
    (tmp_path / "p.csv").write_text("a+b,c\nx,1\n")
    plus = ws.take_snapshot(FileSource(tmp_path / "p.csv", key="a\\+b"), taken_at=NOW)
    assert list(ws.records(plus, "p", ["x"])) == ["x"]


def test_rows_that_share_an_id_can_be_kept_as_rejects(ws: Workspace, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("id,x\n1,a\n2,b\n1,c\n")
    taken = ws.take_snapshot(FileSource(tmp_path / "d.csv", key="id", duplicate_ids="reject"), taken_at=NOW)
    assert taken.rows == 1 and not taken.complete
    assert [(r.line, r.text) for r in ws.rejects(taken)] == [(2, "1"), (4, "1")]
    (entry,) = ws.files(taken)
    assert (entry.rows_in_file, entry.rows_loaded, entry.rejects) == (3, 1, 2)


def test_files_of_one_object_must_agree_on_columns(ws: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,x\n1,a\n")
    (tmp_path / "b.csv").write_text("x,id\nb,2\n")
    (tmp_path / "c.csv").write_text("id,y\n3,c\n")
    both = ws.take_snapshot(FileSource([tmp_path / "a.csv", tmp_path / "b.csv"], key="id", object="o"), taken_at=NOW)
    assert ws.records(both, "o", ["1", "2"]) == {"1": {"id": "1", "x": "a"}, "2": {"id": "2", "x": "b"}}
    with pytest.raises(SchemaMismatchError, match="other columns"):
        ws.take_snapshot(FileSource([tmp_path / "a.csv", tmp_path / "c.csv"], key="id", object="o"), taken_at=NOW)


def test_a_resolved_reject_makes_the_snapshot_complete(ws: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "r.csv"
    file.write_text("id,x\n1,a\nbroken\n")
    first = ws.take_snapshot(FileSource(file, key="id"), taken_at=NOW)
    assert not first.complete
    file.write_text("id,x\n1,a\n")
    second = ws.take_snapshot(FileSource(file, key="id"), taken_at=NOW)
    assert second.digest == first.digest and second.complete and ws.rejects(second) == []


def test_parquet_gives_the_text_of_typed_values(ws: Workspace, tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"id": [2**62, 48], "d": [date(2024, 1, 2), None], "t": [datetime(2024, 1, 2, 3, 4, 5, 6), None], "n": [Decimal("1.10"), None],
         "f": [0.1, None], "b": [True, None], "l": [[1, 2], None], "s": ["", None]}
    )  # fmt: skip
    frame.write_parquet(tmp_path / "p.parquet")
    taken = ws.take_snapshot(FileSource(tmp_path / "p.parquet", key="id"), taken_at=NOW)
    found = ws.records(taken, "p", [str(2**62), "48"])
    assert found[str(2**62)] == {
        "id": str(2**62), "d": "2024-01-02", "t": "2024-01-02T03:04:05.000006", "n": "1.10", "f": "0.1", "b": "true", "l": "[1,2]", "s": "",
    }  # fmt: skip
    assert set(found["48"].values()) == {"48", None}
    frame.with_columns(pl.col("id").cast(pl.Float64)).write_parquet(tmp_path / "f.parquet")
    with pytest.raises(SchemaMismatchError, match="15 digits"):
        ws.take_snapshot(FileSource(tmp_path / "f.parquet", key="id"), taken_at=NOW)


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "counts"), [
    ("npsp", {"account": 1223, "address": 1424, "campaign": 13, "campaign_member": 1699, "contact": 1024, "contact_role": 3499,
              "opportunity": 1517, "payment": 2443, "record_type": 2, "relationship": 1308}),
    ("northwind", {"customer": 93, "employee": 9, "order": 830, "order_line": 2155, "product": 77, "supplier": 29}),
])  # fmt: skip
def test_whole_crms_load_with_the_mappings_that_ship(ws: Workspace, real_data: Path, name: str, counts: dict[str, int]) -> None:
    source = FileSource(real_data / f"crm_{name}", parse_mapping(example_mapping(name)))
    taken = ws.take_snapshot(source, taken_at=NOW)
    assert {o.name: o.rows for o in taken.objects} == counts
    assert taken.complete and not ws.rejects(taken)


@pytest.mark.real_data
def test_impact_of_a_household(ws: Workspace, real_data: Path) -> None:
    import csv

    taken = ws.take_snapshot(FileSource(real_data / "crm_npsp", parse_mapping(example_mapping("npsp"))), taken_at=NOW)
    with (real_data / "crm_npsp" / "opportunities.csv").open(encoding="utf-8", newline="") as stream:
        deals = [r for r in csv.DictReader(stream) if r["account_id"] == "2"]
    assert deals
    impact = ws.impact(taken, [RecordKey("account", "2"), RecordKey("account", "nobody")])
    (found,) = [c for c in impact[RecordKey("account", "2")].children if (c.object, c.column) == ("opportunity", "account_id")]
    assert found.count == len(deals)
    assert found.amount == sum(Decimal(d["amount"]) for d in deals if d["amount"])
    assert found.latest == max(d["close_date"] for d in deals) + "T00:00:00"
    assert found.open == sum(d["stage_name"] not in ("Closed Won", "Closed Lost") for d in deals)
    assert found.on_delete == "block"
    assert impact[RecordKey("account", "nobody")].count == 0


def test_mapping_survives_its_way_through_the_workspace(ws: Workspace, tmp_path: Path) -> None:
    mapping = parse_mapping(example_mapping("northwind"))
    (tmp_path / "x.csv").write_text("CustomerID,CompanyName,City\nA,b,c\n")
    import msgspec

    small = msgspec.structs.replace(
        mapping, objects={"customer": msgspec.structs.replace(mapping.objects["customer"], files=("x.csv",))}
    )
    taken = ws.take_snapshot(FileSource(tmp_path, small), taken_at=NOW)
    assert ws.mapping(taken) == small
    assert json.loads(json.dumps([o.columns for o in taken.objects])) == [["CustomerID", "CompanyName", "City"]]


def test_two_readers_in_one_program_see_the_same_and_neither_can_reach_outside(ws: Workspace, tmp_path: Path) -> None:
    path = ws.path
    ws.close()
    with Workspace.open(path, read_only=True) as one, Workspace.open(path, read_only=True) as two:
        assert one.snapshots() == two.snapshots()
        for each in (one, two):
            with pytest.raises(duckdb.Error):
                each.connection.sql(f"SELECT * FROM read_text('{tmp_path.parent}/x')").fetchall()
