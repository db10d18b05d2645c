"""Connected components in a few passes over arrays; loading a graph library takes longer than most tables need.

Left to others: what the links are worth and how components are split (``cluster``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]


def components(n: int, left: Positions, right: Positions) -> Positions:
    """Return the smallest member of each record's component.

    Parameters
    ----------
    n : int
        Records.
    left, right : array (n_links,) of int64
        Ends of the links.

    Notes
    -----
    Each pass hooks the greater root of every open link to the lesser, follows the hooks to their ends, and drops links
    whose ends have met. A hook always leads to a smaller number, so no circle can arise.
    """
    root = np.arange(n, dtype=np.int64)
    while len(left):
        a, b = root[left], root[right]
        open_ = a != b
        left, right = a[open_], b[open_]
        root[np.maximum(left, right)] = np.minimum(left, right)
        while True:
            further = root[root]
            if np.array_equal(further, root):
                break
            root = further
    return root
