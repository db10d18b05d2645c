"""What the front is given of a row and of a case: plain dictionaries, complete, so that nothing more is asked to paint them.

In blind mode scores, weights and reasons are left out here, so that they never reach the page.

Left to others: when it is sent (``steward.review.conversation``), what it says (``steward.review.source``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steward.decisions import Decision, DecisionAction
from steward.errors import DecisionError
from steward.messages import _
from steward.review.cases import QueueRow
from steward.review.intent import Facts, Intent, possible, sentence
from steward.review.session import ReviewSession
from steward.review.source import Sheet
from steward.review.survivor import trusted_rules
from steward.review.words import ACTION_WORDS, because, more_lost, more_members, records

Message = dict[str, Any]

_ASKED = (DecisionAction.MERGE, DecisionAction.DELETE, DecisionAction.ANONYMISE, DecisionAction.DEACTIVATE,
          DecisionAction.KEEP, DecisionAction.NOT_DUPLICATE, DecisionAction.DEFER, DecisionAction.ESCALATE)  # fmt: skip
LISTED = 40
"""Values that a merge would lose, as many as are listed; the rest is counted."""
_TOLD = 30
"""Earlier decisions and comments that a case shows."""


class Shown:
    """Puts a session's rows and cases into messages.

    Parameters
    ----------
    session : ReviewSession
    blind : bool
        Leave out scores, weights and reasons.

    Attributes
    ----------
    rule : str
        The survivor rule in force on this screen.
    """

    def __init__(self, session: ReviewSession, *, blind: bool) -> None:
        self.session, self.blind, self.rule = session, blind, "survivor"

    def row(self, row: QueueRow) -> Message:
        """Return one line of the queue."""
        return {
            "case": row.case_id, "kind": row.kind, "title": row.title, "size": row.size, "state": int(row.state),
            "score": None if self.blind else row.score, "protected": row.protected, "records": records(row.size),
        }  # fmt: skip

    def case(self, case_id: str, arranged: Mapping[str, Any]) -> Message:
        """Return one case, with survivor, members taken out and values chosen as ``arranged`` says."""
        sheet = self.session.sheet(
            case_id,
            survivor=arranged.get("survivor") or None,
            out=frozenset(arranged.get("out") or ()),
            by_hand=dict(arranged.get("choices") or {}),
            rule=self.rule,
        )
        facts = sheet.facts
        place = self.session.index.place(case_id)
        standing = self.session.standing_of(facts)
        conflict = next(
            (self.session.live.conflicts[m.key] for m in facts.members if m.key in self.session.live.conflicts), None
        )
        return {
            "case": case_id, "kind": facts.kind, "object": facts.object, "title": sheet.title, "size": len(facts.members),
            "records": records(len(facts.members)), "state": int(self.session.index.state[place]),
            "score": None if self.blind else float(self.session.index.score[place]),
            "hidden": more_members(sheet.hidden_members) if sheet.hidden_members else None, "survivor": sheet.members[0].id if facts.kind == "duplicate" else None,
            "proposed": facts.survivor.id if facts.survivor else None, "why": self._why(sheet), "out": sorted(arranged.get("out") or ()),
            "links": sorted(arranged.get("links") or ()),
            "members": [self._member(sheet, i, standing) for i in range(len(sheet.members))],
            "lines": [
                {"field": line.field, "differs": line.differs, "free": line.choosable,
                 "cells": [{"s": c.state, "p": [[mark[0], part] for mark, part in c.pieces]} for c in line.cells]}
                for line in sheet.lines
            ],
            "evidence": [
                {"sentence": e.sentence, "rule": e.rule_id, "severity": e.severity, "score": None if self.blind else e.score,
                 "values": [{"field": v.field, "value": v.value, "with": v.compared_with, "source": v.source, "points": v.points} for v in e.values]}
                for e in sheet.evidence if not self.blind
            ],
            "pairs": [] if self.blind else [_pair(v) for v in sheet.weights[:60]],
            "weakest": None if self.blind or sheet.weakest is None else _pair(sheet.weakest),
            "result": self._result(sheet),
            "actions": sorted(a.value for a in possible(facts)),
            "concerns": self._concerns(sheet, arranged),
            "conflict": None if conflict is None else {
                "first": conflict.first.reviewer, "first_action": _(ACTION_WORDS[conflict.first.action]),
                "second": conflict.second.reviewer, "second_action": _(ACTION_WORDS[conflict.second.action]),
            },
            "claimed": self.session.claims.taken.get(case_id),
            "told": self._told(facts),
            "rule": self.rule,
            "trusted": trusted_rules(sheet.values) if facts.kind == "duplicate" else [],
        }  # fmt: skip

    def _member(self, sheet: Sheet, i: int, standing: Mapping[Any, Any]) -> Message:
        key = sheet.members[i]
        fact = next(m for m in sheet.facts.members if m.key == key)
        decision = standing.get(key)
        return {
            "id": key.id,
            "standing": None if decision is None else {"action": decision.action.value, "word": _(ACTION_WORDS[decision.action]),
                                                       "reviewer": decision.reviewer, "target": decision.target},
            "protections": [{"code": p.code, "outcome": p.outcome, "sentence": p.sentence} for p in fact.protections],
            "impact": [
                {"object": c.object, "count": c.count, "open": c.open, "amount": None if c.amount is None else float(c.amount),
                 "latest": c.latest, "delete": c.on_delete}
                for c in sheet.impact.get(key, ())
            ],
            "memberships": [
                {"link": f"{m.object}/{m.id}", "object": m.object, "to": m.to, "role": [list(part) for part in m.role], "conflicts": m.conflicts}
                for m in sheet.memberships.get(key, ())
            ],
        }  # fmt: skip

    def _why(self, sheet: Sheet) -> str | None:
        """Why the scoring proposes this survivor; a reason, and so nothing for a blind check."""
        if sheet.proposal is None or self.blind:
            return None
        return because(_(sheet.proposal.reason), steerable=sheet.proposal.steerable)

    def _result(self, sheet: Sheet) -> Message | None:
        if sheet.result is None:
            return None
        return {
            "taken": [{"field": f, "id": i, "value": sheet.result.values.get(f)} for f, i in sheet.result.taken_from.items()],
            "more_lost": more_lost(len(sheet.result.lost) - LISTED) if len(sheet.result.lost) > LISTED else None,
            "lost": [
                {"field": x.field, "id": x.key.id, "value": x.value, "refers": sheet.refers.get((x.field, x.value)), "free": x.savable}
                for x in sheet.result.lost[:LISTED]
            ],
        }  # fmt: skip

    def _told(self, facts: Facts) -> list[Message]:
        """What people said and decided on these records before, newest first: comments, reasons, who escalated to whom."""
        if self.blind:
            return []
        seen: dict[tuple[str, str, str], Decision] = {}
        for member in facts.members:
            for d in self.session.live.counting(member.key):
                seen.setdefault((d.group, d.action.value, d.reason), d)
        told = sorted(seen.values(), key=lambda d: self.session.live.order_of(d), reverse=True)[:_TOLD]
        return [
            {"reviewer": d.reviewer, "word": _(ACTION_WORDS[d.action]), "reason": d.reason, "date": d.at.date().isoformat(),
             "to": d.choices.get("to") if d.action is DecisionAction.ESCALATE else None,
             "until": d.until.isoformat() if d.until else None}
            for d in told
        ]  # fmt: skip

    def _concerns(self, sheet: Sheet, arranged: Mapping[str, Any]) -> dict[str, list[Message]]:
        """What speaks against each action, so that the front can refuse or ask without asking the kernel."""
        out: dict[str, list[Message]] = {}
        for action in _ASKED:
            if action not in possible(sheet.facts):
                continue
            until = self.session.today() if action is DecisionAction.DEFER else None
            intent = Intent(
                action, survivor=arranged.get("survivor") or None, out=frozenset(arranged.get("out") or ()), until=until,
                links=frozenset(map(str, arranged.get("links") or ())) if action is DecisionAction.MERGE else frozenset(),
            )  # fmt: skip
            try:
                found = self.session.concerns(sheet.facts, intent)
            except DecisionError as error:
                out[action.value] = [{"level": "refused", "sentence": error.render(_)}]
                continue
            if found:
                out[action.value] = [{"level": c.level, "sentence": sentence(c, _)} for c in found[:8]]
        return out


def _pair(vector: Any) -> Message:
    return {
        "left": vector.pair.left.id, "right": vector.pair.right.id, "probability": vector.probability, "bits": vector.match_weight,
        "prior": vector.prior_bits,
        "weights": [{"field": w.field, "agreement": w.agreement, "level": w.level, "bits": w.bits} for w in vector.weights],
    }  # fmt: skip
