"""``steward explain``: why two records are, or are not, held to be one customer; every field with its bits."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from steward.commands.common import workspace_of
from steward.errors import ScoringError, UsageError
from steward.messages import N_, _
from steward.screen import Screen

EXAMPLE = "steward explain contact 17 23 --workspace w\nsteward explain contact 17 23 --svg why.svg --workspace w"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parser.add_argument("object", help=_("the object the two records are of"))
    parser.add_argument("left", metavar="ID", help=_("one record"))
    parser.add_argument("right", metavar="ID", help=_("the other record"))
    parser.add_argument("--svg", type=Path, metavar="FILE", help=_("write the waterfall as a picture"))


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Show the pair from the prior to the sum."""
    from steward.evidence import CandidatePair, ComparisonVector
    from steward.records import RecordKey
    from steward.scoring.duplicates.explain import read_weights, sentence
    from steward.scoring.duplicates.waterfall import waterfall, waterfall_document, waterfall_svg
    from steward.store import Workspace

    first, second = sorted((args.left, args.right))
    if first == second:
        raise UsageError(N_("Name two records."))
    with Workspace.open(workspace_of(args), read_only=True) as ws:
        snapshot = ws.snapshot()
        known = ws.records(snapshot, args.object, [first, second])
        for name in (first, second):
            if name not in known:
                raise UsageError(N_("The snapshot has no {object} {id}."), object=args.object, id=name)
        rows = ws.connection.execute(
            "SELECT match_weight, probability, rule, weights_json FROM pairs WHERE snapshot = ? AND object = ? AND left_id = ? AND right_id = ?",
            [snapshot.digest, args.object, first, second],
        ).fetchall()
    if not rows:
        raise ScoringError(
            N_("{object} {left} and {right} are no pair worth a look: no rule proposes them, or their probability is too low."),
            next_step=N_("review_from in the linkage definition says from which probability pairs are kept."),
            object=args.object,
            left=first,
            right=second,
        )
    total, probability, rule, text = rows[0]
    weights = read_weights(text)
    pair = CandidatePair(RecordKey(args.object, first), RecordKey(args.object, second), rule)
    vector = ComparisonVector(pair, total - sum(w.bits for w in weights), weights)
    steps = waterfall(vector)
    screen.table(
        N_("From the prior to the sum"),
        (N_("what"), N_("level"), N_("bits"), N_("sum"), N_("one record"), N_("the other")),
        [(s.name, s.level, f"{s.bits:+.2f}", f"{s.end:+.2f}", s.left or "", s.right or "") for s in steps],
    )
    screen.say("{sentence}", sentence=sentence(f"{args.object}/{second}", probability, weights, rule, total))
    if args.svg is not None:
        try:
            args.svg.write_text(waterfall_svg(vector), encoding="utf-8")
        except OSError as error:
            raise UsageError(
                N_("{file} cannot be written: {problem}"), file=str(args.svg), problem=error.strerror or ""
            ) from None
    screen.result(json.loads(json.dumps(waterfall_document(vector))))
    return 0
