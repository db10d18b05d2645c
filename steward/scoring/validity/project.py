"""The way of suites into a Great Expectations project and back: where its files lie, and what it has to be taught.

A project keeps ``gx/expectations/<name>.json``, a dot in a name being a folder. Our own kinds of expectations are unknown to it
until ``import steward_expectations`` is run, a module that is put into its plugins; without that it drops them when it loads, and
a suite that was saved so is refused on its way back (``suite.exported``).

Left to others: reading and checking suites (``suite``), teaching (``oracle``).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from steward.errors import SuiteInvalidError, UsageError
from steward.messages import N_
from steward.scoring.validity.suite import Suite, exported, format_suite

PLUGIN = '''"""Teaches Great Expectations the expectations of steward: import it before a suite is loaded."""

from steward.scoring.validity.oracle import teach

teach()
'''


def project_of(folder: Path) -> Path | None:
    """Return the folder with ``great_expectations.yml`` where ``folder`` is a project or holds one."""
    for candidate in (folder, folder / "gx", folder / "great_expectations"):
        if (candidate / "great_expectations.yml").is_file():
            return candidate
    return None


def suite_files(paths: Iterable[Path]) -> list[tuple[Path, Path]]:
    """Return suite files with their place below the folder they were found in; of a project, those of its suites.

    Raises
    ------
    SuiteInvalidError
        A folder without any.
    """
    found: list[tuple[Path, Path]] = []
    for path in paths:
        if not path.is_dir():
            found.append((path, Path(path.name)))
            continue
        project = project_of(path)
        root = project / "expectations" if project is not None else path
        inside = sorted(p for p in root.rglob("*.json") if not p.name.startswith("."))
        if not inside:
            raise SuiteInvalidError(N_("There is no suite in {folder}."), folder=path.name)
        found += [(p, p.relative_to(root)) for p in inside]
    return found


def export_suite(suite: Suite, place: Path, to: Path) -> Path:
    """Write a suite into a project, or into a plain folder, and return the file.

    Raises
    ------
    UsageError
        The file is there; nothing is overwritten.
    """
    project = project_of(to)
    if project is None:
        return write_new(to / place, exported(suite))
    plugins = project / "plugins"
    plugins.mkdir(exist_ok=True)
    (plugins / "steward_expectations.py").write_text(PLUGIN, encoding="utf-8", newline="\n")
    *folders, name = suite.name.split(".")
    if any(not part or part.startswith("-") or "/" in part or "\\" in part for part in (*folders, name)):
        raise UsageError(N_("{name} cannot be the name of a suite in a Great Expectations project."), name=suite.name)
    return write_new(project.joinpath("expectations", *folders, f"{name}.json"), exported(suite))


def import_suite(suite: Suite, place: Path, to: Path) -> Path:
    """Write a suite in the one form of this project, without what tools added."""
    return write_new(to / place, format_suite(suite.document))


def write_new(target: Path, text: str) -> Path:
    """Write a file that is not there yet."""
    if target.exists():
        raise UsageError(N_("{file} is already there; nothing is overwritten."), file=target.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8", newline="\n")
    return target
