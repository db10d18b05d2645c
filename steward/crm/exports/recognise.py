"""Tells by its headers which vendor exported a file, of which object and in which language, and why.

A file fits a vendor's object where of each group of headers that the vendor and the object need one is there. Of a vendor's
objects the first that fits is meant; where two vendors fit nobody guesses.

Left to others: the headers (``steward.crm.exports.layouts``), what follows from it (``steward.crm.exports.propose``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from steward.crm.exports.layouts import IDS_IN, VENDORS, Entry, Layout, Names, layout, plain, spellings
from steward.errors import SchemaMismatchError, UsageError
from steward.messages import N_


@dataclass(frozen=True, slots=True)
class Headers:
    """The header of a file, ready to be compared.

    Attributes
    ----------
    columns : tuple of str
        As they stand in the file.
    by_plain : dict of str to list of str
        Plain form → columns; more than one where they differ in marks or width alone.
    """

    columns: tuple[str, ...]
    by_plain: dict[str, list[str]]

    @classmethod
    def of(cls, columns: Sequence[str]) -> Headers:
        """Prepare a header."""
        found: dict[str, list[str]] = {}
        for column in columns:
            found.setdefault(plain(column), []).append(column)
        return cls(tuple(columns), found)

    def find(self, names: Names) -> str | None:
        """Return the first column with one of these names, the best spelling first."""
        return next((self.by_plain[text][0] for _, text in spellings(names) if text in self.by_plain), None)

    def every(self, names: Names) -> list[str]:
        """Return all columns with one of these names, in the order of the file."""
        wanted = {text for _, text in spellings(names)}
        return [c for c in self.columns if plain(c) in wanted]


@dataclass(frozen=True, slots=True)
class Found:
    """A layout that fits.

    Attributes
    ----------
    layout : Layout
    object : str
    language : str
        ``en``, ``zh`` or ``api``: in which most of the known headers are.
    by : tuple of str
        The columns it was told by.
    key : str or None
        The id column; None where the file has none.
    headers : Headers
    """

    layout: Layout
    object: str
    language: str
    by: tuple[str, ...]
    key: str | None
    headers: Headers

    @property
    def entry(self) -> Entry:
        """What the vendor's layout says of the object."""
        return self.layout.objects[self.object]


@dataclass(frozen=True, slots=True)
class Near:
    """The layout that a file comes nearest to, and what it lacks."""

    layout: Layout
    object: str
    missing: tuple[str, ...]


def fits(columns: Sequence[str], *, vendor: str | None = None, object: str | None = None) -> list[Found]:
    """Return every vendor that a header fits, with its object.

    Parameters
    ----------
    columns : sequence of str
    vendor, object : str, optional
        Only this vendor, only this object. What a person says needs no proof by the vendor's own headers.

    Raises
    ------
    UsageError
        No such vendor or object.
    """
    headers = Headers.of(columns)
    known = {o for name in _vendors(vendor) for o in layout(name).objects}
    if object is not None and object not in known:
        raise UsageError(
            N_("No vendor's export has an object {object}; known are: {known}."), object=object, known=", ".join(sorted(known))
        )
    found = []
    for name in _vendors(vendor):
        entry = layout(name)
        chosen = next((o for o in _objects(entry, object) if _fits(headers, entry, o, said=vendor is not None)), None)
        if chosen is None and vendor is not None:
            chosen = object or ("form" if "form" in entry.objects else None)
        if chosen is not None:
            found.append(_found(headers, entry, chosen))
    return found


def settle(columns: Sequence[str], *, shown: str, vendor: str | None = None, object: str | None = None) -> Found:
    """Return the one layout that a file fits.

    Parameters
    ----------
    shown : str
        The file's name, for messages.

    Raises
    ------
    UsageError
        It fits none, or more than one: a person has to say.
    """
    found = fits(columns, vendor=vendor, object=object)
    if len(found) == 1:
        return found[0]
    if found:
        first, second = found[0], found[1]
        raise UsageError(
            N_("{file} could be an export of {first} ({by_first}) or of {second} ({by_second})."),
            next_step=N_("Say whose it is, for example with --vendor {vendor}."),
            file=shown, first=first.layout.name, by_first=", ".join(first.by), second=second.layout.name, by_second=", ".join(second.by),
            vendor=first.layout.vendor,
        )  # fmt: skip
    near = nearest(columns, vendor=vendor)
    if near is None:
        raise UsageError(
            N_("{file} is not known as an export of {vendors}, so nobody knows which column is the id."),
            next_step=N_("Name it with --id COLUMN, or say whose export it is with --vendor, or give a mapping with --mapping."),
            file=shown, vendors=", ".join(layout(v).name for v in _vendors(vendor)),
        )  # fmt: skip
    raise UsageError(
        N_("{file} is not known as an export; it comes nearest to {object} of {vendor}, but has no column {missing}."),
        next_step=N_("Name its id with --id COLUMN, or say whose export it is with --vendor and --object, or give a mapping with --mapping."),
        file=shown, object=near.object, vendor=near.layout.name, missing=" / ".join(near.missing[:4]),
    )  # fmt: skip


def key_of(found: Found, *, shown: str) -> str:
    """Return the id column of a file that was recognised.

    Raises
    ------
    SchemaMismatchError
        It has none, or two that differ in marks alone.
    """
    if found.key is None:
        raise SchemaMismatchError(
            N_("{file} is an export of {vendor} ({object}), but holds no ids of its records."),
            next_step=IDS_IN[found.layout.vendor],
            file=shown, vendor=found.layout.name, object=found.object,
        )  # fmt: skip
    twins = found.headers.by_plain[plain(found.key)]
    if len(twins) > 1:
        raise SchemaMismatchError(
            N_("{file} has several columns that could be the id: {columns}."),
            next_step=N_("Rename all but the right one in the file; guessing which is meant could lose records."),
            file=shown, columns=", ".join(twins),
        )  # fmt: skip
    return found.key


def nearest(columns: Sequence[str], *, vendor: str | None = None) -> Near | None:
    """Return the layout that most of the needed headers are there for; None where fewer than two are."""
    headers = Headers.of(columns)
    best: tuple[int, int, Near] | None = None
    for name in _vendors(vendor):
        entry = layout(name)
        for object, part in entry.objects.items():
            groups = (*entry.needs, *part.needs)
            missing = [g for g in groups if headers.find(g) is None]
            there = len(groups) - len(missing)
            if there >= 2 and missing and (best is None or (there, -len(missing)) > best[:2]):
                best = (there, -len(missing), Near(entry, object, tuple(n for _, n in _pairs(missing[0]))))
    return best[2] if best else None


def _pairs(names: Names) -> list[tuple[str, str]]:
    return [(language, name) for language, group in names.items() for name in group]


def _vendors(vendor: str | None) -> tuple[str, ...]:
    if vendor is None:
        return VENDORS
    if vendor not in VENDORS:
        raise UsageError(
            N_("The export files of {vendor} are not known; known are those of {known}."),
            vendor=vendor,
            known=", ".join(VENDORS),
        )
    return (vendor,)


def _objects(entry: Layout, object: str | None) -> tuple[str, ...]:
    if object is None:
        return tuple(entry.objects)
    return (object,) if object in entry.objects else ()


def _fits(headers: Headers, entry: Layout, object: str, *, said: bool) -> bool:
    groups = entry.objects[object].needs if said else (*entry.needs, *entry.objects[object].needs)
    return all(headers.find(group) is not None for group in groups)


def _found(headers: Headers, entry: Layout, object: str) -> Found:
    part = entry.objects[object]
    by = dict.fromkeys(c for group in (*part.needs, *entry.needs) if (c := headers.find(group)) is not None)
    return Found(entry, object, _language(headers, entry, part), tuple(by), headers.find(part.key), headers)


def _language(headers: Headers, entry: Layout, part: Entry) -> str:
    """Return the language in which most of the known headers are."""
    said: Counter[str] = Counter()
    groups = (*entry.needs, *part.needs, part.key, *part.label, part.owner, part.event, entry.created, entry.modified)
    for group in groups:
        said.update({language for language, text in spellings(group) if text in headers.by_plain})
    return max(said, key=lambda language: said[language]) if said else "en"
