"""Opens exports of hostile values in LibreOffice and counts the cells that became formulas: none may.

The values are those of ``tests/support/hostile_values.py``, each alone in a cell, after a plain one and before a plain one,
written by ``steward.store.exporting``. LibreOffice converts each file to flat ODS, in which a formula is a cell with the
attribute ``table:formula`` whatever it shows. CSV is read with every separator a person may choose, with and without special
numbers, with formulas evaluated. The same values written without care are counted too: where those were no formulas either,
the proof would prove nothing.

    python -m bench.spreadsheet_cells            # needs soffice on the path; about a minute

Left to others: cell types as openpyxl and the XML see them (``tests/adversarial/test_review_hostile_values.py``).
"""

from __future__ import annotations

import csv
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from steward.store.exporting import export
from tests.support.hostile_values import HOSTILE

TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
COLUMNS = ("id", "before", "value", "after")
ROWS = [(str(i), "plain", value, "plain") for i, value in enumerate(HOSTILE)] + [
    ("more", value, "plain", value) for value in HOSTILE
]

SEPARATORS = {"comma": "44", "semicolon": "59", "tab": "9", "all three": "44/59/9", "pipe": "124"}
QUOTES = {"quotes": "34", "no quotes": ""}
UNCLAIMED_SEPARATORS, UNCLAIMED_QUOTES = {"space": "32"}, {"apostrophes": "39"}
"""Readings that no program proposes: a blank cuts every sentence, and an apostrophe as the mark of text takes away the very
apostrophe that disarms. They are shown, and the result does not promise them."""


def ways(separators: dict[str, str], marks: dict[str, str]) -> dict[str, str]:
    """Return names and import filters: separator, text delimiter, UTF-8, whether quoted is text, special numbers, evaluate."""
    out = {}
    for separator, code in separators.items():
        for quotes, mark in marks.items():
            for numbers in ("true", "false"):
                filters = f"{code},{mark},76,1,,0,false,{numbers},false,false,false,0,true"
                out[f"{separator}, {quotes}, numbers {numbers}"] = f"CSV:{filters}"
    return out


def opened(soffice: str, file: Path, folder: Path, infilter: str = "") -> tuple[Counter[str], list[str]]:
    """Convert a file to flat ODS and return how many cells of each type it has, and the formulas among them."""
    folder.mkdir()
    words = [
        soffice,
        f"-env:UserInstallation={(folder.parent / 'profile').as_uri()}",
        "--headless",
        "--convert-to",
        "fods",
        "--outdir",
        str(folder),
    ]
    if infilter:
        name, _, options = infilter.partition(":")
        words.append(f"--infilter={name}:{options}" if name != "CSV" else f"--infilter=Text - txt - csv (StarCalc):{options}")
    subprocess.run([*words, str(file)], check=True, capture_output=True, timeout=300)
    [made] = folder.glob("*.fods")
    types: Counter[str] = Counter()
    formulas: list[str] = []
    for cell in ElementTree.parse(made).iter(f"{TABLE}table-cell"):
        kind = cell.get(f"{OFFICE}value-type")
        if kind is not None:
            types[kind] += 1
        formula = cell.get(f"{TABLE}formula")
        if formula is not None:
            formulas.append(formula)
    return types, formulas


def careless(file: Path) -> None:
    """Write the values as they are: what the exports must not be."""
    with file.open("w", encoding="utf-8", newline="") as writing:
        csv.writer(writing, lineterminator="\r\n").writerows([COLUMNS, *ROWS])


def main() -> int:
    """Print one line per way of opening; return 1 where a cell of an export became a formula, or none of the careless file."""
    soffice = shutil.which("soffice")
    if soffice is None:
        raise SystemExit("soffice is not on the path")
    print(subprocess.run([soffice, "--version"], check=True, capture_output=True, text=True).stdout.strip())
    print(f"{len(HOSTILE)} values, {len(ROWS)} rows of {len(COLUMNS)} cells")
    bad = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for ending in (".xlsx", ".csv"):
            export(folder / f"hostile{ending}", COLUMNS, (str,) * 4, ROWS)
        careless(folder / "careless.csv")
        claimed = ways(SEPARATORS, QUOTES)
        jobs = [("xlsx", "hostile.xlsx", ""), ("csv as it comes", "hostile.csv", "")]
        jobs += [(f"csv, {way}", "hostile.csv", f) for way, f in claimed.items()]
        for n, (way, file, infilter) in enumerate(jobs):
            types, formulas = opened(soffice, folder / file, folder / f"out{n}", infilter)
            bad += len(formulas)
            print(f"{way}: {len(formulas)} formulas, {dict(types)} {formulas[:5] if formulas else ''}", flush=True)
        unclaimed = ways(UNCLAIMED_SEPARATORS, QUOTES) | ways(SEPARATORS, UNCLAIMED_QUOTES)
        for n, (way, filters) in enumerate(unclaimed.items()):
            formulas = opened(soffice, folder / "hostile.csv", folder / f"unclaimed{n}", filters)[1]
            print(f"not promised, csv, {way}: {len(formulas)} formulas", flush=True)
        alone = opened(soffice, folder / "careless.csv", folder / "careless", claimed["comma, quotes, numbers true"])[1]
        print(f"written without care, comma: {len(alone)} formulas")
    return 1 if bad or not alone else 0


if __name__ == "__main__":
    raise SystemExit(main())
