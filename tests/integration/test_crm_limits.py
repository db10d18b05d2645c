"""Connectors use what vendors allow and are never told to wait: the bench, bounded."""

from __future__ import annotations

import pytest

from bench.connectors import LIMITS, Documented, used


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_a_documented_limit_is_used_and_never_passed(limit: Documented, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_SECRET", "no secret")
    share, refused = used(limit, limit.seconds * 5)
    assert share >= 0.95 and refused == 0
