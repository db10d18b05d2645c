"""Evidence tables: written whole per snapshot, kind and object in one transaction, read back as the core's classes.

Left to others: computing evidence (``steward.scoring``), the schema (``schema``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import duckdb
import pyarrow as pa

from steward.errors import ScoringError
from steward.evidence import CandidatePair, Cluster, ComparisonVector, Evidence, EvidenceKind, MatchWeight, ShownValue
from steward.messages import N_
from steward.records import RecordKey
from steward.store.sql import quote

if TYPE_CHECKING:
    from steward.policy import Protection

_COLUMNS: dict[str, tuple[str, ...]] = {
    "evidence": ("record_id", "case_id", "rule_id", "score", "sentence", "values_json", "severity", "policy_digest", "digest"),
    "pairs": ("left_id", "right_id", "match_weight", "probability", "rule", "weights_json"),
    "clusters": ("cluster_id", "record_id", "survivor"),
    "survivors": ("cluster_id", "record_id", "rule", "steerable", "reason", "values_json", "differing_json"),
    "protections": ("record_id", "code", "outcome", "sentence"),
}
_OPTIONAL = {"values_json": "'[]'", "severity": "''", "policy_digest": "''", "rule": "''", "weights_json": "'[]'"}
_FILLED = {"snapshot", "kind", "object"}  # may stand in a frame; the arguments count


def evidence_table(found: Iterable[Evidence]) -> pa.Table:
    """Return evidence as the Arrow table that :func:`replace` takes, digests computed."""
    rows = list(found)
    return pa.table(
        {
            "record_id": pa.array([e.key.id for e in rows], pa.string()),
            "case_id": pa.array([e.case_id for e in rows], pa.string()),
            "rule_id": pa.array([e.rule_id for e in rows], pa.string()),
            "score": pa.array([e.score for e in rows], pa.float64()),
            "sentence": pa.array([e.sentence for e in rows], pa.string()),
            "values_json": pa.array([values_json(e.values) for e in rows], pa.string()),
            "severity": pa.array([e.severity for e in rows], pa.string()),
            "policy_digest": pa.array([e.policy_digest for e in rows], pa.string()),
            "digest": pa.array([e.digest for e in rows], pa.string()),
        }
    )


def values_json(values: Sequence[ShownValue]) -> str:
    """Return shown values as the JSON text of column ``values_json``."""
    return json.dumps(
        [{"field": v.field, "value": v.value, "compared_with": v.compared_with, "source": v.source, "points": v.points} for v in values],
        ensure_ascii=False, separators=(",", ":"),
    )  # fmt: skip


def weights_json(weights: Sequence[MatchWeight]) -> str:
    """Return match weights as the JSON text of column ``weights_json``."""
    return json.dumps(
        [{"field": w.field, "agreement": w.agreement, "level": w.level, "bits": w.bits, "left": w.left, "right": w.right} for w in weights],
        ensure_ascii=False, separators=(",", ":"),
    )  # fmt: skip


def _arrow(frame: Any) -> pa.Table:
    return frame if isinstance(frame, pa.Table) else frame.to_arrow()


def replace(
    connection: duckdb.DuckDBPyConnection,
    snapshot: str,
    kind: str,
    object: str,
    frames: Mapping[str, Any],
    *,
    definition_digest: str,
    summary: Mapping[str, object],
    complete: bool,
) -> None:
    """Replace what one scoring said about one object. One transaction; readers see all of it or what was before.

    Parameters
    ----------
    frames : mapping of str to pl.DataFrame, pa.Table or None
        By table name. ``evidence`` and ``runs`` are replaced for this kind and object; ``pairs``, ``clusters`` and
        ``survivors`` for the object where kind is ``duplicate``; ``protections`` for the object where a frame is given.

    Raises
    ------
    ScoringError
        A frame has a column too few or too many.
    """
    keyed = {"snapshot": snapshot, "object": object}
    connection.execute("BEGIN")
    try:
        connection.execute(
            "DELETE FROM runs WHERE snapshot = $snapshot AND object = $object AND kind = $kind", {**keyed, "kind": kind}
        )
        connection.execute(
            "DELETE FROM evidence WHERE snapshot = $snapshot AND object = $object AND kind = $kind", {**keyed, "kind": kind}
        )
        replaced = ["pairs", "clusters", "survivors"] if kind == "duplicate" else []
        replaced += [
            name for name in ("pairs", "clusters", "protections") if frames.get(name) is not None and name not in replaced
        ]
        for name in replaced:
            connection.execute(f"DELETE FROM {name} WHERE snapshot = $snapshot AND object = $object", keyed)
        for name, frame in frames.items():
            if frame is not None:
                _insert(connection, name, _arrow(frame), snapshot, kind, object)
        connection.execute(
            "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?)",
            [snapshot, kind, object, definition_digest, json.dumps(summary, ensure_ascii=False, default=str), complete],
        )
        connection.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.TransactionException):  # the failed statement may have ended it
            connection.execute("ROLLBACK")
        raise


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table, snapshot: str, kind: str, object: str) -> None:
    wanted = _COLUMNS[table]
    have = set(rows.column_names)
    missing = [c for c in wanted if c not in have and c not in _OPTIONAL]
    odd = sorted(have - set(wanted) - _FILLED)
    if missing or odd:
        raise ScoringError(
            N_("Evidence for table {table} does not fit: missing {missing}, unknown {odd}."),
            table=table, missing=", ".join(missing) or "-", odd=", ".join(odd) or "-",
        )  # fmt: skip
    leading, parameters = (
        (["?", "?", "?"], [snapshot, kind, object]) if table == "evidence" else (["?", "?"], [snapshot, object])
    )
    columns = [quote(c) if c in have else _OPTIONAL[c] for c in wanted]
    connection.register("steward_findings", rows)
    try:
        connection.execute(
            f"INSERT INTO {table} SELECT {', '.join(leading + columns)} FROM steward_findings",
            parameters,
        )
    finally:
        connection.unregister("steward_findings")


def _keys_filter(connection: duckdb.DuckDBPyConnection, keys: Iterable[RecordKey] | None) -> str:
    """Register the wanted keys and return the join that keeps only them; empty for all."""
    if keys is None:
        return ""
    wanted = sorted(set(keys))
    connection.register(
        "steward_keys",
        pa.table(
            {
                "object": pa.array([k.object for k in wanted], pa.string()),
                "record_id": pa.array([k.id for k in wanted], pa.string()),
            }
        ),
    )
    return " SEMI JOIN steward_keys USING (object, record_id)"


def read_evidence(
    connection: duckdb.DuckDBPyConnection, snapshot: str, kind: str | None, object: str | None, keys: Iterable[RecordKey] | None
) -> list[Evidence]:
    """Return evidence, sorted by kind, object, record and rule."""
    cursor = connection.cursor()
    try:
        joined = _keys_filter(cursor, keys)
        rows = cursor.execute(
            "SELECT kind, object, record_id, case_id, rule_id, score, sentence, values_json, severity, policy_digest "
            f"FROM evidence{joined} WHERE snapshot = $s AND ($k IS NULL OR kind = $k) AND ($o IS NULL OR object = $o) "
            "ORDER BY kind, object, record_id, rule_id, digest",
            {"s": snapshot, "k": kind, "o": object},
        ).fetchall()
    finally:
        cursor.close()
    return [
        Evidence(
            cast(EvidenceKind, r[0]), RecordKey(r[1], r[2]), r[4], r[5], r[6],
            tuple(ShownValue(v["field"], v.get("value"), v.get("compared_with"), v.get("source") or "", v.get("points")) for v in json.loads(r[7])),
            r[3], r[9], r[8],
        )
        for r in rows
    ]  # fmt: skip


def read_clusters(connection: duckdb.DuckDBPyConnection, snapshot: str, object: str) -> list[Cluster]:
    """Return the clusters of an object with the pairs that hold them together, sorted by id."""
    members = connection.execute(
        "SELECT cluster_id, list(record_id ORDER BY record_id), max(record_id) FILTER (WHERE survivor) FROM clusters "
        "WHERE snapshot = ? AND object = ? GROUP BY cluster_id ORDER BY cluster_id",
        [snapshot, object],
    ).fetchall()
    links: dict[str, list[tuple[CandidatePair, float]]] = {}
    for cluster_id, left, right, rule, probability in connection.execute(
        "SELECT l.cluster_id, p.left_id, p.right_id, p.rule, p.probability FROM pairs p "
        "JOIN clusters l ON l.snapshot = p.snapshot AND l.object = p.object AND l.record_id = p.left_id "
        "JOIN clusters r ON r.snapshot = p.snapshot AND r.object = p.object AND r.record_id = p.right_id AND r.cluster_id = l.cluster_id "
        "WHERE p.snapshot = ? AND p.object = ? ORDER BY ALL",
        [snapshot, object],
    ).fetchall():
        links.setdefault(cluster_id, []).append((_pair(object, left, right, rule), probability))
    return [
        Cluster(cid, tuple(RecordKey(object, i) for i in ids), RecordKey(object, survivor or ids[0]), tuple(links.get(cid, ())))
        for cid, ids, survivor in members
    ]


@dataclass(frozen=True, slots=True)
class SurvivorProposal:
    """Which record of a cluster is proposed to survive, why, and what it would take over from the others.

    Attributes
    ----------
    rule : str
        The survivor rule that decided; ``id`` where none did.
    steerable : bool
        True where someone able to add records could have steered the choice.
    reason : str
        One English clause; says so where it is steerable.
    values : mapping of str to (str, RecordKey)
        Column that the survivor leaves empty → the value the others agree on, and the record it comes from.
    differing : tuple of str
        Columns in which members differ: a person must choose, or one value is lost.
    """

    cluster_id: str
    key: RecordKey
    rule: str
    steerable: bool
    reason: str
    values: Mapping[str, tuple[str, RecordKey]]
    differing: tuple[str, ...]


def read_survivors(connection: duckdb.DuckDBPyConnection, snapshot: str, object: str) -> dict[str, SurvivorProposal]:
    """Return the proposed survivor of each cluster; empty for a workspace that was scored before they were kept."""
    try:
        rows = connection.execute(
            "SELECT cluster_id, record_id, rule, steerable, reason, values_json, differing_json FROM survivors "
            "WHERE snapshot = ? AND object = ? ORDER BY cluster_id",
            [snapshot, object],
        ).fetchall()
    except duckdb.CatalogException:  # opened read-only, written by an earlier version
        return {}
    return {
        cluster: SurvivorProposal(
            cluster, RecordKey(object, record), rule, steerable, reason,
            {c: (v, RecordKey(object, giver)) for c, (v, giver) in json.loads(values).items()}, tuple(json.loads(differing)),
        )
        for cluster, record, rule, steerable, reason, values, differing in rows
    }  # fmt: skip


def read_pairs(connection: duckdb.DuckDBPyConnection, snapshot: str, object: str, cluster_id: str) -> list[ComparisonVector]:
    """Return the compared pairs inside one cluster, strongest first."""
    rows = connection.execute(
        "WITH m AS (SELECT record_id FROM clusters WHERE snapshot = $s AND object = $o AND cluster_id = $c) "
        "SELECT left_id, right_id, rule, match_weight, weights_json FROM pairs "
        "WHERE snapshot = $s AND object = $o AND left_id IN (FROM m) AND right_id IN (FROM m) ORDER BY match_weight DESC, left_id, right_id",
        {"s": snapshot, "o": object, "c": cluster_id},
    ).fetchall()
    vectors = []
    for left, right, rule, total, text in rows:
        weights = tuple(
            MatchWeight(w["field"], w["agreement"], w["level"], w["bits"], w["left"], w["right"]) for w in json.loads(text)
        )
        vectors.append(ComparisonVector(_pair(object, left, right, rule), total - sum(w.bits for w in weights), weights))
    return vectors


def _pair(object: str, left: str, right: str, rule: str) -> CandidatePair:
    first, second = sorted((left, right))
    return CandidatePair(RecordKey(object, first), RecordKey(object, second), rule)


def read_protections(
    connection: duckdb.DuckDBPyConnection, snapshot: str, keys: Iterable[RecordKey] | None
) -> dict[RecordKey, list[Protection]]:
    """Return the protections by record; a record without an entry was found to have none, or was never scored."""
    from steward.policy import Protection

    cursor = connection.cursor()
    try:
        joined = _keys_filter(cursor, keys)
        rows = cursor.execute(
            f"SELECT object, record_id, code, outcome, sentence FROM protections{joined} WHERE snapshot = ? ORDER BY ALL",
            [snapshot],
        ).fetchall()
    finally:
        cursor.close()
    found: dict[RecordKey, list[Protection]] = {}
    for object, record_id, code, outcome, sentence in rows:
        found.setdefault(RecordKey(object, record_id), []).append(Protection(code, outcome, sentence))
    return found
