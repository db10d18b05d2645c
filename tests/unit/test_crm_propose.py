"""Proposed mappings: from constraints first, by name in three languages, always a file that can be read as it is."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from steward.crm.mapping import Mapping, parse_mapping
from steward.crm.propose import propose_mapping
from steward.crm.sql import SqlReader
from steward.crm.sql_engine import open_engine
from steward.errors import SchemaMismatchError
from steward.sandbox import build_crm, demo_mapping


def proposed(path: Path | str) -> tuple[Mapping, str]:
    engine, _ = open_engine(path)
    toml = propose_mapping(engine).to_toml(tenant="t", environment="test")
    engine.dispose()
    mapping = parse_mapping(toml)
    SqlReader(path, mapping).close()  # every proposed word is really there
    return mapping, toml


def sqlite_with(path: Path, script: str) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    return path


def test_the_generated_crm_is_recognised_whole(tmp_path: Path) -> None:
    build_crm(tmp_path / "crm.sqlite", customers=50)
    found, _ = proposed(tmp_path / "crm.sqlite")
    known = parse_mapping(demo_mapping())
    assert found.objects.keys() == known.objects.keys()
    for name, entry in known.objects.items():
        other = found.objects[name]
        assert (other.key, other.role, other.parents, other.on_delete) == (
            entry.key,
            entry.role,
            entry.parents,
            entry.on_delete,
        )
        assert (other.created, other.modified, other.version, other.amount) == (
            entry.created,
            entry.modified,
            entry.version,
            entry.amount,
        )
        assert other.soft_delete == entry.soft_delete


@pytest.mark.postgres
def test_the_same_on_postgres(postgres_database: str, tmp_path: Path) -> None:
    build_crm(postgres_database, customers=50)
    build_crm(tmp_path / "crm.sqlite", customers=50)
    assert proposed(postgres_database)[0].objects == proposed(tmp_path / "crm.sqlite")[0].objects


def test_german_names(tmp_path: Path) -> None:
    path = sqlite_with(
        tmp_path / "db",
        """CREATE TABLE Kunden (id INTEGER PRIMARY KEY, bezeichnung TEXT, angelegt_am TEXT, geändert_am TEXT, gelöscht INTEGER, betreuer_id INT);
        CREATE TABLE Ansprechpartner (id INTEGER PRIMARY KEY, kunde INTEGER REFERENCES Kunden (id) ON DELETE CASCADE, vorname TEXT, nachname TEXT);
        CREATE TABLE Rechnungen (id INTEGER PRIMARY KEY, kunde INTEGER REFERENCES Kunden (id), betrag NUMERIC, rechnungsdatum TEXT, status TEXT);
        INSERT INTO Rechnungen VALUES (1, NULL, 10, '01.02.2025', 'bezahlt'), (2, NULL, 10, '01.02.2025', 'offen');""",
    )
    found, toml = proposed(path)
    assert {n: o.role for n, o in found.objects.items()} == {
        "kunden": "company",
        "ansprechpartner": "person",
        "rechnungen": "invoice",
    }
    assert found.objects["ansprechpartner"].on_delete == {"kunde": "cascade"}
    assert found.objects["ansprechpartner"].label == ("vorname", "nachname")
    kunden = found.objects["kunden"]
    assert (kunden.table, kunden.created, kunden.modified, kunden.owner) == (
        "Kunden",
        "angelegt_am",
        "geändert_am",
        "betreuer_id",
    )
    assert kunden.soft_delete is not None and kunden.soft_delete.column == "gelöscht"
    assert (found.objects["rechnungen"].event, found.objects["rechnungen"].amount) == ("rechnungsdatum", "betrag")
    assert '# open_when = { column = "status", not_in = ["bezahlt", "offen"] }' in toml
    assert found.objects["rechnungen"].open_when is None  # a person says what is closed; until then all protects


def test_chinese_names(tmp_path: Path) -> None:
    path = sqlite_with(
        tmp_path / "db",
        """CREATE TABLE 客户 (id TEXT PRIMARY KEY, 名称 TEXT, 创建时间 TEXT, 更新时间 TEXT, 已删除 INT, 负责人 TEXT);
        CREATE TABLE 联系人 (id TEXT PRIMARY KEY, 客户_id TEXT, 姓名 TEXT); CREATE TABLE 发票 (id TEXT PRIMARY KEY, 金额 TEXT, 开票日期 TEXT);""",
    )
    found, _ = proposed(path)
    assert {n: (o.table, o.role) for n, o in found.objects.items()} == {
        "company": ("客户", "company"), "person": ("联系人", "person"), "invoice": ("发票", "invoice"),
    }  # fmt: skip
    assert found.objects["person"].parents == {"客户_id": "company"}
    assert (found.objects["company"].created, found.objects["company"].owner) == ("创建时间", "负责人")
    assert (found.objects["invoice"].amount, found.objects["invoice"].event) == ("金额", "开票日期")


def test_parents_are_guessed_by_name_only_where_none_are_declared(tmp_path: Path) -> None:
    path = sqlite_with(
        tmp_path / "db",
        """CREATE TABLE Account (Id TEXT, Name TEXT, IsDeleted INT, SystemModstamp TEXT);
        CREATE TABLE Contact (Id TEXT, AccountId TEXT, LastName TEXT); CREATE TABLE Opportunity (Id TEXT, AccountId TEXT, StageName TEXT);""",
    )
    found, toml = proposed(path)
    assert found.objects["contact"].parents == {"AccountId": "account"} and found.objects["opportunity"].role == "deal"
    assert "# guessed by name: parent AccountId" in toml
    assert found.objects["account"].version == "SystemModstamp"


def test_tables_without_a_single_key_are_left_out_and_said(tmp_path: Path) -> None:
    path = sqlite_with(
        tmp_path / "db",
        "CREATE TABLE a (id TEXT PRIMARY KEY); CREATE TABLE ab (x TEXT, y TEXT, PRIMARY KEY (x, y)); CREATE TABLE log (t TEXT);",
    )
    found, toml = proposed(path)
    assert set(found.objects) == {"a"}
    assert "# left out: ab" in toml and "# left out: log" in toml


def test_hostile_names_cannot_write_the_file(tmp_path: Path) -> None:
    evil = 'x"]\nkey = "stolen'
    path = sqlite_with(tmp_path / "db", 'CREATE TABLE "x""]\nkey = ""stolen" ("i""d\t" TEXT PRIMARY KEY, "status" TEXT)')
    found, _ = proposed(path)
    (entry,) = found.objects.values()
    assert entry.table == evil and entry.key == 'i"d\t'


def test_two_tables_with_one_slug_get_two_names(tmp_path: Path) -> None:
    path = sqlite_with(
        tmp_path / "db",
        'CREATE TABLE "a b" (id TEXT PRIMARY KEY); CREATE TABLE "a-b" (id TEXT PRIMARY KEY); CREATE TABLE "1" (id TEXT PRIMARY KEY);',
    )
    found, _ = proposed(path)
    assert set(found.objects) == {"a_b", "a_b_2", "table_1"}


def test_an_empty_database_is_refused(tmp_path: Path) -> None:
    path = sqlite_with(tmp_path / "db", "CREATE TABLE log (t TEXT)")
    engine, _ = open_engine(path)
    with pytest.raises(SchemaMismatchError, match="no table with a key"):
        propose_mapping(engine)


@pytest.mark.postgres
def test_a_boolean_mark_is_proposed_as_boolean(postgres_database: str) -> None:
    engine = create_engine(postgres_database)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE account (id int PRIMARY KEY, is_deleted boolean)"))
        connection.execute(text("INSERT INTO account VALUES (1, true), (2, false)"))
    engine.dispose()
    found, _ = proposed(postgres_database)
    mark = found.objects["account"].soft_delete
    assert mark is not None and (mark.deleted, mark.live) == ("true", "false")
    with SqlReader(postgres_database, found) as reader:
        assert reader.count("account") == 1
