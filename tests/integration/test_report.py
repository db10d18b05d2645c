"""The scorecard of a real run: its counts are the store's, it asks nobody for anything, and no name can break out of it."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from steward.cli import main
from steward.crm.mapping import parse_mapping
from steward.crm.sql import SqlReader
from steward.decisions import DecisionAction
from steward.evidence import Evidence
from steward.messages import choose_language
from steward.policy import parse_policy
from steward.records import RecordKey
from steward.review.intent import Intent
from steward.review.session import ReviewSession
from steward.sandbox import build_crm, demo_mapping
from steward.scorecard import collect, render
from steward.scoring.run import score_objects
from steward.store import FileSource, Workspace
from steward.store.decision_log import DecisionLog

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
POLICY = Path(__file__).parents[2] / "steward" / "demo_policy.toml"


class Parsed(HTMLParser):
    """What a browser would see: tags, attributes, text per table row."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.rows: list[list[str]] = []
        self.language = ""
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag == "html":
            self.language = dict(attrs)["lang"] or ""
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td") and self.rows:
            self.rows[-1].append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("th", "td"):
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data

    def row(self, first: str, *, nth: int = 0) -> list[str]:
        return [[" ".join(c.split()) for c in r] for r in self.rows if r and r[0].split()[:1] == first.split()[:1]][nth]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 customers, two snapshots a month apart, scored; one case decided by a person and the clear ones by rule."""
    folder = tmp_path_factory.mktemp("report")
    crm = f"sqlite:///{folder / 'crm.sqlite'}"
    build_crm(crm, customers=300, seed=11)
    mapping = parse_mapping(demo_mapping(), where="demo")
    holds = folder / "holds.txt"
    holds.write_text("# none\n", encoding="utf-8")
    policy = parse_policy(POLICY.read_text(encoding="utf-8"), where=POLICY.name)
    with Workspace.open(folder / "w", create=True) as ws:
        for month in (10, 11):
            if month == 11:
                with sqlite3.connect(folder / "crm.sqlite") as changed:
                    changed.execute("UPDATE contact SET email = 'nobody' WHERE rowid % 20 = 0")
                changed.close()
            reader = SqlReader(crm, mapping)
            try:
                snapshot = ws.take_snapshot(reader, taken_at=NOW.replace(month=month))
            finally:
                reader.close()
            score_objects(ws, snapshot, policy=policy, holds=holds)
        with DecisionLog.open(folder / "w") as log:
            anna = ReviewSession(ws, snapshot, log, "anna", now=lambda: NOW)
            anna.decide(ws.clusters(snapshot, "contact")[0].id, Intent(DecisionAction.NOT_DUPLICATE))
            anna.close()
    assert main(["decide", "--holds", str(holds), "--quiet", "--workspace", str(folder / "w")]) == 0
    return folder


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    choose_language("en")
    yield
    choose_language("en")


def report(folder: Path, *words: str, to: str = "scorecard.html") -> str:
    """Run the command people type and return the page."""
    target = folder / to
    assert main(["report", "--workspace", str(folder / "w"), "--to", str(target), "--quiet", *words]) == 0
    return target.read_text(encoding="utf-8")


def only(ws: Workspace, statement: str, *values: object) -> int:
    return int(ws.connection.execute(statement, list(values)).fetchall()[0][0])


def test_every_count_is_the_stores(scored: Path) -> None:
    page = Parsed(report(scored))
    with Workspace.open(scored / "w", read_only=True) as ws, DecisionLog.open(scored / "w") as log:
        snapshot = ws.snapshot()
        clusters = ws.clusters(snapshot, "contact")
        stale = {e.key for e in ws.evidence(snapshot, kind="stale", object="contact")}
        kept = {k for k in ws.protections(snapshot) if k.object == "contact"}
        invalid = ws.evidence(snapshot, kind="invalid", object="contact")
        assert clusters and stale - kept and stale & kept and invalid  # else the page would prove nothing
        assert page.row("contact") == [
            "contact person", "300", str(sum(len(c.members) - 1 for c in clusters)), str(len(clusters)), str(len(stale)),
            str(len(stale - kept)), str(len(kept)), str(len({e.key for e in invalid})), "0",
        ]  # fmt: skip
        proposed = only(ws, "SELECT count(DISTINCT record_id) FROM evidence WHERE snapshot = ? AND kind = 'duplicate' AND object = 'contact'",
                        snapshot.digest)  # fmt: skip
        assert proposed == sum(len(c.members) - 1 for c in clusters)
        note = page.row("note")
        assert note[2:8] == ["–"] * 6  # not scored is not zero

        by_rule: dict[str, set[str]] = {}
        for e in invalid:
            by_rule.setdefault(e.rule_id, set()).add(e.key.id)
        for rule, ids in by_rule.items():
            assert page.row(rule)[3] == str(len(ids)), rule
        assert page.row("contact.email.syntax")[1:3] == ["To be mended", "The e-mail address cannot be right."]

        codes: dict[str, set[str]] = {}
        for key, found in ws.protections(snapshot).items():
            if key.object == "contact":
                for protection in found:
                    codes.setdefault(protection.code, set()).add(key.id)
        shown = {r[0].split()[-1]: r[2] for r in page.rows if len(r) == 5 and r[0].split()[-1:] and r[0].split()[-1] in codes}
        assert shown == {code: str(len(ids)) for code, ids in codes.items()}

        session = ReviewSession(ws, snapshot, log, "ben", now=lambda: NOW)
        duplicates = session.progress("duplicate")
        session.close()
        standing = log.standing().by_key.values()
        case_ids = {c.id for name in ("contact", "company") for c in ws.clusters(snapshot, name)}
        by_person = sum(1 for d in standing if d.case_id in case_ids and not d.by_rule)
        machine = sum(1 for d in standing if d.case_id in case_ids and d.by_rule)
        assert by_person and machine
        assert page.row("Duplicates")[1:9] == [
            str(n) for n in (duplicates.total, duplicates.decided, duplicates.open, 0, 0, 0, by_person, machine)
        ]
        first = ws.snapshots()[0]
        before = page.row("2026-10-25")
        assert before[1] == first.digest[:12] and before[2] == f"{first.rows:,}"
        assert before[6] == str(
            only(
                ws,
                "SELECT count(DISTINCT (object, record_id)) FROM evidence WHERE snapshot = ? AND kind = 'invalid'",
                first.digest,
            )
        )
        assert snapshot.digest in report(scored) and first.digest not in report(scored)
        assert first.digest in report(scored, "--snapshot", first.digest[:8])


def test_the_page_stands_alone_and_holds_no_value_of_a_customer(scored: Path) -> None:
    text = report(scored)
    page = Parsed(text)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)|javascript:|data:", text, re.I)
    assert not {"script", "link", "iframe", "img", "object", "embed", "form", "base", "use", "image"} & set(page.tags)
    assert not [a for a in page.attributes if a[1] in ("src", "href", "srcset", "xlink:href") or a[1].startswith("on")]
    assert "default-src 'none'" in text and "prefers-color-scheme: dark" in text and "@media print" in text
    drawings = [a for a in page.attributes if a[0] == "svg"]
    assert drawings and text.count("<svg") == text.count('role="img"') == len(re.findall(r'<svg[^>]*aria-label="[^"]+"', text))
    with sqlite3.connect(scored / "crm.sqlite") as crm:
        people = crm.execute("SELECT id, email, phone, last_name, first_name FROM contact").fetchall()
    crm.close()
    for value in {v for row in people for v in row if v and len(v) > 6}:
        assert value not in text


@pytest.mark.parametrize(
    ("language", "tag", "words"),
    [
        ("en", "en", ("Scorecard", "The e-mail address cannot be right.", "To be mended")),
        ("de", "de", ("Bewertungsbogen", "Dubletten", " %")),
        ("zh_CN", "zh-Hans", ("重复", "陈旧", "无效", "评分卡")),
    ],
)
def test_it_speaks_the_language_in_force(scored: Path, language: str, tag: str, words: tuple[str, ...]) -> None:
    text = report(scored, "--language", language, to=f"{language}.html")
    assert Parsed(text).language == tag
    with Workspace.open(scored / "w", read_only=True) as ws:
        reasons = next(r for r in ws.runs(ws.snapshot()) if (r["kind"], r["object"]) == ("invalid", "contact"))["summary"][
            "rules"
        ]
    assert reasons["contact.email.syntax"]["reason"][language.split("_")[0]] in text
    for word in words:
        assert word in text, word


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    evil = '</td><script>alert(1)</script>"onload="x" {{ 7*7 }} \u202e'
    (tmp_path / "people.csv").write_text("id,name\n1,a\n2,b\n3,c\n", encoding="utf-8")
    with Workspace.open(tmp_path / "w", create=True) as ws:
        snapshot = ws.take_snapshot(FileSource(tmp_path / "people.csv", key="id"), taken_at=NOW)
        name = snapshot.objects[0].name
        ws.replace_evidence(
            snapshot, "invalid", name,
            evidence=[Evidence("invalid", RecordKey(name, "1"), evil, 1.0, "x", (), f"invalid:{name}:1", "d" * 64, evil)],
            definition_digest=evil, summary={"records": 3, "rules": {evil: {"reason": {"en": evil, "de": evil, "zh": evil}}}},
            complete=False,
        )  # fmt: skip
        ws.replace_evidence(
            snapshot, "stale", name, evidence=[], definition_digest="d" * 64, summary={"records": 3},
            protections=pl.DataFrame({"record_id": ["2"], "code": [evil], "outcome": [evil], "sentence": ["customer value"]}),
        )  # fmt: skip
        for table in ("snapshot_objects", "evidence", "runs", "protections"):
            ws.connection.execute(f"UPDATE {table} SET object = ?", [evil])
        ws.connection.execute("UPDATE snapshots SET tenant = ?, system = ?, connector_version = ?", [evil, evil, evil])
        card = collect(ws, ws.snapshot(), None, now=lambda: NOW)
        text = render(card, now=NOW)
    page = Parsed(text)
    assert "script" not in page.tags and not [a for a in page.attributes if a[1].startswith("on")]
    assert "&lt;script&gt;alert(1)" in text
    cells = [c for row in page.rows for c in row if "alert(1)" in c]
    assert len(cells) >= 6 and all("{{ 7*7 }}" in c or c.startswith(evil[:10]) for c in cells)  # neither run nor evaluated
    assert page.row("2026-11-25")[0] == "2026-11-25 12:00 UTC"  # the tables still have their rows
    assert "\u202e" not in text and "\\u202e" in text  # made visible: it cannot turn the line around
    assert "customer value" not in text
    assert "A suite did not run whole" in text


def test_what_was_not_scored_is_said_and_nothing_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "people.csv").write_text("id,name\n1,a\n2,b\n", encoding="utf-8")
    with Workspace.open(tmp_path / "w", create=True) as ws:
        ws.take_snapshot(FileSource(tmp_path / "people.csv", key="id"), taken_at=NOW)
    target = tmp_path / "page.html"
    target.write_text("before", encoding="utf-8")
    assert main(["report", "--workspace", str(tmp_path / "w"), "--to", str(target), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["records"] == 2 and told["objects"][0]["stale"] is None and told["cases"] == []
    assert "This snapshot was not scored." in target.read_text(encoding="utf-8")
    assert not (tmp_path / "w" / "decisions.sqlite").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["page.html", "people.csv", "w"]  # no temporary file is left


def test_a_wrong_place_is_refused_and_a_page_that_is_there_stays(scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for to in ("card.pdf", "nowhere/card.html"):
        assert main(["report", "--workspace", str(scored / "w"), "--to", str(scored / to)]) == 2
        assert capsys.readouterr().err.startswith("Refused:")
        assert not (scored / to).exists()
    assert main(["report", "--workspace", str(scored / "w"), "--snapshot", "ffff", "--to", str(scored / "none.html")]) == 2
    assert not (scored / "none.html").exists()
