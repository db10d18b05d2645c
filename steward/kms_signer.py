"""Signing with a key that lies in a service: AWS KMS, Google Cloud KMS, Azure Key Vault, HashiCorp Vault (Transit).

The work is done by ``securesystemslib``'s signers; here a reference is checked, credentials are looked for before anything is
asked, and whatever goes wrong becomes one sentence without the service's own words, which may quote secrets. Credentials are
the ambient ones of each service (environment, profile, workload identity); steward neither asks for nor stores them.

=============  ==================================================  ===============  ========
reference      names                                               key              extra
=============  ==================================================  ===============  ========
``awskms:``    key id, ARN or alias                                ECDSA P-256      ``aws``
``gcpkms:``    ``projects/…/cryptoKeyVersions/N``                  ECDSA P-256      ``gcp``
``azurekms:``  ``//VAULT.vault.azure.net/keys/NAME/VERSION``       ECDSA P-256      ``azure``
``hv:``        ``NAME/VERSION`` of a Transit key                   Ed25519          ``vault``
=============  ==================================================  ===============  ========

Every signature is checked against the public key before it is used. Left to others: whose key it is
(``steward.signing.trust``).
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from steward.errors import BadSignatureError, MissingExtraError, StewardError, TrustError, UsageError
from steward.messages import N_
from steward.signing import PublicKey
from steward.signing.interop import pem


@dataclass(frozen=True, slots=True)
class _Service:
    """One service: what it is called, its extra, the package it needs, how references look, and which keys it has."""

    name: str
    extra: str
    package: str
    signer: str
    reference: re.Pattern[str]
    scheme: str


_AZURE = r"azurekms://(?P<vault>[A-Za-z0-9-]{3,24})\.vault\.azure\.net/keys/(?P<key>[A-Za-z0-9-]{1,127})/[0-9a-f]{32}"
_SERVICES = {
    "awskms": _Service(
        "AWS KMS", "aws", "boto3", "AWSSigner", re.compile(r"awskms:(?P<key>[A-Za-z0-9:/_-]{1,2048})"), "ecdsa-sha2-nistp256"
    ),
    "gcpkms": _Service(
        "Google Cloud KMS",
        "gcp",
        "google.cloud.kms",
        "GCPSigner",
        re.compile(
            r"gcpkms:(?P<key>projects/[^/\s]+/locations/[^/\s]+/keyRings/[^/\s]+/cryptoKeys/[^/\s]+/cryptoKeyVersions/[0-9]+)"
        ),
        "ecdsa-sha2-nistp256",
    ),
    "azurekms": _Service(
        "Azure Key Vault", "azure", "azure.keyvault.keys", "AzureSigner", re.compile(_AZURE), "ecdsa-sha2-nistp256"
    ),
    "hv": _Service(
        "Vault", "vault", "hvac", "VaultSigner", re.compile(r"hv:(?P<key>[A-Za-z0-9_.-]{1,200})/[1-9][0-9]{0,8}"), "ed25519"
    ),
}


def service_of(reference: str) -> tuple[_Service, re.Match[str]]:
    """Return the service of a reference and its parts.

    Raises
    ------
    UsageError
        Unknown, or not as the service writes it.
    """
    service = _SERVICES.get(reference.partition(":")[0])
    match = service.reference.fullmatch(reference) if service else None
    if service is None or match is None:
        raise UsageError(
            N_("{reference} names no key in a service."),
            next_step=N_("References begin with awskms:, gcpkms:, azurekms:// or hv:, see docs/how-to/approve.md."),
            reference=reference,
        )
    return service, match


def _there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def _signer_class(service: _Service) -> Any:
    for package, extra in (("securesystemslib", "keys"), (service.package, service.extra)):
        if not _there(package):
            raise MissingExtraError(extra, package)
    # The libraries below log what they ask and what they are told; none of it is for our logs.
    for name in ("securesystemslib", "botocore", "boto3", "azure", "google", "hvac", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return getattr(importlib.import_module("securesystemslib.signer"), service.signer)


def _look_for_credentials(service: _Service) -> None:
    """Refuse early where there are no credentials, before the service is asked for anything.

    Raises
    ------
    TrustError
    """
    found = True
    if service.extra == "aws":
        session = importlib.import_module("boto3").Session()
        found = session.get_credentials() is not None and bool(session.region_name)
    elif service.extra == "gcp":
        importlib.import_module("google.auth").default()
    elif service.extra == "azure":
        identity = importlib.import_module("azure.identity")
        identity.DefaultAzureCredential().get_token("https://vault.azure.net/.default")
    else:
        found = bool(os.environ.get("VAULT_ADDR") and os.environ.get("VAULT_TOKEN"))
    if not found:
        raise _no_credentials(service)


def _no_credentials(service: _Service) -> TrustError:
    return TrustError(
        N_("There are no credentials for {service} here."),
        next_step=N_("Sign in with the service's own tool, or set its environment variables; steward stores none."),
        service=service.name,
    )


def _guarded(service: _Service, action: Callable[[], Any], *, credentials: bool = False) -> Any:
    """Run what a library does; its own words, which may quote secrets, are not repeated."""
    try:
        return action()
    except StewardError:
        raise
    except Exception as error:  # each library has a tree of its own; every one of them is a refusal
        if credentials:
            raise _no_credentials(service) from None
        raise TrustError(
            N_("{service} did not do it ({kind})."),
            next_step=N_("Check the reference, the rights of your credentials, and that the service is reachable."),
            service=service.name,
            kind=type(error).__name__,
        ) from None


def _library_key(public: PublicKey) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    library = importlib.import_module("securesystemslib.signer")
    return library.SSlibKey.from_crypto(load_pem_public_key(pem(public)))


class ServiceSigner:
    """Signs through a service.

    Parameters
    ----------
    reference : str
        See the module.
    public_key : PublicKey
        Of that key; every signature is checked with it.

    Raises
    ------
    UsageError
        The reference is none, or the key is of a kind that the service does not sign with here.
    MissingExtraError
    TrustError
        No credentials, or the service refused.
    """

    def __init__(self, reference: str, public_key: PublicKey) -> None:
        self._service, _match = service_of(reference)
        if public_key.scheme != self._service.scheme:
            raise UsageError(
                N_("{service} signs with keys of scheme {wanted}; this one is {found}."),
                service=self._service.name,
                wanted=self._service.scheme,
                found=public_key.scheme,
            )
        signer = _signer_class(self._service)
        _guarded(self._service, lambda: _look_for_credentials(self._service), credentials=True)
        self.public_key = public_key
        self._signer = _guarded(self._service, lambda: signer.from_priv_key_uri(reference, _library_key(public_key)))

    @property
    def keyid(self) -> str:
        """Id of the public key."""
        return self.public_key.keyid

    def sign(self, message: bytes) -> bytes:
        """Return the signature of ``message``, checked before it is returned.

        Raises
        ------
        TrustError
            The service refused, was not reached, or signed with another key.
        """
        raw = bytes.fromhex(_guarded(self._service, lambda: self._signer.sign(message)).signature)
        try:
            self.public_key.verify(raw, message)
        except BadSignatureError:
            raise TrustError(N_("{service} signed with another key than the one given."), service=self._service.name) from None
        return raw

    def __repr__(self) -> str:
        return f"ServiceSigner({self._service.name}, {self.keyid[:16]})"


def fetch_public(reference: str) -> tuple[str, PublicKey]:
    """Ask a service for a public key; return its full reference (Vault: with the newest version) and the key.

    Raises
    ------
    UsageError, MissingExtraError, TrustError
        As for :class:`ServiceSigner`.
    UntrustedKeyError
        Not a key of a kind that is used here.
    """
    service, match = service_of(reference)
    signer = _signer_class(service)
    _guarded(service, lambda: _look_for_credentials(service), credentials=True)
    words = match.groupdict()
    names = (words["vault"], words["key"]) if "vault" in words else (words["key"],)
    found, key = _guarded(service, lambda: signer.import_(*names))
    public = PublicKey.from_pem(_guarded(service, lambda: _pem_of(key)))
    return str(found), public


def _pem_of(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    value = key.keyval["public"]
    if key.keytype != "ed25519":
        return str(value).encode()
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(value)).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
