"""Every match explained: sentences word for word, weights that add up, the rule that found the pair; survivors and their reasons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest

from steward.cli import main
from steward.evidence import CandidatePair, ComparisonVector, MatchWeight
from steward.records import RecordKey
from steward.scoring.duplicates import score_duplicates
from steward.scoring.duplicates.definition import parse_definition
from steward.scoring.duplicates.explain import sentence
from steward.scoring.duplicates.survivor import Facts, choose, differing, reason
from steward.scoring.duplicates.waterfall import waterfall, waterfall_document, waterfall_svg
from steward.store import FileSource, Workspace
from tests.integration.test_duplicates_metamorphic import people

WEIGHTS = (
    MatchWeight("name", "agree", "exact", 9.5, "Anna Meier", "Anna Meier"),
    MatchWeight("email", "partly", "nearly equal", 11.25, "a@x.example", "a@y.example"),
    MatchWeight("phone", "missing", "missing", 0.0, None, "030 123"),
    MatchWeight("city", "disagree", "differs", -2.1, "Köln", "<b>Bonn</b>\x1b[31m"),
    MatchWeight("look-alikes", "disagree", "people of one household share what agrees", -1.4, None, None),
)


@pytest.mark.parametrize(
    ("probability", "rule", "total", "expected"),
    [
        (0.983, "email", 5.85,
         "Probably the same customer as contact/17 (98.3 %, +5.8 bits in all): email: nearly equal (+11.2 bits), name: exact (+9.5 bits); against it: "
         "city: differs (-2.1 bits), people of one household share what agrees (-1.4 bits); no value to compare: phone; found by: email."),
        (0.99999, "", None,
         "Probably the same customer as contact/17 (more than 99.9 %): email: nearly equal (+11.2 bits), name: exact (+9.5 bits); against it: "
         "city: differs (-2.1 bits), people of one household share what agrees (-1.4 bits); no value to compare: phone."),
        (0.031, "", -5.0,
         "In one cluster, through other records or a decision, with contact/17 (3.1 %, -5.0 bits in all): email: nearly equal (+11.2 bits), "
         "name: exact (+9.5 bits); against it: city: differs (-2.1 bits), people of one household share what agrees (-1.4 bits); "
         "no value to compare: phone."),
    ],
)  # fmt: skip
def test_sentences_word_for_word(probability: float, rule: str, total: float | None, expected: str) -> None:
    assert sentence("contact/17", probability, WEIGHTS, rule, total) == expected


def _vector() -> ComparisonVector:
    return ComparisonVector(CandidatePair(RecordKey("contact", "1"), RecordKey("contact", "2"), "email"), -11.4, WEIGHTS)


def test_the_bars_of_a_waterfall_join_and_end_at_the_sum() -> None:
    steps = waterfall(_vector())
    assert [s.name for s in steps] == ["prior", "name", "email", "phone", "city", "look-alikes", "total"]
    assert steps[0].start == 0 and steps[0].end == steps[1].start == -11.4
    assert all(a.end == b.start for a, b in pairwise(steps[:-1]))
    assert steps[-1].end == pytest.approx(_vector().match_weight) == pytest.approx(5.85)
    document = json.loads(json.dumps(waterfall_document(_vector())))
    assert document["rule"] == "email" and document["steps"][4]["left"] == "Köln"


def test_the_picture_is_whole_and_holds_hostile_values_as_text() -> None:
    picture = ElementTree.fromstring(waterfall_svg(_vector()))
    texts = " ".join(t.text or "" for t in picture.iter() if t.text)
    assert "<b>Bonn</b>·[31m" in texts and len([e for e in picture.iter() if e.tag.endswith("rect")]) == 7


DEFINITION = """format = "steward-linkage/1"
cut = 0.9
prior = 0.001
[[compare]]
field = "name"
kind = "person"
columns = ["first_name", "last_name"]
standard = "written"
levels = ["jarowinkler 0.9"]
m = [0.1, 0.2, 0.7]
u = [0.97, 0.02, 0.01]
rare_counts_more = false
[[compare]]
field = "email"
kind = "email"
m = [0.125, 0.0625, 0.0625, 0.75]
u = [0.99, 0.004, 0.003, 0.003]
rare_counts_more = false
[[index]]
keys = ["email"]
[[index]]
keys = ["name"]
"""


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Path]]:
    home = tmp_path_factory.mktemp("explained")
    rows = [
        {
            "id": "1",
            "first_name": "Anna",
            "last_name": "Meier",
            "email": "anna@x.example",
            "phone": "",
            "city": "Köln",
            "made": "2019-01-01",
        },
        {
            "id": "2",
            "first_name": "Anna",
            "last_name": "Meier",
            "email": "ANNA@x.example",
            "phone": "030 1",
            "city": "Köln",
            "made": "2024-05-05",
        },
        {
            "id": "3",
            "first_name": "Bernd",
            "last_name": "Huber",
            "email": "",
            "phone": "",
            "city": "Bonn",
            "made": "2018-01-01",
        },
        {
            "id": "4",
            "first_name": "Bernd",
            "last_name": "Huber",
            "email": "",
            "phone": "030 2",
            "city": "Ulm",
            "made": "2017-01-01",
        },
        {"id": "5", "first_name": "Clara", "last_name": "Voss", "email": "anna@x.example", "phone": "", "city": "", "made": ""},
    ]
    pl.DataFrame(rows).write_csv(home / "contact.csv")
    (home / "map.toml").write_text(
        'format = "steward-mapping/1"\nsystem = "files"\ntenant = "t"\nenvironment = "sandbox"\n'
        '[objects.contact]\nfiles = ["contact.csv"]\nkey = "id"\nrole = "person"\ncreated = "made"\n'
    )
    from datetime import UTC, datetime

    from steward.crm.mapping import parse_mapping

    mapping = parse_mapping((home / "map.toml").read_text())
    with Workspace.open(home / "w", create=True) as ws:
        ws.take_snapshot(FileSource(home, mapping), taken_at=datetime(2026, 11, 1, tzinfo=UTC))
        score_duplicates(ws, ws.snapshot(), "contact", definition=parse_definition(DEFINITION))
    with Workspace.open(home / "w", read_only=True) as ws:
        yield ws, home


def test_stored_weights_are_those_of_the_definition_and_add_up(scored: tuple[Workspace, Path]) -> None:
    ws, _ = scored
    (row,) = ws.connection.execute(
        "SELECT match_weight, probability, rule, weights_json FROM pairs WHERE left_id = '1' AND right_id = '2'"
    ).fetchall()
    weights = {w["field"]: w for w in json.loads(row[3])}
    assert row[2] == "email"
    assert weights["name"] == {
        "field": "name",
        "agreement": "agree",
        "level": "exact",
        "bits": 6.1293,
        "left": "Anna Meier",
        "right": "Anna Meier",
    }
    assert (
        weights["email"]["bits"] == 7.9658
        and weights["email"]["left"] == "anna@x.example"
        and weights["email"]["right"] == "ANNA@x.example"
    )
    assert row[0] == pytest.approx(-9.9643 + 6.1293 + 7.9658, abs=2e-4)
    assert row[1] == pytest.approx(1 / (1 + 2 ** -row[0]))


def test_evidence_of_a_member_that_would_go_is_golden(scored: tuple[Workspace, Path]) -> None:
    ws, _ = scored
    found = {e.key.id: e for e in ws.evidence(ws.snapshot(), kind="duplicate", object="contact")}
    assert set(found) == {"1"}
    assert found["1"].sentence == (
        "Probably the same customer as contact/2 (94.6 %, +4.1 bits in all): email: exact (+8.0 bits), name: exact (+6.1 bits); found by: email."
    )
    assert [(v.field, v.value, v.compared_with, v.points) for v in found["1"].values] == [
        ("name", "Anna Meier", "Anna Meier", 6.1293), ("email", "anna@x.example", "ANNA@x.example", 7.9658),
    ]  # fmt: skip


def test_the_survivor_is_stored_with_its_reason_its_values_and_the_warning(scored: tuple[Workspace, Path]) -> None:
    ws, _ = scored
    (proposal,) = ws.survivors(ws.snapshot(), "contact").values()
    assert proposal.key.id == "2" and proposal.rule == "complete" and proposal.steerable
    assert (
        proposal.reason
        == "most of its fields are filled; it is not the oldest, so whoever can add records could have steered this"
    )
    assert proposal.values == {} and proposal.differing == ()
    assert set(ws.survivors(ws.snapshot(), "contact")) == {c.id for c in ws.clusters(ws.snapshot(), "contact")}


def test_survivor_rules_in_the_order_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], scored: tuple[Workspace, Path]
) -> None:
    _, home = scored
    (tmp_path / "d.toml").write_text(DEFINITION.replace("cut = 0.9", "cut = 0.2"))
    w = str(tmp_path / "w")
    assert main(["snapshot", "--mapping", str(home / "map.toml"), "--workspace", w]) == 0
    score = ["score", "--object", "contact", "--only", "duplicate", "--definition", str(tmp_path / "d.toml"), "--workspace", w]
    expected = {"oldest": ({"1"}, "it is the oldest"), "trusted:phone=030 1,oldest": ({"2"}, "it comes from a trusted source"),
                "complete,oldest": ({"2"}, "most of its fields are filled")}  # fmt: skip
    for rules, (ids, why) in expected.items():
        assert main([*score, "--survivor", rules]) == 0
        with Workspace.open(w, read_only=True) as ws:
            found = ws.survivors(ws.snapshot(), "contact")
        assert ids <= {p.key.id for p in found.values()} and any(why in p.reason for p in found.values())
        if rules == "oldest":
            (first,) = (p for p in found.values() if p.key.id == "1")
            assert first.values == {"phone": ("030 1", RecordKey("contact", "2"))} and not first.steerable
    assert "steered" in capsys.readouterr().out
    assert main([*score, "--survivor", "richest"]) == 4
    assert "no survivor rule richest" in capsys.readouterr().err


def test_only_a_later_record_that_wins_by_a_bendable_rule_is_a_warning() -> None:
    def facts(filled: int, created: str | None, active: str | None = None, linked: int = 0) -> Facts:
        return Facts(linked, filled, created, None, {}, active)

    assert choose({"1": facts(3, "2019"), "2": facts(9, "2024")}, ["complete"]).steerable
    assert not choose({"1": facts(9, "2019"), "2": facts(3, "2024")}, ["complete"]).steerable
    assert choose({"1": facts(9, None), "2": facts(3, "2024")}, ["complete"]).steerable
    by_activity = choose({"1": facts(3, "2019", "2020"), "2": facts(3, "2024", "2025")}, ["active", "oldest"])
    assert (by_activity.id, by_activity.rule, by_activity.steerable) == ("2", "active", True)
    assert not choose({"1": facts(3, "2019", linked=1), "2": facts(3, "2024", linked=4)}, ["linked"]).steerable
    assert "trusted" in reason(choose({"1": Facts(0, 0, None, None, {"s": "crm"}), "2": facts(0, None)}, ["trusted:s=crm"]))
    assert differing(["1", "2"], {"1": {"a": "X ", "b": "p", "c": None}, "2": {"a": "x", "b": "q", "c": "r"}}) == ["b"]


def test_explain_from_the_terminal(scored: tuple[Workspace, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, home = scored
    words = ["explain", "contact", "2", "1", "--workspace", str(home / "w")]
    assert main([*words, "--svg", str(tmp_path / "why.svg")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "From the prior to the sum" in out and "+7.97" in out and "found by: email" in out
    assert (tmp_path / "why.svg").read_text(encoding="utf-8").startswith("<svg")
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["match_weight"] == pytest.approx(4.1308, abs=1e-3)
    assert main(["explain", "contact", "1", "3", "--workspace", str(home / "w")]) == 4
    assert main(["explain", "contact", "1", "99", "--workspace", str(home / "w")]) == 2


def test_cluster_ids_stay_over_reruns_row_order_and_renamed_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = people(150, 4)
    table.write_csv(tmp_path / "contact.csv")
    table.sample(fraction=1.0, shuffle=True, seed=5).write_csv(tmp_path / "export of Monday.csv")
    found = []
    for n, file in enumerate(("contact.csv", "contact.csv", "export of Monday.csv")):
        w = str(tmp_path / f"w{n}")
        assert main(["snapshot", str(tmp_path / file), "--id", "id", "--object", "contact", "--workspace", w]) == 0
        assert main(["score", "--object", "contact", "--only", "duplicate", "--workspace", w]) == 0
        with Workspace.open(w, read_only=True) as ws:
            found.append({c.id: tuple(m.id for m in c.members) for c in ws.clusters(ws.snapshot(), "contact")})
    assert found[0] == found[1] == found[2] and len(found[0]) > 15
    capsys.readouterr()
    assert (
        main(
            [
                "compare-clusters",
                "contact",
                "--before-workspace",
                str(tmp_path / "w0"),
                "--workspace",
                str(tmp_path / "w2"),
                "--json",
            ]
        )
        == 0
    )
    assert json.loads(capsys.readouterr().out)["counts"] == {
        "unchanged": len(found[0]), "grown": 0, "shrunk": 0, "merged": 0, "split": 0, "overlapping": 0, "new": 0, "gone": 0,
    }  # fmt: skip


def test_compare_clusters_shows_merged_split_and_unchanged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def rows(groups: list[tuple[str, str]]) -> pl.DataFrame:
        return pl.DataFrame([{"id": i, "email": f"{g}@x.example", "name": g} for i, g in groups])

    before = [
        ("1", "a"),
        ("2", "a"),
        ("3", "b"),
        ("4", "b"),
        ("5", "c"),
        ("6", "c"),
        ("7", "c"),
        ("8", "c"),
        ("9", "d"),
        ("10", "d"),
    ]
    after = [
        ("1", "ab"),
        ("2", "ab"),
        ("3", "ab"),
        ("4", "ab"),
        ("5", "c"),
        ("6", "c"),
        ("7", "e"),
        ("8", "e"),
        ("9", "d"),
        ("10", "d"),
    ]
    (tmp_path / "d.toml").write_text(
        'format = "steward-linkage/1"\ncut = 0.5\nprior = 0.1\n[[compare]]\nfield = "email"\nkind = "category"\n'
        'm = [0.01, 0.99]\nu = [0.999, 0.001]\nrare_counts_more = false\n[[index]]\nkeys = ["email"]\n'
    )
    w = str(tmp_path / "w")
    for table in (before, after):
        rows(table).write_csv(tmp_path / "contact.csv")
        assert main(["snapshot", str(tmp_path / "contact.csv"), "--id", "id", "--workspace", w]) == 0
        words = [
            "score",
            "--object",
            "contact",
            "--only",
            "duplicate",
            "--definition",
            str(tmp_path / "d.toml"),
            "--workspace",
            w,
        ]
        assert main(words) == 0
    capsys.readouterr()
    assert main(["compare-clusters", "contact", "--workspace", w]) == 0
    shown = capsys.readouterr().out
    assert "merged" in shown and "1, 2 | 3, 4" in shown
    assert main(["compare-clusters", "contact", "--workspace", w, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {k: v for k, v in document["counts"].items() if v} == {"unchanged": 1, "merged": 1, "split": 1}
    fates = {c["fate"]: (c["before"], c["after"]) for c in document["changes"]}
    assert fates["merged"] == ([["1", "2"], ["3", "4"]], [["1", "2", "3", "4"]])
    assert fates["split"] == ([["5", "6", "7", "8"]], [["5", "6"], ["7", "8"]])
