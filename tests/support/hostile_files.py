"""A corpus of hostile files, made anew each time, and the refusal each must end in.

``python -m tests.support.hostile_files FOLDER`` writes nothing but into FOLDER, tries every file with the real readers, and
prints one JSON line: count, slowest, peak memory, and what did not end as it must.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from steward.errors import StewardError
from steward.manifest_files import ManifestFolder, read_trust_folder
from steward.signing import load_trust, read_trust, seal, verify
from steward.signing.dsse import STATEMENT_PAYLOAD, pae
from tests.support import signing as world
from tests.support.memory import peak_mib

Make = Callable[[Path], None]

FORBIDDEN = (
    "\x00", "\x07", "\x1b", "\x7f", "\x85", "\x9f", "\u00ad", "\u034f", "\u061c", "\u115f", "\u1160", "\u17b4", "\u180e", "\u200b", "\u200c", "\u200d",
    "\u200e", "\u200f", "\u2028", "\u2029", "\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2060", "\u2061", "\u2066", "\u2067", "\u2068", "\u2069",
    "\u206a", "\u3164", "\ufe00", "\ufe0f", "\ufeff", "\uffa0", "\ufff9", "\ufffe", "\uffff", "\U0001d173", "\U000e0001", "\U000e0041",
    "e\u0301", "a\u030a", "\u1100\u1161", "\u212b", "\u2126", "\uf900",
)  # fmt: skip
NUMBERS = ("NaN", "Infinity", "-Infinity", "1e999", "-1", "-0", "00", "01", "0.0", "1.5", "1e1", "0x1", "9007199254740992", "18446744073709551616",
           "9" * 4_301, "9" * 100_000, "true", "false", "null", '"0"', "[]", "{}", "[0]", "١")  # fmt: skip
BYTES: dict[str, bytes] = {
    "empty": b"", "nul": b"\x00", "nuls": b"\x00" * 100_000, "space": b" ", "newline": b"\n", "newlines": b"\n" * 100_000, "bom": b"\xef\xbb\xbf{}",
    "utf-16": "{}".encode("utf-16"), "utf-32": "{}".encode("utf-32"), "latin-1": "{\"ä\":1}".encode("latin-1"), "overlong": b"{\"\xc0\xaf\":1}",
    "surrogate": b"{\"\xed\xa0\x80\":1}", "cut utf-8": b"{\"\xe6\x9d", "null": b"null", "true": b"true", "number": b"1", "string": b'"x"', "array": b"[]",
    "object": b"{}", "open object": b"{", "open array": b"[", "open string": b'{"a', "deep arrays": b"[" * 1_000_000, "deep objects": b'{"a":' * 500_000,
    "deep closed": b"[" * 200_000 + b"]" * 200_000, "wide": b"[" + b"0," * 1_000_000 + b"0]", "many members": b"{" + b",".join(b'"%d":0' % n for n in range(200_000)) + b"}",
    "long string": b'"' + b"a" * 3_000_000 + b'"', "long key": b'{"' + b"k" * 3_000_000 + b'":0}', "escapes": b'"' + b"\\u0041" * 500_000 + b'"',
    "digits": b"9" * 3_000_000, "exponent": b"1e" + b"9" * 1_000_000, "gzip": bytes.fromhex("1f8b0800000000000003") + b"x" * 100, "zip": b"PK\x03\x04" + b"\0" * 100,
    "zstd": bytes.fromhex("28b52ffd") + b"\0" * 100, "pickle": b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00\x8c\x01x\x94.", "html": b"<!doctype html><title>Sign in</title>",
    "yaml": b"payload: &a [*a]\n", "python": b"__import__('os').system('true')", "comment": b"{} // x", "two documents": b"{}{}", "trailing comma": b'{"a":1,}',
    "single quotes": b"{'a':1}", "cr": b"{}\r\n", "form feed": b"\x0c{}", "random": bytes((n * 167 + 13) % 256 for n in range(65_536)),
}  # fmt: skip


def _write(name: str, raw: bytes) -> Make:
    def make(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_bytes(raw)

    return make


def _instead(name: str, make: Callable[[Path], object]) -> Make:
    def place(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return place


def _sparse(size: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(size)

    return make


def corpus() -> Iterator[tuple[str, Make]]:
    """Yield names and what to do to a good manifest folder (with ``trust`` below it)."""
    for place in ("manifest.dsse.json", "items.ndjson", "trust/1.dsse.json", "veto-0123456789abcdef.dsse.json"):
        for name, raw in BYTES.items():
            yield f"{place}: {name}", _write(place, raw)
        if place.startswith("veto"):
            continue
        for name, make in (
            ("link", lambda p: p.symlink_to("/etc/hostname")), ("link to zero", lambda p: p.symlink_to("/dev/zero")), ("pipe", os.mkfifo),
            ("folder", lambda p: p.mkdir()), ("10 GB of nothing", _sparse(10 << 30)), ("dangling link", lambda p: p.symlink_to("nowhere")),
        ):  # fmt: skip
            yield f"{place}: {name}", _instead(place, make)
    base = world.manifest(2)

    def signed(payload: bytes, items: bytes | None = None) -> Make:
        key = world.signer("bob")
        raw = seal(payload, STATEMENT_PAYLOAD, [(key.keyid, key.sign(pae(STATEMENT_PAYLOAD, payload)))])

        def make(folder: Path) -> None:
            (folder / "manifest.dsse.json").write_bytes(raw)
            if items is not None:
                (folder / "items.ndjson").write_bytes(items)

        return make

    for name, raw in BYTES.items():
        if 0 < len(raw) < 2_900_000:
            yield f"signed payload: {name}", signed(raw)
    for number in NUMBERS:
        yield f"signed number {number[:20]}", signed(base.payload.replace(b'"canary":20', b'"canary":' + number.encode()))
    for text in FORBIDDEN:
        spelled = json.dumps("1" + text, ensure_ascii=False).encode("utf-8", "surrogatepass")
        yield f"signed text {text!r}", signed(base.payload.replace(b'"version":"1"}', b'"version":' + spelled + b"}"))
        escaped = json.dumps("1" + text).encode()
        yield f"signed escaped text {text!r}", signed(base.payload.replace(b'"version":"1"}', b'"version":' + escaped + b"}"))
    for text in FORBIDDEN:
        line = json.dumps("9" + text, ensure_ascii=False).encode("utf-8", "surrogatepass")
        lines = base.items.replace(b'"41508680000000000001"', line)
        yield f"item id {text!r}", _restated(base, lines)
    for name, lines in {
        "duplicate member": base.items.replace(b'"seq":1', b'"seq":1,"seq":1'), "long line": base.items.replace(b'"d-1"', b'"' + b"d" * 20_000 + b'"'),
        "unknown member": base.items.replace(b'"reviewer":"bob"}', b'"reviewer":"bob","x":1}'), "path": base.items.replace(b'"object":"contact"', b'"object":"../contact"'),
        "empty line": base.items.replace(b"\n", b"\n\n", 1), "carriage return": base.items.replace(b"\n", b"\r\n"), "same record": base.items.replace(b"0001", b"0000"),
        "white space": base.items.replace(b'"seq":1', b'"seq": 1'), "big seq": base.items.replace(b'"seq":1', b'"seq":18446744073709551616'),
        "reasons": base.items.replace(b'["stale.no_activity"]', b"[" + b",".join([b'"a"'] * 1_000) + b"]"),
    }.items():  # fmt: skip
        yield f"item: {name}", _restated(base, lines)


def _restated(base: world.Made, lines: bytes) -> Make:
    """Hostile lines under a chunk table, tree head and subject that fit them, properly signed."""
    import hashlib

    predicate = json.loads(base.payload)
    digest = hashlib.sha256(lines)
    predicate["subject"][0]["digest"]["sha256"] = digest.hexdigest()
    root = hashlib.sha256(b"\x00" + digest.digest()).hexdigest()
    predicate["predicate"]["items"] |= {"bytes": len(lines), "root": root, "chunks": [[2, len(lines), digest.hexdigest()]]}
    payload = json.dumps(predicate, separators=(",", ":"), ensure_ascii=False).encode()
    key = world.signer("bob")
    raw = seal(payload, STATEMENT_PAYLOAD, [(key.keyid, key.sign(pae(STATEMENT_PAYLOAD, payload)))])

    def make(folder: Path) -> None:
        (folder / "manifest.dsse.json").write_bytes(raw)
        (folder / "items.ndjson").write_bytes(lines)

    return make


def check(folder: Path) -> None:
    """What an executor does with a folder."""
    trust_raw = world.sealed_trust(world.trust_document())
    store = load_trust(read_trust_folder(folder / "trust"), pin=read_trust(trust_raw)[1], now=world.NOW)
    manifest = ManifestFolder(folder)
    with manifest.items() as items:
        verify(manifest.envelope(), items, store, world.context(vetoes=manifest.vetoes()))


def good(folder: Path) -> None:
    """Lay out a manifest that is accepted."""
    made = world.manifest(2)
    (folder / "trust").mkdir(parents=True)
    (folder / "trust" / "1.dsse.json").write_bytes(world.sealed_trust(world.trust_document()))
    (folder / "manifest.dsse.json").write_bytes(made.signed("bob"))
    (folder / "items.ndjson").write_bytes(made.items)


def main() -> int:
    import shutil

    where = Path(sys.argv[1])
    good(where / "good")
    check(where / "good")
    wrong: list[str] = []
    slowest, codes, count = (0.0, ""), {}, 0
    for name, make in corpus():
        folder = where / "case"
        shutil.copytree(where / "good", folder)
        make(folder)
        start = time.perf_counter()
        try:
            check(folder)
            wrong.append(f"{name}: accepted")
        except StewardError as error:
            codes[type(error).__name__] = codes.get(type(error).__name__, 0) + 1
        except Exception as error:
            wrong.append(f"{name}: {type(error).__name__}: {error}"[:200])
        slowest = max(slowest, (time.perf_counter() - start, name))
        count += 1
        shutil.rmtree(folder)
    peak = peak_mib()
    print(json.dumps({"count": count, "slowest": slowest, "peak_mb": peak, "wrong": wrong, "codes": codes}))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
