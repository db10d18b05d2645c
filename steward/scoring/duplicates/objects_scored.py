"""A user's recordlinkage objects scored into a workspace: pairs, clusters, survivors and evidence like any other run.

Left to others: running the objects (``objects``), survivors (``proposals``), storing (``steward.store``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import polars as pl

from steward.evidence import Evidence, MatchWeight, ShownValue
from steward.records import RecordKey, Snapshot
from steward.scoring.duplicates.adapter import RULE_ID, DuplicateSummary, read_object
from steward.scoring.duplicates.cluster import cluster_id
from steward.scoring.duplicates.explain import sentence
from steward.scoring.duplicates.objects import ObjectResult, link_objects
from steward.scoring.duplicates.proposals import propose_survivors
from steward.scoring.duplicates.survivor import DEFAULT_RULES, check_rules
from steward.store.findings import evidence_table, weights_json

if TYPE_CHECKING:
    from steward.store import Workspace


def score_objects_of(
    ws: Workspace,
    snapshot: Snapshot,
    object: str,
    index: Any,
    compare: Any,
    classifier: Any = None,
    *,
    cut: float = 0.5,
    review_from: float = 0.01,
    apart: Iterable[tuple[RecordKey, RecordKey]] = frozenset(),
    survivor_rules: Sequence[str] = DEFAULT_RULES,
    matches: Any = None,
) -> DuplicateSummary:
    """Score the duplicates of one object with a user's own recordlinkage objects, and store what they found.

    Parameters
    ----------
    index, compare, classifier : recordlinkage objects
        Over the object's columns, all of them text; see :func:`steward.scoring.duplicates.objects.link_objects`.
    cut, review_from : float
        Probability from which duplicates are proposed, and from which a pair is kept for people to look at.
    apart : iterable of (RecordKey, RecordKey)
        Pairs that a person rejected.

    Notes
    -----
    Replaces what an earlier run wrote for this snapshot and object, in one transaction. The run's definition digest is that of
    the objects' settings as text; a function of the user's own enters it by its name alone.
    """
    check_rules(survivor_rules)
    frame, _, _ = read_object(ws, snapshot, object)
    barred = [(a.id, b.id) for a, b in apart if a.object == object and b.object == object]
    table = frame.to_pandas().replace("", None)
    found = link_objects(table, index, compare, classifier, ids="_id", matches=matches, apart=barred, cut=cut)
    said = settings_text(index, compare, found.classifier)
    digest = hashlib.sha256(said.encode()).hexdigest()
    pairs = found.pairs_frame()
    rows = [row for row, p in enumerate(pairs["probability"].to_list()) if p >= review_from]
    kept = pairs[rows]
    weights = [_weights(found, row) for row in rows]
    ordered = [
        tuple(_turned(w) for w in ws_) if _is_turned(found, row) else ws_ for row, ws_ in zip(rows, weights, strict=True)
    ]
    kept = kept.with_columns(pl.Series("weights_json", [weights_json(w) for w in ordered], dtype=pl.String))
    groups = found.groups()
    survivors, proposals = propose_survivors(ws, snapshot, object, frame, groups, survivor_rules)
    clusters = pl.DataFrame(
        [(cluster_id(object, g), m, m == survivors[g[0]].id) for g in groups for m in g],
        schema={"cluster_id": pl.String, "record_id": pl.String, "survivor": pl.Boolean},
        orient="row",
    )
    by_pair = {
        (a, b): (p, total, rule, w)
        for (a, b, total, p, rule), w in zip(
            kept.select("left_id", "right_id", "match_weight", "probability", "rule").iter_rows(), ordered, strict=True
        )
    }
    evidence = [
        _evidence(object, member, survivors[g[0]].id, g, by_pair, digest)
        for g in groups
        for member in g
        if member != survivors[g[0]].id
    ]
    summary = DuplicateSummary(
        object, len(frame), sum(len(g) - 1 for g in groups), len(groups), kept.height, found.compared, cut, definition=said
    )
    summary.fields = [{"field": str(c), "kind": "recordlinkage", "columns": []} for c in found.patterns.columns]
    summary.rules = [
        {"rule": r.name, "pairs": found.compared, "records_left_out": 0, "largest_block": 0} for r in found.definition.rules[:1]
    ]
    summary.steerable = sum(s.steerable for s in survivors.values())
    summary.note = f"{summary.clusters} clusters at p ≥ {cut:.2f}; compared: {', '.join(map(str, found.patterns.columns))}"
    ws.replace_evidence(
        snapshot, "duplicate", object, evidence=evidence_table(evidence), pairs=kept, clusters=clusters, survivors=proposals,
        definition_digest=digest, summary=asdict(summary),
    )  # fmt: skip
    return summary


def settings_text(index: Any, compare: Any, classifier: Any) -> str:
    """Return the settings of recordlinkage objects as text that is the same for the same settings."""

    def plain(thing: Any) -> dict[str, Any]:
        values = {k: v for k, v in vars(thing).items() if not k.startswith("_") and k not in ("kernel", "params")}
        function = getattr(thing, "_f_compare_vectorized", None)
        if function is not None:
            values["function"] = getattr(function, "__qualname__", type(function).__name__)
        return {"type": type(thing).__name__, **{k: repr(v) for k, v in sorted(values.items())}}

    kernel: Any = getattr(classifier, "kernel", None)
    settings = {k: repr(v) for k, v in sorted(kernel.get_params().items())} if hasattr(kernel, "get_params") else {}
    body = {
        "index": [plain(a) for a in index.algorithms],
        "compare": [plain(f) for f in compare.features],
        "classifier": {"type": type(classifier).__name__, "settings": settings},
    }
    return json.dumps(body, ensure_ascii=False, indent=1, sort_keys=True)


def _weights(found: ObjectResult, row: int) -> tuple[MatchWeight, ...]:
    """Return the weights of a pair; of a classifier without any, its odds as one entry."""
    weights = found.explain(row)
    if weights:
        return weights
    total = float(found.pairs.weight[row])
    level = ", ".join(f"{c} {float(v):g}" for c, v in found.patterns.iloc[int(found.pattern_of[row])].items())
    return (MatchWeight("classifier", "agree" if total > 0 else "disagree", level, total, None, None),)


def _is_turned(found: ObjectResult, row: int) -> bool:
    """Tell whether the pair's smaller id was compared as the right one."""
    return str(found.table.ids[found.pairs.right[row]]) > str(found.table.ids[found.pairs.left[row]])


def _turned(w: MatchWeight) -> MatchWeight:
    return MatchWeight(w.field, w.agreement, w.level, w.bits, w.right, w.left)


def _evidence(
    object: str, member: str, kept: str, group: Sequence[str], by_pair: dict[tuple[str, str], Any], digest: str
) -> Evidence:
    """Return the reason for one member: its pair with the survivor, else its strongest pair in the cluster."""
    mine = {m: by_pair[pair] for m in group if m != member and (pair := (min(m, member), max(m, member))) in by_pair}
    other = kept if kept in mine else max(mine, key=lambda m: (mine[m][1], m)) if mine else kept
    probability, total, rule, weights = mine.get(other, (0.0, None, "", ()))
    turned = member > other  # values stand as the pair names them, smaller id first
    shown = tuple(
        ShownValue(w.field, w.right if turned else w.left, w.left if turned else w.right, f"{object}/{other}", round(w.bits, 4))
        for w in weights
        if w.agreement != "missing"
    )
    return Evidence(
        "duplicate", RecordKey(object, member), RULE_ID, float(min(max(probability, 0.0), 1.0)),
        sentence(f"{object}/{other}", probability, weights, rule, total), shown, cluster_id(object, group), digest,
    )  # fmt: skip
