"""How quick the review is: the state behind the panel, and (with Chromium) key to painted frame.

``python -m bench.review [--size N] [--jump-size N] [--no-browser] [--no-lab] [--json]``. Prints the figures and last
``review: … (goal …) met|missed``; met only where every goal that was measured is met.

The rivals in the same run: the same queue served by stock SQL (``ORDER BY … LIMIT … OFFSET`` per page), and the same list
made of stock ipywidgets (``Select``, ``HTML`` and ``Button``, one round trip to the kernel per case) in the same JupyterLab.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from steward.decisions import DecisionAction
from steward.review.cases import View
from steward.review.conversation import Conversation
from steward.review.intent import Intent
from steward.review.session import ReviewSession
from steward.store.decision_log import DecisionLog
from steward.store.workspace import Workspace
from tests.support.review import BlankPanel, browser, make_workspace, ordinary

GOAL_P50, GOAL_P95 = 80.0, 150.0
GOALS = (
    ("key to next case painted", "p50", GOAL_P50),
    ("key to next case painted", "p95", GOAL_P95),
    ("Lab: key to next case painted", "p50", GOAL_P50),
    ("Lab: key to next case painted", "p95", GOAL_P95),
    ("jump anywhere, painted", "p95", 120.0),
    ("bulk decide 10,000", "max", 1_000.0),
    ("bulk undo 10,000", "max", 1_000.0),
    ("re-sort the queue", "max", 1_000.0),
    ("Lab: panel usable after its cell", "max", 3_000.0),
)
"""Figure, which of its values, and the most milliseconds it may be."""


def millions(ws: Workspace, snapshot: object, size: int) -> None:
    """Give every one of ``size`` cases the records of the first clusters in turn; evidence only, made in SQL."""
    digest = snapshot.digest  # type: ignore[attr-defined]  # a Snapshot
    ws.connection.execute(
        "INSERT INTO evidence SELECT $s, 'stale', 'contact', t._id || '-' || i, 'stale:contact:' || t._id || '-' || i, 'staleness', "
        "0.5 + (hash(i) % 5000) / 10000, 'No activity for 41 months.', '[]', '', 'p', sha256(i::VARCHAR) "
        f"FROM range($n) r(i) JOIN (SELECT _id, row_number() OVER () - 1 AS k FROM {ws.table(snapshot, 'contact')}) t ON t.k = i % 40",
        {"s": digest, "n": size},
    )


def timed(action: Callable[[], object], times: int = 1) -> list[float]:
    """Milliseconds of each run."""
    out = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        out.append((time.perf_counter() - start) * 1000)
    return out


def spread(values: list[float]) -> dict[str, float]:
    """p50, p95 and max."""
    ordered = sorted(values)
    return {
        "p50": statistics.median(ordered),
        "p95": ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))],
        "max": ordered[-1],
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.review", description=__doc__)
    parser.add_argument("--size", type=int, default=100_000, help="cases in the queue")
    parser.add_argument("--jump-size", type=int, default=1_000_000, help="cases in the queue through which is jumped")
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("--no-lab", action="store_true", help="leave out JupyterLab and the stock widgets")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        ws, snapshot = make_workspace(Path(folder), ordinary(120), clusters=[(2 * n, 2 * n + 1) for n in range(60)])
        millions(ws, snapshot, args.size)
        with DecisionLog.open(Path(folder) / "log.sqlite") as log:
            sessions: list[ReviewSession] = []
            figures["open the session"] = spread(timed(lambda: sessions.append(ReviewSession(ws, snapshot, log, "anna"))))
            work = sessions[0]
            figures["re-sort the queue"] = spread(
                [
                    t
                    for o in ("learning", "size", "certainty")
                    for t in timed(lambda o=o: work.select(View(kind="stale", order=o)))
                ]
            )
            starts = iter(range(0, args.size, max(1, args.size // 60)))
            figures["page of 40 anywhere"] = spread(timed(lambda: work.page(n := next(starts), n + 40), 50))
            rival = iter(range(0, args.size, max(1, args.size // 60)))
            figures["page of 40, ORDER BY … OFFSET"] = spread(
                timed(
                    lambda: ws.connection.execute(
                        "SELECT case_id, score FROM evidence WHERE kind = 'stale' ORDER BY score DESC, case_id LIMIT 40 OFFSET ?",
                        [next(rival)],
                    ).fetchall(),
                    20,
                )
            )
            bulk = work.plan_bulk(Intent(DecisionAction.KEEP), range(min(10_000, args.size)))
            figures["bulk decide 10,000"] = spread(timed(lambda: work.decide_bulk(bulk, bulk.records)))
            figures["bulk undo 10,000"] = spread(timed(work.undo))
            work.select(View(kind="duplicate"))
            lines = iter(range(60))
            figures["decide, on disk"] = spread(
                timed(lambda: work.decide(work.page(n := next(lines), n + 1)[0].case_id, Intent(DecisionAction.KEEP)), 30)
            )
            work.close()
        if not args.no_browser:
            figures |= in_browser(ws, snapshot, Path(folder))
        ws.close()
        if not args.no_browser:
            figures |= jumps(Path(folder), args.jump_size)
        if not args.no_browser and not args.no_lab:
            from bench.review_lab import in_lab

            figures |= in_lab(ws.path, Path(folder))
    shown = (
        figures.get("Lab: key to next case painted") or figures.get("key to next case painted") or figures["decide, on disk"]
    )
    missed = [
        f"{name}: {figures[name][which]:.0f} > {goal:.0f}"
        for name, which, goal in GOALS
        if name in figures and figures[name][which] > goal
    ]
    met = not missed
    line = f"review: {shown['p50']:.0f} / {shown['p95']:.0f} ms p50/p95 (goal {GOAL_P50:.0f} / {GOAL_P95:.0f}) {'met' if met else 'missed'}"
    if args.json:
        print(json.dumps({"size": args.size, "milliseconds": figures, "met": met}, indent=2))
    else:
        print(f"{args.size:,} cases; milliseconds; pyarrow {pa.__version__}")
        for name, v in figures.items():
            print(f"  {name:<34}{v['p50']:>10.1f}{v['p95']:>10.1f}{v['max']:>10.1f}   p50 p95 max")
        for what in missed:
            print(f"  missed: {what} ms")
        print(line)
    return 0 if met else 1


_WATCH = """() => { window.painted = []; document.querySelector('.sr-list').addEventListener('keydown', () => { const t = performance.now();
  const before = document.querySelector('.sr-title h2')?.textContent;
  const wait = () => requestAnimationFrame(() => { const now = document.querySelector('.sr-title h2')?.textContent;
    if (now && now !== before) setTimeout(() => window.painted.push(performance.now() - t)); else wait() }); wait(); }, true) }"""


def in_browser(ws: Workspace, snapshot: object, folder: Path) -> dict[str, dict[str, float]]:
    """Milliseconds from a real key press to the frame with the next case, on a blank page."""
    out: dict[str, dict[str, float]] = {}
    with DecisionLog.open(folder / "browser.sqlite") as log, browser() as chrome:
        start = time.perf_counter()
        panel = BlankPanel(chrome.new_page(), lambda send: Conversation(ReviewSession(ws, snapshot, log, "anna"), send))
        out["panel usable after opening"] = spread([(time.perf_counter() - start) * 1000])
        panel.page.evaluate(_WATCH)
        for _ in range(40):
            panel.press("p")
            panel.saved()
            panel.page.wait_for_timeout(60)
        out["key to next case painted"] = spread(panel.page.evaluate("window.painted"))
    return out


_JUMP = """([line, total]) => new Promise((done) => { const list = document.querySelector('.sr-list'), t = performance.now();
  const want = String(line), real = total * 46, y = real <= 8000000 ? line * 46 : line * 46 * (8000000 - list.clientHeight) / (real - list.clientHeight);
  list.scrollTop = y; const wait = () => requestAnimationFrame(() => { const row = [...document.querySelectorAll('.sr-row:not(.sr-wait)')].find((r) => r.dataset.line === want);
    if (row) setTimeout(() => done(performance.now() - t)); else wait(); }); wait(); })"""


def jumps(folder: Path, size: int) -> dict[str, dict[str, float]]:
    """Milliseconds from moving the scroll bar to the frame with the real lines there, anywhere in a queue of ``size``."""
    ws, snapshot = make_workspace(folder / "jump", ordinary(120), clusters=[(0, 1)])
    millions(ws, snapshot, size)
    with DecisionLog.open(folder / "jump.sqlite") as log, browser() as chrome:
        session = ReviewSession(ws, snapshot, log, "anna")
        panel = BlankPanel(chrome.new_page(), lambda send: Conversation(session, send))
        panel.page.locator(".sr-tab").nth(1).click()
        panel.page.wait_for_function(
            "(n) => document.querySelector('.sr-row')?.getAttribute('aria-setsize') === String(n)", arg=size
        )
        dice = random.Random(7)
        times = [panel.page.evaluate(_JUMP, [dice.randrange(size), size]) for _ in range(60)]
        session.close()
    ws.close()
    return {"jump anywhere, painted": spread(times)}


if __name__ == "__main__":
    sys.exit(main())
