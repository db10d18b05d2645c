"""What a person is shown before signing, from bytes in memory."""

from __future__ import annotations

import msgspec
import pytest

from steward.errors import MalformedManifestError, ThresholdNotMetError, TrustError, UntrustedKeyError
from steward.manifest import PLAN_TYPE, BytesSource, RelatedSet, Subject, Survivor
from steward.signing import ExaminedManifest, examine, sign_statement
from steward.signing.summary import choose, compare, read_past, read_plan, summarise
from tests.support import signing as world


def examined(made: world.Made, *names: str) -> ExaminedManifest:
    return examine(made.signed(*names), made.source, world.trust(), world.context())


def test_counts_shares_seats_and_who_has_signed() -> None:
    made = world.manifest([world.item(0), world.item(1), world.item(2, action="hard_delete", object="deal")])
    found = summarise(examined(made, "ada", "bob"), world.trust(), seed=1)
    assert [(line.object, line.action, line.records, line.size, line.reversible) for line in found.lines] == [
        ("contact", "soft_delete", 2, 100_000, True),
        ("deal", "hard_delete", 1, 100_000, False),
    ]
    assert found.lines[0].share == pytest.approx(0.002)
    assert found.signed_by == ("ada", "bob") and found.proposer == "ada"
    assert found.needed["deal"] == ("steward", "privacy") and not found.complete
    assert found.missing["deal"] == ["privacy"], "ada proposed, so her signature takes no seat"
    assert found.sample == (), "where all items are shown, none is drawn"
    assert found.facts()["value_at_stake"] is None and found.since_last is None and found.plan is None


def test_the_riskiest_come_first_and_the_sample_is_drawn_from_all() -> None:
    hanging = RelatedSet(object="note", field="contact_id", rule="detach", target=None, count=9, digest="a" * 64)
    items = [world.item(n) for n in range(500)]
    items[300] = world.item(300, action="hard_delete")
    items[200] = world.item(200, related=(hanging,))
    items[100] = world.item(100, score=1)
    worst, sample = choose(iter(items), seed=3, shown=10)
    assert [i.seq for i in worst[:3]] == [300, 200, 100] and len(worst) == 10
    assert len({i.seq for i in sample}) == 10 and [i.seq for i in sample] == sorted(i.seq for i in sample)
    drawn = [i.seq for seed in range(60) for i in choose(iter(items), seed, shown=10)[1]]
    assert 200 < sum(drawn) / len(drawn) < 300 and len(set(drawn)) > 300, "every item can be drawn"


def test_the_difference_to_the_last_manifest_record_by_record() -> None:
    survivor = Survivor(version="1", preimage="a" * 64)
    before = world.manifest(
        [
            world.item(0),
            world.item(1),
            world.item(2, action="reassign", target="5"),
            world.item(3, action="merge_into", target="77", survivor=survivor),
        ],
        nonce=2,
    )
    after = world.manifest(
        [
            world.item(0, id="41508680000000000001"),  # the same record at another place
            world.item(1, id="41508680000000000002"),  # another action
            world.item(2, id="41508680000000000003", action="merge_into", target="78", survivor=survivor),  # another target
            world.item(3, id="900", action="hard_delete"),  # new
        ]
    )
    past = read_past(before.signed("bob", "cid"), before.source, world.trust())
    found = compare(examined(after), past)
    assert found is not None
    assert (found.new, found.gone, found.changed, found.same) == (1, 1, 2, 1)
    assert [i.id for i in found.new_items] == ["900"]
    assert found.gone_items == (("contact", "41508680000000000000", "soft_delete"),)
    assert found.kinds["contact/soft_delete"] == (2, 2) and found.kinds["contact/hard_delete"] == (0, 1)
    assert found.signed_by == ("bob", "cid")
    facts = summarise(examined(after), world.trust(), seed=1, last=past).facts()["since_last"]
    assert facts["new"] == 1 and facts["kinds"]["contact/reassign"] == [1, 0]


def test_a_last_manifest_whose_items_are_not_its_own_is_not_compared_with() -> None:
    before, after = world.manifest(3, nonce=2), world.manifest(3)
    with pytest.raises(MalformedManifestError):
        read_past(before.signed("bob"), BytesSource(before.items.replace(b"bob", b"bop")), world.trust())
    past = read_past(before.signed("bob"), before.source, world.trust())
    # Items that change between reading and comparing.
    changed = type(past)(past.predicate, BytesSource(before.items.replace(b"bob", b"bop")), past.signed_by)
    assert compare(examined(after), changed) is None


def test_signatures_of_the_last_manifest_that_cannot_be_checked_any_more_are_said_to_be_so() -> None:
    before = world.manifest(2, nonce=2)
    assert read_past(before.signed("mallory"), before.source, world.trust()).signed_by is None
    assert read_past(before.signed(), before.source, world.trust()).signed_by == ()
    assert read_past(before.signed("ada"), before.source, world.trust()).signed_by == (), "the proposer approves nothing"


class _Plan(msgspec.Struct, rename="camel", kw_only=True):
    manifest_id: str
    statement: str
    at: object = world.NOW
    executor: str = "machine"
    records: int = 5
    verdicts: dict[str, int] = {}
    related: dict[str, int] = {}
    credits_of_a_newer_executor: int = 7


def _plan(manifest: ExaminedManifest, signer: str = "machine", subject: str | None = None, **changes: object) -> bytes:
    plan = _Plan(**{"manifest_id": manifest.id, "statement": manifest.digest, **changes})
    return sign_statement(
        [world.signer(signer)],
        subject=[Subject(name="statement", digest={"sha256": subject or manifest.digest})],
        predicate_type=PLAN_TYPE,
        predicate=plan,
    )


def test_the_difference_to_the_executors_plan() -> None:
    manifest = examined(world.manifest(5))
    raw = _plan(
        manifest,
        verdicts={"apply": 2, "drift/version": 1, "drift/preimage": 1, "missing": 1, "vetoed": 0},
        related={"note.contact_id/detach": 4},
    )
    found = read_plan(raw, manifest, world.trust(), world.NOW)
    assert found.applies == 2 and found.stays == {"drift/preimage": 1, "drift/version": 1, "missing": 1}
    assert found.related == {"note.contact_id/detach": 4} and found.executor == "machine"
    assert summarise(manifest, world.trust(), seed=1, plan=found).facts()["plan"]["applies"] == 2


def test_a_plan_of_another_manifest_another_machine_or_a_person_is_none() -> None:
    manifest = examined(world.manifest(5))
    with pytest.raises(TrustError):
        read_plan(_plan(manifest, subject="0" * 64), manifest, world.trust(), world.NOW)
    with pytest.raises(TrustError):
        read_plan(_plan(manifest, statement="0" * 64), manifest, world.trust(), world.NOW)
    with pytest.raises(UntrustedKeyError):
        read_plan(_plan(manifest, signer="bob"), manifest, world.trust(), world.NOW)
    elsewhere = world.trust_document(executors=(msgspec.structs.replace(world.trust_document().executors[0], tenant="other"),))
    with pytest.raises(ThresholdNotMetError):
        read_plan(_plan(manifest), manifest, world.trust(elsewhere), world.NOW)
    with pytest.raises(MalformedManifestError):
        read_plan(_plan(manifest, executor="ma\u202echine"), manifest, world.trust(), world.NOW)
    with pytest.raises(MalformedManifestError):
        read_plan(_plan(manifest, verdicts={"apply": "all"}), manifest, world.trust(), world.NOW)


def test_items_swapped_after_the_check_are_not_summarised() -> None:
    made = world.manifest(3)
    source = BytesSource(made.items)
    manifest = examine(made.signed("bob"), source, world.trust(), world.context())
    source._raw = made.items.replace(b"bob", b"bop")
    with pytest.raises(MalformedManifestError):
        summarise(manifest, world.trust(), seed=1)
