"""Collect the marked sentences of the source into the catalogues and compile them (``make catalogues``).

Needs babel, a development tool: nothing at run time imports this. The compiled ``.mo`` files are committed so that an
installation needs no build step; a test compares them with the ``.po`` files and finds sentences without translation.
"""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from steward.messages import LANGUAGES

# A catalogue says when it changed through version control, not through a header that differs at every run.
_FIXED = datetime(2026, 11, 25, tzinfo=UTC)
HERE = Path(__file__).parent
PACKAGE = HERE.parent
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2), "N_plural": (1, 2)}


def collect() -> Catalog:
    """Return the catalogue of all sentences marked in the package, sorted, without line numbers (they churn)."""
    template = Catalog(project="steward", charset="utf-8", fuzzy=False)
    found = extract_from_dir(str(PACKAGE), [("**.py", "python")], keywords=KEYWORDS)
    for file, _line, message, _comments, _context in sorted(found, key=lambda f: (f[0], f[1])):
        if message and (message[0] if isinstance(message, tuple) else message):
            template.add(message, locations=[(f"steward/{file}", 0)], flags=())
    for entry in template:
        entry.flags.discard("python-format")  # sentences use {name} places; a % in them is a per cent sign
        entry.locations = sorted({(f, 0) for f, _ in entry.locations})
    return template


def po_path(language: str) -> Path:
    """Path of the editable catalogue of one language."""
    return HERE / language / "LC_MESSAGES" / "steward.po"


def read(language: str) -> Catalog:
    """Return the catalogue of one language; empty where there is none."""
    path = po_path(language)
    if not path.exists():
        return Catalog(locale=language, project="steward", charset="utf-8", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def compiled(catalog: Catalog) -> bytes:
    """Return the bytes of the compiled catalogue."""
    buffer = io.BytesIO()
    write_mo(buffer, catalog)
    return buffer.getvalue()


def main() -> int:
    """Update and compile every catalogue; print how many sentences lack a translation."""
    template = collect()
    for language in LANGUAGES:
        if language == "en":
            continue
        catalog = read(language)
        catalog.update(template, no_fuzzy_matching=True)
        catalog.obsolete.clear()
        catalog.header_comment = f"# Sentences of steward in {catalog.locale.english_name if catalog.locale else language}."
        catalog.project, catalog.version, catalog.msgid_bugs_address = "steward", "1", "-"
        catalog.last_translator, catalog.language_team = "steward", language
        catalog.creation_date = catalog.revision_date = _FIXED
        path = po_path(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_po(file, catalog, width=0, sort_output=True, omit_header=False, include_lineno=False)
        path.with_suffix(".mo").write_bytes(compiled(read(language)))
        missing = sum(1 for m in catalog if m.id and not (all(m.string) if isinstance(m.string, tuple) else m.string))
        sys.stdout.write(f"{language}: {len(catalog)} sentences, {missing} without translation\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
