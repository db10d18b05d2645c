"""Export files as a source: which file belongs to which object, and each row accounted for.

Left to others: the formats (``delimited``, ``bulk``, ``json_files``, ``parquet``, ``xlsx``), the transaction (``intake``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
import pyarrow as pa

from steward.crm.mapping import FORMAT, Mapping, ObjectMapping, Role
from steward.errors import SchemaMismatchError, SnapshotError, UsageError
from steward.messages import N_
from steward.store import bulk, delimited, encodings, json_files, parquet
from steward.store import xlsx as sheets
from steward.store.encodings import Encoding
from steward.store.guess import guess_label, guess_role, object_name
from steward.store.intake import FileEntry, Intake
from steward.store.model import Reject
from steward.store.raw import RawFile, keep, look, scratch, unzip
from steward.store.writing import TableWriter

SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".parquet", ".json", ".ndjson", ".jsonl")
"""What a folder is searched for; each also with ``.gz``."""

BATCH = 20_000
"""Rows held in memory at once."""


class FileSource:
    """Export files of one CRM.

    Parameters
    ----------
    where : Path or sequence of Path
        A folder (with ``mapping``), or files.
    mapping : Mapping, optional
        Which files are which objects. Without one, ``key`` is needed and every file is an object named after it.
    key : str, optional
        Column of the id; several joined by ``+``.
    object : str, optional
        Name of the object that all files are parts of.
    role : str, optional
        By default guessed from the headers: ``person`` or ``company`` where they name one, else ``other``.
    encoding, delimiter, sheet : str, optional
        Declared instead of recognised.
    tenant, environment : str
        Without a mapping: whose records these are.
    duplicate_ids : {'refuse', 'reject'}
        What happens to rows that share an id: the file is refused, or every such row becomes a reject.

    Raises
    ------
    UsageError
        No file, or neither mapping nor key.
    """

    connector_version = "files/1"

    def __init__(
        self,
        where: Path | str | Sequence[Path | str],
        mapping: Mapping | None = None,
        *,
        key: str | None = None,
        object: str | None = None,
        role: Role | None = None,
        encoding: str | None = None,
        delimiter: str | None = None,
        sheet: str | None = None,
        tenant: str = "local",
        environment: str = "files",
        duplicate_ids: str = "refuse",
    ) -> None:
        self.encoding, self.delimiter, self.sheet = encoding, _delimiter(delimiter), sheet
        if duplicate_ids not in ("refuse", "reject"):
            raise ValueError("duplicate_ids is 'refuse' or 'reject'")
        self.duplicate_ids = duplicate_ids
        paths = [Path(where)] if isinstance(where, str | Path) else [Path(p) for p in where]
        if not paths:
            raise UsageError(N_("No file was given."))
        for path in paths:
            if not path.exists():
                raise UsageError(N_("There is no file {file}."), file=path.name)
        self.files: dict[str, list[tuple[str, Path]]] = {}
        self._unmapped, self._role = mapping is None, role
        if mapping is not None:
            self.mapping = mapping
            self._find(paths)
        else:
            if key is None:
                raise UsageError(
                    N_("Which column is the id? Name it with --id COLUMN, or give a mapping with --mapping."),
                    next_step=N_("Without an id nothing could ever be deleted or merged safely."),
                )
            self.mapping = self._without_mapping(paths, key, object, role, tenant, environment)

    # ------------------------------------------------------------------ which files

    def _find(self, paths: list[Path]) -> None:
        folder = paths[0] if len(paths) == 1 and paths[0].is_dir() else None
        for name, entry in self.mapping.objects.items():
            patterns = entry.files or tuple(f"{entry.source}{s}{z}" for s in SUFFIXES for z in ("", ".gz"))
            if folder is None:
                found = [p for p in paths if any(p.name == pattern or p.match(pattern) for pattern in patterns)]
                shown = [(p.name, p) for p in found]
            else:
                shown = [(p.relative_to(folder).as_posix(), p) for p in _inside(folder, patterns)]
            if not shown:
                raise SchemaMismatchError(
                    N_("No file was found for {object}; looked for {patterns}."),
                    next_step=N_("Put the file there, correct 'files' in the mapping, or take the object out of it."),
                    object=name, patterns=", ".join(patterns[:4]),
                )  # fmt: skip
            self.files[name] = shown
        if folder is None:
            used = {p for files in self.files.values() for _, p in files}
            left = [p.name for p in paths if p not in used]
            if left:
                raise UsageError(N_("The mapping does not say what {files} is."), files=", ".join(left))

    def _without_mapping(
        self, paths: list[Path], key: str, object: str | None, role: Role | None, tenant: str, environment: str
    ) -> Mapping:
        files: list[Path] = []
        for path in paths:
            files += sorted(p for p in path.iterdir() if _readable(p)) if path.is_dir() else [path]
        if not files:
            raise UsageError(N_("The folder {folder} holds no export files."), folder=paths[0].name)
        for path in files:
            name = object_name(object or path.name.split(".")[0])
            shown = path.name
            mine = self.files.setdefault(name, [])
            if any(shown == other for other, _ in mine):
                shown = f"{path.parent.name}/{path.name}"
            mine.append((shown, path))
        objects = {}
        for name, mine in self.files.items():
            # Role and label are settled by the header, which is looked at when the file is read.
            objects[name] = ObjectMapping(key=key, role=role or "other", files=tuple(s for s, _ in mine), name=name)
        return Mapping(format=FORMAT, system="files", tenant=tenant, environment=environment, objects=objects)

    def _settle(self, entry: ObjectMapping, columns: Sequence[str]) -> None:
        """Without a mapping: fill in role and label from the header."""
        if not self._unmapped:
            return
        role = guess_role(columns) if self._role is None else self._role
        settled = msgspec.structs.replace(entry, role=role, label=guess_label(columns, role))
        self.mapping = msgspec.structs.replace(self.mapping, objects={**self.mapping.objects, entry.name: settled})

    # ------------------------------------------------------------------ reading

    @property
    def part_type(self) -> type[_Part]:
        """How one file is read."""
        return _Part

    def encoding_for(self, entry: ObjectMapping, shown: str) -> str | None:
        """Return the encoding that was declared for a file; None where it has to be recognised."""
        return self.encoding or entry.encoding

    def load(self, entry: ObjectMapping, writer: TableWriter, intake: Intake) -> None:
        """Read all files of one object. See :class:`steward.store.intake.LoadsItself`."""
        for shown, path in self.files[entry.name]:
            with ExitStack() as stack:
                raw = keep(path, intake.folder)
                reading, inner = raw, raw.name
                if raw.head.startswith(b"\x1f\x8b"):
                    unpacked = stack.enter_context(scratch(intake.folder, ".unpacked"))
                    unzip(raw, unpacked)
                    inner = raw.name.removesuffix(".gz")
                    reading = look(unpacked, inner)
                part = self.part_type(self, entry, writer, intake, shown, raw, reading, inner)
                part.read()
        if self.duplicate_ids == "reject":
            _reject_repeated(writer, intake)


class _Part:
    """One file of one object while it is read."""

    def __init__(
        self, source: FileSource, entry: ObjectMapping, writer: TableWriter, intake: Intake, shown: str, raw: RawFile,
        reading: RawFile, inner: str,
    ) -> None:  # fmt: skip
        self.source, self.entry, self.writer, self.intake = source, entry, writer, intake
        self.shown, self.raw, self.reading = shown, raw, reading
        self.suffix = Path(inner).suffix.lower()
        self.loaded = 0
        self.rejected = 0
        self.rows = 0
        self.encoding: str | None = None
        self.delimiter: str | None = None
        self.kind = ""

    def read(self) -> None:
        head = self.reading.head
        if head.startswith(b"PAR1"):
            self.kind = "parquet"
            self._parquet()
        elif head.startswith(b"PK\x03\x04"):
            self.kind = "xlsx"
            self._xlsx()
        elif head.startswith(b"\xd0\xcf\x11\xe0"):
            raise SnapshotError(
                N_("{file} is an old or a protected Office file."),
                next_step=N_("Save it as XLSX or CSV, without a password."),
                file=self.shown,
            )
        elif self.suffix in (".xlsx", ".parquet"):
            raise SnapshotError(N_("{file} is not what its name says."), next_step=N_("Export it again."), file=self.shown)
        elif self.suffix in (".json", ".ndjson", ".jsonl"):
            self.kind = "json"
            self._json()
        else:
            self.kind = "delimited"
            self._delimited()
        if self.rows != self.loaded + self.rejected:
            raise SnapshotError(
                N_("{file} has {rows} rows, but {loaded} were loaded and {rejected} rejected; nothing was kept."),
                next_step=N_("Report this as a defect, if you can with the file."),
                file=self.shown, rows=self.rows, loaded=self.loaded, rejected=self.rejected,
            )  # fmt: skip
        self.intake.files.append(
            FileEntry(
                self.entry.name, self.shown, self.raw.sha256, self.raw.size, self.kind, self.encoding, self.delimiter,
                self.rows, self.loaded, self.rejected,
            )
        )  # fmt: skip

    # ------------------------------------------------------------------ formats

    def _characters(self) -> Encoding:
        """The encoding of a text file; recognised, declared, or asked for."""
        found = characters_of(self.reading, self.source.encoding_for(self.entry, self.shown), self.shown)
        self.encoding = found.name
        return found

    def _start(self, columns: Sequence[str]) -> None:
        self.writer.start(columns, where=self.shown)
        self.source._settle(self.entry, columns)

    def _delimited(self) -> None:
        encoding = self._characters()
        path = self.reading.path
        declared = self.source.delimiter or _delimiter(self.entry.delimiter) or ("\t" if self.suffix == ".tsv" else None)
        shape = delimited.shape_of(path, encoding, declared, shown=self.shown)
        self.delimiter = shape.delimiter
        self.intake.notes += shape.notes
        self._start(shape.columns)
        if not self._fast(encoding, shape):
            self._line_by_line(encoding, shape)
        if self.rows == 0:
            raise SchemaMismatchError(N_("{file} has a header and no rows."), file=self.shown)

    def _fast(self, encoding: Encoding, shape: delimited.Shape) -> bool:
        raw = self.reading
        clean = encoding.name == "utf-8" and raw.utf8 and not raw.zeros and shape.skip == 1 and len(shape.columns) > 1
        if not clean or raw.size < bulk.LARGE or self.intake.careful:
            return False
        loaded = bulk.load_fast(self.writer, raw.path, shape, self.shown)
        if loaded is None:
            return False
        self.rows = self.loaded = loaded
        self.intake.progress(loaded)
        return True

    def _line_by_line(self, encoding: Encoding, shape: delimited.Shape) -> None:
        lines = delimited.lines_of(self.reading.path, encoding, shown=self.shown)
        bytes_seen = encoding.bom

        def counted() -> Iterator[delimited.Line]:
            nonlocal bytes_seen
            for line in lines:
                bytes_seen += len(line.raw)
                if line.number > shape.skip:
                    yield line

        keys = [shape.columns.index(k) for k in self.entry.key_columns]
        batch = _Batch(self, shape.columns)
        for item in delimited.records(counted(), shape.delimiter, len(shape.columns), shown=self.shown):
            self.rows += 1
            if isinstance(item, delimited.Broken):
                self._reject(item.line, item.problem, item.text, item.raw)
            elif any(item.values[k] in (None, "") for k in keys):
                self._reject(item.line, N_("has no id"), shape.delimiter.join(v or "" for v in item.values))
            else:
                batch.add(item.line, item.values)
        batch.flush()
        if bytes_seen != self.reading.size:  # every byte belongs to the header, a row, a reject or a blank line
            raise SnapshotError(N_("{file} was not read to its end."), file=self.shown)

    def _json(self) -> None:
        encoding = self._characters()
        names: dict[str, None] = {}
        for item in json_files.objects_of(self.reading.path, encoding, shown=self.shown):
            if not isinstance(item, delimited.Broken):
                names.update(dict.fromkeys(item[1]))
        if not names:
            raise SchemaMismatchError(N_("{file} holds no JSON object that can be read."), file=self.shown)
        columns = tuple(names)
        self._start(columns)
        batch = _Batch(self, columns)
        for item in json_files.objects_of(self.reading.path, encoding, shown=self.shown):
            self.rows += 1
            if isinstance(item, delimited.Broken):
                self._reject(item.line, item.problem, item.text, item.raw)
            elif any(item[1].get(k) in (None, "") for k in self.entry.key_columns):
                self._reject(item[0], N_("has no id"), json.dumps(item[1], ensure_ascii=False))
            else:
                batch.add(item[0], [item[1].get(name) for name in columns])
        batch.flush()

    def _parquet(self) -> None:
        columns, rows = parquet.columns_of(self.reading.path, self.entry.key_columns, shown=self.shown)
        self._start(columns)
        if rows == 0:
            raise SchemaMismatchError(N_("{file} has a header and no rows."), file=self.shown)
        keys = self.entry.key_columns
        batch = _Batch(self, columns)
        for first, values in parquet.batches(self.reading.path, columns, shown=self.shown):
            for place, row in enumerate(zip(*(values[c] for c in columns), strict=True)):
                cells = dict(zip(columns, row, strict=True))
                if any(cells[k] in (None, "") for k in keys):
                    self._reject(first + place, N_("has no id"), json.dumps(cells, ensure_ascii=False))
                elif any(v is not None and "\0" in v for v in row):
                    self._reject(first + place, N_("holds a zero character"), json.dumps(cells, ensure_ascii=False))
                else:
                    batch.add(first + place, list(row))
        batch.flush()
        self.rows = rows

    def _xlsx(self) -> None:
        keys = self.entry.key_columns
        with sheets.Xlsx(self.reading.path, shown=self.shown) as book, ExitStack() as stack:
            rows = stack.enter_context(closing(book.rows(book.choose(self.source.sheet or self.entry.sheet))))
            names, places, _ = sheets.header_of(rows, self.shown)
            self._start(names)
            batch = _Batch(self, names)
            for number, cells in rows:
                self.rows += 1
                by_name = {name: cells[place] for name, place in zip(names, places, strict=True) if place in cells}
                sheets.refuse_damaged_ids(names, keys, number, by_name, self.shown)
                text = json.dumps({str(place): value for place, (_, value) in cells.items()}, ensure_ascii=False)
                if any(value not in (None, "") for place, (_, value) in cells.items() if place not in places):
                    self._reject(number, N_("has more values than the header"), text)
                elif any(by_name.get(k, ("", None))[1] in (None, "") for k in keys):
                    self._reject(number, N_("has no id"), text)
                elif any(value is not None and "\0" in value for _, value in cells.values()):
                    self._reject(number, N_("holds a zero character"), text)
                else:
                    batch.add(number, [by_name[n][1] if n in by_name else None for n in names])
            batch.flush()
        if self.rows == 0:
            raise SchemaMismatchError(N_("{file} has a header and no rows."), file=self.shown)

    def _reject(self, line: int, problem: str, text: str, raw: bytes | None = None) -> None:
        self.rejected += 1
        self.intake.rejects.append(
            Reject(
                self.entry.name,
                self.shown,
                line,
                problem,
                text.encode("utf-8", "backslashreplace").decode(),
                text.encode("utf-8", "surrogatepass") if raw is None else raw,
            )
        )


class _Batch:
    """Rows on their way into the table."""

    def __init__(self, part: _Part, columns: Sequence[str]) -> None:
        self.part, self.columns = part, columns
        self.values: list[list[str | None]] = []
        self.lines: list[int] = []

    def add(self, line: int, values: list[str | None]) -> None:
        self.values.append(values)
        self.lines.append(line)
        if len(self.lines) >= BATCH:
            self.flush()

    def flush(self) -> None:
        if not self.lines:
            return
        by_column = dict(zip(self.columns, zip(*self.values, strict=True), strict=True))
        try:
            self.part.writer.append(by_column, file=self.part.shown, lines=self.lines)
        except (UnicodeEncodeError, pa.ArrowInvalid):
            raise SnapshotError(
                N_("{file} holds text that is no valid Unicode (lone surrogates); it cannot be kept to the last byte."),
                file=self.part.shown,
            ) from None
        self.part.loaded += len(self.lines)
        self.part.intake.progress(len(self.lines))
        self.values, self.lines = [], []


def _reject_repeated(writer: TableWriter, intake: Intake) -> None:
    """Turn every row that shares its id with another into a reject."""
    for file, line, identifier in writer.take_out_repeated():
        intake.rejects.append(
            Reject(writer.entry.name, file, line, N_("shares its id with another row"), identifier, identifier.encode())
        )
        for entry in intake.files:
            if (entry.object, entry.file) == (writer.entry.name, file):
                entry.rows_loaded -= 1
                entry.rejects += 1


def characters_of(reading: RawFile, wanted: str | None, shown: str) -> Encoding:
    """Return how a text file is read.

    Parameters
    ----------
    wanted : str or None
        Declared; None recognises it.
    shown : str
        The file's name, for messages.

    Raises
    ------
    UsageError, EncodingUnknownError, SnapshotError
        No such encoding; several are plausible; the file is binary.
    """
    head = reading.head
    if wanted:
        return encodings.declared(wanted, head)
    recognised = encodings.marked(head) or encodings.by_zero_bytes(head, shown)
    if recognised is None and reading.utf8:
        recognised = Encoding("utf-8", 0, "strict")
    return recognised or encodings.weigh(_foreign_lines(reading.path), shown)


def _foreign_lines(path: Path) -> Iterable[bytes]:
    with path.open("rb") as reading:
        for line in reading:
            if not line.isascii():
                yield line


def _readable(path: Path) -> bool:
    name = path.name.lower().removesuffix(".gz")
    return path.is_file() and not name.startswith((".", "~$")) and name.endswith(SUFFIXES)


def _inside(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """Files of the folder by exact name or pattern, never outside of it."""
    found: dict[Path, None] = {}
    for pattern in patterns:
        exact = folder / pattern
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            raise SchemaMismatchError(N_("The mapping names {file}, which is outside of its folder."), file=pattern)
        if exact.is_file():  # also a name with [ ] in it
            found[exact] = None
        else:
            found.update(dict.fromkeys(sorted(p for p in folder.glob(pattern) if p.is_file())))
    return list(found)


def _delimiter(text: str | None) -> str | None:
    if text is None:
        return None
    named = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}.get(text.lower(), text)
    if len(named) != 1 or re.match(r'[\w"\r\n]', named):
        raise UsageError(
            N_("{delimiter} is no delimiter; name one character, or: comma, semicolon, tab, pipe."), delimiter=text
        )
    return named
