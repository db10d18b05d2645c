"""A small language of conditions over the values of two records, as Splink's levels and blocking rules are written in.

``jaro_winkler_similarity("surname_l", "surname_r") >= 0.9 AND city_l = city_r``: names end in ``_l`` and ``_r`` (or begin
with ``l.`` and ``r.``) for the two records; without either they mean one record. Text is parsed once and evaluated on
aligned arrays; it never reaches a database. Absent values are NULL, with SQL's three truth values. Strings are compared by
characters, not bytes. What is not understood is refused by name, never skipped.

Left to others: which level a condition stands for (``own``), reading other tools' files (``splink_import``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from steward.scoring.duplicates.condition_functions import FUNCTIONS

Values = npt.NDArray[np.object_]
Env = Mapping[str, Values]


class NotUnderstoodError(ValueError):
    """A condition that this language does not have; says the part."""


_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)|(?P<string>'(?:[^']|'')*')|(?P<quoted>"(?:[^"]|"")*"|`[^`]*`)"""
    r"""|(?P<word>[^\W\d]\w*)|(?P<op>\|\||::|<>|!=|<=|>=|==|[-+*/=<>(),.]))""",
    re.UNICODE,
)

_KEYWORDS = {
    "and",
    "or",
    "not",
    "is",
    "null",
    "true",
    "false",
    "as",
    "in",
    "between",
    "like",
    "case",
    "when",
    "then",
    "else",
    "end",
}

DEEPEST = 60
"""Levels of brackets; deeper text is refused, not followed."""


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a condition: what it is, its name or constant, and its own parts."""

    kind: str
    value: Any = None
    parts: tuple[Node, ...] = ()

    def columns(self) -> list[str]:
        """Return the names of columns as written, in order, each once."""
        found = [str(self.value)] if self.kind == "column" else []
        for part in self.parts:
            found += part.columns()
        return list(dict.fromkeys(found))


def parse(text: str) -> Node:
    """Read a condition or an expression.

    Raises
    ------
    NotUnderstoodError
        Anything outside the language, with the part.
    """
    if len(text) > 20_000:
        raise NotUnderstoodError("a condition of more than 20,000 characters")
    parser = _Parser(list(_tokens(text)))
    node = parser.either()
    if parser.at < len(parser.tokens):
        raise NotUnderstoodError(f"what stands at {parser.tokens[parser.at][1]!r}")
    return node


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise NotUnderstoodError(f"the sign {text[at:].strip()[:1]!r}")
        kind = str(match.lastgroup)
        yield kind, match.group(kind)
        at = match.end()


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0

    def word(self, *words: str) -> bool:
        """Take the next token where it is one of these words or signs."""
        if self.at < len(self.tokens):
            kind, text = self.tokens[self.at]
            if kind in ("word", "op") and text.lower() in words:
                self.at += 1
                return True
        return False

    def need(self, sign: str) -> None:
        if not self.word(sign):
            found = self.tokens[self.at][1] if self.at < len(self.tokens) else "the end"
            raise NotUnderstoodError(f"{found!r} where {sign!r} is expected")

    def either(self) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise NotUnderstoodError("so many brackets")
        node = self.both()
        while self.word("or"):
            node = Node("or", None, (node, self.both()))
        self.depth -= 1
        return node

    def both(self) -> Node:
        node = self.negation()
        while self.word("and"):
            node = Node("and", None, (node, self.negation()))
        return node

    def negation(self) -> Node:
        negated = False
        while self.word("not"):
            negated = not negated
        node = self.comparison()
        return Node("not", None, (node,)) if negated else node

    def comparison(self) -> Node:
        left = self.sum()
        if self.word("is"):
            negated = self.word("not")
            self.need("null")
            node = Node("null", None, (left,))
            return Node("not", None, (node,)) if negated else node
        for sign, name in (
            ("=", "="),
            ("==", "="),
            ("<>", "!="),
            ("!=", "!="),
            ("<=", "<="),
            (">=", ">="),
            ("<", "<"),
            (">", ">"),
        ):
            if self.word(sign):
                return Node("compare", name, (left, self.sum()))
        if self.word("between"):
            low = self.sum()
            self.need("and")
            return Node("and", None, (Node("compare", ">=", (left, low)), Node("compare", "<=", (left, self.sum()))))
        return left

    def sum(self) -> Node:
        node = self.product()
        while True:
            for sign in ("||", "+", "-"):
                if self.word(sign):
                    node = Node("join" if sign == "||" else "sum", sign, (node, self.product()))
                    break
            else:
                return node

    def product(self) -> Node:
        node = self.single()
        while True:
            for sign in ("*", "/"):
                if self.word(sign):
                    node = Node("sum", sign, (node, self.single()))
                    break
            else:
                return node

    def single(self) -> Node:
        minus = 0
        while self.word("-"):
            minus += 1
        node = self.primary()
        while self.word("::"):
            node = _cast(node, self._type())
        return Node("call", "negative", (node,)) if minus % 2 else node

    def primary(self) -> Node:
        if self.at >= len(self.tokens):
            raise NotUnderstoodError("an end where a value is expected")
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return Node("constant", float(text))
        if kind == "string":
            return Node("constant", text[1:-1].replace("''", "'"))
        if kind == "op":
            if text != "(":
                raise NotUnderstoodError(f"{text!r} where a value is expected")
            node = self.either()
            self.need(")")
            return node
        lower = text.lower()
        if kind == "word" and self.word("("):
            if lower in ("cast", "try_cast"):
                node = self.either()
                self.need("as")
                node = _cast(node, self._type())
                self.need(")")
                return node
            arguments = []
            if not self.word(")"):
                arguments.append(self.either())
                while self.word(","):
                    arguments.append(self.either())
                self.need(")")
            if lower not in FUNCTIONS:
                raise NotUnderstoodError(f"the function {text}")
            least, most = FUNCTIONS[lower][0]
            if not least <= len(arguments) <= most:
                raise NotUnderstoodError(f"{text} with {len(arguments)} values")
            if lower.startswith("regexp_"):
                _check_pattern(arguments[1])
            return Node("call", lower, tuple(arguments))
        if kind == "word" and lower in ("true", "false", "null"):
            return Node("constant", {"true": True, "false": False, "null": None}[lower])
        if kind == "word" and lower in _KEYWORDS:
            raise NotUnderstoodError(f"the word {text}")
        name = text if kind == "word" else text[1:-1].replace('""', '"')
        if kind == "word" and lower in ("l", "r") and self.word("."):
            _, column = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
            self.at += 1
            return Node("column", f"{column.strip(chr(34) + '`')}_{lower}")
        return Node("column", name)

    def _type(self) -> str:
        kind, text = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        if kind != "word":
            raise NotUnderstoodError("a cast without a type")
        self.at += 1
        return text.lower()


def _runs_away(pattern: str) -> bool:
    """Tell whether a repeated group repeats or chooses inside: on some values it would run for years."""
    text = re.sub(r"\\.|\[(?:[^\]\\]|\\.)*\]", "x", pattern)  # an escaped sign or a set of signs is one sign
    open_groups = [False]
    for at, sign in enumerate(text):
        if sign == "(":
            open_groups.append(False)
        elif sign == ")" and len(open_groups) > 1:
            inside = open_groups.pop()
            if inside and text[at + 1 : at + 2] in ("*", "+", "{"):
                return True
            open_groups[-1] |= inside
        elif sign in "*+{|":
            open_groups[-1] = True
    return False


def _check_pattern(node: Node) -> None:
    if node.kind != "constant" or not isinstance(node.value, str):
        raise NotUnderstoodError("a regular expression made of values")
    if _runs_away(node.value) or len(node.value) > 400:
        raise NotUnderstoodError("a regular expression that could run away")
    try:
        re.compile(node.value)
    except re.error:
        raise NotUnderstoodError("a regular expression of another dialect") from None


def _cast(node: Node, to: str) -> Node:
    if to in ("varchar", "string", "text"):
        return Node("call", "as_text", (node,))
    if to in ("double", "float", "int", "integer", "bigint", "decimal", "real"):
        return Node("call", "as_number", (node,))
    if to in ("date", "timestamp"):
        return Node("call", "as_date", (node,))
    raise NotUnderstoodError(f"a cast to {to}")


def evaluate(node: Node, env: Env, size: int) -> Values:
    """Return the value of a node for each row; None is NULL.

    Parameters
    ----------
    env : mapping of str to array (size,) of object
        Column as written in the condition → values.
    """
    match node.kind:
        case "constant":
            return np.full(size, node.value, object)
        case "column":
            return env[str(node.value)]
        case "and" | "or":
            a, b = (_truth(evaluate(p, env, size)) for p in node.parts)
            least = node.kind == "and"
            out = np.empty(size, object)
            for i, (x, y) in enumerate(zip(a, b, strict=True)):
                if least:
                    out[i] = False if x is False or y is False else None if x is None or y is None else True
                else:
                    out[i] = True if x is True or y is True else None if x is None or y is None else False
            return out
        case "not":
            return _lift(lambda x: not x, _truth(evaluate(node.parts[0], env, size)))
        case "null":
            return np.array([v is None for v in evaluate(node.parts[0], env, size)], object)
        case "compare":
            return _lift(_COMPARE[str(node.value)], *(evaluate(p, env, size) for p in node.parts))
        case "join":
            return _lift(lambda x, y: _text(x) + _text(y), *(evaluate(p, env, size) for p in node.parts))
        case "sum":
            return _lift(_arithmetic(str(node.value)), *(evaluate(p, env, size) for p in node.parts))
    _, function, keeps_null = FUNCTIONS[str(node.value)]
    arguments = [evaluate(p, env, size) for p in node.parts]
    if keeps_null:
        return np.array([function(*row) for row in zip(*arguments, strict=True)], object) if size else np.zeros(0, object)
    return _lift(function, *arguments)


def holds(node: Node, env: Env, size: int) -> npt.NDArray[np.bool_]:
    """Return where a condition is true; NULL is not true."""
    return np.array([v is True for v in _truth(evaluate(node, env, size))], bool)


def _truth(values: Values) -> Values:
    return np.array([None if v is None else bool(v) for v in values], object)


def _lift(function: Callable[..., Any], *arrays: Values) -> Values:
    out = np.empty(len(arrays[0]), object)
    for i, row in enumerate(zip(*arrays, strict=True)):
        out[i] = None if any(v is None for v in row) else function(*row)
    return out


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _ordered(sign: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool | None]:
    def compare(x: Any, y: Any) -> bool | None:
        if isinstance(x, str) != isinstance(y, str):  # a text against a number counts as its number
            a, b = _number(x), _number(y)
            return None if a is None or b is None else sign(a, b)
        return sign(x, y)

    return compare


_COMPARE: dict[str, Callable[[Any, Any], bool | None]] = {
    "=": _ordered(lambda x, y: bool(x == y)),
    "!=": _ordered(lambda x, y: bool(x != y)),
    "<": _ordered(lambda x, y: bool(x < y)),
    ">": _ordered(lambda x, y: bool(x > y)),
    "<=": _ordered(lambda x, y: bool(x <= y)),
    ">=": _ordered(lambda x, y: bool(x >= y)),
}


def _arithmetic(sign: str) -> Callable[[Any, Any], float | None]:
    def compute(x: Any, y: Any) -> float | None:
        a, b = _number(x), _number(y)
        if a is None or b is None:
            return None
        if sign == "/":
            return a / b if b else None
        return a + b if sign == "+" else a - b if sign == "-" else a * b

    return compute
