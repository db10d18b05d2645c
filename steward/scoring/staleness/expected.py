"""How many purchases a customer may still make, by a published model: information beside the score, never part of it.

BG/NBD (P. S. Fader, B. G. S. Hardie, K. L. Lee: "Counting Your Customers" the Easy Way: An Alternative to the Pareto/NBD Model,
Marketing Science 24(2), 2005): purchases come at a rate of the customer's own, and after each the customer may leave for good.
Fitted by maximum likelihood to number, last and first day of purchases; given as expected purchases in the coming twelve
months. Its P(alive) is not used: it is 1 for whoever bought once, and on CDNOW it ranks worse than the day of the last purchase.

Left to others: the score (``score``), which rows are activity (``activity``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steward.crm.mapping import ObjectMapping
from steward.scoring.relations import chains, joined
from steward.scoring.staleness.activity import Source, View
from steward.store.sql import literal

FIELD = "expected_purchases"
ROLES = ("order", "invoice", "payment")
"""Whose rows count as purchases: those of the first of these roles that leads to customers."""

HORIZON_WEEKS = 52.0
_FEWEST, _REPEATING, _FITTED_ON = 200, 50, 20_000

Numbers = Any
"""A NumPy array of float64."""


@dataclass(frozen=True, slots=True)
class Model:
    """Parameters of BG/NBD: Gamma(r, alpha) of rates per week, Beta(a, b) of the chance to leave; all positive."""

    r: float
    alpha: float
    a: float
    b: float


def log_likelihood(model: Model, x: Numbers, last: Numbers, age: Numbers) -> Numbers:
    """Return the log-likelihood of each customer (equation 6 of the paper).

    Parameters
    ----------
    x : array of float, shape (n,)
        Repeat purchases, from 0.
    last : array of float, shape (n,)
        Weeks from the first to the last purchase; 0 where ``x`` is 0.
    age : array of float, shape (n,)
        Weeks from the first purchase to the day of looking.
    """
    import numpy as np
    from scipy.special import gammaln

    r, alpha, a, b = model.r, model.alpha, model.a, model.b
    first = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    second = gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
    stayed = -(r + x) * np.log(alpha + age)
    left = np.log(a) - np.log(b + np.maximum(x, 1) - 1) - (r + x) * np.log(alpha + last)
    return first + second + np.where(x > 0, np.logaddexp(stayed, left), stayed)


def fit(x: Numbers, last: Numbers, age: Numbers) -> Model:
    """Return the model of greatest likelihood; the same numbers in the same order give the same model.

    Raises
    ------
    ArithmeticError
        It does not converge.
    """
    import numpy as np
    from scipy.optimize import minimize

    rows, count = np.unique(np.column_stack([x, last, age]), axis=0, return_counts=True)
    scale = float(age.max()) or 1.0

    def cost(logs: Numbers) -> float:
        model = Model(*np.exp(logs))
        return -float(np.sum(count * log_likelihood(model, rows[:, 0], rows[:, 1] / scale, rows[:, 2] / scale))) / len(x)

    bounds = [(-8.0, 8.0)] * 4
    found = minimize(cost, np.zeros(4), method="L-BFGS-B", bounds=bounds, options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-8})
    if not found.success:  # a line search can end early where the surface is flat; the simplex needs no slope
        simplex = {"maxiter": 4_000, "maxfev": 8_000, "xatol": 1e-6, "fatol": 1e-10}
        found = minimize(cost, found.x, method="Nelder-Mead", bounds=bounds, options=simplex)
    if not found.success or not np.isfinite(found.fun):
        raise ArithmeticError("BG/NBD does not converge")
    r, alpha, a, b = (float(v) for v in np.exp(found.x))
    return Model(r, alpha * scale, a, b)


def expected_purchases(model: Model, x: Numbers, last: Numbers, age: Numbers, weeks: float = HORIZON_WEEKS) -> Numbers:
    """Return the purchases to be expected of each customer in the coming weeks (equation 10 of the paper)."""
    import numpy as np
    from scipy.special import hyp2f1

    r, alpha, b = model.r, model.alpha, model.b
    a = model.a + 1e-9 if abs(model.a - 1) < 1e-9 else model.a  # the formula has a hole at 1
    inner = hyp2f1(r + x, b + x, a + b + x - 1, weeks / (alpha + age + weeks))
    number = (a + b + x - 1) / (a - 1) * (1 - ((alpha + age) / (alpha + age + weeks)) ** (r + x) * inner)
    gone = np.where(x > 0, a / (b + np.maximum(x, 1) - 1) * ((alpha + age) / (alpha + last)) ** (r + x), 0.0)
    return number / (1 + gone)


def alive(model: Model, x: Numbers, last: Numbers, age: Numbers) -> Numbers:
    """Return the chance that each customer has not left; for measurements, no score is made of it."""
    import numpy as np

    gone = model.a / (model.b + np.maximum(x, 1) - 1) * ((model.alpha + age) / (model.alpha + last)) ** (model.r + x)
    return np.where(x > 0, 1 / (1 + gone), 1.0)


def estimates(view: View, entry: ObjectMapping, wanted: str) -> Mapping[str, tuple[str, str]]:
    """Return customer → (expected purchases as text, source object) for the ids of a table ``wanted``.

    Empty where the snapshot holds no transactions, or too few customers who bought again to fit a model to.
    """
    source = _transactions(view, entry)
    if source is None:
        return {}
    import numpy as np

    rows = _purchases(view, entry, source)
    view.execute(f"CREATE OR REPLACE TEMP TABLE _steward_purchases AS {rows}")
    try:
        fitted = _columns(view, f"SELECT x, last, age FROM _steward_purchases ORDER BY hash(_id), _id LIMIT {_FITTED_ON}")  # noqa: S608
        if len(fitted[0]) < _FEWEST or int((fitted[0] > 0).sum()) < _REPEATING:
            return {}
        try:
            model = fit(*fitted)
        except ArithmeticError:
            return {}
        asked = f"SELECT p._id, x, last, age FROM _steward_purchases p SEMI JOIN {wanted} w ON w._id = p._id ORDER BY p._id"  # noqa: S608
        found = view.connection.execute(asked).fetchall()
    finally:
        view.execute("DROP TABLE IF EXISTS _steward_purchases")
    if not found:
        return {}
    x, last, age = (np.array([row[n] for row in found], dtype=np.float64) for n in (1, 2, 3))
    numbers = expected_purchases(model, x, last, age)
    return {
        str(row[0]): (f"{max(float(n), 0.0):.2f}", source.entry.name)
        for row, n in zip(found, numbers, strict=True)
        if np.isfinite(n)
    }


def _transactions(view: View, entry: ObjectMapping) -> Source | None:
    for role in ROLES:
        for source in view.sources.values():
            if source.entry.role == role and _chains(view, source, entry):
                return source
    return None


def _chains(view: View, source: Source, entry: ObjectMapping) -> list[Any]:
    found = chains(view.mapping, source.entry, entry.name)
    return [c for c in found if all(s in view.tables and view.has(s, k) for s, k in c.steps)]


def _purchases(view: View, entry: ObjectMapping, source: Source) -> str:
    """Return SQL with one row per customer who ever bought: repeat days, weeks to the last and to ``as_of``."""
    as_of = f"TIMESTAMP {literal(view.as_of.isoformat(sep=' '))}"
    ways = " UNION ".join(  # a row that two chains reach counts once
        joined(c, view.tables, f"s._id AS s_id, {source.date}::DATE AS day", f"{source.counts} AND {source.date} <= {as_of}")
        for c in _chains(view, source, entry)
    )
    return (
        "SELECT target AS _id, (count(DISTINCT day) - 1)::DOUBLE AS x, date_diff('day', min(day), max(day)) / 7.0 AS last, "  # noqa: S608
        f"greatest(date_diff('day', min(day), {as_of}::DATE), 1) / 7.0 AS age FROM ({ways}) WHERE day IS NOT NULL GROUP BY target"
    )


def _columns(view: View, sql: str) -> tuple[Numbers, Numbers, Numbers]:
    import numpy as np

    rows = view.connection.execute(sql).fetchall()
    values = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return values[:, 0], values[:, 1], values[:, 2]
