"""``steward learn``: let decisions move the weights of duplicates; shows what would change, stores nothing unless accepted."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from steward.commands.common import workspace_of
from steward.errors import UsageError
from steward.messages import N_, _
from steward.screen import Screen

EXAMPLE = "steward learn contact --workspace w\nsteward learn contact --accept learned.toml --workspace w"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parser.add_argument("object", help=_("the object whose duplicates were decided"))
    parser.add_argument("--accept", type=Path, metavar="FILE", help=_("write the learned definition, to score by from now on"))
    parser.add_argument(
        "--definition", type=Path, metavar="FILE", help=_("learn on this model; by default the one of the last scoring")
    )
    parser.add_argument("--rules-too", action="store_true", help=_("learn from what written rules decided as well"))
    parser.add_argument(
        "--pairs", type=int, default=0, metavar="N", help=_("list the N undecided pairs that would teach most, and stop")
    )


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Show what the decisions would change, and write the definition where it is accepted."""
    from steward.scoring.duplicates.adapter import load_definition
    from steward.scoring.duplicates.learning import lesson_document, lesson_for
    from steward.scoring.duplicates.teaching import teaching_pairs
    from steward.store import Workspace
    from steward.store.decision_log import DecisionLog

    folder = workspace_of(args)
    if not (folder / "decisions.sqlite").exists():
        raise UsageError(N_("The workspace {folder} holds no decisions yet."), folder=folder.name)
    if args.accept is not None and args.accept.exists():
        raise UsageError(N_("{file} is there already; a definition is never overwritten."), file=str(args.accept))
    log = DecisionLog.open(folder / "decisions.sqlite")
    try:
        standing = log.standing()
    finally:
        log.close()
    definition = load_definition(args.definition) if args.definition else None
    with Workspace.open(folder, read_only=True) as ws:
        snapshot = ws.snapshot()
        ws.columns(snapshot, args.object)  # refuses an object that is not there
        if args.pairs > 0:
            order = teaching_pairs(ws, snapshot, args.object, standing, args.pairs)
            screen.table(N_("Deciding these teaches most"), (N_("record"), N_("record")), order)
            screen.result({"object": args.object, "pairs": [list(p) for p in order]})
            screen.next(f"steward review --workspace {folder}")
            return 0
        with screen.progress(N_("scoring"), None) as advance:
            lesson = lesson_for(
                ws, snapshot, args.object, standing, definition=definition, rules_too=args.rules_too, progress=advance
            )
    screen.heading(
        N_("{object}: {together} pairs merged, {apart} told apart"),
        object=args.object,
        together=len(lesson.labels.together),
        apart=len(lesson.labels.apart),
    )
    rows = []
    for f in lesson.fields:
        for level, old, new, seen in zip(f.levels, f.before, f.after, f.seen, strict=True):
            if seen or abs(new - old) >= 0.05:
                rows.append((f.field, level, f"{old:+.2f}", f"{new:+.2f}", seen))
    screen.table(
        N_("Weights in bits that would change"),
        (N_("field"), N_("level"), N_("before"), N_("after"), N_("merged pairs there")),
        rows,
    )
    counts: Counter[str] = Counter(c.fate for c in lesson.changes)
    names = {
        "unchanged": _("unchanged"), "grown": _("grown"), "shrunk": _("shrunk"), "merged": _("merged"), "split": _("split"),
        "overlapping": _("overlapping"), "new": _("new"), "gone": _("gone"),
    }  # fmt: skip
    screen.table(
        N_("What would become of the clusters"), (N_("fate"), N_("clusters")), [(n, counts.get(f, 0)) for f, n in names.items()]
    )
    screen.say(
        N_("Prior {a} → {b} bits, cut {c} → {d}; {gained} pairs rise above the cut, {lost} fall below it."),
        a=f"{lesson.prior_bits[0]:.2f}", b=f"{lesson.prior_bits[1]:.2f}", c=f"{lesson.cut[0]:.3f}", d=f"{lesson.cut[1]:.3f}",
        gained=lesson.gained, lost=lesson.lost,
    )  # fmt: skip
    screen.say(
        N_("Judged on decisions not learned from: {before} of {all} right before, {after} after; surprise {x} → {y} bits each."),
        before=lesson.right[0], after=lesson.right[1], all=len(lesson.labels), x=f"{lesson.fit[0]:.3f}", y=f"{lesson.fit[1]:.3f}",
    )  # fmt: skip
    if not lesson.better:
        screen.warn(N_("The learned weights do not explain decisions they have not seen any better; keep the old ones."))
    screen.result({**lesson_document(lesson), "written": str(args.accept) if args.accept else None})
    command = f"steward score --object {args.object} --only duplicate --definition"
    if args.accept is None:
        screen.next(f"steward learn {args.object} --accept learned.toml --workspace {folder}")
        return 0
    try:
        args.accept.write_text(lesson.definition.toml(), encoding="utf-8")
    except OSError as error:
        raise UsageError(
            N_("{file} cannot be written: {problem}"), file=str(args.accept), problem=error.strerror or ""
        ) from None
    screen.say(N_("Definition {digest} written to {file}."), digest=lesson.digest[:16], file=str(args.accept))
    screen.next(f"{command} {args.accept} --workspace {folder}")
    return 0
