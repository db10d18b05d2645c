"""Attacks on the way from bytes to an approved manifest, each by its name. TUF's list, and what CRMs add to it.

Every attack ends in the refusal named here and yields no VerifiedManifest, which is all an executor accepts.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from steward.errors import (
    AlreadyAppliedError,
    BadSignatureError,
    ExpiredError,
    LimitExceededError,
    MalformedManifestError,
    ManifestError,
    NotYetValidError,
    PolicyInvalidError,
    StewardError,
    ThresholdNotMetError,
    TrustError,
    UnknownFieldError,
    UntrustedKeyError,
    VetoedError,
    WrongPayloadTypeError,
    WrongTargetError,
)
from steward.manifest import BytesSource
from steward.manifest.format import BackupRef, Limits, Subject, VetoPredicate
from steward.signing import (
    ExaminedManifest,
    LedgerEntry,
    PolicyInForce,
    PublicKey,
    TrustedKey,
    VerifiedManifest,
    draft_trust,
    examine,
    load_trust,
    make_veto,
    read_envelope,
    read_trust,
    seal,
    verify,
)
from steward.signing.dsse import STATEMENT_PAYLOAD, pae, unbase64
from steward.signing.statements import sign_statement
from tests.support import signing as world
from tests.support.signing import NOW, POLICY, context, item, manifest, signer, trust, trust_document

replace = msgspec.structs.replace


def refused(kind: type[StewardError], made: world.Made, *names: str, store: Any = None, **changes: Any) -> StewardError:
    """Assert the refusal and return it."""
    with pytest.raises(kind) as caught:
        verify(made.signed(*names), made.source, store or trust(), context(**changes))
    assert type(caught.value) is kind
    return caught.value


def test_an_honest_manifest_is_verified_so_that_the_refusals_below_mean_something() -> None:
    made = manifest(3)
    found = verify(made.signed("bob"), made.source, trust(), context())
    assert type(found) is VerifiedManifest
    assert found.approvers == ("bob",)
    assert [i.seq for i in found.items] == [0, 1, 2]
    assert found.vetoed == frozenset()


def test_forged_object_nobody_else_can_make_a_verified_manifest() -> None:
    made = manifest(1)
    for kind in (VerifiedManifest, ExaminedManifest):
        with pytest.raises(TypeError):
            kind(made.predicate, "0" * 64, (), {}, made.source)
    examined = examine(made.signed(), made.source, trust(), context())
    assert not isinstance(examined, VerifiedManifest)
    import copy
    import pickle

    with pytest.raises(TypeError):
        pickle.dumps(examined)
    with pytest.raises(TypeError):
        copy.copy(examined)


# People and keys ----------------------------------------------------------------------------------------------------


def test_one_key_two_ids_in_the_trust_store_is_refused() -> None:
    """securesystemslib's Envelope.verify(threshold=2) accepts this; see test_signing_interop."""
    same = signer("bob").public_key
    twin = PublicKey("sshsig-ed25519", world.ssh_wire("bob"))
    assert twin.keyid != same.keyid and twin.material == same.material
    entry = TrustedKey(
        keyid=twin.keyid, scheme=twin.scheme, public=twin.public, from_=NOW - timedelta(days=1), to=NOW + timedelta(days=1)
    )
    for people in (
        (world.person("bob", "steward", keys=[world.key("bob"), entry]),),
        (world.person("bob", "steward"), world.person("bobby", "steward", keys=[entry])),
    ):
        with pytest.raises(UntrustedKeyError):
            draft_trust(trust_document(people=(world.person("ada", "analyst"), *people)))


def test_one_key_under_a_made_up_id_is_refused() -> None:
    wrong = replace(world.key("bob"), keyid="0" * 64)
    with pytest.raises(MalformedManifestError):
        draft_trust(trust_document(people=(world.person("bob", "steward", keys=[wrong]),)))


def test_one_person_two_keys_counts_once() -> None:
    people = (world.person("ada", "analyst"), world.person("bob", "steward", keys=[world.key("bob"), world.key("bob second")]))
    store = trust(trust_document(people=people))
    made = manifest([item(0, action="deactivate_user", object="user")])
    error = refused(ThresholdNotMetError, made, "bob", "bob second", store=store)
    assert error.facts["missing"] == "steward"


def test_one_signature_twice_is_refused() -> None:
    made = manifest(1)
    raw = made.signed("bob")
    doubled = raw.replace(b'"signatures":[', b'"signatures":[' + raw.split(b'"signatures":[')[1][:-2] + b",")
    with pytest.raises(MalformedManifestError):
        verify(doubled, made.source, trust(), context())


def test_the_proposer_never_counts() -> None:
    """Ada is a steward too, and proposed it."""
    refused(ThresholdNotMetError, manifest(1), "ada")


def test_a_stranger_beside_enough_signatures_refuses_the_whole() -> None:
    refused(UntrustedKeyError, manifest(1), "bob", "mallory")


def test_nobody_has_signed() -> None:
    refused(ThresholdNotMetError, manifest(1))


def test_a_signature_moved_from_another_manifest_splice() -> None:
    first, second = manifest(1, nonce=1), manifest(1, nonce=2)
    (moved,) = read_envelope(first.signed("bob"), STATEMENT_PAYLOAD).signatures
    spliced = seal(second.payload, STATEMENT_PAYLOAD, [(moved.keyid, unbase64(moved.sig))])
    with pytest.raises(BadSignatureError):
        verify(spliced, second.source, trust(), context())


def test_payload_swapped_under_genuine_signatures_swap() -> None:
    small, large = manifest(1), manifest(4, nonce=2)
    signatures = [(s.keyid, unbase64(s.sig)) for s in read_envelope(small.signed("bob", "cid"), STATEMENT_PAYLOAD).signatures]
    with pytest.raises(BadSignatureError):
        verify(seal(large.payload, STATEMENT_PAYLOAD, signatures), large.source, trust(), context())


def test_items_swapped_under_a_genuine_envelope_swap() -> None:
    made, other = manifest(3), manifest([item(n, id=f"9{n}") for n in range(3)])
    with pytest.raises(MalformedManifestError):
        verify(made.signed("bob"), other.source, trust(), context())


def test_items_swapped_after_verification_are_caught_when_the_batch_is_loaded() -> None:
    made = manifest(30, chunk_records=10)

    class Mutable(BytesSource):
        def __init__(self, raw: bytes) -> None:
            super().__init__(raw)
            self.now = raw

        def read(self, offset: int, length: int) -> bytes:
            return self.now[offset : offset + length]

    source = Mutable(made.items)
    found = verify(made.signed("bob"), source, trust(), context())
    source.now = made.items.replace(b"41508680000000000015", b"41508680000000009915")
    assert len(found.chunk(0)) == 10
    with pytest.raises(MalformedManifestError) as caught:
        found.chunk(1)
    assert caught.value.facts["chunk"] == 1
    with pytest.raises(MalformedManifestError):
        list(found.items)


def test_a_signature_under_another_payload_type() -> None:
    made = manifest(1)
    raw = signer("bob").sign(pae("application/json", made.payload))
    for kind, error in ((STATEMENT_PAYLOAD, BadSignatureError), ("application/json", WrongPayloadTypeError)):
        with pytest.raises(error):
            verify(seal(made.payload, kind, [(signer("bob").keyid, raw)]), made.source, trust(), context())


def test_a_trust_store_is_no_manifest_and_a_veto_is_none() -> None:
    made = manifest(1)
    with pytest.raises(WrongPayloadTypeError):
        verify(world.sealed_trust(trust_document()), made.source, trust(), context())
    veto = VetoPredicate(manifest_id=made.predicate.manifest_id, scope="all", reason="no", person="bob", at=NOW)
    raw = make_veto(signer("bob"), veto, Subject(name="manifest", digest={"sha256": "0" * 64}))
    with pytest.raises(WrongPayloadTypeError):
        verify(raw, made.source, trust(), context())


def test_another_predicate_with_the_fields_of_a_manifest() -> None:
    made = manifest(1)
    subject = [Subject(name="items.ndjson", digest={"sha256": "0" * 64})]
    raw = sign_statement(
        [signer("bob")], subject=subject, predicate_type="urn:steward:restore-manifest:v1", predicate=made.predicate
    )
    with pytest.raises(WrongPayloadTypeError):
        verify(raw, made.source, trust(), context())


def test_stolen_executor_key_approves_nothing() -> None:
    refused(UntrustedKeyError, manifest(1), "machine")


def test_root_holders_approve_nothing_by_that() -> None:
    refused(UntrustedKeyError, manifest(1), "root ria", "root rex")


@pytest.mark.parametrize(
    ("items", "names", "missing"),
    [
        ([item(0)], ("gus",), "steward"),  # auditor
        ([item(0)], ("eve",), "steward"),  # owner alone
        ([item(0)], ("dan",), "steward"),  # privacy alone
        ([item(0)], ("hal",), "steward"),  # steward of another tenant
        ([item(0)], ("fay",), "steward"),  # steward of deals
        ([item(0, object="deal"), item(1)], ("fay",), "steward"),  # covers one object of two
        ([item(0, action="hard_delete")], ("bob", "cid"), "privacy"),
        ([item(0, action="hard_delete")], ("dan",), "steward"),
        ([item(0, action="anonymise")], ("bob", "cid", "eve"), "privacy"),
        ([item(0, action="deactivate_user")], ("bob", "dan"), "steward"),
    ],
)
def test_the_wrong_people(items: list[Any], names: tuple[str, ...], missing: str) -> None:
    hard = any(i.action in ("hard_delete", "anonymise") for i in items)
    created = {"created_at": NOW - timedelta(days=9), "snapshot": None} if hard else {}
    created.pop("snapshot", None)
    assert missing in str(refused(ThresholdNotMetError, manifest(items, **created), *names).facts["missing"])


def test_every_subset_of_five_signers_counts_exactly_as_the_rule_says() -> None:
    """A hard delete of more than 5 %: a steward, one with the role privacy, and an owner, all different."""
    from itertools import combinations

    made = manifest([item(0, action="hard_delete")])
    made = manifest([item(0, action="hard_delete")], snapshot=replace(made.predicate.snapshot, objects={"contact": 10}))
    store, everyone = trust(), ("ada", "bob", "cid", "dan", "eve")
    accepted = set()
    for n in range(len(everyone) + 1):
        for names in combinations(everyone, n):
            try:
                verify(made.signed(*names), made.source, store, context())
                accepted.add(names)
            except ThresholdNotMetError:
                pass
    expected = {
        names
        for n in range(6)
        for names in combinations(everyone, n)
        if "dan" in names and "eve" in names and ("bob" in names or "cid" in names)
    }
    assert accepted == expected


# Time ---------------------------------------------------------------------------------------------------------------


def test_expired() -> None:
    made = manifest(1)
    refused(ExpiredError, made, "bob", now=made.predicate.expires_at)
    made2 = manifest(
        1, snapshot=replace(made.predicate.snapshot, taken_at=NOW - timedelta(days=15)), created_at=NOW - timedelta(days=14)
    )
    refused(ExpiredError, made2, "bob")


def test_not_yet_valid() -> None:
    made = manifest(1)
    refused(NotYetValidError, made, "bob", now=made.predicate.not_before - timedelta(seconds=1))
    refused(NotYetValidError, manifest(1, created_at=NOW + timedelta(minutes=6), not_before=NOW + timedelta(days=2)), "bob")


def test_backdated_a_key_that_has_run_out_signs_nothing_whatever_the_manifest_says() -> None:
    old = world.key("bob", NOW - timedelta(days=90), NOW - timedelta(days=1))
    store = trust(trust_document(people=(world.person("ada", "analyst"), world.person("bob", "steward", keys=[old]))))
    refused(UntrustedKeyError, manifest(1, created_at=NOW - timedelta(days=5)), "bob", store=store)
    early = world.key("bob", NOW + timedelta(days=1))
    store = trust(trust_document(people=(world.person("ada", "analyst"), world.person("bob", "steward", keys=[early]))))
    refused(UntrustedKeyError, manifest(1), "bob", store=store)


@pytest.mark.parametrize(
    "changes",
    [
        {"not_before": NOW - timedelta(days=8) + timedelta(hours=23)},  # grace one hour short
        {"expires_at": NOW + timedelta(days=23)},  # lives 31 days
        {"not_before": NOW + timedelta(days=7)},  # starts after its end
        {"created_at": NOW - timedelta(hours=0.5)},  # starts before it was made
        {"created_at": NOW - timedelta(days=8, microseconds=1)},  # not a whole second
    ],
)
def test_times_that_contradict_the_rules(changes: dict[str, Any]) -> None:
    refused(MalformedManifestError, manifest(1, **changes), "bob")


def test_a_hard_delete_waits_a_week() -> None:
    made = manifest([item(0, action="hard_delete")], created_at=NOW - timedelta(days=6))
    refused(MalformedManifestError, made, "bob", "dan")


# Where --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("here", [{"tenant": "other"}, {"system": "zoho"}, {"environment": "staging"}])
def test_wrong_tenant_system_or_environment(here: dict[str, str]) -> None:
    refused(WrongTargetError, manifest(1), "bob", **here)


def test_sandbox_to_production() -> None:
    rehearsal = manifest(1, environment="training", not_before=NOW - timedelta(days=8))
    assert verify(rehearsal.signed("bob"), rehearsal.source, trust(), context(environment="training"))
    refused(WrongTargetError, rehearsal, "bob")


def test_an_environment_the_trust_store_does_not_name_is_no_sandbox() -> None:
    refused(WrongTargetError, manifest(1, environment="lab"), "bob", environment="lab")


def test_production_without_grace_is_refused_even_if_it_says_so() -> None:
    refused(MalformedManifestError, manifest(1, not_before=NOW - timedelta(days=8)), "bob")


# Again --------------------------------------------------------------------------------------------------------------


def test_replay() -> None:
    made = manifest(1)
    digest = verify(made.signed("bob"), made.source, trust(), context()).digest
    refused(AlreadyAppliedError, made, "bob", ledger={made.predicate.manifest_id: LedgerEntry(digest, finished=True)})


def test_replay_under_the_same_id_with_other_bytes() -> None:
    made, other = manifest(1), manifest(2)
    digest = verify(made.signed("bob"), made.source, trust(), context()).digest
    refused(AlreadyAppliedError, other, "bob", ledger={made.predicate.manifest_id: LedgerEntry(digest, finished=False)})


def test_a_begun_manifest_may_go_on() -> None:
    made = manifest(1)
    digest = verify(made.signed("bob"), made.source, trust(), context()).digest
    assert verify(
        made.signed("bob"), made.source, trust(), context(ledger={made.predicate.manifest_id: LedgerEntry(digest, False)})
    )


def _veto(made: world.Made, who: str, scope: Any = "all", person: str | None = None, id: str | None = None) -> bytes:
    veto = VetoPredicate(
        manifest_id=id or made.predicate.manifest_id, scope=scope, reason="contract talks", person=person or who, at=NOW
    )
    return make_veto(signer(who), veto, Subject(name="manifest", digest={"sha256": "0" * 64}))


@pytest.mark.parametrize("who", ["bob", "cid", "dan", "eve", "ada"])
def test_vetoed_by_anyone_entitled_even_the_proposer(who: str) -> None:
    made = manifest(2)
    refused(VetoedError, made, "bob", "cid", vetoes=[_veto(made, who)])


def test_vetoed_items_are_named_and_the_rest_may_run() -> None:
    made = manifest(5)
    found = verify(made.signed("bob"), made.source, trust(), context(vetoes=[_veto(made, "eve", (1, 3, 99))]))
    assert found.vetoed == {1, 3}


def test_a_veto_of_another_manifest_stops_nothing() -> None:
    made = manifest(2)
    assert verify(made.signed("bob"), made.source, trust(), context(vetoes=[_veto(made, "eve", id="0" * 25 + "9")]))


@pytest.mark.parametrize("raw", [b"", b"{}", b"not json", b'{"payload":"AAAA","payloadType":"x","signatures":[]}'])
def test_a_veto_that_cannot_be_read_stops_the_manifest(raw: bytes) -> None:
    made = manifest(2)
    with pytest.raises((ManifestError, TrustError)):
        verify(made.signed("bob"), made.source, trust(), context(vetoes=[raw]))


def test_a_veto_in_another_name_or_without_the_right_is_refused() -> None:
    made = manifest(2)
    refused(UntrustedKeyError, made, "bob", vetoes=[_veto(made, "gus", person="eve")])
    refused(UntrustedKeyError, made, "bob", vetoes=[_veto(made, "gus")])
    refused(UntrustedKeyError, made, "bob", vetoes=[_veto(made, "mallory")])


def test_a_manifest_revoked_by_the_trust_store() -> None:
    made = manifest(1)
    store = trust(trust_document(revoked=world.Revoked(keys=(), manifests=(made.predicate.manifest_id,))))
    refused(VetoedError, made, "bob", store=store)


def test_a_revoked_key_signs_nothing() -> None:
    store = trust(trust_document(revoked=world.Revoked(keys=(signer("bob").keyid,), manifests=())))
    refused(UntrustedKeyError, manifest(1), "bob", store=store)


# Limits and promises ------------------------------------------------------------------------------------------------


def test_limits_zero_means_zero_and_none_means_refuse() -> None:
    made = manifest(3)
    for policy, kind in (
        (PolicyInForce(max_records=0, max_percent_of_object=10_000), LimitExceededError),
        (PolicyInForce(max_records=2, max_percent_of_object=10_000), LimitExceededError),
        (PolicyInForce(max_records=9, max_percent_of_object=0), LimitExceededError),
        (PolicyInForce(max_records=9, max_percent_of_object=10_000, max_of_object={"contact": 2}), LimitExceededError),
        (PolicyInForce(max_records=None, max_percent_of_object=10_000), PolicyInvalidError),
        (PolicyInForce(max_records=9, max_percent_of_object=None), PolicyInvalidError),
    ):
        refused(kind, made, "bob", policies={POLICY: policy})
    own = Limits(
        max_records=2,
        max_percent_of_object=10_000,
        max_drift_percent=0,
        max_error_percent=0,
        canary=0,
        rate_per_minute=0,
        window="any",
    )
    refused(LimitExceededError, manifest(3, limits=own), "bob")


def test_a_size_of_the_object_that_hides_the_share() -> None:
    """More items than the object has records, or an object the snapshot does not name."""
    snapshot = manifest(1).predicate.snapshot
    refused(LimitExceededError, manifest(3, snapshot=replace(snapshot, objects={"contact": 2})), "bob", "cid", "eve")
    refused(LimitExceededError, manifest(3, snapshot=replace(snapshot, objects={})), "bob", "cid", "eve")


def test_swapped_policy() -> None:
    made = manifest(1, policy=world.PolicyRef(digest="7" * 64, version="1"))
    refused(PolicyInvalidError, made, "bob", policies={"7" * 64: world.POLICIES[POLICY]})
    refused(PolicyInvalidError, manifest(1), "bob", policies={})


def test_a_newer_trust_store_than_ours() -> None:
    refused(TrustError, manifest(1, trust_version=2), "bob")


def test_an_old_program() -> None:
    store = trust(trust_document(minimum_tool="0.2"))
    refused(TrustError, manifest(1), "bob", store=store)
    assert verify((made := manifest(1)).signed("bob"), made.source, store, context(tool_version="0.10.0"))


@pytest.mark.parametrize("recipients", [("ops", "ops"), ("ops", "mallory")])
def test_a_backup_only_one_person_can_open(recipients: tuple[str, ...]) -> None:
    refused(TrustError, manifest(1, backup=BackupRef(recipients=recipients, retain_days=30)), "bob")


def test_a_proposer_nobody_knows() -> None:
    proposer = world.Proposer(person="nobody", tool="x", notebook_digest=None)
    refused(UntrustedKeyError, manifest(1, proposer=proposer), "bob")


def test_counts_that_hide_what_is_deleted() -> None:
    made = manifest([item(0, action="hard_delete"), item(1)], counts={"contact/soft_delete": 2})
    refused(ManifestError, made, "bob")
    made = manifest(2, counts={"contact/soft_delete": 1})
    refused(ManifestError, made, "bob")
    made = manifest(1, counts={"contact/purge": 1})
    refused(MalformedManifestError, made, "bob")


def test_an_unknown_restriction_refuses() -> None:
    made = manifest(1)
    extended = made.payload[:-2] + b',"onlyOnSundays":true}}'
    message = pae(STATEMENT_PAYLOAD, extended)
    raw = seal(extended, STATEMENT_PAYLOAD, [(signer("bob").keyid, signer("bob").sign(message))])
    with pytest.raises(UnknownFieldError):
        verify(raw, made.source, trust(), context())


# The trust store -----------------------------------------------------------------------------------------------------


def _chain(*documents: Any, signers: tuple[str, ...] = ("root ria", "root rex")) -> tuple[list[bytes], str]:
    out: list[bytes] = []
    for document in documents:
        if out:
            document = replace(document, previous=read_trust(out[-1])[1])
        out.append(world.sealed_trust(document, signers))
    return out, read_trust(out[0])[1]


def test_rotation_by_old_and_new_holders_holds() -> None:
    first = trust_document()
    root = world.Root(threshold=2, holders=(first.root.holders[0], world.RootHolder(person="rob", key=world.key("root rob"))))
    v1 = world.sealed_trust(first)
    v2 = world.sealed_trust(
        replace(first, version=2, root=root, previous=read_trust(v1)[1]), ("root ria", "root rex", "root rob")
    )
    v3 = world.sealed_trust(replace(first, version=3, root=root, previous=read_trust(v2)[1]), ("root ria", "root rob"))
    pin = read_trust(v1)[1]
    assert load_trust([v1, v2, v3], pin=pin, now=NOW).version == 3
    for bad in (("root ria", "root rob"), ("root ria", "root rex"), ("root rob",)):
        broken = world.sealed_trust(replace(first, version=2, root=root, previous=pin), bad)
        with pytest.raises(ThresholdNotMetError):
            load_trust([v1, broken], pin=pin, now=NOW)


def test_rollback_to_an_older_trust_store() -> None:
    chain, pin = _chain(trust_document(), trust_document(version=2))
    assert load_trust(chain, pin=pin, now=NOW, at_least=2).version == 2
    with pytest.raises(TrustError):
        load_trust(chain[:1], pin=pin, now=NOW, at_least=2)


def test_fast_forward_to_a_version_that_could_never_be_left() -> None:
    for version in (3, 2**31):
        chain, pin = _chain(trust_document(), trust_document(version=version))
        with pytest.raises(TrustError):
            load_trust(chain, pin=pin, now=NOW)


def test_freeze_an_expired_store_is_not_used() -> None:
    chain, pin = _chain(trust_document(expires=NOW))
    with pytest.raises(ExpiredError):
        load_trust(chain, pin=pin, now=NOW)


def test_an_expired_version_on_the_way_is_fine() -> None:
    chain, pin = _chain(trust_document(expires=NOW - timedelta(days=1)), trust_document(version=2))
    assert load_trust(chain, pin=pin, now=NOW).version == 2


def test_arbitrary_installation_another_root() -> None:
    chain, _pin = _chain(trust_document())
    with pytest.raises(TrustError):
        load_trust(chain, pin="0" * 64, now=NOW)


def test_mix_and_match_a_version_of_another_history() -> None:
    a, pin = _chain(trust_document(), trust_document(version=2))
    b, _ = _chain(trust_document(minimum_tool="0.2"), trust_document(version=2, minimum_tool="0.2"))
    with pytest.raises(TrustError):
        load_trust([a[0], b[1]], pin=pin, now=NOW)


def test_a_replayed_version_and_one_that_goes_back_in_time() -> None:
    chain, pin = _chain(trust_document(), trust_document(version=2))
    with pytest.raises(TrustError):
        load_trust([*chain, chain[1]], pin=pin, now=NOW)
    chain, pin = _chain(trust_document(), trust_document(version=2, issued=NOW - timedelta(days=31)))
    with pytest.raises(TrustError):
        load_trust(chain, pin=pin, now=NOW)


def test_one_root_holder_with_two_entries_or_one_key_for_two_holders() -> None:
    holder = world.RootHolder(person="ria", key=world.key("root ria"))
    for holders in (
        (holder, world.RootHolder(person="ria", key=world.key("other"))),
        (holder, world.RootHolder(person="rex", key=world.key("root ria"))),
    ):
        with pytest.raises((MalformedManifestError, UntrustedKeyError)):
            draft_trust(trust_document(root=world.Root(threshold=2, holders=holders)))


def test_a_stolen_root_key_that_the_next_version_revokes_does_not_help_to_sign_it() -> None:
    revoked = world.Revoked(keys=(signer("root rex").keyid,), manifests=())
    chain, pin = _chain(trust_document(), trust_document(version=2, revoked=revoked))
    with pytest.raises(ThresholdNotMetError):
        load_trust(chain, pin=pin, now=NOW)


def test_extraneous_signature_on_a_trust_version() -> None:
    chain, pin = _chain(trust_document(), signers=("root ria", "root rex", "mallory"))
    with pytest.raises(UntrustedKeyError):
        load_trust(chain, pin=pin, now=NOW)


def test_a_person_may_not_be_a_machine_and_a_small_order_key_is_none() -> None:
    with pytest.raises(MalformedManifestError):
        draft_trust(trust_document(people=(world.person("bob", "executor"),)))
    import base64

    weak = PublicKey("ed25519", base64.b64encode(b"\x01" + b"\x00" * 31).decode())
    entry = TrustedKey(keyid=weak.keyid, scheme="ed25519", public=weak.public, from_=NOW, to=NOW + timedelta(days=1))
    with pytest.raises(UntrustedKeyError):
        draft_trust(trust_document(people=(world.person("bob", "steward", keys=[entry]),)))


def test_endless_data_too_many_versions() -> None:
    chain, pin = _chain(trust_document())
    with pytest.raises(TrustError):
        load_trust(chain * 257, pin=pin, now=NOW)
