"""Fuzzers of the way from bytes to an approved manifest, and an independent strict reader to compare with.

The **outsider** changes bytes it cannot sign: envelopes, items, trust files; signatures are dropped, doubled, moved,
payloads swapped. Nothing may be accepted but an envelope whose payload and items are the original's and whose remaining
signatures suffice. The **insider** has the keys: hostile bytes are signed by enough people and digests are computed anew.
What is accepted must read exactly the same in :class:`StrictReader`, which shares no code with steward.

By hand: ``python -m tests.support.manifest_fuzz --outsider 1000000 --seeds 101-110 --workers 2`` (ten million), ``--insider
100000 --seed 7``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import msgspec

from steward.errors import StewardError
from steward.manifest import BytesSource, Survivor
from steward.signing import load_trust, read_trust, seal, verify
from steward.signing.dsse import STATEMENT_PAYLOAD, pae, read_envelope, unbase64
from tests.support import signing as world

SIGNERS = ("bob", "cid", "dan", "eve")


class Unreadable(Exception):
    """The strict reader refuses."""


class StrictReader:
    """JSON as the format page allows it: no white space, no duplicate member, integers alone, shortest escapes, NFC.

    A recursive-descent reader written from the page, not from steward's code.
    """

    HIDDEN = (
        {*range(0x20), *range(0x7F, 0xA0), 0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810)}
        | {*range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0x3164, *range(0xD800, 0xE000)}
        | {*range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0, *range(0xFFF0, 0x10000), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B)}
        | {*range(0xE0000, 0xE1000)}
    )

    def __init__(self, raw: bytes) -> None:
        try:
            self.text = raw.decode("utf-8", "strict")
        except UnicodeDecodeError as error:
            raise Unreadable("utf-8") from error
        self.at = 0

    def read(self) -> Any:
        value = self.value(0)
        if self.at != len(self.text):
            raise Unreadable("more follows")
        return value

    def take(self, expected: str) -> None:
        if not self.text.startswith(expected, self.at):
            raise Unreadable(f"expected {expected}")
        self.at += len(expected)

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def value(self, depth: int) -> Any:
        if depth > 12:
            raise Unreadable("deep")
        match self.peek():
            case "{":
                return self.members(depth)
            case "[":
                return self.elements(depth)
            case '"':
                return self.string()
            case "n":
                self.take("null")
                return None
            case "t":
                self.take("true")
                return True
            case "f":
                self.take("false")
                return False
        start = self.at
        while self.peek() and self.peek() in "0123456789":
            self.at += 1
        digits = self.text[start : self.at]
        if not digits or (len(digits) > 1 and digits[0] == "0") or len(digits) > 16:
            raise Unreadable("number")
        return int(digits)

    def members(self, depth: int) -> dict[str, Any]:
        self.take("{")
        found: dict[str, Any] = {}
        if self.peek() != "}":
            while True:
                name = self.string()
                if name in found:
                    raise Unreadable("twice")
                self.take(":")
                found[name] = self.value(depth + 1)
                if self.peek() != ",":
                    break
                self.take(",")
        self.take("}")
        return found

    def elements(self, depth: int) -> list[Any]:
        self.take("[")
        found: list[Any] = []
        if self.peek() != "]":
            while True:
                found.append(self.value(depth + 1))
                if self.peek() != ",":
                    break
                self.take(",")
        self.take("]")
        return found

    def string(self) -> str:
        import unicodedata

        self.take('"')
        out: list[str] = []
        while True:
            c = self.peek()
            if not c:
                raise Unreadable("open string")
            self.at += 1
            if c == '"':
                break
            if c == "\\":
                c = self.peek()
                self.at += 1
                if c not in ('"', "\\"):
                    raise Unreadable("escape")
            if ord(c) in self.HIDDEN:
                raise Unreadable("hidden")
            out.append(c)
        text = "".join(out)
        if unicodedata.normalize("NFC", text) != text:
            raise Unreadable("nfc")
        return text


class Tally:
    """What a run came to."""

    def __init__(self) -> None:
        self.tried = 0
        self.refused: dict[str, int] = {}
        self.accepted = 0
        self.wrong: list[str] = []
        self.uncaught: list[str] = []

    def refuse(self, error: StewardError) -> None:
        name = type(error).__name__
        self.refused[name] = self.refused.get(name, 0) + 1


NASTY = (b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\x00", b"\n", b" ", b"\xff", b"\xef\xbb\xbf", b"NaN", b"1e999", b"-0", b"1.0", b"null", b"true", b"\\u0061", b"\\/", b"=", b"==", b"A" * 70, b"9" * 4300, b"[" * 500, b"\xe2\x80\xae", b"e\xcc\x81", b"\xed\xa0\x80")  # fmt: skip


def mutate(raw: bytes, dice: random.Random) -> bytes:
    """Change bytes at one to three places."""
    out = bytearray(raw)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(out) + 1) if out else 0
        match dice.randrange(8):
            case 0 if out:
                out[at % len(out)] ^= 1 << dice.randrange(8)
            case 1 if out:
                out[at % len(out)] = dice.randrange(256)
            case 2:
                del out[at : at + dice.randint(1, 40)]
            case 3:
                out[at:at] = dice.choice(NASTY)
            case 4:
                out[at:at] = out[at : at + dice.randint(1, 200)]
            case 5:
                other = dice.randrange(len(out) + 1)
                piece = out[other : other + dice.randint(1, 60)]
                out[at : at + len(piece)] = piece
            case 6:
                out = out[:at]
            case _:
                out[at : at + 1] = dice.choice(NASTY)
    return bytes(out)


def outsider(count: int, seed: int, progress: Any = None) -> Tally:
    """Try ``count`` mutants that the attacker cannot sign."""
    dice, tally = random.Random(seed), Tally()
    made = world.manifest([world.item(n, action="hard_delete" if n == 2 else "soft_delete") for n in range(9)], chunk_records=3)
    other = world.manifest(4, nonce=2)
    envelope, foreign = made.signed(*SIGNERS), other.signed(*SIGNERS)
    pairs = [(s.keyid, unbase64(s.sig)) for s in read_envelope(envelope, STATEMENT_PAYLOAD).signatures]
    strange = [(s.keyid, unbase64(s.sig)) for s in read_envelope(foreign, STATEMENT_PAYLOAD).signatures]
    alone = world.signer("mallory")
    strange.append((alone.keyid, alone.sign(pae(STATEMENT_PAYLOAD, made.payload))))
    trust_raw = world.sealed_trust(world.trust_document())
    pin, store, context = read_trust(trust_raw)[1], world.trust(), world.context()
    for n in range(count):
        tally.tried += 1
        kind, items, raw = dice.randrange(10), made.items, envelope
        try:
            if kind < 4:
                raw = mutate(envelope, dice)
            elif kind < 6:
                items = mutate(made.items, dice)
            elif kind == 6:
                payload = dice.choice((mutate(made.payload, dice), other.payload, made.payload))
                chosen = [dice.choice(pairs + strange) for _ in range(dice.randint(0, 6))]
                raw = seal(payload, STATEMENT_PAYLOAD, chosen)
            elif kind == 7:
                document = json.loads(envelope)
                signatures = document["signatures"]
                dice.shuffle(signatures)
                del signatures[dice.randrange(len(signatures) + 1) :]
                raw = json.dumps(document, separators=(",", ":")).encode()
            elif kind == 8:
                raw, items = (foreign, made.items) if dice.random() < 0.5 else (envelope, other.items)
                raw = mutate(raw, dice) if dice.random() < 0.5 else raw
            else:
                changed = mutate(trust_raw, dice)
                if changed == trust_raw:
                    continue
                load_trust([changed], pin=pin, now=world.NOW)
                if read_trust(changed)[1] != pin:
                    tally.wrong.append(f"trust {seed}/{n}")
                tally.accepted += 1
                continue
            found = verify(raw, BytesSource(items), store, context)
            tally.accepted += 1
            if (
                read_envelope(raw, STATEMENT_PAYLOAD).body != made.payload
                or items != made.items
                or not {"dan"} <= set(found.approvers)
            ):
                tally.wrong.append(f"manifest {seed}/{n}")
        except StewardError as error:
            tally.refuse(error)
        except Exception as error:
            tally.uncaught.append(f"{seed}/{n}: {type(error).__name__}: {error}"[:200])
        if progress and n % 50_000 == 0:
            progress(n)
    return tally


def _values(document: Any, dice: random.Random) -> None:
    """Change one value of a JSON document in place."""
    spots: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            for name in node:
                spots.append((node, name))
                walk(node[name])
        elif isinstance(node, list):
            for at in range(len(node)):
                spots.append((node, at))
                walk(node[at])

    walk(document)
    node, at = dice.choice(spots)
    old = node[at]
    if isinstance(old, str):
        node[at] = dice.choice(
            (old + "x", old[:-1], "", "é", "e\u0301", "\u202eabc", "а", old.upper(), "\x00", '"\\', "李", "x" * 300, None, 1)
        )
    elif isinstance(old, bool) or old is None:
        node[at] = dice.choice(("x", 0, None, True, []))
    elif isinstance(old, int):
        node[at] = dice.choice((old + 1, old - 1, 0, -1, 2**53, 2**64, 10**4000, float(old), "1", True, None))
    elif isinstance(old, dict):
        if dice.random() < 0.5:
            old[dice.choice(("x", "_type", "é", "__proto__", "note"))] = dice.choice((1, "a", [], {}))
        elif old:
            del old[dice.choice(list(old))]
    elif isinstance(old, list):
        dice.choice((lambda: old.append(1), lambda: old.clear(), lambda: old.reverse(), lambda: old.extend(old)))()


def _text(document: Any, dice: random.Random) -> bytes:
    """Write JSON in one of the many ways a reader might accept."""
    match dice.randrange(6):
        case 0:
            return json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode()
        case 1:
            return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
        case 2:
            return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode(
                "utf-8", "surrogatepass"
            )
        case _:
            return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def insider(count: int, seed: int, progress: Any = None) -> Tally:
    """Sign ``count`` hostile manifests properly; whatever is accepted must read the same in the strict reader."""
    import sys

    dice, tally = random.Random(seed), Tally()
    base = world.manifest(
        [
            world.item(0),
            world.item(
                1,
                action="merge_into",
                target="77",
                survivor=Survivor(version="1", preimage="a" * 64),
                choices={"email": "77"},
            ),
            world.item(2, action="reassign", target="5", object="deal"),
            world.item(3, reasons=("stale.x", "invalid.y"), reviewer="李雷"),
        ],
        chunk_records=2,
    )
    store, context = world.trust(), world.context()
    keys = [world.signer(n) for n in SIGNERS]
    sys.set_int_max_str_digits(5000)
    for n in range(count):
        tally.tried += 1
        lines, payload = base.items, base.payload
        try:
            document = json.loads(base.payload)
            if dice.random() < 0.6:
                out = []
                for line in base.items.splitlines():
                    thing = json.loads(line)
                    if dice.random() < 0.4:
                        _values(thing, dice)
                    text = (
                        _text(thing, dice)
                        if dice.random() < 0.3
                        else json.dumps(thing, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
                    )
                    out.append(mutate(text, dice) if dice.random() < 0.15 else text)
                if dice.random() < 0.1:
                    dice.shuffle(out)
                lines = b"\n".join(out) + dice.choice((b"\n", b"\n", b"\n", b"", b"\n\n", b"\r\n"))
                document = _restate(document, lines, dice)
            if dice.random() < 0.5:
                _values(document, dice)
            payload = _text(document, dice)
            if dice.random() < 0.2:
                payload = mutate(payload, dice)
            message = pae(STATEMENT_PAYLOAD, payload)
            raw = seal(payload, STATEMENT_PAYLOAD, [(k.keyid, k.sign(message)) for k in keys])
        except (ValueError, KeyError, TypeError, OverflowError):
            continue
        try:
            found = verify(raw, BytesSource(lines), store, context)
        except StewardError as error:
            tally.refuse(error)
            continue
        except Exception as error:
            tally.uncaught.append(f"{seed}/{n}: {type(error).__name__}: {error}"[:200])
            continue
        tally.accepted += 1
        try:
            said = StrictReader(payload).read()
            things = [StrictReader(line).read() for line in lines.removesuffix(b"\n").split(b"\n")]
        except Unreadable as error:
            tally.wrong.append(f"{seed}/{n}: only steward reads it ({error})")
            continue
        # Times are the one type that JSON does not have: both are written the same way again.
        if json.loads(msgspec.json.encode(found.predicate)) != said["predicate"]:
            tally.wrong.append(f"{seed}/{n}: statement")
        if [json.loads(msgspec.json.encode(i)) for i in found.items] != things:
            tally.wrong.append(f"{seed}/{n}: items")
        if progress and n % 20_000 == 0:
            progress(n)
    return tally


def _restate(document: Any, lines: bytes, dice: random.Random) -> Any:
    """Compute chunk table, tree head, subject and counts anew for changed items."""
    split = [part + b"\n" for part in lines.removesuffix(b"\n").split(b"\n")]
    if not lines.endswith(b"\n"):
        split[-1] = split[-1][:-1]
    chunks, leaves = [], []
    for start in range(0, len(split), 2):
        part = split[start : start + 2]
        raw = b"".join(part)
        digest = hashlib.sha256(raw)
        leaves.append(hashlib.sha256(b"\x00" + digest.digest()).digest())
        chunks.append([len(part), len(raw), digest.hexdigest()])
    while len(leaves) > 1:
        leaves = [
            hashlib.sha256(b"\x01" + leaves[i] + leaves[i + 1]).digest() if i + 1 < len(leaves) else leaves[i]
            for i in range(0, len(leaves), 2)
        ]
    predicate = document["predicate"]
    whole = b"".join(split)
    predicate["items"] |= {
        "bytes": len(whole),
        "records": len(split),
        "chunkRecords": 2,
        "root": leaves[0].hex(),
        "chunks": chunks,
    }
    document["subject"][0]["digest"]["sha256"] = hashlib.sha256(whole).hexdigest()
    counts: dict[str, int] = {}
    for line in split:
        thing = json.loads(line)
        kind = f"{thing['object']}/{thing['action']}"
        counts[kind] = counts.get(kind, 0) + 1
    predicate["counts"] = dict(sorted(counts.items()))
    return document


def _run(name: str, count: int, seed: int) -> tuple[int, int]:
    """Run one seed and print what it came to; return how many were tried and how many went wrong."""
    start, worked = time.perf_counter(), time.process_time()
    tally = {"outsider": outsider, "insider": insider}[name](count, seed)
    lines = [
        f"{name}: seed {seed}, {tally.tried} tried in {time.perf_counter() - start:.0f} s ({time.process_time() - worked:.0f} s of"
        f" processor time), {tally.accepted} accepted, {len(tally.wrong)} wrongly, {len(tally.uncaught)} uncaught",
        f"  refused: {dict(sorted(tally.refused.items(), key=lambda kv: -kv[1]))}",
        *(f"  {line}" for line in (tally.wrong + tally.uncaught)[:20]),
    ]
    print("\n".join(lines), flush=True)
    return tally.tried, len(tally.wrong) + len(tally.uncaught)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--outsider", type=int, default=0, help="mutants for each seed")
    parser.add_argument("--insider", type=int, default=0, help="mutants for each seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", metavar="A-B", help="all of these instead")
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    first, _dash, last = (args.seeds or str(args.seed)).partition("-")
    seeds = range(int(first), int(last or first) + 1)
    work = [(n, c, s) for n, c in (("outsider", args.outsider), ("insider", args.insider)) if c for s in seeds]
    if args.workers == 1:
        found = [_run(*each) for each in work]
    else:
        with ProcessPoolExecutor(args.workers) as pool:
            found = list(pool.map(_run, *zip(*work, strict=True)))
    tried, bad = sum(t for t, _ in found), sum(b for _, b in found)
    print(f"fuzz: {tried:,} tried, {bad} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
