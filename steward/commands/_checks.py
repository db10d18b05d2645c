"""What ``steward review`` does for those who check the work of others: draw a sample, say what came of it, agreement."""

from __future__ import annotations

import argparse
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from steward.errors import UsageError
from steward.messages import N_, _
from steward.screen import Screen

if TYPE_CHECKING:
    from steward.records import Snapshot
    from steward.store.decision_log import DecisionLog


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words for checking."""
    parser.add_argument(
        "--check", action="store_true", help=_("decide blind, in a log of second opinions that changes nothing that holds")
    )
    parser.add_argument("--sample", type=int, metavar="N", help=_("with --check: draw N decided cases to check, and record it"))
    parser.add_argument("--of", metavar="NAME", default="", help=_("with --sample: only cases decided by NAME"))
    parser.add_argument("--seed", metavar="TEXT", help=_("with --sample: draw by this seed, so that anybody can repeat it"))
    parser.add_argument("--checked", action="store_true", help=_("print what the reviewer's last sample has shown"))
    parser.add_argument("--agreement", nargs=2, metavar="NAME", help=_("print how far two reviewers agree (Cohen's kappa)"))


def draw_sample(log: DecisionLog, snapshot: Snapshot, lead: str, args: argparse.Namespace, screen: Screen) -> None:
    """Draw a sample and put it on record.

    Raises
    ------
    DecisionError
        Nothing was decided that could be checked.
    """
    from steward.review.sampling import draw
    from steward.store.samples import Samples

    drawn_at = datetime.now(UTC)
    sample = draw(
        log.read(), snapshot=snapshot.digest, lead=lead, reviewer=args.of, seed=args.seed or uuid.uuid4().hex, size=args.sample,
        drawn_at=drawn_at, id=uuid.uuid4().hex,
    )  # fmt: skip
    Samples(log).add(sample)
    screen.say(
        N_("{lead} checks {cases} of {population} decided cases, drawn by the seed {seed}."),
        lead=lead, cases=len(sample.cases), population=sample.population, seed=sample.seed,
    )  # fmt: skip
    screen.result({"sample": sample.id, "seed": sample.seed, "population": sample.population, "cases": list(sample.cases)})


def say_checked(log: DecisionLog, snapshot: Snapshot, lead: str, screen: Screen) -> int:
    """Print what the last sample of a lead has shown.

    Raises
    ------
    UsageError
        No sample was drawn from this snapshot.
    """
    from steward.review.sampling import finding, newest
    from steward.store.samples import Samples

    sample = newest(Samples(log).read(), lead, snapshot.digest)
    if sample is None:
        raise UsageError(
            N_("{lead} has drawn no sample from this snapshot."),
            next_step=N_("Run: steward review --check --sample 50 --workspace DIR."),
            lead=lead,
        )
    found = finding(sample, log.read(), log.checks().read())
    screen.say(
        N_("{checked} of {cases} cases of the sample are checked; in {wrong} of them {lead} decided otherwise. With 95 % certainty that is {low} to {high} of all {population} decided cases."),
        checked=found.cases, cases=len(sample.cases), wrong=found.wrong, lead=lead, low=f"{found.low:.1%}", high=f"{found.high:.1%}",
        population=sample.population,
    )  # fmt: skip
    if found.differing:
        screen.table(
            N_("Decided otherwise"),
            (N_("case"), N_("record"), N_("by"), N_("decided"), N_("checked")),
            [(d.case_id, str(d.key), d.reviewer, _answer(d.decided), _answer(d.checked)) for d in found.differing],
        )
    screen.result(
        {
            "sample": sample.id, "seed": sample.seed, "population": sample.population, "cases": len(sample.cases),
            "checked": found.cases, "wrong": found.wrong, "low": found.low, "high": found.high,
            "differing": [
                {"case": d.case_id, "object": d.key.object, "id": d.key.id, "reviewer": d.reviewer, "decided": list(d.decided),
                 "checked": list(d.checked)}
                for d in found.differing
            ],
        }
    )  # fmt: skip
    return 0


def say_agreement(log: DecisionLog, people: list[str], screen: Screen) -> int:
    """Print how far two reviewers agree; blind second opinions go before what was decided with the other on the screen."""
    from steward.review.agreement import agreement

    found = agreement(log.read(), people[0], people[1], checks=log.checks().read())
    screen.say(
        N_("{first} and {second} decided on {records} records both: they agree on {share}; Cohen's kappa is {kappa}."),
        first=people[0],
        second=people[1],
        records=found.records,
        share=f"{found.observed:.1%}",
        kappa="–" if found.kappa is None else f"{found.kappa:.2f}",
    )
    screen.result({"records": found.records, "observed": found.observed, "kappa": found.kappa})
    return 0


def _answer(answer: tuple[str, str | None]) -> str:
    return answer[0] if answer[1] is None else f"{answer[0]} → {answer[1]}"
