"""Key files, public keys and secrets: weak ones refused, nothing shown, the same key known under any scheme."""

from __future__ import annotations

import base64
import io
import logging
import pickle
import subprocess
import traceback
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from steward.errors import BadSignatureError, UntrustedKeyError, WeakKeyError
from steward.signing import PublicKey, Secret, generate_key, load_key
from steward.signing.keys import check_protection
from tests.support.signing import signer, ssh_wire

WORD = Secret(b"correct horse battery")


@pytest.fixture(scope="module")
def made() -> tuple[bytes, PublicKey]:
    return generate_key(WORD)


def test_a_key_is_made_opened_and_signs(made: tuple[bytes, PublicKey]) -> None:
    raw, public = made
    opened = load_key(raw, WORD)
    assert opened.keyid == public.keyid
    public.verify(opened.sign(b"message"), b"message")
    with pytest.raises(BadSignatureError):
        public.verify(opened.sign(b"message"), b"massage")
    assert check_protection(raw) == 64


def test_wrong_passphrase_and_damage_are_refused(made: tuple[bytes, PublicKey]) -> None:
    with pytest.raises(UntrustedKeyError):
        load_key(made[0], Secret(b"wrong horse battery"))
    damaged = made[0][:200] + b"A" + made[0][201:]
    if damaged != made[0]:
        with pytest.raises((UntrustedKeyError, WeakKeyError)):
            load_key(damaged, WORD)


def _openssh(key: object, rounds: int | None) -> bytes:
    kind = serialization.PrivateFormat.OpenSSH
    guard: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if rounds is not None:
        guard = kind.encryption_builder().kdf_rounds(rounds).build(WORD.reveal())
    return key.private_bytes(serialization.Encoding.PEM, kind, guard)  # type: ignore[attr-defined, no-any-return]


def test_weak_files_are_refused_before_the_passphrase_is_tried() -> None:
    key = Ed25519PrivateKey.generate()
    pkcs8 = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(WORD.reveal())
    )
    plain = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for raw in (_openssh(key, None), _openssh(key, 16), _openssh(key, 63), pkcs8, plain, b"", b"garbage", b"x" * 20_000):
        with pytest.raises(WeakKeyError):
            load_key(raw, WORD)
    assert load_key(_openssh(key, 64), WORD)


def _scrypt(n: int, r: int, p: int, algorithm: str = "ed25519") -> bytes:
    """A key file as OpenSSL writes it with these numbers."""
    made = subprocess.run(["openssl", "genpkey", "-algorithm", *algorithm.split()], check=True, capture_output=True).stdout
    words = [
        "-scrypt",
        "-scrypt_N",
        str(n),
        "-scrypt_r",
        str(r),
        "-scrypt_p",
        str(p),
        "-passout",
        f"pass:{WORD.reveal().decode()}",
    ]
    return subprocess.run(["openssl", "pkcs8", "-topk8", *words], input=made, check=True, capture_output=True).stdout


def test_a_pkcs8_file_with_strong_scrypt_opens_and_one_with_weak_scrypt_does_not() -> None:
    strong = _scrypt(16_384, 8, 8)
    assert check_protection(strong) == 16_384 * 8 * 8
    key = load_key(strong, WORD)
    key.public_key.verify(key.sign(b"m"), b"m")
    with pytest.raises(UntrustedKeyError):
        load_key(strong, Secret(b"wrong horse battery"))
    for weak in (_scrypt(16_384, 8, 1), _scrypt(16_384, 8, 3), _scrypt(8_192, 8, 16), _scrypt(16_384, 4, 16)):
        with pytest.raises(WeakKeyError, match="weakly"):
            load_key(weak, WORD)
    with pytest.raises(WeakKeyError, match="no Ed25519"):
        load_key(_scrypt(16_384, 8, 8, "EC -pkeyopt ec_paramgen_curve:P-256"), WORD)


def _recoded(raw: bytes, old: bytes, new: bytes) -> bytes:
    """Change bytes inside a PEM file."""
    first, *body, last = raw.split(b"\n")[:-1]
    der = base64.b64decode(b"".join(body))
    assert der.count(old) == 1 and len(old) == len(new)
    text = base64.b64encode(der.replace(old, new))
    return b"\n".join([first, *(text[i : i + 64] for i in range(0, len(text), 64)), last]) + b"\n"


def test_a_pkcs8_file_that_asks_for_endless_work_or_is_damaged_is_refused_at_once() -> None:
    strong = _scrypt(16_384, 8, 8)
    n = b"\x02\x02\x40\x00\x02\x01\x08\x02\x01\x08"  # N, r, p
    for numbers in (
        b"\x02\x02\x40\x01\x02\x01\x08\x02\x01\x08",
        b"\x02\x02\x40\x00\x02\x01\x08\x02\x01\x00",
        b"\x02\x02\xc0\x00\x02\x01\x08\x02\x01\x08",
    ):
        with pytest.raises(WeakKeyError):
            check_protection(_recoded(strong, n, numbers))
    with pytest.raises(WeakKeyError, match="more work"):
        check_scrypt_numbers(1 << 30, 8, 8)
    for cut in range(10, len(strong), 7):
        with pytest.raises((WeakKeyError, UntrustedKeyError)):
            load_key(strong[:cut], WORD)
    cipher = bytes.fromhex("60864801650304012a")
    with pytest.raises(WeakKeyError, match="weakly"):
        check_protection(_recoded(strong, cipher, cipher[:-1] + b"\x2e"))  # another mode than CBC


def check_scrypt_numbers(n: int, r: int, p: int) -> None:
    """Write the head of a file with these numbers by hand; no program would make it."""

    def der(tag: int, *parts: bytes) -> bytes:
        inside = b"".join(parts)
        size = bytes([len(inside)]) if len(inside) < 128 else b"\x82" + len(inside).to_bytes(2, "big")
        return bytes([tag]) + size + inside

    def number(value: int) -> bytes:
        return der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))

    scrypt = der(
        0x30, der(6, bytes.fromhex("2b06010401da47040b")), der(0x30, der(4, b"salt" * 4), number(n), number(r), number(p))
    )
    cipher = der(0x30, der(6, bytes.fromhex("60864801650304012a")), der(4, b"\0" * 16))
    body = der(0x30, der(0x30, der(6, bytes.fromhex("2a864886f70d01050d")), der(0x30, scrypt, cipher)), der(4, b"x" * 64))
    text = base64.b64encode(body)
    check_protection(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" + text + b"\n-----END ENCRYPTED PRIVATE KEY-----\n")


def test_pbkdf2_is_refused_however_many_rounds_it_has() -> None:
    made = subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519"], check=True, capture_output=True).stdout
    for words in (["-v2", "aes-256-cbc", "-iter", "1000000"], ["-v1", "PBE-SHA1-3DES"]):
        done = subprocess.run(
            ["openssl", "pkcs8", "-topk8", *words, "-passout", "pass:xxxxxxxx"], input=made, check=True, capture_output=True
        )
        with pytest.raises(WeakKeyError, match=r"PBKDF2|PBES1|PKCS#12"):
            load_key(done.stdout, WORD)


def test_other_kinds_of_keys_are_refused() -> None:
    for key in (ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)):
        with pytest.raises(WeakKeyError):
            load_key(_openssh(key, 64), WORD)


def test_a_key_made_by_ssh_keygen_opens(tmp_path: Path) -> None:
    file = tmp_path / "id"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-a", "64", "-N", "correct horse battery", "-f", str(file)], check=True
    )
    assert load_key(file.read_bytes(), WORD).keyid
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-a", "16", "-P", "correct horse battery", "-N", "correct horse battery", "-f", str(file)],
        check=True,
    )
    with pytest.raises(WeakKeyError):
        load_key(file.read_bytes(), WORD)


def test_short_passphrases_and_few_rounds_make_no_key() -> None:
    with pytest.raises(WeakKeyError):
        generate_key(Secret(b"short"))
    with pytest.raises(WeakKeyError):
        generate_key(WORD, rounds=16)


def test_secrets_show_themselves_nowhere(made: tuple[bytes, PublicKey]) -> None:
    secret = Secret(b"canary-7f3a")
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger("canary").addHandler(handler)
    logging.getLogger("canary").warning("%s %r %s", secret, secret, f"{secret:>20}")
    assert "canary-7f3a" not in log.getvalue() + str(secret) + repr(secret) + f"{secret}" + str([secret])
    for thing in (secret, load_key(made[0], WORD)):
        with pytest.raises(TypeError):
            pickle.dumps(thing)
    try:
        load_key(made[0], secret)
    except UntrustedKeyError as error:
        shown = "".join(traceback.format_exception(error))
        assert "canary-7f3a" not in shown and error.__cause__ is None and error.__suppress_context__
    assert "Ed25519PrivateKey" not in repr(load_key(made[0], WORD))


def test_one_key_has_one_material_whatever_its_scheme() -> None:
    raw, ssh = signer("bob").public_key, PublicKey("sshsig-ed25519", ssh_wire("bob"))
    assert raw.material == ssh.material and raw.keyid != ssh.keyid
    assert signer("cid").public_key.material != raw.material


def test_ecdsa_keys_for_tokens_and_services_verify() -> None:
    from cryptography.hazmat.primitives import hashes

    key = ec.generate_private_key(ec.SECP256R1())
    point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    public = PublicKey("ecdsa-sha2-nistp256", base64.b64encode(point).decode())
    public.check()
    public.verify(key.sign(b"m", ec.ECDSA(hashes.SHA256())), b"m")
    with pytest.raises(BadSignatureError):
        public.verify(key.sign(b"m", ec.ECDSA(hashes.SHA256())), b"n")
    assert public.material.startswith("p256:")


@pytest.mark.parametrize(
    ("scheme", "public"),
    [
        ("rsa", "AAAA"),
        ("ed25519", "AAAA"),
        ("ed25519", "not base 64"),
        ("ed25519", base64.b64encode(b"\0" * 32).decode()),
        ("ecdsa-sha2-nistp256", base64.b64encode(b"\x04" + b"\1" * 64).decode()),
        ("ecdsa-sha2-nistp256", base64.b64encode(b"\x02" + b"\1" * 32).decode()),
        ("sshsig-ed25519", base64.b64encode(b"\0\0\0\x0bssh-ed25519").decode()),
        ("sshsig-sk-ed25519", "AAAA"),
    ],
)
def test_public_keys_that_are_none(scheme: str, public: str) -> None:
    with pytest.raises(UntrustedKeyError):
        PublicKey(scheme, public).check()


def _string(raw: bytes) -> bytes:
    return len(raw).to_bytes(4, "big") + raw


def test_a_fido2_signature_needs_a_person_present() -> None:
    """The token is played by its arithmetic (PROTOCOL.u2f): application hash, flags, counter, message hash."""
    import hashlib

    from steward.signing.sshsig import message_to_sign

    key = Ed25519PrivateKey.generate()
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    kind = b"sk-ssh-ed25519@openssh.com"
    wire = _string(kind) + _string(raw) + _string(b"ssh:")
    public = PublicKey("sshsig-sk-ed25519", base64.b64encode(wire).decode())
    public.check()

    def made(flags: bytes, namespace: bytes = b"steward-manifest@v1", application: bytes = b"ssh:") -> bytes:
        inner = (
            hashlib.sha256(application).digest()
            + flags
            + b"\0\0\0\7"
            + hashlib.sha256(message_to_sign(b"m", namespace)).digest()
        )
        blob = _string(kind) + _string(key.sign(inner)) + flags + b"\0\0\0\7"
        return b"SSHSIG" + b"\0\0\0\1" + _string(wire) + _string(namespace) + _string(b"") + _string(b"sha512") + _string(blob)

    public.verify(made(b"\x01"), b"m")
    public.verify(made(b"\x05"), b"m")
    for bad in (
        made(b"\x00"),
        made(b"\x04"),
        made(b"\x01", b"git"),
        made(b"\x01", application=b"ssh:other"),
        made(b"\x01") + b"x",
        made(b"\x01")[:-1],
    ):
        with pytest.raises(BadSignatureError):
            public.verify(bad, b"m")
    assert public.material == PublicKey("ed25519", base64.b64encode(raw).decode()).material
