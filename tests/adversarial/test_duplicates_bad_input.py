"""Tables that are empty, constant, huge in one cell or hostile: a result or one clear sentence, never a traceback."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from steward.cli import main
from steward.errors import TooManyPairsError
from steward.scoring.duplicates import repeats
from steward.scoring.duplicates.definition import Definition, Field, Rule
from steward.scoring.duplicates.link import link
from tests.integration.test_duplicates_metamorphic import people


def _with(**columns: object) -> pl.DataFrame:
    table = people(60, 1)
    return table.with_columns(*(pl.lit(v, dtype=pl.String).alias(k) for k, v in columns.items()))


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_tables_of_a_few_rows(rows: int) -> None:
    assert link(people(60, 1).head(rows), ids="id").groups() in ([], [["r0", "r1"]])


def test_a_table_with_ids_alone() -> None:
    result = link(pl.DataFrame({"id": ["1", "2"]}), ids="id")
    assert result.groups() == [] and result.pairs_frame().height == 0


def test_constant_and_empty_columns_are_left_out_with_the_reason() -> None:
    result = link(_with(country="DE", fax=None), ids="id")
    assert result.proposal is not None
    reasons = {c.column: c.reason for c in result.proposal.columns if not c.used_as}
    assert reasons["country"] == "the same value everywhere" and reasons["fax"] == "empty"


def test_all_values_missing() -> None:
    empty = pl.DataFrame(
        {"id": [str(i) for i in range(50)], "first_name": [None] * 50, "email": [""] * 50},
        schema_overrides={"first_name": pl.String},
    )
    assert link(empty, ids="id").groups() == []


def test_one_giant_block_is_left_out_and_named() -> None:
    table = people(300, 2).with_columns(pl.lit("x").alias("first_name"))
    definition = Definition((Field("first_name", "given", ("first_name",)), Field("email", "email", ("email",))),
                            (Rule((("first_name", "whole"),)), Rule((("email", "whole"),))), block_at_most=50)  # fmt: skip
    result = link(table, definition, ids="id")
    assert result.blocks is not None
    assert result.blocks.costs[0].left_out == table.height and result.blocks.costs[0].pairs == 0


def test_a_rule_that_explodes_is_refused_before_it_runs() -> None:
    definition = Definition((Field("city", "city", ("city",)),), (Rule((("city", "whole"),)),), pairs_at_most=100)
    with pytest.raises(TooManyPairsError, match="would compare") as error:
        link(people(300, 2), definition, ids="id")
    assert "second key" in str(error.value)


def test_emoji_right_to_left_control_characters_and_a_megabyte() -> None:
    table = people(60, 3)
    odd = [
        "😀" * 40,
        "\u202eevil\u202c",
        "שלום עולם",
        "\x00\x1b[31m",
        "a" * 1_000_000,
        "محمد",
        "'; DROP TABLE x; --",
        "\ud7ff",
        "ﷺ" * 20,
    ]
    values = [odd[i % len(odd)] for i in range(table.height)]
    result = link(table.with_columns(pl.Series("last_name", values)), ids="id")
    assert isinstance(result.groups(), list)


def test_a_true_cluster_of_thousands_is_one_cluster() -> None:
    same = pl.DataFrame({"id": [f"s{i}" for i in range(1_200)], "first_name": "Greta", "last_name": "Lindner", "email": "greta@lindner.example",
                         "birthday": "1980-05-17", "city": "Leeds", "phone": "+49 30 5551234"})  # fmt: skip
    result = link(pl.concat([people(400, 5), same], how="diagonal"), ids="id")
    assert max(len(g) for g in result.groups()) >= 1_200


def _copies(n: int, **values: str) -> pl.DataFrame:
    columns = {"first_name": "Greta", "last_name": "Lindner", "email": "greta@lindner.example", "birthday": "1980-05-17", "city": "Leeds",
               "phone": "+49 30 5551234", **values}  # fmt: skip
    return pl.DataFrame({"id": [f"s{i}" for i in range(n)], **columns})


def test_ten_thousand_copies_of_one_customer_are_one_cluster_and_hide_no_other() -> None:
    others = people(700, 5)
    result = link(pl.concat([others, _copies(10_000)], how="diagonal"), ids="id")
    groups = result.groups()
    assert sorted(map(len, groups))[-1] == 10_000 and len(groups) > 80
    assert result.compared < 500_000 and result.blocks is not None
    assert not any(c.left_out for c in result.blocks.costs)
    pairs = result.pairs_frame()
    assert pairs.select("left_id", "right_id").n_unique() == pairs.height
    plain = link(others, ids="id").groups()
    assert len({tuple(g) for g in groups} & {tuple(g) for g in plain}) >= 0.9 * len(plain)


def test_ten_thousand_namesakes_are_not_one_customer() -> None:
    nobody = _copies(10_000, email="", phone="", birthday="", first_name="Max", last_name="Mustermann")
    groups = link(pl.concat([people(700, 5), nobody], how="diagonal"), ids="id").groups()
    assert max(map(len, groups)) < 10 and len(groups) > 80


def test_copies_that_stand_for_others_change_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pl.concat([people(200, 5), _copies(90)], how="diagonal")
    whole = link(table, ids="id", apart=[("s70", "s71")])
    monkeypatch.setattr(repeats, "MORE_THAN", 40)
    monkeypatch.setattr(repeats, "KEPT", 15)
    short = link(table.sample(fraction=1.0, shuffle=True, seed=1), ids="id", apart=[("s70", "s71")])
    assert short.compared < whole.compared - 2_000
    large = [g for g in short.groups() if len(g) > 50]
    assert len(large) == 1 and not {"s70", "s71"} <= set(large[0]) and len(large[0]) >= 89
    assert [g for g in short.groups() if len(g) < 10] == [g for g in whole.groups() if len(g) < 10]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("id,first_name,email\n", "nothing to compare"),
        ("id,first_name,email\n1,Anna,anna@x.example\n", "nothing to compare"),
        ("id,first_name,email\n1,,\n2,,\n3,,\n", "nothing to compare"),
        ("id,first_name\n1,x\n2,x\n3,x\n", "nothing to compare"),
        ("id,first_name,email\n1,\U0001f600\U0001f600,\u0645\u062d\u0645\u062f\n2,\U0001f600\U0001f600,\u202ex\n", "nothing to compare"),
        ("id\n1\n2\n", "nothing to compare"),
    ],
)  # fmt: skip
def test_tables_with_next_to_nothing_in_them_from_the_terminal(
    text: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "contact.csv").write_text(text, encoding="utf-8")
    w = str(tmp_path / "w")
    taken = main(["snapshot", str(tmp_path / "contact.csv"), "--id", "id", "--role", "person", "--workspace", w])
    scored = main(["score", "--object", "contact", "--only", "duplicate", "--workspace", w])
    out, err = capsys.readouterr()
    said = " ".join((out + err).split())
    assert taken in (0, 3) and scored in (0, 2, 3, 4) and "defect" not in said.lower() and "Traceback" not in said
    assert sentence in said or taken == 3
