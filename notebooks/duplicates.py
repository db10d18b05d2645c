# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Duplicates, the whole way
#
# From a folder of CSV exports to clusters with a proposed survivor, on the sample CRM of the Nonprofit Success Pack: 1,024
# invented contacts in 880 households. Relatives share an address, a surname and a telephone there, so the question is less
# *what looks alike* than *what is one person*. Nothing here writes to a CRM, and nothing is decided: people do that in
# `notebooks/review.ipynb`.

# %% tags=["parameters"]
import os
from pathlib import Path

data = Path(os.environ.get("STEWARD_REAL_DATA", "../../shared/data")) / "crm_npsp"
workspace = os.environ.get("STEWARD_WORKSPACE", "duplicates-demo")

# %%
import matplotlib.pyplot as plt
import polars as pl

import steward.crm
from steward.workbench import open_workspace

mapping = Path(steward.crm.__file__).parent / "examples" / "npsp.toml"
bench = open_workspace(workspace)
snapshot = bench.load(mapping, data)
pl.DataFrame([{"object": o.name, "records": o.rows} for o in snapshot.objects])

# %% [markdown]
# ## What would be compared, before anything is
#
# The table is one steward has never seen. Fields, standard forms and blocking rules are proposed from headers and contents;
# every rule's pairs are counted before it runs, and what is left out says why. `steward score --plan` prints the same.

# %%
plans = []
lines = bench.score(["contact"], kinds=["duplicate"], before=plans.append)
(plan,) = plans
pl.DataFrame([{"field": f.name, "as": f.kind, "columns": ", ".join(f.columns), "why": f.reason} for f in plan.fields])

# %%
pl.DataFrame([{"what": x.what, "name": x.name, "why": x.reason, "pairs": x.pairs} for x in plan.left_out])

# %%
rules = sorted(plan.rules, key=lambda r: r.pairs)
figure, axis = plt.subplots(figsize=(8, 0.3 * len(rules) + 1))
axis.barh([r.rule for r in rules], [max(r.pairs, 1) for r in rules], color="#3a6ea5")
axis.set_xscale("log")
axis.set_xlabel("candidate pairs, counted before the run")
axis.set_title("What each blocking rule costs")
plt.show()

# %% [markdown]
# ## What was found

# %%
for line in lines:
    print(f"{line.object}: {line.records:,} records, {line.found} could be merged; {line.note}")
summary = next(r["summary"] for r in bench.store.runs(snapshot) if r["kind"] == "duplicate")
pairs = pl.DataFrame(
    bench.store.connection.execute(
        "SELECT left_id, right_id, match_weight, probability, rule FROM pairs WHERE snapshot = ? AND object = 'contact'",
        [snapshot.digest],
    ).fetchall(),
    schema=["left_id", "right_id", "match_weight", "probability", "rule"],
    orient="row",
)
print(f"{pairs.height:,} pairs worth a look out of {summary['compared']:,} compared; cut {summary['cut']:.2f}")

# %%
import math

cut_bits = math.log2(summary["cut"] / (1 - summary["cut"]))
figure, axis = plt.subplots(figsize=(8, 3))
axis.hist(pairs["match_weight"].to_list(), bins=40, color="#3a6ea5")
axis.axvline(cut_bits, color="#b3402a", linestyle="--", label=f"cut, p = {summary['cut']:.2f}")
axis.set_xlabel("match weight in bits: each bit doubles the odds")
axis.set_ylabel("pairs")
axis.legend()
axis.set_title("Pairs kept for review")
plt.show()

# %% [markdown]
# ## What each field says
#
# The bits of every level: m among matches against u among strangers. A *missing* value says nothing, which is not the same
# as a difference.

# %%
from steward.scoring.duplicates import parse_definition
from steward.scoring.duplicates.own import kind_of

model = parse_definition(summary["trained"])
figure, axis = plt.subplots(figsize=(8, 0.55 * len(model.fields) + 1))
for y, field in enumerate(model.fields):
    bits = [math.log2(m / u) for m, u in zip(field.m, field.u, strict=True)]
    axis.plot(bits, [y] * len(bits), color="#9aa1a9", zorder=1)
    colours = {"disagree": "#b3402a", "partly": "#3a6ea5", "agree": "#1b7f4d"}
    axis.scatter(bits, [y] * len(bits), c=[colours[x.agreement] for x in kind_of(field).levels], zorder=2)
axis.axvline(0, color="#5b6470", linewidth=0.8)
axis.set_yticks(range(len(model.fields)), [f.name for f in model.fields])
axis.set_xlabel("bits, from differs (red) over partly (blue) to exact (green)")
axis.set_title("Weights of the levels")
plt.show()

# %% [markdown]
# ## Why two records, field by field
#
# The strongest pair, and the one nearest to the cut: from the prior over every field to the sum. `steward explain` shows the
# same for any pair.

# %%
from IPython.display import SVG, display

from steward.evidence import CandidatePair, ComparisonVector
from steward.records import RecordKey
from steward.scoring.duplicates.explain import read_weights, sentence
from steward.scoring.duplicates.waterfall import waterfall_svg


def explained(left: str, right: str) -> ComparisonVector:
    """Return one stored pair with its weights."""
    ((total, rule, text),) = bench.store.connection.execute(
        "SELECT match_weight, rule, weights_json FROM pairs "
        "WHERE snapshot = ? AND object = 'contact' AND left_id = ? AND right_id = ?",
        [snapshot.digest, left, right],
    ).fetchall()
    weights = read_weights(text)
    pair = CandidatePair(RecordKey("contact", left), RecordKey("contact", right), rule)
    return ComparisonVector(pair, total - sum(w.bits for w in weights), weights)


strongest = pairs.sort("match_weight", "left_id", descending=[True, False]).row(0, named=True)
doubtful = (
    pairs.with_columns((pl.col("probability") - summary["cut"]).abs().alias("far")).sort("far", "left_id").row(0, named=True)
)
for row in (strongest, doubtful):
    vector = explained(row["left_id"], row["right_id"])
    print(sentence(row["right_id"], vector.probability, vector.weights, vector.pair.rule, vector.match_weight))
    display(SVG(waterfall_svg(vector)))

# %% [markdown]
# ## Clusters and their survivors
#
# No single weak link can chain a cluster. Each has a proposed survivor, the rule that chose it, the values it would take over
# from the others, and a warning where somebody able to add records could have steered the choice.

# %%
clusters = bench.store.clusters(snapshot, "contact")
survivors = bench.store.survivors(snapshot, "contact")
pl.DataFrame(
    [
        {
            "cluster": c.id[:12],
            "records": len(c.members),
            "survivor": c.survivor.id,
            "because": survivors[c.id].reason,
            "takes over": ", ".join(survivors[c.id].values),
            "a person must choose": ", ".join(survivors[c.id].differing),
        }
        for c in clusters
    ]
    or [{"cluster": "none", "records": 0}]
)

# %% [markdown]
# Contacts who share first and last name are the look-alikes of this CRM. How many of them are proposed as one person?

# %%
from steward.scoring.duplicates.adapter import read_object

frame, role, references = read_object(bench.store, snapshot, "contact")
named = frame.filter(pl.struct("FirstName", "LastName").is_duplicated()).height
together = sum(len(c.members) for c in clusters)
figure, axis = plt.subplots(figsize=(6, 2))
axis.barh(["share first and last name", "in a proposed cluster"], [named, together], color=["#9aa1a9", "#1b7f4d"])
axis.set_xlabel("contacts")
plt.show()

# %% [markdown]
# ## A list that comes in
#
# Forty people of an import list, thirty of them contacts already, written otherwise: capitals, surname first, the whole name
# in one column, German headers. `steward link list.csv contact` does the same from the terminal.

# %%
from steward.scoring.duplicates.between import Side, link_between

known = frame.filter(pl.col("Email").is_not_null() & (pl.col("Email") != "")).sort("_id").head(30)
listed = pl.DataFrame(
    {
        "Nr": [f"N{i}" for i in range(40)],
        "Name": [f"{last.upper()}, {first}" for first, last in known.select("FirstName", "LastName").iter_rows()]
        + [f"Neu Zugang{i}" for i in range(10)],
        "E-Mail": [e.upper() for e in known["Email"]] + [f"neu{i}@liste.example" for i in range(10)],
    }
)
linked = link_between(Side("list", listed, "Nr"), Side("contact", frame, role=role, references=references))
found = linked.found()
right = dict(zip([f"N{i}" for i in range(30)], known["_id"], strict=True))
correct = sum(right.get(a) == b for a, s, b in found.select("left_id", "state", "right_id").iter_rows() if s == "found")
print(f"{correct} of 30 found again")
found["state"].value_counts()

# %% [markdown]
# ## Change the definition, see what becomes of the clusters
#
# The definition is text. Here the cut is raised to .99; `steward compare-clusters` shows the same for two runs.

# %%
from collections import Counter
from dataclasses import replace

from steward.scoring.duplicates.changes import FATES, compare
from steward.scoring.duplicates.link import link

stricter = link(frame, replace(parse_definition(summary["definition"]), cut=0.99), role=role, references=references)
counts = Counter(c.fate for c in compare([[m.id for m in c.members] for c in clusters], stricter.groups()))
pl.DataFrame({"fate": list(FATES), "clusters": [counts.get(f, 0) for f in FATES]})

# %% [markdown]
# ## What to look at first
#
# The undecided pairs that would teach the weights most: uncertain, common in kind, unlike those before them in the list.
# After some decisions `steward learn contact` shows what they would change, and stores nothing unless it is accepted.

# %%
from steward.scoring.duplicates.teaching import teaching_pairs

pl.DataFrame(teaching_pairs(bench.store, snapshot, "contact", bench.log.standing(), 10), schema=["one", "other"], orient="row")

# %%
bench.close()
print("Next: steward review, or notebooks/review.ipynb")
