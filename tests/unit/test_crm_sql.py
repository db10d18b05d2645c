"""The SQL reader on databases as people have them: odd names, odd keys, odd values, broken servers."""

from __future__ import annotations

import sqlite3
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from steward.crm import sql_engine
from steward.crm.mapping import Mapping, parse_mapping
from steward.crm.sql import SqlReader
from steward.errors import DeniedError, MissingExtraError, SchemaMismatchError, StewardError, UnavailableError, UsageError
from steward.records import Absent, Record, canonical_text

HEAD = 'format = "steward-mapping/1"\nsystem = "sql"\ntenant = "t"\nenvironment = "test"\n'
SECRET = "s3cr3t-pass"


def mapping_of(body: str) -> Mapping:
    return parse_mapping(HEAD + body)


def sqlite_with(path: Path, script: str) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    return path


def all_records(reader: SqlReader, name: str, batch: int = 2) -> list[Record]:
    return [record for page in reader.scan(name, batch=batch) for record in page]


# ---------------------------------------------------------------------------------------------- names

ODD_NAMES = [
    "select",
    'quo"te',
    "a b",
    "x;DROP TABLE y",
    "📇 Kunden",
    "客户",
    "group",
    "tab\tle",
    "-- c",
    "100%s",
    ":p",
    "[b]",
    "o'k",
]


@pytest.mark.parametrize("odd", ODD_NAMES)
def test_odd_table_and_column_names_are_quoted(tmp_path: Path, odd: str) -> None:
    quoted = '"' + odd.replace('"', '""') + '"'
    path = sqlite_with(
        tmp_path / "db",
        f"CREATE TABLE {quoted} ({quoted} TEXT PRIMARY KEY, \"order\" TEXT); INSERT INTO {quoted} VALUES ('1', 'a'), ('2', 'b'), ('3', NULL);",
    )
    literal = odd.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    reader = SqlReader(path, mapping_of(f'[objects.thing]\ntable = "{literal}"\nkey = "{literal}"\nlabel = ["order"]\n'))
    records = all_records(reader, "thing")
    assert [r.key.id for r in records] == ["1", "2", "3"]
    assert [r.fields["order"] for r in records] == ["a", "b", None]
    assert isinstance(reader.fetch("thing", ["2"])["2"], Record)
    assert reader.count("thing") == 3
    reader.close()


def test_all_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    path = sqlite_with(tmp_path / "db", "CREATE TABLE a (id TEXT PRIMARY KEY)")
    mapping = mapping_of('[objects.a]\nkey = "nokey"\nversion = "v"\n[objects.b]\nkey = "id"\n')
    with pytest.raises(SchemaMismatchError) as caught:
        SqlReader(path, mapping)
    for word in ("a.nokey", "a.v", "b (table)", "steward connectors map"):
        assert word in str(caught.value)


def test_a_table_that_vanishes_later_is_a_schema_mismatch(tmp_path: Path) -> None:
    path = sqlite_with(tmp_path / "db", "CREATE TABLE a (id TEXT PRIMARY KEY)")
    reader = SqlReader(path, mapping_of('[objects.a]\nkey = "id"\n'))
    sqlite_with(path, "DROP TABLE a")
    with pytest.raises(SchemaMismatchError):
        reader.count("a")


# ---------------------------------------------------------------------------------------------- keys


def test_integer_keys_are_text_and_paged_in_their_own_order(tmp_path: Path) -> None:
    path = sqlite_with(
        tmp_path / "db",
        "CREATE TABLE a (id INTEGER PRIMARY KEY, p INTEGER); INSERT INTO a VALUES (2,1),(10,2),(1,NULL),(9007199254740993,2);",
    )
    reader = SqlReader(path, mapping_of('[objects.a]\nkey = "id"\nparents = { p = "a" }\n'))
    assert [r.key.id for r in all_records(reader, "a", 1)] == ["1", "2", "10", "9007199254740993"]
    found = reader.fetch("a", ["9007199254740993", "02", "9007199254740992", "1.0"])
    assert [type(v) for v in found.values()] == [Record, Absent, Absent, Absent]
    assert [(c.child.id, c.parent.id) for c in reader.children("a", ["2", "1"])] == [
        ("2", "1"),
        ("10", "2"),
        ("9007199254740993", "2"),
    ]
    assert {(c.child.id, c.parent.id) for c in reader.children("a", ["2", "1"])} == {
        ("2", "1"),
        ("10", "2"),
        ("9007199254740993", "2"),
    }


def test_sqlite_keys_of_mixed_storage_classes_are_all_found(tmp_path: Path) -> None:
    path = sqlite_with(
        tmp_path / "db", "CREATE TABLE a (id UNIQUE); INSERT INTO a VALUES (5), ('A12'), ('0049'), (2.5), (x'00ff'), ('7');"
    )
    reader = SqlReader(path, mapping_of('[objects.a]\nkey = "id"\n'))
    ids = [r.key.id for r in all_records(reader, "a", 2)]
    assert ids == ["2.5", "5", "0049", "7", "A12", "\\x00ff"]
    assert all(isinstance(r, Record) for r in reader.fetch("a", ids).values())
    assert isinstance(reader.fetch("a", ["49"])["49"], Absent)


def test_text_in_an_integer_column_is_not_reported_absent(tmp_path: Path) -> None:
    path = sqlite_with(
        tmp_path / "db", "CREATE TABLE a (id INTEGER UNIQUE, n TEXT); INSERT INTO a VALUES ('K-7', 'x'), (8, 'y');"
    )
    reader = SqlReader(path, mapping_of('[objects.a]\nkey = "id"\n'))
    assert {type(v) for v in reader.fetch("a", ["K-7", "8"]).values()} == {Record}


def test_rows_without_a_key_are_refused_not_lost(tmp_path: Path) -> None:
    path = sqlite_with(tmp_path / "db", "CREATE TABLE a (id TEXT); INSERT INTO a VALUES ('1'), (NULL);")
    with pytest.raises(SchemaMismatchError, match="no value in the key"):
        all_records(SqlReader(path, mapping_of('[objects.a]\nkey = "id"\n')), "a")


def test_repeated_keys_are_refused_not_lost(tmp_path: Path) -> None:
    path = sqlite_with(tmp_path / "db", "CREATE TABLE a (id TEXT); INSERT INTO a VALUES ('1'), ('1');")
    with pytest.raises(SchemaMismatchError, match="not unique"):
        all_records(SqlReader(path, mapping_of('[objects.a]\nkey = "id"\n')), "a")


def test_a_partial_unique_index_is_no_proof_of_uniqueness(tmp_path: Path) -> None:
    path = sqlite_with(
        tmp_path / "db",
        "CREATE TABLE a (id TEXT, d INT); CREATE UNIQUE INDEX u ON a (id) WHERE d = 0; INSERT INTO a VALUES ('1', 1), ('1', 1);",
    )
    with pytest.raises(SchemaMismatchError, match="not unique"):
        all_records(SqlReader(path, mapping_of('[objects.a]\nkey = "id"\n')), "a")


# ---------------------------------------------------------------------------------------------- soft delete

MARKS = [
    ("INTEGER", "0, 1, NULL", 'column = "d", deleted = "1", live = "0"', [False, True, False]),
    ("TEXT", "NULL, '2026-01-01', ''", 'column = "d"', [False, True, True]),
    ("TEXT", "'0000-00-00', '2026-01-01', NULL", 'column = "d", live = "0000-00-00"', [False, True, False]),
    ("TEXT", "'active', 'trash', 'other'", 'column = "d", deleted = "trash", live = "active"', [False, True, False]),
]


@pytest.mark.parametrize(("kind", "values", "mark", "wanted"), MARKS)
def test_soft_delete_marks(tmp_path: Path, kind: str, values: str, mark: str, wanted: list[bool]) -> None:
    rows = ", ".join(f"('{n}', {v.strip()})" for n, v in enumerate(values.split(",")))
    path = sqlite_with(tmp_path / "db", f"CREATE TABLE a (id TEXT PRIMARY KEY, d {kind}); INSERT INTO a VALUES {rows};")
    reader = SqlReader(path, mapping_of(f'[objects.a]\nkey = "id"\nsoft_delete = {{ {mark} }}\n'))
    assert [r.deleted for r in all_records(reader, "a")] == wanted
    assert reader.count("a") == wanted.count(False)
    assert reader.capabilities.recycle_bin


# ---------------------------------------------------------------------------------------------- values


def test_sqlite_values_come_as_stored(tmp_path: Path) -> None:
    path = sqlite_with(
        tmp_path / "db",
        """CREATE TABLE a (id TEXT PRIMARY KEY, d DATE, t TIMESTAMP, m DECIMAL(10,2), b BOOLEAN, x BLOB, e TEXT);
        INSERT INTO a VALUES ('1', '31.12.2019', '2026-02-30 25:61', '12.50', 1, x'00ff', ''), ('2', NULL, 1700000000, 'n/a', 'yes', NULL, NULL);""",
    )
    one, two = all_records(SqlReader(path, mapping_of('[objects.a]\nkey = "id"\n')), "a")
    assert one.fields == {"id": "1", "d": "31.12.2019", "t": "2026-02-30 25:61", "m": 12.5, "b": 1, "x": b"\x00\xff", "e": ""}
    assert two.fields == {"id": "2", "d": None, "t": 1700000000, "m": "n/a", "b": "yes", "x": None, "e": None}


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = sqlite_with(
        tmp_path / "db", "CREATE TABLE a (id TEXT PRIMARY KEY, n TEXT); INSERT INTO a VALUES ('1', CAST(x'fffe' AS TEXT));"
    )
    with pytest.raises(SchemaMismatchError, match="cannot be read"):
        all_records(SqlReader(path, mapping_of('[objects.a]\nkey = "id"\n')), "a")


@pytest.mark.postgres
def test_postgres_values_come_typed_and_whole(postgres_database: str) -> None:
    engine = create_engine(postgres_database)
    with engine.begin() as connection:
        connection.execute(text("CREATE TYPE mood AS ENUM ('sad', 'ok')"))
        connection.execute(
            text(
                """CREATE TABLE a (id uuid PRIMARY KEY, d date, t timestamptz, n numeric(30,10), i bigint, f float8, b boolean, x bytea,
                j jsonb, r text[], p interval, m mood, ip inet, big numeric(20,0))"""
            )
        )
        connection.execute(
            text(
                """INSERT INTO a VALUES ('00000000-0000-0000-0000-00000000000a', '2026-02-28', '2026-03-29 02:30:00+01', 0.1000000000,
                9007199254740993, 0.1, true, '\\x00ff', '{"b": 1, "a": [null]}', '{x,NULL}', '1 day 2 seconds', 'ok', '10.0.0.1/8',
                12345678901234567890)"""
            )
        )
    engine.dispose()
    reader = SqlReader(postgres_database, mapping_of('[objects.a]\nkey = "id"\n'))
    (record,) = all_records(reader, "a")
    key = uuid.UUID("00000000-0000-0000-0000-00000000000a")
    expected: dict[str, Any] = {
        "id": key, "d": date(2026, 2, 28), "t": datetime(2026, 3, 29, 1, 30, tzinfo=UTC), "n": Decimal("0.1000000000"),
        "i": 9007199254740993, "f": 0.1, "b": True, "x": b"\x00\xff", "j": {"a": [None], "b": 1}, "r": ["x", None],
        "p": timedelta(days=1, seconds=2), "m": "ok", "ip": "10.0.0.1/8", "big": Decimal("12345678901234567890"),
    }  # fmt: skip
    assert record.fields == expected
    assert canonical_text(record.fields["t"]) == "2026-03-29T01:30:00Z"
    assert isinstance(reader.fetch("a", [str(key)])[str(key)], Record)
    assert isinstance(reader.fetch("a", [str(key).upper()])[str(key).upper()], Absent)
    reader.close()


@pytest.mark.postgres
@pytest.mark.parametrize("kind", ["bigint", "numeric(20,0)", "text", "varchar(20)", "char(5)"])
def test_postgres_key_types(postgres_database: str, kind: str) -> None:
    engine = create_engine(postgres_database)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TABLE a (id {kind} PRIMARY KEY)"))
        connection.execute(text("INSERT INTO a SELECT n FROM generate_series(10001, 10050) n"))
    engine.dispose()
    with SqlReader(postgres_database, mapping_of('[objects.a]\nkey = "id"\n')) as reader:
        ids = [r.key.id for r in all_records(reader, "a", 7)]
        assert ids == [str(n) for n in range(10001, 10051)]
        assert all(isinstance(r, Record) for r in reader.fetch("a", ids).values())
        assert isinstance(reader.fetch("a", ["nobody"])["nobody"], Absent)


@pytest.mark.postgres
def test_postgres_boolean_soft_delete_and_schema_qualified_table(postgres_database: str) -> None:
    engine = create_engine(postgres_database)
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA crm"))
        connection.execute(text("CREATE TABLE crm.people (id int PRIMARY KEY, gone boolean)"))
        connection.execute(text("INSERT INTO crm.people VALUES (1, true), (2, false), (3, NULL)"))
    engine.dispose()
    body = '[objects.person]\ntable = "crm.people"\nkey = "id"\nsoft_delete = { column = "gone", deleted = "1", live = "0" }\n'
    with SqlReader(postgres_database, mapping_of(body)) as reader:
        assert [(r.key.id, r.deleted) for r in all_records(reader, "person")] == [("1", True), ("2", False), ("3", False)]
        assert reader.count("person") == 2


@pytest.mark.postgres
def test_a_date_beyond_the_calendar_is_refused_not_changed(postgres_database: str) -> None:
    engine = create_engine(postgres_database)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE a (id int PRIMARY KEY, d date)"))
        connection.execute(text("INSERT INTO a VALUES (1, 'infinity')"))
    engine.dispose()
    with SqlReader(postgres_database, mapping_of('[objects.a]\nkey = "id"\n')) as reader, pytest.raises(SchemaMismatchError):
        all_records(reader, "a")


# ---------------------------------------------------------------------------------------------- nothing is written


def test_sqlite_connection_refuses_writes(tmp_path: Path) -> None:
    path = sqlite_with(tmp_path / "db", "CREATE TABLE a (id TEXT PRIMARY KEY)")
    reader = SqlReader(path, mapping_of('[objects.a]\nkey = "id"\n'))
    with pytest.raises(DeniedError), reader.look() as connection:
        connection.exec_driver_sql("INSERT INTO a VALUES ('1')")
    with pytest.raises(DeniedError), reader.look() as connection:  # not even after switching the pragma off
        connection.exec_driver_sql("PRAGMA query_only=OFF")
        connection.exec_driver_sql("INSERT INTO a VALUES ('1')")
    assert reader.count("a") == 0


@pytest.mark.postgres
def test_postgres_connection_refuses_writes(postgres_database: str) -> None:
    engine = create_engine(postgres_database)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE a (id int PRIMARY KEY)"))
    engine.dispose()
    with SqlReader(postgres_database, mapping_of('[objects.a]\nkey = "id"\n')) as reader:
        with pytest.raises(DeniedError), reader.look() as looking:
            looking.exec_driver_sql("INSERT INTO a VALUES (1)")
        assert reader.count("a") == 0


# ---------------------------------------------------------------------------------------------- refusals

BROKEN = [
    ("://", UsageError), ("mysql://root@h/d", UsageError), ("postgresql+nosuch://u:{s}@h/d", UsageError), ("sqlite://", UsageError),
    ("postgresql+psycopg://u:{s}@127.0.0.1:1/d", UnavailableError), ("postgresql://u:{s}@127.0.0.1:1/d?sslpassword={s}", UnavailableError),
    ("postgresql+psycopg://u:{s}@host.invalid/d", UnavailableError), ("no-such-file.sqlite", UnavailableError),
    ("sqlite:///no/such/file", UnavailableError), ("postgresql+psycopg2://u:{s}@h/d", MissingExtraError), ("oracle://u:{s}@h/d", UsageError),
]  # fmt: skip


@pytest.mark.parametrize(("url", "kind"), BROKEN)
def test_a_broken_address_is_one_clear_refusal_without_the_secret(url: str, kind: type[StewardError]) -> None:
    with pytest.raises(kind) as caught:
        SqlReader(url.replace("{s}", SECRET), mapping_of('[objects.a]\nkey = "id"\n'))
    shown = f"{caught.value} {caught.value!r} {caught.value.facts}"
    assert SECRET not in shown and "Traceback" not in shown
    assert caught.value.__cause__ is None
    assert caught.value.next_step or kind is UsageError


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "crm.sqlite"
    path.write_bytes(b"PK\x03\x04 this is a spreadsheet" * 100)
    with pytest.raises(UnavailableError, match="not a SQLite database"):
        SqlReader(path, mapping_of('[objects.a]\nkey = "id"\n'))


def test_a_locked_database_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_engine, "LOCK_SECONDS", 0.05)
    path = sqlite_with(tmp_path / "db", "CREATE TABLE a (id TEXT PRIMARY KEY)")
    reader = SqlReader(path, mapping_of('[objects.a]\nkey = "id"\n'))
    other = sqlite3.connect(path)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(UnavailableError, match="locked"):
        reader.count("a")
    other.rollback()
    other.close()
    assert reader.count("a") == 0


def test_a_finished_snapshot_no_longer_holds_up_writers(tmp_path: Path) -> None:
    path = sqlite_with(tmp_path / "db", "CREATE TABLE a (id TEXT PRIMARY KEY)")
    reader = SqlReader(path, mapping_of('[objects.a]\nkey = "id"\n'))
    all_records(reader, "a")
    other = sqlite3.connect(path, timeout=0.05)
    with other:
        other.execute("INSERT INTO a VALUES ('1')")
    other.close()
    assert reader.count("a") == 1


@pytest.mark.postgres
def test_a_lost_database_and_a_refused_user(postgres_database: str) -> None:
    with pytest.raises(UnavailableError, match="no such database"):
        SqlReader(postgres_database + "_gone", mapping_of('[objects.a]\nkey = "id"\n'))
    with pytest.raises(DeniedError):
        SqlReader(postgres_database.replace("steward@", f"stranger:{SECRET}@"), mapping_of('[objects.a]\nkey = "id"\n'))


@pytest.mark.postgres
def test_a_connection_cut_in_the_middle_of_a_scan_is_not_the_end_of_the_data(postgres_database: str) -> None:
    engine = create_engine(postgres_database)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE a (id int PRIMARY KEY)"))
        connection.execute(text("INSERT INTO a SELECT generate_series(1, 100)"))
    reader = SqlReader(postgres_database, mapping_of('[objects.a]\nkey = "id"\n'))
    pages = reader.scan("a", batch=10)
    next(pages)
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'steward'"))
    with pytest.raises(UnavailableError):
        list(pages)
    assert reader.count("a") == 100
    reader.close()
    engine.dispose()


@pytest.mark.postgres
def test_missing_rights_are_said(postgres_database: str) -> None:
    engine = create_engine(postgres_database)
    role = "r" + uuid.uuid4().hex[:8]
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE a (id int PRIMARY KEY)"))
        connection.execute(text(f"CREATE ROLE {role} LOGIN"))
    engine.dispose()
    reader = SqlReader(postgres_database.replace("steward@", f"{role}@"), mapping_of('[objects.a]\nkey = "id"\n'))
    with pytest.raises(DeniedError, match="SELECT"):
        reader.count("a")
    reader.close()


# ---------------------------------------------------------------------------------------------- found by thinking twice


def test_one_id_as_number_and_as_text_is_refused(tmp_path: Path) -> None:
    path = sqlite_with(tmp_path / "db", "CREATE TABLE a (id UNIQUE); INSERT INTO a VALUES (5), ('5');")
    with pytest.raises(SchemaMismatchError, match="in two forms"):
        all_records(SqlReader(path, mapping_of('[objects.a]\nkey = "id"\n')), "a")


def test_a_child_that_writes_its_parent_in_other_case_is_seen(tmp_path: Path) -> None:
    path = sqlite_with(
        tmp_path / "db",
        """CREATE TABLE p (id TEXT COLLATE NOCASE PRIMARY KEY); CREATE TABLE c (id TEXT PRIMARY KEY, p_id TEXT COLLATE NOCASE REFERENCES p (id));
        INSERT INTO p VALUES ('Abc'); INSERT INTO c VALUES ('1', 'ABC');""",
    )
    reader = SqlReader(path, mapping_of('[objects.p]\nkey = "id"\n[objects.c]\nkey = "id"\nparents = { p_id = "p" }\n'))
    (link,) = reader.children("p", ["Abc"])
    assert (link.parent.id, link.child.id) == ("Abc", "1")


def test_an_engine_of_the_caller_still_gives_one_moment(tmp_path: Path) -> None:
    path = sqlite_with(
        tmp_path / "db", "PRAGMA journal_mode=WAL; CREATE TABLE a (id TEXT PRIMARY KEY); INSERT INTO a VALUES ('1'), ('2');"
    )
    engine = create_engine(f"sqlite:///{path}")
    reader = SqlReader(engine, mapping_of('[objects.a]\nkey = "id"\n'))
    pages = reader.scan("a", batch=1)
    assert [r.key.id for r in next(pages)] == ["1"]
    with sqlite3.connect(path) as other:
        other.execute("INSERT INTO a VALUES ('3')")
    assert [r.key.id for page in pages for r in page] == ["2"]
    assert reader.count("a") == 3
    reader.close()
    engine.dispose()


def test_a_view_can_be_read(tmp_path: Path) -> None:
    path = sqlite_with(
        tmp_path / "db",
        "CREATE TABLE l (o INT, p INT, PRIMARY KEY (o, p)); INSERT INTO l VALUES (1, 1), (1, 2); CREATE VIEW lines AS SELECT o || '-' || p AS id, o FROM l;",
    )
    reader = SqlReader(path, mapping_of('[objects.line]\ntable = "lines"\nkey = "id"\n'))
    assert [r.key.id for r in all_records(reader, "line", 1)] == ["1-1", "1-2"]


def test_a_key_of_several_columns_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = sqlite_with(tmp_path / "db", "CREATE TABLE l (o INT, p INT, PRIMARY KEY (o, p))")
    with pytest.raises(SchemaMismatchError, match="Make a view"):
        SqlReader(path, mapping_of('[objects.l]\nkey = "o+p"\n'))


def test_nothing_in_the_reader_writes() -> None:
    """The room has no word that could change a CRM."""
    folder = Path(sql_engine.__file__).parent
    for name in ("sql.py", "sql_shape.py", "sql_check.py", "propose.py", "base.py", "mapping.py", "registry.py"):
        source = (folder / name).read_text(encoding="utf-8")
        for word in ("insert(", "update(", "delete(", "INSERT INTO", "DELETE FROM", ".commit("):
            assert word not in source.replace("_soft_delete(", "").replace("_on_delete(", ""), (name, word)
