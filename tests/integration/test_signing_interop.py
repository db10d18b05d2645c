"""Other people's code reads what we sign: securesystemslib, in-toto's attestation library, Sigstore's models, SoftHSM."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, SSlibKey

from steward.errors import BadSignatureError, ThresholdNotMetError, TrustError
from steward.signing import Secret, verify
from steward.signing.dsse import STATEMENT_PAYLOAD, pae
from steward.signing.interop import pem, sigstore_bundle
from tests.support import signing as world


def sslib_key(name: str) -> SSlibKey:
    public = world.signer(name).public_key
    return SSlibKey(public.keyid, "ed25519", "ed25519", {"public": public.raw.hex()})


def test_securesystemslib_computes_the_same_pae_and_accepts_our_signatures() -> None:
    made = world.manifest(3)
    raw = made.signed("bob", "cid")
    theirs = Envelope.from_dict(json.loads(raw))
    assert theirs.pae() == pae(STATEMENT_PAYLOAD, made.payload)
    assert set(theirs.verify([sslib_key("bob"), sslib_key("cid")], threshold=2)) == {
        world.signer("bob").keyid,
        world.signer("cid").keyid,
    }


def test_one_private_key_under_two_ids_passes_securesystemslib_and_not_us() -> None:
    """Why the decision is never left to ``Envelope.verify``."""
    made = world.manifest([world.item(0, action="deactivate_user", object="user")])
    theirs = Envelope.from_dict(json.loads(made.signed("bob")))
    (signature,) = theirs.signatures.values()
    twin = SSlibKey("f" * 64, "ed25519", "ed25519", {"public": world.signer("bob").public_key.raw.hex()})
    second = type(signature)("f" * 64, signature.signature)
    theirs.signatures["f" * 64] = second
    assert len(theirs.verify([sslib_key("bob"), twin], threshold=2)) == 2
    with pytest.raises(ThresholdNotMetError):
        verify(made.signed("bob"), made.source, world.trust(), world.context())


def test_we_accept_an_envelope_that_securesystemslib_signed() -> None:
    import hashlib

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from steward.signing import seal

    made = world.manifest(2)
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"key of bob").digest())
    theirs = Envelope(made.payload, STATEMENT_PAYLOAD, {})
    signature = theirs.sign(CryptoSigner(private))
    raw = seal(made.payload, STATEMENT_PAYLOAD, [(world.signer("bob").keyid, bytes.fromhex(signature.signature))])
    assert verify(raw, made.source, world.trust(), world.context()).approvers == ("bob",)


def test_in_toto_reads_the_statement() -> None:
    from google.protobuf import json_format
    from in_toto_attestation.v1.statement import Statement
    from in_toto_attestation.v1.statement_pb2 import Statement as Message

    made = world.manifest(2)
    message = json_format.Parse(made.payload, Message())
    Statement.copy_from_pb(message).validate()
    assert message.subject[0].name == "items.ndjson"
    assert message.predicate_type == "urn:steward:deletion-manifest:v1"
    assert message.predicate["manifestId"] == made.predicate.manifest_id


def test_sigstores_models_read_the_bundle_of_one_signer() -> None:
    from sigstore_models.bundle.v1 import Bundle

    made = world.manifest(2)
    raw = made.signed("bob", "cid")
    for name in ("bob", "cid"):
        found = sigstore_bundle(raw, world.signer(name).public_key)
        assert found is not None
        bundle, key = found
        read = Bundle.from_json(bundle)
        assert read.dsse_envelope is not None and len(read.dsse_envelope.signatures) == 1
        assert key == pem(world.signer(name).public_key) and key.startswith(b"-----BEGIN PUBLIC KEY-----")
        inner = json.loads(bundle)["dsseEnvelope"]
        world.signer(name).public_key.verify(
            base64.b64decode(inner["signatures"][0]["sig"]), pae(inner["payloadType"], base64.b64decode(inner["payload"]))
        )
    assert sigstore_bundle(raw, world.signer("eve").public_key) is None


# A token ------------------------------------------------------------------------------------------------------------

MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
)


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """SoftHSM with a P-256 key ``bob`` and an Ed25519-less token, in a temporary folder."""
    module = next((Path(m) for m in MODULES if Path(m).exists()), None)
    if module is None or shutil.which("softhsm2-util") is None:
        pytest.fail("SoftHSM is not installed: install the system package 'softhsm2' and run again")
    folder = tmp_path_factory.mktemp("token")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(
        f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", "steward", "--pin", "472913", "--so-pin", "11112222"],
        check=True,
        capture_output=True,
    )
    import pkcs11
    from pkcs11.util.ec import encode_named_curve_parameters

    with pkcs11.lib(str(module)).get_token(token_label="steward").open(rw=True, user_pin="472913") as session:
        for label, curve in (("bob", "secp256r1"), ("big", "secp384r1")):
            parameters = session.create_domain_parameters(
                pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}, local=True
            )
            parameters.generate_keypair(store=True, label=label)
    yield module
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before


def test_a_key_on_a_token_approves_a_manifest(token: Path) -> None:
    from datetime import timedelta

    from steward.pkcs11_signer import TokenSigner
    from steward.signing import cosign_statement, seal, trusted_key

    made = world.manifest(2)
    with TokenSigner(token, "steward", "bob", Secret(b"472913")) as signer:
        raw = cosign_statement(seal(made.payload, STATEMENT_PAYLOAD), signer)
        entry = trusted_key(signer.public_key, from_=world.NOW - timedelta(days=1), to=world.NOW + timedelta(days=1))
        people = (world.person("ada", "analyst"), world.person("bob", "steward", keys=[entry]))
        store = world.trust(world.trust_document(people=people))
        assert verify(raw, made.source, store, world.context()).approvers == ("bob",)
        with pytest.raises(BadSignatureError):
            signer.public_key.verify(signer.sign(b"m"), b"n")
        assert "472913" not in repr(signer)


@pytest.mark.parametrize(
    ("name", "label", "pin"),
    [
        ("steward", "bob", b"canary-000"),
        ("steward", "nobody", b"472913"),
        ("none", "bob", b"472913"),
        ("steward", "big", b"472913"),
    ],
)
def test_a_token_that_cannot_sign_is_refused_without_its_pin_in_the_words(
    token: Path, name: str, label: str, pin: bytes
) -> None:
    from steward.pkcs11_signer import TokenSigner

    with pytest.raises(TrustError) as caught:
        TokenSigner(token, name, label, Secret(pin))
    assert "canary" not in str(caught.value) and "472913" not in str(caught.value)


def test_the_public_key_of_a_token_is_fetched_by_the_command(token: Path, tmp_path: Path) -> None:
    from steward.cli import main
    from steward.pkcs11_signer import TokenSigner
    from steward.signing import PublicKey

    (tmp_path / "pin").write_text("472913\n")
    (tmp_path / "pin").chmod(0o400)
    words = ["keys", "fetch", "--pkcs11", str(token), "--token", "steward", "--key-label", "bob"]
    assert main([*words, "--passphrase-file", str(tmp_path / "pin"), "--to", str(tmp_path / "bob.pem"), "--quiet"]) == 0
    with TokenSigner(token, "steward", "bob", Secret(b"472913")) as signer:
        assert PublicKey.from_pem((tmp_path / "bob.pem").read_bytes()) == signer.public_key
    assert (
        main([*words[:-1], "nobody", "--passphrase-file", str(tmp_path / "pin"), "--to", str(tmp_path / "x"), "--quiet"]) == 8
    )
    assert not (tmp_path / "x").exists()
