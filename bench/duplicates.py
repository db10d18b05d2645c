"""Duplicate scoring beside Splink 4 and 5, GoldenMatch and plain recordlinkage: whole processes, interleaved.

``python -m bench.duplicates [--sets NAME ...] [--tools NAME ...] [--runs N] [--cache FOLDER] [--json FILE]``.
Every tool reads the same shuffled CSV with new opaque ids, compares the same fields under the same blocking keys, and
writes pairs and clusters; each runs in a process of its own, the rivals in virtual environments that are built from
``requirements/rivals-*.txt`` into ``--cache`` (or a temporary folder). Processor seconds are those of the whole process,
loading included; memory is the highest resident size; figures are medians, ratios are taken run by run. A tool that
needs more than ``--memory`` GiB or ``--limit`` seconds is stopped, and that is what is said of it.

Sets: ``febrl3 febrl4 fake_1000 10k 50k 100k 1m-narrow 1m-wide 5m``; by default all up to 100k. ``--sets 5m --tools ours``
shows memory and growth. ``--enumerate`` sets our score stage against DuckDB's bare enumeration of the same pairs.

Left to others: the tables (``duplicate_data``), the tools (``duplicate_tools``), accuracy without settings (``quality``).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import duplicate_data as data
from bench.duplicate_accuracy import accuracy

ROOT = Path(__file__).resolve().parent.parent
TOOLS = Path(__file__).parent / "duplicate_tools"

PERSON_FIELDS = {
    "first_name": "given", "last_name": "family", "email": "email", "phone": "phone", "birth_date": "birthdate",
    "street": "address", "postcode": "postcode", "city": "city",
}  # fmt: skip
NARROW = (
    ("email",), ("phone",), ("last_name", "postcode"), ("first_name", "postcode"), ("last_name", "birth_date"),
    ("first_name", "birth_date"),
)  # fmt: skip
WIDE = (*NARROW, ("first_name", "last_name"))
FEBRL_FIELDS = {
    "given_name": "given", "surname": "family", "date_of_birth": "birthdate", "soc_sec_id": "identifier",
    "street_number": "category", "postcode": "postcode",
}  # fmt: skip
FEBRL_RULES = (
    ("soc_sec_id",), ("given_name", "surname"), ("given_name", "date_of_birth"), ("surname", "date_of_birth"),
    ("given_name", "postcode"), ("surname", "postcode"), ("postcode", "date_of_birth"),
)  # fmt: skip
FAKE_FIELDS = {"first_name": "given", "surname": "family", "dob": "birthdate", "city": "city", "email": "email"}
FAKE_RULES = (("first_name",), ("surname",), ("dob",), ("email",))


@dataclass(frozen=True, slots=True)
class Case:
    """One table with its fields, keys and what the rivals' guides ask for besides."""

    size: int
    fields: dict[str, str]
    rules: tuple[tuple[str, ...], ...]
    sure: tuple[tuple[str, ...], ...]
    training: tuple[tuple[str, ...], ...]
    tools: tuple[str, ...]
    goals: tuple[tuple[str, str, float], ...]
    dates: str = "%Y-%m-%d"


SPLINKS = ("splink4", "splink5")
PEOPLE_SURE = (("email",), ("last_name", "birth_date"), ("first_name", "last_name", "postcode"))
PEOPLE_TRAINING = (("last_name", "postcode"), ("email",))
FEBRL_SURE = (("soc_sec_id",), ("given_name", "surname", "postcode"), ("given_name", "surname", "date_of_birth"))
FEBRL_TRAINING = (("date_of_birth",), ("postcode",))
SMALL = ("ours", *SPLINKS, "recordlinkage")
NOT_SLOWER = (("ours", "recordlinkage", 1.0), ("ours", "splink4", 1.0), ("ours", "splink5", 1.0))


def _people(size: int, rules: tuple[tuple[str, ...], ...], tools: tuple[str, ...], goals: Any) -> Case:
    return Case(size, PERSON_FIELDS, rules, PEOPLE_SURE, PEOPLE_TRAINING, tools, goals)


def _both(limit: float) -> tuple[tuple[str, str, float], ...]:
    return tuple(("ours", rival, limit) for rival in SPLINKS)


CASES = {
    "febrl3": Case(5_000, FEBRL_FIELDS, FEBRL_RULES, FEBRL_SURE, FEBRL_TRAINING, SMALL, NOT_SLOWER, "%Y%m%d"),
    "febrl4": Case(10_000, FEBRL_FIELDS, FEBRL_RULES, FEBRL_SURE, FEBRL_TRAINING, SMALL, NOT_SLOWER, "%Y%m%d"),
    "fake_1000": Case(
        1_000, FAKE_FIELDS, FAKE_RULES, (("first_name", "surname", "dob"), ("email",)), (("first_name", "surname"), ("dob",)),
        SMALL, NOT_SLOWER,
    ),
    "10k": _people(
        10_000, WIDE, (*SMALL, "ours-stored", "goldenmatch-stored"),
        (*NOT_SLOWER, ("ours-stored", "goldenmatch-stored", 1.0)),
    ),
    "50k": _people(50_000, WIDE, ("ours", *SPLINKS), _both(1 / 4)),
    "100k": _people(
        100_000, NARROW, ("ours", *SPLINKS, "ours-zero", "goldenmatch-zero", "ours-stored", "goldenmatch-stored"),
        (*_both(1 / 2), ("ours-zero", "goldenmatch-zero", 1 / 5), ("ours-stored", "goldenmatch-stored", 1 / 2)),
    ),
    "1m-narrow": _people(
        1_000_000, NARROW, ("ours", *SPLINKS, "ours-stored", "goldenmatch-stored"),
        (*_both(1 / 3), ("ours-stored", "goldenmatch-stored", 1 / 5)),
    ),
    "1m-wide": _people(1_000_000, WIDE, ("ours", *SPLINKS), _both(1 / 3)),
    "5m": _people(5_000_000, NARROW, ("ours",), ()),
}  # fmt: skip
DEFAULT = ("febrl3", "febrl4", "fake_1000", "10k", "50k", "100k")
SEED = 7919


def table(name: str, case: Case, cache: Path, seed: int) -> Path:
    """Return the folder with the case's table and truth, made where it is not there yet."""
    key = f"people-{case.size}" if case.fields is PERSON_FIELDS else name
    folder = cache / "tables" / f"{key}-{seed}"
    if not (folder / "truth.csv").exists():
        if case.fields is PERSON_FIELDS:
            data.write(data.generated(case.size, seed), data.PEOPLE, folder, seed)
        elif case.fields is FAKE_FIELDS:
            shared = Path(os.environ.get("STEWARD_REAL_DATA") or ROOT.parent / "shared" / "data")
            data.write(data.fake1000(shared), data.FAKE, folder, seed)
        else:
            data.write(data.febrl(int(name[-1])), data.FEBRL, folder, seed)
    return folder


def interpreter(tool: str, cache: Path) -> str:
    """Return the interpreter of a tool's own environment, built from its pins where it is not there yet."""
    if tool.startswith("ours"):
        return sys.executable
    name = tool.split("-")[0]
    python = cache / name / "bin" / "python"
    done = cache / name / "installed"
    if not done.exists():
        pins = ROOT / "requirements" / f"rivals-{name}.txt"
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, cache / name], check=True)
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--python", python, "--compile-bytecode", "--require-hashes", "-r", pins],
            check=True,
        )
        done.touch()
    return str(python)


SCRIPTS = {
    "ours": "with_steward.py", "splink4": "with_splink.py", "splink5": "with_splink.py",
    "recordlinkage": "with_recordlinkage.py", "goldenmatch": "with_goldenmatch.py", "enumerate": "enumerate_pairs.py",
}  # fmt: skip


@dataclass(slots=True)
class Run:
    """One process: what it took, or why there is no result."""

    cpu: float
    wall: float
    peak_mib: float
    stopped: str
    folder: Path
    own: dict[str, Any]


def run(tool: str, spec: dict[str, Any], folder: Path, python: str, limit: float, memory: float) -> Run:
    """Run one tool once, watching its memory; stop it at the limits."""
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    home = folder / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT) if tool.startswith("ours") else ""}
    script = TOOLS / SCRIPTS[tool.split("-")[0]]
    start = time.monotonic()
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [python, str(script), str(folder / "spec.json"), str(folder)], cwd=home, env=environment, stdout=log, stderr=log
        )
        stopped, peak = "", 0.0
        while True:
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            resident = _resident_mib(process.pid)
            peak = max(peak, resident)
            if resident > memory * 1024:
                stopped = f"over {memory:.0f} GiB"
            elif time.monotonic() - start > limit:
                stopped = f"over {limit:.0f} s"
            if stopped:
                process.kill()
            time.sleep(0.1)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and not stopped:
        stopped = f"exit {process.returncode}"
    own = {} if stopped else json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return Run(
        used.ru_utime + used.ru_stime, time.monotonic() - start, max(peak, own.get("peak_mib", 0.0)), stopped, folder, own
    )


def _resident_mib(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def spec_of(case: Case, folder: Path, tool: str, models: dict[str, Path]) -> dict[str, Any]:
    """Return what a tool is told."""
    mode = tool.partition("-")[2] or "trained"
    name = tool.split("-")[0]
    spec: dict[str, Any] = {
        "table": str(folder / "people.csv"), "mode": mode, "rules": case.rules, "sure_rules": case.sure, "recall": 0.7,
        "training_rules": case.training, "keep_from": 0.01, "cluster_at": 0.95,
        "random_pairs": 1e6,  # Splink's own default; its demonstration of 50,000 people takes five times as many
        "fields": [{"column": c, "kind": k, "format": case.dates} for c, k in case.fields.items()],
    }  # fmt: skip
    if mode == "stored":
        spec["model"] = str(models[name])
    return spec


def measure(
    name: str, case: Case, tools: list[str], runs: int, cache: Path, limit: float, memory: float, seed: int
) -> dict[str, list[Run]]:
    """Run the tools in turn, ``runs`` times; a tool that was stopped once is not run again."""
    folder = table(name, case, cache, seed)
    pythons = {tool: interpreter(tool, cache) for tool in tools}
    out: dict[str, list[Run]] = {tool: [] for tool in tools}
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as scratch:
        models: dict[str, Path] = {}
        for stored, trained in (("goldenmatch-stored", "splink4"), ("ours-stored", "ours")):
            if stored not in tools:
                continue
            model = cache / "models" / f"{stored}-{name}-{seed}"
            if not model.exists():
                model.parent.mkdir(exist_ok=True)
                spec = {**spec_of(case, folder, trained, {}), "save_model": str(model)}
                run(trained, spec, Path(scratch) / stored, interpreter(trained, cache), limit, memory)
            models[stored.split("-")[0]] = model
        for turn in range(runs):
            for tool in tools:
                if out[tool] and out[tool][-1].stopped:
                    continue
                found = run(
                    tool, spec_of(case, folder, tool, models), Path(scratch) / f"{tool}-{turn}", pythons[tool], limit, memory
                )
                if not found.stopped and not turn:
                    found.own["accuracy"] = accuracy(found.folder, folder / "truth.csv")
                if found.stopped:
                    found.own["log"] = (found.folder / "log.txt").read_text(errors="replace")[-400:]
                out[tool].append(found)
                print(f"  {name} {tool}: {found.stopped or f'{found.cpu:.2f} s'} {found.peak_mib:.0f} MiB", flush=True)
    return out


def summary(name: str, case: Case, found: dict[str, list[Run]]) -> tuple[list[str], list[tuple[str, float, float]]]:
    """Return lines to print and (goal, figure, limit) of this case."""
    lines = [
        f"{name}: {case.size:,} rows; medians of {max((len(r) for r in found.values()), default=0)}",
        f"  {'tool':20}{'cpu s':>9}{'wall s':>9}{'MiB':>8}   pairs F1 .5 / .95 / best   clusters F1, B-cubed at .95",
    ]
    for tool, runs in found.items():
        if runs[-1].stopped:
            lines.append(f"  {tool:20} no result: {runs[-1].stopped} ({runs[-1].cpu:.0f} s, {runs[-1].peak_mib:.0f} MiB)")
            continue
        middle = [statistics.median(getattr(r, part) for r in runs) for part in ("cpu", "wall", "peak_mib")]
        a = runs[0].own["accuracy"]
        lines.append(
            f"  {tool:20}{middle[0]:9.2f}{middle[1]:9.2f}{middle[2]:8.0f}   {a['f1_50']:.4f} / {a['f1_95']:.4f} / {a['best']:.4f}"
            f"   {a['cluster_f1']:.4f}, {a['b_cubed']:.4f}"
        )
    goals = []
    for ours, rival, limit in case.goals:
        if not found.get(ours) or not found.get(rival) or found[ours][-1].stopped:
            continue
        beside = found[rival]
        ratio = statistics.median(a.cpu / b.cpu for a, b in zip(found[ours], beside, strict=False))
        sign = "at most " if beside[-1].stopped else ""
        lines.append(f"  {ours} / {rival}: {sign}{ratio:.3f} (goal {limit:.2f}) {'met' if ratio <= limit else 'missed'}")
        goals.append((f"{name} {ours}/{rival}", ratio, limit))
    return lines, goals


def enumeration(name: str, case: Case, runs: int, cache: Path, limit: float, memory: float, seed: int) -> tuple[float, str]:
    """Return our score stage to DuckDB's enumeration of the same pairs, and a line about it."""
    folder = table(name, case, cache, seed)
    ratios, last = [], ""
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as scratch:
        for turn in range(runs):
            spec = spec_of(case, folder, "ours", {})
            ours = run("ours", spec, Path(scratch) / f"o{turn}", sys.executable, limit, memory)
            bare = run("enumerate", spec, Path(scratch) / f"e{turn}", sys.executable, limit, memory)
            ratios.append(ours.own["score_cpu"] / bare.own["cpu"])
            last = (
                f"  score stage {ours.own['score_cpu']:.2f} s for {ours.own['compared']:,} pairs; "
                f"bare enumeration {bare.own['cpu']:.2f} s for {bare.own['pairs']:,}"
            )
    return statistics.median(ratios), last


def main() -> int:
    """Measure, print, and return 0 where every goal measured is met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=tuple(CASES), default=list(DEFAULT))
    parser.add_argument("--tools", nargs="+", help="only these")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cache", type=Path, help="where environments and tables are kept")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds a process may take")
    parser.add_argument("--memory", type=float, default=20.0, help="GiB a process may hold")
    parser.add_argument("--seed", type=int, default=SEED, help="of the generated tables")
    parser.add_argument("--enumerate", action="store_true", help="our score stage to DuckDB's bare enumeration")
    parser.add_argument("--json", type=Path, help="write every run there as well")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="steward-bench-cache-") as temporary:
        cache = args.cache or Path(temporary)
        cache.mkdir(parents=True, exist_ok=True)
        goals: list[tuple[str, float, float]] = []
        everything: dict[str, Any] = {}
        for name in args.sets:
            case = CASES[name]
            if args.enumerate:
                ratio, line = enumeration(name, case, args.runs, cache, args.limit, args.memory, args.seed)
                print(f"{name}: score stage {ratio:.2f} x enumeration (goal 3)\n{line}", flush=True)
                goals.append((f"{name} score stage/enumeration", ratio, 3.0))
                continue
            tools = [t for t in case.tools if not args.tools or t in args.tools]
            found = measure(name, case, tools, args.runs, cache, args.limit, args.memory, args.seed)
            lines, reached = summary(name, case, found)
            print("\n".join(lines), flush=True)
            goals += reached
            everything[name] = {
                tool: [{"cpu": r.cpu, "wall": r.wall, "peak_mib": r.peak_mib, "stopped": r.stopped, **r.own} for r in runs]
                for tool, runs in found.items()
            }
            if args.json:
                args.json.write_text(json.dumps(everything, indent=1), encoding="utf-8")
    missed = [g for g in goals if g[1] > g[2]]
    print(f"duplicates: {len(goals) - len(missed)} of {len(goals)} ratios (goal all) {'missed' if missed else 'met'}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
