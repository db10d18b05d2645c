"""Tables that are empty, constant, huge in one cell or hostile: a result or one clear sentence, never a traceback."""

from __future__ import annotations

import polars as pl
import pytest

from steward.errors import TooManyPairsError
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
