"""Peak memory of this process alone.

``getrusage`` keeps the high-water mark of the process that started this one (the mark survives exec), so that a child of a
large test runner looks large. The kernel's own count of this address space does not.
"""

from __future__ import annotations

from pathlib import Path


def peak_mib() -> float:
    """Return the highest resident size of this process since it began, in MiB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system does not tell the peak resident size")
