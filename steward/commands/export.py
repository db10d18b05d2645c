"""``steward export``: write pairs, clusters, evidence, decisions, rejects or records to a file.

Left to others: the formats (``steward.store.exporting``).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steward.commands.common import workspace_of
from steward.errors import UsageError
from steward.messages import N_, _
from steward.screen import Screen

if TYPE_CHECKING:
    from steward.records import Snapshot
    from steward.store import Workspace

EXAMPLE = "steward export clusters --to clusters.csv --workspace w\nsteward export evidence --kind invalid --to evidence.parquet --workspace w"

_STATEMENTS: dict[str, tuple[tuple[str, ...], tuple[type, ...], str]] = {
    "pairs": (
        ("object", "left_id", "right_id", "match_weight", "probability", "rule"), (str, str, str, float, float, str),
        "SELECT object, left_id, right_id, match_weight, probability, rule FROM pairs WHERE snapshot = $s AND ($o IS NULL OR object = $o) "
        "AND $k IS NULL ORDER BY object, match_weight DESC, left_id, right_id",
    ),
    "clusters": (
        ("object", "record_id", "cluster_id", "survivor"), (str, str, str, bool),
        "SELECT object, record_id, cluster_id, survivor FROM clusters WHERE snapshot = $s AND ($o IS NULL OR object = $o) "
        "AND $k IS NULL ORDER BY object, cluster_id, survivor DESC, record_id",
    ),
    "evidence": (
        ("object", "record_id", "kind", "rule_id", "score", "sentence"), (str, str, str, str, float, str),
        "SELECT object, record_id, kind, rule_id, score, sentence FROM evidence WHERE snapshot = $s AND ($o IS NULL OR object = $o) "
        "AND ($k IS NULL OR kind = $k) ORDER BY object, kind, score DESC, record_id, rule_id, sentence",
    ),
    "rejects": (
        ("object", "file", "line", "problem", "text"), (str, str, int, str, str),
        "SELECT object, file, line, problem, text FROM rejects WHERE snapshot = $s AND ($o IS NULL OR object = $o) AND $k IS NULL "
        "ORDER BY object, file, line",
    ),
}  # fmt: skip

_DECISIONS = (
    "id",
    "at",
    "reviewer",
    "object",
    "record_id",
    "action",
    "target",
    "until",
    "case_id",
    "reason",
    "evidence_digest",
    "snapshot_digest",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parser.add_argument("what", choices=(*_STATEMENTS, "decisions", "records", "keeps"), help=_("what to write"))
    parser.add_argument(
        "--to", required=True, type=Path, metavar="FILE", help=_("file ending in .csv, .parquet, .ndjson or .xlsx; keeps: any")
    )
    parser.add_argument("--object", metavar="NAME", help=_("only this object"))
    parser.add_argument("--kind", choices=("duplicate", "stale", "invalid"), help=_("only this kind of evidence"))
    parser.add_argument("--log", metavar="URL", help=_("keeps: the decision log where it is not in the workspace"))
    parser.add_argument("--snapshot", metavar="DIGEST", help=_("beginning of the snapshot's digest; by default the latest"))


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Write the file."""
    from steward.store import Workspace
    from steward.store.exporting import export

    if args.kind and args.what != "evidence":
        raise UsageError(N_("--kind goes with evidence alone."))
    folder = workspace_of(args)
    if not args.to.parent.is_dir():
        raise UsageError(N_("There is no folder {folder}."), folder=str(args.to.parent))
    if args.what == "keeps":
        from steward.commands._keeps import export_keeps

        return export_keeps(folder, args.to, screen, log=args.log)
    if args.what == "decisions":
        if not (folder / "decisions.sqlite").exists():
            raise UsageError(N_("The workspace {folder} holds no decisions yet."), folder=folder.name)
        count = export(args.to, _DECISIONS, [str] * len(_DECISIONS), _decisions(folder, args.object))
    else:
        with Workspace.open(folder, read_only=True) as ws:
            snapshot = ws.snapshot(args.snapshot)
            if args.object is not None:
                ws.columns(snapshot, args.object)  # refuses an object that is not there
            columns, kinds, rows = _records(ws, snapshot, args.object) if args.what == "records" else _table(ws, snapshot, args)
            count = export(args.to, columns, kinds, rows)
    screen.say(N_("{count} rows written to {file}."), count=f"{count:,}", file=str(args.to))
    screen.result({"what": args.what, "rows": count, "file": str(args.to)})
    return 0


def _table(
    ws: Workspace, snapshot: Snapshot, args: argparse.Namespace
) -> tuple[Sequence[str], Sequence[type], Iterator[Sequence[Any]]]:
    columns, kinds, statement = _STATEMENTS[args.what]
    objects = {o.name for o in snapshot.objects} if args.object is None else {args.object}
    leave_out = len(objects) == 1 and args.what in ("pairs", "clusters")
    rows = _stream(ws, statement, {"s": snapshot.digest, "o": args.object, "k": args.kind})
    if leave_out:  # one object: the columns people expect, without one that says the same in every row
        return columns[1:], kinds[1:], (row[1:] for row in rows)
    return columns, kinds, rows


def _records(
    ws: Workspace, snapshot: Snapshot, object: str | None
) -> tuple[Sequence[str], Sequence[type], Iterator[Sequence[Any]]]:
    from steward.store.sql import quote

    if object is None:
        if len(snapshot.objects) > 1:
            raise UsageError(
                N_("Which object? Name one with --object: {known}."), known=", ".join(o.name for o in snapshot.objects)
            )
        object = snapshot.objects[0].name
    columns = ws.columns(snapshot, object)
    statement = f"SELECT {', '.join(map(quote, columns))} FROM {ws.table(snapshot, object)} ORDER BY _file, _line, _id"  # noqa: S608 - quoted
    return columns, [str] * len(columns), _stream(ws, statement, {})


def _stream(ws: Workspace, statement: str, parameters: dict[str, object]) -> Iterator[Sequence[Any]]:
    cursor = ws.connection.cursor()
    try:
        cursor.execute(statement, parameters)
        while rows := cursor.fetchmany(10_000):
            yield from rows
    finally:
        cursor.close()


def _decisions(folder: Path, object: str | None) -> Iterator[Sequence[Any]]:
    from steward.store.decision_log import DecisionLog

    log = DecisionLog.open(folder / "decisions.sqlite")
    try:
        for d in log.read():
            if object is None or d.key.object == object:
                yield (
                    d.id, d.at.isoformat(), d.reviewer, d.key.object, d.key.id, d.action.value, d.target, d.until.isoformat() if d.until else None,
                    d.case_id, d.reason, d.evidence_digest, d.snapshot_digest,
                )  # fmt: skip
    finally:
        log.close()
