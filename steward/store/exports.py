"""Vendors' export files as a source: recognised by their headers, loaded with the mapping that follows, ids checked.

Files may be named, lie in a folder or in a ZIP archive. What a person named must be recognised; in a folder or an archive
what is not recognised is left out and said. Ids that a spreadsheet program has turned into numbers refuse the file, for
their last digits are lost and another record may have what is left.

Left to others: telling vendors apart and the mapping (``steward.crm.exports``), reading (``steward.store.source``).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from steward.crm.exports.layouts import VENDORS, layout
from steward.crm.exports.propose import ROW, ExportProposal, Part, Remark, Seen, propose_exports, with_encoding
from steward.crm.exports.recognise import Found, fits, settle
from steward.crm.mapping import Mapping, ObjectMapping, Role
from steward.errors import SchemaMismatchError, SnapshotError, StewardError, UsageError
from steward.messages import N_
from steward.store import subforms
from steward.store.archive import is_archive, unpack
from steward.store.export_checks import check_ids, check_links, check_numbers
from steward.store.export_part import ExportPart
from steward.store.intake import Intake
from steward.store.peek import Peek, peek
from steward.store.source import FileSource, _delimiter, _Part, _readable
from steward.store.writing import TableWriter

ENDINGS = (".csv", ".tsv", ".txt", ".xlsx", ".gz")
"""Endings of files in an archive that are looked at."""


class ExportSource(FileSource):
    """Export files of Copper, Fxiaoke, Jiandaoyun or Zoho CRM.

    Parameters
    ----------
    where : sequence of Path
        Files, folders, ZIP archives.
    scratch : Path
        Folder for what has to be unpacked; made if it is not there, and emptied by :meth:`close`.
    vendor, object, key : str, optional
        Said by a person instead of recognised.
    mapping : Mapping, optional
        One that followed from such files and was written down; nothing is recognised then, and it says what the files are.
    role, encoding, delimiter, sheet, tenant, environment, duplicate_ids
        See :class:`steward.store.source.FileSource`.

    Attributes
    ----------
    proposal : ExportProposal
        What was recognised, why, and what was left out.
    left_out : list of (str, Remark)
        Files that are not read, and why.

    Raises
    ------
    UsageError
        No file, or one that nobody can tell.
    SnapshotError
        A file without ids, or one that cannot be read.
    """

    connector_version = "exports/1"

    def __init__(
        self,
        where: Sequence[Path | str],
        *,
        scratch: Path,
        vendor: str | None = None,
        object: str | None = None,
        key: str | None = None,
        role: Role | None = None,
        encoding: str | None = None,
        delimiter: str | None = None,
        sheet: str | None = None,
        tenant: str = "local",
        environment: str = "files",
        duplicate_ids: str = "refuse",
        mapping: Mapping | None = None,
    ) -> None:
        if duplicate_ids not in ("refuse", "reject"):
            raise ValueError("duplicate_ids is 'refuse' or 'reject'")
        self.encoding, self.delimiter, self.sheet = encoding, _delimiter(delimiter), sheet
        self.duplicate_ids, self._unmapped, self._role = duplicate_ids, False, role
        self.left_out: list[tuple[str, Remark]] = []
        self._remarks: dict[str, list[Remark]] = {}
        self._vendor, self._wanted = vendor, object
        self._encodings: dict[str, str] = {}
        self._paths: dict[str, Path] = {}
        self.proposal: ExportProposal
        self.groups: dict[str, dict[str, tuple[str, ...]]] = {}
        self.files: dict[str, list[tuple[str, Path]]] = {}
        self._scratch: Path | None = None
        self._own_folder: list[Path] = []
        try:
            if mapping is not None:
                self.proposal = self._given([Path(w) for w in where], mapping, scratch)
            else:
                parts = self._recognise([Path(w) for w in where], scratch)
                proposal = propose_exports(parts, key=key, tenant=tenant, environment=environment)
                self.proposal = with_encoding(proposal, self._encodings)
        except BaseException:
            self.close()
            raise
        self.mapping = self.proposal.mapping
        self.seen: dict[str, Seen] = {s.name: s for s in self.proposal.seen}
        if mapping is not None:
            return
        self.groups = {
            main: {s.subform: s.columns[2:] for s in self.proposal.seen if s.subform_of == main and s.subform}
            for main in self.seen
        }
        if role is not None:
            objects = {
                name: entry if self.seen[name].subform else msgspec.structs.replace(entry, role=role)
                for name, entry in self.mapping.objects.items()
            }
            self.mapping = msgspec.structs.replace(self.mapping, objects=objects)
        self.files = {name: [(f, self._paths[f]) for f in entry.files] for name, entry in self.mapping.objects.items()}

    def __enter__(self) -> ExportSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was unpacked."""
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None
        for folder in self._own_folder:  # only where nothing else came into them
            with suppress(OSError):
                folder.rmdir()
        self._own_folder = []

    # ------------------------------------------------------------------ which files

    def _folder(self, scratch: Path) -> Path:
        if self._scratch is None:
            for folder in (scratch, *scratch.parents):
                if folder.exists():
                    break
                self._own_folder.append(folder)
            scratch.mkdir(parents=True, exist_ok=True)
            self._scratch = Path(tempfile.mkdtemp(dir=scratch, prefix="exports-"))
        return self._scratch

    def _recognise(self, where: list[Path], scratch: Path) -> list[Part]:
        if not where:
            raise UsageError(N_("No file was given."))
        parts: list[Part] = []
        refused: list[StewardError] = []
        for path in where:
            if not path.exists():
                raise UsageError(N_("There is no file {file}."), file=path.name)
            for shown, inner, named in self._inside(path, scratch):
                try:
                    parts.append(self._part(shown, inner, scratch))
                except StewardError as error:
                    if named:
                        raise
                    refused.append(error)
                    self.left_out.append((shown, (error.template, {k: str(v) for k, v in error.facts.items()})))
        if not parts:
            if refused:
                raise refused[0]
            raise UsageError(N_("The folder {folder} holds no export files."), folder=where[0].name)
        return parts

    def _inside(self, path: Path, scratch: Path) -> Iterator[tuple[str, Path, bool]]:
        """Yield (name, path, named by a person) of every file that is meant."""
        if path.is_dir():
            for inner in sorted(p for p in path.iterdir() if not p.name.startswith((".", "~$"))):
                if inner.is_dir():
                    self.left_out.append((inner.name, (N_("It is a folder; name it by itself to have it read."), {})))
                elif inner.is_file() and (_readable(inner) or is_archive(inner)):
                    for shown, file, _ in self._inside(inner, scratch):
                        yield shown, file, False
                else:
                    self.left_out.append((inner.name, (N_("It is no table."), {})))
        elif not path.is_file():
            raise SnapshotError(N_("{file} is not a file."), file=path.name)
        elif is_archive(path):
            folder = Path(tempfile.mkdtemp(dir=self._folder(scratch)))
            for shown, inner in unpack(path, folder):
                if inner.name.lower().endswith(ENDINGS):
                    yield shown, inner, False
                else:
                    self.left_out.append((shown, (N_("It is no table."), {})))
        else:
            yield path.name, path, True

    def _part(self, shown: str, path: Path, scratch: Path) -> Part:
        name, n = shown, 2
        while name in self._paths:
            name, n = f"{shown} ({n})", n + 1
        seen = self._look(name, path, scratch, self.encoding, self.delimiter, self.sheet)
        if not seen.tables:
            raise UsageError(
                N_("{file} is not known as an export of {vendors}, so nobody knows which column is the id."),
                next_step=N_("Name it with --id COLUMN, or say whose export it is with --vendor, or give a mapping with --mapping."),
                file=name, vendors=", ".join(layout(v).name for v in VENDORS),
            )  # fmt: skip
        found = settle(seen.columns, shown=name, vendor=self._vendor, object=self._wanted)
        self._paths[name] = path
        if seen.encoding is not None:
            self._encodings[name] = seen.encoding
        return Part(name, found, seen.rows, _subforms(seen, found))

    def _told(self, columns: Sequence[str]) -> bool:
        return bool(fits(columns, vendor=self._vendor, object=self._wanted))

    def _look(
        self, shown: str, path: Path, scratch: Path, encoding: str | None, delimiter: str | None, sheet: str | None
    ) -> Peek:
        with tempfile.TemporaryDirectory(dir=self._folder(scratch)) as folder:
            return peek(
                path, shown=shown, scratch=Path(folder), told=self._told, forms=self.is_form, encoding=encoding,
                delimiter=delimiter, sheet=sheet,
            )  # fmt: skip

    def is_form(self, columns: Sequence[str]) -> bool:
        """Whether a header is one of a form builder, whose workbooks may have a second row of it."""
        return self._vendor == "jiandaoyun" or any(
            f.layout.vendor == "jiandaoyun" for f in fits(columns, vendor=self._vendor, object=self._wanted)
        )

    def _given(self, where: list[Path], mapping: Mapping, scratch: Path) -> ExportProposal:
        """Take a mapping that was written down; of the files only their subforms are looked for."""
        vendor = mapping.options.get("export", "")
        if vendor not in VENDORS:
            raise UsageError(
                N_("The export files of {vendor} are not known; known are those of {known}."),
                vendor=vendor or "-",
                known=", ".join(VENDORS),
            )
        self._vendor, self.mapping = vendor, mapping
        self._find(where)
        language = mapping.options.get("language", "en")
        seen: list[Seen] = []
        for name, entry in mapping.objects.items():
            shown, path = self.files[name][0]
            columns: tuple[str, ...] = ()
            main, title = _rows_of(entry)
            if vendor == "jiandaoyun":
                wanted = {t for e in mapping.objects.values() for m, t in [_rows_of(e)] if t and m == (main or name)}
                found = self._look(
                    shown, path, scratch, self.encoding or entry.encoding, self.delimiter or _delimiter(entry.delimiter),
                    self.sheet or entry.sheet,
                )  # fmt: skip
                key = entry.key_columns[0]
                groups = dict(found.subforms) or subforms.dotted(found.columns, found.rows, key, sure=frozenset(wanted))
                if title is not None and title not in groups:
                    raise SchemaMismatchError(N_("{file} has no subform {title}."), file=shown, title=title)
                self.groups[main or name] = groups
                inside = {c for inner in groups.values() for c in inner}
                columns = (key, ROW, *groups[title]) if title else tuple(c for c in found.columns if c not in inside)
            seen.append(Seen(name, [f for f, _ in self.files[name]], [], language, entry, [], columns, [], main, title))
        known = layout(vendor)
        return ExportProposal(mapping, vendor, known.name, known.ids, tuple(seen))

    # ------------------------------------------------------------------ reading

    @property
    def part_type(self) -> type[_Part]:
        """How one file is read."""
        return ExportPart

    def encoding_for(self, entry: ObjectMapping, shown: str) -> str | None:
        """Return the declared encoding, or the one that the header told."""
        return self.encoding or self._encodings.get(shown) or entry.encoding

    def load(self, entry: ObjectMapping, writer: TableWriter, intake: Intake) -> None:
        """Read all files of one object, and check its ids."""
        super().load(entry, writer, intake)
        found: list[Remark] = []
        for column in dict.fromkeys((*entry.key_columns, *entry.parents)):
            if column != ROW:
                found += check_ids(writer, column, shape=self.proposal.ids, vendor=self.proposal.vendor_name)
        found += check_numbers(writer)
        if self.seen[entry.name].subform is None:
            found += check_links(writer)
        self._remarks[entry.name] = found  # anew where an object is read a second time

    @property
    def remarks(self) -> list[Remark]:
        """What loading has shown."""
        return [remark for found in self._remarks.values() for remark in found]


def _rows_of(entry: ObjectMapping) -> tuple[str | None, str | None]:
    """Return object and title where an object is a subform: its key ends in the number of the row, its table is the title."""
    if len(entry.key_columns) < 2 or entry.key_columns[-1] != ROW:
        return None, None
    return entry.parents.get(entry.key_columns[0]), entry.source


def _subforms(seen: Peek, found: Found) -> dict[str, tuple[str, ...]]:
    if found.layout.vendor != "jiandaoyun":
        return {}
    return dict(seen.subforms) or subforms.dotted(seen.columns, seen.rows, found.key)
