"""Keys in services through their own clients: Vault and AWS KMS against servers on this machine that speak their wire
contract, Google and Azure up to the point where credentials are asked for; and the system's keyring, with a real backend.

No test asks anything outside this machine: metadata services are switched off, and credentials are absent or made up.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from steward.errors import MissingExtraError, TrustError, UsageError, WeakKeyError
from steward.kms_signer import ServiceSigner, fetch_public, service_of
from steward.signing import PublicKey, Secret, cosign_statement, load_key, seal, trusted_key, verify
from steward.signing.dsse import STATEMENT_PAYLOAD
from steward.signing.interop import pem
from tests.support import signing as world
from tests.support.signing_commands import WORD, Run, first_trust, keys, lay, made_now, run, trust

__all__ = ["first_trust", "keys", "run", "trust"]  # fixtures

ED = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"key in a vault").digest())
P256 = ec.derive_private_key(int.from_bytes(hashlib.sha256(b"key in a service").digest(), "big"), ec.SECP256R1())
TOKEN = "vault-canary-token"
AZURE = "azurekms://approvals.vault.azure.net/keys/approvals/" + "a" * 32
GOOGLE = "gcpkms:projects/p/locations/global/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"


def public(key: Any) -> PublicKey:
    """The public half as steward keeps it."""
    return PublicKey.from_pem(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


class Service(BaseHTTPRequestHandler):
    """Vault's Transit engine and AWS KMS, as far as signing goes. ``mode`` of the server makes it misbehave."""

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, document: object) -> None:
        raw = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_GET(self) -> None:
        if self.headers.get("x-vault-token") != TOKEN:
            return self.answer(403, {"errors": [f"permission denied for {self.headers.get('x-vault-token')}"]})
        raw = ED.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        old = {"public_key": base64.b64encode(b"\x01" * 32).decode()}
        keys = {"9": old, "10": {"public_key": base64.b64encode(raw).decode()}}
        return self.answer(200, {"data": {"keys": keys, "type": "ed25519"}})

    def do_POST(self) -> None:
        self.route()

    do_PUT = do_POST

    def route(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["content-length"])))
        mode = self.server.mode
        if mode == "down":
            return self.answer(500, {"errors": [f"internal canary {TOKEN}"], "message": "canary"})
        if self.path.startswith("/v1/transit/sign/"):
            if self.headers.get("x-vault-token") != TOKEN:
                return self.answer(403, {"errors": ["permission denied"]})
            key = Ed25519PrivateKey.generate() if mode == "other key" else ED
            mark = key.sign(base64.b64decode(said["input" if "input" in said else "hash_input"]))
            return self.answer(200, {"data": {"signature": f"vault:v{said['key_version']}:{base64.b64encode(mark).decode()}"}})
        target = self.headers.get("x-amz-target", "")
        if target == "TrentService.GetPublicKey":
            der = P256.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
            return self.answer(200, {"PublicKey": base64.b64encode(der).decode(), "SigningAlgorithms": ["ECDSA_SHA_256"]})
        if target == "TrentService.Sign":
            assert said["MessageType"] == "DIGEST" and said["SigningAlgorithm"] == "ECDSA_SHA_256"
            key = ec.generate_private_key(ec.SECP256R1()) if mode == "other key" else P256
            mark = key.sign(base64.b64decode(said["Message"]), ec.ECDSA(Prehashed(hashes.SHA256())))
            return self.answer(200, {"KeyId": said["KeyId"], "Signature": base64.b64encode(mark).decode()})
        return self.answer(404, {})


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A server of both kinds, and no credentials but the ones a test sets."""
    monkeypatch.setenv("HOME", str(tmp_path))  # no profile of whoever runs the tests
    for name in ("VAULT_ADDR", "VAULT_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
                 "AWS_DEFAULT_REGION", "AWS_REGION", "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET",
                 "AZURE_TENANT_ID", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.mode = ""
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}"

    def sign_in() -> None:
        monkeypatch.setenv("VAULT_ADDR", address)
        monkeypatch.setenv("VAULT_TOKEN", TOKEN)
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", address)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDCANARY")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-canary-secret")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")

    server.sign_in = sign_in
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


WAYS = [("hv:approvals/10", ED), ("awskms:alias/approvals", P256)]


@pytest.mark.parametrize(("reference", "key"), WAYS)
def test_a_key_in_a_service_approves_a_manifest(service: Any, reference: str, key: Any) -> None:
    service.sign_in()
    signer = ServiceSigner(reference, public(key))
    made = world.manifest(2)
    raw = cosign_statement(seal(made.payload, STATEMENT_PAYLOAD), signer)
    entry = trusted_key(signer.public_key, from_=world.NOW, to=world.NOW.replace(year=2027))
    people = (world.person("ada", "analyst"), world.person("bob", "steward", keys=[entry]))
    store = world.trust(world.trust_document(people=people))
    assert verify(raw, made.source, store, world.context()).approvers == ("bob",)
    assert "canary" not in repr(signer)


@pytest.mark.parametrize(("reference", "key"), WAYS)
def test_its_public_key_is_fetched_with_the_newest_version(service: Any, reference: str, key: Any) -> None:
    service.sign_in()
    found, fetched = fetch_public(reference.replace("/10", "/9"))
    assert fetched == public(key) and found == reference


@pytest.mark.parametrize(("reference", "key"), WAYS)
def test_a_service_that_is_down_or_signs_with_another_key_is_refused_without_its_words(
    service: Any, reference: str, key: Any
) -> None:
    service.sign_in()
    signer = ServiceSigner(reference, public(key))
    service.mode = "other key"
    with pytest.raises(TrustError, match="another key"):
        signer.sign(b"message")
    service.mode = "down"
    with pytest.raises(TrustError) as caught:
        signer.sign(b"message")
    assert "canary" not in str(caught.value) and caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("reference", "key"),
    [*WAYS, (GOOGLE, P256), (AZURE, P256)],
    ids=["Vault", "AWS KMS", "Google Cloud KMS", "Azure Key Vault"],
)
def test_without_credentials_it_is_refused_before_anything_is_asked(
    service: Any, reference: str, key: Any, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(TrustError, match="no credentials") as caught:
        ServiceSigner(reference, public(key))
    assert caught.value.facts["service"] == request.node.callspec.id
    with pytest.raises(TrustError, match="no credentials"):
        fetch_public(reference)


def test_google_and_azure_are_constructed_where_there_are_credentials(
    service: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent: Google's account is made up, and Azure's token comes from a stand-in for the sign-in alone."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    secret = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account", "project_id": "p", "private_key_id": "1", "private_key": secret.decode(),
        "client_email": "s@example.org", "client_id": "1", "token_uri": f"http://127.0.0.1:{service.server_address[1]}/token",
    }  # fmt: skip
    (tmp_path / "account.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
    google = ServiceSigner(GOOGLE, public(P256))
    assert google.keyid == public(P256).keyid and "Google" in repr(google)
    from azure.core.credentials import AccessToken
    from azure.identity import DefaultAzureCredential

    monkeypatch.setattr(DefaultAzureCredential, "get_token", lambda *_a, **_k: AccessToken("canary", 2**31))
    azure = ServiceSigner(AZURE, public(P256))
    assert azure.keyid == public(P256).keyid and "canary" not in repr(azure)


@pytest.mark.parametrize(
    "reference",
    ["", "awskms:", "awskms:a b", "hv:approvals", "hv:approvals/0", "hv:../approvals/1", "gcpkms:projects/p", "file2:/etc/passwd",
     "azurekms://evil.example.org/keys/k/" + "a" * 32, "azurekms://a.vault.azure.net.evil.example.org/keys/k/" + "a" * 32,
     "https://a.vault.azure.net/keys/k/" + "a" * 32, "AWSKMS:x"],
)  # fmt: skip
def test_references_that_name_no_key_are_refused(reference: str) -> None:
    with pytest.raises(UsageError):
        service_of(reference)


def test_a_key_of_another_kind_and_a_missing_package_are_said(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    service.sign_in()
    with pytest.raises(UsageError, match="ed25519"):
        ServiceSigner("hv:approvals/10", public(P256))
    monkeypatch.setattr("steward.kms_signer._there", lambda package: package != "hvac")
    with pytest.raises(MissingExtraError, match=r"steward\[vault\]"):
        ServiceSigner("hv:approvals/10", public(ED))


def test_the_command_fetches_a_key_and_signs_with_it(service: Any, keys: Path, trust: Path, tmp_path: Path, run: Run) -> None:
    service.sign_in()
    file = tmp_path / "approvals.pem"
    code, said, _ = run("keys", "fetch", "--kms", "awskms:alias/approvals", "--to", file)
    assert code == 0 and file.read_bytes() == pem(public(P256)) and said["scheme"] == "ecdsa-sha2-nistp256"
    assert run("trust", "add", "person", "kim", "--role", "steward", "--pub", file, "--trust", trust)[0] == 0
    for name in ("ria", "rex"):
        assert run("trust", "sign", "--key", keys / name, "--passphrase-file", keys / "pw", "--trust", trust)[0] == 0
    folder = lay(tmp_path / "manifests", made_now())
    words = ("sign", folder, "--kms", "awskms:alias/approvals", "--count", 3, "--trust", trust)
    assert run(*words)[0] == 2, "which key it is must be said"
    code, said, err = run(*words, "--kms-public", file)
    assert code == 0 and said["signed_as"] == "kim" and said["missing"] == {}, err
    assert run(*words, "--key", keys / "bob")[0] == 2, "one way at a time"


# The keyring ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def keyring_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A keyring of our own that keeps its entries in a file of this test, found by its name as any other."""
    import keyring

    before = keyring.get_keyring()
    monkeypatch.setenv("STEWARD_TEST_KEYRING", str(tmp_path / "keyring.json"))
    from tests.support.keyring_backend import FileKeyring

    keyring.set_keyring(FileKeyring())
    try:
        yield tmp_path / "keyring.json"
    finally:
        keyring.set_keyring(before)


def test_a_passphrase_is_remembered_used_and_forgotten(
    keyring_file: Path, keys: Path, trust: Path, tmp_path: Path, run: Run
) -> None:
    folder = lay(tmp_path / "manifests", made_now())
    words = ("sign", folder, "--key", keys / "bob", "--keyring", "--count", 3, "--trust", trust)
    code, _, err = run(*words)
    assert code == 8 and "holds no passphrase" in err
    assert run("keys", "remember", keys / "bob", "--passphrase-file", keys / "pw")[0] == 0
    ((account, kept),) = json.loads(keyring_file.read_text()).items()
    assert kept == WORD and account == "steward/key " + hashlib.sha256((keys / "bob").read_bytes()).hexdigest()[:32]
    code, said, _ = run(*words)
    assert code == 0 and said["signed_as"] == "bob"
    assert run("keys", "forget", keys / "bob")[0] == 0 and json.loads(keyring_file.read_text()) == {}
    assert run("keys", "forget", keys / "bob")[0] == 8


def test_a_wrong_passphrase_is_not_remembered(keyring_file: Path, keys: Path, tmp_path: Path, run: Run) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("canary passphrase")
    wrong.chmod(0o400)
    code, _, err = run("keys", "remember", keys / "bob", "--passphrase-file", wrong)
    assert code == 8 and "canary" not in err and not keyring_file.exists()


def test_a_locked_keyring_and_one_that_keeps_nothing_secret_are_refused(keyring_file: Path, keys: Path, run: Run) -> None:
    import keyring
    from keyring.backends import fail, null

    keyring_file.write_text("not json canary")
    code, _, err = run("keys", "remember", keys / "bob", "--passphrase-file", keys / "pw")
    assert code == 8 and "canary" not in err and "JSONDecodeError" in err
    from steward.keyring_store import recall, remember

    for backend in (fail.Keyring(), null.Keyring()):
        keyring.set_keyring(backend)
        with pytest.raises(WeakKeyError, match="no keyring"):
            remember("key x", Secret(b"canary"))
        with pytest.raises(WeakKeyError, match="no keyring"):
            recall("key x")


def test_an_entry_of_an_older_passphrase_is_not_found_any_more(keyring_file: Path, tmp_path: Path) -> None:
    from steward.keyring_store import account_of, recall, remember
    from steward.signing import generate_key

    first, _public = generate_key(Secret(b"first passphrase"))
    remember(account_of(first), Secret(b"first passphrase"))
    assert load_key(first, recall(account_of(first)))
    with pytest.raises(TrustError, match="holds no"):
        recall(account_of(first.replace(b"A", b"B")))
