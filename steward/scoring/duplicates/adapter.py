"""Duplicates of one object of a snapshot: read from the workspace, linked, written back as evidence.

Left to others: the linking itself (``link``), storing (``steward.store``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from steward.errors import ScoringError
from steward.evidence import Evidence, ShownValue
from steward.messages import N_
from steward.records import RecordKey, Snapshot
from steward.scoring.duplicates.cluster import cluster_id
from steward.scoring.duplicates.columns import joined
from steward.scoring.duplicates.definition import Definition, parse_definition
from steward.scoring.duplicates.explain import read_weights, sentence, weights_json
from steward.scoring.duplicates.link import LinkResult, link
from steward.scoring.duplicates.plan import Plan
from steward.scoring.duplicates.proposals import propose_survivors
from steward.scoring.duplicates.score import Scorer
from steward.scoring.duplicates.splink_import import Finding, looks_like_splink, read_splink
from steward.scoring.duplicates.stored import with_model
from steward.scoring.duplicates.survivor import DEFAULT_RULES, Survivor, check_rules
from steward.store.sql import quote

if TYPE_CHECKING:
    from steward.store import Workspace

RULE_ID = "duplicate.fellegi-sunter"

SCORED_IN_ONE_CALL = 200_000


@dataclass(slots=True)
class DuplicateSummary:
    """What scoring one object found and how it went about it.

    Attributes
    ----------
    records : int
        Live records looked at.
    proposed : int
        Records that could be merged into a survivor: members of clusters less their survivors.
    clusters : int
    pairs : int
        Pairs kept for review, from ``definition.review_from`` up.
    compared : int
        Candidate pairs.
    cut : float
        Match probability from which duplicates are proposed.
    fields, rules, left_out : list
        What was compared as what, which blocking rules ran with their pairs, which columns and rules were left out and why.
    hubs : list of (field, value count)
        How many values of a field count as shared by many customers.
    steerable : int
        Clusters whose survivor someone able to add records could have chosen.
    definition, trained : str
        The definition in force as a file's text, and the same with the model in it: scoring by that trains nothing.
    note : str
        One line for a table.
    """

    object: str
    records: int
    proposed: int = 0
    clusters: int = 0
    pairs: int = 0
    compared: int = 0
    cut: float = 0.0
    prior_bits: float = 0.0
    fields: list[dict[str, Any]] = field(default_factory=list)
    rules: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)
    hubs: list[dict[str, Any]] = field(default_factory=list)
    steerable: int = 0
    definition: str = ""
    trained: str = ""
    note: str = ""


def load_definition(path: Path) -> Definition:
    """Read a linkage definition from a file: TOML, or a settings or model file of Splink in JSON.

    Raises
    ------
    ScoringError
        The file cannot be read or is no definition; a Splink comparison would be lost whole.
    """
    return read_definition(path)[0]


def read_definition(path: Path) -> tuple[Definition, list[Finding]]:
    """Return the definition of a file and, for one of Splink's, what is not the same here."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ScoringError(
            N_("The linkage definition {where} cannot be read."),
            next_step=N_("Check its name and that it is UTF-8 text."),
            where=path.name,
        ) from None
    if looks_like_splink(text):
        taken = read_splink(text, where=path.name)
        return taken.definition, taken.findings
    return parse_definition(text, where=path.name), []


def score_duplicates(
    ws: Workspace,
    snapshot: Snapshot,
    object: str,
    *,
    definition: Definition | None = None,
    seed: int = 0,
    apart: Iterable[tuple[RecordKey, RecordKey]] = frozenset(),
    together: Iterable[tuple[RecordKey, RecordKey]] = frozenset(),
    survivor_rules: Sequence[str] = DEFAULT_RULES,
    progress: Callable[[int], None] | None = None,
    before: Callable[[Plan], None] | None = None,
) -> DuplicateSummary:
    """Score the duplicates of one object and store pairs, clusters and evidence.

    Parameters
    ----------
    definition : Definition, optional
        None proposes one from the data.
    apart : iterable of (RecordKey, RecordKey)
        Pairs that a person rejected; they never share a cluster.
    together : iterable of (RecordKey, RecordKey)
        Pairs that a person merged; they share a cluster whatever they weigh.
    survivor_rules : sequence of str
        See :mod:`steward.scoring.duplicates.survivor`.
    before : callable, optional
        Called once with the plan, before any pair is compared; what it raises stops the run and leaves all as it was.

    Returns
    -------
    DuplicateSummary

    Raises
    ------
    ScoringError
        A definition that names columns the object does not have.
    TooManyPairsError
        A rule of the definition would explode.

    Notes
    -----
    Replaces what an earlier run wrote for this snapshot and object, in one transaction. Records in the recycle bin are
    not scored.
    """
    check_rules(survivor_rules)
    frame, role, references = read_object(ws, snapshot, object, definition)
    barred, held = (
        sorted({(min(a.id, b.id), max(a.id, b.id)) for a, b in pairs if a.object == object and b.object == object})
        for pairs in (apart, together)
    )
    result = link(
        frame, definition, seed, barred, ids="_id", together=held, role=role, references=references, progress=progress,
        before=_named(before, object),
    )  # fmt: skip
    summary = _summary(result, object)
    pairs, clusters, evidence, survivors = _tables(ws, snapshot, object, frame, result, survivor_rules, summary)
    ws.replace_evidence(
        snapshot,
        "duplicate",
        object,
        evidence=evidence,
        pairs=pairs,
        clusters=clusters,
        survivors=survivors,
        definition_digest=result.definition.digest,
        summary=asdict(summary),
    )
    return summary


def read_object(
    ws: Workspace, snapshot: Snapshot, object: str, definition: Definition | None = None
) -> tuple[pl.DataFrame, str | None, list[str]]:
    """Return the live records of an object as text with ``_id``, its role, and its columns that are not about the customer.

    Raises
    ------
    ScoringError
        The definition names columns that the object does not have.
    """
    columns = ws.columns(snapshot, object)
    if definition is not None:
        _check_columns(definition, columns, object)
    return _read(ws, snapshot, object, columns), *_hints(ws, snapshot, object)


def _named(before: Callable[[Plan], None] | None, object: str) -> Callable[[Plan], None] | None:
    if before is None:
        return None
    told = before

    def tell(plan: Plan) -> None:
        plan.object = object
        told(plan)

    return tell


def _read(ws: Workspace, snapshot: Snapshot, object: str, columns: Sequence[str]) -> pl.DataFrame:
    others = [c for c in columns if c != "_id"]  # a source may call its key so: it is there already
    chosen = ", ".join(f"CAST({quote(c)} AS VARCHAR) AS {quote(c)}" for c in others)
    sql = f"SELECT _id{', ' + chosen if chosen else ''} FROM {ws.table(snapshot, object)} WHERE NOT coalesce(_deleted, false)"  # noqa: S608 - quoted
    table = ws.connection.sql(sql).to_arrow_table()
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _check_columns(definition: Definition, columns: Sequence[str], object: str) -> None:
    for f in definition.fields:
        for column in f.columns:
            if column not in columns:
                raise ScoringError(
                    N_("The linkage definition names the column {column}, which {object} does not have."),
                    next_step=N_("It has: {known}."),
                    column=column,
                    object=object,
                    known=", ".join(columns),
                )


def _hints(ws: Workspace, snapshot: Snapshot, object: str) -> tuple[str | None, list[str]]:
    """Return the object's role and its columns that are not about the customer, as far as the mapping says."""
    mapped = ws.mapping(snapshot).objects.get(object)
    if mapped is None:
        return None, []
    technical = [mapped.key, mapped.created, mapped.modified, mapped.version, mapped.owner, mapped.event, mapped.amount]
    if mapped.soft_delete is not None:
        technical += [mapped.soft_delete.column, mapped.soft_delete.at, mapped.soft_delete.by]
    role = {"person": "person", "lead": "person", "user": "person", "company": "company"}.get(mapped.role)
    return role, [*mapped.parents, *(c for c in technical if c)]


def _summary(result: LinkResult, object: str) -> DuplicateSummary:
    summary = DuplicateSummary(object, len(result.table), pairs=len(result.pairs), compared=result.compared, cut=result.cut)
    summary.definition = result.definition.toml()
    if result.model is not None:
        summary.prior_bits = result.model.prior_bits
        summary.trained = with_model(result.definition, result.model, cut=result.cut).toml()
    summary.fields = [{"field": f.name, "kind": f.kind, "columns": list(f.columns)} for f in result.definition.fields]
    if result.blocks is not None:
        summary.rules = [
            {"rule": c.rule.name, "pairs": c.pairs, "records_left_out": c.left_out, "largest_block": c.largest}
            for c in result.blocks.costs
        ]
    if result.proposal is not None:
        summary.left_out = [{"column": c.column, "reason": c.reason} for c in result.proposal.columns if not c.used_as]
        summary.left_out += [{"rule": c.rule, "reason": c.reason} for c in result.proposal.rules if not c.used]
    counted: dict[str, list[int]] = {}
    for name, _, records in result.table.hubs:
        counted.setdefault(name, []).append(records)
    summary.hubs = [
        {"field": name, "values": len(records), "records": sum(records)} for name, records in sorted(counted.items())
    ]
    return summary


def _tables(
    ws: Workspace,
    snapshot: Snapshot,
    object: str,
    frame: pl.DataFrame,
    result: LinkResult,
    survivor_rules: Sequence[str],
    summary: DuplicateSummary,
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return pairs, clusters, evidence and survivors as tables, and complete the summary."""
    table = result.table
    ordered = frame[table.order.tolist()] if len(table) else frame
    raw = [joined(ordered, f.columns, f.first_filled) for f in result.definition.fields]
    related = result.model.related_names if result.model is not None else []
    pairs = result.pairs_frame().with_columns(_oriented(table.ids, result, raw, related).alias("weights_json"))
    groups = result.groups()
    survivors, proposals = propose_survivors(ws, snapshot, object, ordered, groups, survivor_rules)
    rows: list[tuple[str, str, bool]] = []
    for members in groups:
        name = cluster_id(object, members)
        rows += [(name, member, member == survivors[members[0]].id) for member in members]
    clusters = pl.DataFrame(
        rows, schema={"cluster_id": pl.String, "record_id": pl.String, "survivor": pl.Boolean}, orient="row"
    )
    evidence = _evidence(object, result, raw, groups, survivors, related)
    summary.clusters = len(groups)
    summary.proposed = sum(len(g) - 1 for g in groups)
    summary.steerable = sum(s.steerable for s in survivors.values())
    fields = ", ".join(f.name for f in result.definition.fields)
    summary.note = (
        f"{summary.clusters} clusters at p ≥ {summary.cut:.2f}; compared: {fields}" if fields else "nothing to compare"
    )
    return pairs, clusters, evidence, proposals


def _oriented(ids: Any, result: LinkResult, raw: list[pl.Series], related: list[str]) -> pl.Series:
    """Return the weights of each pair with the smaller id's value on the left, as the pair names them."""
    pairs = result.pairs
    a, b = ids[pairs.left], ids[pairs.right]
    swap = np.array([x > y for x, y in zip(a, b, strict=True)], bool)
    turned = pairs.take(np.arange(len(pairs)))
    turned.left, turned.right = np.where(swap, pairs.right, pairs.left), np.where(swap, pairs.left, pairs.right)
    return weights_json(result.table, raw, turned, related)


def _evidence(
    object: str,
    result: LinkResult,
    raw: list[pl.Series],
    groups: Sequence[Sequence[str]],
    survivors: Mapping[str, Survivor],
    related: list[str],
) -> pl.DataFrame:
    """Return one piece of evidence per member that would go, against the survivor."""
    schema = {
        "record_id": pl.String, "case_id": pl.String, "rule_id": pl.String, "score": pl.Float64, "sentence": pl.String,
        "values_json": pl.String, "severity": pl.String, "policy_digest": pl.String, "digest": pl.String,
    }  # fmt: skip
    if not groups or result.model is None:
        return pl.DataFrame(schema=schema)
    table = result.table
    row_of = {str(name): row for row, name in enumerate(table.ids)}
    goes = [(member, survivors[g[0]].id, cluster_id(object, g)) for g in groups for member in g if member != survivors[g[0]].id]
    scorer = Scorer(table, result.model, -np.inf)
    digest = result.definition.digest
    rows = []
    for start in range(0, len(goes), SCORED_IN_ONE_CALL):
        part = goes[start : start + SCORED_IN_ONE_CALL]
        left = np.array([row_of[m] for m, _, _ in part], np.int64)
        right = np.array([row_of[s] for _, s, _ in part], np.int64)
        scored = scorer.score(left, right, 0, keep_all=True)
        texts = weights_json(table, raw, scored, related)
        rules = result.blocks.found_by(left, right) if result.blocks is not None else [""] * len(part)
        facts = zip(part, scored.probability.tolist(), scored.weight.tolist(), rules, texts, strict=True)
        for (member, kept, case), probability, total, rule, text in facts:
            weights = read_weights(text)
            shown = tuple(
                ShownValue(w.field, w.left, w.right, f"{object}/{kept}", round(w.bits, 4))
                for w in weights
                if w.agreement != "missing"
            )
            evidence = Evidence(
                "duplicate", RecordKey(object, member), RULE_ID, float(min(max(probability, 0.0), 1.0)),
                sentence(f"{object}/{kept}", probability, weights, rule, total), shown, case, digest,
            )  # fmt: skip
            values = [
                {"field": v.field, "value": v.value, "compared_with": v.compared_with, "source": v.source, "points": v.points}
                for v in shown
            ]
            rows.append(
                (
                    member,
                    case,
                    RULE_ID,
                    evidence.score,
                    evidence.sentence,
                    json.dumps(values, ensure_ascii=False),
                    "",
                    digest,
                    evidence.digest,
                )
            )
    return pl.DataFrame(rows, schema=schema, orient="row")
