"""Splink's blocking rules as keys: what both sides of an equation share, and fields of no weight to hold it.

Left to others: the rest of the file (``splink_import``).
"""

from __future__ import annotations

import re

from steward.scoring.duplicates.conditions import Node, NotUnderstoodError
from steward.scoring.duplicates.definition import Field


def shared_expressions(node: Node) -> tuple[list[tuple[str, tuple[str, ...]]], int]:
    """Return the expressions that both sides share, with their columns, and how many other conditions there are."""
    if node.kind == "and":
        one, rest = shared_expressions(node.parts[0])
        two, more = shared_expressions(node.parts[1])
        return one + two, rest + more
    if node.kind == "compare" and node.value == "=":
        sides = [_one_side(p) for p in node.parts]
        if (
            sides[0] is not None
            and sides[1] is not None
            and sides[0][0] == sides[1][0]
            and {sides[0][1], sides[1][1]} == {"_l", "_r"}
        ):
            return [(sides[0][0], tuple(dict.fromkeys(c[:-2] for c in node.parts[0].columns())))], 0
    return [], 1


def _one_side(node: Node) -> tuple[str, str] | None:
    """Return an expression with its record's mark taken off, and the mark; None where it mixes both records."""
    marks = {c[-2:].lower() for c in node.columns()}
    if len(marks) != 1 or not marks <= {"_l", "_r"}:
        return None
    return written(node), marks.pop()


def written(node: Node) -> str:
    """Return an expression as text again, the marks of the records taken off its columns."""
    match node.kind:
        case "column":
            name = re.sub(r"_[lrLR]$", "", str(node.value))
            return '"' + name.replace('"', '""') + '"'
        case "constant":
            value = node.value
            if value is None or isinstance(value, bool):
                return "NULL" if value is None else str(value).upper()
            if isinstance(value, float):
                return f"{value:g}"
            return "'" + str(value).replace("'", "''") + "'"
        case "join" | "sum" | "compare":
            return f"({written(node.parts[0])} {node.value} {written(node.parts[1])})"
        case "call":
            inner = ", ".join(written(p) for p in node.parts)
            casts = {"as_text": "VARCHAR", "as_number": "DOUBLE", "as_date": "DATE"}
            if node.value in casts:
                return f"CAST({inner} AS {casts[str(node.value)]})"
            return f"(-{inner})" if node.value == "negative" else f"{node.value}({inner})"
    raise NotUnderstoodError("a condition as a key")


def key_field(expression: str, columns: tuple[str, ...], fields: list[Field], keys: list[Field]) -> str:
    """Return the field that a key stands in: one that is compared, or a new one of no weight, added to ``keys``."""
    plain = len(columns) == 1 and expression == '"' + columns[0].replace('"', '""') + '"'
    if plain:
        for f in fields:
            if f.columns == columns and not f.take:
                return f.name
    name = f"key {columns[0] if plain else expression.replace(chr(34), '')}"[:80]
    if not any(f.name == name for f in keys):
        keys.append(
            Field(
                name, "category", columns, False, "written", (), "", "" if plain else expression, (0.5, 0.5), (0.5, 0.5), False
            )
        )
    return name
