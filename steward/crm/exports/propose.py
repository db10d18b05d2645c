"""Makes the mapping of recognised export files, and says of each object what was used, why, and what was left out.

The mapping says ``system = "files"``: its records can be read and scored, and nothing is ever written back through it.

Left to others: telling what a file is (``steward.crm.exports.recognise``), its text (``steward.crm.exports.written``),
reading the files (``steward.store.exports``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from steward.crm.exports.dates import choose
from steward.crm.exports.layouts import Names, assumed
from steward.crm.exports.recognise import Found, key_of
from steward.crm.mapping import FORMAT, Mapping, ObjectMapping, OnDelete, OpenWhen, SoftDelete
from steward.errors import SchemaMismatchError, UsageError
from steward.messages import N_

ROW = "#"
"""Column with the number of a subform's row in its record."""

Remark = tuple[str, dict[str, str]]
"""A sentence's template and its facts."""


@dataclass(frozen=True, slots=True)
class Part:
    """One recognised file.

    Attributes
    ----------
    shown : str
        Its name.
    found : Found
    sample : sequence of mapping of str to str or None
        Some of its rows.
    subforms : mapping of str to tuple of str
        Subform → its columns, where rows of a subform stand below their record.
    """

    shown: str
    found: Found
    sample: Sequence[MappingABC[str, str | None]] = ()
    subforms: MappingABC[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class Seen:
    """What became of one object, for people.

    Attributes
    ----------
    name : str
        Object of the mapping.
    files, by : list of str
        Its files, and the headers it was told by.
    language : str
    entry : ObjectMapping
    rest : list of str
        Columns that are kept as text and that no word of the mapping names.
    remarks : list of Remark
        What was left out or taken for true, and why.
    subform_of, subform : str or None
        Object and title, where the object is a subform.
    columns : tuple of str
        Its columns in the file.
    """

    name: str
    files: list[str]
    by: list[str]
    language: str
    entry: ObjectMapping
    rest: list[str]
    columns: tuple[str, ...]
    remarks: list[Remark] = field(default_factory=list)
    subform_of: str | None = None
    subform: str | None = None


@dataclass(frozen=True, slots=True)
class ExportProposal:
    """A mapping of export files with its reasons."""

    mapping: Mapping
    vendor: str
    vendor_name: str
    ids: str
    seen: tuple[Seen, ...]

    @property
    def assumed(self) -> list[str]:
        """What was taken for true without proof, as English sentences."""
        return assumed(self.vendor, self.seen[0].language, (s.entry for s in self.seen))


def propose_exports(
    parts: Sequence[Part], *, key: str | None = None, tenant: str = "local", environment: str = "files"
) -> ExportProposal:
    """Propose the mapping of recognised files.

    Parameters
    ----------
    parts : sequence of Part
    key : str, optional
        Column of the id, said by a person; for all files.
    tenant, environment : str
        Whose records these are.

    Raises
    ------
    UsageError
        Files of more than one vendor.
    SchemaMismatchError
        A file without ids.
    """
    layouts = {p.found.layout.vendor: p.found.layout for p in parts}
    if len(layouts) != 1:
        raise UsageError(
            N_("These are exports of more than one CRM: {vendors}."),
            next_step=N_("Take each into a workspace of its own."),
            vendors=", ".join(entry.name for entry in layouts.values()),
        )
    (entry,) = layouts.values()
    groups: dict[tuple[str, frozenset[str]], list[Part]] = {}
    for part in parts:
        # Two forms of one kind are two objects; two files of one module are one, and must have the same columns.
        columns = frozenset(part.found.headers.columns) if entry.vendor == "jiandaoyun" else frozenset()
        groups.setdefault((part.found.object, columns), []).append(part)
    names = _names([group[0] for group in groups.values()])
    of_kind = {kind: name for (kind, _), name in reversed(list(zip(groups, names, strict=True)))}
    seen: list[Seen] = []
    for name, group in zip(names, groups.values(), strict=True):
        seen += _object(name, group, of_kind, key)
    objects = {s.name: s.entry for s in seen}
    mapping = Mapping(
        format=FORMAT, system="files", tenant=tenant, environment=environment, objects=objects,
        options={"export": entry.vendor, "language": seen[0].language},
    )  # fmt: skip
    return ExportProposal(mapping, entry.vendor, entry.name, entry.ids, tuple(seen))


def _names(parts: Sequence[Part]) -> list[str]:
    """Return an object name for each part: the layout's; a form of no known kind is named after its file."""
    given: list[str] = []
    for part in parts:
        name = part.found.object
        if name == "form":
            plain = re.sub(r"[^a-z0-9]+", "_", part.shown.rsplit("/", 1)[-1].split(".")[0].lower()).strip("_")[:50]
            name = plain if plain and plain[0].isalpha() else "form"
        base, n = name, 2
        while name in given:
            name, n = f"{base}_{n}", n + 1
        given.append(name)
    return given


def _object(name: str, group: Sequence[Part], of_kind: MappingABC[str, str], key: str | None) -> list[Seen]:
    part = group[0]
    found, layout = part.found, part.found.layout
    for other in group:
        if key is None:
            key_of(other.found, shown=other.shown)
        elif key not in other.found.headers.columns:
            raise SchemaMismatchError(
                N_("{file} has no column {column}."),
                next_step=N_("Name a column of the file with --id."),
                file=other.shown,
                column=key,
            )
    rows = [row for p in group for row in p.sample]
    remarks: list[Remark] = []
    own = key or key_of(found, shown=part.shown)
    rows_below = next((p.subforms for p in group if p.subforms), {})
    inside = {c for columns in rows_below.values() for c in columns}
    find = found.headers.find
    entry = found.entry
    parents, on_delete = _parents(found, name, own, of_kind, remarks)
    words = {
        "created": find(layout.created), "modified": find(layout.modified), "owner": find(entry.owner),
        "event": find(entry.event), "amount": find(entry.amount),
    }  # fmt: skip
    for word, sentence in (
        ("created", N_("There is no column that says when a record was made.")),
        ("modified", N_("There is no column that says when a record was last changed.")),
    ):
        if words[word] is None:
            remarks.append((sentence, {}))
    dated = [c for c in (words["created"], words["modified"], words["event"], *found.headers.every(layout.dates)) if c]
    mapped = ObjectMapping(
        name=name,
        files=tuple(p.shown for p in group),
        key=own.replace("+", "\\+"),
        role=entry.role,
        label=tuple(dict.fromkeys(c for n in entry.label if (c := find(n)) is not None)),
        parents=parents,
        on_delete=on_delete,
        dates=_dates(dict.fromkeys(dated), rows, layout.formats, remarks),
        soft_delete=_soft_delete(found, rows, remarks),
        open_when=_open_when(found),
    )
    mapped = msgspec.structs.replace(mapped, **{word: column for word, column in words.items() if column not in (None, own)})
    unfollowed = find(entry.unfollowed)
    if unfollowed is not None:
        remarks.append(
            (N_("{column} refers to records of several objects; that link is not followed."), {"column": unfollowed})
        )
    named = _named(mapped)
    columns = tuple(c for c in found.headers.columns if c not in inside)
    by = list(dict.fromkeys(c for p in group for c in p.found.by))
    first = Seen(
        name, [p.shown for p in group], by, found.language, mapped, [c for c in columns if c not in named], columns, remarks
    )
    children = [_subform(first, title, inner, n) for n, (title, inner) in enumerate(rows_below.items(), 1)]
    return [first, *children]


def _subform(parent: Seen, title: str, columns: tuple[str, ...], number: int) -> Seen:
    """Return the object of a subform: its rows, each named by its record and its place there."""
    name = f"{parent.name}_rows" if number == 1 else f"{parent.name}_rows_{number}"
    key = parent.entry.key
    plain = parent.entry.key_columns[0]
    entry = ObjectMapping(
        name=name, table=title, files=parent.entry.files, key=f"{key}+{ROW}", role="other", label=columns[:2], parents={plain: parent.name},
        on_delete={plain: "cascade"},
    )  # fmt: skip
    remark = (N_("Rows of the subform {title}, each named by its record and its place there."), {"title": title})
    return Seen(
        name,
        parent.files,
        [title],
        parent.language,
        entry,
        list(columns[2:]),
        (plain, ROW, *columns),
        [remark],
        parent.name,
        title,
    )


def _parents(
    found: Found, name: str, key: str, of_kind: MappingABC[str, str], remarks: list[Remark]
) -> tuple[dict[str, str], dict[str, OnDelete]]:
    parents: dict[str, str] = {}
    on_delete: dict[str, OnDelete] = {}
    for parent in found.entry.parents:
        column, named = found.headers.find(parent.column), found.headers.find(parent.named)
        target = name if parent.to == found.object else of_kind.get(parent.to)
        if column is None or column == key:
            if named is not None and named not in found.by:
                remarks.append(
                    (N_("{column} names the {parent} but holds no id; that link is not followed."), {"column": named, "parent": parent.to})
                )  # fmt: skip
        elif target is None:
            remarks.append(
                (N_("{column} refers to {parent}, of which no file was given; that link is not followed."), {"column": column, "parent": parent.to})
            )  # fmt: skip
        else:
            parents[column], on_delete[column] = target, parent.on_delete
    return parents, on_delete


def _dates(
    columns: MappingABC[str, object],
    rows: Sequence[MappingABC[str, str | None]],
    preferred: Sequence[str],
    remarks: list[Remark],
) -> dict[str, str]:
    dates: dict[str, str] = {}
    for column in columns:
        chosen = choose((row.get(column) for row in rows), preferred=preferred)
        if chosen.formats is not None:
            dates[column] = chosen.formats
        elif chosen.ambiguous:
            remarks.append(
                (
                    N_("{column} could be day/month or month/day, and stays text. Say which it is in 'dates' of a mapping."),
                    {"column": column},
                )
            )
        elif chosen.unread:
            remarks.append((N_("{column} holds dates in a form that is not known, and stays text."), {"column": column}))
    return dates


def _soft_delete(found: Found, rows: Sequence[MappingABC[str, str | None]], remarks: list[Remark]) -> SoftDelete | None:
    mark = found.layout.soft_delete
    if mark is None:
        return None
    column = found.headers.find(mark.column)
    if column is None:
        remarks.append(
            (N_("Without the column {column} deleted records cannot be told from live ones."), {"column": _first(mark.column, found.language)})
        )  # fmt: skip
        return None
    known = [value for language in (found.language, *mark.deleted) for value in mark.deleted.get(language, ())]
    there = {row.get(column) for row in rows}
    deleted = next((value for value in known if value in there), known[0])
    return SoftDelete(column=column, deleted=deleted)


def _first(names: Names, language: str) -> str:
    return next(iter(names.get(language, ())), "") or next(name for group in names.values() for name in group)


def _open_when(found: Found) -> OpenWhen | None:
    states = found.entry.open_when
    column = found.headers.find(states.column) if states is not None else None
    return OpenWhen(column=column, not_in=states.not_in) if states is not None and column is not None else None


def _named(entry: ObjectMapping) -> set[str]:
    """Return every column that a word of the mapping names."""
    words = (entry.created, entry.modified, entry.owner, entry.event, entry.amount)
    named = {*entry.key_columns, *entry.label, *entry.parents, *entry.dates, *(w for w in words if w)}
    named |= {rule.column for rule in (entry.open_when, entry.soft_delete) if rule is not None}
    return named


def with_encoding(proposal: ExportProposal, encodings: MappingABC[str, str]) -> ExportProposal:
    """Return the proposal with the encodings that were told by the headers written into its objects."""
    objects = {
        name: msgspec.structs.replace(entry, encoding=found)
        if (found := next((encodings[f] for f in entry.files if f in encodings), None))
        else entry
        for name, entry in proposal.mapping.objects.items()
    }
    mapping = msgspec.structs.replace(proposal.mapping, objects=objects)
    return ExportProposal(mapping, proposal.vendor, proposal.vendor_name, proposal.ids, proposal.seen)
