"""Codec, string rules, item file and tree heads: one spelling for each document, and what is refused."""

from __future__ import annotations

import hashlib
import random

import msgspec
import pymerkle
import pytest

from steward.errors import MalformedManifestError, StewardError, UnknownFieldError
from steward.manifest import BytesSource, Item, RelatedSet, Survivor, check_items, encode_item, merkle, write_items
from steward.manifest.chunks import check_bytes, check_table, parse_chunk
from steward.manifest.codec import decode, problem_of
from steward.signing.dsse import unbase64
from tests.support.signing import item

replace = msgspec.structs.replace


def lines(*items: Item) -> bytes:
    return b"".join(encode_item(i) + b"\n" for i in items)


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.replace(b'"seq":0', b'"seq": 0'),
        lambda raw: raw.replace(b'"seq":0', b'"seq":0,"seq":0'),
        lambda raw: raw.replace(b'"seq":0', b'"seq":-0'),
        lambda raw: raw.replace(b'"seq":0', b'"seq":0.0'),
        lambda raw: raw.replace(b'"seq":0', b'"seq":00'),
        lambda raw: raw.replace(b'"seq":0', b'"seq":"0"'),
        lambda raw: raw.replace(b'"seq":0', b'"seq":false'),
        lambda raw: raw.replace(b'"seq":0', b'"seq":NaN'),
        lambda raw: raw.replace(b'"score":9312', b'"score":1e999'),
        lambda raw: raw.replace(b'"score":9312', b'"score":' + b"9" * 4301),
        lambda raw: raw.replace(b"contact", b"\\u0063ontact"),
        lambda raw: raw.replace(b"contact", b"cont\\/act"),
        lambda raw: raw.replace(b'"id":', b'"ID":'),
        lambda raw: b"\xef\xbb\xbf" + raw,
        lambda raw: raw + b"\n",
        lambda raw: raw[:-1],
        lambda raw: raw[:-1] + b"\r\n",
        lambda raw: b"[" * 100_000 + raw,
        lambda raw: raw.replace(b"soft_delete", b"purge"),
        lambda raw: raw.replace(b'"version":"7"', b'"version":7'),
        lambda raw: raw.replace(b'"reviewer":"bob"', b'"reviewer":"bob","note":1'),
        lambda raw: raw.replace(b"contact", b"\xff\xfe"),
        lambda raw: raw.replace(b"contact", b"\xed\xa0\x80"),
        lambda raw: raw.decode().encode("utf-16"),
    ],
)
def test_there_is_one_spelling_of_a_line(change: object) -> None:
    raw = lines(item(0))
    assert parse_chunk(raw) == [item(0)]
    changed = change(raw)
    assert changed != raw
    with pytest.raises((MalformedManifestError, UnknownFieldError)):
        parse_chunk(changed)


@pytest.mark.parametrize("text", ["", "plain", "李雷", "Müller", "1 2", "🙂", "a'b\"c\\d"])
def test_text_that_may_stand(text: str) -> None:
    assert problem_of(text) is None


@pytest.mark.parametrize(
    "char",
    ["\x00", "\n", "\x1b", "\x7f", "\x85", "\u00ad", "\u061c", "\u200b", "\u200d", "\u200e", "\u2028", "\u202e", "\u2066", "\u2069", "\ufeff",
     "\ufffe", "\ud800", "\ufe0f", "\U000e0041", "\u115f", "\u3164"],
)  # fmt: skip
def test_characters_that_are_not_seen_may_not_stand(char: str) -> None:
    assert problem_of(f"a{char}b") == "hidden_character"


def test_text_is_in_normal_form_c() -> None:
    assert problem_of("e\u0301") == "not_nfc"
    assert problem_of("\u212b") == "not_nfc"  # ångström sign


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"id": "x" * 256},
        {"id": "a\u202eb"},
        {"id": "e\u0301"},
        {"object": "Contact"},
        {"object": ""},
        {"object": "../contact"},
        {"preimage": "0" * 63},
        {"preimage": "A" * 64},
        {"preimage": "g" * 64},
        {"reviewer": ""},
        {"reviewer": "x" * 256},
        {"reasons": ("x",) * 65},
        {"target": "5"},
        {"action": "reassign"},
        {"action": "reassign", "target": ""},
        {"action": "reassign", "target": "5", "choices": {"a": "b"}},
        {"action": "merge_into", "target": "5"},
        {"survivor": Survivor(version=None, preimage="a" * 64)},
        {"choices": {"email": "5"}},
        {"seq": 1},
        {"decision": "x" * 20_000},
        {"related": (RelatedSet(object="note", field="f", rule="move", target=None, count=1, digest="a" * 64),)},
        {"related": (RelatedSet(object="note", field="f", rule="reassign", target=None, count=1, digest="a" * 64),)},
        {"related": (RelatedSet(object="note", field="f", rule="detach", target="5", count=1, digest="a" * 64),)},
        {"related": (RelatedSet(object="note", field="f", rule="detach", target=None, count=1, digest="a" * 64),) * 2},
    ],
)
def test_items_that_are_refused_by_writer_and_reader_alike(changes: dict[str, object]) -> None:
    with pytest.raises(MalformedManifestError):
        write_items([replace(item(0), **changes)], lambda raw: None)


def _merge(seq: int, id: str, target: str) -> Item:
    return item(seq, id=id, action="merge_into", target=target, survivor=Survivor(version=None, preimage="a" * 64))


def _restated(items: list[Item], per_chunk: int = 10_000) -> tuple[bytes, object, str]:
    """Items an insider wrote: the chunk table fits, whatever the items say."""
    from steward.manifest.format import Chunk, ItemsInfo

    raw, chunks = lines(*items), []
    for start in range(0, len(items), per_chunk):
        part = lines(*items[start : start + per_chunk])
        chunks.append(
            Chunk(records=len(items[start : start + per_chunk]), bytes=len(part), sha256=hashlib.sha256(part).hexdigest())
        )
    root = merkle.root([bytes.fromhex(c.sha256) for c in chunks]).hex()
    info = ItemsInfo(bytes=len(raw), records=len(items), chunk_records=per_chunk, root=root, chunks=tuple(chunks))
    return raw, info, hashlib.sha256(raw).hexdigest()


@pytest.mark.parametrize(
    "items",
    [
        [item(0), item(1, id=item(0).id)],
        [item(0), item(2)],
        [item(1), item(0)],
        [_merge(0, "1", "2"), item(1, id="2")],
        [_merge(0, "1", "2"), _merge(1, "2", "3")],
        [_merge(0, "1", "1")],
    ],
)
def test_items_that_contradict_each_other(items: list[Item]) -> None:
    raw, info, whole = _restated(items)
    check_table(info)
    with pytest.raises(MalformedManifestError):
        check_items(BytesSource(raw), info, whole)


def test_records_whose_hashes_meet_by_chance_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash may meet by chance, a key may not: with a hash that always meets, two different records still pass."""
    import steward.manifest.census as census

    monkeypatch.setattr(census, "hash", lambda key: 1, raising=False)
    raw, info, whole = _restated([item(0, id="b"), item(1, id="a")])
    assert check_items(BytesSource(raw), info, whole) == {"contact/soft_delete": 2}
    raw, info, whole = _restated([item(0), item(1, id=item(0).id)])
    with pytest.raises(MalformedManifestError):
        check_items(BytesSource(raw), info, whole)


@pytest.mark.parametrize("seed", range(40))
def test_a_record_that_stands_twice_is_found_in_whatever_order_and_chunks(seed: int) -> None:
    """Ascending ids are compared with the one before, others by hash, from whichever chunk on: against a plain set."""
    dice = random.Random(seed)
    n = dice.randint(2, 40)
    keys = [(dice.choice(("contact", "deal", "note")), f"{dice.randrange(60):02d}") for _ in range(n)]
    if dice.random() < 0.7:
        keys = sorted(set(keys))
    if dice.random() < 0.5:
        at = dice.randrange(len(keys))
        keys.insert(dice.randrange(at, len(keys) + 1), dice.choice(keys))
    items = [item(seq, object=object, id=id) for seq, (object, id) in enumerate(keys)]
    if dice.random() < 0.3:
        object, id = keys[-1]
        target = dice.choice(("zz", keys[0][1]))
        if target != id:
            survivor = Survivor(version="1", preimage="a" * 64)
            items[-1] = item(len(keys) - 1, object=object, id=id, action="merge_into", target=target, survivor=survivor)
    gone = {(i.object, i.id) for i in items}
    merged = {(i.object, i.target) for i in items if i.action == "merge_into"}
    raw, info, whole = _restated(items, dice.randint(1, 5))
    if len(gone) == len(items) and not gone & merged:
        assert sum(check_items(BytesSource(raw), info, whole).values()) == len(items)
    else:
        with pytest.raises(MalformedManifestError):
            check_items(BytesSource(raw), info, whole)


def test_the_chunk_table_must_not_contradict_itself() -> None:
    out: list[bytes] = []
    info = write_items([item(n) for n in range(7)], out.append, chunk_records=3).info
    check_table(info)
    for bad in (
        replace(info, records=8),
        replace(info, bytes=info.bytes + 1),
        replace(info, chunk_records=4),
        replace(info, root="0" * 64),
        replace(info, chunks=(info.chunks[1], info.chunks[0], info.chunks[2])),
        replace(info, chunks=info.chunks[:2]),
    ):
        with pytest.raises(MalformedManifestError):
            check_table(bad)


def test_a_file_that_is_longer_or_shorter_than_signed_and_a_wrong_subject() -> None:
    out: list[bytes] = []
    summary = write_items([item(n) for n in range(7)], out.append, chunk_records=3)
    raw = b"".join(out)
    assert summary.sha256 == hashlib.sha256(raw).hexdigest()
    check_bytes(BytesSource(raw), summary.info, summary.sha256)
    for changed in (raw + b"\n", raw[:-1], b"", raw + raw):
        with pytest.raises(MalformedManifestError):
            check_bytes(BytesSource(changed), summary.info, summary.sha256)
    with pytest.raises(MalformedManifestError):
        check_bytes(BytesSource(raw), summary.info, "0" * 64)


def test_no_items_is_no_manifest() -> None:
    with pytest.raises(MalformedManifestError):
        write_items([], lambda raw: None)


class Oracle(pymerkle.InmemoryTree):
    """RFC 6962 by pymerkle."""


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8, 13, 64, 100])
def test_tree_heads_and_proofs_are_those_of_another_implementation(n: int) -> None:
    leaves = [b"leaf %d" % i for i in range(n)]
    tree = Oracle(algorithm="sha256")
    for leaf in leaves:
        tree.append_entry(leaf)
    head = merkle.root(leaves)
    assert head == (tree.get_root() if hasattr(tree, "get_root") else tree.get_state())
    for at in range(n):
        proof = merkle.inclusion_proof(leaves, at)
        assert merkle.includes(leaves[at], at, n, proof, head)
        assert not merkle.includes(b"other", at, n, proof, head)
        assert not merkle.includes(leaves[at], (at + 1) % (n + 1), n, proof, head) or n == 1
        assert not merkle.includes(leaves[at], at, n, (*proof, b"\0" * 32), head)


def test_an_accumulator_goes_on_where_it_stopped() -> None:
    tree = merkle.Accumulator()
    for n in range(77):
        tree.append(b"%d" % n)
        tree = merkle.Accumulator(tree.size, tree.peaks)
    assert tree.root() == merkle.root(b"%d" % n for n in range(77))
    assert merkle.root([]) == hashlib.sha256(b"").digest()
    with pytest.raises(ValueError):
        merkle.Accumulator(3, [b""])


@pytest.mark.parametrize("text", ["", "A", "AA", "AAA", "A===", "AAAA\n", " AAAA", "AAA=", "AB==", "AA-_", "ÄÄÄÄ", "AAAA===="])
def test_base64_has_one_spelling(text: str) -> None:
    try:
        raw = unbase64(text)
    except StewardError:
        return
    import base64

    assert base64.b64encode(raw).decode() == text


def test_errors_name_the_place_and_never_the_value() -> None:
    raw = lines(item(0)).replace(b"soft_delete", b"geheim@example.org")
    with pytest.raises(MalformedManifestError) as caught:
        parse_chunk(raw)
    assert "geheim" not in str(caught.value)
    assert "$" in str(caught.value)


def test_random_items_survive_writing_and_reading() -> None:
    dice = random.Random(5)
    alphabet = "abc 李é'\"\\/&<>0"
    items = [item(n, id="".join(dice.choice(alphabet) for _ in range(9)) + str(n), reviewer="Ünal") for n in range(500)]
    out: list[bytes] = []
    summary = write_items(items, out.append, chunk_records=64)
    assert check_items(BytesSource(b"".join(out)), summary.info, summary.sha256) == {"contact/soft_delete": 500}
    assert [i for raw in out for i in parse_chunk(raw)] == items


def test_sizes_are_looked_at_before_anything_is_parsed() -> None:
    class Never:
        def decode(self, raw: bytes) -> Item:
            raise AssertionError("parsed")

    for raw, limit in ((b"", 10), (b"x" * 11, 10)):
        with pytest.raises(MalformedManifestError):
            decode(raw, Never(), limit=limit, what="thing")  # type: ignore[arg-type]  # stands for a decoder
