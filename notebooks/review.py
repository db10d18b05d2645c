# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Review
#
# Decide what becomes of the records that scoring proposes. Set the workspace and your name, run all cells, and work with
# the keyboard: **M** merge, **D** delete, **P** keep, **N** not a duplicate, **U** undo. Every decision is on disk before
# the panel says *saved*; you can close this notebook at any time and go on later.

# %% tags=["parameters"]
import os

workspace = os.environ.get("STEWARD_WORKSPACE", "demo/workspace")
reviewer = os.environ.get("STEWARD_REVIEWER", os.environ.get("USER", "reviewer"))
proposer = os.environ.get("STEWARD_PROPOSER", reviewer)  # a person of the trust store
draft_to = os.environ.get("STEWARD_MANIFESTS", "manifests")

# %%
from steward.workbench import open_workspace

bench = open_workspace(workspace, create=False, read_only=True)
snapshot = bench.snapshot()
print(f"Snapshot {snapshot.digest[:12]} of {snapshot.taken_at:%Y-%m-%d %H:%M} UTC: {snapshot.rows:,} records")

# %%
panel = bench.review(reviewer)
panel

# %% [markdown]
# What has been decided so far. Run this cell again whenever you like; it shows numbers only, never customer data.

# %%
for kind in panel.session.index.kinds:
    p = panel.session.progress(kind)
    print(
        f"{kind}: {p.decided:,} decided, {p.open:,} open, {p.deferred:,} deferred, {p.conflicts:,} in conflict, of {p.total:,}"
    )

# %% [markdown]
# Pictures of the snapshot: scores and where to cut them, silence by worth, the trend, before and after an execution. They
# are sent to this page when they are shown and are not saved with the notebook.

# %%
bench.pictures()

# %% [markdown]
# When the work is done, run this cell: it drafts a manifest from the decisions in force, says what it would do, and lists
# what was held back and why in the manifest's folder. It signs nothing and deletes nothing; others sign with
# `steward sign`, and the executor, another program, applies it.

# %%
if bench.log.standing().destructive():
    folder = bench.propose(draft_to, proposer=proposer)
    print(f"Drafted {folder.name}. Next: steward inspect {folder}")
else:
    print("Nothing is decided yet that would change a record.")
