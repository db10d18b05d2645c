"""An id without a clear answer is not taken for a record that went."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from steward.crm.tryton_changes import TrytonChanges
from steward.errors import UnavailableError
from steward.records import Absent, Record, RecordKey

ONE, TWO, THREE = (RecordKey("party", n) for n in "123")


def _reading(found: dict[str, Any]) -> list[list[Record]]:
    changes = TrytonChanges.__new__(TrytonChanges)
    changes.reader = SimpleNamespace(fetch=lambda name, ids: found, wire=SimpleNamespace(host="crm"))  # type: ignore[assignment]  # two words of it
    changes.entry = SimpleNamespace(name="party")  # type: ignore[assignment]  # its name
    return [list(part) for part in changes.read(["1", "2", "3"])]


def test_what_has_no_answer_stops_the_reading() -> None:
    there = Record(ONE, {"id": "1"})
    with pytest.raises(UnavailableError):
        _reading({"1": there, "2": Absent(TWO, "no such record")})
    assert _reading({"1": there, "2": Absent(TWO, "no such record"), "3": Absent(THREE, "no such record")}) == [[there]]
