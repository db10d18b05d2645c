"""Suites over every data set nobody here made, each count asserted; and the whole way with no network at all."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from steward.cli import main
from steward.crm.mapping import parse_mapping
from steward.scoring.validity import find_suite, load_suite, score_validity
from steward.store import FileSource, Workspace
from tests.support.no_network import NoNetwork

ROOT = Path(__file__).resolve().parents[2]
SUITES = ROOT / "expectations"
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def _numbered(rows: Iterable[list[str]], to: Path) -> None:
    """Write rows with their number as id, for data without one."""
    with to.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        for number, row in enumerate(rows):
            writer.writerow(["number" if number == 0 else number, *row])


def _persons(data: Path, to: Path) -> str:
    shutil.copy(data / "persons_fake1000/persons.csv", to / "person.csv")
    return "unique_id"


def _truthset(data: Path, to: Path) -> str:
    shutil.copy(data / "customers_truthset/customers.csv", to / "customer.csv")
    return "DATA_SOURCE+RECORD_ID"


def _restaurants(data: Path, to: Path) -> str:
    shutil.copy(data / "businesses_fodors_zagats/fodors.csv", to / "restaurant.csv")
    return "id"


def _names(data: Path, to: Path) -> str:
    with (data / "names_multilingual/name_pairs.csv").open(encoding="utf-8", newline="") as stream:
        _numbered(csv.reader(stream), to / "name_pair.csv")
    return "number"


def _purchases(data: Path, to: Path) -> str:
    with gzip.open(data / "transactions_cdnow/transactions.csv.gz", "rt", encoding="utf-8", newline="") as stream:
        _numbered(csv.reader(stream), to / "purchase.csv")
    return "number"


SAMPLES: dict[str, tuple[str, Callable[[Path, Path], str], int, dict[str, int]]] = {
    "persons_fake1000": ("person", _persons, 1_000, {
        "person.first_name.missing": 169, "person.surname.missing": 181, "person.email.syntax": 33, "person.row.unique": 158}),
    "customers_truthset": ("customer", _truthset, 120, {"customer.EMAIL_ADDRESS.syntax": 2, "customer.STATUS.known": 2}),
    "businesses_fodors_zagats": ("restaurant", _restaurants, 533, {"restaurant.phone.form": 17}),
    "names_multilingual": ("name_pair", _names, 503, {}),
    # The set's own description: 80 rows have the amount 0, and 255 repeat another (215 rows stand more than once).
    "transactions_cdnow": ("purchase", _purchases, 69_659, {"purchase.amount.range": 80, "purchase.row.unique": 470}),
}  # fmt: skip


@pytest.mark.real_data
@pytest.mark.parametrize("name", SAMPLES)
def test_counts_of_a_sample(tmp_path: Path, real_data: Path, name: str) -> None:
    object, make, records, expected = SAMPLES[name]
    key = make(real_data, tmp_path)
    text = f'format = "steward-mapping/1"\nsystem = "files"\ntenant = "{name}"\nenvironment = "sandbox"\n'
    mapping = parse_mapping(text + f'[objects.{object}]\nkey = "{key}"\nfiles = ["{object}.csv"]\n')
    suite = find_suite(SUITES, object, mapping)
    assert suite is not None and suite.where == f"{name}.json"
    with Workspace.open(tmp_path / "w", create=True) as ws:
        snapshot = ws.take_snapshot(FileSource(tmp_path, mapping=mapping), taken_at=NOW)
        summary = score_validity(ws, snapshot, object, suite)
    assert summary.complete, summary.note
    assert summary.records == records
    assert {rule: n for rule, n in summary.by_rule.items() if n} == expected


@pytest.mark.real_data
def test_northwind_goes_the_whole_way_without_a_network(
    tmp_path: Path, real_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Snapshot, scoring with Great Expectations over every row, scorecard, suites, export: nobody asks for an address.

    The same for what follows, from proposing to restoring: ``test_whole_way``.
    """
    with NoNetwork(tmp_path / "no-network") as net:
        _the_way(tmp_path, real_data, capsys)
    assert net.asked == []


def _the_way(tmp_path: Path, real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "northwind"
    shutil.copytree(real_data / "crm_northwind", folder)
    mapping = folder / "mapping.toml"
    shutil.copy(ROOT / "steward/crm/examples/northwind.toml", mapping)
    (tmp_path / "holds.txt").write_text("# none\n", encoding="utf-8")
    here = ["--workspace", str(tmp_path / "w")]
    assert main(["snapshot", "--mapping", str(mapping), "--from", str(folder), *here, "--quiet"]) == 0
    assert main(["score", "--holds", str(tmp_path / "holds.txt"), "--engine", "gx", *here, "--json"]) == 0
    told = {(x["kind"], x["object"]): x for x in json.loads(capsys.readouterr().out)["lines"]}
    assert told["stale", "customer"]["records"] == told["invalid", "customer"]["records"] == 93
    assert all(line["complete"] for line in told.values())
    card = (tmp_path / "w" / "scorecard.html").read_text(encoding="utf-8")
    assert "://" not in card and "customer.City.missing" in card
    with Workspace.open(tmp_path / "w", read_only=True) as ws:
        kept = [p.sentence for found in ws.protections(ws.snapshot()).values() for p in found if p.code == "open_order"]
    assert len(kept) > 15 and any("order/" in s for s in kept)  # 21 orders have no day of shipping
    assert main(["report", "--to", str(tmp_path / "card.html"), *here, "--quiet"]) == 0
    assert main(["suite", "check", str(SUITES), "--quiet"]) == 0
    assert main(["suite", "export", str(SUITES / "northwind"), "--to", str(tmp_path / "gx"), "--quiet"]) == 0
    assert main(["export", "evidence", "--to", str(tmp_path / "evidence.csv"), *here, "--quiet"]) == 0
    assert main(["gate", *here, "--quiet"]) == 0
    assert main(["history", *here, "--quiet"]) == 0


def test_the_hook_refuses_and_writes_down(tmp_path: Path) -> None:
    """Or else the test above could not fail."""
    asks = "import socket, urllib.request as u\nfor f in (lambda: socket.create_connection(('127.0.0.1', 9)), lambda: u.urlopen('http://localhost:9/')):\n"
    asks += "    try:\n        f()\n    except OSError as e:\n        print(e)\n"
    with NoNetwork(tmp_path / "no-network") as net:
        with pytest.raises(OSError, match="there is no network"):
            socket.create_connection(("127.0.0.1", 9))
        with socket.socket() as one, pytest.raises(OSError, match="there is no network"):
            one.connect(("127.0.0.1", 9))
        done = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True)
    assert done.stdout.count("there is no network") == 2
    assert len(net.began) == 1 and net.began[0].startswith("-c") and len(net.asked) == 4
    with socket.socket() as free, pytest.raises(ConnectionRefusedError):
        free.connect(("127.0.0.1", 9))  # outside, the network answers as it does


def test_every_suite_says_whose_it_is() -> None:
    found = [load_suite(path) for path in sorted(SUITES.rglob("*.json"))]
    rules = [e.rule_id for s in found for e in s.expectations if s.tenant in ("demo", "")]
    assert len(rules) == len(set(rules))
    assert all(e.owner and set(e.reason) >= {"en", "de", "zh"} for s in found for e in s.expectations)
