"""Export files that lie: ids a spreadsheet has damaged, headers and values made to break out, archives made to harm."""

from __future__ import annotations

import io
import json
import random
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pytest

from steward.cli import main
from steward.errors import SchemaMismatchError, SnapshotError, StewardError
from steward.store import ExportSource, Workspace
from steward.store.archive import harmless, is_archive, unpack
from tests.support.exports import accounts, contacts, write_csv, write_xlsx

HEADER = "Record Id,Contact Owner,Last Name,Email,Account Name.id,Created Time\n"


def _refusal(tmp_path: Path, name: str, content: bytes, *more: str) -> str:
    (tmp_path / name).write_bytes(content)
    with (
        pytest.raises(StewardError) as refused,
        ExportSource([tmp_path / name, *more], scratch=tmp_path / "tmp") as source,
        Workspace.open(tmp_path / "w", create=True) as ws,
    ):
        ws.take_snapshot(source, taken_at=datetime(2026, 1, 1, tzinfo=UTC))
    return str(refused.value)


# ---------------------------------------------------------------------- numbers of a spreadsheet

DAMAGED = {
    "shown with an exponent": ["6.73988E+18", "6.73988E+18"],
    "one of many": [*(str(6739882000000560000 + 137 * n) for n in range(1, 20)), "6.73988E+18"],
    "with a decimal comma": ['"6,73988E+18"'],
    "as a float": ["6739882000000560001.0"],
    "zeros where digits were": ["6739882000000560000", "6739882000000570000"],
    "zeros in a part of the file": [*(str(6739882000000561111 + 1009 * n) for n in range(200)), *(str((673988200000056 + n) * 10000) for n in range(30))],
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGED)
def test_ids_that_a_spreadsheet_turned_into_numbers_refuse_the_file(tmp_path: Path, what: str) -> None:
    rows = "".join(f"{i},K,N{n},n{n}@example.com,,2024-01-01\n" for n, i in enumerate(DAMAGED[what]))
    said = _refusal(tmp_path, "Contacts.csv", (HEADER + rows).encode())
    assert "were turned into numbers by a spreadsheet program" in said and "without opening and saving it" in said
    assert "Contacts.csv" in said and "column Record Id" in said
    assert not any(i in said for i in ("6739882", "6.73988"))


def test_a_damaged_reference_is_refused_as_well(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", accounts("zoho", "en"))
    rows = "".join(f"zcrm_{n},K,N,x@example.com,6.73988E+18,2024-01-01\n" for n in range(3))
    said = _refusal(tmp_path, "c.csv", (HEADER + rows).encode(), str(tmp_path / "a.csv"))
    assert "3 ids in column Account Name.id were turned into numbers" in said


@pytest.mark.parametrize("seed", range(5))
def test_whole_ids_are_never_taken_for_damaged(tmp_path: Path, seed: int) -> None:
    """Ids of 16 to 20 digits drawn at random end in zeros now and then."""
    draw = random.Random(seed)
    size = draw.choice((1, 2, 3, 30, 3_000))
    ids = {str(draw.randrange(10 ** (digits - 1), 10**digits)) for digits in draw.choices(range(16, 21), k=size)}
    rows = "".join(f"{i},K,N,x@example.com,,2024-01-01\n" for i in ids)
    (tmp_path / "c.csv").write_text(HEADER + rows)
    assert main(["snapshot", str(tmp_path / "c.csv"), "--workspace", str(tmp_path / "w"), "--quiet"]) == 0
    with Workspace.open(tmp_path / "w", read_only=True) as ws:
        assert set(ws.records(ws.snapshot(), "contact", list(ids))) == ids


def test_numbers_in_the_cells_of_a_workbook(tmp_path: Path) -> None:
    table = contacts("copper", "en")
    whole, long = openpyxl.Workbook(), openpyxl.Workbook()
    for book, base in ((whole, 40_000_000), (long, 6739882000000561234)):
        sheet = book.active
        assert sheet is not None
        sheet.append(table.header)
        for n, row in enumerate(table.rows):
            sheet.append([base + n, *row[1:]])
    whole.save(tmp_path / "short.xlsx")
    assert main(["snapshot", str(tmp_path / "short.xlsx"), "--workspace", str(tmp_path / "w"), "--quiet"]) == 0
    out = io.BytesIO()
    long.save(out)
    said = _refusal(tmp_path, "long.xlsx", out.getvalue())
    assert "more than 15 digits" in said and "Copper ID" in said


def test_ids_of_another_shape_are_said_and_not_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.csv").write_text(
        HEADER + "A-1,K,N,x@example.com,,2024-01-01\nzcrm_6739882000000561111,K,N,y@example.com,,2024-01-01\n"
    )
    assert main(["snapshot", str(tmp_path / "c.csv"), "--workspace", str(tmp_path / "w"), "--quiet"]) == 0
    shown = capsys.readouterr()
    assert "1 of 2 ids in Record Id of contact do not look like ids of Zoho CRM" in shown.out + shown.err
    assert "A-1" not in shown.out + shown.err


def test_shortened_telephones_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"zcrm_673988200000056111{n},K,N{n},n{n}@example.com,1.39E+10,2024-01-01\n" for n in range(3))
    (tmp_path / "c.csv").write_text(HEADER.replace("Account Name.id", "Phone") + rows)
    assert main(["snapshot", str(tmp_path / "c.csv"), "--workspace", str(tmp_path / "w"), "--quiet"]) == 0
    assert "3 values in Phone of contact were shortened by a spreadsheet program" in capsys.readouterr().out


def test_nothing_in_a_folder_is_passed_over_in_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    (folder / "more").mkdir(parents=True)
    write_csv(folder / "c.csv", contacts("zoho", "en"))
    (folder / "read.md").write_text("x")
    (folder / "other.csv").write_text("a,b\n1,2\n")
    (folder / "none.csv").write_bytes(b"")
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.write(write_csv(tmp_path / "a.csv", accounts("zoho", "en")), "a.csv")
    assert main(["snapshot", str(folder), "--workspace", str(tmp_path / "w"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [o["name"] for o in said["objects"]] == ["account", "contact"]
    assert {f["file"] for f in said["recognised"]["left_out"]} == {"more", "read.md", "other.csv", "none.csv"}


# ---------------------------------------------------------------------- headers and values

NASTY = [
    '=HYPERLINK("http://x.example","y")', "'; DROP TABLE snapshots; --", '"quoted"', "\x1b[31mred\x1b[0m", "\u202egnp.exe", "[bold]markup[/bold]",
    "{file} {0} {}", "%s %n", "a" * 5_000, "__proto__", "姓名\u200b2", "_x0041_", "${HOME}", "column'with\"both", "Ａ", "\ud7ff",
]  # fmt: skip


def test_hostile_headers_and_values_stay_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = contacts("zoho", "en", 20)
    header = [*table.header, *NASTY]
    rows = [[*row, *NASTY] for row in table.rows]
    write_csv(tmp_path / "c.csv", type(table)(header, rows), encoding="utf-8")
    assert main(["snapshot", str(tmp_path / "c.csv"), "--workspace", str(tmp_path / "w")]) == 0
    shown = capsys.readouterr().out
    assert not {"\x1b", "\u202e", "\u200b"} & set(shown)
    with Workspace.open(tmp_path / "w", read_only=True) as ws:
        snapshot = ws.snapshot()
        kept = ws.records(snapshot, "contact", [rows[0][0]])[rows[0][0]]
        assert [kept[c] for c in NASTY] == NASTY
    assert main(["score", "--only", "duplicate", "--object", "contact", "--workspace", str(tmp_path / "w"), "--quiet"]) == 0
    assert main(["connectors", "map", "--from", str(tmp_path / "c.csv"), "--to", str(tmp_path / "m.toml"), "--quiet"]) == 0
    assert main(["snapshot", "--mapping", str(tmp_path / "m.toml"), "--workspace", str(tmp_path / "w2"), "--quiet"]) == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (HEADER.encode(), "no rows"),
        ((HEADER.strip() + ",Email\n1,K,N,a,,2024-01-01,b\n").encode(), "several columns named Email"),
        ((HEADER.strip() + ",EMAIL\n1,K,N,a,,2024-01-01,b\n").encode(), "two columns with one name"),
        ((HEADER.strip() + ",_digest\n1,K,N,a,,2024-01-01,b\n").encode(), "needs itself"),
        (b"PK\x03\x04 no archive", "damaged"),
        (b"\xd0\xcf\x11\xe0 old office", "old or a protected Office file"),
        (b"PAR1 no parquet", "nobody knows which column is the id"),
        (bytes(range(256)) * 40, "binary data"),
        ((HEADER + "zcrm_1111111111,K,N,a,,2024-01-01\n" * 2).encode(), "more than once"),
        (b"\r\n" * 5, "only blank lines"),
    ],
)
def test_what_is_no_export_is_refused_in_a_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    said = _refusal(tmp_path, "c.csv", content)
    assert says in said and "Traceback" not in said


def test_a_refusal_shows_no_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = "Katharina-Secretly"
    for content in (
        HEADER + f"zcrm_1111111111,K,{secret},a,,2024-01-01\n" * 2,
        f"Record Id,Contact Owner,Created Time\n1,{secret},{secret}\n",
        HEADER + f"6.7E+18,K,{secret},a,,2024-01-01\n",
    ):
        (tmp_path / "c.csv").write_text(content)
        assert main(["snapshot", str(tmp_path / "c.csv"), "--workspace", str(tmp_path / "w")]) != 0
        shown = capsys.readouterr()
        assert secret not in shown.out + shown.err


def test_a_hostile_file_name_is_shown_harmless(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "c\x1b[31m\u202e.csv"
    write_csv(tmp_path / name, contacts("zoho", "en"))
    assert main(["snapshot", str(tmp_path / name), "--workspace", str(tmp_path / "w")]) == 0
    assert not {"\x1b", "\u202e"} & set(capsys.readouterr().out)


# ---------------------------------------------------------------------- archives


@pytest.mark.parametrize(
    "name",
    [
        "../../evil.csv",
        "/etc/evil.csv",
        "..\\..\\evil.csv",
        "C:\\evil.csv",
        "a/../../evil.csv",
        "....",
        "x" * 400 + ".csv",
        "\x00.csv",
        "con.csv",
    ],
)
def test_no_name_in_an_archive_is_a_path(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "deep" / "inside"
    inside.mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), "a,b\n1,2\n")
    found = unpack(tmp_path / "a.zip", inside)
    assert all(inside in path.resolve().parents for _, path in found)
    assert {p.relative_to(tmp_path).parts[0] for p in tmp_path.rglob("*")} <= {"deep", "a.zip"}
    assert harmless(name) == Path(harmless(name)).name and len(harmless(name)) <= 120


def test_archives_that_harm_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("c.csv", b"0" * (110 << 20))
    with pytest.raises(SnapshotError, match="taken for an attack"):
        unpack(tmp_path / "bomb.zip", tmp_path / "b")
    (tmp_path / "cut.zip").write_bytes((tmp_path / "bomb.zip").read_bytes()[:-40])
    assert is_archive(tmp_path / "cut.zip")
    with pytest.raises(SnapshotError, match="damaged"):
        unpack(tmp_path / "cut.zip", tmp_path / "c")
    with zipfile.ZipFile(tmp_path / "none.zip", "w"):
        pass
    with pytest.raises(SnapshotError, match="is empty"):
        unpack(tmp_path / "none.zip", tmp_path / "n")
    with zipfile.ZipFile(tmp_path / "locked.zip", "w") as archive:
        archive.writestr("c.csv", "a,b\n")
    locked = bytearray((tmp_path / "locked.zip").read_bytes())
    locked[6] |= 1  # the flag of encryption, in the member and in the directory
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(bytes(locked))
    with pytest.raises(SnapshotError, match="password"):
        unpack(tmp_path / "locked.zip", tmp_path / "l")


def test_a_workbook_is_no_archive_and_leaves_nothing(tmp_path: Path) -> None:
    assert not is_archive(write_xlsx(tmp_path / "b.xlsx", contacts("fxiaoke", "zh")))
    with pytest.raises(StewardError), ExportSource([tmp_path / "none.csv"], scratch=tmp_path / "w" / "tmp"):
        pass
    (tmp_path / "plain.csv").write_text("a,b\n1,2\n")
    with pytest.raises(StewardError), ExportSource([tmp_path / "plain.csv"], scratch=tmp_path / "w" / "tmp"):
        pass
    assert not (tmp_path / "w").exists()


def test_entities_in_a_workbook_are_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(write_xlsx(tmp_path / "b.xlsx", contacts("fxiaoke", "zh"))) as book, zipfile.ZipFile(out, "w") as made:
        for info in book.infolist():
            content = book.read(info)
            if info.filename == "xl/worksheets/sheet1.xml":
                content = content.replace(b"<worksheet", b'<!DOCTYPE x [<!ENTITY e "boom">]><worksheet', 1)
            made.writestr(info, content)
    said = _refusal(tmp_path, "evil.xlsx", out.getvalue())
    assert "XML entities" in said


def test_two_columns_for_the_id_are_refused_whatever_the_marks(tmp_path: Path) -> None:
    content = "唯一性ID,唯一性ID（必填）,客户名称,负责人,生命状态\n1,2,a,b,正常\n".encode()
    (tmp_path / "a.csv").write_bytes(content)
    with (
        pytest.raises(SchemaMismatchError, match="several columns that could be the id"),
        ExportSource([tmp_path / "a.csv"], scratch=tmp_path / "t"),
    ):
        pass


def _mutants(content: bytes, count: int, seed: int) -> list[bytes]:
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        made = bytearray(content)
        for _ in range(draw.randrange(1, 6)):
            at = draw.randrange(len(made))
            kind = draw.randrange(4)
            if kind == 0:
                made[at] = draw.randrange(256)
            elif kind == 1:
                del made[at : at + draw.randrange(1, 40)]
            elif kind == 2:
                made[at:at] = bytes(draw.choice((b'"', b",", b"\r\n", b"\0", b"\xff", b'","', b"\xef\xbb\xbf", b";")))
            else:
                other = draw.randrange(len(made))
                made[at:at] = made[other : other + 30]
        found.append(bytes(made))
    return found


@pytest.mark.parametrize("kind", ["csv", "gb18030", "xlsx", "zip"])
def test_damaged_files_are_taken_whole_or_refused(tmp_path: Path, kind: str) -> None:
    """Whatever becomes of the bytes: a refusal in words, or every row loaded or kept as a reject."""
    table = contacts("jiandaoyun", "zh", 20)
    path = tmp_path / f"m.{'csv' if kind == 'gb18030' else kind}"
    if kind == "xlsx":
        write_xlsx(path, table)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(write_csv(tmp_path / "in.csv", table), "in.csv")
    else:
        write_csv(path, table, encoding="gb18030" if kind == "gb18030" else "utf-8-sig")
    whole = path.read_bytes()
    taken = 0
    with Workspace.open(tmp_path / "w", create=True) as ws:
        for made in _mutants(whole, 25, 20261125):
            path.write_bytes(made)
            try:
                with ExportSource([path], scratch=tmp_path / "t") as source:
                    snapshot = ws.take_snapshot(source, taken_at=datetime(2026, 1, 1, tzinfo=UTC))
            except StewardError:
                continue
            taken += 1
            assert sum(f.rows_in_file for f in ws.files(snapshot)) == snapshot.rows + len(ws.rejects(snapshot))
    assert taken > 0 or kind in ("xlsx", "zip")  # their checksums refuse nearly all
    assert not list(tmp_path.glob("t/*"))
