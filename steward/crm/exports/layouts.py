"""The layouts of export files, read from the TOML files beside this one, and what they assume.

Left to others: comparing them with a file (``steward.crm.exports.recognise``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib import resources

import msgspec

from steward.crm.mapping import ObjectMapping, OnDelete, Role
from steward.messages import N_

VENDORS = ("copper", "fxiaoke", "jiandaoyun", "zoho")
"""Vendors whose export files are known."""

LANGUAGES = ("en", "zh", "api")
"""Languages of headers; ``api`` are the names that the vendor's programs use."""

Names = dict[str, tuple[str, ...]]
"""Language → the spellings of one column, the best one first."""


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of the parts: immutable, unknown words refused."""


class ParentColumn(_Strict, frozen=True):
    """A column that holds the id of another object's record.

    Attributes
    ----------
    to : str
        Object of the same vendor.
    column : Names
        Columns with the id.
    named : Names
        Columns that hold its name alone; by them no link can be followed.
    on_delete : OnDelete
        ``block`` where the vendor does not say what a deletion does.
    """

    to: str
    column: Names
    named: Names = {}
    on_delete: OnDelete = "block"


class Mark(_Strict, frozen=True):
    """The column that marks a record as deleted, and what stands there, by language."""

    column: Names
    deleted: Names


class States(_Strict, frozen=True):
    """States that end the business."""

    column: Names
    not_in: tuple[str, ...]


class Entry(_Strict, frozen=True):
    """One object of a vendor.

    Attributes
    ----------
    role : Role
    needs : tuple of Names
        Of each of them one column must be there; by these the object is told.
    key : Names
    label : tuple of Names
    owner, event, amount, unfollowed : Names
        ``unfollowed``: columns that refer to records of several objects, which a mapping cannot say.
    parents : tuple of ParentColumn
    open_when : States or None
    """

    role: Role
    needs: tuple[Names, ...]
    key: Names
    label: tuple[Names, ...] = ()
    owner: Names = {}
    event: Names = {}
    amount: Names = {}
    unfollowed: Names = {}
    parents: tuple[ParentColumn, ...] = ()
    open_when: States | None = None


class Layout(_Strict, frozen=True):
    """The export files of one vendor.

    Attributes
    ----------
    vendor, name : str
        Its name in this project, and to people.
    ids : str
        Regular expression of its ids, for a warning; never a reason to refuse.
    needs : tuple of Names
        As in :class:`Entry`, for every object.
    created, modified, dates : Names
        Columns of every object; of ``dates`` all that are there are read as dates.
    formats : tuple of str
        ``strptime`` formats that the vendor is known for; they decide where several would fit.
    soft_delete : Mark or None
    objects : dict of str to Entry
        The more particular ones first: the first that fits is meant.
    """

    vendor: str
    name: str
    ids: str
    needs: tuple[Names, ...]
    objects: dict[str, Entry]
    created: Names = {}
    modified: Names = {}
    dates: Names = {}
    formats: tuple[str, ...] = ()
    soft_delete: Mark | None = None


ASSUMED: dict[str, tuple[tuple[str, str], ...]] = {
    "copper": (("", N_("Copper writes dates as month/day/year; where another order fits the same values this one is taken.")),),
    "fxiaoke": (
        ("", N_("Records whose life status (生命状态) is void (作废) count as deleted.")),
        ("", N_("The spelling of the id column is not documented by Fxiaoke; several are known.")),
        ("en", N_("The English headers of Fxiaoke are not documented; several spellings are known.")),
    ),
    "jiandaoyun": (
        ("", N_("An export of Jiandaoyun holds no deleted records.")),
        ("", N_("The spelling of the id column is not documented by Jiandaoyun; several are known.")),
        ("en", N_("The English headers of Jiandaoyun are not documented; several spellings are known.")),
    ),
    "zoho": (
        ("", N_("An export of Zoho CRM holds no records of the recycle bin, and no converted leads unless they were asked for.")),
        ("zh", N_("The Chinese headers of Zoho CRM's exports are not documented; several spellings are known.")),
    ),
}  # fmt: skip
"""What is taken for true of each vendor's files without proof: in which language of headers, and a sentence for people."""

_BUSINESS = ("deal", "quote", "order", "invoice", "payment", "contract", "ticket")


def assumed(vendor: str, language: str, entries: Iterable[ObjectMapping]) -> list[str]:
    """Return what is taken for true of some files, as English sentences to be translated.

    Parameters
    ----------
    vendor, language : str
    entries : iterable of ObjectMapping
        The objects of the proposed mapping.
    """
    said = [sentence for where, sentence in ASSUMED[vendor] if where in ("", language)]
    said.append(N_("Times without a zone are taken as they stand."))
    if any(e.role in _BUSINESS and e.open_when is None for e in entries):
        said.append(
            N_("Every deal, order, payment and ticket counts as open and protects: which states end it is not documented.")
        )
    return said


IDS_IN: dict[str, str] = {
    "copper": N_("Export it again with the column Copper ID, or name a unique column with --vendor copper --id COLUMN."),
    "fxiaoke": N_("Export it again with its ids (唯一性ID) ticked, or name a unique column with --vendor fxiaoke --id COLUMN."),
    "jiandaoyun": N_(
        "Export it again with its ids (数据ID) ticked, or name a unique column with --vendor jiandaoyun --id COLUMN."
    ),
    "zoho": N_("Export it again with the column Record Id, or name a unique column with --vendor zoho --id COLUMN."),
}
"""What to do where the file holds no ids."""

_MARKS = re.compile(r"^\*+|\*+$|[(（]\s*(必填|必填项|required|mandatory)\s*[)）]$", re.IGNORECASE)


@cache
def layout(vendor: str) -> Layout:
    """Return the layout of one vendor; ``KeyError`` where there is none."""
    if vendor not in VENDORS:
        raise KeyError(vendor)
    text = resources.files("steward.crm.exports").joinpath(f"{vendor}.toml").read_text(encoding="utf-8")
    return msgspec.toml.decode(text, type=Layout, strict=True)


def plain(header: str) -> str:
    """Return a header as it is compared: without case, width, marks of duty, invisible signs and spaces between Hanzi."""
    text = header
    for _ in range(8):  # what one round takes off may have hidden something for the next
        before, text = text, _once(text)
        if text == before:
            break
    return text


def _once(text: str) -> str:
    text = unicodedata.normalize("NFKC", text)
    text = "".join(" " if unicodedata.category(c) in ("Zs", "Cc") else c for c in text if unicodedata.category(c) != "Cf")
    text = _MARKS.sub("", " ".join(text.split())).strip()
    return (text if text.isascii() else text.replace(" ", "")).casefold()


def spellings(names: Names) -> list[tuple[str, str]]:
    """Return (language, plain spelling) of a column, in the order they are looked for."""
    return [(language, plain(name)) for language in LANGUAGES for name in names.get(language, ())]
