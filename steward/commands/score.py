"""``steward score``: find duplicate, stale and invalid records in the latest snapshot."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from steward.commands.common import workspace_of
from steward.errors import ScoringError, UsageError
from steward.messages import N_, _
from steward.screen import Screen

if TYPE_CHECKING:
    from steward.scoring.duplicates.plan import Plan
    from steward.scoring.run import ScoreLine

EXAMPLE = "steward score --workspace w\nsteward score --object contact --only duplicate --plan --workspace w"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parser.add_argument("--object", action="append", default=[], metavar="NAME", help=_("score only this object (repeatable)"))
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=("duplicate", "stale", "invalid"),
        help=_("look for this alone (repeatable)"),
    )
    parser.add_argument(
        "--definition",
        type=Path,
        metavar="FILE",
        help=_("linkage definition, or a Splink model; by default proposed from the data"),
    )
    parser.add_argument("--plan", action="store_true", help=_("show what would be compared and what it costs, and stop"))
    parser.add_argument(
        "--save-definition", type=Path, metavar="FILE", help=_("write the linkage definition in force, to change")
    )
    parser.add_argument(
        "--save-model", type=Path, metavar="FILE", help=_("write it with its weights; scoring by it trains nothing")
    )
    parser.add_argument(
        "--survivor",
        metavar="RULES",
        help=_("which record of a cluster survives: linked,active,complete,oldest,newest,trusted:COLUMN=VALUE in your order"),
    )
    parser.add_argument("--policy", type=Path, metavar="FILE", help=_("policy; by default the one that ships"))
    parser.add_argument(
        "--holds", type=Path, metavar="FILE", help=_("legal hold list; without one every record counts as protected")
    )
    parser.add_argument("--suites", type=Path, metavar="DIR", help=_("suites of expectations; by default those that ship"))
    parser.add_argument(
        "--engine", choices=("sql", "gx"), default="sql",
        help=_("gx: Great Expectations checks every row of the suites, not 20,000 of them; slow"),
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help=_("for sampling; the same seed gives the same result"))


class _PlannedError(Exception):
    """Ends a run after its plan; never leaves this module."""


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Say what will be compared, score, and print one line per object and reason."""
    from steward.commands._plan import plan_document, show_findings, show_plan
    from steward.policy import parse_policy
    from steward.workbench import open_workspace

    policy = parse_policy(args.policy.read_text(encoding="utf-8"), where=args.policy.name) if args.policy else None
    if (args.save_definition or args.save_model) and len(args.object) != 1:
        raise UsageError(N_("--save-definition and --save-model need one --object NAME."))
    if args.plan and args.save_model:
        raise UsageError(N_("--plan estimates no weights; leave out --save-model."))
    findings = []
    if args.definition is not None:
        from steward.scoring.duplicates.adapter import read_definition

        findings = read_definition(args.definition)[1]
        show_findings(screen, args.definition.name, findings)
    plans: list[Plan] = []

    def before(plan: Plan) -> None:
        plans.append(plan)
        show_plan(screen, plan)
        if args.save_definition:
            _write(args.save_definition, plan.definition)
            screen.say(
                N_("The linkage definition is in {file}; change it and give it back with --definition."),
                file=str(args.save_definition),
            )
        if args.plan:
            raise _PlannedError

    with open_workspace(workspace_of(args), create=False) as bench, screen.progress(N_("scoring"), None) as advance:

        def score(objects: list[str], kinds: Sequence[str]) -> list[ScoreLine]:
            return bench.score(
                objects,
                kinds=kinds,
                policy=policy,
                holds=args.holds,
                suites=args.suites,
                definition=args.definition,
                seed=args.seed,
                progress=advance,
                survivor_rules=tuple(r.strip() for r in args.survivor.split(",") if r.strip()) if args.survivor else (),
                engine=args.engine,
                before=before,
            )

        if args.plan:
            from steward.scoring.run import scored_objects

            for name in args.object or scored_objects(bench.store, bench.snapshot()):
                with suppress(_PlannedError):
                    score([name], ("duplicate",))
            screen.result({"plans": [plan_document(p) for p in plans]})
            named = "".join(f" --object {name}" for name in args.object)
            screen.next(f"steward score{named} --workspace {workspace_of(args)}")
            return 0
        lines = score(args.object, args.only or ("duplicate", "stale", "invalid"))
        runs = {r["object"]: r["summary"] for r in bench.store.runs(bench.snapshot()) if r["kind"] == "duplicate"}
    if args.save_model:
        _write(args.save_model, str(runs.get(args.object[0], {}).get("trained") or ""))
    names = {"duplicate": _("duplicate"), "stale": _("stale"), "invalid": _("invalid")}
    screen.table(
        N_("What was found"),
        (N_("reason"), N_("object"), N_("records"), N_("proposed"), N_("note")),
        [
            (names[line.kind], line.object, line.records, "–" if line.found is None else f"{line.found:,}", line.note)
            for line in lines
        ],
    )
    _warn_steerable(screen, [x.object for x in lines if x.kind == "duplicate"], runs)
    screen.result(
        {
            "plans": [plan_document(p) for p in plans],
            "splink": [{"where": f.where, "what": f.what, "loss": f.loss} for f in findings],
            "lines": [
                {
                    "kind": x.kind,
                    "object": x.object,
                    "records": x.records,
                    "proposed": x.found,
                    "note": x.note,
                    "complete": x.complete,
                }
                for x in lines
            ],
        }
    )
    screen.say(N_("The scorecard is in {file}."), file=str(_scorecard(workspace_of(args))))
    broken = [x for x in lines if not x.complete]
    if broken:
        raise ScoringError(
            N_("The suite of {object} did not run whole; nothing can be drafted from this snapshot."),
            next_step=N_("Mend the rule it names and score again."),
            object=", ".join(x.object for x in broken),
        )
    screen.next(f"steward review --workspace {workspace_of(args)}")
    return 0


def _warn_steerable(screen: Screen, objects: list[str], runs: dict[str, dict[str, object]]) -> None:
    for name in objects:
        steerable = runs.get(name, {}).get("steerable")
        if isinstance(steerable, int) and steerable:
            screen.say(
                N_(
                    "{object}: in {clusters} clusters a later record would take the place of an older one by completeness, change or activity; whoever can add records could have steered that."
                ),
                object=name,
                clusters=f"{steerable:,}",
            )


def _write(path: Path, text: str) -> None:
    if not text:
        raise ScoringError(N_("There is no model to write: nothing was compared."))
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(N_("{file} cannot be written: {problem}"), file=str(path), problem=error.strerror or "") from None


def _scorecard(folder: Path) -> Path:
    """Write the scorecard of the snapshot that was scored into the workspace; one that is there is replaced."""
    from datetime import UTC, datetime

    from steward.scorecard import collect, write
    from steward.store import Workspace
    from steward.store.decision_log import DecisionLog

    now = datetime.now(UTC)
    with Workspace.open(folder, read_only=True) as ws:
        if not (folder / "decisions.sqlite").exists():
            card = collect(ws, ws.snapshot(), None, now=lambda: now)
        else:
            with DecisionLog.open(folder) as log:
                card = collect(ws, ws.snapshot(), log, now=lambda: now)
    target = folder / "scorecard.html"
    write(card, target, now=now)
    return target
