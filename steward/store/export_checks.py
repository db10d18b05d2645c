"""Checks of export files after they were loaded: damaged ids refuse the file, other damage and lost links are said.

A spreadsheet program that opens and saves a CSV file turns long numbers into ``6.74E+18`` or puts zeros where digits were.
An id that was damaged so may be another record's id.

Left to others: loading (``steward.store.exports``).
"""

from __future__ import annotations

from steward.crm.exports.propose import Remark
from steward.errors import SchemaMismatchError
from steward.messages import N_
from steward.store.sql import literal, one, quote
from steward.store.writing import TableWriter

FEWEST_ZEROS = 6
"""Where all long ids end in zeros, so many zeros together are no chance: one in a million."""


def check_ids(writer: TableWriter, column: str, *, shape: str, vendor: str) -> list[Remark]:
    """Refuse ids, or references, that a spreadsheet program turned into numbers; say where they look unlike the vendor's.

    Parameters
    ----------
    writer : TableWriter
        The loaded object.
    column : str
    shape : str
        Regular expression of the vendor's ids.
    vendor : str
        Its name, for people.

    Raises
    ------
    SchemaMismatchError
        Ids have lost their last digits.

    Notes
    -----
    By chance an id of n > 15 digits ends in n - 15 zeros once in 10^(n - 15). Refused are: all of them with
    :data:`FEWEST_ZEROS` zeros in sum, or more than five and ten times as many as expected.
    """
    c, entry = quote(column), writer.entry
    beyond, cut_off = f"regexp_matches({c}, '^[0-9]{{16,}}$')", f"regexp_matches({c}, '^[0-9]{{15}}0+$')"
    filled, rounded, zeros, every, lost, expected, odd = one(
        writer.connection,
        f"SELECT count({c}), count(*) FILTER (regexp_matches({c}, '^[0-9]+([.,][0-9]+)?[eE][+][0-9]+$') "
        f"OR regexp_matches({c}, '^[0-9]{{16,}}[.,]0+$')), count(*) FILTER ({cut_off}), count(*) FILTER ({beyond}), "
        f"coalesce(sum(length({c}) - 15) FILTER ({cut_off}), 0), "
        f"coalesce(sum(pow(10.0, 15 - length({c}))) FILTER ({beyond}), 0.0), "
        f"count(*) FILTER (NOT regexp_matches({c}, {literal(shape)})) FROM {writer.table} WHERE {c} <> ''",
    )
    if rounded or (zeros and ((zeros == every and lost >= FEWEST_ZEROS) or zeros > 5 + 10 * expected)):
        raise SchemaMismatchError(
            N_("{file}: {count} ids in column {column} were turned into numbers by a spreadsheet program; their last digits are lost."),
            next_step=N_("Export it again and load that very file, without opening and saving it in between."),
            file=", ".join(entry.files), column=column, count=int(rounded or zeros),
        )  # fmt: skip
    if not odd:
        return []
    facts = {"count": str(odd), "all": str(filled), "column": column, "object": entry.name, "vendor": vendor}
    return [(N_("{count} of {all} ids in {column} of {object} do not look like ids of {vendor}."), facts)]


def check_numbers(writer: TableWriter) -> list[Remark]:
    """Say where other long numbers, telephones above all, were shortened: two that look alike need not be one."""
    entry = writer.entry
    columns = [c for c in writer.columns if c not in entry.key_columns and c not in entry.parents]
    if not columns:
        return []
    counts = ", ".join(f"count(*) FILTER (regexp_matches({quote(c)}, '^[0-9]([.,][0-9]+)?E[+]1[0-9]$'))" for c in columns)
    sentence = N_("{count} values in {column} of {object} were shortened by a spreadsheet program, such as 1.39E+10; two that look alike need not be one.")  # fmt: skip
    found = one(writer.connection, f"SELECT {counts} FROM {writer.table}")
    return [
        (sentence, {"count": str(count), "column": column, "object": entry.name})
        for column, count in zip(columns, found, strict=True)
        if count
    ]


def check_links(writer: TableWriter) -> list[Remark]:
    """Say how many references lead to records that are in none of the files; parents are loaded before their children."""
    remarks: list[Remark] = []
    entry, schema = writer.entry, writer.table.split(".", 1)[0]
    for column, parent in entry.parents.items():
        loaded = one(
            writer.connection,
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = ? AND table_name = ?",
            [schema.strip('"'), parent],
        )[0]
        if not loaded:  # of two objects that refer to each other one comes first
            continue
        c = quote(column)
        filled, lost = one(
            writer.connection,
            f"SELECT count(*), count(*) FILTER ({c} NOT IN (SELECT _id FROM {schema}.{quote(parent)})) "
            f"FROM {writer.table} WHERE {c} <> ''",
        )
        if lost:
            facts = {"count": str(lost), "all": str(filled), "column": column, "object": entry.name, "parent": parent}
            remarks.append(
                (N_("{count} of {all} references in {column} of {object} lead to no {parent} in these files."), facts)
            )
    return remarks
