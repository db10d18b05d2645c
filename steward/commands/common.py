"""What several verbs share: where the workspace is.

Left to others: opening it (``steward.store``).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from steward.errors import UsageError
from steward.messages import N_


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
