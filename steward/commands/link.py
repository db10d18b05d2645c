"""``steward link``: find the records of one list or object in another; reads both, changes neither, stores nothing.

Pairs that people told apart in the decision log of the workspace never link. The log is looked for where it always is, so
that nobody has to say so; a team's log in PostgreSQL is named as everywhere else (``--log``).

Left to others: the linking (``steward.scoring.duplicates.between``), reading files (``steward.store``).
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from steward.commands.common import workspace_of
from steward.errors import UsageError
from steward.messages import N_, _
from steward.screen import Screen

if TYPE_CHECKING:
    from steward.records import RecordKey
    from steward.scoring.duplicates.between import Side
    from steward.scoring.duplicates.plan import Plan

EXAMPLE = (
    "steward link list.csv contact --id number --to found.csv --workspace w\nsteward link contact account --plan --workspace w"
)

SHOWN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parser.add_argument("left", help=_("whose records are looked for: an object of the snapshot, or a file"))
    parser.add_argument("right", help=_("where they are looked for: an object of the snapshot, or a file"))
    parser.add_argument("--id", metavar="COLUMN", help=_("column of the record id in files"))
    parser.add_argument("--definition", type=Path, metavar="FILE", help=_("linkage definition with columns and other_columns"))
    parser.add_argument("--plan", action="store_true", help=_("show what would be compared and what it costs, and stop"))
    parser.add_argument(
        "--save-definition", type=Path, metavar="FILE", help=_("write the linkage definition in force, to change")
    )
    parser.add_argument(
        "--to",
        type=Path,
        metavar="FILE",
        help=_("write every pair worth a look with its reasons (.csv, .parquet, .ndjson, .xlsx)"),
    )
    parser.add_argument("--log", metavar="URL", help=_("decision log in PostgreSQL; by default the file in the workspace"))
    parser.add_argument("--seed", type=int, default=0, help=_("for sampling; the same seed gives the same result"))


class _PlannedError(Exception):
    """Ends a run after its plan; never leaves this module."""


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Link, count what was found, and write the pairs."""
    from steward.commands._plan import plan_document, show_findings, show_plan
    from steward.scoring.duplicates.adapter import read_definition
    from steward.scoring.duplicates.between import link_between, rejected_between

    definition, findings = read_definition(args.definition) if args.definition else (None, [])
    if args.definition:
        show_findings(screen, args.definition.name, findings)
    if args.left == args.right:
        raise UsageError(N_("Both sides are {side}; duplicates within one object are found by steward score."), side=args.left)
    plans: list[Plan] = []

    def before(plan: Plan) -> None:
        plans.append(plan)
        show_plan(screen, plan)
        if args.save_definition:
            try:
                args.save_definition.write_text(plan.definition, encoding="utf-8")
            except OSError as error:
                raise UsageError(
                    N_("{file} cannot be written: {problem}"), file=str(args.save_definition), problem=error.strerror or ""
                ) from None
        if args.plan:
            raise _PlannedError

    with ExitStack() as open_things:
        left, right = _side(args, args.left, open_things), _side(args, args.right, open_things)
        rejected = rejected_between(left, right, _told_apart(args))
        with screen.progress(N_("scoring"), None) as advance:
            try:
                result = link_between(left, right, definition, seed=args.seed, apart=rejected, progress=advance, before=before)
            except _PlannedError:
                screen.result({"plans": [plan_document(p) for p in plans]})
                return 0
    found = result.found()
    counts = Counter(found["state"].to_list())
    names = {
        "found": _("found once"), "several": _("found more than once"), "unsure": _("worth a look"), "new": _("not found"),
    }  # fmt: skip
    screen.table(
        N_("Records of {left} in {right}").format(left=left.name, right=right.name),
        (N_("state"), N_("records")),
        [(text, counts.get(state, 0)) for state, text in names.items()],
    )
    if result.told_apart:
        screen.say(N_("{count} pairs that people told apart are left out."), count=f"{result.told_apart:,}")
    pairs = result.pairs_frame(reasons=True)
    screen.table(
        N_("The likeliest"),
        (N_("record"), N_("is"), N_("probability"), N_("why")),
        [
            (a, b, f"{p:.3f}", why)
            for a, b, p, why in pairs.head(SHOWN).select("left_id", "right_id", "probability", "sentence").iter_rows()
        ],
    )
    if args.to is not None:
        from steward.store.exporting import export

        columns = ("left_id", "right_id", "match_weight", "probability", "rule", "sentence")
        count = export(args.to, columns, (str, str, float, float, str, str), pairs.select(columns).iter_rows())
        screen.say(N_("{count} rows written to {file}."), count=f"{count:,}", file=str(args.to))
    screen.result(
        {
            "left": left.name,
            "right": right.name,
            "cut": result.result.cut,
            "counts": {state: counts.get(state, 0) for state in names},
            "pairs": pairs.height,
            "told_apart": result.told_apart,
            "plans": [plan_document(p) for p in plans],
            "found": [
                {"left_id": a, "state": s, "right_id": b, "probability": p, "others": n}
                for a, s, b, p, n in found.iter_rows()
                if s in ("found", "several")
            ],
        }
    )
    return 0


def _told_apart(args: argparse.Namespace) -> frozenset[tuple[RecordKey, RecordKey]]:
    """Return what people told apart, from the log of the workspace; nothing where two files are linked without one."""
    from steward.store.decision_log import FILE_NAME, DecisionLog

    where: str | Path | None = args.log
    if where is None and (args.workspace or os.environ.get("STEWARD_WORKSPACE")):
        own = workspace_of(args) / FILE_NAME
        where = own if own.exists() else None  # opening one that is not there would make it
    if where is None:
        return frozenset()
    with DecisionLog.open(where) as log:
        return log.standing().not_duplicates


def _side(args: argparse.Namespace, name: str, open_things: ExitStack) -> Side:
    """Return a side: an object of the latest snapshot, or a file read into a workspace that is gone afterwards."""
    from steward.scoring.duplicates.adapter import read_object
    from steward.scoring.duplicates.between import Side
    from steward.store import FileSource, Workspace
    from steward.store.guess import object_name

    path = Path(name)
    if path.suffix and path.is_file():
        if not args.id:
            raise UsageError(N_("Which column of {file} names its records? Say so with --id COLUMN."), file=path.name)
        folder = Path(open_things.enter_context(tempfile.TemporaryDirectory(prefix="steward-link-")))
        ws = open_things.enter_context(Workspace.open(folder / "w", create=True))
        source = FileSource(path, None, key=args.id, object="list")
        snapshot = ws.take_snapshot(source, taken_at=datetime.now(UTC).replace(microsecond=0))
        frame, role, references = read_object(ws, snapshot, "list")
        return Side(path.name, frame, role=role, references=references, object=object_name(path.name.split(".")[0]))
    if path.suffix and not path.exists() and len(path.suffix) <= 5 and not path.is_dir():
        raise UsageError(N_("There is no file {file}."), file=name)
    ws = open_things.enter_context(Workspace.open(workspace_of(args), read_only=True))
    snapshot = ws.snapshot()
    frame, role, references = read_object(ws, snapshot, name)
    return Side(name, frame, role=role, references=references)
