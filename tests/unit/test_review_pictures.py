"""Pictures: their numbers against a second way of counting, their geometry, and that no value can become markup."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from steward.decisions import DecisionAction
from steward.evidence import CandidatePair, ComparisonVector, MatchWeight
from steward.messages import choose_language
from steward.policy import Protection
from steward.records import RecordKey, Snapshot
from steward.review.intent import Intent
from steward.review.pictures import execution, heat, related, scene, scores, stand, waterfall
from steward.review.pictures.talk import NOTEBOOK, PictureTalk
from steward.review.session import ReviewSession
from steward.store.decision_log import DecisionLog
from steward.store.workspace import Workspace
from tests.support.review import key, make_workspace, ordinary

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Snapshot]]:
    """Nine clusters, three stale, one held; deals of 1,200.50 and 99.50 hang on person 1."""
    ws, snapshot = make_workspace(
        tmp_path_factory.mktemp("pictures"), ordinary(40), clusters=[(2 * n, 2 * n + 1) for n in range(8)] + [(20, 21, 22)],
        stale=[30, 31, 1], invalid=[33], deals=[(1, "1200.50", "open"), (1, "99.50", "won"), (2, "250000", "won")],
        protections={30: Protection("legal_hold", "keep", "It is on the hold list.")},
    )  # fmt: skip
    yield ws, snapshot
    ws.close()


def scenes(ws: Workspace, snapshot: Snapshot) -> dict[str, scene.Scene]:
    """Every picture once."""
    pair = ws.pairs_of(snapshot, "contact", "dup-00000")[0]
    return {
        "scores": scores.draw(scores.collect(ws, snapshot, None), cut=40),
        "waterfall": waterfall.draw(pair),
        "heat": heat.draw(heat.collect(ws, snapshot, "contact")),
        "related": related.draw(related.collect(ws, snapshot, key(1), named=True)),
        "stand": stand.draw([stand.Point(datetime(2026, 11, n, tzinfo=UTC), {"records": n, "stale": None if n == 1 else n}) for n in (1, 2)]),
        "execution": execution.draw(execution.collect(ws, snapshot, snapshot, [key(1)])),
    }  # fmt: skip


@pytest.mark.parametrize("language", ["en", "de", "zh_CN"])
def test_every_picture_is_well_formed_svg_with_title_text_and_table(desk: tuple[Workspace, Snapshot], language: str) -> None:
    choose_language(language)
    try:
        for name, picture in scenes(*desk).items():
            root = ElementTree.fromstring(picture.svg(name, standalone=True))
            assert root.find(SVG + "title").text and root.find(SVG + "desc").text, name  # type: ignore[union-attr]  # None fails too
            assert picture.table.rows and all(len(r) == len(picture.table.columns) for r in picture.table.rows), name
            _x, _y, w, h = map(float, root.attrib["viewBox"].split())
            for box in root.iter(SVG + "rect"):
                if "patternUnits" in box.attrib or "x" not in box.attrib:
                    continue
                x, y, bw, bh = (float(box.attrib[k]) for k in ("x", "y", "width", "height"))
                assert x >= 0 and y >= 0 and x + bw <= w + 0.5 and y + bh <= h + 0.5, (name, box.attrib)
            assert "http" not in picture.svg(name).replace("http://www.w3.org/2000/svg", ""), name
    finally:
        choose_language("en")


def test_no_value_becomes_markup() -> None:
    bad = '<img src=x onerror="alert(1)">\u202e"\'&</svg><script>'
    pair = ComparisonVector(
        CandidatePair(RecordKey("contact", bad + "1"), RecordKey("contact", bad + "2")), -3.0, (MatchWeight(bad, "agree", bad, 8.0, None, None),)
    )  # fmt: skip
    for text in (
        waterfall.draw(pair).svg("a"),
        related.draw(related.Related(RecordKey("c", "1"), bad, ((bad, bad, bad),), ())).svg("b"),
    ):
        root = ElementTree.fromstring(text)
        assert {e.tag.removeprefix(SVG) for e in root.iter()} <= {
            "svg",
            "title",
            "desc",
            "rect",
            "polyline",
            "text",
            "defs",
            "pattern",
        }
        assert not [k for e in root.iter() for k in e.attrib if k.lower().startswith("on") or k == "href"]
        assert "\u202e" not in text


def test_tones_are_legible_on_their_ground_in_light_and_dark() -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    for scheme in (scene._LIGHT, scene._DARK):
        for tone, least in (("ink", 7.0), ("soft", 4.5), ("accent", 3.0), ("warm", 3.0), ("hot", 3.0), ("ok", 3.0)):
            for ground in ("paper", "bed"):
                a, b = sorted((luminance(scheme[tone]), luminance(scheme[ground])), reverse=True)  # type: ignore[index]  # tones are texts
                assert (a + 0.05) / (b + 0.05) >= least, (tone, ground)


def test_a_waterfall_begins_each_bar_where_the_one_before_ended_and_ends_at_the_sum() -> None:
    weights = tuple(MatchWeight(f, "agree", "exact", b, "x", "x") for f, b in (("a", 5.0), ("b", -2.5), ("c", 6.0)))
    picture = waterfall.draw(ComparisonVector(CandidatePair(RecordKey("p", "1"), RecordKey("p", "2")), -4.0, weights))
    bars = [m for m in picture.marks if isinstance(m, scene.Rect)]
    per_bit = bars[1].w / 5.0
    ends = []
    for bar, bits in zip(bars[:4], (-4.0, 5.0, -2.5, 6.0), strict=True):
        assert bar.w == pytest.approx(abs(bits) * per_bit) and (bar.fill == "hatch") == (bits < 0)
        begin, end = (bar.x + bar.w, bar.x) if bits < 0 else (bar.x, bar.x + bar.w)
        if ends:
            assert begin == pytest.approx(ends[-1])
        ends.append(end)
    total = bars[4]
    assert total.w == pytest.approx(4.5 * per_bit) and total.x + total.w == pytest.approx(ends[-1])
    assert picture.table.rows[-1][1] == "+4.5" and picture.table.rows[-1][2] == f"{100 / (1 + 2**-4.5):.1f}%"


def test_precision_counts_decided_pairs_as_decided_and_others_by_probability(
    desk: tuple[Workspace, Snapshot], tmp_path: Path
) -> None:
    ws, snapshot = desk
    rows = ws.connection.execute("SELECT left_id, right_id, match_weight, probability FROM pairs").fetchall()
    with DecisionLog.open(tmp_path) as log:
        work = ReviewSession(ws, snapshot, log, "anna")
        work.decide("dup-00000", Intent(DecisionAction.MERGE, confirmed=True))
        work.decide("dup-00001", Intent(DecisionAction.NOT_DUPLICATE, confirmed=True))
        work.decide("dup-00002", Intent(DecisionAction.KEEP, confirmed=True))  # says nothing about the pair
        found = scores.collect(ws, snapshot, log.standing())
        work.close()
    known = {(key(0).id, key(1).id): 1.0, (key(2).id, key(3).id): 0.0}
    for bar in (0, 20, 33, 35, 36):
        bits = scores.LOWEST + bar * scores.STEP
        above = [known.get((a, b), p) for a, b, w, p in rows if w >= bits or bar == 0]
        cut = found.at(bar)
        assert cut.pairs == len(above)
        assert cut.precision == (pytest.approx(sum(above) / len(above)) if above else None)
    low = found.at(0)
    assert (low.same, low.different) == (1, 1) and low.cases_above == 9 and low.cases_below == 0
    assert found.at(len(found.pairs)).pairs == 0 and found.at(len(found.pairs)).cases_below == 9
    assert sum(c.cases_above + c.cases_below == 9 for c in map(found.at, range(61))) == 61
    assert scores.cuts(found)[35]["decided"] in ("1 of 2", "–")


def test_bits_and_probability_are_inverse_and_stay_on_the_axis() -> None:
    for p in (1e-4, 0.01, 0.3, 0.5, 0.99, 0.9999):
        assert scores.probability(scores.bits_of(p)) == pytest.approx(max(p, scores.probability(scores.LOWEST)), rel=1e-9)
    assert scores.bits_of(0) == scores.LOWEST and scores.bits_of(1) == scores.HIGHEST
    assert math.isclose(scores.LOWEST + scores.bar_of(0.5) * scores.STEP, 0)


def test_the_heat_map_counts_every_live_record_once_by_silence_and_worth(desk: tuple[Workspace, Snapshot]) -> None:
    ws, snapshot = desk
    found = heat.collect(ws, snapshot, "contact")
    assert sum(n for row in found.cells for n, _s, _f in row) == 40
    assert sum(s for row in found.cells for _n, s, _f in row) == 3 and sum(f for row in found.cells for _n, _s, f in row) == 2
    by_worth = [sum(n for n, _s, _f in row) for row in found.cells]
    assert by_worth == [38, 0, 1, 0, 1]  # 1,300 hangs on one person, 250,000 on another
    # The activities are of May 2025, 18 months before; deals of March 2026 are nearer; who has neither is not known.
    months = Counter({3: 0})
    for row in found.cells:
        for column, (n, _s, _f) in enumerate(row):
            months[column] += n
    activity = set(range(0, 40, 2))
    assert (
        months[1] == len({1, 2}) and months[2] == len(activity - {2}) and months[len(heat.AGES) + 1] == 40 - len(activity | {1})
    )


def test_what_hangs_on_a_record_says_what_blocks(desk: tuple[Workspace, Snapshot]) -> None:
    ws, snapshot = desk
    picture = related.draw(related.collect(ws, snapshot, key(1)))
    assert "blocked by: deal" in picture.text and "Jörg" not in picture.svg("r")
    row = next(r for r in picture.table.rows if r[0] == "deal")
    assert row[2:5] == ("2", "1", "1,300") and "blocks" in row[6]
    assert "nothing blocks" in related.draw(related.collect(ws, snapshot, key(39))).text


def test_before_and_after_tells_what_went_unsigned_and_what_is_left(tmp_path: Path) -> None:
    ws, first = make_workspace(tmp_path, ordinary(10))
    import sqlite3

    from steward.crm.mapping import parse_mapping
    from steward.crm.sql import SqlReader
    from tests.support.review import MAPPING, TAKEN

    file = tmp_path / "workspace.sqlite"
    with sqlite3.connect(file) as db:
        db.executemany("DELETE FROM contact WHERE id = ?", [(key(i).id,) for i in (2, 3, 4)])
    db.close()
    reader = SqlReader(f"sqlite:///{file}", parse_mapping(MAPPING))
    second = ws.take_snapshot(reader, taken_at=TAKEN.replace(day=20))
    reader.close()
    found = {c.object: c for c in execution.collect(ws, first, second, [key(2), key(3), key(7)])}
    c = found["contact"]
    assert (c.before, c.after, c.gone, c.came, c.signed, c.unsigned, c.still) == (10, 7, 3, 0, 3, 1, 1)
    text = execution.draw(list(found.values())).text
    assert "1 went without being signed for, and 1 that were signed for are still there" in text
    unknown = execution.collect(ws, first, second)
    assert unknown[0].signed is None and "No manifest" in execution.draw(unknown).text
    said: list[dict[str, Any]] = []
    talk = PictureTalk(ws, second, said.append, lambda: None)
    for which in NOTEBOOK:
        talk.handle({"type": "picture", "which": which})
    assert [m["which"] for m in said] == list(NOTEBOOK) and said[3]["scene"]["title"] == "Before and after"
    ws.close()


def test_blind_mode_shows_nothing_made_of_scores(desk: tuple[Workspace, Snapshot]) -> None:
    said: list[dict[str, Any]] = []
    talk = PictureTalk(*desk, said.append, lambda: None, blind=True)
    for which in ("scores", "waterfall", "heat"):
        talk.handle({"type": "picture", "which": which, "object": "contact", "case": "dup-00000"})
    assert all("scene" not in m and "cuts" not in m and "hidden" in m["sentence"] for m in said)


def test_a_picture_that_fails_says_so_and_names_no_value(desk: tuple[Workspace, Snapshot]) -> None:
    said: list[dict[str, Any]] = []
    talk = PictureTalk(*desk, said.append, lambda: None)
    talk.handle({"type": "picture", "which": "related", "members": [["nowhere", "<b>1</b>"]]})
    talk.handle({"type": "picture", "which": "__class__"})
    assert len(said) == 1 and "scene" not in said[0] and "<b>" not in said[0]["sentence"]


def test_long_texts_are_cut_and_chinese_is_twice_as_wide() -> None:
    assert scene.fit("abc", 100) == "abc" and scene.fit("x" * 300, 60).endswith("…")
    assert scene.wide("中文") > scene.wide("ab") and len(scene.fit("杭州市云腾物流有限责任公司", 60)) < 7
    assert re.search(r"U\+202E|\\u202e", scene.fit("a\u202eb", 300))
