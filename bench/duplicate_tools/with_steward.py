"""Ours: the same table, keys and fields as a linkage definition, or (``mode`` is ``zero``) nothing but the table.

With ``cuts`` in the specification clusters are made at each of these cuts as well.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import polars as pl

import steward.scoring.duplicates.link as linking
from steward.scoring.duplicates.definition import Definition, Field, Rule, parse_definition


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
    if spec.get("model"):
        definition = parse_definition(Path(spec["model"]).read_text(encoding="utf-8"))
    scoring = timed("score_blocks")
    found = linking.link(people, definition, ids="unique_id")
    found.pairs_frame().select("left_id", "right_id", "probability").write_csv(out / "pairs.csv")
    pl.DataFrame({"record": found.table.ids.tolist(), "cluster": found.labels}).write_csv(out / "clusters.csv")
    for cut in spec.get("cuts", ()):
        again = linking.link(people, replace(definition or found.definition, cut=cut), ids="unique_id")
        clusters = pl.DataFrame({"record": again.table.ids.tolist(), "cluster": again.labels})
        clusters.write_csv(out / f"clusters-{cut}.csv")
    if spec.get("save_model"):
        from steward.scoring.duplicates.stored import with_model

        Path(spec["save_model"]).write_text(with_model(found.definition, found.model).toml(), encoding="utf-8")
    run = {"peak_mib": peak_mib(), "compared": found.compared, "cut": found.cut, "score_cpu": sum(scoring)}
    (out / "run.json").write_text(json.dumps(run))


def timed(name):
    """Return a list that fills with the processor seconds of each call of one step of linking."""
    step, seconds = getattr(linking, name), []

    def around(*args, **kwargs):
        start = time.process_time()
        found = step(*args, **kwargs)
        seconds.append(time.process_time() - start)
        return found

    setattr(linking, name, around)
    return seconds


def peak_mib():
    """Return the highest resident size of this process, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
