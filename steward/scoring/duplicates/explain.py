"""The reasons for a pair in words and numbers: weights per field for tables and panels, a sentence for people.

Left to others: computing weights (``score``).
"""

from __future__ import annotations

import json

import polars as pl

from steward.evidence import Agreement, MatchWeight
from steward.scoring.duplicates.columns import Table
from steward.scoring.duplicates.score import Scored

LOOK_ALIKE = "look-alikes"
"""Name of the entry that takes off what relatives, colleagues or branches share."""

_LOOK_ALIKE_LEVEL = {
    "household": "people of one household share what agrees",
    "twins": "twins share a birthday too",
    "colleague": "colleagues share what agrees",
    "town": "people of one town share what agrees",
    "namesake": "namesakes share what agrees",
    "namesake in town": "namesakes of one town share what agrees",
    "branch": "branches of one company share what agrees",
    "neighbour": "other firms at one address share what agrees",
}


def correction_level(names: list[str]) -> str:
    """Return the level's text for the correction."""
    return "; ".join(_LOOK_ALIKE_LEVEL[n] for n in names) or "others share what agrees"


def weights_json(table: Table, raw: list[pl.Series], pairs: Scored, related: list[str]) -> pl.Series:
    """Return a JSON list of ``{field, agreement, level, bits, left, right}`` per pair, built column by column.

    Parameters
    ----------
    raw : list of Series
        Text of each field as the snapshot holds it, in the table's order.
    """
    entries: list[pl.Series] = []
    for f, column in enumerate(table.columns):
        level = pl.Series(pairs.levels[:, f].astype("int64")) + 1
        agreement = pl.Series(["missing", *(x.agreement for x in column.kind.levels)], dtype=pl.String)
        label = pl.Series(["missing", *(x.name for x in column.kind.levels)], dtype=pl.String)
        frame = pl.DataFrame(
            {
                "field": pl.Series([column.field.name], dtype=pl.String).new_from_index(0, len(pairs)),
                "agreement": agreement.gather(level),
                "level": label.gather(level),
                "bits": pl.Series(pairs.bits[:, f].astype("float64")).round(4),
                "left": raw[f].gather(pairs.left),
                "right": raw[f].gather(pairs.right),
            }
        )
        entries.append(frame.select(pl.struct(pl.all()).alias("w")).to_series())
    taken = pl.DataFrame(
        {
            "field": pl.Series([LOOK_ALIKE], dtype=pl.String).new_from_index(0, len(pairs)),
            "agreement": pl.Series(["disagree"], dtype=pl.String).new_from_index(0, len(pairs)),
            "level": pl.Series([correction_level(related)], dtype=pl.String).new_from_index(0, len(pairs)),
            "bits": pl.Series(pairs.correction.astype("float64")).round(4),
            "left": pl.Series([None], dtype=pl.String).new_from_index(0, len(pairs)),
            "right": pl.Series([None], dtype=pl.String).new_from_index(0, len(pairs)),
        }
    )
    if related:
        entries.append(taken.select(pl.struct(pl.all()).alias("w")).to_series())
    if not entries or not len(pairs):
        return pl.Series(["[]"] * len(pairs), dtype=pl.String)
    whole = pl.DataFrame({f"w{i}": e for i, e in enumerate(entries)}).select(
        pl.struct(pl.concat_list(pl.all()).alias("w")).struct.json_encode().alias("json")
    )
    text = whole.to_series()
    return text.str.slice(5, text.str.len_chars() - 6)  # the list inside {"w":[…]}


def read_weights(text: str) -> tuple[MatchWeight, ...]:
    """Return the entries of :func:`weights_json` as weights."""
    out = []
    for w in json.loads(text):
        agreement: Agreement = w["agreement"]
        out.append(MatchWeight(w["field"], agreement, w["level"], float(w["bits"]), w["left"], w["right"]))
    return tuple(out)


def sentence(
    other: str, probability: float, weights: tuple[MatchWeight, ...], rule: str = "", total: float | None = None
) -> str:
    """Return why two records are held to be one customer, the strongest reasons first, then what speaks against.

    Parameters
    ----------
    other : str
        The other record, as people name it.
    rule : str
        The blocking rule that found the pair; empty where none did.
    total : float, optional
        Sum in bits, prior and look-alikes included.

    Example: ``Probably the same customer as 17 (98.3 %, +5.9 bits in all): email: exact (+11.2 bits), name: some words agree
    (+6.0 bits); against it: city: differs (-2.1 bits); no value to compare: phone; found by: email.`` Two records that share
    a cluster only through others, or because a person merged them, are said to be in one cluster, not to be probably one.
    """
    pro = sorted((w for w in weights if w.bits > 0.05 and w.agreement != "missing"), key=lambda w: -w.bits)
    con = sorted((w for w in weights if w.bits < -0.05 and w.agreement != "missing"), key=lambda w: w.bits)
    missing = [w.field for w in weights if w.agreement == "missing"]
    begin = (
        "Probably the same customer as" if probability >= 0.5 else "In one cluster, through other records or a decision, with"
    )
    sum_ = "" if total is None else f", {total:+.1f} bits in all"
    parts = [f"{begin} {other} ({probability_text(probability)}{sum_})"]
    parts.append(": " + ", ".join(_phrase(w) for w in pro[:5]) if pro else "")
    if con:
        parts.append("; against it: " + ", ".join(_phrase(w) for w in con[:3]))
    if missing:
        parts.append("; no value to compare: " + ", ".join(missing[:4]) + (" …" if len(missing) > 4 else ""))
    if rule:
        parts.append(f"; found by: {rule}")
    return "".join(parts) + "."


def probability_text(probability: float) -> str:
    """Return a probability as people read it; never a certainty."""
    if probability >= 0.9995:
        return "more than 99.9 %"
    if probability < 0.0005:
        return "less than 0.1 %"
    return f"{probability * 100:.1f} %"


def _phrase(w: MatchWeight) -> str:
    if w.field == LOOK_ALIKE:
        return f"{w.level} ({w.bits:+.1f} bits)"
    return f"{w.field}: {w.level} ({w.bits:+.1f} bits)"
