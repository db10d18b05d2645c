"""One vendor's export file while it is read; a file with subforms is cut into records and the rows below them.

Left to others: which files and which columns (``steward.store.exports``), the cutting (``steward.store.subforms``), files
without subforms (``steward.store.source``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Protocol, cast

from steward.crm.exports.propose import ROW, Seen
from steward.errors import SchemaMismatchError, SnapshotError
from steward.messages import N_
from steward.store import delimited, subforms
from steward.store import xlsx as sheets
from steward.store.encodings import Encoding
from steward.store.peek import header_of_book
from steward.store.source import _Batch, _delimiter, _Part


class Cutting(Protocol):
    """What a source of export files knows of their subforms.

    Attributes
    ----------
    seen : mapping of str to Seen
        Object → its columns, and whether it is a subform.
    groups : mapping of str to mapping of str to tuple of str
        Object of the records → subform → its columns.
    """

    seen: Mapping[str, Seen]
    groups: Mapping[str, Mapping[str, tuple[str, ...]]]

    def is_form(self, columns: Sequence[str]) -> bool:
        """Whether a header is one of a form builder."""
        ...


class ExportPart(_Part):
    """One export file while it is read; one with subforms is cut into records and their rows."""

    @property
    def _export(self) -> Cutting:
        return cast(Cutting, self.source)

    @property
    def _seen(self) -> Seen:
        return self._export.seen[self.entry.name]

    @property
    def _groups(self) -> Mapping[str, tuple[str, ...]]:
        """Subforms of this file: of the record's own object and of its rows alike."""
        return self._export.groups.get(self._seen.subform_of or self.entry.name, {})

    def _fast(self, encoding: Encoding, shape: delimited.Shape) -> bool:
        return False if self._groups else super()._fast(encoding, shape)

    def _delimited(self) -> None:
        if not self._groups:
            super()._delimited()
            return
        encoding = self._characters()
        path = self.reading.path
        declared = self.source.delimiter or _delimiter(self.entry.delimiter) or ("\t" if self.suffix == ".tsv" else None)
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

        self._cut(rows(), shape.columns)
        if size != self.reading.size:
            raise SnapshotError(N_("{file} was not read to its end."), file=self.shown)

    def _xlsx(self) -> None:
        if not self._groups:
            super()._xlsx()
            return
        with sheets.Xlsx(self.reading.path, shown=self.shown) as book, ExitStack() as stack:
            sheet = book.choose(self.source.sheet or self.entry.sheet)
            names, _, skipped = header_of_book(book, sheet, self._export.is_form)
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

            self._cut(rows(), tuple(names.values()))

    def _cut(self, rows: Iterator[tuple[int, subforms.Row] | delimited.Broken], columns: Sequence[str]) -> None:
        """Load what belongs to this object; lines that belong to none are rejects of the record's own object."""
        seen = self._seen
        key = self.entry.key_columns[0]
        odd = [c for c in seen.columns if c != ROW and c not in columns]
        if odd:
            raise SchemaMismatchError(
                N_("{file} has other columns than the files of {object} before it: {columns}."),
                next_step=N_("Give files with other columns to an object of their own."),
                file=self.shown, object=self.entry.name, columns=", ".join(odd[:10]),
            )  # fmt: skip
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
