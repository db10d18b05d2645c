"""Learning from decisions: labelled pairs move the weights, and what would change is shown before anyone accepts it.

Pairs that people merged are matches, pairs they told apart are not. The outcome is regressed on the fields: m of each
level and the prior move so that the decisions become likelier, each held near where it was (so a dozen decisions nudge
and a thousand decide). Counting levels among merged pairs instead would be wrong: people are shown the doubtful pairs, in
which matches disagree more than matches do. u stays: decided pairs are no random pairs. Nothing is drawn at random.

Left to others: the decision log (``steward.store``), clusters before and after (``changes``), screens (``steward.commands``).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from steward.decisions import DecisionAction, Standing
from steward.errors import ScoringError
from steward.messages import N_
from steward.records import RecordKey, Snapshot
from steward.scoring.duplicates.changes import Change, compare
from steward.scoring.duplicates.columns import Table, build
from steward.scoring.duplicates.definition import Definition, parse_definition
from steward.scoring.duplicates.link import LinkResult, link
from steward.scoring.duplicates.score import Scorer
from steward.scoring.duplicates.stored import stored_model, with_model
from steward.scoring.duplicates.train import Model

if TYPE_CHECKING:
    from steward.store import Workspace

Floats = npt.NDArray[np.float64]

LEVEL_BITS = 0.5
"""Standard deviation, in bits, of what the weight of a level is expected to move."""

SHIFT_BITS = 3.0
"""Standard deviation, in bits, of what the prior is expected to move."""

LEAST_LABELS = 5
"""Decided pairs below which nothing is learned."""

FOLDS = 5


@dataclass(frozen=True, slots=True)
class Labels:
    """Pairs of one object that people decided: merged, or told apart. Ids, smaller first; no pair is in both."""

    together: tuple[tuple[str, str], ...]
    apart: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return len(self.together) + len(self.apart)


def labels_from(standing: Standing, object: str, *, rules_too: bool = False) -> Labels:
    """Return the decided pairs of an object.

    Parameters
    ----------
    rules_too : bool
        Count merges that a written rule decided as well; by default people alone teach.

    Notes
    -----
    Records merged into one survivor are all one customer, so every pair among them is a match. A pair told apart counts as
    apart whatever merges imply; records in conflict teach nothing.
    """
    contested = {c.key for c in standing.conflicts}
    group: dict[str, set[str]] = {}
    for key, d in standing.by_key.items():
        if (
            key.object == object
            and d.action is DecisionAction.MERGE
            and d.target
            and key not in contested
            and (rules_too or not d.by_rule)
        ):
            joined = group.get(key.id, {key.id}) | group.get(d.target, {d.target})
            for member in joined:
                group[member] = joined
    apart = {_pair(a.id, b.id) for a, b in standing.not_duplicates if a.object == object and b.object == object}
    together = {
        _pair(a, b) for members in {id(g): g for g in group.values()}.values() for a in members for b in members if a < b
    }
    return Labels(tuple(sorted(together - apart)), tuple(sorted(apart)))


def merged_by_people(standing: Standing) -> frozenset[tuple[RecordKey, RecordKey]]:
    """Return each record with the survivor that a person merged it into; records in conflict are left out."""
    contested = {c.key for c in standing.conflicts}
    return frozenset(
        (key, RecordKey(key.object, d.target))
        for key, d in standing.by_key.items()
        if d.action is DecisionAction.MERGE and d.target and not d.by_rule and key not in contested
    )


def _pair(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a <= b else (b, a)


@dataclass(slots=True)
class FieldChange:
    """What became of one field: bits of each level from *differs* to *exact*, before and after, and the matches seen there."""

    field: str
    levels: tuple[str, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    seen: tuple[int, ...]


@dataclass(slots=True)
class Lesson:
    """What learning would change; nothing is stored by making one.

    Attributes
    ----------
    definition : Definition
        The definition with the learned model; accept it by writing its ``toml()`` to a file.
    prior_bits : (float, float)
        log2 of the prior odds before and after.
    fit : (float, float)
        Mean surprise, in bits, that the decisions are under the old and the new weights, each decision judged by weights
        that were learned without it. Smaller is better.
    right : (int, int)
        Decided pairs on the right side of the cut, before and after, judged the same way.
    changes : list of Change
        Clusters before against clusters after.
    gained, lost : int
        Pairs that rise above the cut or fall below it.
    """

    object: str
    labels: Labels
    definition: Definition
    fields: list[FieldChange]
    prior_bits: tuple[float, float]
    fit: tuple[float, float]
    right: tuple[int, int]
    cut: tuple[float, float]
    changes: list[Change] = field(default_factory=list)
    gained: int = 0
    lost: int = 0

    @property
    def better(self) -> bool:
        """True where the new weights explain decisions they have not seen better than the old ones."""
        return self.fit[1] < self.fit[0]

    @property
    def digest(self) -> str:
        """Digest of the learned definition."""
        return self.definition.digest


def learn(
    frame: pl.DataFrame,
    definition: Definition,
    labels: Labels,
    *,
    ids: str = "_id",
    object: str = "",
    role: str | None = None,
    references: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
) -> Lesson:
    """Return what the decided pairs would change.

    Parameters
    ----------
    frame : DataFrame
        The records, text columns.
    definition : Definition
        With its model (:attr:`Definition.trained`); its cut, where it has one, is kept.
    labels : Labels

    Raises
    ------
    ScoringError
        Fewer than :data:`LEAST_LABELS` decided pairs of records that are there, or a definition without a model.
    """
    table = build(frame, definition, ids=ids)
    model = stored_model(table, definition)
    if model is None:
        raise ScoringError(
            N_("The linkage definition holds no model to learn on."),
            next_step=N_("Score once, or give one that was saved with --save-model."),
        )
    before = link(frame, definition, 0, labels.apart, ids=ids, role=role, references=references, progress=progress)
    left, right, match = _rows(table, labels)
    if len(match) < LEAST_LABELS:
        raise ScoringError(
            N_("{count} pairs are decided; fewer than {least} tell nothing."),
            next_step=N_("Merge duplicates or mark pairs as no duplicates in the review first."),
            count=len(match),
            least=LEAST_LABELS,
        )
    learned, seen = _learned(table, model, left, right, match)
    fresh = with_model(replace(definition, cut=None), learned)
    after = link(
        frame, fresh, 0, labels.apart, ids=ids, together=labels.together, role=role, references=references, progress=progress
    )
    fit, hits = _judged(table, model, left, right, match, before.cut)
    old, new = model.bits(), learned.bits()
    fields = [
        FieldChange(
            c.field.name,
            tuple(x.name for x in c.kind.levels),
            tuple(map(float, o[:-1])),
            tuple(map(float, n[:-1])),
            tuple(map(int, s)),
        )
        for c, o, n, s in zip(table.columns, old, new, seen, strict=True)
    ]
    gained, lost = _crossed(before, after)
    return Lesson(
        object, labels, replace(fresh, cut=float(after.cut)), fields, (model.prior_bits, learned.prior_bits), fit, hits,
        (before.cut, after.cut), compare(before.groups(), after.groups()), gained, lost,
    )  # fmt: skip


def _rows(table: Table, labels: Labels) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return decided pairs as positions, and which are matches; pairs of records that are gone are left out."""
    row = {str(name): i for i, name in enumerate(table.ids)}
    known = [(row[a], row[b], True) for a, b in labels.together if a in row and b in row]
    known += [(row[a], row[b], False) for a, b in labels.apart if a in row and b in row]
    left = np.array([min(a, b) for a, b, _ in known], np.int64)
    right = np.array([max(a, b) for a, b, _ in known], np.int64)
    return left, right, np.array([m for _, _, m in known], bool)


def _learned(
    table: Table, model: Model, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64], match: npt.NDArray[np.bool_]
) -> tuple[Model, list[Floats]]:
    """Return the model moved by decided pairs, and how many matches were seen at each level."""
    scored = Scorer(table, model, -math.inf).score(left, right, 0, keep_all=True)
    move, shift = _regressed(scored.weight, scored.levels, [np.asarray(m, np.float64) for m in model.m], match)
    m = [old.sum() * _moved(old, by) for old, by in zip(model.m, move, strict=True)]
    seen = [np.bincount(column[column >= 0], minlength=len(old))[: len(old)].astype(np.float64)
            for column, old in zip(scored.levels[match].T, model.m, strict=True)]  # fmt: skip
    prior = 1.0 / (1.0 + 2.0 ** -(model.prior_bits + shift))
    return replace(model, m=m, prior=float(min(max(prior, 1e-12), 0.5))), seen


def _moved(m: Floats, by: Floats) -> Floats:
    """Return m with each level's share multiplied by ``2 ** by``, summing to 1."""
    grown: Floats = m * np.exp2(by)
    grown /= grown.sum()
    return grown


def _regressed(
    weight: Floats, levels: npt.NDArray[np.int8], m: list[Floats], match: npt.NDArray[np.bool_]
) -> tuple[list[Floats], float]:
    """Return what each level's share and the prior should move, in bits; penalised logistic regression.

    Notes
    -----
    A pair's weight moves by the prior's shift and, for each field that is not missing, by what its level's share of m has
    gained: ``by - log2(sum(m * 2**by))``. The loss is convex but for that last term and is minimised from 0 by L-BFGS.
    """
    from scipy.optimize import minimize

    sizes = [len(p) for p in m]
    ends = np.cumsum(sizes)[:-1]
    hot = np.hstack([levels[:, f, None] == np.arange(size) for f, size in enumerate(sizes)]).astype(np.float64)
    there = (levels >= 0).astype(np.float64)
    held = np.clip(weight, -60.0, 60.0)
    log2 = math.log(2.0)

    def loss(x: Floats) -> tuple[float, Floats]:
        by, shift = np.split(x[:-1], ends), x[-1]
        grown = [p / p.sum() * np.exp2(b) for p, b in zip(m, by, strict=True)]
        off = np.array([np.log2(g.sum()) for g in grown])
        new = held + shift + hot @ x[:-1] - there @ off
        bits = np.where(match, new, -new)
        surprise = float(np.logaddexp(0.0, -log2 * bits).sum())
        slope = log2 * (1.0 / (1.0 + np.exp2(-new)) - match)
        each = np.split(hot.T @ slope, ends)
        whole = there.T @ slope
        gradient = [e - g / g.sum() * w + b / LEVEL_BITS**2 for e, g, w, b in zip(each, grown, whole, by, strict=True)]
        penalty = float((x[:-1] ** 2).sum()) / (2 * LEVEL_BITS**2) + float(shift**2) / (2 * SHIFT_BITS**2)
        return surprise + penalty, np.append(np.concatenate(gradient), slope.sum() + shift / SHIFT_BITS**2)

    found = minimize(loss, np.zeros(sum(sizes) + 1), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return np.split(np.asarray(found.x[:-1], np.float64), ends), float(found.x[-1])


def _judged(
    table: Table,
    model: Model,
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
    match: npt.NDArray[np.bool_],
    cut: float,
) -> tuple[tuple[float, float], tuple[int, int]]:
    """Return surprise and hits of the old and the new weights, each pair judged by weights learned without its records' pairs."""
    names = ["\n".join(sorted((str(table.ids[a]), str(table.ids[b])))) for a, b in zip(left, right, strict=True)]
    fold = np.array([int(hashlib.sha256(n.encode()).hexdigest()[:8], 16) % FOLDS for n in names])
    old = Scorer(table, model, -math.inf).score(left, right, 0, keep_all=True).weight
    new = old.copy()
    for k in range(FOLDS):
        test, train = np.flatnonzero(fold == k), np.flatnonzero(fold != k)
        if len(test) and len(train):
            learned, _ = _learned(table, model, left[train], right[train], match[train])
            new[test] = Scorer(table, learned, -math.inf).score(left[test], right[test], 0, keep_all=True).weight
    bits = math.log2(cut / (1 - cut))
    hits = tuple(int(((w >= bits) == match).sum()) for w in (old, new))
    surprise = tuple(float(np.mean(np.log2(1.0 + np.exp2(-np.clip(np.where(match, w, -w), -60, 60))))) for w in (old, new))
    return (surprise[0], surprise[1]), (hits[0], hits[1])


def _crossed(before: LinkResult, after: LinkResult) -> tuple[int, int]:
    """Return how many pairs rise above the cut and how many fall below it."""
    sides = []
    for result in (before, after):
        frame = result.pairs_frame().filter(pl.col("probability") >= result.cut)
        sides.append(set(frame.select("left_id", "right_id").iter_rows()))
    return len(sides[1] - sides[0]), len(sides[0] - sides[1])


def lesson_for(
    ws: Workspace,
    snapshot: Snapshot,
    object: str,
    standing: Standing,
    *,
    definition: Definition | None = None,
    rules_too: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Lesson:
    """Return what the decisions of a workspace would change in the scoring of one object.

    Parameters
    ----------
    definition : Definition, optional
        With its model; by default the one the snapshot was scored with.

    Raises
    ------
    ScoringError
        The object was not scored, or too little is decided.
    """
    from steward.scoring.duplicates.adapter import read_object

    if definition is None:
        run = next((r for r in ws.runs(snapshot) if r["kind"] == "duplicate" and r["object"] == object), None)
        text = str((run or {}).get("summary", {}).get("trained") or "")
        if not text:
            raise ScoringError(
                N_("{object} has not been scored for duplicates on this snapshot, or nothing was compared."),
                next_step=N_("Run steward score first."),
                object=object,
            )
        definition = parse_definition(text)
    frame, role, references = read_object(ws, snapshot, object, definition)
    labels = labels_from(standing, object, rules_too=rules_too)
    return learn(frame, definition, labels, object=object, role=role, references=references, progress=progress)


def lesson_document(lesson: Lesson) -> Mapping[str, object]:
    """Return a lesson for machines."""
    return {
        "object": lesson.object,
        "digest": lesson.digest,
        "decided": {"together": len(lesson.labels.together), "apart": len(lesson.labels.apart)},
        "better": lesson.better,
        "surprise_bits": {"before": lesson.fit[0], "after": lesson.fit[1]},
        "right": {"before": lesson.right[0], "after": lesson.right[1]},
        "prior_bits": {"before": lesson.prior_bits[0], "after": lesson.prior_bits[1]},
        "cut": {"before": lesson.cut[0], "after": lesson.cut[1]},
        "pairs": {"gained": lesson.gained, "lost": lesson.lost},
        "fields": [
            {"field": f.field, "levels": list(f.levels), "before": list(f.before), "after": list(f.after), "seen": list(f.seen)}
            for f in lesson.fields
        ],
        "changes": [
            {"fate": c.fate, "before": [list(x) for x in c.before], "after": [list(x) for x in c.after]}
            for c in lesson.changes
            if c.fate != "unchanged"
        ],
    }
