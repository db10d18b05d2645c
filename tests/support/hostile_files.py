"""A corpus of hostile files, made anew each time, and the refusal each must end in.

``python -m tests.support.hostile_files FOLDER`` writes nothing but into FOLDER, tries every file with the real readers, and
prints one JSON line: count, slowest, peak memory, and what did not end as it must.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

from steward.errors import StewardError
from steward.manifest import merkle
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


DOCUMENT = {
    "empty": "empty", "nul": "not_json", "nuls": "not_json", "space": "cut_off", "newline": "cut_off", "newlines": "cut_off", "bom": "byte_order_mark",
    "utf-16": "byte_order_mark", "utf-32": "byte_order_mark", "latin-1": "not_utf8", "overlong": "not_utf8", "surrogate": "not_utf8", "cut utf-8": "not_utf8",
    "null": "wrong_type", "true": "wrong_type", "number": "wrong_type", "string": "wrong_type", "array": "wrong_type", "object": "member_missing",
    "open object": "cut_off", "open array": "wrong_type", "open string": "cut_off", "deep arrays": "too_deep", "deep objects": "too_deep",
    "deep closed": "too_deep", "wide": "wrong_type", "many members": "unknown_member", "long string": "wrong_type", "long key": "unknown_member",
    "escapes": "wrong_type", "digits": "number_out_of_range", "exponent": "number_out_of_range", "gzip": "not_utf8", "zip": "not_json", "zstd": "not_utf8",
    "pickle": "not_utf8", "html": "not_json", "yaml": "not_json", "python": "not_json", "comment": "member_missing", "two documents": "member_missing",
    "trailing comma": "unknown_member", "single quotes": "not_json", "cr": "member_missing", "form feed": "not_json", "random": "not_utf8",
}  # fmt: skip
"""The code of each of :data:`BYTES` where a document should be; items of another length are never parsed."""

ELSEWHERE = {
    **{("trust/1.dsse.json", name): "too_large" for name in ("deep objects", "wide", "many members", "long string", "long key", "escapes", "digits")},
    # A signed payload is asked first which kind of statement it is; these answer, and say none.
    **{("signed payload", name): "WrongPayloadTypeError" for name in ("object", "many members", "cr", "latin-1", "overlong", "surrogate")},
}  # fmt: skip

NUMBER = {
    **dict.fromkeys(("NaN", "Infinity", "-Infinity", "00", "01", "0.0", "1.5", "1e1", "0x1"), "number_form"),
    **dict.fromkeys(("1e999", "-1", "9007199254740992", "18446744073709551616", "9" * 4_301, "9" * 100_000), "number_out_of_range"),
    **dict.fromkeys(("true", "false", "null", '"0"', "[]", "{}", "[0]"), "wrong_type"), "-0": "not_the_one_encoding", "١": "not_json",
}  # fmt: skip


def _text_code(text: str) -> str:
    return "hidden_character" if len(text) == 1 and unicodedata.is_normalized("NFC", text) else "not_nfc"


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


def corpus() -> Iterator[tuple[str, str, Make]]:
    """Yield a name, the code it must end in, and what to do to a good manifest folder (with ``trust`` below it)."""
    for place in ("manifest.dsse.json", "items.ndjson", "trust/1.dsse.json", "veto-0123456789abcdef.dsse.json"):
        for name, raw in BYTES.items():
            code = "size_differs" if place == "items.ndjson" else ELSEWHERE.get((place, name), DOCUMENT[name])
            yield f"{place}: {name}", code, _write(place, raw)
        if place.startswith("veto"):
            continue
        large = "size_differs" if place == "items.ndjson" else "too_large"
        for name, code, make in (
            ("link", "link", lambda p: p.symlink_to("/etc/hostname")), ("link to zero", "link", lambda p: p.symlink_to("/dev/zero")),
            ("pipe", "pipe", os.mkfifo), ("folder", "folder", lambda p: p.mkdir()), ("10 GB of nothing", large, _sparse(10 << 30)),
            ("dangling link", "link", lambda p: p.symlink_to("nowhere")), ("nothing at all", "unreadable", lambda p: None),
        ):  # fmt: skip
            # Without its only version the folder is no trust store at all.
            missing = place.startswith("trust") and name == "nothing at all"
            yield f"{place}: {name}", "TrustError" if missing else code, _instead(place, make)
    yield "a file that looks like a veto", "veto_name", _write("veto.json", b"{}")
    yield "a veto with another ending", "veto_name", _write("veto-0123456789abcdef.dsse.json.bak", b"{}")
    yield "ten gigabytes of one line", "chunk_differs", _one_line
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
            yield f"signed payload: {name}", ELSEWHERE.get(("signed payload", name), DOCUMENT[name]), signed(raw)
    for number in NUMBERS:
        yield (
            f"signed number {number[:20]}",
            NUMBER[number],
            signed(base.payload.replace(b'"canary":20', b'"canary":' + number.encode())),
        )
    for text in FORBIDDEN:
        spelled = json.dumps("1" + text, ensure_ascii=False).encode("utf-8", "surrogatepass")
        yield (
            f"signed text {text!r}",
            _text_code(text),
            signed(base.payload.replace(b'"version":"1"}', b'"version":' + spelled + b"}")),
        )
        escaped = json.dumps("1" + text).encode()
        # What JSON can only write escaped, or what stays as it is, is refused for what it is; the rest for being escaped.
        code = _text_code(text) if ord(text[-1]) < 0x20 or (text == "\x7f" and b"\\" not in escaped) else "escape"
        yield (
            f"signed escaped text {text!r}",
            code,
            signed(base.payload.replace(b'"version":"1"}', b'"version":' + escaped + b"}")),
        )
    for text in FORBIDDEN:
        line = json.dumps("9" + text, ensure_ascii=False).encode("utf-8", "surrogatepass")
        lines = base.items.replace(b'"41508680000000000001"', line)
        yield f"item id {text!r}", _text_code(text), _restated(base, lines)
    for (name, code), lines in {
        ("duplicate member", "member_twice"): base.items.replace(b'"seq":1', b'"seq":1,"seq":1'), ("long line", "length"): base.items.replace(b'"d-1"', b'"' + b"d" * 20_000 + b'"'),
        ("unknown member", "unknown_member"): base.items.replace(b'"reviewer":"bob"}', b'"reviewer":"bob","x":1}'), ("path", "wrong_object"): base.items.replace(b'"object":"contact"', b'"object":"../contact"'),
        ("empty line", "white_space"): base.items.replace(b"\n", b"\n\n", 1), ("carriage return", "white_space"): base.items.replace(b"\n", b"\r\n"), ("same record", "record_twice"): base.items.replace(b"0001", b"0000"),
        ("white space", "white_space"): base.items.replace(b'"seq":1', b'"seq": 1'), ("big seq", "number_out_of_range"): base.items.replace(b'"seq":1', b'"seq":18446744073709551616'),
        ("reasons", "length"): base.items.replace(b'["stale.no_activity"]', b"[" + b",".join([b'"a"'] * 1_000) + b"]"),
        ("one long reason", "line_too_long"): base.items.replace(b'"stale.no_activity"', b'"' + b"a" * 16_500 + b'"', 1),
        ("a gap", "numbering"): base.items.replace(b'"seq":1', b'"seq":2'), ("a digest that is none", "wrong_preimage"): re.sub(rb'"preimage":"[0-9a-f]', b'"preimage":"g', base.items),
        ("a target for a deletion", "wrong_target"): base.items.replace(b'"target":null', b'"target":"5"'), ("another action", "unknown_word"): base.items.replace(b"soft_delete", b"truncate_all"),
    }.items():  # fmt: skip
        yield f"item: {name}", code, _restated(base, lines)


def _one_line(folder: Path) -> None:
    """An item file of ten gigabytes without a line feed, under a statement that says just that, properly signed."""
    base = world.manifest(2)
    statement = json.loads(base.payload)
    size = 64 << 20
    chunks = [[10_000, size, "0" * 64]] * 160
    leaves = [bytes(32)] * 160
    statement["predicate"]["items"] = {
        "bytes": size * 160, "records": 1_600_000, "chunkRecords": 10_000, "root": merkle.root(leaves).hex(), "chunks": chunks,
    }  # fmt: skip
    statement["predicate"]["counts"] = {"contact/soft_delete": 1_600_000}
    statement["predicate"]["snapshot"]["objects"] = {"contact": 2_000_000}
    statement["predicate"]["limits"]["maxRecords"] = 2_000_000
    payload = json.dumps(statement, separators=(",", ":"), ensure_ascii=False).encode()
    signers = [world.signer(n) for n in ("bob", "cid", "eve")]
    message = pae(STATEMENT_PAYLOAD, payload)
    (folder / "manifest.dsse.json").write_bytes(seal(payload, STATEMENT_PAYLOAD, [(k.keyid, k.sign(message)) for k in signers]))
    with (folder / "items.ndjson").open("wb") as file:
        file.truncate(size * 160)


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
    for name, expected, make in corpus():
        folder = where / "case"
        shutil.copytree(where / "good", folder)
        make(folder)
        start = time.perf_counter()
        try:
            check(folder)
            wrong.append(f"{name}: accepted")
        except StewardError as error:
            code = str(error.facts.get("code") or type(error).__name__)
            codes[code] = codes.get(code, 0) + 1
            if code != expected:
                wrong.append(f"{name}: refused as {code}, expected {expected}")
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
