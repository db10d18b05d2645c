"""Draws a scorecard: words in the language in force, numbers as that language writes them, bars as inline SVG.

Every value that came from outside (names of objects, rules, tenants, reasons of suites) is made printable and escaped on
its way into the page, by the environment itself and not by remembering to. Only geometry computed here goes into
attributes of drawings.

Left to others: counting (``facts``), the shape of the page (``page.html.j2``), the catalogues (``steward/locale``).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from steward import __version__
from steward.errors import printable
from steward.messages import N_, _, language, ngettext
from steward.review.numbers import number, share
from steward.review.pictures.scene import Scene
from steward.review.pictures.scene import style as picture_style
from steward.review.words import ACTION_WORDS
from steward.scorecard.facts import Scorecard, TrendPoint

_WORDS = {
    "title": N_("Scorecard"),
    "lead": N_("How this snapshot stands. Counts only: the page holds no value of any customer."),
    "snapshot": N_("Snapshot"),
    "taken": N_("Taken"),
    "source": N_("Source"),
    "connector": N_("Connector"),
    "whole": N_("Whole"),
    "yes": N_("yes"),
    "no": N_("no"),
    "rejects": N_("Lines not taken in"),
    "records": N_("Records"),
    "object": N_("Object"),
    "objects": N_("Objects"),
    "duplicates": N_("Duplicates proposed"),
    "clusters": N_("Clusters"),
    "stale": N_("Stale"),
    "free": N_("Stale, free to go"),
    "protected": N_("Protected"),
    "invalid": N_("Invalid"),
    "total": N_("Total"),
    "not_scored": N_("not scored"),
    "dash": N_("– means that it was not scored; it does not mean none."),
    "rules": N_("Invalid, by rule"),
    "rule": N_("Rule"),
    "severity": N_("Severity"),
    "reason": N_("Reason"),
    "share": N_("Share"),
    "no_rules": N_("No record fails a rule."),
    "no_suite": N_("No suite was run on this snapshot."),
    "protections": N_("Protections"),
    "protections_lead": N_("What keeps records, however high their score. A record can have several protections."),
    "protection": N_("Protection"),
    "outcome": N_("Leaves open"),
    "no_protections": N_("No record is protected."),
    "no_staleness": N_("Protections were not computed on this snapshot."),
    "decisions": N_("Decisions"),
    "decisions_lead": N_("Where the cases stand now, and on how many records people or written rules have decided."),
    "kind": N_("Kind"),
    "cases": N_("Cases"),
    "decided": N_("Decided"),
    "open": N_("Open"),
    "deferred": N_("Deferred"),
    "escalated": N_("Escalated"),
    "conflicts": N_("In conflict"),
    "by_person": N_("Records, by people"),
    "by_rule": N_("Records, by rule"),
    "action": N_("Action"),
    "decisions_note": N_("A decision to delete or merge a record settles every case the record is in, of whatever kind."),
    "no_cases": N_("There is no case."),
    "trend": N_("Trend"),
    "pictures": N_("Pictures"),
    "as_table": N_("As a table"),
    "trend_first": N_("This is the first snapshot of the workspace; the trend begins with the next."),
    "measured": N_("How it was measured"),
    "measured_lead": N_("The same snapshot and the same definitions give the same counts. Digests are shortened."),
    "definition": N_("Definition"),
    "run_whole": N_("Run whole"),
    "not_measured": N_("This snapshot was not scored."),
    "incomplete": N_("This snapshot is not whole: nothing may be deleted from it."),
    "incomplete_run": N_("A suite did not run whole: nothing can be drafted from this snapshot."),
    "decided_share": N_("Cases decided"),
}

_KINDS = {"duplicate": N_("Duplicates"), "stale": N_("Stale"), "invalid": N_("Invalid")}
_SEVERITIES = {"delete_candidate": N_("Delete candidate"), "fix": N_("To be mended"), "warn": N_("To be watched")}
_OUTCOMES = {"keep": N_("keeping it"), "restrict": N_("restricting it"), "anonymise": N_("anonymising it")}
_PROTECTIONS = {
    "legal_hold": N_("Legal hold"),
    "open_deal": N_("Open deal"),
    "open_quote": N_("Open quote"),
    "open_order": N_("Open order"),
    "unpaid_invoice": N_("Unpaid invoice"),
    "active_contract": N_("Active contract"),
    "open_ticket": N_("Open ticket"),
    "retention": N_("Retention period"),
    "created_recently": N_("Created recently"),
    "only_contact": N_("Only contact of its company"),
    "parent_of_protected": N_("Something protected hangs on it"),
    "data_subject_request": N_("Request of the person concerned"),
    "opt_out": N_("Objection to advertising"),
    "allow_list": N_("On the allow list"),
    "other_role": N_("Has another role"),
}
_LANG = {"en": "en", "de": "de", "zh_CN": "zh-Hans"}

WIDTH, HEIGHT = 232, 72
"""Size of a trend drawing, in the units of its viewBox."""


def when(time: datetime) -> str:
    """Return a time to the minute, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _protection(code: str) -> str:
    unknown = code.removeprefix("unknown_")
    label = _(_PROTECTIONS[unknown]) if unknown in _PROTECTIONS else unknown
    return label if unknown == code else _("Not known: {what}").format(what=label)


def _reason(sentences: dict[str, str]) -> str:
    """Return a suite's reason in the language in force, in English where it has none."""
    return sentences.get(language().split("_")[0]) or sentences.get("en") or ""


def _chart(title: str, points: Sequence[TrendPoint], values: Sequence[int | None], tone: str) -> dict[str, Any]:
    """Return the geometry of one trend: a bar per snapshot, a stroke on the ground where nothing was scored."""
    top = max((v for v in values if v), default=0)
    step = WIDTH / max(len(values), 6)
    wide = round(min(step * 0.68, 26), 2)
    bars = []
    for at, (point, value) in enumerate(zip(points, values, strict=True)):
        tall = 0 if not value else max(HEIGHT * value / top, 1.5)
        x = WIDTH - step * (len(values) - at) + (step - wide)
        said = f"{point.taken_at.astimezone(UTC):%Y-%m-%d}: {number(value) if value is not None else _('not scored')}"
        bars.append(
            {"x": round(x, 2), "y": round(HEIGHT - tall, 2), "w": wide, "h": round(tall, 2), "known": value is not None,
             "last": at == len(values) - 1, "said": said}
        )  # fmt: skip
    known = [v for v in values if v is not None]
    change = ""
    if len(values) > 1 and values[-1] is not None and values[-2] is not None:
        difference = values[-1] - values[-2]
        change = "±0" if not difference else ("+" if difference > 0 else "−") + number(abs(difference))
    return {
        "title": title, "tone": tone, "bars": bars, "last": number(values[-1] if values else None), "change": change,
        "text": f"{title}. " + "; ".join(str(b["said"]) for b in bars), "any": bool(known),
    }  # fmt: skip


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Plain text alone: what is marked as safe was made by the template.
        finalize=lambda value: printable(value, 500) if type(value) is str else value,
    )
    environment.globals.update(number=number, share=share, when=when)
    return environment.from_string(files(__package__).joinpath("page.html.j2").read_text(encoding="utf-8"))


def render(card: Scorecard, *, now: datetime, pictures: Sequence[tuple[str, Scene]] = ()) -> str:
    """Return the page as HTML, in the language in force.

    Parameters
    ----------
    now : datetime
        Aware; stands in the last line of the page.
    pictures : sequence of (str, Scene)
        Drawings by name; they escape their texts themselves.
    """
    w = {name: _(text) for name, text in _WORDS.items()}
    kinds = {name: _(text) for name, text in _KINDS.items()}
    points = card.trend
    charts = [
        _chart(w[name], points, [getattr(p, name) for p in points], name)
        for name in ("records", "duplicates", "stale", "free", "invalid")
    ]
    cases, decided = sum(c.cases for c in card.cases), sum(c.decided for c in card.cases)
    tiles = []
    for name in ("duplicates", "stale", "free", "invalid"):
        value, of = card.total(name), sum(o.records for o in card.objects if getattr(o, name) is not None)
        part = (
            _("{share} of {count}").format(share=share(value or 0, of), count=number(of))
            if value is not None
            else w["not_scored"]
        )
        tiles.append((name, value, of, part))
    return _template().render(
        lang=_LANG[language()],
        w=w,
        card=card,
        snapshot=card.snapshot,
        tiles=tiles,
        totals={c: card.total(c) for c in ("duplicates", "clusters", "stale", "protected", "free", "invalid")},
        rules=[
            (r, _(_SEVERITIES[r.severity]) if r.severity in _SEVERITIES else r.severity, _reason(r.reason)) for r in card.rules
        ],
        passed=ngettext("{n} further rule found nothing.", "{n} further rules found nothing.", card.rules_passed).format(
            n=number(card.rules_passed)
        )
        if card.rules_passed
        else "",
        protections=[
            (p, _protection(p.code), _(_OUTCOMES[p.outcome]) if p.outcome in _OUTCOMES else p.outcome) for p in card.protections
        ],
        kinds=kinds,
        actions=[(_(ACTION_WORDS.get(name, name)), people, rule) for name, people, rule in card.actions],  # type: ignore[call-overload]  # a StrEnum's keys are found by their text
        cases=cases,
        decided=decided,
        charts=charts,
        trend_note=_("The newest {shown} of {count} snapshots.").format(shown=len(points), count=number(card.snapshots))
        if card.snapshots > len(points)
        else "",
        scored={run.kind for run in card.runs},
        broken=any(not run.complete for run in card.runs),
        footer=_("Written {time} by steward {version}.").format(time=when(now), version=__version__),
        size=(WIDTH, HEIGHT),
        pictures=[(name, picture, Markup(picture.svg(name))) for name, picture in pictures],  # noqa: S704 - escaped by the scene
        picture_style=Markup(picture_style() if pictures else ""),  # noqa: S704 - made of constants
    )


def write(card: Scorecard, path: Path, *, now: datetime, pictures: Sequence[tuple[str, Scene]] = ()) -> None:
    """Write the page, whole or not at all; a page that is there is replaced.

    Side effects: one file, through a temporary one beside it.
    """
    page = render(card, now=now, pictures=pictures).encode("utf-8")
    handle, name = tempfile.mkstemp(prefix=".scorecard-", suffix=".html", dir=path.parent)
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        beside.chmod(0o666 & ~umask)  # mkstemp's file is for its owner alone; a page is meant to be passed on
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
