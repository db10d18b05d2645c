"""Any table SQLite can hold is read whole, in any page size, and each id leads back to its record."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from steward.crm.mapping import parse_mapping
from steward.crm.sql import SqlReader
from steward.records import Record, canonical_text

MAPPING = parse_mapping(
    'format = "steward-mapping/1"\nsystem = "sql"\ntenant = "t"\nenvironment = "test"\n[objects.a]\nkey = "id"\nparents = { p = "a" }\n'
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
integers = st.integers(-(2**63), 2**63 - 1)
values = st.none() | texts | integers | st.floats(allow_nan=False) | st.binary(max_size=8)
keys = texts | integers | st.floats(allow_nan=False, allow_infinity=False) | st.binary(max_size=8)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(keys, st.tuples(values, keys | st.none()), max_size=20),
    st.sampled_from(["", "TEXT", "INTEGER", "NUMERIC", "BLOB"]),
    st.integers(1, 7),
)
@example({"": (None, ""), "\r": (None, None)}, "", 1)  # the empty text is an id like any other
def test_sqlite_is_read_whole(rows: dict[object, tuple[object, object]], kind: str, batch: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "db"
        connection = sqlite3.connect(path)
        connection.execute(f"CREATE TABLE a (id {kind} UNIQUE NOT NULL, v, p {kind})")
        for key, (value, parent) in rows.items():
            connection.execute("INSERT OR IGNORE INTO a VALUES (?, ?, ?)", (key, value, parent))
        connection.commit()
        stored = connection.execute("SELECT id, v, p FROM a").fetchall()
        connection.close()
        ids = [canonical_text(row[0]) for row in stored]
        if len(set(ids)) < len(ids):  # 5 and '5': refused, tested elsewhere
            return
        reader = SqlReader(path, MAPPING)
        found = {r.key.id: r for page in reader.scan("a", batch=batch) for r in page}
        assert {k: (r.fields["v"], r.fields["p"]) for k, r in found.items()} == {
            canonical_text(k): (v, p) for k, v, p in stored
        }
        fetched = reader.fetch("a", list(found))
        assert {k: r.digest if isinstance(r, Record) else None for k, r in fetched.items()} == {
            k: r.digest for k, r in found.items()
        }
        links = {(link.child.id, link.parent.id) for link in reader.children("a", list(found))}
        assert links == {(canonical_text(k), canonical_text(p)) for k, _, p in stored if canonical_text(p) in found}
        reader.close()


@pytest.mark.postgres
def test_postgres_text_keys_of_any_script_are_read_whole(postgres_database: str) -> None:
    engine = create_engine(postgres_database)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE a (id text PRIMARY KEY, p text)"))
        connection.execute(
            text(
                "INSERT INTO a SELECT DISTINCT chr(33 + n * 37 % 60000) || n % 7, NULL FROM generate_series(1, 1200) n WHERE 33 + n * 37 % 60000 NOT BETWEEN 55296 AND 57343"
            )
        )
    with engine.connect() as connection:
        stored = {r[0] for r in connection.execute(text("SELECT id FROM a"))}
    engine.dispose()
    with SqlReader(postgres_database, MAPPING) as reader:
        found = [r.key.id for page in reader.scan("a", batch=101) for r in page]
        assert len(found) == len(stored) and set(found) == stored
        assert all(isinstance(r, Record) for r in reader.fetch("a", found).values())
