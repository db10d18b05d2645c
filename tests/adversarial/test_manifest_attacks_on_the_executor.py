"""The attacks again, against the real executor and a real CRM: each is refused by its name and not a byte of the CRM changes."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from steward.errors import (
    AlreadyAppliedError,
    BadSignatureError,
    ExpiredError,
    MalformedManifestError,
    NotYetValidError,
    StewardError,
    ThresholdNotMetError,
    TrustError,
    UntrustedKeyError,
    VetoedError,
    WrongTargetError,
)
from steward.manifest.format import MANIFEST_TYPE, ManifestPredicate, Subject, VetoPredicate
from steward.manifest_files import ManifestFolder, write_trust
from steward.sandbox import build_crm
from steward.signing import draft_trust, make_veto, read_trust, seal, sign_trust
from steward.signing.dsse import STATEMENT_PAYLOAD, pae, read_envelope, unbase64
from steward.signing.statements import parse_statement, statement_bytes
from tests.support.executor import World
from tests.support.signing import signer

replace = msgspec.structs.replace


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CRM, built once."""
    file = tmp_path_factory.mktemp("crm") / "crm.sqlite"
    build_crm(f"sqlite:///{file}", customers=60, seed=5)
    return file


@pytest.fixture
def world(crm: Path, tmp_path: Path) -> World:
    shutil.copy(crm, tmp_path / "crm.sqlite")
    return World(tmp_path, f"sqlite:///{tmp_path / 'crm.sqlite'}")


@pytest.fixture(scope="module")
def shared(crm: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """One world for the attacks that leave no trace, which is what they assert."""
    folder = tmp_path_factory.mktemp("shared")
    shutil.copy(crm, folder / "crm.sqlite")
    return World(folder, f"sqlite:///{folder / 'crm.sqlite'}")


def drafted(world: World, signed: tuple[str, ...] = ("bob", "cid", "dan", "eve"), skip: int = 0) -> Path:
    """Ten tickets to delete."""
    tickets = sorted(k for k, r in world.records().items() if k.object == "ticket" and not r.deleted)[skip : skip + 10]
    return world.manifest(dict.fromkeys(tickets, "delete"), signed=signed)


def untouched(world: World) -> str:
    return hashlib.sha256((world.folder / "crm.sqlite").read_bytes()).hexdigest()


def refused(world: World, folder: Path, kind: type[StewardError] | tuple[type[StewardError], ...]) -> StewardError:
    """Applying is refused so, and the CRM's file is the same to the byte."""
    before, rows = untouched(world), world.rows()
    with pytest.raises(kind) as caught, world.executor() as executor:
        executor.apply(folder)
    assert untouched(world) == before
    assert world.rows() == rows
    return caught.value


def resign(
    folder: Path,
    change: Callable[[ManifestPredicate], ManifestPredicate],
    names: tuple[str, ...] = ("bob", "cid", "dan", "eve"),
) -> None:
    """Change the statement and sign it properly: what people would have to be fooled into."""
    payload = read_envelope(ManifestFolder(folder).envelope(), STATEMENT_PAYLOAD).body
    said, _ = parse_statement(payload, MANIFEST_TYPE, ManifestPredicate)
    raw = statement_bytes(said.subject, MANIFEST_TYPE, change(said.predicate))
    message = pae(STATEMENT_PAYLOAD, raw)
    ManifestFolder(folder).write_envelope(
        seal(raw, STATEMENT_PAYLOAD, [(signer(n).keyid, signer(n).sign(message)) for n in names])
    )


def test_an_honest_manifest_runs_once_and_its_replay_touches_nothing(world: World) -> None:
    folder, before = drafted(world), world.rows()
    with world.executor() as executor:
        assert executor.apply(folder).counts == {"done": 10}
    assert world.rows() != before
    refused(world, folder, AlreadyAppliedError)
    shutil.copytree(folder, world.folder / "manifests" / "copy")
    refused(world, world.folder / "manifests" / "copy", AlreadyAppliedError)


def test_splice_a_signature_of_another_manifest(shared: World) -> None:
    one, two = drafted(shared), drafted(shared, skip=10)
    signatures = [
        (s.keyid, unbase64(s.sig)) for s in read_envelope(ManifestFolder(one).envelope(), STATEMENT_PAYLOAD).signatures
    ]
    payload = read_envelope(ManifestFolder(two).envelope(), STATEMENT_PAYLOAD).body
    ManifestFolder(two).write_envelope(seal(payload, STATEMENT_PAYLOAD, signatures))
    refused(shared, two, BadSignatureError)


def test_swap_the_items(shared: World) -> None:
    one, two = drafted(shared), drafted(shared, skip=10)
    shutil.copy(two / "items.ndjson", one / "items.ndjson")
    refused(shared, one, MalformedManifestError)


def test_swap_the_items_between_the_check_and_their_loading(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is another one the moment after it was verified: each chunk is hashed again when it is loaded."""
    import steward.executor.applying as applying

    one, two = drafted(world), drafted(world, skip=10)
    honest = (one / "items.ndjson").read_bytes()
    claim = applying.claim

    def swap(*args: Any) -> Any:
        with (one / "items.ndjson").open("r+b") as file:  # the same file, open in the executor
            file.write((two / "items.ndjson").read_bytes())
        return claim(*args)

    monkeypatch.setattr(applying, "claim", swap)
    before = world.rows()
    with pytest.raises(MalformedManifestError, match="differs"), world.executor() as executor:
        executor.apply(one)
    assert world.rows() == before  # the writer has made its empty ledger table by now, so the file is another
    monkeypatch.setattr(applying, "claim", claim)
    (one / "items.ndjson").write_bytes(honest)
    with world.executor() as executor:  # nothing of the other manifest was noted
        assert executor.apply(one).counts == {"done": 10}


def test_swap_the_envelope(shared: World) -> None:
    one, two = drafted(shared), drafted(shared, skip=10)
    shutil.copy(two / "manifest.dsse.json", one / "manifest.dsse.json")
    refused(shared, one, MalformedManifestError)


def test_too_few_people(shared: World) -> None:
    for names in ((), ("ada",), ("eve",)):
        refused(shared, drafted(shared, signed=names), ThresholdNotMetError)


def test_a_stranger_signs_along(shared: World) -> None:
    refused(shared, drafted(shared, signed=("bob", "cid", "eve", "mallory")), UntrustedKeyError)


def test_expired(shared: World) -> None:
    folder, now = drafted(shared), datetime.now(UTC).replace(microsecond=0)
    old = now - timedelta(hours=20)
    resign(
        folder,
        lambda p: replace(
            p, snapshot=replace(p.snapshot, taken_at=old), created_at=old, not_before=old, expires_at=now - timedelta(hours=1)
        ),
    )
    refused(shared, folder, ExpiredError)


def test_not_yet_valid(shared: World) -> None:
    folder, now = drafted(shared), datetime.now(UTC).replace(microsecond=0)
    resign(folder, lambda p: replace(p, not_before=now + timedelta(hours=1)))
    refused(shared, folder, NotYetValidError)


@pytest.mark.parametrize("change", [{"tenant": "other"}, {"system": "zoho"}, {"environment": "production"}])
def test_wrong_tenant_system_or_environment(shared: World, change: dict[str, str]) -> None:
    folder = drafted(shared)
    resign(folder, lambda p: replace(p, **change))
    refused(shared, folder, WrongTargetError)


def test_sandbox_to_production(world: World) -> None:
    """The rehearsal's manifest on an executor that is configured for production."""
    folder = drafted(world)
    changed = 0
    for path in world.home.rglob("*.toml"):
        text = path.read_text()
        other = re.sub(r"""(?m)^(environment\s*=\s*)(["'])sandbox\2""", r"\1\2production\2", text)
        if other != text:
            path.chmod(0o600)
            path.write_text(other)
            changed += 1
    assert changed == 2, "mapping and configuration"
    refused(world, folder, WrongTargetError)


def test_counts_that_hide_what_is_deleted(shared: World) -> None:
    folder = drafted(shared)
    resign(folder, lambda p: replace(p, counts={"ticket/soft_delete": 1}))
    refused(shared, folder, StewardError)


def test_veto(shared: World) -> None:
    folder = drafted(shared)
    veto = VetoPredicate(
        manifest_id=folder.name, scope="all", reason="talks", person="eve", at=datetime.now(UTC).replace(microsecond=0)
    )
    ManifestFolder(folder).write_veto(
        make_veto(signer("eve"), veto, Subject(name="manifest", digest={"sha256": "0" * 64})), "0" * 16
    )
    refused(shared, folder, VetoedError)


def _next_trust(world: World, **changes: Any) -> bytes:
    previous = read_trust(draft_trust(world.document))[1]
    raw = draft_trust(replace(world.document, **{"version": 2, "previous": previous, **changes}))
    for name in ("root ria", "root rex"):
        raw = sign_trust(raw, signer(name))
    return raw


def _trust_folder(world: World) -> Path:
    return next(p.parent for p in world.home.rglob("1.dsse.json"))


def test_backdated_a_key_revoked_since_signs_nothing(world: World) -> None:
    folder = drafted(world, signed=("bob", "cid", "eve"))
    revoked = replace(world.document.revoked, keys=(signer("bob").keyid,))
    write_trust(_trust_folder(world), 2, _next_trust(world, revoked=revoked))
    refused(world, folder, UntrustedKeyError)


def test_fast_forward_of_the_trust_store(world: World) -> None:
    folder = drafted(world)
    write_trust(_trust_folder(world), 2, _next_trust(world, version=2**31))
    refused(world, folder, TrustError)


def test_freeze_of_the_trust_store(world: World) -> None:
    folder, now = drafted(world), datetime.now(UTC).replace(microsecond=0)
    write_trust(_trust_folder(world), 2, _next_trust(world, expires=now - timedelta(seconds=1)))
    refused(world, folder, ExpiredError)


def test_rollback_of_the_trust_store(world: World) -> None:
    """Version 2 has been seen; version 1, which knew a person since removed, is put back."""
    first = drafted(world)
    write_trust(_trust_folder(world), 2, _next_trust(world, people=tuple(p for p in world.document.people if p.id != "cid")))
    with world.executor() as executor, pytest.raises(StewardError):
        executor.apply(first)  # cid's signature is a stranger's now; the version is noted
    (_trust_folder(world) / "2.dsse.json").unlink()
    refused(world, first, TrustError)


def test_one_person_two_keys(world: World) -> None:
    """Bob has two keys, rightly, and signs with both where two people must."""
    from steward.signing import trusted_key

    bob = next(p for p in world.document.people if p.id == "bob")
    second = trusted_key(signer("bob second").public_key, from_=bob.keys[0].from_, to=bob.keys[0].to)
    people = tuple(replace(p, keys=(*p.keys, second)) if p.id == "bob" else p for p in world.document.people)
    write_trust(_trust_folder(world), 2, _next_trust(world, people=people))
    # Ten of sixty tickets are a large share: two stewards and an owner.
    refused(world, drafted(world, signed=("bob", "bob second", "eve")), ThresholdNotMetError)
    with world.executor() as executor:
        assert executor.apply(drafted(world, signed=("bob", "cid", "eve"))).counts == {"done": 10}


def test_one_key_two_ids_never_gets_into_a_store(world: World) -> None:
    from steward.signing import PublicKey, TrustedKey
    from tests.support.signing import ssh_wire

    bob = next(p for p in world.document.people if p.id == "bob")
    twin = PublicKey("sshsig-ed25519", ssh_wire("bob"))
    entry = TrustedKey(keyid=twin.keyid, scheme=twin.scheme, public=twin.public, from_=bob.keys[0].from_, to=bob.keys[0].to)
    people = (*(p for p in world.document.people if p.id != "bob"), replace(bob, keys=(*bob.keys, entry)))
    with pytest.raises(UntrustedKeyError):
        _next_trust(world, people=people)
    # Written past our own check, by root holders who were fooled: the executor refuses the store.
    honest = _next_trust(world)
    payload = json.loads(read_envelope(honest, "application/vnd.steward.trust+json").body)
    for each in payload["people"]:
        if each["id"] == "bob":
            each["keys"].append(msgspec.to_builtins(entry) | {"from": each["keys"][0]["from"], "to": each["keys"][0]["to"]})
            each["keys"][-1].pop("from_", None)
            each["keys"][-1] = {n: each["keys"][-1][n] for n in ("keyid", "scheme", "public", "from", "to")}
    raw = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
    kind = "application/vnd.steward.trust+json"
    write_trust(
        _trust_folder(world),
        2,
        seal(raw, kind, [(signer(n).keyid, signer(n).sign(pae(kind, raw))) for n in ("root ria", "root rex")]),
    )
    refused(world, drafted(world), UntrustedKeyError)
