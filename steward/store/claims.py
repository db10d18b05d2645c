"""Who has which case on the screen: short leases beside the decision log, so that two people do not get the same case.

A lease is a courtesy and never a lock: it says who is at work on a case and ends by itself. What holds is decided by the
decision log alone, where two different decisions are a conflict that a named person resolves; the clock decides nothing
there. A lease belongs to a person, so that whoever comes back after a restart gets the own cases again.

One table ``review_claim`` in the database of the log, SQLite or PostgreSQL. Time is the database server's for PostgreSQL
(several machines, one clock) and this machine's for SQLite (one machine).

Left to others: which cases are claimed and when (``steward.review.session``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from steward.store.decision_log import DecisionLog

LEASE = 300.0
"""Seconds that a claim lasts without being renewed."""

metadata = sa.MetaData()

table = sa.Table(
    "review_claim",
    metadata,
    sa.Column("snapshot", sa.Text, primary_key=True),
    sa.Column("case_id", sa.Text, primary_key=True),
    sa.Column("reviewer", sa.Text, nullable=False),
    sa.Column("until", sa.Float(53), nullable=False),
)


class Claims:
    """The claims on the cases of one snapshot.

    Parameters
    ----------
    log : DecisionLog
        Its database holds the claims as well.
    snapshot : str
        Digest of the snapshot.
    now : callable, optional
        Seconds since 1970; the database's clock where not given.
    """

    def __init__(self, log: DecisionLog, snapshot: str, now: Callable[[], float] | None = None) -> None:
        self._log, self._snapshot, self._given = log, snapshot, now
        with log.transaction(write=True) as connection:
            metadata.create_all(connection)

    def claim(self, reviewer: str, case_ids: Iterable[str], *, take_over: bool = False, seconds: float = LEASE) -> set[str]:
        """Claim cases, or renew the claim, and return those that ``reviewer`` has now.

        Parameters
        ----------
        take_over : bool
            Also take what somebody else has claimed: the reviewer was told and goes on.

        Raises
        ------
        DecisionError
            The database cannot be written.
        """
        wanted = sorted(set(case_ids))
        if not wanted:
            return set()
        with self._log.transaction(write=True) as connection:
            now = self._now(connection)
            connection.execute(sa.delete(table).where(table.c.until <= now))  # the table stays as small as the team
            rows = [{"snapshot": self._snapshot, "case_id": c, "reviewer": reviewer, "until": now + seconds} for c in wanted]
            insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
            free = sa.or_(table.c.reviewer == reviewer, table.c.until <= now)
            statement = insert.on_conflict_do_update(
                index_elements=["snapshot", "case_id"],
                set_={"reviewer": insert.excluded.reviewer, "until": insert.excluded.until},
                where=None if take_over else free,
            )
            connection.execute(statement, rows)
            return set(
                connection.scalars(
                    sa.select(table.c.case_id).where(
                        table.c.snapshot == self._snapshot, table.c.case_id.in_(wanted), table.c.reviewer == reviewer
                    )
                )
            )

    def release(self, reviewer: str, case_ids: Iterable[str] | None = None) -> None:
        """Give up cases (all of ``reviewer`` where None); those of others stay."""
        mine = sa.delete(table).where(table.c.snapshot == self._snapshot, table.c.reviewer == reviewer)
        if case_ids is not None:
            mine = mine.where(table.c.case_id.in_(sorted(set(case_ids))))
        with self._log.transaction(write=True) as connection:
            connection.execute(mine)

    def others(self, reviewer: str) -> Mapping[str, str]:
        """Return the cases that somebody else has claimed → by whom; claims that have ended are left out."""
        with self._log.transaction(write=False) as connection:
            found = connection.execute(
                sa.select(table.c.case_id, table.c.reviewer).where(
                    table.c.snapshot == self._snapshot, table.c.reviewer != reviewer, table.c.until > self._now(connection)
                )
            )
            return {row.case_id: row.reviewer for row in found}

    def _now(self, connection: Connection) -> float:
        if self._given is not None:
            return self._given()
        if connection.dialect.name == "postgresql":
            return float(connection.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
        return time.time()
