"""Ours: the same table, keys and fields as a linkage definition, or (``mode`` is ``zero``) nothing but the table."""

import json
import sys
import time
from pathlib import Path

import polars as pl

from steward.scoring.duplicates.definition import Definition, Field, Rule
from steward.scoring.duplicates.link import link


def main():
    spec, out = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    people = pl.read_csv(spec["table"], infer_schema=False)
    definition = None
    if spec.get("mode") != "zero":
        definition = Definition(
            tuple(Field(f["column"], f["kind"], (f["column"],)) for f in spec["fields"]),
            tuple(Rule(tuple((column, "whole") for column in rule)) for rule in spec["rules"]),
            cut=spec["cluster_at"],
            review_from=spec["keep_from"],
            pairs_at_most=10**10,
            block_at_most=10**7,
        )
    options = {}
    if spec.get("model"):
        from steward.scoring.duplicates.stored import load_model

        options["model"] = load_model(Path(spec["model"]))
    found = link(people, definition, ids="unique_id", **options)
    found.pairs_frame().select("left_id", "right_id", "probability").write_csv(out / "pairs.csv")
    pl.DataFrame({"record": found.table.ids.tolist(), "cluster": found.labels}).write_csv(out / "clusters.csv")
    if spec.get("save_model"):
        from steward.scoring.duplicates.stored import save_model

        save_model(found.model, found.definition, Path(spec["save_model"]))
    run = {"peak_mib": peak_mib(), "compared": found.compared, "cut": found.cut, "inside_cpu": time.process_time()}
    (out / "run.json").write_text(json.dumps(run))


def peak_mib():
    """Return the highest resident size of this process, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
