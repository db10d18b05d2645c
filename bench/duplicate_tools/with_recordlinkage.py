"""Plain recordlinkage as its guides use it: blocks, thresholded comparisons, ECM; components of what it calls matches."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import recordlinkage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def main():
    spec, out = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    people = pd.read_csv(spec["table"], dtype=str, keep_default_na=False, na_values=[""]).set_index("unique_id")
    indexer = recordlinkage.Index()
    for rule in spec["rules"]:
        indexer.block(rule if len(rule) > 1 else rule[0])
    candidates = indexer.index(people)
    compare = recordlinkage.Compare()
    for field in spec["fields"]:
        column = field["column"]
        if field["kind"] in ("birthdate", "category", "postcode", "identifier", "phone"):
            compare.exact(column, column, label=column)
        else:
            compare.string(column, column, method="jarowinkler", threshold=0.85, label=column)
    features = compare.compute(candidates, people)
    classifier = recordlinkage.ECMClassifier()
    classifier.fit(features)
    probability = classifier.prob(features)
    kept = probability[probability >= spec["keep_from"]]
    pd.DataFrame(
        {"left": kept.index.get_level_values(0), "right": kept.index.get_level_values(1), "probability": kept.to_numpy()}
    ).to_csv(out / "pairs.csv", index=False)
    linked = kept[kept >= spec["cluster_at"]].index
    left, right = (people.index.get_indexer(linked.get_level_values(level)) for level in (0, 1))
    graph = coo_matrix((np.ones(len(left), np.int8), (left, right)), shape=(len(people), len(people)))
    _, component = connected_components(graph, directed=False)
    pd.DataFrame({"record": people.index, "cluster": component}).to_csv(out / "clusters.csv", index=False)
    (out / "run.json").write_text(json.dumps({"peak_mib": peak_mib()}))


def peak_mib():
    """Return the highest resident size of this process, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
