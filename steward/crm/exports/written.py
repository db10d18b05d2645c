"""Writes a mapping as the text of a mapping file, with what was taken for true as comments, to be read and mended.

Left to others: what the words mean and reading them (``steward.crm.mapping``).
"""

from __future__ import annotations

import msgspec

from steward.crm.exports.propose import ExportProposal
from steward.crm.mapping import Mapping, ObjectMapping
from steward.crm.propose import _comment, _inline, _quote

_TEXTS = (
    "table",
    "key",
    "role",
    "created",
    "modified",
    "version",
    "owner",
    "event",
    "amount",
    "encoding",
    "delimiter",
    "sheet",
    "retention",
)
_TABLES = ("open_when", "active_when", "begun_by_person", "soft_delete")


def to_toml(proposal: ExportProposal) -> str:
    """Return the mapping file of a proposal; ``parse_mapping`` gives the same mapping back."""
    mapping = proposal.mapping
    lines = [
        f"# Proposed by steward from the headers of export files of {_comment(proposal.vendor_name)}. Read every line.",
        *(f"# Taken for true: {line}" for line in proposal.assumed),
        *_head(mapping),
    ]
    for seen in proposal.seen:
        entry = mapping.objects[seen.name]
        lines += ["", f"# told by: {_comment(', '.join(seen.by))}"]
        lines += [f"# left out: {_comment(template.format_map(facts))}" for template, facts in seen.remarks]
        lines += [f"[objects.{seen.name}]", *_words(entry)]
    return "\n".join(lines) + "\n"


def _head(mapping: Mapping) -> list[str]:
    words = [f"{word} = {_quote(getattr(mapping, word))}" for word in ("format", "system", "tenant", "environment")]
    return [*words, f"options = {_inline(mapping.options)}"] if mapping.options else words


def _words(entry: ObjectMapping) -> list[str]:
    names = [name.rsplit("/", 1)[-1] for name in entry.files]  # a file of an archive has to be unpacked first
    lines = [f"files = [{', '.join(map(_quote, names))}]"]
    lines += [f"{word} = {_quote(value)}" for word in _TEXTS if (value := getattr(entry, word)) is not None]
    if entry.label:
        lines.append(f"label = [{', '.join(map(_quote, entry.label))}]")
    for word in ("parents", "on_delete", "dates"):
        table = getattr(entry, word)
        if table:
            lines.append(f"{word} = {_inline(table)}")
    for word in _TABLES:
        rule = getattr(entry, word)
        if rule is not None:
            lines.append(f"{word} = {_value(msgspec.to_builtins(rule))}")
    return lines


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value(v) for v in value)}]"
    if isinstance(value, dict):
        return (
            "{ "
            + ", ".join(f"{_quote(str(k))} = {_value(v)}" for k, v in value.items() if v not in (None, (), [], False))
            + " }"
        )
    raise TypeError(type(value).__name__)
