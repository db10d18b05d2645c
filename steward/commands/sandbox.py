"""``steward sandbox``: builds a CRM to train and rehearse on, or serves one that speaks a vendor's wire contract.

Left to others: the generator (``steward.sandbox``) and each vendor's server (``steward.sandbox.<vendor>``).
"""

from __future__ import annotations

import argparse
import importlib
import socket
import sys
from datetime import date
from pathlib import Path

from steward.errors import MissingExtraError, UsageError
from steward.messages import N_, _
from steward.screen import Screen

HELP = N_("build a CRM to train and rehearse on")
EXAMPLE = "steward sandbox embedded --into training --customers 5000 --seed 7"
VENDORS = {
    "copper": N_("a local server that speaks Copper's Developer API v1"),
    "zoho": N_("a local server that speaks Zoho CRM's REST API v8"),
    "fxiaoke": N_("a local server that speaks Fxiaoke's OpenAPI"),
    "jiandaoyun": N_("a local server that speaks Jiandaoyun's API v5"),
}
"""Vendor → what its sandbox is; ``steward.sandbox.<vendor>.create_app(state, customers=, seed=)`` makes the server."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    embedded = kinds.add_parser("embedded", help=_("a generated CRM in SQLite, or in PostgreSQL by --url"))
    embedded.add_argument(
        "--into", type=Path, required=True, metavar="DIR", help=_("where crm.sqlite, mapping.toml and truth.json go")
    )
    embedded.add_argument("--customers", type=int, default=1_000, metavar="N", help=_("number of contacts (default 1000)"))
    embedded.add_argument("--seed", type=int, default=0, metavar="S", help=_("the same seed builds the same CRM"))
    embedded.add_argument("--as-of", type=date.fromisoformat, metavar="DAY", help=_("the day the CRM is as of, YYYY-MM-DD"))
    embedded.add_argument("--url", metavar="URL", help=_("an empty PostgreSQL database instead of crm.sqlite"))
    for name in ("--json", "--quiet"):  # so that they may also stand behind the kind
        embedded.add_argument(name, action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    for vendor, what in VENDORS.items():
        server = kinds.add_parser(vendor, help=_(what))
        server.add_argument("--port", type=int, default=0, metavar="N", help=_("port on this machine (default: a free one)"))
        server.add_argument("--customers", type=int, default=1_000, metavar="N", help=_("number of contacts (default 1000)"))
        server.add_argument("--seed", type=int, default=0, metavar="S", help=_("the same seed builds the same CRM"))
        server.add_argument("--state", type=Path, metavar="FILE", help=_("SQLite file that keeps the state (default: memory)"))
        for name in ("--json", "--quiet"):
            server.add_argument(name, action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Build the CRM and say what is in it, or serve a vendor's until it is stopped."""
    return _serve(args, screen) if args.kind in VENDORS else _build(args, screen)


def _serve(args: argparse.Namespace, screen: Screen) -> int:
    """Serve a vendor's sandbox on this machine alone until it is stopped by Ctrl-C."""
    try:
        import uvicorn

        make = importlib.import_module(f"steward.sandbox.{args.kind}").create_app
    except ModuleNotFoundError as error:
        raise MissingExtraError("sandbox", (error.name or "starlette").partition(".")[0]) from None
    try:
        listener = socket.create_server(("127.0.0.1", args.port))
    except (OSError, OverflowError):
        raise UsageError(N_("Port {port} cannot be used."), next_step=N_("Name another port."), port=args.port) from None
    with listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # head and body go out at once, not 40 ms apart
        app = make(args.state, customers=args.customers, seed=args.seed)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        screen.say(N_("The sandbox answers at {address} until Ctrl-C; its page is there as well."), address=address)
        screen.result({"address": address, "kind": args.kind, "customers": args.customers, "seed": args.seed})
        sys.stdout.flush()
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False))
        try:
            server.run(sockets=[listener])
        except KeyboardInterrupt:  # uvicorn hands the signal on once it has stopped
            return 0
    return 0


def _build(args: argparse.Namespace, screen: Screen) -> int:
    from steward.sandbox import AS_OF, build_crm, demo_mapping

    folder: Path = args.into
    if folder.exists() and not folder.is_dir():
        raise UsageError(N_("{where} is a file; a folder is needed."), where=folder)
    taken = next((f for f in ("crm.sqlite", "mapping.toml", "truth.json") if (folder / f).exists()), None)
    if taken is not None:
        raise UsageError(
            N_("{where} is already there; nothing is overwritten."), next_step=N_("Name another folder."), where=folder / taken
        )
    folder.mkdir(parents=True, exist_ok=True)
    target = args.url or f"sqlite:///{folder / 'crm.sqlite'}"
    made: list[Path] = [] if args.url else [folder / "crm.sqlite"]
    try:
        with screen.progress(N_("Writing rows"), None) as advance:
            truth = build_crm(
                target, customers=args.customers, seed=args.seed, as_of=args.as_of or AS_OF,
                truth_file=folder / "truth.json", progress=advance,
            )  # fmt: skip
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)
        raise
    (folder / "mapping.toml").write_text(demo_mapping(), encoding="utf-8", newline="\n")
    screen.table(_("Rows"), [_("table"), _("rows")], [[name, count] for name, count in truth.rows.items()])
    planted = {
        "duplicate_contacts": sum(len(c) - 1 for c in truth.duplicate_clusters["contact"]),
        "duplicate_companies": sum(len(c) - 1 for c in truth.duplicate_clusters["company"]),
        "stale": len(truth.stale["contact"]),
        "invalid": len(truth.invalid["contact"]) + len(truth.invalid["company"]),
        "protected": len(truth.protected["contact"]),
    }
    screen.say(N_("What is planted in it is written to {where}, outside the CRM."), where=folder / "truth.json")
    screen.next(
        f"steward connectors check --mapping {folder / 'mapping.toml'} --from {'URL' if args.url else folder / 'crm.sqlite'}"
    )
    screen.result({"folder": str(folder), "rows": truth.rows, "planted": planted, "as_of": truth.as_of, "seed": truth.seed})
    return 0
