"""``steward …``: finds the verb, reads its words, turns refusals into one sentence and an exit code.

Each verb is a module of ``steward.commands`` with ``HELP``, ``EXAMPLE``, ``configure(parser)`` and
``run(args, screen) -> int``; it is imported only when it is used. ``steward-executor`` is a command of its own
(``steward.executor.cli``): this one has no way to change a CRM.

Exit codes: 0 done · 2 wrong words · 3 source · 4 scoring · 5 decision · 6 policy · 7 manifest · 8 trust · 9 CRM ·
10–16 executor · 70 a defect of steward · 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from steward import __version__
from steward.errors import MissingExtraError, StewardError
from steward.messages import N_, _, choose_language
from steward.screen import Screen

VERBS: dict[str, str] = {
    "demo": N_("go the whole way on a generated CRM, from snapshot to restore"),
    "snapshot": N_("copy a CRM or export files into the workspace"),
    "score": N_("find duplicate, stale and invalid records"),
    "review": N_("open the review page"),
    "learn": N_("let decisions move the weights of duplicates, shown before it is accepted"),
    "explain": N_("show why two records are held to be one customer, field by field"),
    "link": N_("find the customers of one list or object in another"),
    "decide": N_("let a written rule decide clear cases"),
    "gate": N_("say whether a snapshot may be used to delete, and whether an execution left the CRM whole"),
    "propose": N_("draft a manifest from the decisions"),
    "inspect": N_("show what a manifest will do, from its verified bytes"),
    "request": N_("ask for approval of a manifest"),
    "sign": N_("approve a manifest"),
    "veto": N_("stop a manifest, or single items of it"),
    "keys": N_("make a signing key"),
    "trust": N_("say who may approve what"),
    "suite": N_("check, format, import and export suites of expectations"),
    "report": N_("write the scorecard of a snapshot"),
    "history": N_("keep the figures of customers that are gone, without anyone in them"),
    "export": N_("write pairs, clusters, evidence or decisions to a file"),
    "compare-clusters": N_("show which clusters stayed, merged or split between two runs"),
    "connectors": N_("show what each CRM can do, check access, propose a mapping"),
    "sandbox": N_("build a CRM to train and rehearse on"),
}
"""Verb → help line, in the order of the work."""

# Packages of the workbench extra, by the name they are imported with.
_WORKBENCH = {"duckdb", "polars", "pandas", "recordlinkage", "great_expectations", "ipywidgets", "anywidget", "fastexcel", "pyarrow",
              "rapidfuzz", "scipy", "phonenumbers", "pypinyin", "opencc", "jinja2", "matplotlib", "charset_normalizer", "openpyxl"}  # fmt: skip
_EXTRA_OF = {"jupyterlab": "lab", "voila": "lab", "psycopg": "postgres", "starlette": "sandbox", "uvicorn": "sandbox",
             "keyring": "keys", "securesystemslib": "keys", "boto3": "aws", "hvac": "vault"}  # fmt: skip


def _module(verb: str) -> ModuleType:
    return importlib.import_module(f"steward.commands.{verb.replace('-', '_')}")


def common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the words every verb understands."""
    group = parser.add_argument_group(_("everywhere"))
    group.add_argument("--workspace", type=Path, metavar="DIR", help=_("where state lives (or STEWARD_WORKSPACE)"))
    group.add_argument("--json", action="store_true", help=_("print one JSON document for machines"))
    group.add_argument("--quiet", action="store_true", help=_("print only warnings and errors"))
    group.add_argument("--language", metavar="L", help=_("en, de or zh_CN (or STEWARD_LANGUAGE)"))


def _sentence(fragment: str) -> str:
    """Return a help line as a sentence; only its first letter changes, for German nouns keep theirs."""
    return fragment[:1].upper() + fragment[1:] + "."


def _overview() -> str:
    width = max(map(len, VERBS)) + 2
    lines = [_("usage: steward VERB [words]"), ""]
    lines += [f"  {verb:<{width}}{_(text)}" for verb, text in VERBS.items()]
    lines += [
        "",
        _("steward VERB --help shows a verb with an example. The executor is a command of its own: steward-executor."),
    ]
    return "\n".join(lines) + "\n"


def run_guarded(action: Callable[[], int], screen: Screen) -> int:
    """Run a command; a refusal becomes a sentence and its exit code, and nothing becomes a traceback.

    Also used by ``steward-executor``. With ``STEWARD_DEBUG`` set, a defect is raised as it is.
    """
    try:
        return action()
    except StewardError as error:
        screen.error(error)
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("\n" + _("Interrupted. What was finished is kept; run the same command again to go on.") + "\n")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ModuleNotFoundError as error:
        name = (error.name or "").split(".")[0]
        extra = "workbench" if name in _WORKBENCH else _EXTRA_OF.get(name)
        if extra is None or os.environ.get("STEWARD_DEBUG"):
            raise
        missing = MissingExtraError(extra, name)
        screen.error(missing)
        return missing.exit_code
    except (PermissionError, FileNotFoundError, IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        refused = StewardError(
            N_("{path}: {problem}."), path=error.filename or "?", problem=(error.strerror or type(error).__name__).lower()
        )
        screen.error(refused)
        return 2
    except Exception as error:
        if os.environ.get("STEWARD_DEBUG"):
            raise
        # The message of an unforeseen error may quote customer values, so only its kind and place are shown.
        trace = error.__traceback__
        while trace and trace.tb_next:
            trace = trace.tb_next
        place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"
        defect = StewardError(
            N_("A defect in steward: {kind} at {place}. Nothing more was changed."),
            next_step=N_("Set STEWARD_DEBUG=1 to see it whole (it may show customer data), and report it."),
            kind=type(error).__name__,
            place=place,
        )
        screen.error(defect)
        return 70


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``steward`` and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["--language"]:  # said before the verb; everywhere else it stands behind
        words = [*words[2:], *words[:2]] if len(words) > 2 else words
    if "--language" in words[:-1]:
        choose_language(words[words.index("--language") + 1])
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(_overview())
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        sys.stdout.write(f"steward {__version__}\n")
        return 0
    verb = words[0]
    if verb not in VERBS:
        sys.stderr.write(_("Refused: there is no verb {verb!r}.").format(verb=verb) + "\n\n" + _overview())
        return 2
    screen = Screen(json="--json" in words, quiet="--quiet" in words)

    def action() -> int:
        module = _module(verb)
        parser = argparse.ArgumentParser(
            prog=f"steward {verb}",
            description=_sentence(_(VERBS[verb])),
            epilog=_("Example:") + "\n  " + str(module.EXAMPLE).replace("\n", "\n  "),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        common_arguments(parser)
        module.configure(parser)
        try:
            args = parser.parse_args(words[1:])
        except SystemExit as stop:  # argparse has said what is wrong
            return int(stop.code or 0)
        code: int = module.run(args, screen)
        return code

    return run_guarded(action, screen)


if __name__ == "__main__":
    sys.exit(main())
