"""``steward suite``: check, format, export and import suites of expectations.

Left to others: what a suite means (``steward.scoring.validity``).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from steward.errors import UsageError
from steward.messages import N_, _

if TYPE_CHECKING:
    from steward.screen import Screen

HELP = N_("check, format, export and import suites of expectations")
EXAMPLE = """steward suite check expectations
steward suite export expectations --to warehouse"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("what", choices=("check", "fmt", "export", "import"), help=_("what to do"))
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help=_("suite files, folders of them, or a Great Expectations project")
    )
    parser.add_argument("--to", type=Path, metavar="DIR", help=_("export, import: the folder to write into"))


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Run the command."""
    from steward.scoring.validity import format_suite, load_suite
    from steward.scoring.validity.oracle import load_in_gx
    from steward.scoring.validity.project import export_suite, import_suite, suite_files

    if args.what in ("export", "import") and args.to is None:
        raise UsageError(N_("Say where to write with --to DIR."))
    # All of them are read before anything is written: a broken one changes nothing.
    suites = [(path, place, load_suite(path)) for path, place in suite_files(args.paths)]
    for _path, _place, suite in suites:
        load_in_gx(suite)
    done: list[dict[str, object]] = []
    for path, place, suite in suites:
        written = path
        changed = args.what in ("export", "import")
        if args.what == "fmt":
            wanted = format_suite(suite.document)
            changed = path.read_text(encoding="utf-8") != wanted
            if changed:
                path.write_text(wanted, encoding="utf-8", newline="\n")
        elif args.what == "export":
            written = export_suite(suite, place, args.to)
        elif args.what == "import":
            written = import_suite(suite, place, args.to)
        done.append(
            {
                "file": str(written),
                "object": suite.object,
                "rules": len(suite.expectations),
                "digest": suite.digest,
                "changed": changed,
            }
        )
    screen.table(
        _("Suites"), (_("file"), _("object"), _("rules"), _("digest")),
        [(Path(str(d["file"])).name, d["object"], d["rules"], str(d["digest"])[:12]) for d in done],
    )  # fmt: skip
    screen.result({"suites": done})
    return 0
