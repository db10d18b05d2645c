"""What several verbs share: where the workspace and the profiles are.

Left to others: opening it (``steward.store``).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from steward.errors import UsageError
from steward.messages import N_, _


def workspace_of(args: argparse.Namespace) -> Path:
    """Return the workspace folder from ``--workspace`` or ``STEWARD_WORKSPACE``.

    Raises
    ------
    UsageError
        Neither is given; a folder is never guessed.
    """
    given = getattr(args, "workspace", None) or os.environ.get("STEWARD_WORKSPACE")
    if not given:
        raise UsageError(
            N_("Which workspace? Name its folder with --workspace DIR, or once in STEWARD_WORKSPACE."),
        )
    return Path(given)


def add_profiles(parser: argparse.ArgumentParser) -> None:
    """Add ``--profiles``: the file that profiles are looked up in."""
    parser.add_argument(
        "--profiles",
        type=Path,
        metavar="FILE",
        default=Path(os.environ.get("STEWARD_PROFILES") or "profiles.toml"),
        help=_("the file of profiles; by default STEWARD_PROFILES, else profiles.toml"),
    )
