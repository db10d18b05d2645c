"""``steward connectors``: what each CRM can do, what would be read from one, and a proposed mapping.

Left to others: the facts (``steward.crm``).
"""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from steward.commands.common import add_profiles
from steward.errors import SchemaMismatchError, UsageError, printable
from steward.messages import N_, _
from steward.screen import Screen

if TYPE_CHECKING:
    from steward.crm.propose import Proposal

HELP = N_("show what each CRM can do, check access, propose a mapping")
EXAMPLE = "steward connectors check --mapping mapping.toml --from crm.sqlite\nsteward connectors check --profile acme"

_SHOWN = (
    "conditional_delete", "transactional", "recycle_bin", "recycle_days", "restore_keeps_id", "restore_moves_version",
    "tells_who_deleted", "per_id_result", "batch_size", "requests_per_minute", "request_lifetime", "side_effects",
)  # fmt: skip


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parts = parser.add_subparsers(dest="part", metavar="PART")
    check = parts.add_parser("check", help=_("show what would be read, and that nothing can be written"))
    check.add_argument("--mapping", type=Path, metavar="FILE")
    check.add_argument("--profile", metavar="NAME", help=_("a vendor's CRM, as a profile names it"))
    add_profiles(check)
    propose = parts.add_parser("map", help=_("propose a mapping file from a database's schema"))
    propose.add_argument("--to", type=Path, metavar="FILE", help=_("write the proposal here instead of showing it"))
    propose.add_argument("--tenant", default="default")
    propose.add_argument("--profile", metavar="NAME", help=_("a Jiandaoyun account, as a profile names it"))
    propose.add_argument(
        "--app", action="append", default=[], metavar="NAME", help=_("only the forms of this app; may be repeated")
    )
    add_profiles(propose)
    propose.add_argument("--environment", default="production", choices=("production", "sandbox", "test"))
    for part in (check, propose):
        part.add_argument(
            "--from",
            dest="source",
            metavar="URL",
            help=_("SQLite file or database URL; ${VAR} is replaced. For map also export files, or a folder of them"),
        )
        for name in ("--json", "--quiet"):
            part.add_argument(name, action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Show the table, check a source or propose a mapping."""
    if args.part == "check":
        return _check(args, screen)
    if args.part == "map":
        return _map(args, screen)
    from steward.crm.registry import as_document

    tables = as_document()
    rows = [[name, *(_word(t[name]) for t in tables)] for name in _SHOWN]
    screen.table(_("Connectors"), [_("capability"), *(str(t["system"]) for t in tables)], rows)
    screen.next("steward connectors map --from URL")
    screen.result({"connectors": tables})
    return 0


def _word(value: object) -> str:
    if value is True:
        return _("yes")
    if value is False:
        return _("no")
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)


def resolve(text: str) -> str:
    """Replace ``${VAR}`` by the environment, so that a password need not stand on the command line.

    Raises
    ------
    UsageError
        The variable is not set.
    """

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if found is None:
            raise UsageError(N_("The environment variable {name} is not set."), name=match[1])
        return found

    return re.sub(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", value, text)


def read_mapping_text(path: Path) -> str:
    """Return a mapping file's text, or refuse in one sentence."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaMismatchError(
            N_("The mapping {where} cannot be read ({kind})."),
            next_step=N_("Propose one with: steward connectors map --from URL."),
            where=path,
            kind=type(error).__name__,
        ) from None


def _check(args: argparse.Namespace, screen: Screen) -> int:
    from steward.crm.mapping import parse_mapping
    from steward.crm.sql import SqlReader
    from steward.crm.sql_check import check_source

    if args.profile is not None:
        return _check_profile(args, screen)
    if args.mapping is None or args.source is None:
        raise UsageError(N_("Check what? Name a database with --mapping and --from, or a profile with --profile."))
    mapping = parse_mapping(read_mapping_text(args.mapping), where=args.mapping.name)
    with SqlReader(resolve(args.source), mapping) as reader:
        found = check_source(reader)
        capabilities = reader.capabilities
    screen.say(
        N_("{where}: tenant {tenant}, environment {environment}."),
        where=found.where,
        tenant=found.tenant,
        environment=found.environment,
    )
    rows = [[o.name, o.table, o.live, len(o.columns)] for o in found.objects]
    screen.table(_("What would be read"), [_("object"), _("table"), _("live records"), _("columns")], rows)
    if found.read_only:
        screen.say(N_("The database refuses writes on this connection."))
    else:
        screen.warn(N_("The database would accept writes on this connection."))
    writable = [o.name for o in found.objects if o.writable_by_user]
    if writable:
        screen.warn(
            N_("This user could write {tables} on another connection; give the reader a user with SELECT only."),
            tables=", ".join(writable),
        )
    if found.clock_seconds is not None and abs(found.clock_seconds) > 5:
        screen.warn(N_("The server's clock differs from this one by {seconds} seconds."), seconds=round(found.clock_seconds, 1))
    screen.next(f"steward snapshot --mapping {args.mapping} --from {args.source}")
    screen.result({**asdict(found), "capabilities": asdict(capabilities)})
    return 0


def _map_forms(args: argparse.Namespace) -> tuple[Proposal, str]:
    """Propose a mapping of a Jiandaoyun account; for the other vendors one ships."""
    from steward.crm.jiandaoyun_map import propose_forms
    from steward.crm.jiandaoyun_wire import open_wire
    from steward.crm.profiles import read_profile

    profile = read_profile(args.profiles, args.profile)
    if profile.system != "jiandaoyun":
        raise UsageError(N_("For {system} a mapping ships with steward; there is nothing to propose."), system=profile.system)
    wire = open_wire(profile)
    try:
        proposal = propose_forms(wire, apps=args.app)
    finally:
        wire.close()
    return proposal, proposal.to_toml(tenant=profile.tenant, environment=profile.environment)


def _check_profile(args: argparse.Namespace, screen: Screen) -> int:
    """Show what a vendor's credential is and may, before anything else runs with it."""
    from steward.crm.profiles import read_profile
    from steward.crm.registry import open_reader

    profile = read_profile(args.profiles, args.profile)
    with open_reader(profile) as reader:
        access = reader.access()
        objects = [
            (o.name, o.source, len(reader.columns(o.name)), reader.count(o.name) if reader.counts else None)
            for o in reader.objects()
            if o.name not in access.missing
        ]
        doubts = list(dict.fromkeys(reader.doubts))
        capabilities, exact, counts = reader.capabilities, reader.counts_exactly, reader.counts
    screen.say(
        N_("{where}: tenant {tenant}, environment {environment}."),
        where=reader.wire.host, tenant=profile.tenant, environment=profile.environment,
    )  # fmt: skip
    said = [
        [_("organisation"), access.organisation or "-"],
        [_("environment, as the vendor says"), access.environment or _("not said")],
        [_("acts as"), access.acts_as or "-"],
        [_("scopes"), ", ".join(access.scopes) or _("not said")],
        [_("could write"), _("not said") if access.may_write is None else _word(access.may_write)],
    ]
    screen.table(_("The credential"), [_("what"), _("said")], said)
    live = _("live records") if exact else _("records, as the vendor says")
    rows = [[*o[:3], _("not counted") if o[3] is None else o[3]] for o in objects]
    screen.table(_("What would be read"), [_("object"), _("table"), _("columns"), live], rows)
    if not counts:
        screen.say(
            N_("{system} counts nothing; how many records there are is known when they are read."), system=profile.system
        )
    if access.may_write:
        screen.warn(N_("This credential could write. Give the reader one that cannot."))
    for name in access.missing:
        screen.warn(N_("The credential does not reach {object}; what it protects would not be seen."), object=name)
    for doubt in doubts:
        screen.warn(N_("A snapshot would count as partial, and nothing could be deleted from it: {doubt}"), doubt=doubt)
    if access.clock_seconds is not None and abs(access.clock_seconds) > 5:
        screen.warn(
            N_("The server's clock differs from this one by {seconds} seconds."), seconds=round(access.clock_seconds, 1)
        )
    screen.next(f"steward snapshot --profile {args.profile}")
    counted = [dict(zip(("name", "table", "columns", "records"), o, strict=True)) for o in objects]
    screen.result(
        {
            "profile": profile.name, "access": asdict(access), "objects": counted, "doubts": doubts,
            "capabilities": asdict(capabilities),
        }
    )  # fmt: skip
    return 0


def _map(args: argparse.Namespace, screen: Screen) -> int:
    from steward.commands import _exports
    from steward.crm.mapping import parse_mapping
    from steward.crm.propose import propose_mapping
    from steward.crm.sql import SqlReader
    from steward.crm.sql_engine import open_engine

    if args.to is not None and args.to.exists():
        raise UsageError(
            N_("{where} is already there; nothing is overwritten."), next_step=N_("Name another file."), where=args.to
        )
    if args.profile is None and args.source is not None and _exports.are_exports(args.source):
        return _exports.write_mapping(args, screen)
    if (args.profile is None) == (args.source is None):
        raise UsageError(N_("Map what? Name a database with --from, or a profile with --profile."))
    counts: dict[str, int | str]
    if args.profile is not None:
        proposal, text = _map_forms(args)
        counts = dict.fromkeys(parse_mapping(text, where="proposal").objects, "-")
    else:
        engine, _ours = open_engine(resolve(args.source))
        try:
            proposal = propose_mapping(engine)
        finally:
            engine.dispose()
        text = proposal.to_toml(tenant=args.tenant, environment=args.environment)
        mapping = parse_mapping(text, where="proposal")
        with SqlReader(resolve(args.source), mapping) as reader:  # a proposal that cannot be read is none
            counts = {o.name: reader.count(o.name) for o in reader.objects()}
    rows = [[o.name, o.table, o.role, o.key, ", ".join(o.parents.values()) or "-", counts[o.name]] for o in proposal.objects]
    titles = [_("object"), _("table"), _("role"), _("key"), _("parents"), _("live records")]
    screen.table(_("Proposed mapping"), titles, rows)
    for name, why in proposal.left_out.items():
        screen.warn(N_("Left out: {table} ({why})."), table=name, why=_(why))
    if args.to is not None:
        try:
            args.to.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise UsageError(N_("{where} cannot be written ({kind})."), where=args.to, kind=type(error).__name__) from None
        at = f"--profile {args.profile}" if args.profile else f"--mapping {args.to} --from {args.source}"
        screen.next(f"steward connectors check {at}")
    else:
        for line in text.splitlines():
            if not screen.quiet:
                screen.console.print(printable(line, 100_000))
    screen.result({"mapping": text, "objects": counts, "left_out": proposal.left_out})
    return 0
