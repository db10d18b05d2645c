"""Great Expectations: it loads and validates every suite, and on a sample it must say what the compiled SQL says.

Great Expectations logs what it does not know and goes on with fewer rules, and reports a rule that raised as a failed one.
Both are errors here. The field's own rules are taught to it as expectations of its own kind. Custom SQL cannot run on its
pandas engine; it is loaded and validated, not compared.

Importing Great Expectations takes seconds, so it happens inside the functions. Left to others: the suite, the SQL.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from steward.errors import ScoringError, SuiteInvalidError
from steward.messages import N_
from steward.scoring.validity.compile import Rule, bound_kind
from steward.scoring.validity.fields import FIELD_RULES
from steward.scoring.validity.suite import Expectation, Suite

if TYPE_CHECKING:
    import pandas as pd

_BETWEEN = "expect_column_values_to_be_between"
_CUSTOM = "unexpected_rows_expectation"
_NEEDS_ROWS = ("expect_column_pair_values_to_be_in_set",)
"""Expectations that raise in Great Expectations where no row is left to look at; then there is nothing to compare."""
_taught: dict[str, type[Any]] = {}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Great Expectations in silence: no progress bars, no warnings, no telemetry in versions that had it."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    log = logging.getLogger("great_expectations")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def teach() -> None:
    """Register the field's own rules with Great Expectations; safe to call twice."""
    if _taught:
        return
    from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
    from great_expectations.expectations.expectation import ColumnMapExpectation, ColumnPairMapExpectation
    from great_expectations.expectations.metrics.map_metric_provider.column_condition_partial import column_condition_partial
    from great_expectations.expectations.metrics.map_metric_provider.column_map_metric_provider import ColumnMapMetricProvider
    from great_expectations.expectations.metrics.map_metric_provider.column_pair_condition_partial import (
        column_pair_condition_partial,
    )
    from great_expectations.expectations.metrics.map_metric_provider.column_pair_map_metric_provider import (
        ColumnPairMapMetricProvider,
    )

    for name, rule in FIELD_RULES.items():
        pair = name.startswith("expect_column_pair")
        metric = ("column_pair_values." if pair else "column_values.") + "steward_" + name.rsplit("_be_", 1)[-1]
        if pair:

            def on_pair(cls: type, column_A: Any, column_B: Any, rule: Any = rule, **_: Any) -> Any:
                pairs = zip(column_A, column_B, strict=True)
                good = [not isinstance(a, str) or rule(a, b if isinstance(b, str) else "") for a, b in pairs]
                return type(column_A)(good, index=column_A.index, dtype=bool)  # of no rows as well

            condition = column_pair_condition_partial(engine=PandasExecutionEngine)(on_pair)
            type("Metric" + _camel(name), (ColumnPairMapMetricProvider,), {
                "condition_metric_name": metric, "condition_domain_keys": ("column_A", "column_B"), "condition_value_keys": (), "_pandas": condition,
            })  # fmt: skip
            base: type[Any] = ColumnPairMapExpectation
        else:

            def on_column(cls: type, column: Any, rule: Any = rule, **_: Any) -> Any:
                return column.map(lambda value: rule(value, "")).astype(bool)

            condition = column_condition_partial(engine=PandasExecutionEngine)(on_column)
            type("Metric" + _camel(name), (ColumnMapMetricProvider,), {
                "condition_metric_name": metric, "condition_value_keys": (), "_pandas": condition,
            })  # fmt: skip
            base = ColumnMapExpectation
        _taught[name] = type(_camel(name), (base,), {"map_metric": metric, "__module__": __name__, "__doc__": rule.__doc__})


def load_in_gx(suite: Suite) -> Any:
    """Return the suite as Great Expectations loaded it.

    Raises
    ------
    SuiteInvalidError
        It dropped an expectation, or refuses one.
    """
    with _quiet():
        import great_expectations as gx

        teach()
        try:
            loaded = gx.ExpectationSuite(
                name=suite.name, expectations=[_plain(e, dict(e.kwargs)) for e in suite.expectations], meta={}
            )
        except Exception as error:  # whatever it raises, the suite is not one that both can run
            raise SuiteInvalidError(
                N_("{where}: Great Expectations refuses the suite: {problem}"),
                where=suite.where,
                problem=str(error).splitlines()[0] if str(error) else type(error).__name__,
            ) from None
    if len(loaded.expectations) != len(suite.expectations):
        raise SuiteInvalidError(
            N_("{where}: Great Expectations loaded {loaded} of {all} expectations."),
            where=suite.where,
            loaded=len(loaded.expectations),
            all=len(suite.expectations),
        )
    return loaded


def _plain(expectation: Expectation, kwargs: dict[str, Any]) -> dict[str, Any]:
    return {"type": expectation.type, "kwargs": kwargs, "meta": {"rule_id": expectation.rule_id}, "severity": "warning"}


def oracle_columns(rules: Sequence[Rule]) -> list[tuple[str, str, str]]:
    """Return the columns that a bound casts: name in the frame, column, ``number`` or ``date``."""
    return [
        (f"_between_{n}", rule.expectation.kwargs["column"], bound_kind(rule.expectation.kwargs))
        for n, rule in enumerate(rules)
        if rule.expectation.type == _BETWEEN
    ]


def outside(kwargs: Mapping[str, Any], kind: str) -> Any:
    """Return a value out of the bounds, which stands for what cannot be cast."""
    high = kwargs.get("max_value") is not None
    if kind == "number":
        return float("inf") if high else float("-inf")
    return datetime.max if high else datetime.min


def run_gx(suite: Suite, rules: Sequence[Rule], frame: pd.DataFrame) -> dict[str, set[int]]:
    """Return per ``rule_id`` the rows that fail, as Great Expectations sees them on pandas.

    Parameters
    ----------
    frame : pandas.DataFrame
        Column ``_row`` (int), every column of the suite as object (text or None), and those of :func:`oracle_columns`.

    Raises
    ------
    ScoringError
        A rule raised; it is an error and neither passed nor failed.
    """
    expectations = []
    found: dict[str, set[int]] = {}
    for number, rule in enumerate(rules):
        if rule.expectation.type == _CUSTOM:
            continue
        if rule.expectation.type in _NEEDS_ROWS and not _rows_left(rule.expectation, frame):
            found[rule.expectation.rule_id] = set()
            continue
        kwargs = dict(rule.expectation.kwargs)
        if rule.expectation.type == _BETWEEN:
            kwargs["column"] = f"_between_{number}"
            if bound_kind(kwargs) == "date":
                for word in ("min_value", "max_value"):
                    if kwargs.get(word) is not None:
                        kwargs[word] = datetime.fromisoformat(kwargs[word])
        if "column_A" in kwargs and "row_condition" in kwargs:
            # With a row condition it makes numpy numbers of its counts for pairs and then refuses them, so rows outside
            # the condition are handed over without values: every pair expectation passes those.
            mask = _meets(kwargs.pop("row_condition"), frame)
            for word in ("column_A", "column_B"):
                name = f"_{word}_{number}"
                frame = frame.assign(**{name: frame[kwargs[word]].where(mask, None)})
                kwargs[word] = name
        expectations.append(_plain(rule.expectation, kwargs))
    if not expectations:
        return found
    with _quiet():
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        teach()
        try:
            context = gx.get_context(mode="ephemeral")
            context.variables.progress_bars = ProgressBarsConfig(globally=False)
            asset = context.data_sources.add_pandas("sample").add_dataframe_asset("sample")
            batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": frame})
            result = batch.validate(
                gx.ExpectationSuite(name=suite.name, expectations=expectations),
                result_format={
                    "result_format": "COMPLETE",
                    "unexpected_index_column_names": ["_row"],
                    "partial_unexpected_count": 0,
                },
            )
        except Exception as error:  # whatever it raises, the rules did not run
            raise ScoringError(
                N_("Great Expectations could not run {where}: {problem}"), where=suite.where, problem=type(error).__name__
            ) from None
    left_out = len(found)
    for part in result.results:
        rule_id = str((part.expectation_config.meta or {})["rule_id"]) if part.expectation_config else ""
        if _raised(part.exception_info):
            raise ScoringError(N_("Great Expectations could not run rule {rule} of {where}."), rule=rule_id, where=suite.where)
        found[rule_id] = {int(entry["_row"]) for entry in part.result.get("unexpected_index_list") or ()}
    if len(found) != len(expectations) + left_out:
        raise ScoringError(N_("Great Expectations left out a rule of {where}."), where=suite.where)
    return found


def _rows_left(expectation: Expectation, frame: pd.DataFrame) -> bool:
    """Whether any row has both values and meets the row condition."""
    kwargs = expectation.kwargs
    mask = frame[kwargs["column_A"]].notna() & frame[kwargs["column_B"]].notna()
    if "row_condition" in kwargs:
        mask &= _meets(kwargs["row_condition"], frame)
    return bool(mask.any())


def _meets(node: Mapping[str, Any], frame: pd.DataFrame) -> Any:
    if "conditions" in node:
        parts = [_meets(part, frame) for part in node["conditions"]]
        whole = parts[0]
        for part in parts[1:]:
            whole = whole & part if node["type"] == "and" else whole | part
        return whole
    cells = frame[node["column"]["name"]]
    if node["type"] == "nullity":
        return cells.isna() if node["is_null"] else cells.notna()
    return cells.eq(node["parameter"]) if node["operator"] == "==" else cells.ne(node["parameter"])


def _raised(info: Any) -> bool:
    if not isinstance(info, Mapping):
        return False
    return bool(info.get("raised_exception")) or any(_raised(part) for part in info.values() if isinstance(part, Mapping))
