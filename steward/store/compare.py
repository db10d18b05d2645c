"""What changed between two snapshots: ids that came, changed or went, per object.

Left to others: what to make of it (``steward.review`` shows it before old decisions are used again).
"""

from __future__ import annotations

import duckdb

from steward.store.model import Difference


def difference(connection: duckdb.DuckDBPyConnection, before: str | None, after: str | None) -> Difference:
    """Compare two snapshot tables by record digest.

    Parameters
    ----------
    before, after : str or None
        Quoted, qualified tables; None where a snapshot does not hold the object: all its records came or went.
    """
    if before is None and after is None:
        return Difference()
    if before is None:
        return Difference(added=_ids(connection, f"SELECT _id FROM {after}"))
    if after is None:
        return Difference(gone=_ids(connection, f"SELECT _id FROM {before}"))
    return Difference(
        added=_ids(connection, f"SELECT a._id FROM {after} a ANTI JOIN {before} b USING (_id)"),
        # Coming back from the recycle bin is a change even where no field tells it.
        changed=_ids(
            connection,
            f"SELECT a._id FROM {after} a JOIN {before} b USING (_id) WHERE a._digest <> b._digest OR a._deleted <> b._deleted",
        ),
        gone=_ids(connection, f"SELECT b._id FROM {before} b ANTI JOIN {after} a USING (_id)"),
    )


def _ids(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[str, ...]:
    return tuple(row[0] for row in connection.execute(f"SELECT _id FROM ({query}) ORDER BY _id").fetchall())
