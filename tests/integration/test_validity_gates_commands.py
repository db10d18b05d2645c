"""The gates through the commands people type: nothing half can feed a manifest, and an execution is looked at afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from steward.cli import main
from steward.decisions import DecisionAction
from steward.records import RecordKey
from steward.review.intent import Intent
from steward.review.session import ReviewSession
from steward.scoring.validity import score as scoring
from steward.scoring.validity.compile import Rule, compile_suite
from steward.signing import Environment, Executor
from steward.store import Workspace
from steward.store.decision_log import DecisionLog
from tests.support import signing
from tests.support.reasons import AS_OF, C1, World
from tests.support.receipts import write_receipt

NOW = AS_OF + timedelta(days=1)
REASON = {"en": "wrong", "de": "falsch", "zh": "错误"}


def _suite(folder: Path, *rules: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    expectations = [{**r, "severity": "info", "meta": {"rule_id": f"r{n}", "reason": REASON}} for n, r in enumerate(rules)]
    document = {"name": "s", "meta": {"steward": {"object": "contact"}}, "expectations": expectations}
    (folder / "contact.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


GOOD = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "country"}}
RAISES = {"type": "unexpected_rows_expectation",
          "kwargs": {"unexpected_rows_query": "SELECT _id FROM {batch} WHERE CAST(country AS INTEGER) > 1"}}  # fmt: skip


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, list[Path]]]:
    """Take a snapshot of a small CRM, score and decide with the real parts, propose with the command; exit code and folders."""
    machine = Executor(
        id="machine", tenant="t", keys=(signing.key("machine", NOW - timedelta(days=400), NOW + timedelta(days=400)),)
    )
    sandbox = (Environment(name="sandbox", sandbox=True),)
    store = signing.trust(signing.trust_document(executors=(machine,), environments=sandbox))
    monkeypatch.setattr("steward.commands._signing.open_trust", lambda _args: store)
    monkeypatch.setattr("steward.commands._signing.now", lambda: NOW)
    policy, holds = tmp_path / "policy.toml", tmp_path / "holds.txt"
    holds.write_text("# none\n", encoding="utf-8")

    def go(
        world: World | None = None,
        *rules: dict[str, Any],
        only: str = "",
        engine: str = "sql",
        codes: tuple[int, ...] = (0,),
        decided: bool = False,
    ) -> tuple[int, list[Path]]:
        world = world or World()
        for entry in world.objects.values():
            if "contact_id" in entry.get("parents", {}):
                entry["on_delete"] = {"contact_id": "detach"}
        policy.write_text(world.policy_text, encoding="utf-8")
        with Workspace.open(tmp_path / "w", create=True) as ws:
            world.snapshot(ws, tmp_path / "files")
        words = ["score", "--policy", str(policy), "--holds", str(holds), "--engine", engine]
        kinds = ["--only", "stale", "--only", "invalid", "--suites", str(_suite(tmp_path / "suites", *(rules or (GOOD,))))]
        said = main([*words, *kinds, "--object", "contact", "--workspace", str(tmp_path / "w"), "--quiet"])
        assert said in codes
        with Workspace.open(tmp_path / "w") as ws, DecisionLog.open(tmp_path / "w" / "decisions.sqlite") as log:
            session = ReviewSession(ws, ws.snapshot(), log, "anna")
            if not decided:
                session.decide("stale:contact:C1", Intent(DecisionAction.DELETE, confirmed=True, reason="nobody"))
            session.close()
        policy.write_text(world.policy_text + only, encoding="utf-8")
        out = tmp_path / "manifests"
        out.mkdir(exist_ok=True)
        code = main(["propose", "--to", str(out), "--proposer", "ada", "--policy", str(policy), "--workspace", str(tmp_path / "w"), "--quiet"])  # fmt: skip
        return code, list(out.iterdir())

    return go


@pytest.mark.parametrize("engine", ["sql", "gx"])
def test_a_whole_snapshot_feeds_a_manifest(there: Any, engine: str, tmp_path: Path) -> None:
    code, folders = there(engine=engine)
    assert code == 0
    (folder,) = folders
    assert [json.loads(x)["id"] for x in (folder / "items.ndjson").read_text(encoding="utf-8").splitlines()] == ["C1"]
    with Workspace.open(tmp_path / "w", read_only=True) as ws:
        run = next(r for r in ws.runs(ws.snapshot()) if r["kind"] == "invalid")
    assert run["summary"]["engine"] == engine and run["summary"]["sampled"] == 2


def test_a_rule_that_raises_cannot_feed_a_manifest(there: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert there(None, GOOD, RAISES, codes=(4,)) == (3, [])
    shown = " ".join(capsys.readouterr().err.split())
    assert "The suite of contact did not run whole" in shown
    assert "The scoring invalid of contact did not run whole." in shown


@pytest.mark.parametrize("engine", ["sql", "gx"])
def test_a_difference_between_the_engines_cannot_feed_a_manifest(
    there: Any, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*words: Any) -> list[Rule]:
        return [Rule(r.expectation, "true") for r in compile_suite(*words)]  # every row fails, says our side

    monkeypatch.setattr(scoring, "compile_suite", wrong)
    assert there(engine=engine, codes=(4,)) == (3, [])


def test_other_gates_refuse_a_manifest_too(there: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert there(only="\n# changed since\n") == (3, [])
    assert "under another policy" in " ".join(capsys.readouterr().err.split())
    world = World()
    for _ in range(5):
        world.add("contact")
    with Workspace.open(tmp_path / "w", create=True) as ws:
        world.snapshot(ws, tmp_path / "more", AS_OF - timedelta(days=1))
    small = World()
    small.change("deal", "D1", state="won")  # another snapshot, of two contacts where there were seven
    assert there(small) == (3, [])
    assert "contact has 2 records, and the snapshot before had 7." in " ".join(capsys.readouterr().err.split())
    broken = World()
    broken.change("deal", "D1", state="gone")
    broken.broken.add("deal")
    assert there(broken, decided=True) == (3, [])
    assert "1 lines of deal could not be read" in " ".join(capsys.readouterr().err.split())
    words = ["gate", "--policy", str(tmp_path / "policy.toml"), "--workspace", str(tmp_path / "w"), "--json"]
    assert main(words) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["open"] is False and {"unresolved_rejects", "shrunk"} <= {r["code"] for r in told["reasons"]}


Change = Callable[[World], None]


def _gone(world: World) -> None:
    world.records["contact"] = [r for r in world.records["contact"] if r["id"] != "C1"]
    for rows in world.records.values():
        for row in rows:
            if row.get("contact_id") == "C1":
                row["contact_id"] = None


def _dangling(world: World) -> None:
    _gone(world)
    world.change("company", "K1", gone="1")


AFTERWARDS: list[tuple[str, Change, list[str]]] = [
    ("whole", _gone, []),
    ("nothing went", lambda w: None, ["still_there", "counts"]),
    ("another went too", lambda w: (_gone(w), w.records["contact"][0].update(id="C9")), ["also_gone", "counts"]),
    ("children were left", lambda w: w.records.__setitem__("contact", w.records["contact"][1:]), ["orphans"]),
    ("a parent went to the bin", _dangling, ["also_gone", "counts", "dangling"]),
    ("lines cannot be read", lambda w: (_gone(w), w.broken.add("deal")), ["unresolved_rejects"]),
]  # fmt: skip


@pytest.mark.parametrize(("how", "change", "codes"), AFTERWARDS, ids=[a for a, _, _ in AFTERWARDS])
def test_after_an_execution(
    there: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str, change: Change, codes: list[str]
) -> None:
    world = World()
    world.objects["company"]["soft_delete"] = {"column": "gone", "deleted": "1", "live": "0"}
    world.records["company"] = [{**r, "gone": "0"} for r in world.records["company"]]
    with Workspace.open(tmp_path / "w", create=True) as ws:
        world.snapshot(ws, tmp_path / "before")
        change(world)
        world.add("contact", id="new", company_id=None)  # somebody works on meanwhile
        world.snapshot(ws, tmp_path / "after", AS_OF + timedelta(days=2))
    receipt = write_receipt(
        tmp_path, {C1: "hard_delete", RecordKey("contact", "C2"): "soft_delete"}, started=AS_OF + timedelta(hours=1),
        finished=AS_OF + timedelta(hours=2), failed={RecordKey("contact", "C2"): "blocked"},
    )  # fmt: skip
    code = main(["gate", "--after", str(receipt), "--workspace", str(tmp_path / "w"), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert code == (4 if codes else 0), how
    assert sorted({r["code"] for r in told["reasons"]}) == sorted(codes)
    assert told["open"] is not bool(codes)
