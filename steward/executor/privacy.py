"""No value in a core dump: the process says so before it reads the first record.

Left to others: keeping values out of logs, receipts and messages (each module that writes them).
"""

from __future__ import annotations

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4


def leave_no_dumps() -> None:
    """Set the size of core files to nothing and, on Linux, make the process undumpable and closed to other debuggers."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


__all__ = ["leave_no_dumps"]
