"""GoldenMatch: without any settings, or with a model that Splink trained and stored.

``mode`` is ``zero`` (it chooses everything), ``fellegi-sunter`` (its automatic Fellegi-Sunter settings) or ``stored``.
Clusters are its own, at its own threshold; pairs carry its own scores.
"""

import csv
import json
import sys
from pathlib import Path

import goldenmatch


def main():
    spec, out = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    table = str(spec["table"])
    if spec["mode"] == "stored":
        converted = goldenmatch.from_splink(spec["model"])
        model = out / "model.json"
        converted.em_model.save_json(str(model))
        converted.config.matchkeys[0].model_path = str(model)
        found = goldenmatch.dedupe(table, config=converted.config)
    elif spec["mode"] == "fellegi-sunter":
        import pyarrow.csv

        read = pyarrow.csv.read_csv(table, convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(
            ["unique_id", *(f["column"] for f in spec["fields"])], pyarrow.string())))  # fmt: skip
        found = goldenmatch.dedupe_df(read, config=goldenmatch.auto_configure_probabilistic_df(read))
    else:
        found = goldenmatch.dedupe(table)
    with Path(table).open(encoding="utf-8", newline="") as stream:
        names = [row[0] for row in csv.reader(stream)][1:]
    with (out / "pairs.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("left", "right", "probability"))
        for left, right, score in found.scored_pairs or ():
            writer.writerow((names[left], names[right], score))
    cluster_of = list(range(-1, -len(names) - 1, -1))
    for cluster, group in (found.clusters or {}).items():
        for row in group["members"]:
            cluster_of[row] = cluster
    with (out / "clusters.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("record", "cluster"))
        writer.writerows(zip(names, cluster_of, strict=True))
    (out / "run.json").write_text(json.dumps({"peak_mib": peak_mib()}))


def peak_mib():
    """Return the highest resident size of this process, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
