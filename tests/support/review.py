"""A small real workspace with cases of all kinds, and a blank page that carries the panel without Jupyter.

The page is given the panel's own front and talks to a real :class:`Conversation` in this process, so that behaviour is
tested in a browser within a second or two. Every request of the page is noted.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
from playwright.sync_api import Browser, Page, sync_playwright

import steward
from steward.crm.mapping import parse_mapping
from steward.crm.sql import SqlReader
from steward.evidence import Evidence, MatchWeight, ShownValue
from steward.policy import Protection
from steward.records import RecordKey, Snapshot
from steward.review.conversation import Conversation
from steward.review.panel import FRONT, front
from steward.review.words import words
from steward.scoring.duplicates.survivor import Survivor, reason
from steward.store.findings import weights_json
from steward.store.workspace import Workspace

TAKEN = datetime(2026, 11, 1, tzinfo=UTC)
POLICY = hashlib.sha256((Path(steward.__file__).parent / "default_policy.toml").read_bytes()).hexdigest()
"""Digest of the policy that ships: protections of another one let nothing be drafted."""
FIELDS = ("name", "email", "phone", "city", "note")
CHROMIUM_WORDS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
                  "--no-first-run", "--disable-quic"]  # fmt: skip

MAPPING = """
format = "steward-mapping/1"
system = "sql"
tenant = "test"
environment = "sandbox"
[objects.contact]
key = "id"
role = "person"
label = ["name"]
modified = "updated_at"
version = "version"
soft_delete = { column = "is_deleted", deleted = "1", live = "0" }
[objects.deal]
key = "id"
role = "deal"
amount = "amount"
event = "closed_at"
parents = { contact_id = "contact" }
on_delete = { contact_id = "block" }
open_when = { column = "stage", values = ["open"] }
[objects.activity]
key = "id"
role = "activity"
event = "happened_at"
parents = { contact_id = "contact" }
on_delete = { contact_id = "cascade" }
"""


def make_workspace(
    folder: Path,
    people: Sequence[Mapping[str, str | None]],
    *,
    clusters: Sequence[Sequence[int]] = (),
    stale: Sequence[int] = (),
    invalid: Sequence[int] = (),
    deals: Sequence[tuple[int, str, str]] = (),
    protections: Mapping[int, Protection] | None = None,
    name: str = "workspace",
    taken: datetime = TAKEN,
) -> tuple[Workspace, Snapshot]:
    """Make a workspace from people (their position is their id) and what is to be said of them.

    Parameters
    ----------
    deals : sequence of (person, amount, stage)
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.sqlite"
    with sqlite3.connect(file) as db:
        db.execute(
            "CREATE TABLE contact(id TEXT PRIMARY KEY, name TEXT, email TEXT, phone TEXT, city TEXT, note TEXT, updated_at TEXT, version INTEGER, "
            "is_deleted TEXT DEFAULT '0')"
        )
        db.execute("CREATE TABLE deal(id TEXT PRIMARY KEY, contact_id TEXT, amount TEXT, closed_at TEXT, stage TEXT)")
        db.execute("CREATE TABLE activity(id TEXT PRIMARY KEY, contact_id TEXT, happened_at TEXT)")
        db.executemany(
            "INSERT INTO contact VALUES (?,?,?,?,?,?,?,1,'0')",
            [(key(i).id, *(p.get(f) for f in FIELDS), f"2026-{i % 9 + 1:02d}-01T00:00:00Z") for i, p in enumerate(people)],
        )
        db.executemany(
            "INSERT INTO deal VALUES (?,?,?,?,?)",
            [(f"d{n}", key(i).id, a, "2026-03-04", s) for n, (i, a, s) in enumerate(deals)],
        )
        db.executemany(
            "INSERT INTO activity VALUES (?,?,?)",
            [(f"a{n}", key(n).id, "2025-05-06T10:00:00") for n in range(0, len(people), 2)],
        )
    db.close()
    ws = Workspace.open(folder / name, create=True)
    reader = SqlReader(f"sqlite:///{file}", parse_mapping(MAPPING))
    snapshot = ws.take_snapshot(reader, taken_at=taken)
    reader.close()
    _duplicates(ws, snapshot, people, clusters)
    say = [Evidence("stale", key(i), "staleness", 0.8, "No activity for 41 months.",
                    (ShownValue("last activity", "2023-06-14", "24 months", "activity", 50.0),), f"stale:contact:{key(i).id}", "p") for i in stale]  # fmt: skip
    kept = protections or {}
    frame = pl.DataFrame(
        {"record_id": [key(i).id for i in kept], "code": [p.code for p in kept.values()], "outcome": [p.outcome for p in kept.values()],
         "sentence": [p.sentence for p in kept.values()]},
        schema=dict.fromkeys(("record_id", "code", "outcome", "sentence"), pl.String),
    )  # fmt: skip
    ws.replace_evidence(snapshot, "stale", "contact", evidence=say, protections=frame, definition_digest=POLICY, summary={})
    wrong = [Evidence("invalid", key(i), "email-syntax", 1.0, "The e-mail address has no domain.", (), f"invalid:contact:{key(i).id}", "s", "delete_candidate")
             for i in invalid]  # fmt: skip
    ws.replace_evidence(snapshot, "invalid", "contact", evidence=wrong, definition_digest="s", summary={})
    return ws, snapshot


def _duplicates(
    ws: Workspace, snapshot: Snapshot, people: Sequence[Mapping[str, str | None]], clusters: Sequence[Sequence[int]]
) -> None:
    members, pairs, said, chosen = [], [], [], []
    for n, group in enumerate(clusters):
        case = f"dup-{n:05d}"
        rule = ("linked", "newest", "id")[n % 3]
        why = reason(Survivor(key(group[0]).id, rule, steerable=rule == "newest"))
        chosen.append((case, key(group[0]).id, rule, rule == "newest", why, "{}", "[]"))
        members += [(case, key(i).id, i == group[0]) for i in group]
        for i in group[1:]:
            left, right = sorted((key(group[0]).id, key(i).id))
            weights = [
                MatchWeight(f, "missing" if people[i].get(f) is None or people[group[0]].get(f) is None else
                            "agree" if people[i][f] == people[group[0]][f] else "disagree", "exact",
                            0.0 if people[i].get(f) is None else 6.0 if people[i][f] == people[group[0]][f] else -3.0, people[group[0]].get(f), people[i].get(f))
                for f in FIELDS[:4]
            ]  # fmt: skip
            pairs.append((left, right, 7.5, 0.9945 - n % 7 * 0.01, "email", weights_json(weights)))
            said.append(
                Evidence(
                    "duplicate", key(i), "linkage", 0.9945 - n % 7 * 0.01, f"Same e-mail as {key(group[0]).id}.", (), case, "l"
                )
            )
    ws.replace_evidence(
        snapshot, "duplicate", "contact", evidence=said,
        pairs=pl.DataFrame(pairs, schema=["left_id", "right_id", "match_weight", "probability", "rule", "weights_json"], orient="row") if pairs else None,
        clusters=pl.DataFrame(members, schema=["cluster_id", "record_id", "survivor"], orient="row") if members else None,
        survivors=pl.DataFrame(chosen, schema=["cluster_id", "record_id", "rule", "steerable", "reason", "values_json", "differing_json"], orient="row") if chosen else None,
        definition_digest="l", summary={},
    )  # fmt: skip


def key(i: int) -> RecordKey:
    """Key of the person at a position: ids of 18 digits that no number type keeps."""
    return RecordKey("contact", f"0{9_007_199_254_740_993 + i}")


def ordinary(n: int) -> list[dict[str, str | None]]:
    """Return ``n`` people; each odd one is a slightly different copy of the one before."""
    names = ["Jörg Müller", "Anna Schmidt", "王小明", "Siân O’Brien", "Lena Weiß", "李娜"]
    out: list[dict[str, str | None]] = []
    for i in range(n):
        base = names[(i // 2) % len(names)]
        person: dict[str, str | None] = {
            "name": f"{base} {i // 2}",
            "email": f"p{i // 2}@example.org",
            "phone": f"+49 30 901820{i // 2:03d}",
            "city": "Köln",
            "note": None,
        }
        if i % 2:
            person |= {"name": f"{base}e {i // 2}", "phone": None, "city": "Koeln", "note": "called twice"}
        out.append(person)
    return out


def chromium() -> str:
    """Path of Chromium; a missing browser fails the test."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        import pytest

        pytest.fail("Chromium is not installed: install the system package 'chromium' and run again")
    return found


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium without a window and without calls home."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_WORDS)
        yield started
        started.close()


_PAGE = """<!doctype html><meta charset=utf-8><title>panel</title><style>body{margin:12px;background:#eef1f4}</style><div id=here></div>"""
_BOOT = """async ([source, words, reviewer]) => {
  const module = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const heard = [];
  window.said = [];
  window.executed = 0;
  window.hear = (text) => { const m = JSON.parse(text); for (const f of heard) f(m); };
  const model = { get: (n) => ({ words, reviewer }[n]), on: (n, f) => { if (n === "msg:custom") heard.push(f); }, off: () => {},
                  send: (m) => { window.said.push(m.type); window.toPython(JSON.stringify(m)); } };
  window.cleanup = module.default.render({ model, el: document.getElementById("here") });
}"""


class BlankPanel:
    """The panel on a page of its own, driven by a real conversation."""

    def __init__(
        self,
        page: Page,
        conversation_of: Any,
        *,
        width: int = 1380,
        hold: Callable[[dict[str, Any]], bool] = lambda _answer: False,
    ) -> None:
        self.page, self.requests, self.errors = page, [], []  # type: ignore[var-annotated]  # filled by the page's events
        self.answers: list[dict[str, Any]] = []
        self.hold, self.held = hold, []  # type: ignore[var-annotated]  # filled by _hear
        page.set_viewport_size({"width": width, "height": 900})
        page.on("request", lambda r: self.requests.append(r.url))
        page.on("pageerror", lambda e: self.errors.append(str(e)))
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        page.set_content(_PAGE)
        page.add_style_tag(content=(FRONT / "panel.css").read_text("utf-8"))
        self.conversation: Conversation = conversation_of(self._answer)
        page.expose_binding("toPython", lambda _source, text: self._hear(text))
        page.evaluate(_BOOT, [front("panel.js"), words(), self.conversation.session.reviewer])
        page.wait_for_selector(".sr-title h2")

    def _hear(self, text: str) -> None:
        self.answers = []
        self.conversation.handle(json.loads(text))
        said, self.answers = self.answers, []
        for answer in said:
            if self.hold(answer):
                self.held.append(answer)
            else:
                self._tell(answer)

    def _tell(self, answer: dict[str, Any]) -> None:
        self.page.evaluate("(t) => { window.hear(t) }", json.dumps(answer))

    def release(self, count: int | None = None) -> None:
        """Let the page hear answers that were held back, oldest first: a kernel that is late."""
        now, self.held = self.held[:count], self.held[len(self.held[:count]) :]
        for answer in now:
            self._tell(answer)

    def _answer(self, message: dict[str, Any]) -> None:
        self.answers.append(message)

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for k in keys:
            self.page.keyboard.press(k)

    def text(self, selector: str) -> str:
        """Text of the first element."""
        return self.page.locator(selector).first.inner_text()

    @property
    def title(self) -> str:
        """Name of the case on the screen."""
        return self.text(".sr-title h2")

    def saved(self) -> str:
        """Wait until a decision is on disk and return what the panel says."""
        self.page.wait_for_selector('.sr-saved[data-ok="yes"]')
        return self.text(".sr-saved")
