"""Samples that a lead drew to check the work of others: which cases, from how many, by which seed. Append-only.

Left to others: drawing (``steward.review.sampling``), the second opinions themselves (``DecisionLog.checks``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from steward.store.decision_log import DecisionLog, append_only

metadata = sa.MetaData()

table = sa.Table(
    "review_sample",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("snapshot", sa.Text, nullable=False),
    sa.Column("lead", sa.Text, nullable=False),
    sa.Column("reviewer", sa.Text, nullable=False),
    sa.Column("seed", sa.Text, nullable=False),
    sa.Column("population", sa.Integer, nullable=False),
    sa.Column("cases", sa.Text, nullable=False),
    sa.Column("drawn_at", sa.Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """A drawn sample.

    Attributes
    ----------
    id : str
    snapshot : str
        Digest of the snapshot.
    lead : str
        Who checks.
    reviewer : str
        Whose decisions; empty for everybody's but the lead's.
    seed : str
    population : int
        Decided cases that the sample was drawn from.
    cases : tuple of str
        Case ids in the order of the draw.
    drawn_at : datetime
        UTC, for the record only.
    """

    id: str
    snapshot: str
    lead: str
    reviewer: str
    seed: str
    population: int
    cases: tuple[str, ...]
    drawn_at: datetime


class Samples:
    """The samples beside a decision log."""

    def __init__(self, log: DecisionLog) -> None:
        self._log = log
        with log.transaction(write=True) as connection:
            metadata.create_all(connection)
            for statement in append_only(table.name, connection.dialect.name):
                connection.execute(sa.text(statement))

    def add(self, sample: Sample) -> None:
        """Put a sample on record.

        Raises
        ------
        DecisionError
            The database cannot be written, or the id is there already.
        """
        with self._log.transaction(write=True) as connection:
            connection.execute(
                sa.insert(table),
                [
                    {
                        "id": sample.id, "snapshot": sample.snapshot, "lead": sample.lead, "reviewer": sample.reviewer,
                        "seed": sample.seed, "population": sample.population, "cases": json.dumps(list(sample.cases)),
                        "drawn_at": sample.drawn_at.astimezone(UTC).isoformat(),
                    }
                ],
            )  # fmt: skip

    def read(self) -> list[Sample]:
        """Return every sample, in the order of their times and ids."""
        with self._log.transaction(write=False) as connection:
            found = connection.execute(sa.select(table).order_by(table.c.drawn_at, table.c.id)).mappings()
            return [
                Sample(
                    row["id"], row["snapshot"], row["lead"], row["reviewer"], row["seed"], row["population"],
                    tuple(json.loads(row["cases"])), datetime.fromisoformat(row["drawn_at"]),
                )
                for row in found
            ]  # fmt: skip
