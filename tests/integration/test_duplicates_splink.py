"""Splink's settings and models taken over: weights as they stand, every loss listed, refused where a comparison would be lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rapidfuzz.distance import DamerauLevenshtein, JaroWinkler, Levenshtein

from steward.cli import main
from steward.errors import ScoringError
from steward.scoring.duplicates.definition import parse_definition
from steward.scoring.duplicates.link import link
from steward.scoring.duplicates.splink_import import SplinkImport, read_splink
from tests.support.duplicates import fake1000

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "splink"


def _read(name: str) -> SplinkImport:
    return read_splink((GOLDEN / name).read_text(encoding="utf-8"), where=name)


def _weight(a: dict, b: dict, often: dict[str, int], filled: int) -> float:
    """Return the weight of a pair under trained-4.json, worked out from the file's numbers independently of the import."""
    bits = np.log2(0.002 / 0.998)
    f, g = a["first_name"], b["first_name"]
    if f and g:
        if f == g:
            bits += np.log2(0.6 / 0.008) + np.log2(0.008 / (often[f] / filled))
        else:
            jw = JaroWinkler.similarity(f, g)
            bits += np.log2(0.15 / 0.002) if jw >= 0.92 else np.log2(0.05 / 0.01) if jw >= 0.8 else np.log2(0.2 / 0.98)
    f, g = a["surname"], b["surname"]
    if f and g:
        bits += (
            np.log2(0.7 / 0.005) if f == g else np.log2(0.1 / 0.005) if Levenshtein.distance(f, g) <= 2 else np.log2(0.2 / 0.99)
        )
    f, g = a["dob"], b["dob"]
    if f and g:
        days = abs((np.datetime64(f) - np.datetime64(g)).astype(int))
        bits += (np.log2(0.7 / 0.002) if f == g else np.log2(0.15 / 0.003) if DamerauLevenshtein.distance(f, g) <= 1
                 else np.log2(0.05 / 0.005) if days * 86_400 <= 2_629_800 else np.log2(0.1 / 0.99))  # fmt: skip
    f, g = a["email"], b["email"]
    if f and g:
        users = (f.partition("@")[0], g.partition("@")[0])
        bits += (
            np.log2(0.6 / 0.001)
            if f == g
            else np.log2(0.2 / 0.004)
            if users[0] and users[0] == users[1]
            else np.log2(0.2 / 0.995)
        )
    return float(bits)


def _blocked(a: dict, b: dict) -> bool:
    both = all(a[c] and a[c] == b[c] for c in ("first_name", "surname"))
    mail = bool(a["email"] and b["email"]) and a["email"][:6] == b["email"][:6]
    return both or bool(a["dob"] and a["dob"] == b["dob"]) or mail


def test_a_trained_model_gives_the_pairs_and_weights_that_its_numbers_say(real_data: Path) -> None:
    frame = fake1000(real_data)[0].head(400)
    taken = _read("trained-4.json")
    assert taken.trained and not [f for f in taken.findings if f.loss]
    found = link(frame, taken.definition, ids="unique_id")
    ours = {(a, b): w for a, b, w in found.pairs_frame().select("left_id", "right_id", "match_weight").iter_rows()}
    rows = [{k: (v or "").strip() or None for k, v in r.items()} for r in frame.to_dicts()]
    names = frame["first_name"].str.strip_chars().replace("", None).drop_nulls()
    often = dict(names.value_counts().iter_rows())
    expected = {}
    for i, a in enumerate(rows):
        for b in rows[i + 1 :]:
            weight = _weight(a, b, often, len(names)) if _blocked(a, b) else -99.0
            if weight >= np.log2(0.01 / 0.99):
                expected[tuple(sorted((a["unique_id"], b["unique_id"])))] = weight
    assert set(ours) == set(expected) and len(ours) > 300
    assert max(abs(ours[k] - expected[k]) for k in ours) < 1e-5


def test_one_comparison_over_two_columns_keeps_its_levels_and_what_cannot_be_read_is_listed() -> None:
    taken = _read("names-5.json")
    losses = {f.where: f.what for f in taken.findings if f.loss}
    assert set(losses) == {
        "comparisons[0].comparison_levels[4]", "comparisons[0].comparison_levels[5]",
        "blocking_rules_to_generate_predictions[3]", "blocking_rules_to_generate_predictions[4]",
    }  # fmt: skip
    assert "nicknames meet" in losses["comparisons[0].comparison_levels[5]"] and "list_intersect" in str(losses)
    name = taken.definition.fields[0]
    assert name.columns == ("first_name", "surname") and len(name.levels) == 3 and len(name.m) == 5
    assert name.m[0] == pytest.approx(0.25) and name.u[0] == pytest.approx(0.996)  # the lost level's pairs fall to ELSE
    assert any(f.where == "link_type" for f in taken.findings)
    frame = pl.DataFrame(
        {"id": ["1", "2", "3", "4"], "first_name": ["anna", "meier", "anna", None], "surname": ["meier", "anna", "meier", "meier"],
         "dob": ["1970-01-01"] * 4, "email": [None] * 4, "city": ["x"] * 4}, schema_overrides={"email": pl.String},
    )  # fmt: skip
    found = link(frame, taken.definition, ids="id")
    assert found.model is not None
    levels = {}
    for a, b, row in zip(found.pairs.left.tolist(), found.pairs.right.tolist(), found.pairs.levels.tolist(), strict=True):
        levels[tuple(sorted((str(found.table.ids[a]), str(found.table.ids[b]))))] = row[0]
    assert levels[("1", "3")] == 4 and levels[("1", "2")] == 3 and levels[("1", "4")] == 1


def test_settings_without_weights_are_trained_here(real_data: Path) -> None:
    taken = _read("untrained-3.json")
    assert not taken.trained and taken.definition.prior is None
    assert any(f.where == "probability_two_random_records_match" for f in taken.findings)
    frame, true = fake1000(real_data)
    found = link(frame, taken.definition, ids="unique_id")
    assert len(found.groups()) > 100
    above = found.pairs_frame().filter(pl.col("probability") >= 0.9)
    pairs = set(above.select("left_id", "right_id").iter_rows())
    assert len(pairs & true) / len(pairs) > 0.9


def test_a_comparison_that_would_be_lost_whole_refuses_the_file() -> None:
    with pytest.raises(ScoringError, match="would be lost whole") as error:
        _read("lost-comparison.json")
    assert "lost-comparison.json" in str(error.value) and "nick" in str(error.value) and "list_intersect" in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"), ("{}", "no list named comparisons"), ('{"comparisons": []}', "no list named comparisons"),
        ('{"comparisons": [{"output_column_name": "a"}]}', "no comparison_levels"), ('{"comparisons": [7]}', "no comparison_levels"),
        ('{"comparisons": [{"comparison_levels": [{"sql_condition": "a_l = a_r"}, {"sql_condition": "ELSE"}]}]}', "no blocking_rules"),
        ('{"comparisons": [{"comparison_levels": [{"sql_condition": "a_l = a_r"}]}], "blocking_rules_to_generate_predictions": ["1=1"]}',
         "every blocking rule would be lost"), ("[" * 5_000, "not JSON"),
        ('{"comparisons": [{"comparison_levels": [{"sql_condition": "a = b"}]}], "blocking_rules_to_generate_predictions": []}', "the name a"),
    ],
)  # fmt: skip
def test_what_is_no_splink_file_is_refused_in_one_sentence(text: str, words: str) -> None:
    with pytest.raises(ScoringError, match="cannot be taken over") as error:
        read_splink(text, where="s.json")
    assert words in str(error.value)


def test_an_import_is_a_definition_like_any_other_from_the_terminal(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    w = str(tmp_path / "w")
    assert main(["snapshot", str(real_data / "persons_fake1000" / "persons.csv"), "--id", "unique_id", "--workspace", w]) == 0
    score = ["score", "--object", "persons", "--only", "duplicate", "--workspace", w]
    model = str(tmp_path / "model.toml")
    assert (
        main(
            [
                *score,
                "--definition",
                str(GOLDEN / "trained-4.json"),
                "--save-definition",
                str(tmp_path / "d.toml"),
                "--save-model",
                model,
            ]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert "not the same here as in Splink" in out and "holds its weights" in out
    assert parse_definition((tmp_path / "d.toml").read_text(encoding="utf-8")) == _read("trained-4.json").definition
    assert main([*score, "--definition", model, "--json"]) == 0
    lines = json.loads(capsys.readouterr().out)["lines"]
    assert main([*score, "--definition", str(GOLDEN / "trained-4.json"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["lines"][0]["proposed"] == lines[0]["proposed"] > 100
    assert {f["where"] for f in document["splink"]} >= {"comparisons"}
    assert main([*score, "--definition", str(GOLDEN / "lost-comparison.json")]) == 4
    assert "would be lost whole" in capsys.readouterr().err
