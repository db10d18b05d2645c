"""Merkle tree heads and proofs after RFC 6962 (section 2.1), over leaves given as bytes.

Leaf ``d`` is ``sha256(0x00 ‖ d)``, a node is ``sha256(0x01 ‖ left ‖ right)``, the left side of ``n`` leaves has the
largest power of two below ``n``. The head of a manifest is over its chunk digests (32 raw bytes each), the head of a
receipt over its items, the head of the audit log over its events.

Left to others: what the leaves are. State is O(log n): a million leaves need twenty digests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Accumulator:
    """A growing tree that keeps only the heads of its perfect subtrees.

    Parameters
    ----------
    size : int
        Leaves so far.
    peaks : iterable of bytes
        Heads of the perfect subtrees, largest first, as :attr:`peaks` gave them; to go on after a restart.
    """

    __slots__ = ("_peaks", "size")

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self.size = size
        self._peaks = list(peaks)
        if len(self._peaks) != size.bit_count():
            raise ValueError("size and peaks disagree")

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """Heads of the perfect subtrees, largest first."""
        return tuple(self._peaks)

    def append(self, data: bytes) -> None:
        """Add a leaf."""
        node, size = leaf_hash(data), self.size
        while size & 1:
            node = node_hash(self._peaks.pop(), node)
            size >>= 1
        self._peaks.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Return the head of the tree as it is now."""
        if not self._peaks:
            return EMPTY_ROOT
        node = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            node = node_hash(peak, node)
        return node


def root(leaves: Iterable[bytes]) -> bytes:
    """Return the head over ``leaves`` in their order."""
    tree = Accumulator()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def _split(n: int) -> int:
    return 1 << ((n - 1).bit_length() - 1)


def _range_root(hashes: Sequence[bytes]) -> bytes:
    if len(hashes) == 1:
        return hashes[0]
    k = _split(len(hashes))
    return node_hash(_range_root(hashes[:k]), _range_root(hashes[k:]))


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the audit path of one leaf, from the leaf up (RFC 6962, section 2.1.1).

    Raises
    ------
    IndexError
        No such leaf.
    """
    return proof_of_hashes([leaf_hash(leaf) for leaf in leaves], index)


def proof_of_hashes(hashes: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the same from leaf hashes, for trees whose leaves do not fit into memory.

    Raises
    ------
    IndexError
        No such leaf.
    """
    if not 0 <= index < len(hashes):
        raise IndexError(index)

    def path(part: Sequence[bytes], at: int) -> list[bytes]:
        if len(part) == 1:
            return []
        k = _split(len(part))
        if at < k:
            return [*path(part[:k], at), _range_root(part[k:])]
        return [*path(part[k:], at - k), _range_root(part[:k])]

    return tuple(path(hashes, index))


def includes(data: bytes, index: int, size: int, proof: Sequence[bytes], head: bytes) -> bool:
    """True where ``proof`` shows that ``data`` is leaf ``index`` of the tree of ``size`` leaves with this head."""
    if not 0 <= index < size:
        return False
    node, at, last = leaf_hash(data), index, size - 1
    for step in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            node = node_hash(step, node)
            while at and not at & 1:
                at >>= 1
                last >>= 1
        else:
            node = node_hash(node, step)
        at >>= 1
        last >>= 1
    return last == 0 and node == head
