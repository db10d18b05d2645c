"""What is asked again while a manifest runs: decisions made since, vetoes, freeze, expiry, clock, budget, other executors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from steward.cli import main as steward_main
from steward.errors import (
    BreakerTrippedError,
    ExecutionError,
    ExpiredError,
    FrozenError,
    PartialExecutionError,
    PolicyInvalidError,
    VetoedError,
)
from steward.executor.ports import SystemClock
from steward.executor.runner import Executor
from steward.manifest.format import Subject, VetoPredicate
from steward.manifest.keeps import Keeps, read_keeps, write_keeps
from steward.manifest_files import ManifestFolder
from steward.records import RecordKey
from steward.sandbox import build_crm
from steward.signing import make_veto
from tests.integration.test_executor_sql import childless, live, run_sql, states
from tests.support.executor import World
from tests.support.signing import signer


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("crm") / "crm.sqlite"
    build_crm(f"sqlite:///{file}", customers=60, seed=5)
    return file


@pytest.fixture
def world(crm: Path, tmp_path: Path) -> World:
    import shutil

    shutil.copy(crm, tmp_path / "crm.sqlite")
    return World(tmp_path, f"sqlite:///{tmp_path / 'crm.sqlite'}", batch=5)


def at_batch(number: int, action: Callable[[], None]) -> Callable[[str], None]:
    """A hook that acts just before the n-th batch."""
    seen = [0]

    def hook(name: str) -> None:
        if name == "batch":
            seen[0] += 1
            if seen[0] == number:
                action()

    return hook


def keep(world: World, entries: dict[RecordKey, str], at: datetime | None = None) -> None:
    (world.home / "keeps.txt").write_bytes(write_keeps(Keeps(world.mapping.tenant, at or datetime.now(UTC), 3, entries)))


def test_a_keep_decided_while_it_runs_stops_exactly_that_record(world: World) -> None:
    chosen = childless(world, "activity")[:15]
    manifest = world.manifest(dict.fromkeys(chosen, "delete"))
    with world.executor(hook=at_batch(2, lambda: keep(world, {chosen[7]: "keep", chosen[9]: "conflict"}))) as executor:
        done = executor.apply(manifest)
    assert done.counts == {"done": 13, "held": 2}
    assert states(world, manifest.name)["held", "kept_keep"] == 1
    now = world.records()
    assert [k for k in chosen if not now[k].deleted] == [chosen[7], chosen[9]]


@pytest.mark.parametrize("damage", ["absent", "cut", "edited", "tenant", "old"])
def test_a_keep_list_that_cannot_be_used_keeps_everything(world: World, damage: str) -> None:
    chosen = childless(world, "activity")[:4]
    manifest = world.manifest(dict.fromkeys(chosen, "delete"))
    keep(world, {chosen[0]: "keep"}, datetime.now(UTC) - timedelta(hours=30))
    path = world.home / "keeps.txt"
    raw = path.read_bytes()
    match damage:
        case "absent":
            path.unlink()
        case "cut":
            path.write_bytes(raw[: raw.index(b"# end")])
        case "edited":
            path.write_bytes(raw.replace(chosen[0].id.encode(), chosen[1].id.encode()))
        case "tenant":
            path.write_bytes(write_keeps(Keeps("another", datetime.now(UTC), 0, {})))
        case "old":
            text = (world.home / "config.toml").read_text().replace("keeps_max_age_hours = 0", "keeps_max_age_hours = 24")
            (world.home / "config.toml").write_text(text)
    before = world.rows()
    with world.executor() as executor:
        with pytest.raises(PolicyInvalidError):
            executor.plan(manifest)
        with pytest.raises(PolicyInvalidError):
            executor.apply(manifest)
    assert world.rows() == before


def test_every_changed_byte_of_a_keep_list_is_refused_or_says_the_same() -> None:
    said = Keeps("acme", datetime(2026, 11, 25, 12, tzinfo=UTC), 9, {RecordKey("contact", "4711"): "keep"})
    raw = write_keeps(said)
    assert read_keeps(raw, tenant="acme") == said
    for place in range(len(raw)):
        for bit in (1, 4, 32):
            changed = raw[:place] + bytes([raw[place] ^ bit]) + raw[place + 1 :]
            with pytest.raises(PolicyInvalidError):
                read_keeps(changed, tenant="acme")


def test_the_workbench_writes_the_keep_list_that_the_executor_obeys(world: World, tmp_path: Path) -> None:
    from steward.decisions import Decision, DecisionAction
    from steward.store.decision_log import DecisionLog

    (tmp_path / "mapping.toml").write_text(world.mapping_text)
    workspace = tmp_path / "w"
    words = [
        "snapshot",
        "--from",
        world.url,
        "--mapping",
        str(tmp_path / "mapping.toml"),
        "--workspace",
        str(workspace),
        "--quiet",
    ]
    assert steward_main(words) == 0
    chosen = childless(world, "activity")[:6]
    manifest = world.manifest(dict.fromkeys(chosen, "delete"))

    def decision(n: int, key: RecordKey, action: DecisionAction, who: str = "bob", **more: str) -> Decision:
        return Decision(f"d{n}", more.pop("group", f"g{n}"), f"c{n}", key, action, who, datetime.now(UTC), **more)  # type: ignore[arg-type]

    with DecisionLog.open(workspace) as log:
        log.append([decision(n, k, DecisionAction.DELETE) for n, k in enumerate(chosen)])
        log.append(
            [
                decision(10, chosen[1], DecisionAction.KEEP),
                decision(11, chosen[2], DecisionAction.KEEP, "cid"),
                decision(12, chosen[3], DecisionAction.UNDO, undoes="g3"),
            ]
        )
    words = ["export", "keeps", "--to", str(world.home / "keeps.txt"), "--workspace", str(workspace), "--quiet"]
    assert steward_main(words) == 0
    with world.executor() as executor:
        done = executor.apply(manifest)
    assert done.counts == {"done": 3, "held": 3}
    assert {code for state, code in states(world, manifest.name) if state == "held"} == {
        "kept_keep",
        "kept_conflict",
        "kept_withdrawn",
    }


def test_vetoed_frozen_and_expired_in_the_middle_of_a_run(world: World) -> None:
    chosen = childless(world, "activity")[:30]

    def veto(manifest: Path) -> None:
        said = VetoPredicate(
            manifest_id=manifest.name, scope="all", reason="stop", person="eve", at=datetime.now(UTC).replace(microsecond=0)
        )
        ManifestFolder(manifest).write_veto(
            make_veto(signer("eve"), said, Subject(name="items.ndjson", digest={"sha256": "0" * 64})), "a" * 16
        )

    first = world.manifest(dict.fromkeys(chosen[:10], "delete"))
    with world.executor(hook=at_batch(2, lambda: veto(first))) as executor:
        with pytest.raises(VetoedError):
            executor.apply(first)
        assert executor.journal.manifest(first.name)["state"] == "vetoed"  # type: ignore[index]
        counts = executor.journal.counts(first.name)
        assert counts == {"done": 5, "veto": 5}, "what had gone is done, and not one record more"
        receipt = world.home / "receipts" / f"{first.name}.receipt.dsse.json"
        assert executor.restore(receipt, signer("bob"), identities=[world.identity]).counts == {"done": 5}

    second = world.manifest(dict.fromkeys(chosen[10:20], "delete"))
    with world.executor(hook=at_batch(2, (world.home / "FREEZE").touch)) as executor, pytest.raises(FrozenError):
        executor.apply(second)
    (world.home / "FREEZE").unlink()
    with world.executor() as executor:
        assert executor.journal.counts(second.name) == {"done": 5, "pending": 5}
        assert executor.apply(second).counts == {"done": 10}

    class Jumps(SystemClock):
        ahead = timedelta(0)

        def now(self) -> datetime:
            return super().now() + self.ahead

    third, clock = world.manifest(dict.fromkeys(chosen[20:30], "delete")), Jumps()
    hook = at_batch(2, lambda: setattr(clock, "ahead", timedelta(days=31)))
    with Executor(world.home, clock=clock, hook=hook) as executor:
        with pytest.raises(ExpiredError):
            executor.apply(third)
        assert executor.journal.counts(third.name) == {"done": 5, "veto": 5}
        assert executor.journal.manifest(third.name)["state"] == "expired"  # type: ignore[index]


def test_a_clock_set_back_and_a_full_volume_stop_the_next_batch(world: World) -> None:
    class Back(SystemClock):
        ago = timedelta(0)

        def now(self) -> datetime:
            return super().now() - self.ago

    clock = Back()
    manifest = world.manifest(dict.fromkeys(childless(world, "activity")[:10], "delete"))
    hook = at_batch(2, lambda: setattr(clock, "ago", timedelta(hours=2)))
    with Executor(world.home, clock=clock, hook=hook) as executor:
        with pytest.raises(BreakerTrippedError, match="clock"):
            executor.apply(manifest)
        assert executor.journal.counts(manifest.name) == {"done": 5, "pending": 5}
    text = (world.home / "config.toml").read_text()
    (world.home / "config.toml").write_text(text.replace("reserve_bytes = 50000000", f"reserve_bytes = {1 << 50}"))
    with world.executor() as executor, pytest.raises(BreakerTrippedError, match="volume"):
        executor.apply(manifest)


def test_a_budget_of_the_day_is_over_all_manifests(world: World) -> None:
    text = (world.home / "config.toml").read_text()
    (world.home / "config.toml").write_text(text.replace("records_per_day = 10000000", "records_per_day = 12"))
    chosen = childless(world, "activity")[:20]
    first, second = (world.manifest(dict.fromkeys(part, "delete")) for part in (chosen[:10], chosen[10:20]))
    with world.executor() as executor:
        assert executor.apply(first).counts == {"done": 10}
        with pytest.raises(PartialExecutionError, match="budget"):
            executor.apply(second)
        assert executor.journal.counts(second.name) == {"pending": 10}


def test_two_homes_cannot_work_on_one_crm(world: World, tmp_path: Path) -> None:
    from steward.executor.writers.sql import SqlWriter

    manifest = world.manifest(dict.fromkeys(childless(world, "activity")[:3], "delete"))
    other = SqlWriter(world.url, world.mapping)
    try:
        with world.executor() as executor, pytest.raises(ExecutionError, match="in this CRM"):
            executor.apply(manifest)
    finally:
        other.close()
    with world.executor() as executor:
        assert executor.apply(manifest).counts == {"done": 3}


@pytest.mark.postgres
def test_two_homes_cannot_work_on_one_postgres(postgres_database: str, tmp_path: Path) -> None:
    from steward.executor.writers.sql import SqlWriter

    build_crm(postgres_database, customers=10, seed=5)
    mapping = World(tmp_path, postgres_database).mapping
    one = SqlWriter(postgres_database, mapping)
    with pytest.raises(ExecutionError, match="in this CRM"):
        SqlWriter(postgres_database, mapping)
    one.close()
    SqlWriter(postgres_database, mapping).close()


@pytest.mark.parametrize("kind", ["cascade", "nulled"])
def test_a_child_made_after_the_plan_is_neither_cascaded_nor_nulled(world: World, kind: str) -> None:
    """The database would do it by itself: the child came between reading and deleting."""
    effect = {
        "cascade": "DELETE FROM activity WHERE deal_id = OLD.id",
        "nulled": "UPDATE activity SET deal_id = NULL WHERE deal_id = OLD.id",
    }[kind]
    run_sql(world, f"CREATE TRIGGER quiet BEFORE DELETE ON deal BEGIN {effect}; END")
    chosen, child = childless(world, "deal")[:2], childless(world, "activity")[0]
    manifest = world.manifest(dict.fromkeys(chosen, "delete"), hard=["deal"])

    def late(name: str) -> None:
        if name == "intent":
            run_sql(world, "UPDATE activity SET deal_id = :deal WHERE id = :id", deal=chosen[0].id, id=child.id)

    with world.executor(hook=late) as executor:
        done = executor.apply(manifest)
    assert states(world, done.manifest) == {("drift", "children_changed"): 1, ("done", ""): 1}
    now = world.records()
    assert now[child].fields["deal_id"] == chosen[0].id and chosen[0] in now and chosen[1] not in now


def test_a_trigger_that_nulls_the_links_of_a_survivor_is_caught(world: World) -> None:
    """What a merge moves is counted, and so is what hung on the survivor before."""
    companies = childless(world, "company")
    of = Counter(str(r.fields["company_id"]) for k, r in world.records().items() if k.object == "contact")
    survivor = next(k for k in live(world, "company") if of[k.id])
    run_sql(
        world,
        "CREATE TRIGGER quiet AFTER UPDATE OF is_deleted ON company "
        f"BEGIN UPDATE contact SET company_id = NULL WHERE company_id = '{survivor.id}'; END",
    )
    before = world.rows()
    manifest = world.manifest({companies[0]: ("merge_into", survivor.id)})
    with world.executor() as executor:
        done = executor.apply(manifest)
    assert states(world, done.manifest) == {("failed", "side_effect"): 1}
    assert world.rows() == before


@pytest.mark.parametrize("when", ["since", "before"])
def test_business_opened_since_the_review_protects(world: World, when: str) -> None:
    """The set of children is the reviewed one, but one of them is a deal that was opened again."""
    records = world.records()
    bound = {str(r.fields["contact_id"]) for k, r in records.items() if k.object in ("order", "invoice")}
    deal, owner = next(
        (k, RecordKey("contact", str(r.fields["contact_id"])))
        for k, r in sorted(records.items())
        if k.object == "deal" and r.fields["stage"] in ("won", "lost") and str(r.fields["contact_id"] or "") not in {*bound, ""}
    )
    moved = {"since": datetime.now(UTC) + timedelta(minutes=1), "before": datetime.now(UTC) - timedelta(days=2)}[when]
    manifest = world.manifest({owner: "delete"})
    assert owner not in {h.key for h in world.held}
    run_sql(
        world,
        "UPDATE deal SET stage = 'open', updated_at = :at WHERE id = :id",
        at=moved.strftime("%Y-%m-%dT%H:%M:%SZ"),
        id=deal.id,
    )
    with world.executor() as executor:
        done = executor.apply(manifest)
    if when == "since":
        assert states(world, done.manifest)["held", "open_business"] == 1 and not world.records()[owner].deleted
    else:
        assert ("held", "open_business") not in states(world, done.manifest), "open at the review: people saw it"


@pytest.mark.postgres
def test_a_plan_needs_no_more_than_select_and_says_what_applying_costs(postgres_database: str, tmp_path: Path) -> None:
    """The read-only account plans; the same account applies nothing."""
    from sqlalchemy.engine import make_url

    from steward.errors import DeniedError

    build_crm(postgres_database, customers=40, seed=5)
    world = World(tmp_path, postgres_database, batch=5)
    run_sql(world, "DROP ROLE IF EXISTS only_reads")
    run_sql(world, "CREATE ROLE only_reads LOGIN")
    run_sql(world, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO only_reads")
    reading = make_url(postgres_database).set(username="only_reads").render_as_string(hide_password=False)
    manifest = world.manifest(dict.fromkeys(childless(world, "activity")[:12], "delete"))
    config = (world.home / "config.toml").read_text()
    before = world.rows()

    def use(url: str, read_url: str) -> None:
        text = config.replace(f'url = "{postgres_database}"', f'url = "{url}"', 1).replace(
            'read_url = ""', f'read_url = "{read_url}"'
        )
        assert text != config
        (world.home / "config.toml").write_text(text)

    use("postgresql+psycopg://nobody@127.0.0.1:1/none", reading)
    with world.executor() as executor:
        _, said, path = executor.plan(manifest)
    assert said.verdicts == {"apply": 12} and path.is_file()
    assert (said.batches, said.requests, said.credits) == (3, 10, 10)
    assert said.backup_bytes > 1_000 and said.seconds >= 1
    use(reading, reading)
    with world.executor() as executor, pytest.raises(DeniedError):
        executor.apply(manifest)
    assert world.rows() == before
    (world.home / "config.toml").write_text(config)
    with world.executor() as executor:
        done = executor.apply(manifest)
    size = sum(f.bytes for f in done.predicate.backup)
    assert size / 3 < said.backup_bytes < size * 3, (size, said.backup_bytes)
    run_sql(world, "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM only_reads")
    run_sql(world, "DROP ROLE only_reads")
