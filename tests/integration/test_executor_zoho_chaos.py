"""Zoho under faults, deaths and people, all at random; see ``tests.support.zoho_chaos`` for what is asked at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from steward.crm.mapping import ObjectMapping
from steward.executor.ports import Answer, Result
from steward.executor.writers.vendor import VendorWriter
from steward.executor.writers.zoho import ZohoWriter
from steward.records import Record, RecordKey
from tests.support.zoho_chaos import series


def test_nothing_is_lost_doubled_or_falsely_said_whatever_happens() -> None:
    tally = series(range(4))
    assert not tally.violations
    assert tally.runs == 4 and tally.deaths >= 3
    assert tally.states.get("done", 0) + tally.states.get("done_inferred", 0) >= 25


class HalfAPurge(ZohoWriter):
    """Takes what lies in the bin for purged."""

    _state = VendorWriter._state

    def _finish(self, entry: ObjectMapping, ids: Mapping[str, str | None]) -> None: ...


class TrustsTheStatus(ZohoWriter):
    """Takes an answer of 2xx for done, whatever its verdicts are, and does not read it back."""

    def send_delete(self, entry: ObjectMapping, records: Sequence[Record], op: str) -> Mapping[str, Result]:
        super().send_delete(entry, records, op)
        return {r.key.id: Result(Answer.DONE, by=self.me) for r in records}

    def _state(self, step: Any, found: Any, manifest: str) -> tuple[str, str | None, str | None]:
        said = super()._state(step, found, manifest)
        return ("made", *said[1:]) if said[0] == "open" and step.op != "update" else said


class LooksOnce(ZohoWriter):
    """Believes what it read at the beginning of a batch."""

    def _look_again(self, keys: Sequence[RecordKey]) -> None: ...


@pytest.mark.parametrize(
    ("broken", "options", "seeds"),
    [
        (HalfAPurge, {}, (13, 15, 16)),
        (TrustsTheStatus, {}, (0, 1, 2, 3)),
        (LooksOnce, {"update_guard": "none"}, (38, 52, 43)),
    ],
)
def test_a_broken_writer_is_found(broken: type[ZohoWriter], options: dict[str, str], seeds: tuple[int, ...]) -> None:
    assert series(seeds, broken, **options).violations
