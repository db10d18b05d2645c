"""Export files of every vendor, in every language, encoding and kind of file, from the file to scored duplicates."""

from __future__ import annotations

import csv
import gzip
import json
import zipfile
from pathlib import Path

import openpyxl
import pytest

from steward.cli import main
from steward.commands.propose import _propose
from steward.crm.mapping import parse_mapping
from steward.errors import UsageError
from steward.executor.connectors import WRITERS
from steward.store import Workspace
from steward.workbench import Workbench
from tests.support.exports import accounts, contacts, people, write_csv, write_xlsx

VENDORS = [(vendor, language) for vendor in ("copper", "fxiaoke", "jiandaoyun", "zoho") for language in ("en", "zh")]
COMPANY = {"copper": "company", "jiandaoyun": "customer"}
WAYS = [
    ("utf-8", ","),
    ("utf-8-sig", ","),
    ("utf-16", "\t"),
    ("utf-8", ";"),
    ("gb18030", ","),
    ("gb18030", ";"),
    ("utf-8-sig", "\t"),
]


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0, capsys.readouterr().err
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize(("vendor", "language"), VENDORS)
def test_from_the_file_to_scored_duplicates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], vendor: str, language: str
) -> None:
    """Every encoding and kind of file gives one and the same snapshot, and its duplicates are the ones put in."""
    own, theirs = contacts(vendor, language), accounts(vendor, language)
    digests = set()
    for n, (encoding, delimiter) in enumerate(WAYS):
        folder = tmp_path / str(n)
        folder.mkdir()
        write_csv(folder / "1.csv", own, encoding=encoding, delimiter=delimiter)
        write_csv(folder / "2.csv", theirs, encoding=encoding, delimiter=delimiter)
        taken = _run(capsys, "snapshot", str(folder), "--workspace", str(tmp_path / "w"))
        digests.add(taken["digest"])
        recognised = taken["recognised"]
        assert isinstance(recognised, dict) and recognised["vendor"] == vendor
        assert [o["name"] for o in recognised["objects"]] == ["contact", COMPANY.get(vendor, "account")]
        assert {o["language"] for o in recognised["objects"]} == {"en" if vendor == "copper" else language}
        assert taken["system"] == "files" and taken["complete"] is True
    assert len(digests) == 1
    with Workspace.open(tmp_path / "w", read_only=True) as ws:
        snapshot = ws.snapshot()
        key = ws.mapping(snapshot).objects["contact"].key
        ids = own.column(key)
        assert set(ws.records(snapshot, "contact", ids)) == set(ids)
        assert all(dict(ws.records(snapshot, "contact", ids)[i])[key] == i for i in ids)
        void = {i for i, (_, _, deleted) in ws.record_digests(snapshot, "contact", ids).items() if deleted}
    gone = {ids[p.number] for p in people(language, 40) if vendor == "fxiaoke" and p.number % 10 == 9}
    assert void == gone
    assert main(["score", "--only", "duplicate", "--object", "contact", "--workspace", str(tmp_path / "w"), "--quiet"]) == 0
    out = tmp_path / "clusters.csv"
    assert (
        main(["export", "clusters", "--object", "contact", "--to", str(out), "--workspace", str(tmp_path / "w"), "--quiet"])
        == 0
    )
    clusters: dict[str, set[str]] = {}
    with out.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            clusters.setdefault(row["cluster_id"], set()).add(row["record_id"])
    found = {frozenset(c) for c in clusters.values() if len(c) > 1}
    wanted = {frozenset((ids[p.number], ids[p.twin])) for p in people(language, 40) if p.twin is not None}
    assert found == {pair for pair in wanted if not pair & gone}


@pytest.mark.parametrize(
    ("vendor", "language"), [("fxiaoke", "zh"), ("jiandaoyun", "zh"), ("fxiaoke", "en"), ("jiandaoyun", "en")]
)
def test_workbooks(tmp_path: Path, capsys: pytest.CaptureFixture[str], vendor: str, language: str) -> None:
    own = contacts(vendor, language)
    one = write_xlsx(tmp_path / "导出.xlsx", own)
    other = write_csv(tmp_path / "导出.csv", own, encoding="gb18030")
    taken = _run(capsys, "snapshot", str(one), "--workspace", str(tmp_path / "w"))
    again = _run(capsys, "snapshot", str(other), "--workspace", str(tmp_path / "w2"))
    assert taken["rows"] == again["rows"] == 40
    with Workspace.open(tmp_path / "w", read_only=True) as ws, Workspace.open(tmp_path / "w2", read_only=True) as ws2:
        key = ws.mapping(ws.snapshot()).objects["contact"].key
        # a workbook does not tell an empty cell from the empty text; nothing else may differ
        mine, theirs = (w.records(w.snapshot(), "contact", own.column(key)) for w in (ws, ws2))
        assert {k: {c: v or None for c, v in r.items()} for k, r in mine.items()} == {
            k: {c: v or None for c, v in r.items()} for k, r in theirs.items()
        }


def test_a_chinese_header_settles_an_encoding_that_the_values_leave_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = "唯一性ID,客户名称,负责人,生命状态\n64a1b2c3d4e5f60700000001,Acme,Kim,正常\n"
    (tmp_path / "a.csv").write_bytes(table.encode("gb18030"))
    taken = _run(capsys, "snapshot", str(tmp_path / "a.csv"), "--workspace", str(tmp_path / "w"))
    assert [f["encoding"] for f in taken["files"]] == ["gb18030"]  # type: ignore[attr-defined]  # JSON


def test_archives_and_packed_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own, theirs = contacts("zoho", "en"), accounts("zoho", "en")
    write_csv(tmp_path / "Contacts_001.csv", own)
    write_csv(tmp_path / "Accounts_001.csv", theirs)
    plain = _run(
        capsys,
        "snapshot",
        str(tmp_path / "Contacts_001.csv"),
        str(tmp_path / "Accounts_001.csv"),
        "--workspace",
        str(tmp_path / "w"),
    )
    with zipfile.ZipFile(tmp_path / "backup.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "Contacts_001.csv", "Data/Contacts_001.csv")
        archive.write(tmp_path / "Accounts_001.csv", "Data/Accounts_001.csv")
        archive.writestr("Data/Price.csv", "a,b\n1,2\n")
        archive.writestr("Attachments/photo.png", b"\x89PNG")
    packed = _run(capsys, "snapshot", str(tmp_path / "backup.zip"), "--workspace", str(tmp_path / "w"))
    assert packed["digest"] == plain["digest"] and packed["known"] is True
    assert [f["file"] for f in packed["recognised"]["left_out"]] == [
        "backup.zip/Data/Price.csv",
        "backup.zip/Attachments/photo.png",
    ]  # type: ignore[index]  # JSON
    assert not list((tmp_path / "w").glob("tmp/*"))
    (tmp_path / "Contacts_001.csv.gz").write_bytes(gzip.compress((tmp_path / "Contacts_001.csv").read_bytes()))
    taken = _run(capsys, "snapshot", str(tmp_path / "Contacts_001.csv.gz"), "--workspace", str(tmp_path / "w3"))
    assert taken["rows"] == 40


def test_parts_of_one_module_are_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = contacts("zoho", "en")
    for n in (1, 2):
        write_csv(tmp_path / f"Contacts_00{n}.csv", type(table)(table.header, table.rows[(n - 1) * 20 : n * 20]))
    taken = _run(capsys, "snapshot", str(tmp_path), "--workspace", str(tmp_path / "w"))
    assert [(o["name"], o["rows"]) for o in taken["objects"]] == [("contact", 40)]  # type: ignore[attr-defined]  # JSON


def test_what_was_recognised_is_shown_with_reasons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_csv(tmp_path / "联系人.csv", contacts("fxiaoke", "zh"), encoding="gb18030")
    assert main(["snapshot", str(tmp_path / "联系人.csv"), "--workspace", str(tmp_path / "w")]) == 0
    shown = capsys.readouterr().out
    for words in (
        "Export files of Fxiaoke, told by their headers", "nothing is written back", "姓名（必填）, 负责人（必填）, 生命状态",
        "生命状态 = 作废", "客户名称 names the account but holds no id", "Taken for true: Records whose life status", "Chinese",
    ):  # fmt: skip
        assert words in shown
    assert "steward score" in shown


@pytest.mark.parametrize("words", [["two.csv", "--vendor", "fxiaoke"], ["two.csv", "--vendor", "jiandaoyun"]])
def test_a_person_settles_what_fits_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("two.csv").write_text(
        "唯一性ID,数据ID,客户名称,负责人,生命状态,提交人,提交时间\n64a1b2c3d4e5f60700000001,64a1b2c3d4e5f60700000002,a,b,正常,c,2024-01-01\n"
    )
    assert main(["snapshot", "two.csv", "--workspace", "w"]) == 2
    refused = capsys.readouterr().err
    assert "could be an export of Fxiaoke" in refused and "--vendor fxiaoke" in refused and not Path("w").exists()
    taken = _run(capsys, "snapshot", *words, "--workspace", "w")
    assert taken["recognised"]["vendor"] == words[-1]  # type: ignore[index]  # JSON


def test_a_person_names_the_id(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.csv").write_text("客户编号,客户名称,负责人,生命状态\nC1,a,b,正常\nC2,b,b,作废\n")
    assert main(["snapshot", "c.csv", "--workspace", "w"]) == 3
    assert "holds no ids" in capsys.readouterr().err
    assert main(["snapshot", "c.csv", "--vendor", "fxiaoke", "--id", "编号", "--workspace", "w"]) == 3
    assert "no column 编号" in capsys.readouterr().err
    taken = _run(capsys, "snapshot", "c.csv", "--vendor", "fxiaoke", "--id", "客户编号", "--workspace", "w")
    assert taken["rows"] == 2 and "do not look like ids of Fxiaoke" in taken["recognised"]["remarks"][0]  # type: ignore[index]  # JSON
    assert main(["snapshot", "c.csv", "--vendor", "fxiaoke", "--mapping", "c.csv", "--workspace", "w"]) != 0


def test_references_that_lead_nowhere_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_csv(tmp_path / "c.csv", contacts("zoho", "en"))
    few = accounts("zoho", "en")
    write_csv(tmp_path / "a.csv", type(few)(few.header, few.rows[:2]))
    taken = _run(capsys, "snapshot", str(tmp_path), "--workspace", str(tmp_path / "w"))
    (said,) = taken["recognised"]["remarks"]  # type: ignore[index]  # JSON
    lost = sum(p.firm >= 2 for p in people("en", 40))
    assert said == f"{lost} of 40 references in Account Name.id of contact lead to no account in these files."


def test_a_mapping_is_written_and_reads_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_csv(folder / "c.csv", contacts("jiandaoyun", "zh"), encoding="gb18030")
    write_csv(folder / "a.csv", accounts("jiandaoyun", "zh"), encoding="gb18030")
    to = tmp_path / "mapping.toml"
    assert main(["connectors", "map", "--from", str(folder), "--to", str(to), "--tenant", "local", "--quiet"]) == 0
    written = parse_mapping(to.read_text(encoding="utf-8"))
    assert written.system == "files" and set(written.objects) == {"contact", "customer"}
    capsys.readouterr()
    assert main(["connectors", "map", "--from", str(folder), "--to", str(to)]) == 2
    capsys.readouterr()
    by_hand = _run(capsys, "snapshot", "--mapping", str(to), "--from", str(folder), "--workspace", str(tmp_path / "w"))
    by_itself = _run(capsys, "snapshot", str(folder), "--workspace", str(tmp_path / "w2"))
    assert by_hand["digest"] == by_itself["digest"]


def test_a_notebook_loads_them(tmp_path: Path) -> None:
    write_csv(tmp_path / "c.csv", contacts("copper", "zh"), encoding="gb18030")
    with Workbench(tmp_path / "w", Workspace.open(tmp_path / "w", create=True)) as bench:
        assert bench.load_exports(tmp_path / "c.csv").rows == 40
        (line,) = [li for li in bench.score(["contact"], kinds=("duplicate",)) if li.kind == "duplicate"]
        assert line.object == "contact"
        _with_subform(tmp_path / "k.xlsx")
        to = tmp_path / "m.toml"
        assert main(["connectors", "map", "--from", str(tmp_path / "k.xlsx"), "--to", str(to), "--quiet"]) == 0
        assert {o.name: o.rows for o in bench.load(to).objects} == {"customer": 2, "customer_rows": 2, "customer_rows_2": 1}


def test_nothing_is_proposed_from_export_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_csv(tmp_path / "c.csv", contacts("zoho", "en"))
    _run(capsys, "snapshot", str(tmp_path / "c.csv"), "--workspace", str(tmp_path / "w"))
    with pytest.raises(UsageError, match="export files, and nothing is ever written back through them"):
        _propose(tmp_path / "w", tmp_path / "m", proposer="ada", policies=None, trust=None)
    assert not (tmp_path / "m").exists()
    assert "files" not in WRITERS


# ---------------------------------------------------------------------- subforms


def _with_subform(path: Path) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["客户名称", "负责人", "订单明细", None, "提交人", "提交时间", "数据ID", "附注"])
    sheet.append([None, None, "品名", "数量", None, None, None, "备注"])
    for column in "ABEFG":
        sheet.merge_cells(f"{column}1:{column}2")
    sheet.merge_cells("C1:D1")
    sheet.append(["华新", "李雷", "甲", 1, "韩", "2024-01-02 10:00:00", "64a1b2c3d4e5f60700000001", "x"])
    sheet.append([None, None, "乙", 2, None, None, None, None])
    sheet.append(["东方", "李雷", None, None, "韩", "2024-01-03 10:00:00", "64a1b2c3d4e5f60700000002", None])
    for column in "ABEFG":
        sheet.merge_cells(f"{column}3:{column}4")
    book.save(path)
    return path


def test_rows_of_a_subform_are_an_object_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book = _with_subform(tmp_path / "客户.xlsx")
    first = _run(capsys, "snapshot", str(book), "--workspace", str(tmp_path / "w"))
    assert [(o["name"], o["rows"], o["rejects"]) for o in first["objects"]] == [
        ("customer", 2, 0),
        ("customer_rows", 2, 0),
        ("customer_rows_2", 1, 0),
    ]  # type: ignore[attr-defined]  # JSON
    (tmp_path / "客户.csv").write_bytes(
        "客户名称,负责人,订单明细.品名,订单明细.数量,提交人,提交时间,数据ID,附注.备注\n"
        "华新,李雷,甲,1,韩,2024-01-02 10:00:00,64a1b2c3d4e5f60700000001,x\n,,乙,2,,,,\n"
        "东方,李雷,,,韩,2024-01-03 10:00:00,64a1b2c3d4e5f60700000002,\n".encode("gb18030")
    )
    second = _run(capsys, "snapshot", str(tmp_path / "客户.csv"), "--workspace", str(tmp_path / "w"))
    assert second["known"] is True and second["digest"] == first["digest"]
    with Workspace.open(tmp_path / "w", read_only=True) as ws:
        snapshot = ws.snapshot()
        entry = ws.mapping(snapshot).objects["customer_rows"]
        assert entry.parents == {"数据ID": "customer"} and entry.on_delete == {"数据ID": "cascade"}
        rows = ws.records(snapshot, "customer_rows", ["64a1b2c3d4e5f60700000001+1", "64a1b2c3d4e5f60700000001+2"])
        assert [(r["订单明细.品名"], r["订单明细.数量"]) for r in rows.values()] == [("甲", "1"), ("乙", "2")]
        assert "订单明细.品名" not in ws.columns(snapshot, "customer")


def test_a_written_mapping_reads_subforms_and_can_be_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    _with_subform(folder / "客户.xlsx")
    to = tmp_path / "mapping.toml"
    assert main(["connectors", "map", "--from", str(folder), "--to", str(to), "--tenant", "local", "--quiet"]) == 0
    capsys.readouterr()
    first = _run(capsys, "snapshot", str(folder), "--workspace", str(tmp_path / "w"))
    second = _run(capsys, "snapshot", "--mapping", str(to), "--from", str(folder), "--workspace", str(tmp_path / "w2"))
    assert second["digest"] == first["digest"]
    text = to.read_text(encoding="utf-8")
    assert 'table = "订单明细"' in text and 'key = "数据ID+#"' in text
    # one subform taken out by hand: its rows are passed over, the record and the other subform are read as before
    kept = text[: text.index("[objects.customer_rows_2]")]
    to.write_text(kept[: kept.rindex("# told by")], encoding="utf-8")
    third = _run(capsys, "snapshot", "--mapping", str(to), "--from", str(folder), "--workspace", str(tmp_path / "w3"))
    assert [(o["name"], o["rows"]) for o in third["objects"]] == [("customer", 2), ("customer_rows", 2)]  # type: ignore[attr-defined]  # JSON
    # an export of today in which no record has more than one row
    (folder / "客户.xlsx").unlink()
    (folder / "客户.csv").write_bytes(
        "客户名称,负责人,订单明细.品名,订单明细.数量,提交人,提交时间,数据ID,附注.备注\n"
        "华新,李雷,甲,1,韩,2024-01-02 10:00:00,64a1b2c3d4e5f60700000001,x\n".encode("gb18030")
    )
    to.write_text(text.replace("客户.xlsx", "客户.csv"), encoding="utf-8")
    fourth = _run(capsys, "snapshot", "--mapping", str(to), "--from", str(folder), "--workspace", str(tmp_path / "w4"))
    assert [(o["name"], o["rows"]) for o in fourth["objects"]] == [
        ("customer", 1),
        ("customer_rows", 1),
        ("customer_rows_2", 1),
    ]  # type: ignore[attr-defined]  # JSON
    to.write_text(text.replace("客户.xlsx", "客户.csv").replace('table = "订单明细"', 'table = "回款"'), encoding="utf-8")
    assert main(["snapshot", "--mapping", str(to), "--from", str(folder), "--workspace", str(tmp_path / "w5")]) == 3
    assert "has no subform 回款" in capsys.readouterr().err


def test_a_mended_mapping_checks_ids_all_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = contacts("zoho", "en")
    write_csv(tmp_path / "c.csv", table)
    to = tmp_path / "mapping.toml"
    assert main(["connectors", "map", "--from", str(tmp_path / "c.csv"), "--to", str(to), "--quiet"]) == 0
    write_csv(tmp_path / "c.csv", type(table)(table.header, [["6.73988E+18", *row[1:]] for row in table.rows]))
    assert main(["snapshot", "--mapping", str(to), "--workspace", str(tmp_path / "w")]) == 3
    assert "turned into numbers by a spreadsheet program" in capsys.readouterr().err
    to.write_text(to.read_text().replace('"export" = "zoho"', '"export" = "other"'))
    assert main(["snapshot", "--mapping", str(to), "--workspace", str(tmp_path / "w")]) == 2
    assert "export files of other are not known" in capsys.readouterr().err


def test_dots_without_rows_below_stay_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "f.csv").write_text(
        "数据ID,客户名称,地址.省,地址.市,提交人,提交时间\n64a1b2c3d4e5f60700000001,a,b,c,d,2024-01-01\n"
        "64a1b2c3d4e5f60700000002,a,b,c,d,2024-01-01\n"
    )
    taken = _run(capsys, "snapshot", str(tmp_path / "f.csv"), "--workspace", str(tmp_path / "w"))
    assert [(o["name"], o["rows"]) for o in taken["objects"]] == [("customer", 2)]  # type: ignore[attr-defined]  # JSON
