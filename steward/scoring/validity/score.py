"""Score an object against its suite: which live record fails which rule, with its values, and whether two engines agree.

DuckDB finds every failing record; Great Expectations checks a sample of up to 20,000 rows. A rule that raises or a
difference between the two makes the run incomplete, and an incomplete run cannot feed a manifest.

Left to others: reading suites (``suite``), SQL (``compile``), Great Expectations (``oracle``), storing (``steward.store``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from steward.crm.mapping import Mapping as CrmMapping
from steward.errors import ScoringError, StewardError, SuiteInvalidError, printable
from steward.evidence import Evidence, ShownValue
from steward.messages import N_
from steward.records import RecordKey, Snapshot
from steward.scoring.validity.compile import Rule, compile_suite, failing_table, scan_sql
from steward.scoring.validity.fields import DISPOSABLE_LIST, FIELD_RULES
from steward.scoring.validity.oracle import load_in_gx, oracle_columns, outside, run_gx
from steward.scoring.validity.suite import Expectation, Suite, load_suite
from steward.store.findings import evidence_table
from steward.store.sql import quote

if TYPE_CHECKING:
    from steward.store import Workspace

SAMPLE = 20_000
_CHUNK = 50_000


@dataclass(frozen=True, slots=True)
class ValiditySummary:
    """What one validity run found.

    Attributes
    ----------
    records : int
        Live records looked at.
    failing : int
        Records that fail at least one rule.
    by_rule : mapping of str to int
        ``rule_id`` → failing records; 0 where none.
    differences : tuple of str
        Rules on which the two engines disagree, or that raised; then ``complete`` is False.
    sampled : int
        Rows that Great Expectations looked at.
    """

    object: str
    records: int
    failing: int
    by_rule: Mapping[str, int]
    differences: tuple[str, ...] = ()
    sampled: int = 0
    complete: bool = True
    suite_digest: str = ""
    seconds: float = field(default=0.0, compare=False)

    @property
    def note(self) -> str:
        """One English sentence about what was not as it should be, or the empty text."""
        if self.complete:
            return ""
        return f"the run cannot feed a manifest: {', '.join(self.differences)}"


def find_suite(folder: Path, object: str, mapping: CrmMapping) -> Suite | None:
    """Return the suite for an object: one made for the mapping's tenant, else one made for any; None where there is none.

    Raises
    ------
    SuiteInvalidError
        A suite file in the folder is broken, or two of them are for the same object and tenant.
    """
    chosen: dict[str, Suite] = {}
    for path in sorted(folder.rglob("*.json")):
        suite = load_suite(path)
        if suite.object != object or suite.tenant not in ("", mapping.tenant):
            continue
        if suite.tenant in chosen:
            raise SuiteInvalidError(
                N_("{where} and {other} are both for {object}."),
                where=path.name,
                other=chosen[suite.tenant].where,
                object=object,
            )
        chosen[suite.tenant] = suite
    return chosen.get(mapping.tenant) or chosen.get("")


def fitting(ws: Workspace, snapshot: Snapshot, suite: Suite) -> tuple[Suite, tuple[str, ...]]:
    """Return the suite without rules about columns and objects that the snapshot does not have, and what was left out.

    For suites that are made for any CRM; one that a team wrote for its own must fit whole, or is refused.

    Returns
    -------
    suite : Suite
    missing : tuple of str
        Columns, and ids of rules whose SQL does not run here; sorted.
    """
    known = set(ws.columns(snapshot, suite.object))
    tables = {o.name: ws.table(snapshot, o.name) for o in snapshot.objects}
    kept, missing = [], set()
    for expectation in suite.expectations:
        lacking = {*expectation.columns, *expectation.condition_columns} - known
        if not lacking and not _runs(ws, replace(suite, expectations=(expectation,)), known, tables):
            lacking = {expectation.rule_id}
        missing |= lacking
        if not lacking:
            kept.append(expectation)
    return replace(suite, expectations=tuple(kept)), tuple(sorted(missing))


def _runs(ws: Workspace, suite: Suite, columns: Collection[str], tables: Mapping[str, str]) -> bool:
    """Say whether one rule's own SQL can be prepared on this snapshot; any other rule can."""
    try:
        (rule,) = compile_suite(suite, list(columns), tables)
        if rule.query:
            ws.connection.cursor().execute(f"EXPLAIN {rule.query}").fetchall()
    except (SuiteInvalidError, duckdb.Error):
        return False
    return True


def score_validity(
    ws: Workspace,
    snapshot: Snapshot,
    object: str,
    suite: Suite | Path,
    *,
    engine: str = "sql",
    sample: int = SAMPLE,
    progress: Callable[[int], None] | None = None,
) -> ValiditySummary:
    """Find the records of an object that fail the suite, and store the evidence.

    Parameters
    ----------
    engine : {'sql', 'gx'}
        ``gx`` lets Great Expectations check every row instead of a sample; slow and memory-hungry.
    sample : int
        Rows of the cross-check; 0 leaves it out, and the run then counts as incomplete.

    Raises
    ------
    SuiteInvalidError
        The suite cannot be run whole on this snapshot.
    """
    if engine not in ("sql", "gx"):
        raise ValueError("engine is 'sql' or 'gx'")
    begun = time.perf_counter()
    suite = load_suite(suite) if isinstance(suite, Path) else suite
    tables = {o.name: ws.table(snapshot, o.name) for o in snapshot.objects}
    columns = ws.columns(snapshot, object)
    rules = compile_suite(suite, columns, tables)
    load_in_gx(suite)
    connection = ws.connection.cursor()
    problems: list[str] = []
    by_rule = {rule.expectation.rule_id: 0 for rule in rules}
    frames: list[pa.Table] = []
    try:
        failing = find_failing(connection, rules, tables[object], problems)
        for chunk in _evidence(connection, snapshot, object, suite, rules, tables[object]):
            for evidence in chunk:
                by_rule[evidence.rule_id] += 1
            frames.append(evidence_table(chunk))
            if progress is not None:
                progress(len(chunk))
        rows = None if engine == "gx" else sample
        problems += cross_check(connection, suite, rules, tables[object], rows)
        records = _one(connection, f"SELECT count(*) FROM {tables[object]} WHERE NOT _deleted")  # noqa: S608 - quoted by the store
        looked_at = records if rows is None else min(rows, records)
        _drop(connection, len(rules))
    except duckdb.Error as error:
        raise ScoringError(
            N_("The suite {where} could not be run on {object}: {problem}"),
            where=suite.where,
            object=object,
            problem=type(error).__name__,
        ) from None
    finally:
        connection.close()
    complete = not problems and looked_at >= min(records, 1) and snapshot.object(object).rejects == 0
    if not looked_at and records:
        problems.append("not cross-checked")
    if snapshot.object(object).rejects:
        problems.append("rejected lines")
    summary = ValiditySummary(
        object, records, failing, by_rule, tuple(sorted(set(problems))), looked_at, complete, suite.digest,
        round(time.perf_counter() - begun, 3),
    )  # fmt: skip
    ws.replace_evidence(
        snapshot,
        "invalid",
        object,
        evidence=pa.concat_tables(frames) if frames else evidence_table([]),
        definition_digest=suite.digest,
        summary={
            "records": records, "failing": failing, "by_rule": by_rule, "differences": list(summary.differences),
            "sampled": looked_at, "engine": engine, "suite": suite.name, "rules": _described(suite.expectations),
            **_lists(suite.expectations),
        },
        complete=complete,
    )  # fmt: skip
    return summary


def find_failing(
    connection: duckdb.DuckDBPyConnection, rules: Sequence[Rule], table: str, problems: list[str], name: str = "_steward_failed"
) -> int:
    """Fill a temporary table ``_id, _line, failed`` and return how many records fail; rules that raise are named in ``problems``."""
    for number, rule in enumerate(rules):
        if rule.expectation.type in FIELD_RULES:
            _judge_distinct(connection, number, rule.expectation, table)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {quote(name)} AS {scan_sql(rules, table)}")
    for number, rule in enumerate(rules):
        if not rule.query:
            continue
        try:
            connection.execute(
                f"INSERT INTO {quote(name)} SELECT t._id, t._line, [{number}] FROM {table} t "  # noqa: S608 - the suite's own SELECT
                f"SEMI JOIN (SELECT DISTINCT _id FROM ({rule.query})) q ON q._id = t._id WHERE NOT t._deleted"
            )
        except duckdb.Error:
            problems.append(rule.expectation.rule_id)
    return _one(connection, f"SELECT count(DISTINCT _id) FROM {quote(name)}")  # noqa: S608


def _judge_distinct(connection: duckdb.DuckDBPyConnection, number: int, expectation: Expectation, table: str) -> None:
    """Call a field rule once per distinct value and keep the failing values in a temporary table."""
    judge = FIELD_RULES[expectation.type]
    first = quote(expectation.columns[0])
    second = f"coalesce({quote(expectation.columns[1])}, '')" if len(expectation.columns) == 2 else "''"
    cursor = connection.execute(f"SELECT DISTINCT {first}, {second} FROM {table} WHERE NOT _deleted AND {first} IS NOT NULL")  # noqa: S608
    bad: list[tuple[str, str]] = []
    while rows := cursor.fetchmany(_CHUNK):
        bad += [(a, b) for a, b in rows if not judge(a, b)]
    frame = pa.table({"a": pa.array([a for a, _ in bad], pa.string()), "b": pa.array([b for _, b in bad], pa.string())})
    connection.register("_steward_bad", frame)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {quote(failing_table(number))} AS SELECT a, b FROM _steward_bad")  # noqa: S608
    connection.unregister("_steward_bad")


def cross_check(
    connection: duckdb.DuckDBPyConnection, suite: Suite, rules: Sequence[Rule], table: str, sample: int | None
) -> list[str]:
    """Return the rules on which SQL and Great Expectations differ on a sample, or that raised; empty where they agree.

    The sample is the same for the same snapshot: records in the order of their digests. The SQL runs on the sample as
    well, since a value can be unique among fewer rows.
    """
    if sample == 0:
        return []
    limit = "" if sample is None else f" LIMIT {int(sample)}"
    used = sorted({c for rule in rules for c in (*rule.expectation.columns, *rule.expectation.condition_columns)})
    cells = ", ".join(quote(c) for c in used)
    source = f"(SELECT * FROM {table} WHERE NOT _deleted ORDER BY _digest, _line, _id{limit})"  # noqa: S608
    picked = "_id, row_number() OVER () AS _line, false AS _deleted" + (", " + cells if cells else "")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _steward_sample AS SELECT {picked} FROM {source}")  # noqa: S608
    problems: list[str] = []
    plain = [Rule(r.expectation, r.predicate, r.twice) for r in rules]  # custom SQL looks at whole tables
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _steward_ours AS {scan_sql(plain, '_steward_sample')}")
    ours: dict[str, set[int]] = {r.expectation.rule_id: set() for r in rules if not r.query}
    for number, line in connection.execute("SELECT unnest(failed), _line FROM _steward_ours").fetchall():
        ours[rules[number].expectation.rule_id].add(line)
    try:
        theirs = run_gx(suite, rules, _frame(connection, rules, used))
    except StewardError as error:
        return [printable(error)]
    for rule_id, rows in ours.items():
        if theirs.get(rule_id) != rows:
            problems.append(rule_id)
    return problems


def _frame(connection: duckdb.DuckDBPyConnection, rules: Sequence[Rule], used: Sequence[str]) -> Any:
    """Return the sample as pandas sees it: text or None, and the cast columns of bounds."""
    import pandas as pd

    casts = oracle_columns(rules)
    wanted = ["_line", *(quote(c) for c in used)]
    for _name, column, kind in casts:
        wanted.append(f"TRY_CAST({quote(column)} AS {'DOUBLE' if kind == 'number' else 'TIMESTAMP'})")
    rows = connection.execute(f"SELECT {', '.join(wanted)} FROM _steward_sample ORDER BY _line").fetchall()  # noqa: S608
    data: dict[str, Any] = {"_row": pd.Series([str(r[0]) for r in rows], dtype=object)}  # text: its JSON refuses numpy integers
    for at, column in enumerate(used, start=1):
        data[column] = pd.Series([r[at] for r in rows], dtype=object)
    by_name = {f"_between_{n}": rule.expectation.kwargs for n, rule in enumerate(rules)}
    for at, (name, column, kind) in enumerate(casts, start=1 + len(used)):
        instead = outside(by_name[name], kind)
        where = 1 + list(used).index(column)
        values = [None if r[where] is None else instead if r[at] is None or r[at] != r[at] else r[at] for r in rows]
        data[name] = pd.Series(values, dtype=float if kind == "number" else object)
    return pd.DataFrame(data)


def _evidence(
    connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, object: str, suite: Suite, rules: Sequence[Rule], table: str
) -> Iterator[list[Evidence]]:
    """Yield the evidence in chunks, sorted by record, line and rule."""
    used = sorted({c for rule in rules for c in rule.expectation.columns})
    cells = "".join(f", t.{quote(c)}" for c in used)
    cursor = connection.execute(
        f"SELECT f._id, f._line, t._file, list_sort(f.failed){cells} FROM _steward_failed f JOIN {table} t "  # noqa: S608
        "ON t._id = f._id AND t._line IS NOT DISTINCT FROM f._line WHERE NOT t._deleted ORDER BY f._id, f._line, f.failed"
    )
    place = {column: at for at, column in enumerate(used, start=4)}
    expected = [_expected(rule.expectation) for rule in rules]
    while rows := cursor.fetchmany(_CHUNK):
        chunk = []
        for row in rows:
            key = RecordKey(object, row[0])
            source = f"{object}/{row[0]}" if row[1] is None else f"{row[2] or object}:{row[1]}"
            for number in row[3]:
                expectation = rules[number].expectation
                values = tuple(ShownValue(c, row[place[c]], expected[number], source) for c in expectation.columns)
                chunk.append(
                    Evidence("invalid", key, expectation.rule_id, 1.0, expectation.reason["en"], values,
                             f"invalid:{object}:{row[0]}", suite.digest, expectation.severity)
                )  # fmt: skip
        yield chunk


def _expected(expectation: Expectation) -> str:
    """Return the rule in words short enough for a table cell."""
    kwargs = {k: v for k, v in expectation.kwargs.items() if k not in ("column", "column_A", "column_B", "column_list")}
    text = expectation.type.removeprefix("expect_").replace("_", " ")
    detail = json.dumps(kwargs, ensure_ascii=False, sort_keys=True) if kwargs else ""
    return (text + " " + detail).strip()[:200]


def _described(expectations: Sequence[Expectation]) -> dict[str, dict[str, object]]:
    return {e.rule_id: {"severity": e.severity, "reason": dict(e.reason), "owner": e.owner} for e in expectations}


def _lists(expectations: Sequence[Expectation]) -> dict[str, object]:
    """Return which edition of other people's lists was asked: with a newer one the same suite may find more."""
    if not any(e.type == "expect_column_values_to_not_be_disposable_email" for e in expectations):
        return {}
    return {"lists": {DISPOSABLE_LIST: version(DISPOSABLE_LIST)}}


def _drop(connection: duckdb.DuckDBPyConnection, rules: int) -> None:
    for name in ("_steward_failed", "_steward_sample", "_steward_ours", *(failing_table(n) for n in range(rules))):
        connection.execute(f"DROP TABLE IF EXISTS {quote(name)}")


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = connection.execute(sql).fetchone()
    return int(row[0]) if row else 0
