"""``steward suite``: check, format, export and import suites of expectations.

Left to others: what a suite means (``steward.scoring.validity``).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from steward.errors import SuiteInvalidError, UsageError
from steward.messages import N_, _

if TYPE_CHECKING:
    from steward.screen import Screen

HELP = N_("check, format, export and import suites of expectations")
EXAMPLE = "steward suite check expectations"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("what", choices=("check", "fmt", "export", "import"), help=_("what to do"))
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help=_("suite files, or folders of them"))
    parser.add_argument("--to", type=Path, metavar="DIR", help=_("export, import: the folder to write into"))


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Run the command."""
    from steward.scoring.validity import format_suite, load_suite
    from steward.scoring.validity.oracle import load_in_gx

    files = _files(args.paths)
    if args.what in ("export", "import") and args.to is None:
        raise UsageError(N_("Say where to write with --to DIR."))
    done: list[dict[str, object]] = []
    for path in files:
        suite = load_suite(path)
        load_in_gx(suite)
        changed = False
        if args.what == "fmt":
            wanted = format_suite(suite.document)
            changed = path.read_text(encoding="utf-8") != wanted
            if changed:
                path.write_text(wanted, encoding="utf-8", newline="\n")
        elif args.what != "check":
            args.to.mkdir(parents=True, exist_ok=True)
            # A dot in a name becomes a folder in Great Expectations; the file keeps its own name on both sides.
            target = args.to / path.name
            if target.exists():
                raise UsageError(N_("{file} is already there; nothing is overwritten."), file=target.name)
            document = suite.document if args.what == "export" else json.loads(format_suite(suite.document))
            text = (
                json.dumps({**document, "id": None, "notes": None}, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
                if args.what == "export"
                else format_suite(document)
            )
            target.write_text(text, encoding="utf-8", newline="\n")
        done.append(
            {
                "file": str(path),
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


def _files(paths: list[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.rglob("*.json")) if path.is_dir() else [path]
        if not inside:
            raise SuiteInvalidError(N_("There is no suite in {folder}."), folder=path.name)
        found += inside
    return found
