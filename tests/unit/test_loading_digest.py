"""The digest of an object's rows: the same in one look or many, and by the text of its definition in plain Python."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import duckdb
import pytest

from steward.store import digest
from steward.store.digest import object_digest


def by_hand(digests: Iterable[str], name: str) -> str:
    """From the definition in ``steward.records``: buckets of three digits, sorted, each hashed, then the lines."""
    buckets: dict[str, list[str]] = {}
    for one in sorted(digests):
        buckets.setdefault(one[:3], []).append(one)
    lines = "\n".join(f"{place}:{hashlib.sha256(''.join(held).encode()).hexdigest()}" for place, held in buckets.items())
    rows = sum(map(len, buckets.values()))
    return hashlib.sha256(f"steward.object.v1\n{len(name.encode())}:{name}\n{rows}\n{lines}".encode()).hexdigest()


@pytest.mark.parametrize("at_once", [1_000_000, 100, 1])
@pytest.mark.parametrize("rows", [0, 1, 7, 400])
@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_one_look_or_many(monkeypatch: pytest.MonkeyPatch, at_once: int, rows: int, times: int) -> None:
    if at_once == 1 and rows > 7:
        at_once = 3
    monkeypatch.setattr(digest, "_AT_ONCE", at_once)
    held = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(rows)] * times
    with duckdb.connect() as db:
        db.execute("CREATE TABLE t(_digest VARCHAR)")
        if held:
            db.execute("INSERT INTO t SELECT unnest(?)", [held])
        assert object_digest(db, "t", "Kunde") == (by_hand(held, "Kunde"), len(held))


def test_digests_that_begin_alike_are_told_apart() -> None:
    """Rows are sorted by their first eight bytes; those that share them are sorted whole."""
    alike = [f"{'ab' * 8}{n:048x}" for n in (9, 3, 2**60, 1)]
    with duckdb.connect() as db:
        db.execute("CREATE TABLE t(_digest VARCHAR)")
        db.execute("INSERT INTO t SELECT unnest(?)", [alike])
        assert object_digest(db, "t", "x") == (by_hand(alike, "x"), 4)
