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
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import msgspec

from steward.crm.exports.layouts import VENDORS, layout
from steward.crm.exports.propose import ROW, ExportProposal, Part, Remark, Seen, propose_exports, with_encoding
from steward.crm.exports.recognise import Found, fits, settle
from steward.crm.mapping import ObjectMapping, Role
from steward.errors import SchemaMismatchError, SnapshotError, StewardError, UsageError
from steward.messages import N_
from steward.store import delimited, subforms
from steward.store import xlsx as sheets
from steward.store.archive import is_archive, unpack
from steward.store.encodings import Encoding
from steward.store.export_checks import check_ids, check_links, check_numbers
from steward.store.intake import Intake
from steward.store.peek import Peek, header_of_book, peek
from steward.store.source import FileSource, _Batch, _delimiter, _Part, _readable
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
        self._scratch: Path | None = None
        self._own_folder: list[Path] = []
        try:
            parts = self._recognise([Path(w) for w in where], scratch)
            proposal = propose_exports(parts, key=key, tenant=tenant, environment=environment)
        except BaseException:
            self.close()
            raise
        self.proposal: ExportProposal = with_encoding(proposal, self._encodings)
        self.mapping = self.proposal.mapping
        self.seen: dict[str, Seen] = {s.name: s for s in self.proposal.seen}
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
        with tempfile.TemporaryDirectory(dir=self._folder(scratch)) as folder:
            seen = peek(
                path, shown=name, scratch=Path(folder), told=self._told, forms=self._is_form,
                encoding=self.encoding, delimiter=self.delimiter, sheet=self.sheet,
            )  # fmt: skip
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

    def _is_form(self, columns: Sequence[str]) -> bool:
        return any(f.layout.vendor == "jiandaoyun" for f in fits(columns, vendor=self._vendor, object=self._wanted))

    # ------------------------------------------------------------------ reading

    @property
    def part_type(self) -> type[_Part]:
        """How one file is read."""
        return _ExportPart

    def encoding_for(self, entry: ObjectMapping, shown: str) -> str | None:
        """Return the declared encoding, or the one that the header told."""
        return self.encoding or self._encodings.get(shown)

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


def _subforms(seen: Peek, found: Found) -> dict[str, tuple[str, ...]]:
    if found.layout.vendor != "jiandaoyun":
        return {}
    return dict(seen.subforms) or subforms.dotted(seen.columns, seen.rows, found.key)


class _ExportPart(_Part):
    """One export file while it is read; one with subforms is cut into records and their rows."""

    @property
    def _export(self) -> ExportSource:
        if not isinstance(self.source, ExportSource):
            raise TypeError(type(self.source).__name__)
        return self.source

    @property
    def _seen(self) -> Seen:
        return self._export.seen[self.entry.name]

    @property
    def _groups(self) -> dict[str, tuple[str, ...]]:
        """Subforms of this file: of the record's own object and of its rows alike."""
        main = self._seen.subform_of or self.entry.name
        return {
            s.subform: tuple(c for c in s.columns[2:]) for s in self._export.proposal.seen if s.subform_of == main and s.subform
        }

    def _fast(self, encoding: Encoding, shape: delimited.Shape) -> bool:
        return False if self._groups else super()._fast(encoding, shape)

    def _delimited(self) -> None:
        if not self._groups:
            super()._delimited()
            return
        encoding = self._characters()
        path = self.reading.path
        declared = self.source.delimiter or ("\t" if self.suffix == ".tsv" else None)
        shape = delimited.shape_of(path, encoding, declared, shown=self.shown)
        self.delimiter = shape.delimiter
        size = encoding.bom

        def counted() -> Iterator[delimited.Line]:
            nonlocal size
            for line in delimited.lines_of(path, encoding, shown=self.shown):
                size += len(line.raw)
                if line.number > shape.skip:
                    yield line

        def rows() -> Iterator[tuple[int, subforms.Row] | delimited.Broken]:
            for item in delimited.records(counted(), shape.delimiter, len(shape.columns), shown=self.shown):
                if isinstance(item, delimited.Broken):
                    yield item
                else:
                    yield item.line, dict(zip(shape.columns, item.values, strict=True))

        self._cut(rows())
        if size != self.reading.size:
            raise SnapshotError(N_("{file} was not read to its end."), file=self.shown)

    def _xlsx(self) -> None:
        if not self._groups:
            super()._xlsx()
            return
        with sheets.Xlsx(self.reading.path, shown=self.shown) as book, ExitStack() as stack:
            sheet = book.choose(self.source.sheet)
            names, _, skipped = header_of_book(book, sheet, self._export._is_form)
            cells_of = stack.enter_context(closing(book.rows(sheet)))
            key = self.entry.key_columns[0]

            def rows() -> Iterator[tuple[int, subforms.Row] | delimited.Broken]:
                for place, (number, cells) in enumerate(cells_of):
                    if place < skipped:
                        continue
                    by_name = {name: cells[at] for at, name in names.items() if at in cells}
                    sheets.refuse_damaged_ids(tuple(names.values()), (key,), number, by_name, self.shown)
                    texts = [text or "" for _, text in cells.values()]
                    problem = N_("has more values than the header") if set(cells) - set(names) else None
                    problem = N_("holds a zero character") if any("\0" in t for t in texts) else problem
                    if problem is not None:
                        line = ",".join(texts)
                        yield delimited.Broken(number, problem, line, line.encode("utf-8", "surrogatepass"))
                    else:
                        yield number, {name: by_name[name][1] if name in by_name else None for name in names.values()}

            self._cut(rows())

    def _cut(self, rows: Iterator[tuple[int, subforms.Row] | delimited.Broken]) -> None:
        """Load what belongs to this object; lines that belong to none are rejects of the record's own object."""
        seen = self._seen
        key = self.entry.key_columns[0]
        self._start(seen.columns)
        batch = _Batch(self, seen.columns)
        for item in subforms.cut(rows, key, self._groups):
            if isinstance(item, delimited.Broken):
                if seen.subform is None:
                    self.rows += 1
                    self._reject(item.line, item.problem, item.text, item.raw)
            elif seen.subform is None:
                if item.begins:
                    self.rows += 1
                    batch.add(item.number, [item.values.get(c) for c in seen.columns])
            elif seen.subform in item.places:
                self.rows += 1
                whole = {**item.values, key: item.key, ROW: str(item.places[seen.subform])}
                batch.add(item.number, [whole.get(c) for c in seen.columns])
        batch.flush()
        if self.rows == 0 and seen.subform is None:
            raise SchemaMismatchError(N_("{file} has a header and no rows."), file=self.shown)
