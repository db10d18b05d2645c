"""Splink 4 and 5 on DuckDB, with the comparisons and the training order of their published demonstrations.

Names with term frequencies, dates and addresses by their library's own comparisons, u from random pairs, the prior from
deterministic rules, m by expectation maximisation over two blocking rules. Both versions differ only in how a table is
handed over. Left to others: measuring.
"""

import json
import sys
from pathlib import Path

import duckdb
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on


def comparison(field):
    """Return the comparison that the demonstrations use for a field of this kind."""
    column = field["column"]
    match field["kind"]:
        case "given" | "family":
            return cl.NameComparison(column).configure(term_frequency_adjustments=True)
        case "email":
            return cl.EmailComparison(column).configure(term_frequency_adjustments=True)
        case "birthdate":
            return cl.DateOfBirthComparison(column, input_is_string=True, datetime_format=field.get("format", "%Y-%m-%d"))
        case "address" | "text" | "company":
            return cl.JaroWinklerAtThresholds(column, [0.9, 0.7]).configure(term_frequency_adjustments=True)
        case "city":
            return cl.JaroWinklerAtThresholds(column, [0.9]).configure(term_frequency_adjustments=True)
        case "category":
            return cl.ExactMatch(column).configure(term_frequency_adjustments=True)
        case "phone" | "identifier" | "postcode":
            return cl.LevenshteinAtThresholds(column, [1, 2])
    raise SystemExit(f"no comparison for {field['kind']}")


def main():
    spec, out = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    connection = duckdb.connect()
    connection.execute(f"SET temp_directory = '{out}'")
    connection.execute("CREATE TABLE people AS FROM read_csv(?, all_varchar = true, nullstr = '')", [spec["table"]])
    api = DuckDBAPI(connection=connection)
    stored = spec.get("model")
    settings = stored or SettingsCreator(
        link_type="dedupe_only",
        comparisons=[comparison(f) for f in spec["fields"]],
        blocking_rules_to_generate_predictions=[block_on(*rule) for rule in spec["rules"]],
        retain_matching_columns=False,
        retain_intermediate_calculation_columns=False,
    )
    newer = int(__import__("splink").__version__.split(".")[0]) >= 5
    linker = Linker(api.register("people"), settings) if newer else Linker("people", settings, api, set_up_basic_logging=False)
    if not stored:
        rules = [block_on(*rule) for rule in spec["sure_rules"]]
        linker.training.estimate_probability_two_random_records_match(rules, recall=spec["recall"])
        linker.training.estimate_u_using_random_sampling(max_pairs=spec["random_pairs"], seed=1)
        for rule in spec["training_rules"]:
            linker.training.estimate_parameters_using_expectation_maximisation(block_on(*rule))
    pairs = linker.inference.predict(threshold_match_probability=spec["keep_from"])
    clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(
        pairs, threshold_match_probability=spec["cluster_at"]
    )
    relation = pairs.physical_name
    connection.execute(
        f"COPY (SELECT unique_id_l, unique_id_r, match_probability FROM {relation}) TO '{out / 'pairs.csv'}' (HEADER)"
    )
    connection.execute(
        f"COPY (SELECT unique_id, cluster_id FROM {clusters.physical_name}) TO '{out / 'clusters.csv'}' (HEADER)"
    )
    if spec.get("save_model"):
        linker.misc.save_model_to_json(spec["save_model"], overwrite=True)
    (out / "run.json").write_text(json.dumps({"peak_mib": peak_mib()}))


def peak_mib():
    """Return the highest resident size of this process, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
