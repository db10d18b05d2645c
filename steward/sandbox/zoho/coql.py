"""The subset of COQL that the vendor documents, exact and without index lag: turned into SQL with every value bound.

``select f, … from M where … [order by f asc|desc] [limit [offset,] count]`` with ``and``, ``or``, brackets, ``in``,
``between``, ``like``, ``is [not] null`` and the comparisons. Left to others: how a row is written (``reading``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from steward.sandbox.zoho.answers import Refusal
from steward.sandbox.zoho.model import MODULES, Field, field_of
from steward.sandbox.zoho.state import parse_moment

_WORD = re.compile(r"\s*(?:('(?:[^'\\]|\\.|'')*')|(-?\d+(?:\.\d+)?(?![\w.]))|([A-Za-z_][\w.]*)|(<=|>=|!=|<>|[=<>(),]))")
MOST_ROWS, MOST_FIELDS, MOST_IN = 200, 500, 100


@dataclass(slots=True)
class Query:
    """A parsed query: the SQL condition with its values, and what to show."""

    module: str
    fields: list[str]
    where: str = "1"
    values: list[Any] = field(default_factory=list)
    order: str = "id"
    offset: int = 0
    limit: int = MOST_ROWS


def fault(near: str) -> Refusal:
    """The vendor's refusal of a query it cannot read."""
    return Refusal(400, "SYNTAX_ERROR", "error occurred while parsing the query", {"near": near[:40]})


def column(found: Field) -> str:
    """SQL expression of a field; names come from our own table of fields."""
    if found.name == "id":
        return "id"
    if found.name in {"Created_Time", "Modified_Time"}:
        return "CAST(" + found.name.split("_")[0].lower() + " AS INTEGER)"
    path = f"$.{found.name}.id" if found.kind in {"lookup", "ownerlookup"} else f"$.{found.name}"
    return f"json_extract(doc, '{path}')"


def bound(found: Field, value: Any) -> Any:
    """A value of a query as the column holds it."""
    try:
        if found.name == "id":
            return int(value)
        if found.name in {"Created_Time", "Modified_Time"}:
            return int(parse_moment(str(value)))
        if found.kind in {"lookup", "ownerlookup"}:
            return str(value)
        if found.kind == "boolean":
            return int(str(value).lower() == "true")
        if found.kind in {"integer", "double", "currency"}:
            return float(value)
    except ValueError:
        raise Refusal(
            400, "INVALID_QUERY", "invalid value given", {"reason": "invalid value given", "column_name": found.name}
        ) from None
    return str(value)


class _Parser:
    def __init__(self, text: str) -> None:
        self.words: list[str] = []
        at = 0
        text = text.strip().rstrip(";")
        while at < len(text):
            match = _WORD.match(text, at)
            if match is None:
                if text[at:].strip():
                    raise fault(text[at:])
                break
            self.words.append(match.group().strip())
            at = match.end()
        self.at = 0

    def peek(self) -> str:
        return self.words[self.at] if self.at < len(self.words) else ""

    def next(self) -> str:
        word = self.peek()
        if not word:
            raise fault("end of query")
        self.at += 1
        return word

    def take(self, *wanted: str) -> bool:
        if self.peek().lower() in wanted:
            self.at += 1
            return True
        return False

    def need(self, wanted: str) -> None:
        if not self.take(wanted):
            raise fault(self.peek() or "end of query")

    def value(self) -> str:
        word = self.next()
        if word.startswith("'"):
            return re.sub(r"\\(.)|''", lambda m: m.group(1) or "'", word[1:-1])
        if word in {"(", ")", ",", "=", "<", ">"}:
            raise fault(word)
        return word

    def field(self, module: str) -> Field:
        name = self.next()
        found = field_of(module, name.removesuffix(".id"))
        if found is None:
            raise Refusal(
                400, "INVALID_QUERY", "column given seems to be invalid", {"reason": "invalid column", "column_name": name}
            )
        return found

    def disjunction(self, query: Query) -> str:
        parts = [self.conjunction(query)]
        while self.take("or"):
            parts.append(self.conjunction(query))
        return parts[0] if len(parts) == 1 else "(" + " OR ".join(parts) + ")"

    def conjunction(self, query: Query) -> str:
        parts = [self.condition(query)]
        while self.take("and"):
            parts.append(self.condition(query))
        return parts[0] if len(parts) == 1 else "(" + " AND ".join(parts) + ")"

    def condition(self, query: Query) -> str:
        if self.take("("):
            inner = self.disjunction(query)
            self.need(")")
            return inner
        found = self.field(query.module)
        name = column(found)
        if self.take("is"):
            negated = self.take("not")
            self.need("null")
            return f"{name} IS {'NOT ' if negated else ''}NULL"
        negated = self.take("not")
        if self.take("in"):
            self.need("(")
            values = [bound(found, self.value())]
            while self.take(","):
                values.append(bound(found, self.value()))
            self.need(")")
            if len(values) > MOST_IN:
                raise Refusal(400, "LIMIT_EXCEEDED", "more than 100 values in an in clause", {"limit": MOST_IN})
            query.values += values
            return f"{name} {'NOT ' if negated else ''}IN ({', '.join('?' * len(values))})"
        if self.take("between"):
            query.values.append(bound(found, self.value()))
            self.need("and")
            query.values.append(bound(found, self.value()))
            return f"{name} {'NOT ' if negated else ''}BETWEEN ? AND ?"
        if self.take("like"):
            query.values.append(str(self.value()))
            return f"{name} {'NOT ' if negated else ''}LIKE ?"
        operator = self.next()
        if operator not in {"=", "!=", "<>", "<", ">", "<=", ">="}:
            raise fault(operator)
        query.values.append(bound(found, self.value()))
        return f"{name} {operator} ?"


def parse(text: str, depth: int) -> Query:
    """Read a query.

    Parameters
    ----------
    text : str
        The ``select_query``.
    depth : int
        How far ``limit`` may reach.

    Raises
    ------
    Refusal
        It is not of the subset, names an unknown module or field, or reaches too deep.
    """
    parser = _Parser(text)
    parser.need("select")
    names = [parser.next()]
    while parser.take(","):
        names.append(parser.next())
    parser.need("from")
    module = parser.next()
    if module not in MODULES:
        raise Refusal(400, "INVALID_QUERY", "module given seems to be invalid", {"reason": "invalid module"})
    if len(names) > MOST_FIELDS:
        raise Refusal(400, "LIMIT_EXCEEDED", "too many fields", {"limit": MOST_FIELDS})
    query = Query(module, names)
    for name in names:
        found = field_of(module, name)
        if found is None:
            raise Refusal(
                400, "INVALID_QUERY", "column given seems to be invalid", {"reason": "invalid column", "column_name": name}
            )
    parser.need("where")
    query.where = parser.disjunction(query)
    if parser.take("order"):
        parser.need("by")
        ordered = column(parser.field(module))
        query.order = ordered + (" DESC" if parser.take("desc") else "")
        parser.take("asc")
    if parser.take("limit"):
        first = _whole(parser.value())
        query.offset, query.limit = (first, _whole(parser.value())) if parser.take(",") else (0, first)
    if parser.peek():
        raise fault(parser.peek())
    if query.limit > MOST_ROWS or query.offset + query.limit > depth:
        raise Refusal(400, "LIMIT_EXCEEDED", "given limit exceeds the allowed limit", {"limit": MOST_ROWS})
    return query


def _whole(text: str) -> int:
    if not text.isdigit():
        raise fault(text)
    return int(text)
