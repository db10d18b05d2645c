"""What the data say about the model: u from all records, m from each rule's pairs, the prior from expected matches.

u is counted: exact agreement from the values' frequencies, the other levels on a cross of sampled records, so that no
blocking rule can bias it. m is estimated per rule with the rule's own fields left out of it, each rule with equal voice;
rules whose pairs are hardly ever matches stay silent. The prior follows from the matches expected over all rules.

Left to others: the estimator (``model``), pairs (``blocks``), scoring (``score``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steward.scoring.duplicates.across import see_whole_names as see_whole_names
from steward.scoring.duplicates.blocks import Blocks
from steward.scoring.duplicates.columns import Table
from steward.scoring.duplicates.kinds import Kind
from steward.scoring.duplicates.levels import CROSSED, INITIAL, SWAPPED, compare_codes, compare_values, names_cross
from steward.scoring.duplicates.model import Floats, PatternECM, class_probabilities, log_likelihoods, one_hot, patterns
from steward.scoring.duplicates.towns import Towns

Positions = npt.NDArray[np.int64]

U_SAMPLE = 480
"""Records drawn to each side for the levels of u below exact."""

TRAIN_PAIRS = 10_000
"""Pairs per rule that m is estimated on."""

SMOOTHING = 30.0
"""Pseudo-matches that hold m near the shares of its kind; a table of thousands overrules them, one of a hundred does not."""


@dataclass(slots=True)
class Model:
    """Everything a weight is computed from.

    Attributes
    ----------
    m, u : list of array
        Probability of each level per field, among matches and among random pairs.
    related : list of tuple of (bool or array)
        Per class of related non-matches and field: shared as matches do, as strangers, or own probabilities.
    related_names : list of str
    prior : float
        Probability that two random records match.
    related_odds : list of float
        Pairs of each related class per match.
    rules_heard : list of str
    """

    m: list[Floats]
    u: list[Floats]
    related: list[Related]
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
    see_whole_names(table, left, right, out)
    return out


Related = tuple[bool | Floats, ...]


def related_classes(table: Table, u: list[Floats]) -> tuple[list[Related], list[str]]:
    """Return what look-alikes share, per class and field: as matches, as strangers, or in their own way.

    *household*: relatives and flatmates, one address and telephone, other given names and birthdays. *twins*: the same
    with one birthday. *colleague*: one company, street and telephone, other names. *branch*: one company's places, one name and web site, other streets and telephones. *neighbour*:
    firms under one roof or of one group, one street, switchboard and site, other names. *town* and *namesake*: strangers whose
    city goes with their postcode, whose given name goes with their family name.
    """
    kinds = [c.kind for c in table.columns]
    names = {k.base for k in kinds}

    def of(shares: Callable[[Kind], bool], own: Sequence[str], twins: bool = False) -> Related:
        ways = [k.twins if twins else k.kin for k in kinds]
        out: list[bool | Floats] = []
        for k, way, strangers in zip(kinds, ways, u, strict=True):
            if not way or k.base not in own:
                out.append(shares(k))
                continue
            p = np.array(way)
            if k.base == "given":  # how many write initials is the table's habit, not the family's
                p[INITIAL] = 1.5 * strangers[INITIAL]
            out.append(p / p.sum())
        return tuple(out)

    found: list[tuple[str, Related]] = []
    people = bool(names & {"given", "person"})
    if people:
        found.append(("household", of(lambda k: not k.individual, ("given", "person", "email"))))
        if "birthdate" in names:
            found.append(
                ("twins", of(lambda k: not k.individual or k.base == "birthdate", ("given", "person", "email"), twins=True))
            )
        places = {"address", "city", "postcode", "category", "phone", "company", "domain"}
        if names & {"address", "phone", "company"}:
            found.append(("colleague", of(lambda k: k.base in places, ())))
    place = {"city", "postcode", "category"}
    found.append(("town", of(lambda k: k.base in place, ())))
    if people:
        whole = {"given", "family", "person", "category"}
        found.append(("namesake", of(lambda k: k.base in whole, ())))
        found.append(("namesake in town", of(lambda k: k.base in whole | place, ())))
    if not people:
        found.append(("branch", of(lambda k: not (k.local or k.individual or k.base == "email"), ())))
    if "company" in names and names & {"address", "phone"} and not people:
        places = {"address", "city", "postcode", "category", "phone", "domain"}
        found.append(("neighbour", of(lambda k: k.base in places, ("company",))))
    found = [(label, c) for label, c in found if sum(how is not False for how in c) >= 2 and not all(how is True for how in c)]
    return [c for _, c in found], [label for label, _ in found]


LEAST_ODDS = {
    "household": 0.15,
    "twins": 0.05,
    "colleague": 0.15,
    "town": 0.15,
    "namesake": 0.05,
    "namesake in town": 0.02,
    "branch": 0.15,
    "neighbour": 0.15,
}
"""Pairs of look-alikes that are expected per match at least, whatever a table seems to show."""

FLOOR_MATCHES = 60.0
"""Matches up to which that holds; beyond them the table itself has shown whether it holds look-alikes."""

FADES_FROM = 120.0
"""Matches from which on what is assumed fades, with the square: ninety matches without twins say little, a thousand say that the
table hardly holds any. One that does hold them shows them, and what it shows is not touched by this."""


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
        exact = min(float((counts * (counts - 1)).sum() / (n * (n - 1.0))), column.kind.random_at_most)
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
        told = level >= 0
        lower = np.bincount(level[told], weights=weight[told], minlength=size)[: size - 1] + 0.5
        lower[0] += 2.0
        lower = lower / lower.sum() * (1.0 - exact)
        u = np.append(lower, max(exact, 0.25 / max(len(column.key), n)))
        u = np.maximum(u, 1e-9)
        out.append(u / u.sum())
    _swapped_u(table, out, rng)
    return out


def _swapped_u(table: Table, u: list[Floats], rng: np.random.Generator) -> None:
    """Set the chance that strangers bear each other's names crosswise, from a cross of sampled names."""
    names = [c.kind.name for c in table.columns]
    if "given" not in names:
        return
    g = names.index("given")
    cross = 1e-3
    if "family" in names:
        f = names.index("family")
        given, family = table.columns[g], table.columns[f]
        if given.filled and family.filled:
            a = rng.choice(len(given.key), CROSS_SAMPLE, p=given.counts / given.filled)
            b = rng.choice(len(family.key), CROSS_SAMPLE, p=family.counts / family.filled)
            fits = names_cross(np.repeat(given.latin[a], CROSS_SAMPLE), np.tile(family.latin[b], CROSS_SAMPLE))
            cross = (float(fits.sum()) + 1.0) / (len(fits) + 1.0)
        u[f][CROSSED] = cross
        u[f] /= u[f].sum()
    u[g][CROSSED] = 2.0 * cross
    u[g][SWAPPED] = max(cross * cross, 1e-8)
    u[g] /= u[g].sum()


CROSS_SAMPLE = 300
"""Given and family names drawn for the chance that the one fits the other."""


def fit(table: Table, blocks: Blocks, seed: int) -> Model:
    """Return the model that the table's own pairs suggest.

    Parameters
    ----------
    seed : int
        Of the sample that u's lower levels are counted on; the same seed and contents give the same model to the last bit.
    """
    rng = np.random.default_rng(seed)
    seen_u = estimate_u(table, rng)
    samples, towns = _draw(table, blocks), Towns(table, rng)
    model = _fit_once(table, blocks, samples, towns, seen_u)
    for _ in range(2):  # random pairs hold matches too; what they add to u is taken out once matches are known
        model = _fit_once(table, blocks, samples, towns, _without_matches(seen_u, model, len(table)))
    return model


@dataclass(slots=True)
class _Sample:
    """Training pairs of one rule: their levels, which of them no earlier rule found, how many pairs each stands for."""

    levels: npt.NDArray[np.int8]
    new: npt.NDArray[np.bool_]
    each: float


def _draw(table: Table, blocks: Blocks) -> list[_Sample]:
    out = []
    for number, rule in enumerate(blocks.rules):
        left, right, each = blocks.sample(number, TRAIN_PAIRS if rule.keys else 60 * TRAIN_PAIRS, only_new=False)
        out.append(_Sample(compare_pairs(table, left, right), _first_found(blocks, number, left, right), each))
    return out


def _without_matches(seen: list[Floats], model: Model, n: int) -> list[Floats]:
    """Return u among non-matches: what random pairs show, less the share that matches among them contribute."""
    out = []
    for observed, m in zip(seen, model.m, strict=True):
        u = np.maximum((observed - model.prior * m) / (1.0 - model.prior), np.minimum(observed * 0.05, 0.5 / n))
        out.append(u / u.sum())
    return out


def _fit_once(table: Table, blocks: Blocks, drawn: list[_Sample], towns: Towns, u: list[Floats]) -> Model:
    start = [np.array([level.match_share for level in c.kind.levels]) for c in table.columns]
    related, labels = related_classes(table, u)
    related = towns.seen(related, labels)
    sizes = [len(c.kind.levels) for c in table.columns]
    positions = {c.field.name: f for f, c in enumerate(table.columns)}
    heard: list[str] = []
    votes: list[list[tuple[float, Floats]]] = [[] for _ in sizes]
    samples: list[tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]] = []
    for rule, sample in zip(blocks.rules, drawn, strict=True):
        levels = sample.levels
        if not len(levels):
            continue
        distinct, _, counts = patterns(levels[sample.new])
        samples.append((distinct, counts.astype(np.float64) * sample.each))
        if not rule.keys:
            continue
        own = {positions[name] for name, _ in rule.keys}
        seen = levels.copy()
        seen[:, sorted(own)] = -1
        distinct, _, counts = patterns(seen)
        kernel = PatternECM(sizes, related, smoothing=SMOOTHING, max_iter=80, atol=1e-4).fit(distinct, counts, m=start, u=u)
        if kernel.shares_[0] <= 0.1:
            continue
        heard.append(rule.name)
        given = kernel.responsibilities(distinct)[:, 0] * counts
        for f in range(len(sizes)):
            if f not in own:
                mass = float(given[distinct[:, f] >= 0].sum())
                votes[f].append((mass, kernel.m_[f]))
    m = []
    for f in range(len(sizes)):
        if votes[f]:
            voice = np.array([min(mass, 500.0) for mass, _ in votes[f]]) + 1e-9
            m.append(np.average([p for _, p in votes[f]], axis=0, weights=voice))
        else:
            m.append(start[f])
        m[f] = _tied(m[f], u[f], table.columns[f].kind)
    prior, odds, m = _mixture(table, samples, towns, m, u, related, labels)
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
    towns: Towns,
    m: list[Floats],
    u: list[Floats],
    related: list[Related],
    labels: list[str],
) -> tuple[float, list[float], list[Floats]]:
    """Return the prior and the pairs of each related class per match, from all rules' pairs; pairs no rule finds are strangers."""
    n = len(table)
    if table.source.any():
        second = int(table.source.sum())
        all_pairs = float(second * (n - second))
    else:
        all_pairs = n * (n - 1) / 2.0
    all_pairs = max(all_pairs, 1.0)
    if not samples:
        return min(0.5, 1.0 / max(n, 2)), [1.0] * len(related), m
    vectors, _, _ = patterns(np.concatenate([v for v, _ in samples]))
    weight = _summed(samples, vectors)
    hot = one_hot(vectors, [len(p) for p in m])
    ends = np.cumsum([len(p) for p in m])[:-1]
    floor = np.array([LEAST_ODDS[label] for label in labels])
    least = 0.02 / all_pairs * max(n, 100)  # one match in fifty records is assumed where nothing is seen, and smoothed away
    shares = np.array([0.1 * n / all_pairs, 1.0] + [0.1 * n / all_pairs] * len(related))
    start = [p.copy() for p in m]
    town = labels.index("town") if "town" in labels else None
    for turn in range(MIXTURE_TURNS):
        mass = class_probabilities(log_likelihoods(hot, m, u, related), shares) * weight[:, None]
        new = mass.sum(axis=0) / all_pairs
        new[0] = max(new[0], least * 0.1)
        new[2:] = np.maximum(new[2:], floor * _assumed(new[0] * all_pairs) / all_pairs)
        if town is not None:  # hardly any of them is proposed by a rule
            new[2 + town] = max(new[2 + town], towns.share(m, u, related[town], float(new[0])))
        new[1] = max(1.0 - new[0] - new[2:].sum(), 1e-3)
        done = bool(np.allclose(new, shares, rtol=1e-3))
        shares = new
        if turn >= 2:  # the shares first find their place; then every field's m hears all rules' pairs
            seen = np.split(hot.T @ mass[:, 0], ends)
            m = [_tied(_voiced(seen[f], start[f]), u[f], table.columns[f].kind) for f in range(len(m))]
        if done and turn > 8:
            break
    prior = float(min(max(shares[0], 1e-12), 0.5))
    return prior, [float(s / shares[0]) for s in shares[2:]], m


MIXTURE_TURNS = 40


def _assumed(matches: float) -> float:
    """Return for how many of a table's matches look-alikes of every class are assumed, whatever it shows."""
    return min(matches, FLOOR_MATCHES) * min(1.0, FADES_FROM / max(matches, 1e-9)) ** 2


def _summed(samples: list[tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]], vectors: npt.NDArray[np.int8]) -> Floats:
    """Return the weight of each distinct vector over all rules."""
    whole = np.concatenate([v for v, _ in samples])
    _, inverse, _ = patterns(whole)
    summed = np.bincount(inverse, weights=np.concatenate([w for _, w in samples]), minlength=len(vectors))
    return summed.astype(np.float64)


def _voiced(seen: Floats, start: Floats) -> Floats:
    """Return m of one field from the matches seen at each level, held by pseudo-matches at its start."""
    counts = seen + (SMOOTHING + LOYALTY * seen.sum()) * start
    m: Floats = counts / counts.sum()
    return m


LOYALTY = 0.5
"""Weight of what the rules said one by one against what all pairs say together, which look-alikes could carry away."""


INITIAL_TELLS = 10.0
"""How much likelier an initial fits the same person than a stranger: names begin with some ten letters."""


def _tied(m: Floats, u: Floats, kind: Kind) -> Floats:
    """Return m without zeros; an initial's worth is known and not learned, since few tables hold enough of them."""
    m = np.maximum(m, 1e-4)
    if kind.name == "given":
        m[INITIAL] = min(INITIAL_TELLS * float(u[INITIAL]), 0.3)
        rest = np.arange(len(m)) != INITIAL
        m[rest] *= (1.0 - m[INITIAL]) / m[rest].sum()
    if m[0] > kind.differs_at_most * m.sum():
        m[1:] *= (1.0 - kind.differs_at_most) / m[1:].sum()
        m[0] = kind.differs_at_most
    tied: Floats = m / m.sum()
    return tied
