"""A bounded slice of the fuzzers, and every single-bit flip of envelope, items and trust file.

The fuzzers run by hand with any count and seed: ``python -m tests.support.manifest_fuzz``. The figures of long runs are in
docs/explanation/threat-model.md.
"""

from __future__ import annotations

import pytest

from steward.errors import StewardError
from steward.manifest import BytesSource
from steward.signing import load_trust, read_trust, verify
from tests.support import manifest_fuzz
from tests.support import signing as world


def test_outsider_nothing_is_wrongly_accepted_and_nothing_ends_in_an_exception_that_is_no_refusal() -> None:
    tally = manifest_fuzz.outsider(12_000, seed=20_261_125)
    assert (tally.wrong, tally.uncaught) == ([], [])
    assert {"BadSignatureError", "ThresholdNotMetError", "MalformedManifestError", "UntrustedKeyError"} <= set(tally.refused)


def test_insider_whatever_is_accepted_reads_the_same_in_an_independent_strict_reader() -> None:
    tally = manifest_fuzz.insider(5_000, seed=20_261_125)
    assert (tally.wrong, tally.uncaught) == ([], [])
    assert tally.accepted > 200, "a fuzzer that gets nothing accepted compares nothing"


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":1}',
        b'{"a": 1}',
        b"01",
        b"1.0",
        b"-1",
        b"NaN",
        b'"\\u0061"',
        b'"e\xcc\x81"',
        b'"\xe2\x80\xae"',
        b"1 ",
        b"\xef\xbb\xbf1",
    ],
)
def test_the_strict_reader_refuses_what_the_page_forbids(raw: bytes) -> None:
    with pytest.raises(manifest_fuzz.Unreadable):
        manifest_fuzz.StrictReader(raw).read()


def _flips(raw: bytes) -> list[bytes]:
    out = []
    for at in range(len(raw)):
        for bit in range(8):
            flipped = bytearray(raw)
            flipped[at] ^= 1 << bit
            out.append(bytes(flipped))
    return out


def test_every_single_bit_flip_of_the_envelope_is_refused() -> None:
    made = world.manifest(3)
    envelope, store, context = made.signed("bob"), world.trust(), world.context()
    assert verify(envelope, made.source, store, context)
    for flipped in _flips(envelope):
        with pytest.raises(StewardError):
            verify(flipped, made.source, store, context)


def test_every_single_bit_flip_of_a_three_chunk_item_file_is_refused() -> None:
    made = world.manifest(7, chunk_records=3)
    assert len(made.predicate.items.chunks) == 3
    envelope, store, context = made.signed("bob"), world.trust(), world.context()
    assert verify(envelope, made.source, store, context)
    for flipped in _flips(made.items):
        with pytest.raises(StewardError):
            verify(envelope, BytesSource(flipped), store, context)


def test_every_single_bit_flip_of_the_trust_file_is_refused() -> None:
    raw = world.sealed_trust(world.trust_document(people=(world.person("bob", "steward"),)))
    pin = read_trust(raw)[1]
    assert load_trust([raw], pin=pin, now=world.NOW)
    for flipped in _flips(raw):
        with pytest.raises(StewardError):
            load_trust([flipped], pin=pin, now=world.NOW)
