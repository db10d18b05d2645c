"""Signing: envelopes, keys, the trust store, and the one way to a :class:`VerifiedManifest`.

``dsse`` has the envelope, ``keys`` and ``sshsig`` keys and schemes, ``trust`` the store, ``approvals`` the seats,
``statements`` signed documents of any kind, ``rules`` and ``verify`` the decision about a manifest.

No disk, no network, no clock. Left to others: files, passphrases and tokens (``steward.manifest_files``,
``steward.commands``), the ledger (``steward.executor``).
"""

from __future__ import annotations

from steward.signing.approvals import Extra, seats_needed
from steward.signing.dsse import STATEMENT_PAYLOAD, TRUST_PAYLOAD, Signer, pae, read_envelope, seal
from steward.signing.keys import FileSigner, PublicKey, Secret, generate_key, load_key
from steward.signing.rules import LedgerEntry, PolicyInForce, VerifyContext
from steward.signing.statements import (
    VerifiedStatement,
    cosign_statement,
    make_veto,
    sign_statement,
    verify_statement,
    verify_veto,
)
from steward.signing.trust import (
    Environment,
    Executor,
    Grant,
    Person,
    Recipient,
    Revoked,
    Root,
    RootHolder,
    Trust,
    TrustedKey,
    TrustStore,
    draft_trust,
    load_trust,
    read_trust,
    sign_trust,
    trusted_key,
)
from steward.signing.verify import ExaminedManifest, VerifiedManifest, examine, verify

__all__ = [
    "STATEMENT_PAYLOAD",
    "TRUST_PAYLOAD",
    "Environment",
    "ExaminedManifest",
    "Executor",
    "Extra",
    "FileSigner",
    "Grant",
    "LedgerEntry",
    "Person",
    "PolicyInForce",
    "PublicKey",
    "Recipient",
    "Revoked",
    "Root",
    "RootHolder",
    "Secret",
    "Signer",
    "Trust",
    "TrustStore",
    "TrustedKey",
    "VerifiedManifest",
    "VerifiedStatement",
    "VerifyContext",
    "cosign_statement",
    "draft_trust",
    "examine",
    "generate_key",
    "load_key",
    "load_trust",
    "make_veto",
    "pae",
    "read_envelope",
    "read_trust",
    "seal",
    "seats_needed",
    "sign_statement",
    "sign_trust",
    "trusted_key",
    "verify",
    "verify_statement",
    "verify_veto",
]
