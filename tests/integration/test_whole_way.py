"""The main job, end to end, on a CRM nobody here wrote: from snapshot to restore, on SQLite and on PostgreSQL.

Thirty known duplicates and thirty people nobody heard of are planted in the NPSP data. A named person decides on exactly
these; they are drafted, signed, planned, applied and restored with the commands people type, the executor as a process of
its own. The CRM is compared row by row before, after and after the restore. On SQLite all of it happens with no network at
all, the executor's own processes included.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pytest

from steward.commands.demo import Demo
from steward.decisions import DecisionAction
from steward.errors import StewardError
from steward.review.intent import Intent
from steward.review.session import ReviewSession
from steward.screen import Screen
from steward.workbench import open_workspace
from tests.support import npsp
from tests.support.no_network import NoNetwork

NOT_HELD = ("active_contract", "open_order", "open_quote", "open_ticket")


@dataclass
class Way(Demo):
    """The demo's people, keys, trust and executor, around another CRM."""

    where: str = ""

    @property
    def url(self) -> str:
        return self.where

    def prepare(self) -> None:
        self._clean_folder()
        self.path("mapping.toml").write_text(npsp.mapping(), encoding="utf-8")
        self._make_keys()
        more = "".join(f'\n[protections.{code}]\napplies = false\nbecause = "NPSP has none of these."\n' for code in NOT_HELD)
        policy = resources.files("steward").joinpath("default_policy.toml").read_text(encoding="utf-8")
        self.path("policy.toml").write_text(policy + more, encoding="utf-8")
        self._make_executor()
        self._make_trust()
        self._pin_trust()

    def decide_as_a_person(self, planted: npsp.Planted) -> set[str]:
        """Decide on the planted records, as anna would with the keyboard; return the ids decided on."""
        decided: set[str] = set()
        with open_workspace(self._workspace) as bench:
            snapshot = bench.snapshot()
            session = ReviewSession(bench.store, snapshot, bench.log, "anna")
            for cluster in bench.store.clusters(snapshot, "contact"):
                ids = {m.id for m in cluster.members}
                copies = [i for i in ids if i in planted.duplicates]
                if len(ids) == 2 and len(copies) == 1:
                    (original,) = ids - set(copies)
                    session.decide(
                        cluster.id, Intent(DecisionAction.MERGE, survivor=original, confirmed=True, reason="planted")
                    )
                    decided.add(copies[0])
            for evidence in bench.store.evidence(snapshot, kind="stale", object="contact"):
                if evidence.key.id in planted.stale:
                    session.decide(evidence.case_id, Intent(DecisionAction.DELETE, confirmed=True, reason="planted"))
                    decided.add(evidence.key.id)
            session.close()
        return decided


@pytest.mark.postgres
@pytest.mark.real_data
@pytest.mark.parametrize("system", ["sqlite", "postgresql"])
def test_what_was_planted_goes_and_comes_back_row_by_row(
    system: str, tmp_path: Path, real_data: Path, postgres_database: str
) -> None:
    if system == "postgresql":
        _the_way(tmp_path, real_data, postgres_database)
        return
    with NoNetwork(tmp_path / "no-network") as net:
        _the_way(tmp_path, real_data, f"sqlite:///{tmp_path / 'crm.sqlite'}")
    assert net.asked == []
    ran = {tuple(words.split()[1:3]) for words in net.began}  # the rest ran in this process
    assert {("steward.cli", "propose"), *(("steward.executor.cli", v) for v in ("init", "plan", "apply", "restore"))} <= ran


def _the_way(tmp_path: Path, real_data: Path, url: str) -> None:
    planted = npsp.build(url, real_data / "crm_npsp")
    before = npsp.dump(url)
    way = Way(tmp_path / "way", 1_000, 1, Screen(quiet=True), tenant="npsp", where=url)
    way.prepare()
    way.snapshot()
    way.score()
    decided = way.decide_as_a_person(planted)
    assert len(decided & set(planted.duplicates)) >= 25 and decided >= set(planted.stale)
    way.propose()

    items = [json.loads(line) for line in (way.manifest / "items.ndjson").read_text(encoding="utf-8").splitlines()]
    assert decided == {i["id"] for i in items if i["object"] == "contact"}, "what was decided is what is proposed"
    way.sign()
    assert npsp.dump(url) == before, "until the executor runs, nothing in the CRM has changed"
    way._execute("plan", way.manifest)
    assert npsp.dump(url) == before, "a plan changes nothing"

    said = way._execute("apply", way.manifest, result=True)
    assert said["counts"] == {"done": len(items)}
    after = npsp.dump(url)
    untouched = {t for t in before if before[t] == after[t]}
    assert {"account", "campaign", "record_type", "address", "payment"} <= untouched
    gone = set(before["contact"]) - set(after["contact"])
    changed_survivors = {planted.duplicates[i] for i in decided & set(planted.duplicates)}
    assert {eval(r)[0] for r in gone} <= decided | changed_survivors  # rows we printed ourselves
    moved = [r for r in after["campaign_member"] if eval(r)[0].startswith("9")]
    merged = decided & set(planted.duplicates)
    assert all(eval(r)[2] == planted.duplicates[eval(r)[0]] for r in moved if eval(r)[0] in merged), "links follow the survivor"

    known = ("--trust", way.path("trust"), "--workspace", way.path("workspace"))
    way._run("history", "--add", said["receipt"], "--withhold", "--policy", way.path("policy.toml"), *known)
    way.snapshot()
    way._run("gate", "--after", said["receipt"], *known)

    with pytest.raises(StewardError, match="exit code 7"):  # a manifest runs once
        way._execute("apply", way.manifest)
    assert npsp.dump(url) == after

    way._execute(
        "restore", str(said["receipt"]), "--sign-with", way.path("keys", "ben.key"),
        "--passphrase-file", way.path("keys", "ben.passphrase"), "--identity", way.path("keys", "operations.age"),
    )  # fmt: skip
    assert npsp.dump(url) == before
    way._execute("audit", "verify")
