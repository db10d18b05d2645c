"""What the data say about the model: u from all records, m from each rule's pairs, the prior from expected matches.

u is counted: exact agreement from the values' frequencies, the other levels on a cross of sampled records, so that no
blocking rule can bias it. m is estimated per rule with the rule's own fields left out of it, each rule with equal voice;
rules whose pairs are hardly ever matches stay silent. The prior follows from the matches expected over all rules.

Left to others: the estimator (``model``), pairs (``blocks``), scoring (``score``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steward.scoring.duplicates.blocks import Blocks
from steward.scoring.duplicates.columns import Table
from steward.scoring.duplicates.levels import SWAPPED, compare_codes, compare_values
from steward.scoring.duplicates.model import Floats, WeightedECM, log_likelihoods, patterns

Positions = npt.NDArray[np.int64]

U_SAMPLE = 480
"""Records drawn to each side for the levels of u below exact."""

TRAIN_PAIRS = 20_000
"""Pairs per rule that m is estimated on."""

SMOOTHING = 12.0
"""Pseudo-matches that hold m near the shares of its kind; a table of thousands overrules them, one of a hundred does not."""


@dataclass(slots=True)
class Model:
    """Everything a weight is computed from.

    Attributes
    ----------
    m, u : list of array
        Probability of each level per field, among matches and among random pairs.
    related : list of tuple of bool
        Per class of related non-matches, the fields it shares.
    related_names : list of str
    prior : float
        Probability that two random records match.
    related_odds : list of float
        Pairs of each related class per match.
    rules_heard : list of str
    """

    m: list[Floats]
    u: list[Floats]
    related: list[tuple[bool, ...]]
    related_names: list[str]
    prior: float
    related_odds: list[float]
    rules_heard: list[str]

    @property
    def prior_bits(self) -> float:
        """log2 of the prior odds."""
        return float(np.log2(self.prior / (1 - self.prior)))

    def bits(self) -> list[Floats]:
        """Return log2(m/u) per field and level, with 0 in the last place for missing."""
        return [np.append(np.log2(m / u), 0.0) for m, u in zip(self.m, self.u, strict=True)]


def compare_pairs(table: Table, left: Positions, right: Positions) -> npt.NDArray[np.int8]:
    """Return levels (n_pairs, n_fields); names in each other's column count once."""
    out = np.empty((len(left), len(table.columns)), np.int8)
    for f, column in enumerate(table.columns):
        out[:, f] = compare_codes(column, column.codes[left], column.codes[right])
    _see_swaps(table, left, right, out)
    return out


def _see_swaps(table: Table, left: Positions, right: Positions, levels: npt.NDArray[np.int8]) -> None:
    """Recognise given and family names in each other's column."""
    names = [c.kind.name for c in table.columns]
    if "given" not in names or "family" not in names:
        return
    g, f = names.index("given"), names.index("family")
    given, family = table.columns[g], table.columns[f]
    shared = {key: code for code, key in enumerate(family.key.tolist())}
    cross = np.append(np.array([shared.get(k, -2) for k in given.key.tolist()], np.int64), -3)
    doubt = np.flatnonzero((levels[:, g] == 0) & (levels[:, f] == 0))
    if not len(doubt):
        return
    a, b = left[doubt], right[doubt]
    swapped = (cross[given.codes[a]] == family.codes[b]) & (cross[given.codes[b]] == family.codes[a])
    rows = doubt[swapped]
    levels[rows, g] = SWAPPED
    levels[rows, f] = -1


def related_classes(table: Table) -> tuple[list[tuple[bool, ...]], list[str]]:
    """Return which fields relatives of one household, colleagues and branches of one company share."""
    kinds = [c.kind for c in table.columns]
    names = {k.name for k in kinds}
    classes: list[tuple[bool, ...]] = []
    labels: list[str] = []
    if names & {"given", "birthdate"} or ("person" in names and len(names) > 1):
        classes.append(tuple(not k.individual for k in kinds))
        labels.append("household")
    if (names & {"company", "domain"} and any(k.local for k in kinds)) or ("person" not in names and "text" in names):
        classes.append(tuple(not (k.local or k.individual) for k in kinds))
        labels.append("branch")
    if "company" in names and names & {"address", "postcode", "phone"} and not names & {"given", "family", "person"}:
        classes.append(tuple(k.name in ("address", "city", "postcode", "category") for k in kinds))
        labels.append("neighbour")
    classes = [c for c in classes if any(c) and not all(c)]
    return classes, labels[: len(classes)]


def estimate_u(table: Table, rng: np.random.Generator) -> list[Floats]:
    """Return u per field: exact agreement counted, lower levels on a cross of sampled records."""
    out: list[Floats] = []
    for column in table.columns:
        size = len(column.kind.levels)
        n = column.filled
        if n < 2:
            out.append(np.full(size, 1.0 / size))
            continue
        counts = column.counts[~column.shared].astype(np.float64)
        exact = float((counts * (counts - 1)).sum() / (n * (n - 1.0)))
        weights = column.counts / n
        draw = min(U_SAMPLE, n)
        a = rng.choice(len(column.key), draw, p=weights)
        b = rng.choice(len(column.key), draw, p=weights)
        values_a, count_a = np.unique(a, return_counts=True)
        values_b, count_b = np.unique(b, return_counts=True)
        left, right = np.repeat(values_a, len(values_b)), np.tile(values_b, len(values_a))
        weight = np.repeat(count_a, len(values_b)) * np.tile(count_b, len(values_a)).astype(np.float64)
        apart = left != right
        left, right, weight = left[apart], right[apart], weight[apart]
        level = compare_values(column, left, right) if len(left) else np.zeros(0, np.int8)
        lower = np.bincount(level, weights=weight, minlength=size)[: size - 1] + 0.5
        lower[0] += 2.0
        lower = lower / lower.sum() * (1.0 - exact)
        u = np.append(lower, max(exact, 0.25 / max(len(column.key), n)))
        if column.kind.name == "given":
            u[SWAPPED] = max(exact / 4, 1e-7)
        out.append(u / u.sum())
    return out


def fit(table: Table, blocks: Blocks, seed: int) -> Model:
    """Return the model that the table's own pairs suggest.

    Parameters
    ----------
    seed : int
        Of the sample that u's lower levels are counted on; the same seed and contents give the same model to the last bit.
    """
    rng = np.random.default_rng(seed)
    u = estimate_u(table, rng)
    start = [np.array([level.match_share for level in c.kind.levels]) for c in table.columns]
    related, labels = related_classes(table)
    sizes = [len(c.kind.levels) for c in table.columns]
    positions = {c.field.name: f for f, c in enumerate(table.columns)}
    heard: list[str] = []
    votes: list[list[tuple[float, Floats]]] = [[] for _ in sizes]
    samples: list[tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]] = []
    for number, rule in enumerate(blocks.rules):
        left, right, each = blocks.sample(number, TRAIN_PAIRS if rule.keys else 30 * TRAIN_PAIRS, only_new=False)
        if not len(left):
            continue
        levels = compare_pairs(table, left, right)
        new = _first_found(blocks, number, left, right)
        distinct, _, counts = patterns(levels[new])
        samples.append((distinct, counts.astype(np.float64) * each))
        if not rule.keys:
            continue
        own = {positions[name] for name, _ in rule.keys}
        seen = levels.copy()
        seen[:, sorted(own)] = -1
        distinct, _, counts = patterns(seen)
        kernel = WeightedECM(sizes, related, smoothing=SMOOTHING).fit(distinct, counts, m=start, u=u)
        if kernel.shares_[0] <= 0.05:
            continue
        heard.append(rule.name)
        given = kernel.responsibilities(distinct)[:, 0] * counts
        for f in range(len(sizes)):
            if f not in own:
                mass = float(given[distinct[:, f] >= 0].sum())
                votes[f].append((mass, kernel.m_[f]))
    m = []
    for f, size in enumerate(sizes):
        if votes[f]:
            voice = np.array([min(mass, 500.0) for mass, _ in votes[f]]) + 1e-9
            m.append(np.average([p for _, p in votes[f]], axis=0, weights=voice))
        else:
            m.append(start[f])
        m[f] = np.maximum(m[f], 1e-4)
        m[f] /= m[f].sum()
        del size
    prior, odds = _mixture(table, samples, m, u, related)
    return Model(m, u, related, labels, prior, odds, heard)


def _first_found(blocks: Blocks, number: int, left: Positions, right: Positions) -> npt.NDArray[np.bool_]:
    keep = np.ones(len(left), bool)
    for earlier in blocks.keys[:number]:
        at = earlier[left]
        keep &= (at != earlier[right]) | (at < 0)
    return keep


def _mixture(
    table: Table,
    samples: list[tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]],
    m: list[Floats],
    u: list[Floats],
    related: list[tuple[bool, ...]],
) -> tuple[float, list[float]]:
    """Return the prior and the pairs of each related class per match, from all rules' pairs; pairs no rule finds are strangers."""
    n = len(table)
    if table.source.any():
        second = int(table.source.sum())
        all_pairs = float(second * (n - second))
    else:
        all_pairs = n * (n - 1) / 2.0
    all_pairs = max(all_pairs, 1.0)
    if not samples:
        return min(0.5, 1.0 / max(n, 2)), [1.0] * len(related)
    vectors = np.concatenate([s[0] for s in samples]).astype(np.int64)
    weight = np.concatenate([s[1] for s in samples])
    logs = log_likelihoods(vectors, m, u, related)
    shares = np.array([0.1 * n / all_pairs, 1.0] + [0.1 * n / all_pairs] * len(related))
    for _ in range(200):
        joint = logs + np.log(shares)
        joint -= joint.max(axis=1, keepdims=True)
        given = np.exp(joint)
        given /= given.sum(axis=1, keepdims=True)
        mass = (given * weight[:, None]).sum(axis=0)
        expected = mass / all_pairs
        expected[1] = 0.0
        new = np.maximum(expected, 0.002 * n / all_pairs / max(n, 100) * 10)
        new[2:] = np.maximum(new[2:], 0.3 * new[0])
        new[1] = max(1.0 - new[0] - new[2:].sum(), 1e-3)
        done = np.allclose(new, shares, rtol=1e-4)
        shares = new
        if done:
            break
    prior = float(min(max(shares[0], 1e-12), 0.5))
    return prior, [float(s / shares[0]) for s in shares[2:]]
