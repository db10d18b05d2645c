"""Staleness and validity on the generated CRM against its truth, and over relations on data nobody here made."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest

from steward.crm.mapping import parse_mapping
from steward.crm.sql import SqlReader
from steward.policy import Holds, default_policy
from steward.records import RecordKey
from steward.sandbox import build_crm, demo_mapping
from steward.scoring.staleness import score_staleness
from steward.scoring.validity import find_suite, score_validity
from steward.store import FileSource, Workspace

ROOT = Path(__file__).resolve().parents[2]
SUITES = ROOT / "expectations"


def test_generated_crm_finds_all_that_is_planted_and_frees_nothing_that_is_shielded(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/crm.sqlite"
    truth = build_crm(url, customers=1_000, seed=7)
    mapping = parse_mapping(demo_mapping())
    as_of = datetime.combine(date.fromisoformat(truth.as_of), time(), UTC)
    with Workspace.open(tmp_path / "w", create=True) as ws:
        snapshot = ws.take_snapshot(SqlReader(url, mapping), taken_at=as_of)
        first = score_staleness(ws, snapshot, "contact", default_policy("demo"))
        stale = {e.key.id for e in ws.evidence(snapshot, kind="stale", object="contact")}
        kept = {k.id for k in ws.protections(snapshot) if k.object == "contact"}
        assert stale - kept == set(truth.stale["contact"])
        assert set(truth.protected["contact"]) <= kept
        digests = [e.digest for e in ws.evidence(snapshot, kind="stale")]
        assert score_staleness(ws, snapshot, "contact", default_policy("demo")) == first
        assert [e.digest for e in ws.evidence(snapshot, kind="stale")] == digests

        for name in ("contact", "company"):
            suite = find_suite(SUITES, name, mapping)
            assert suite is not None
            summary = score_validity(ws, snapshot, name, suite)
            assert summary.complete
            failing = {e.key.id for e in ws.evidence(snapshot, kind="invalid", object=name)}
            assert set(truth.invalid[name]) <= failing
            assert len(failing - set(truth.invalid[name])) <= 0.01 * summary.records


@pytest.mark.real_data
def test_northwind_of_22_countries_is_valid(tmp_path: Path, real_data: Path) -> None:
    mapping = parse_mapping((ROOT / "steward/crm/examples/northwind.toml").read_text(encoding="utf-8"))
    with Workspace.open(tmp_path / "w", create=True) as ws:
        snapshot = ws.take_snapshot(
            FileSource(real_data / "crm_northwind", mapping=mapping), taken_at=datetime(1998, 6, 1, tzinfo=UTC)
        )
        found, looked_at = {}, set()
        for stats in snapshot.objects:
            suite = find_suite(SUITES, stats.name, mapping)
            if suite is None:
                continue
            summary = score_validity(ws, snapshot, stats.name, suite)
            assert summary.complete
            looked_at.add(stats.name)
            found |= {rule: n for rule, n in summary.by_rule.items() if n}
        assert looked_at >= {"customer", "supplier", "order", "product", "employee"}
        # Two customers have neither city nor country, and one supplier's postcode holds a G where a 6 stood.
        assert found == {"customer.City.missing": 2, "customer.Country.missing": 2, "supplier.PostalCode.form": 1}


@pytest.mark.real_data
def test_npsp_protects_while_sources_are_missing_and_follows_payments_to_accounts(tmp_path: Path, real_data: Path) -> None:
    mapping = parse_mapping((ROOT / "steward/crm/examples/npsp.toml").read_text(encoding="utf-8"))
    with Workspace.open(tmp_path / "w", create=True) as ws:
        snapshot = ws.take_snapshot(
            FileSource(real_data / "crm_npsp", mapping=mapping), taken_at=datetime(2020, 1, 1, tzinfo=UTC)
        )
        summary = score_staleness(ws, snapshot, "account", default_policy(), holds=Holds())
        assert summary.protected == 1_223
        assert summary.free == 0
        assert summary.by_protection["unpaid_invoice"] == 199  # payment → opportunity → account
        kept = ws.protections(snapshot, [RecordKey("account", "2")])[RecordKey("account", "2")]
        assert "unpaid_invoice" in {p.code for p in kept}

        counts = {}
        for name in ("account", "contact", "payment", "relationship"):
            suite = find_suite(SUITES, name, mapping)
            assert suite is not None
            run = score_validity(ws, snapshot, name, suite)
            assert run.complete
            counts[name] = (run.records, run.failing)
        assert counts == {"account": (1223, 37), "contact": (1024, 739), "payment": (2443, 0), "relationship": (1308, 0)}
