"""``steward snapshot``: copy a CRM or export files into the workspace, or compare two snapshots.

Left to others: reading (``steward.crm``, ``steward.store``).
"""

from __future__ import annotations

import argparse
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from steward.commands import _since
from steward.commands.common import add_profiles, workspace_of
from steward.errors import UsageError
from steward.messages import N_, _, ngettext
from steward.screen import Screen

if TYPE_CHECKING:
    from steward.crm.mapping import Mapping
    from steward.records import Snapshot
    from steward.store import Workspace

EXAMPLE = (
    "steward snapshot people.csv --id unique_id --workspace w\n"
    "steward snapshot Contacts.csv Accounts.csv --workspace w\n"
    "steward snapshot --mapping mapping.toml --from sqlite:///crm.sqlite --workspace w\n"
    "steward snapshot --mapping mapping.toml --from exports/ --workspace w\n"
    "steward snapshot --profile acme --workspace w\n"
    "steward snapshot --profile acme --since last --workspace w\n"
    "steward snapshot --compare --workspace w"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    from steward.crm.mapping import Role

    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help=_("export files: CSV, TSV, XLSX, Parquet, JSON, NDJSON, also .gz")
    )
    parser.add_argument(
        "--mapping",
        type=Path,
        metavar="FILE",
        help=_("the mapping file; without one, --id is needed, or an export that is recognised by its headers"),
    )
    parser.add_argument("--vendor", metavar="NAME", help=_("whose export files they are, where their headers leave it open"))
    parser.add_argument(
        "--from",
        dest="source",
        metavar="WHERE",
        help=_("database URL or folder of export files; ${NAME} is taken from the environment"),
    )
    parser.add_argument("--profile", metavar="NAME", help=_("a vendor's CRM, as a profile names it"))
    add_profiles(parser)
    parser.add_argument("--id", dest="key", metavar="COLUMN", help=_("column of the id; several joined by +"))
    parser.add_argument("--object", metavar="NAME", help=_("name of the object; by default the file's name"))
    parser.add_argument("--role", choices=get_args(Role), help=_("what the object is; by default guessed from the headers"))
    parser.add_argument("--encoding", metavar="NAME", help=_("encoding of the files, where it is not recognised"))
    parser.add_argument(
        "--delimiter", metavar="CHAR", help=_("delimiter of the files, where it is not recognised: one character, or tab")
    )
    parser.add_argument("--sheet", metavar="NAME", help=_("sheet of an XLSX workbook"))
    parser.add_argument("--tenant", default="local", metavar="NAME", help=_("whose records these are, without a mapping"))
    parser.add_argument("--environment", default="files", metavar="NAME", help=_("where they come from, without a mapping"))
    parser.add_argument(
        "--duplicate-ids",
        choices=("refuse", "reject"),
        default="refuse",
        help=_("rows that share an id: refuse the file, or keep them as rejects"),
    )
    _since.configure(parser)
    parser.add_argument("--compare", nargs="*", metavar="SNAPSHOT", help=_("compare two snapshots; by default the last two"))


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Take a snapshot, or compare two."""
    from steward.store import Workspace

    if args.compare is not None:
        with Workspace.open(workspace_of(args), read_only=True) as ws:
            return _compare(ws, args, screen)
    folder = workspace_of(args)
    _since.check(args)
    if args.profile is not None:
        return _from_profile(args, folder, screen)
    if not (args.files or args.mapping or (args.source and "://" not in args.source)):
        raise UsageError(N_("What should be copied? Name export files, a mapping with --mapping, or a CRM with --profile."))
    now = datetime.now(UTC).replace(microsecond=0)
    mapping = _mapping(args.mapping) if args.mapping else None
    if mapping is None or not args.source or ("://" not in args.source and mapping.system != "sql"):
        _since.refuse_with_files(args)
    if mapping is None and (args.vendor is not None or args.key is None):
        return _from_exports(args, folder, now, screen)
    if mapping is not None and mapping.system == "files" and "export" in mapping.options and args.vendor is None:
        return _from_exports(args, folder, now, screen, mapping)
    if args.vendor is not None:
        raise UsageError(N_("--vendor says how files without a mapping are read; leave out one of the two."))
    with screen.progress(N_("reading records"), None) as advance:
        if mapping is not None and args.source and ("://" in args.source or mapping.system == "sql"):
            from steward.crm.sql import SqlReader

            reader = SqlReader(_with_environment(args.source), mapping)
            try:
                with Workspace.open(folder, create=True) as ws:
                    known = {s.digest for s in ws.snapshots()}
                    snapshot = _since.take(ws, reader, args, now, advance)
                    return _report(ws, snapshot, snapshot.digest in known, screen)
            finally:
                reader.close()
        where = [*args.files, *([Path(args.source)] if args.source else [])]
        if not where:
            where = [args.mapping.parent]
        from steward.store import FileSource

        source = FileSource(
            where[0] if len(where) == 1 else where, mapping, key=args.key, object=args.object, role=args.role, encoding=args.encoding,
            delimiter=args.delimiter, sheet=args.sheet, tenant=args.tenant, environment=args.environment, duplicate_ids=args.duplicate_ids,
        )  # fmt: skip
        with Workspace.open(folder, create=True) as ws:
            known = {s.digest for s in ws.snapshots()}
            snapshot = ws.take_snapshot(source, taken_at=now, progress=advance)
            return _report(ws, snapshot, snapshot.digest in known, screen)


def _from_profile(args: argparse.Namespace, folder: Path, screen: Screen) -> int:
    """Read a vendor's CRM; pages of a read that broke off are kept in the workspace, and it goes on with them."""
    from steward.crm.profiles import read_profile
    from steward.crm.registry import open_reader
    from steward.store import Workspace

    if args.files or args.mapping or args.source:
        raise UsageError(N_("--profile says where the records are; leave files, --mapping and --from out."))
    profile = read_profile(args.profiles, args.profile)
    with Workspace.open(folder, create=True) as ws:
        kept = folder / "reading" / re.sub(r"[^\w.-]", "_", args.profile)
        with open_reader(profile, kept=kept) as reader, screen.progress(N_("reading records"), None) as advance:
            known = {s.digest for s in ws.snapshots()}
            snapshot = _since.take(ws, reader, args, datetime.now(UTC).replace(microsecond=0), advance)
            reader.finished()
        return _report(ws, snapshot, snapshot.digest in known, screen)


def _from_exports(args: argparse.Namespace, folder: Path, now: datetime, screen: Screen, mapping: Mapping | None = None) -> int:
    """Read vendors' export files, recognised by their headers."""
    from steward.commands import _exports
    from steward.store import Workspace
    from steward.store.exports import ExportSource

    where = [*args.files, *([Path(args.source)] if args.source else [])]
    if mapping is not None and not where:
        where = [args.mapping.parent]
    with ExportSource(
        where, scratch=folder / "tmp", vendor=args.vendor, object=args.object, key=args.key, role=args.role,
        encoding=args.encoding, delimiter=args.delimiter, sheet=args.sheet, tenant=args.tenant, environment=args.environment,
        duplicate_ids=args.duplicate_ids, mapping=mapping,
    ) as source:  # fmt: skip
        if mapping is None:
            _exports.show(screen, source.proposal, source.mapping, source.left_out)
        with Workspace.open(folder, create=True) as ws:
            known = {s.digest for s in ws.snapshots()}
            with screen.progress(N_("reading records"), None) as advance:
                snapshot = ws.take_snapshot(source, taken_at=now, progress=advance)
            _exports.remarks(screen, source.remarks)
            recognised = _exports.document(source.proposal, source.mapping, source.left_out, source.remarks)
            return _report(ws, snapshot, snapshot.digest in known, screen, recognised)


def _mapping(path: Path) -> Mapping:
    from steward.crm.mapping import parse_mapping

    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(N_("The mapping {file} is not UTF-8."), file=path.name) from None
    return parse_mapping(text, where=path.name)


def _with_environment(url: str) -> str:
    """Put environment variables into a URL, so that no password stands on a command line."""

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if found is None:
            raise UsageError(N_("The environment has no variable {name}."), name=match[1])
        return found

    return re.sub(r"\$\{(\w+)\}", value, url)


def _report(ws: Workspace, snapshot: Snapshot, known: bool, screen: Screen, recognised: dict[str, object] | None = None) -> int:
    rejects = ws.rejects(snapshot)
    files = ws.files(snapshot)
    mapping = ws.mapping(snapshot)
    if known:
        screen.say(N_("These records are already in the workspace; nothing was added."))
    screen.say(N_("Snapshot {digest}: {rows} records."), digest=snapshot.digest[:12], rows=f"{snapshot.rows:,}")
    screen.table(
        N_("What was taken in"),
        (N_("object"), N_("role"), N_("records"), N_("rejects"), N_("columns")),
        [(o.name, mapping.objects[o.name].role, o.rows, o.rejects, len(o.columns)) for o in snapshot.objects],
    )
    if files:
        screen.table(
            N_("How the files were read"),
            (N_("file"), N_("kind"), N_("encoding"), N_("delimiter"), N_("rows in file"), N_("loaded"), N_("rejected")),
            [
                (
                    f.file,
                    f.kind,
                    f.encoding or "–",
                    {"\t": "tab", None: "–"}.get(f.delimiter, f.delimiter),
                    f.rows_in_file,
                    f.rows_loaded,
                    f.rejects,
                )
                for f in files
            ],
        )
    onward = _since.show(ws, snapshot, screen)
    for note in snapshot.notes:
        screen.warn(N_("{note}"), note=note)
    if rejects:
        # Their text stays in the workspace: it is customer data.
        screen.table(
            N_("Rejected"), (N_("file"), N_("line"), N_("problem")), [(r.file, r.line, _(r.problem)) for r in rejects[:10]]
        )
        sentence = ngettext(
            "{count} line was rejected and is kept: nothing can be deleted from this snapshot until it is resolved.",
            "{count} lines were rejected and are kept: nothing can be deleted from this snapshot until they are resolved.",
            len(rejects),
        )
        screen.warn(sentence, count=len(rejects))
    screen.result(
        {
            "digest": snapshot.digest,
            "taken_at": snapshot.taken_at.isoformat(),
            "known": known,
            "complete": snapshot.complete,
            "rows": snapshot.rows,
            "system": snapshot.system,
            "tenant": snapshot.tenant,
            "environment": snapshot.environment,
            "objects": [
                {"name": o.name, "role": mapping.objects[o.name].role, "rows": o.rows, "rejects": o.rejects, "digest": o.digest}
                for o in snapshot.objects
            ],
            "files": [
                {"file": f.file, "object": f.object, "sha256": f.sha256, "bytes": f.bytes, "kind": f.kind, "encoding": f.encoding,
                 "delimiter": f.delimiter, "rows_in_file": f.rows_in_file, "loaded": f.rows_loaded, "rejects": f.rejects}
                for f in files
            ],
            "rejects": [{"object": r.object, "file": r.file, "line": r.line, "problem": r.problem} for r in rejects],
            "notes": list(snapshot.notes),
            "onward": onward,
            **({"recognised": recognised} if recognised is not None else {}),
        }
    )  # fmt: skip
    where = f"--workspace {ws.path.name}" if not os.environ.get("STEWARD_WORKSPACE") else ""
    screen.next(f"steward export rejects --to rejects.csv {where}".strip() if rejects else f"steward score {where}".strip())
    return 0


def _compare(ws: Workspace, args: argparse.Namespace, screen: Screen) -> int:
    names = list(args.compare)
    every = ws.snapshots()
    if len(names) > 2:
        raise UsageError(N_("Two snapshots can be compared, not {count}."), count=len(names))
    if not names and len(every) < 2:
        raise UsageError(N_("The workspace holds {count} snapshots; two are needed to compare."), count=len(every))
    before = ws.snapshot(names[0]) if names else every[-2]
    after = ws.snapshot(names[1]) if len(names) == 2 else every[-1]
    found = ws.compare(before, after)
    screen.say(
        N_("From {before} ({then}) to {after} ({now}):"), before=before.digest[:12], then=before.taken_at.isoformat(sep=" ", timespec="minutes"),
        after=after.digest[:12], now=after.taken_at.isoformat(sep=" ", timespec="minutes"),
    )  # fmt: skip
    screen.table(
        "",
        (N_("object"), N_("added"), N_("changed"), N_("gone")),
        [(name, len(d.added), len(d.changed), len(d.gone)) for name, d in found.items()],
    )
    screen.result(
        {
            "before": before.digest,
            "after": after.digest,
            "objects": {
                n: {"added": list(d.added), "changed": list(d.changed), "gone": list(d.gone)} for n, d in found.items()
            },
        }
    )
    return 0
