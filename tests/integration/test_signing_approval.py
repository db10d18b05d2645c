"""What the terminal and the sign page share: a folder is read once, and only what was shown is signed."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

from steward.approval import Approval, last_folder, open_policies, open_trust, predicate_of, read_pin, typed_number
from steward.commands._signing import now
from steward.errors import MalformedManifestError, TrustError, UntrustedKeyError, UsageError, VetoedError
from steward.manifest.format import Subject, VetoPredicate
from steward.manifest_files import ManifestFolder, write_trust
from steward.signing import FileSigner, cosign_statement, make_veto, read_trust, trusted_key
from tests.support import signing as world
from tests.support.signing_commands import lay, made_now, policy_digest


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    """A store with the people of ``tests.support.signing`` and the policy that ships, in force by this machine's clock."""
    moment = now()

    def key(name: str) -> object:
        return trusted_key(world.signer(name).public_key, from_=moment - timedelta(days=9), to=moment + timedelta(days=9))

    people = tuple(
        world.person(name, *roles, keys=[key(name)])
        for name, roles in (("ada", ("analyst", "steward")), ("bob", ("steward",)), ("cid", ("steward",)), ("eve", ("owner",)))
    )
    document = world.trust_document(
        people=people, policies=(policy_digest(),), issued=moment - timedelta(days=2), expires=moment + timedelta(days=9)
    )
    raw = world.sealed_trust(document)
    write_trust(tmp_path / "trust", 1, raw)
    (tmp_path / "trust.pin").write_text(read_trust(raw)[1])
    return tmp_path / "trust"


def opened(folder: Path, trust: Path) -> Approval:
    return Approval.open(folder, trust=open_trust(trust, now=now()), policies=open_policies(), now=now())


def signer(name: str) -> FileSigner:
    return world.signer(name)


def test_only_the_typed_number_signs_and_the_result_says_who_is_missing(trust: Path, tmp_path: Path) -> None:
    folder = lay(tmp_path / "manifests", made_now(12))
    with opened(folder, trust) as approval:
        for typed in ("11", "", "twelve", "-12", "12x", 13, "1２"):
            with pytest.raises(UsageError):
                approval.sign(signer("bob"), typed=typed, now=now())
        assert ManifestFolder(folder).envelope() == approval.envelope
        done = approval.sign(signer("ada"), typed=" 12 ", now=now())
        assert (done.person, done.counts, done.missing) == ("ada", False, {"contact": ["steward"]}), "ada proposed it"
        done = approval.sign(signer("bob"), typed="12", now=now())
        assert (done.person, done.counts, done.missing) == ("bob", True, {})
        with pytest.raises(MalformedManifestError, match="signed already"):
            approval.sign(signer("bob"), typed="12", now=now())
        with pytest.raises(UntrustedKeyError):
            approval.sign(signer("mallory"), typed="12", now=now())


def test_who_signed_meanwhile_is_not_overwritten(trust: Path, tmp_path: Path) -> None:
    folder = lay(tmp_path / "manifests", made_now())
    with opened(folder, trust) as one, opened(folder, trust) as two:
        two.sign(signer("cid"), typed=3, now=now())
        with pytest.raises(TrustError, match="meanwhile"):
            one.sign(signer("bob"), typed=3, now=now())
    with opened(folder, trust) as again:
        assert again.summary.signed_by == ("cid",)


def test_items_that_were_swapped_after_they_were_shown_are_not_signed(trust: Path, tmp_path: Path) -> None:
    folder = lay(tmp_path / "manifests", made_now())
    with opened(folder, trust) as approval:
        items = (folder / "items.ndjson").read_bytes()
        (folder / "items.ndjson").unlink()  # another file, not the one that is open
        (folder / "items.ndjson").write_bytes(items.replace(b'"id":"4', b'"id":"5'))
        with pytest.raises(MalformedManifestError, match="differs"):
            approval.sign(signer("bob"), typed=3, now=now())
    assert predicate_of(ManifestFolder(folder).envelope()).counts == {"contact/soft_delete": 3}
    (folder / "items.ndjson").write_bytes(items)
    with opened(folder, trust) as approval:
        assert approval.summary.signed_by == ()


@pytest.mark.parametrize("late", [False, True])
def test_a_veto_stops_signing_also_one_that_came_while_a_person_was_looking(trust: Path, tmp_path: Path, late: bool) -> None:
    made = made_now()
    folder = lay(tmp_path / "manifests", made)
    veto = VetoPredicate(manifest_id=made.predicate.manifest_id, scope="all", reason="talks", person="eve", at=now())
    subject = Subject(name="manifest", digest={"sha256": hashlib.sha256(made.payload).hexdigest()})
    if not late:
        ManifestFolder(folder).write_veto(make_veto(signer("eve"), veto, subject), "0" * 16)
    with opened(folder, trust) as approval:
        if late:
            ManifestFolder(folder).write_veto(make_veto(signer("eve"), veto, subject), "0" * 16)
        with pytest.raises(VetoedError):
            approval.sign(signer("bob"), typed=3, now=now())


def test_an_envelope_that_was_signed_by_a_stranger_is_not_opened(trust: Path, tmp_path: Path) -> None:
    folder = lay(tmp_path / "manifests", made_now())
    where = ManifestFolder(folder)
    where.write_envelope(cosign_statement(where.envelope(), signer("mallory")))
    with pytest.raises(UntrustedKeyError):
        opened(folder, trust)


def test_the_last_manifest_is_the_superseded_one_or_the_newest_before_this(trust: Path, tmp_path: Path) -> None:
    parent, moment = tmp_path / "manifests", now()
    old = lay(parent, made_now(nonce=5, created_at=moment - timedelta(days=2, hours=9)))
    newer = lay(parent, made_now(nonce=6, created_at=moment - timedelta(days=2, hours=3)))
    lay(parent, made_now(nonce=7, created_at=moment - timedelta(hours=30)))  # after this one
    lay(parent, made_now(nonce=8, environment="training", created_at=moment - timedelta(days=2, hours=1)))
    (parent / "notes").mkdir()
    plain = made_now()
    folder = lay(parent, plain)
    assert last_folder(folder, plain.predicate) == newer
    replacing = made_now(nonce=9, supersedes=old.name)
    assert last_folder(lay(parent, replacing), replacing.predicate) == old
    alone = made_now(nonce=10)
    assert last_folder(lay(tmp_path / "elsewhere", alone), alone.predicate) is None


@pytest.mark.parametrize(
    ("text", "number"), [("1,234", 1234), ("1.234", 1234), ("1 234", 1234), ("1’234", 1234), (" 7 ", 7), ("", -1), ("-7", -1), ("7e1", -1), ("٣", -1), ("9" * 40, -1), (5, 5)]
)  # fmt: skip
def test_numbers_as_people_type_them(text: str | int, number: int) -> None:
    assert typed_number(text) == number


def test_there_is_no_trust_without_a_pin(trust: Path) -> None:
    trust.with_name("trust.pin").unlink()
    with pytest.raises(TrustError, match="Nothing says"):
        read_pin(trust)
    with pytest.raises(UsageError):
        read_pin(trust, "not a digest")
    with pytest.raises(TrustError):
        open_trust(trust, now=now(), pin="0" * 64)
