"""Files to load that go wrong elsewhere, and what must come out of them.

Each :class:`Torture` writes one file and says which rows are loaded and how many rejects there are, or which refusal it
meets. The expected values are written down here, not computed by the code under test.
"""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from steward.errors import EncodingUnknownError, SchemaMismatchError, SnapshotError, StewardError

Rows = list[dict[str, str | None]]


@dataclass(frozen=True)
class Torture:
    """One file of the corpus."""

    name: str
    file: str
    content: bytes
    rows: Rows = field(default_factory=list)
    rejects: tuple[tuple[int, bytes], ...] = ()
    refused: type[StewardError] | None = None
    says: str = ""
    words: dict[str, str] = field(default_factory=dict)
    lines: tuple[int, ...] | None = None


def rows(columns: str, *values: tuple[str | None, ...]) -> Rows:
    """Rows of a table, by column."""
    return [dict(zip(columns.split(","), v, strict=True)) for v in values]


CHINESE = "id,姓名,城市,公司\n1,张伟,北京市朝阳区,北京科技有限公司\n2,李娜,上海市,上海贸易有限公司\n3,王芳,深圳市,\n"
CHINESE_ROWS = rows(
    "id,姓名,城市,公司",
    ("1", "张伟", "北京市朝阳区", "北京科技有限公司"),
    ("2", "李娜", "上海市", "上海贸易有限公司"),
    ("3", "王芳", "深圳市", None),
)
TAIWAN = "id,姓名,城市\n1,陳志豪,台北市大安區\n2,林淑惠,高雄市\n3,王美玲,香港九龍\n"
TAIWAN_ROWS = rows("id,姓名,城市", ("1", "陳志豪", "台北市大安區"), ("2", "林淑惠", "高雄市"), ("3", "王美玲", "香港九龍"))
GERMAN = "id;Name;Ort\n1;Jürgen Groß;Köln\n2;Käthe Müller;Nürnberg\n3;Ülkü Öz;Görlitz\n"
GERMAN_ROWS = rows("id,Name,Ort", ("1", "Jürgen Groß", "Köln"), ("2", "Käthe Müller", "Nürnberg"), ("3", "Ülkü Öz", "Görlitz"))


def xlsx(cells: str, *, shared: str = "", doctype: str = "", styles: str = "") -> bytes:
    """A workbook with one sheet, written by hand."""
    head = f'<?xml version="1.0" encoding="UTF-8"?>{doctype}'
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        relation = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
        z.writestr(
            "xl/workbook.xml",
            f'{head}<workbook {space} {relation}><sheets><sheet name="A" sheetId="1" r:id="r1"/></sheets></workbook>',
        )
        z.writestr(
            "xl/_rels/workbook.xml.rels",
            '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Target="worksheets/s.xml"/></Relationships>',
        )
        z.writestr("xl/worksheets/s.xml", f"{head}<worksheet {space}><sheetData>{cells}</sheetData></worksheet>")
        if shared:
            z.writestr("xl/sharedStrings.xml", f"{head}<sst {space}>{shared}</sst>")
        if styles:
            z.writestr("xl/styles.xml", f"{head}<styleSheet {space}>{styles}</styleSheet>")
    return out.getvalue()


def text_cell(place: str, text: str) -> str:
    """A cell with text of its own."""
    return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def _row(number: int, *cells: str) -> str:
    return f'<row r="{number}">{"".join(cells)}</row>'


BOMB = (
    '<!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(8))
    + "]>"
)


def _bad_gzip() -> bytes:
    whole = bytearray(gzip.compress(b"id,a\n" + b"1,x\n" * 1000, mtime=0))
    whole[-8] ^= 0xFF  # the checksum
    return bytes(whole)


CORPUS: list[Torture] = [
    Torture(
        "ids and phones keep every digit", "ids.csv",
        b"id,phone,amount\n4876876000001234567,0049301234,1.10\n48768760000012345678,0123,1e5\n007,+49 30,-0\n9007199254740993,00,100.0\n",
        rows("id,phone,amount", ("4876876000001234567", "0049301234", "1.10"), ("48768760000012345678", "0123", "1e5"), ("007", "+49 30", "-0"),
             ("9007199254740993", "00", "100.0")),
    ),
    Torture(
        "empty is not the empty text, and no word is NULL", "null.csv", b'id,a,b\n1,,""\n2,NULL,N/A\n3,\\N,nan\n4,None,-\n',
        rows("id,a,b", ("1", None, ""), ("2", "NULL", "N/A"), ("3", "\\N", "nan"), ("4", "None", "-")),
    ),
    Torture("byte order mark", "bom.csv", b"\xef\xbb\xbfid,a\n1,\xc3\xa9\n", rows("id,a", ("1", "é"))),
    Torture("carriage return and line feed", "crlf.csv", b"id,a\r\n1,x\r\n2,y", rows("id,a", ("1", "x"), ("2", "y"))),
    Torture("carriage return alone", "cr.csv", b"id,a\r1,x\r2,y\r", rows("id,a", ("1", "x"), ("2", "y"))),
    Torture(
        "line ends inside quotes", "multi.csv", b'id,a\n1,"x\ny\r\nz"\n2,"a ""b"" c"\n\n3,"  s  "\n',
        rows("id,a", ("1", "x\ny\r\nz"), ("2", 'a "b" c'), ("3", "  s  ")), lines=(2, 5, 7),
    ),
    Torture("outer spaces and tabs stay", "space.csv", b"id,a\n1, x \n2,\ty\t\n 3,z\n", rows("id,a", ("1", " x "), ("2", "\ty\t"), (" 3", "z"))),
    Torture("a quote in the middle of a value", "inch.csv", b'id,a,b\n1,5" pipe,x\n2,a"b"c,y\n', rows("id,a,b", ("1", '5" pipe', "x"), ("2", 'a"b"c', "y"))),
    Torture(
        "ragged lines", "ragged.csv", b"id,name,x\n1,a,b\n2,c\n3,d,e,f\n4,g,h\n5,i,j\n",
        rows("id,name,x", ("1", "a", "b"), ("4", "g", "h"), ("5", "i", "j")), ((3, b"2,c\n"), (4, b"3,d,e,f\n")),
    ),
    Torture(
        "a quote that is never closed takes no good row with it", "open.csv", b'id,a,b\n1,x,y\n4,"unterminated,b\n5,a,b\n6,"q",w\n7,a,b\n',
        rows("id,a,b", ("1", "x", "y"), ("5", "a", "b"), ("6", "q", "w"), ("7", "a", "b")), ((3, b'4,"unterminated,b\n'),),
    ),
    Torture(
        "text after a closing quote", "after.csv", b'id,a\n1,"x"y\n2,"z"\n', rows("id,a", ("2", "z")), ((2, b'1,"x"y\n'),),
    ),
    Torture(
        "one line is not UTF-8", "badline.csv",
        b"id,a\n" + "".join(f"{i},é{i}\n" for i in range(1, 21)).encode() + b"21,\xff\xfe\n22,z\n",
        [*rows("id,a", *((str(i), f"é{i}") for i in range(1, 21))), {"id": "22", "a": "z"}], ((22, b"21,\xff\xfe\n"),),
    ),
    Torture("a row without id", "noid.csv", b'id,a\n1,x\n,y\n"",z\n', rows("id,a", ("1", "x")), ((3, b",y"), (4, b",z"))),
    Torture("a zero byte in one line", "zero.csv", b"id,a\n" + b"1,x\n" * 0 + b"1,a" + b"b" * 20_000 + b"\n2,x\x00y\n3,z\n",
            rows("id,a", ("1", "a" + "b" * 20_000), ("3", "z")), ((3, b"2,x\x00y\n"),)),
    Torture("semicolons", "semi.csv", b"id;a;b\n1;1,5;x\n2;2,5;y\n", rows("id,a,b", ("1", "1,5", "x"), ("2", "2,5", "y"))),
    Torture("tabs", "tab.csv", b"id\ta\n1\tx,y\n2\tz\n", rows("id,a", ("1", "x,y"), ("2", "z"))),
    Torture("pipes", "pipe.txt", b"id|a\n1|x\n2|y\n", rows("id,a", ("1", "x"), ("2", "y"))),
    Torture("a line for Excel", "sep.csv", b"sep=;\nid;a\n1;x\n", rows("id,a", ("1", "x")), lines=(3,)),
    Torture("GB 18030", "gb.csv", CHINESE.encode("gb18030"), CHINESE_ROWS),
    Torture("GBK", "gbk.csv", CHINESE.encode("gbk"), CHINESE_ROWS),
    Torture("Big5", "big5.csv", TAIWAN.encode("big5"), TAIWAN_ROWS),
    Torture("cp1252", "de.csv", GERMAN.encode("cp1252"), GERMAN_ROWS),
    Torture("UTF-16 with a mark", "u16.csv", CHINESE.encode("utf-16"), CHINESE_ROWS),
    Torture("UTF-16 little-endian without a mark", "u16le.csv", CHINESE.encode("utf-16-le"), CHINESE_ROWS),
    Torture("UTF-16 big-endian without a mark", "u16be.csv", GERMAN.encode("utf-16-be"), GERMAN_ROWS),
    Torture("one umlaut only", "umlaut.csv", "id,a\n1,Müller\n".encode("cp1252"), rows("id,a", ("1", "Müller"))),
    Torture("Korean is asked for", "ko.csv", "id,이름\n1,김철수\n2,이영희\n".encode("euc_kr"), refused=EncodingUnknownError, says="--encoding"),
    Torture("Japanese is asked for", "ja.csv", "id,名前\n1,山田太郎さん\n2,こんにちは\n".encode("shift_jis"), refused=EncodingUnknownError, says="cp932"),
    Torture("Korean, declared", "ko2.csv", "id,이름\n1,김철수\n".encode("euc_kr"), rows("id,이름", ("1", "김철수")), words={"encoding": "euc_kr"}),
    Torture("Czech is asked for", "cz.csv", "id,a\n1,Dvořák\n2,Růžička\n".encode("cp1250"), refused=EncodingUnknownError, says="cp1250"),
    Torture("mixed dates stay as they are", "dates.csv", b"id,d\n1,01/02/2024\n2,13/02/2024\n3,2024-01-02\n4,45292\n",
            rows("id,d", ("1", "01/02/2024"), ("2", "13/02/2024"), ("3", "2024-01-02"), ("4", "45292"))),
    Torture("words that look like truth", "bool.csv", b"id,f\n1,true\n2,T\n3,\n", rows("id,f", ("1", "true"), ("2", "T"), ("3", None))),
    Torture("a pattern as a file name", "kunden[1].csv", b"id,a\n1,x\n", rows("id,a", ("1", "x"))),
    Torture("hostile text", "hostile.csv", "id,a\n1,=cmd|' /C calc'!A0\n2,\x1b[2J\n3,<script>\n4,\u202egnp\n".encode(),
            rows("id,a", ("1", "=cmd|' /C calc'!A0"), ("2", "\x1b[2J"), ("3", "<script>"), ("4", "\u202egnp"))),
    Torture("a column without a name", "unnamed.csv", b",id\n0,1\n", rows("column_1,id", ("0", "1"))),
    Torture("gzip", "z.csv.gz", gzip.compress(b"id,a\n1,x\n", mtime=0), rows("id,a", ("1", "x"))),
    Torture("gzip with a wrong checksum", "bad.csv.gz", _bad_gzip(), refused=SnapshotError, says="checksum"),
    Torture("gzip cut off", "cut.csv.gz", gzip.compress(b"id,a\n" + b"1,x\n" * 1000)[:-12], refused=SnapshotError, says="cut off"),
    Torture("empty", "empty.csv", b"", refused=SnapshotError, says="is empty"),
    Torture("blank lines only", "blank.csv", b"\n\r\n\n", refused=SchemaMismatchError, says="blank"),
    Torture("header only", "header.csv", b"id,a\n", refused=SchemaMismatchError, says="no rows"),
    Torture("no id column", "other.csv", b"key,a\n1,x\n", refused=SchemaMismatchError, says="no column id"),
    Torture("wrong delimiter declared", "wrong.csv", b"id,a\n1,x\n", refused=SchemaMismatchError, says="--delimiter", words={"delimiter": ";"}),
    Torture("a column twice", "twice.csv", b"id,Name,name,id\n1,a,b,2\n", refused=SchemaMismatchError, says="several columns named id"),
    Torture("columns that differ in case", "case.csv", b"id,Name,name\n1,a,b\n", refused=SchemaMismatchError, says="two columns"),
    Torture("an id twice", "dup.csv", b"id,a\n1,x\n2,y\n1,z\n", refused=SnapshotError, says="1 (dup.csv:2, dup.csv:4)"),
    Torture("a photograph", "photo.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40, refused=SnapshotError, says="binary"),
    Torture("an old Excel file", "old.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, refused=SnapshotError, says="old or a protected"),
    Torture(
        "JSON ids and amounts", "n.json",
        b'[{"id": 4876876000001234567, "a": 9007199254740993.0, "b": true, "c": null, "d": {"z": 1.10, "a": [1, "x"]}},\n {"id": 48768760000012345678, "a": "1", "e": ""}]',
        rows("id,a,b,c,d,e", ("4876876000001234567", "9007199254740993.0", "true", None, '{"a":[1,"x"],"z":1.10}', None),
             ("48768760000012345678", "1", None, None, None, "")),
        lines=(1, 2),
    ),
    Torture("JSON in an envelope", "env.json", b'{"total": 2, "data": [{"id": 1}, {"id": 2}]}', rows("id", ("1",), ("2",))),
    Torture("JSON cut off", "cut.json", b'[{"id": 1}, {"id": 2', refused=SnapshotError, says="element 2"),
    Torture(
        "NDJSON with broken lines", "n.ndjson", b'{"id": 1, "a": 007.5}\n{"id": 2, "a": 0.50}\nnot json\n{"id": 3, "id": 4}\n{"id": 5, "a": "\\ud800"}\n{"a": 1}\n[1]\n\n{"id": 6}\n',
        rows("id,a", ("2", "0.50"), ("6", None)),
        ((1, b'{"id": 1, "a": 007.5}\n'), (3, b"not json\n"), (4, b'{"id": 3, "id": 4}\n'), (5, b'{"id": 5, "a": "\\ud800"}'), (6, b'{"a": "1"}'), (7, b"[1]")),
    ),
    Torture(
        "XLSX: text, numbers, dates, shared texts", "w.xlsx",
        xlsx(
            _row(1, text_cell("A1", "id"), text_cell("B1", "n"), text_cell("C1", "d"), text_cell("D1", "s"))
            + _row(2, '<c r="A2"><v>12</v></c><c r="B2"><v>0.10000000000000001</v></c><c r="C2" s="1"><v>45293</v></c><c r="D2" t="s"><v>0</v></c>')
            + _row(4, text_cell("A4", "48768760000012345678"), text_cell("C4", "01/02/2024"), '<c r="D4" t="b"><v>1</v></c>')
            + _row(5, '<c r="A5"><v>123456789012345</v></c><c r="C5" s="2"><v>45293.5</v></c><c r="D5" t="e"><v>#N/A</v></c>')
            + _row(6, text_cell("A6", "x"), text_cell("F6", "stray")),
            shared="<si><r><t>a</t></r><r><t xml:space='preserve"+"'"+"> b_x000D_</t></r><rPh sb='0' eb='1'><t>no</t></rPh></si>",
            styles='<numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/></cellXfs>',
        ),
        rows("id,n,d,s", ("12", "0.1", "2024-01-02", "a b\r"), ("48768760000012345678", None, "01/02/2024", "true"),
             ("123456789012345", None, "2024-01-02T12:00:00", "#N/A")),
        ((6, b'{"0": "x", "5": "stray"}'),), lines=(2, 4, 5),
    ),
    Torture(
        "XLSX with a numeric id that was rounded", "round.xlsx",
        xlsx(_row(1, text_cell("A1", "id")) + _row(2, '<c r="A2"><v>4.8768760000012349E+18</v></c>')), refused=SchemaMismatchError, says="ids as text",
    ),
    Torture("XLSX with a 16-digit id", "sixteen.xlsx", xlsx(_row(1, text_cell("A1", "id")) + _row(2, '<c r="A2"><v>1234567890123456</v></c>')),
            refused=SchemaMismatchError, says="15 digits"),
    Torture("XLSX with an entity bomb", "bomb.xlsx", xlsx(_row(1, text_cell("A1", "id")) + _row(2, text_cell("A2", "&i;")), doctype=BOMB),
            refused=SnapshotError, says="entities"),
    Torture("XLSX cut off", "cut.xlsx", xlsx(_row(1, text_cell("A1", "id")))[:-40], refused=SnapshotError, says="damaged"),
    Torture("Parquet cut off", "cut.parquet", b"PAR1" + b"\0" * 100 + b"PAR1", refused=SnapshotError, says="Parquet"),
    Torture("Parquet that is none", "none.parquet", b"id,a\n1,x\n", refused=SnapshotError, says="not what its name says"),
]  # fmt: skip


def write(folder: Path, torture: Torture) -> Path:
    """Write one file of the corpus."""
    path = folder / torture.file
    path.write_bytes(torture.content)
    return path


Make = Callable[[Path], Path]


def as_json(rows_: Rows) -> str:
    """Rows in one order, to compare."""
    return json.dumps(rows_, ensure_ascii=False, sort_keys=True)
