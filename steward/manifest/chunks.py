"""The item file: writing it in chunks, and checking it to the byte and to the letter.

Chunks are byte ranges of whole lines. Their digests and the tree head over them are signed, so a changed byte is found
in its chunk, and a batch can be loaded later by re-hashing its chunk alone. The whole file's digest, the subject of the
statement, is computed in the same pass on a second thread.

Left to others: files (``steward.manifest_files``), who signed the digests (``steward.signing``), drafting (``draft``).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import msgspec

from steward.errors import MalformedManifestError, ManifestError
from steward.manifest import merkle, refusals
from steward.manifest.census import Census, by_object
from steward.manifest.codec import check_text, plain_bytes, refusal, texts
from steward.manifest.format import MAX_CHUNK_RECORDS, MAX_LINE, WITH_TARGET, Chunk, Item, ItemsInfo
from steward.messages import N_

_ENCODER = msgspec.json.Encoder(order="deterministic")
_LINE = msgspec.json.Decoder(Item)
_OBJECT = "abcdefghijklmnopqrstuvwxyz0123456789_"
_HEX = b"0123456789abcdef"
_ALONE = 1 << 20
"""Bytes up to which a second thread costs more than it saves."""


class ItemSource(Protocol):
    """Random access to an item file."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly these bytes, or fewer where the file ends."""
        ...


class BytesSource:
    """An item file in memory."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self._raw)

    def read(self, offset: int, length: int) -> bytes:
        """Return a slice."""
        return self._raw[offset : offset + length]


@dataclass(frozen=True, slots=True)
class ItemsSummary:
    """What an item file holds: chunk table, digest of the whole, counts by ``object/action``."""

    info: ItemsInfo
    sha256: str
    counts: dict[str, int]


def ids_digest(ids: Iterable[str]) -> str:
    """Return the digest of a set of record ids: sha256 over ``{bytes}:{id}\\n`` of each, sorted by bytes."""
    raws = sorted({i.encode() for i in ids})
    return hashlib.sha256(b"steward.ids.v1\n" + b"".join(b"%d:%b\n" % (len(r), r) for r in raws)).hexdigest()


def encode_item(item: Item) -> bytes:
    """Return one line without its line feed."""
    return _ENCODER.encode(item)


def write_items(
    items: Iterable[Item], sink: Callable[[bytes], object], *, chunk_records: int = MAX_CHUNK_RECORDS
) -> ItemsSummary:
    """Write items, chunk by chunk, and return what was written.

    Parameters
    ----------
    sink : callable
        Gets the bytes of each chunk in order.
    chunk_records : int
        Lines per chunk, 1 to 10,000.

    Raises
    ------
    MalformedManifestError
        No item, or items a verifier would refuse.
    """
    if not 1 <= chunk_records <= MAX_CHUNK_RECORDS:
        raise ValueError("chunk_records must be from 1 to 10000")
    census, whole, tree = Census(ascending=False), hashlib.sha256(), merkle.Accumulator()
    chunks: list[Chunk] = []
    walk, total = iter(items), 0
    while part := list(islice(walk, chunk_records)):
        raw = _ENCODER.encode_lines(part)
        _check_lines(raw, parse_chunk(raw), census)  # as a verifier will: the bytes, not the objects
        digest = hashlib.sha256(raw)
        tree.append(digest.digest())
        whole.update(raw)
        chunks.append(Chunk(records=len(part), bytes=len(raw), sha256=digest.hexdigest()))
        total += len(raw)
        sink(raw)
    if not chunks:
        raise MalformedManifestError(N_("A manifest needs at least one item."), code="empty")
    info = ItemsInfo(
        bytes=total, records=census.records, chunk_records=chunk_records, root=tree.root().hex(), chunks=tuple(chunks)
    )
    return ItemsSummary(info, whole.hexdigest(), _named(census.counts))


def _named(counts: Counter[tuple[str, str]]) -> dict[str, int]:
    return {f"{object}/{action}": n for (object, action), n in sorted(counts.items())}


def check_table(info: ItemsInfo) -> None:
    """Check the chunk table against itself: sums, chunk sizes, tree head.

    Raises
    ------
    MalformedManifestError
    """
    full = info.chunks[:-1]
    if (
        sum(c.records for c in info.chunks) != info.records
        or sum(c.bytes for c in info.chunks) != info.bytes
        or any(c.records != info.chunk_records for c in full)
        or info.chunks[-1].records > info.chunk_records
        or any(c.bytes > c.records * (MAX_LINE + 1) for c in info.chunks)
    ):
        raise MalformedManifestError(N_("The chunk table of the manifest contradicts itself."), code="table")
    if merkle.root(bytes.fromhex(c.sha256) for c in info.chunks).hex() != info.root:
        raise MalformedManifestError(N_("The tree head of the manifest is not that of its chunks."), code="tree_head")


def read_chunk(source: ItemSource, offset: int, chunk: Chunk, number: int) -> bytes:
    """Read one chunk and compare its digest.

    Raises
    ------
    MalformedManifestError
        The bytes are not those that were signed.
    """
    raw = source.read(offset, chunk.bytes)
    if len(raw) != chunk.bytes or hashlib.sha256(raw).hexdigest() != chunk.sha256:
        raise _changed(number)
    return raw


def _changed(number: int) -> MalformedManifestError:
    return MalformedManifestError(
        N_("The items are not those that were signed: chunk {chunk} differs."),
        next_step=N_("Nothing was done with it. Get the folder again from where it was signed."),
        chunk=number,
        code="chunk_differs",
    )


def walk_chunks(source: ItemSource, info: ItemsInfo) -> Iterator[bytes]:
    """Yield each chunk's bytes after comparing its digest; the file must end where the last chunk ends."""
    if source.size != info.bytes:
        raise MalformedManifestError(
            N_("items.ndjson has {size} bytes; {signed} were signed."),
            next_step=N_("Nothing was done with it. Get the folder again from where it was signed."),
            size=source.size,
            signed=info.bytes,
            code="size_differs",
        )
    offset = 0
    for number, chunk in enumerate(info.chunks):
        yield read_chunk(source, offset, chunk, number)
        offset += chunk.bytes


def check_bytes(
    source: ItemSource, info: ItemsInfo, sha256: str | None = None, *, visit: Callable[[bytes], None] | None = None
) -> None:
    """Check every byte of the item file against the signed chunk digests, and against the digest of the whole.

    Parameters
    ----------
    sha256 : str, optional
        Digest of the whole, the statement's subject, hashed on a second thread. The chunk digests bind every byte
        already; the subject ties the file to what other tools check, so :func:`check_items` always gives it. Without it
        the check costs what sha256 of the file does.
    visit : callable, optional
        Gets each chunk after its digest was found right, before the whole is.

    Raises
    ------
    MalformedManifestError
    """
    if sha256 is None:
        for raw in walk_chunks(source, info):
            if visit is not None:
                visit(raw)
        return
    whole = hashlib.sha256()
    if info.bytes <= _ALONE:
        for raw in walk_chunks(source, info):
            whole.update(raw)
            if visit is not None:
                visit(raw)
        _check_subject(whole.hexdigest(), sha256)
        return
    with ThreadPoolExecutor(1) as second:
        pending: Future[None] | None = None
        for raw in walk_chunks(source, info):
            if pending is not None:
                pending.result()
            pending = second.submit(whole.update, raw)
            if visit is not None:
                visit(raw)
        if pending is not None:
            pending.result()
    _check_subject(whole.hexdigest(), sha256)


def _check_subject(found: str, signed: str) -> None:
    if found != signed:
        raise MalformedManifestError(
            N_("The subject digest of the statement is not that of items.ndjson."), code="subject_differs"
        )


def check_items(source: ItemSource, info: ItemsInfo, sha256: str) -> dict[str, int]:
    """Check bytes and then everything the items say; return counts by ``object/action``.

    Strict types, the one encoding of each line, string rules, sequence without a gap, each record once, no survivor that
    is itself an item that goes away, targets only where they belong.

    Raises
    ------
    MalformedManifestError, UnknownFieldError
    """
    census, number = Census(), 0

    def visit(raw: bytes) -> None:
        nonlocal number
        ascending = census.ascending
        _check_lines(raw, parse_chunk(raw), census)
        number += 1
        if ascending and not census.ascending:
            census.restart(_first_chunks(source, info, number))

    check_bytes(source, info, sha256, visit=visit)
    if census.records != info.records:
        raise MalformedManifestError(
            N_("The manifest says {said} items and holds {found}."),
            said=info.records,
            found=census.records,
            code="counts_differ",
        )
    if census.doubtful():
        _check_keys_exactly(source, info)
    return _named(census.counts)


def _first_chunks(source: ItemSource, info: ItemsInfo, n: int) -> Iterator[list[Item]]:
    """Yield the items of the first ``n`` chunks, each hashed again."""
    offset = 0
    for number, chunk in enumerate(info.chunks[:n]):
        yield parse_chunk(read_chunk(source, offset, chunk, number))
        offset += chunk.bytes


def parse_chunk(raw: bytes) -> list[Item]:
    """Decode the lines of a chunk strictly, with the byte-identical check.

    Raises
    ------
    MalformedManifestError, UnknownFieldError
    """
    try:
        items = _LINE.decode_lines(raw)
        again = _ENCODER.encode_lines(items)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise refusal(error, "items.ndjson", raw) from None
    if again != raw:
        raise MalformedManifestError(
            N_("A line of items.ndjson is not written the one way a steward tool writes it."),
            code=refusals.of_lines(raw, again),
        )
    return items


def _check_lines(raw: bytes, items: list[Item], census: Census) -> None:
    """Check one chunk's items. Work per item is kept small: a million must pass in seconds."""
    start, n = census.records, len(items)
    if [i.seq for i in items] != list(range(start, start + n)):
        raise MalformedManifestError(N_("The items are not numbered 0, 1, 2 … without a gap."), code="numbering")
    if len(raw) > n * 512 and max(map(len, raw.split(b"\n"))) > MAX_LINE:
        raise MalformedManifestError(N_("An item is longer than {limit} bytes."), limit=MAX_LINE, code="line_too_long")
    if not plain_bytes(raw):
        for item in items:
            for text in texts(item):
                check_text(text, what="items.ndjson")
    # Lengths are checked where a line is decoded; an item that this program made has them checked when it is read back.
    if "".join([i.preimage for i in items]).encode().translate(None, _HEX):
        raise _wrong("preimage")
    objects, actions, ids = [i.object for i in items], [i.action for i in items], [i.id for i in items]
    names = set(objects)
    for name in names:
        if name.strip(_OBJECT) or not name[0].islower():
            raise _wrong("object")
    for item in items:
        if item.related or item.choices or item.survivor is not None or item.target is not None:
            _check_rare(item, census)
        elif item.action in WITH_TARGET:
            raise _wrong("target")
    if len(names) == 1:
        (name,) = names
        census.counts.update({(name, action): n for action, n in Counter(actions).items()})
    else:
        census.counts.update(zip(objects, actions, strict=True))
    for name, own in by_object(objects, ids):
        census.take(name, own)
    census.records += n


def _check_rare(item: Item, census: Census) -> None:
    """Check the members that only some items have."""
    if (item.target is not None) != (item.action in WITH_TARGET):
        raise _wrong("target")
    merge = item.action == "merge_into"
    if (item.survivor is not None) != merge or (item.choices and not merge):
        raise _wrong("survivor")
    if merge:
        if item.target == item.id:
            raise _wrong("target")
        census.ascending = False
        census.survivors.setdefault(item.object, set()).add(hash(item.target))
    sets = [(r.object, r.field, r.rule) for r in item.related]
    if sets != sorted(set(sets)):
        raise _wrong("related")
    for related in item.related:
        if (related.target is not None) != (related.rule == "reassign"):
            raise _wrong("related")
        if related.rule == "move" and not merge:
            raise _wrong("related")
        if related.rule == "keep" and item.action not in ("soft_delete", "merge_into"):
            raise _wrong("related")


def _wrong(where: str) -> MalformedManifestError:
    return MalformedManifestError(N_("An item of the manifest has a wrong {where}."), where=where, code=f"wrong_{where}")


def _check_keys_exactly(source: ItemSource, info: ItemsInfo) -> None:
    """Decide by the keys themselves where their 64-bit hashes met: a hash may meet by chance, a key may not."""
    seen: set[tuple[str, str]] = set()
    survivors: set[tuple[str, str]] = set()
    for raw in walk_chunks(source, info):
        for item in parse_chunk(raw):
            key = (item.object, item.id)
            if key in seen:
                raise MalformedManifestError(
                    N_("The record {key} is in the manifest twice."), key=item.key, code="record_twice"
                )
            seen.add(key)
            if item.action == "merge_into" and item.target is not None:
                survivors.add((item.object, item.target))
    if survivors & seen:
        object, id = min(survivors & seen)
        raise MalformedManifestError(
            N_("{key} shall survive a merge and is an item itself."), key=f"{object}/{id}", code="survivor_goes"
        )


def check_counts(said: dict[str, int], found: dict[str, int]) -> None:
    """Raise where the signed counts are not those of the items."""
    if said != found:
        raise ManifestError(
            N_("The counts that people signed are not those of the items."),
            next_step=N_("Nothing runs. Propose again and compare."),
        )
