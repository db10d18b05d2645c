"""A model that stands in a definition: taken as it is, so that scoring again trains nothing and gives the same weights.

Left to others: estimating one (``train``), the file (``definition``), learning from decisions (``learning``).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from steward.scoring.duplicates.columns import Table
from steward.scoring.duplicates.definition import Definition
from steward.scoring.duplicates.train import Model, related_classes


def stored_model(table: Table, definition: Definition) -> Model | None:
    """Return the model that a definition holds whole; None where something of it is left to the data.

    Notes
    -----
    What look-alikes share is derived from the fields and u as in training; the definition holds their pairs per match.
    """
    if not definition.trained or definition.prior is None:
        return None
    u = [_shares(f.u) for f in definition.fields]
    related, labels = related_classes(table, u)
    odds = dict(definition.related)
    kept = [i for i, label in enumerate(labels) if odds.get(label, 0.0) > 0]
    return Model(
        [_shares(f.m) for f in definition.fields],
        u,
        [related[i] for i in kept],
        [labels[i] for i in kept],
        definition.prior,
        [odds[labels[i]] for i in kept],
        [],
    )


def with_given(model: Model, definition: Definition) -> Model:
    """Return an estimated model with what the definition gives put in its place: a prior, m or u of single fields."""
    m = [_shares(f.m) if f.m else p for f, p in zip(definition.fields, model.m, strict=True)]
    u = [_shares(f.u) if f.u else p for f, p in zip(definition.fields, model.u, strict=True)]
    prior = model.prior if definition.prior is None else definition.prior
    return Model(m, u, model.related, model.related_names, prior, model.related_odds, model.rules_heard)


def with_model(definition: Definition, model: Model, *, cut: float | None = None) -> Definition:
    """Return a definition that holds a model, as :func:`stored_model` reads it back.

    Parameters
    ----------
    cut : float, optional
        Cut to write down; by default that of the definition.
    """
    fields = tuple(
        replace(f, m=tuple(float(x) for x in m), u=tuple(float(x) for x in u))
        for f, m, u in zip(definition.fields, model.m, model.u, strict=True)
    )
    related = tuple(sorted((label, float(x)) for label, x in zip(model.related_names, model.related_odds, strict=True)))
    return replace(
        definition, fields=fields, prior=float(model.prior), related=related, cut=definition.cut if cut is None else cut
    )


def _shares(given: tuple[float, ...]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(given, np.float64)  # as they stand: the ratio of m to u is the weight, also where a sum is a little off 1
