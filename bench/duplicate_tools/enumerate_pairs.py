"""DuckDB alone: how many pairs the blocking keys propose, each once. Nothing is compared; the floor under any scoring."""

import json
import sys
import time
from pathlib import Path

import duckdb


def main():
    spec, out = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE people AS SELECT row_number() OVER () AS n, * FROM read_csv(?, all_varchar = true, nullstr = '')",
        [spec["table"]],
    )
    equal = [" AND ".join(f'l."{column}" = r."{column}"' for column in rule) for rule in spec["rules"]]
    parts = []
    for number, rule in enumerate(equal):
        earlier = "".join(f" AND NOT coalesce({other}, false)" for other in equal[:number])
        parts.append(f"SELECT count(*) AS n FROM people l JOIN people r ON {rule} AND l.n < r.n{earlier}")
    start = time.process_time()
    pairs = connection.execute(f"SELECT sum(n) FROM ({' UNION ALL '.join(parts)})").fetchall()[0][0]
    (out / "run.json").write_text(json.dumps({"cpu": time.process_time() - start, "pairs": int(pairs)}))


if __name__ == "__main__":
    main()
