"""Values for Jiandaoyun's calls: each kind in its form, and what is none of a kind refused before it is sent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from steward.executor.writers.jiandaoyun_payload import comes_back, settable, wrapped
from steward.executor.writers.vendor import Refused

ID = "65c000000000000000000001"
LINES = {
    "widgetName": "_widget_9", "name": "lines", "type": "subform",
    "items": [
        {"widgetName": "_widget_1", "name": "number", "type": "number"}, {"widgetName": "_widget_2", "name": "_widget_2", "type": "linkdata"},
    ],
}  # fmt: skip

GOOD: list[tuple[str, Any, Any]] = [
    ("text", "a", "a"), ("textarea", "a\nb", "a\nb"), ("radiogroup", "x", "x"), ("combo", "x", "x"), ("sale_stage", "x", "x"),
    ("number", 3, 3), ("number", Decimal("12.50"), Decimal("12.50")), ("number", "0.10", Decimal("0.10")),
    ("datetime", "2026-01-02T03:04:05.000Z", "2026-01-02T03:04:05.000Z"), ("phone", "138", {"phone": "138"}),
    ("checkboxgroup", ["a", "b"], ["a", "b"]), ("combocheck", ["a"], ["a"]), ("user", "li01", "li01"), ("usergroup", ["li01"], ["li01"]),
    ("dept", 2, 2), ("dept", "2", 2), ("deptgroup", [2, "3"], [2, 3]), ("lookup", ID, ID), ("linkobject", ID, {"link_id": ID}),
    ("address", {"city": "Köln"}, {"city": "Köln"}),
]  # fmt: skip

WRONG: list[tuple[str, Any]] = [
    ("text", 3), ("number", "three"), ("number", True), ("number", "NaN"), ("datetime", "soon"), ("datetime", 5), ("phone", {"phone": "1"}),
    ("checkboxgroup", "a"), ("checkboxgroup", [1]), ("user", ["li01"]), ("usergroup", "li01"), ("dept", "sales"), ("deptgroup", [2, "x"]),
    ("lookup", "x"), ("linkobject", "65c"), ("address", "Köln"), ("upload", [{"name": "a"}]), ("linkdata", ID), ("sn", "KH1"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "sent"), GOOD)
def test_each_kind_has_its_form(kind: str, value: Any, sent: Any) -> None:
    widget = {"widgetName": "_widget_5", "name": "alias", "type": kind}
    assert wrapped([widget], {"_widget_5": value}) == {"alias": {"value": sent}}


@pytest.mark.parametrize(("kind", "value"), WRONG)
def test_what_is_none_of_its_kind_is_refused(kind: str, value: Any) -> None:
    with pytest.raises(Refused) as stop:
        wrapped([{"widgetName": "_widget_5", "type": kind}], {"_widget_5": value})
    assert stop.value.code == "wrong_value"


@pytest.mark.parametrize("empty", [None, "", [], {}])
def test_every_empty_clears(empty: Any) -> None:
    assert wrapped([{"widgetName": "_widget_5", "type": "text"}], {"_widget_5": empty}) == {"_widget_5": {"value": {}}}


def test_a_field_that_is_gone_is_refused() -> None:
    with pytest.raises(Refused) as stop:
        wrapped([], {"_widget_5": "a"})
    assert stop.value.code == "no_such_field"


def test_lines_are_wrapped_twice_and_go_without_what_cannot_be_written() -> None:
    lines = [{"_widget_1": "2.5", "_widget_2": ID}, {"_widget_2": ID}]
    assert wrapped([LINES], {"_widget_9": lines}) == {"lines": {"value": [{"number": {"value": Decimal("2.5")}}, {}]}}
    assert comes_back(LINES, lines) == [{"_widget_1": "2.5"}, {}]
    for wrong in ("a line", ["a line"]):
        with pytest.raises(Refused):
            wrapped([LINES], {"_widget_9": wrong})


def test_a_subform_that_would_lose_a_column_is_set_in_new_records_only() -> None:
    assert settable([LINES], create=True) == {"_widget_9"}
    assert settable([LINES], create=False) == frozenset()
