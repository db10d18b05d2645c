"""Shows what was recognised in vendors' export files, by which headers, and what was left out.

Left to others: recognising (``steward.crm.exports``), loading (``steward.store.exports``).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from steward.errors import UsageError, printable
from steward.messages import N_, _
from steward.screen import Screen

if TYPE_CHECKING:
    from steward.crm.exports.propose import ExportProposal, Remark, Seen
    from steward.crm.mapping import Mapping

LANGUAGES = {"en": N_("English"), "zh": N_("Chinese"), "api": N_("names of the programming interface")}


def show(screen: Screen, proposal: ExportProposal, mapping: Mapping, left_out: Sequence[tuple[str, Remark]]) -> None:
    """Print what was recognised, what each column is taken for, and what was left out."""
    screen.say(
        N_("Export files of {vendor}, told by their headers. They can be read and scored; nothing is written back."),
        vendor=proposal.vendor_name,
    )
    screen.table(
        N_("What was recognised"),
        (N_("object"), N_("role"), N_("files"), N_("headers"), N_("told by")),
        [
            (s.name, mapping.objects[s.name].role, ", ".join(s.files), _(LANGUAGES[s.language]), ", ".join(s.by))
            for s in proposal.seen
        ],
    )
    words: list[tuple[str, str, str]] = []
    for s in proposal.seen:
        words += [(s.name, _(word), columns) for word, columns in _words(s)]
    screen.table(N_("What the columns are taken for"), (N_("object"), N_("as"), N_("columns")), words)
    for s in proposal.seen:
        for template, facts in s.remarks:
            screen.say(N_("{object}: {remark}"), object=s.name, remark=screen.sentence(template, **facts))
    for name, (template, facts) in left_out:
        screen.warn(N_("Left out: {file}. {reason}"), file=name, reason=screen.sentence(template, **facts))
    for sentence in proposal.assumed:
        screen.say(N_("Taken for true: {sentence}"), sentence=_(sentence))


def remarks(screen: Screen, found: Sequence[Remark]) -> None:
    """Print what loading the files has shown."""
    for template, facts in found:
        screen.warn(template, **facts)


def document(
    proposal: ExportProposal, mapping: Mapping, left_out: Sequence[tuple[str, Remark]], found: Sequence[Remark] = ()
) -> dict[str, object]:
    """Return the same for machines."""
    return {
        "vendor": proposal.vendor,
        "objects": [
            {"name": s.name, "role": mapping.objects[s.name].role, "files": s.files, "language": s.language, "told_by": s.by,
             "words": dict(_words(s)), "kept_as_text": s.rest, "left_out": [_plain(r) for r in s.remarks]}
            for s in proposal.seen
        ],
        "left_out": [{"file": name, "reason": _plain(reason)} for name, reason in left_out],
        "taken_for_true": proposal.assumed,
        "remarks": [_plain(r) for r in found],
    }  # fmt: skip


def are_exports(where: str) -> bool:
    """Whether an address names export files rather than a database."""
    path = Path(where)
    return path.is_dir() or (path.is_file() and path.suffix.lower() in (".csv", ".tsv", ".txt", ".xlsx", ".gz", ".zip"))


def write_mapping(args: argparse.Namespace, screen: Screen) -> int:
    """Show the mapping that follows from export files, or write it to a file to be mended."""
    from steward.crm.exports.written import to_toml
    from steward.store.exports import ExportSource

    with (
        tempfile.TemporaryDirectory(prefix="steward-") as scratch,
        ExportSource([args.source], scratch=Path(scratch), tenant=args.tenant, environment=args.environment) as source,
    ):
        proposal, mapping, left_out = source.proposal, source.mapping, source.left_out
    show(screen, proposal, mapping, left_out)
    text = to_toml(proposal)
    if args.to is not None:
        try:
            args.to.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise UsageError(N_("{where} cannot be written ({kind})."), where=args.to, kind=type(error).__name__) from None
        screen.next(f"steward snapshot --mapping {args.to} --from {args.source}")
    elif not screen.quiet:
        for line in text.splitlines():
            screen.console.print(printable(line, 100_000))
    screen.result({"mapping": text, "recognised": document(proposal, mapping, left_out)})
    return 0


def _plain(remark: Remark) -> str:
    template, facts = remark
    return Screen.sentence(template, **facts)


def _words(seen: Seen) -> list[tuple[str, str]]:
    """Return what columns are taken for, in the order a person asks: who it is, when, whose, what it hangs on."""
    entry = seen.entry
    parents = ", ".join(f"{column} → {parent}" for column, parent in entry.parents.items())
    said = [
        (N_("id"), entry.key),
        (N_("label"), ", ".join(entry.label)),
        (N_("created"), entry.created),
        (N_("changed"), entry.modified),
        (N_("owner"), entry.owner),
        (N_("business date"), entry.event),
        (N_("amount"), entry.amount),
        (N_("refers to"), parents),
        (N_("mark of deletion"), f"{entry.soft_delete.column} = {entry.soft_delete.deleted}" if entry.soft_delete else None),
        (N_("open business"), _open(seen)),
        (N_("dates"), ", ".join(f"{column} ({form})" for column, form in entry.dates.items())),
        (N_("kept as text"), ", ".join(seen.rest[:8]) + (" …" if len(seen.rest) > 8 else "")),
    ]
    return [(word, columns) for word, columns in said if columns]


def _open(seen: Seen) -> str | None:
    rule = seen.entry.open_when
    return f"{rule.column} ≠ {', '.join(rule.not_in)}" if rule is not None else None
