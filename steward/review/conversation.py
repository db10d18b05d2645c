"""What is said between the panel's front and the session: small dictionaries each way, no widget, no browser.

The front sends intents and paints answers. It is sent the next open cases ahead, so that a decision and the case after
it are painted without waiting; it says *saved* only when :class:`steward.review.session.ReviewSession` has returned,
which is after the log is on disk.

Left to others: the widget that carries the messages (``steward.review.panel``), the words (``steward.review.words``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from steward.decisions import DecisionAction
from steward.errors import DecisionError, StewardError
from steward.messages import N_, _
from steward.review.cases import CaseState, QueueRow, View
from steward.review.intent import ConfirmationNeededError, Intent, concerns, drafts, possible, sentence
from steward.review.session import Bulk, Group, ReviewSession
from steward.review.source import Sheet
from steward.review.words import ACTION_WORDS, bulk_sentence, group_sentence, records

Message = dict[str, Any]
AHEAD = 6
"""Open cases that are sent before they are asked for."""

_ASKED = (DecisionAction.MERGE, DecisionAction.DELETE, DecisionAction.ANONYMISE, DecisionAction.DEACTIVATE,
          DecisionAction.KEEP, DecisionAction.NOT_DUPLICATE, DecisionAction.DEFER, DecisionAction.ESCALATE)  # fmt: skip


class Conversation:
    """Answers the front's messages.

    Parameters
    ----------
    session : ReviewSession
    send : callable
        Takes one dictionary for the front.
    blind : bool
        Leave scores and weights out of everything that is sent.
    """

    def __init__(self, session: ReviewSession, send: Callable[[Message], None], *, blind: bool = False) -> None:
        self.session, self._send, self.blind = session, send, blind
        self._sent: set[str] = set()
        self._bulk: Bulk | None = None

    def handle(self, message: Mapping[str, Any]) -> None:
        """Answer one message. Nothing raised here reaches the notebook: a refusal or defect is sent to the panel."""
        answer = getattr(self, "_on_" + str(message.get("type", "")), None)
        if answer is None:
            return
        token = message.get("token")
        try:
            answer(message)
        except ConfirmationNeededError as error:
            self._send({"type": "confirm", "token": token, "sentences": [sentence(c, _) for c in error.concerns]})
            self._resend(message)
        except StewardError as error:
            self._send({"type": "refused", "token": token, "sentence": error.render(_)})
            self._resend(message)
        except Exception as error:  # the front must say so; an exception in a widget callback is shown nowhere
            self._send({"type": "failed", "token": token, "kind": type(error).__name__})

    def _resend(self, message: Mapping[str, Any]) -> None:
        case = message.get("case")
        if isinstance(case, str) and case in self._sent:
            self._sent.discard(case)
            self._send_cases([case])

    # ------------------------------------------------------------------ messages of the front

    def _on_ready(self, _message: Mapping[str, Any]) -> None:
        self._sent.clear()
        self._send_view(start=self._first_line())

    def _on_view(self, message: Mapping[str, Any]) -> None:
        states = message.get("states") or []
        self.session.refresh()
        self.session.select(
            View(
                kind=message.get("kind") or None,
                states=frozenset(CaseState(int(s)) for s in states),
                text=str(message.get("text") or ""),
                order=message.get("order") or "certainty",
            )
        )
        self._send_view(start=self._first_line())

    def _on_page(self, message: Mapping[str, Any]) -> None:
        start, stop = int(message["from"]), int(message["to"])
        rows = self.session.page(start, min(stop, start + 500))
        self._send({"type": "page", "view": message.get("view"), "from": start, "rows": [self._row(r) for r in rows]})

    def _on_open(self, message: Mapping[str, Any]) -> None:
        line = int(message["line"])
        self._send_cases([self.session.index.case_id(self.session.place_at(line))])
        self._send_ahead(line)

    def _on_arrange(self, message: Mapping[str, Any]) -> None:
        self._send({"type": "cases", "token": message.get("token"), "cases": [self._case(str(message["case"]), message)]})

    def _on_decide(self, message: Mapping[str, Any]) -> None:
        case_id = str(message["case"])
        intent = self._intent(message)
        group = self.session.decide(case_id, intent)
        line = int(message.get("line", -1))
        # The next cases go with the answer: a front that did not know them when the key was pressed moves on at once,
        # and never stands on a decided case where the next key would decide it again.
        self._send({"type": "decided", "token": message.get("token"), "case": case_id, "group": group.id, "next": self._next(line),
                    "stays": intent.action is DecisionAction.COMMENT, "sentence": self._done(group)} | self._standing())  # fmt: skip
        self._after(case_id, line)

    def _on_undo(self, message: Mapping[str, Any]) -> None:
        self._marked(self.session.undo(), "undone", message)

    def _on_redo(self, message: Mapping[str, Any]) -> None:
        self._marked(self.session.redo(), "redone", message)

    def _on_bulk(self, message: Mapping[str, Any]) -> None:
        self._bulk = self.session.plan_bulk(self._intent(message), message.get("lines"))
        self._send(
            {
                "type": "bulk",
                "records": self._bulk.records,
                "cases": self._bulk.cases,
                "sentence": bulk_sentence(self._bulk.records, self._bulk.cases, len(self._bulk.left_out)),
                "action": self._bulk.intent.action.value,
                "riskiest": [self._row(r) for r in self._bulk.riskiest],
                "left_out": [{"case": case, "sentence": sentence(concern, _)} for case, concern in self._bulk.left_out[:20]],
            }
        )

    def _on_bulk_decide(self, message: Mapping[str, Any]) -> None:
        if self._bulk is None:
            raise DecisionError(N_("Work out the bulk action first."))
        group = self.session.decide_bulk(self._bulk, int(message.get("typed") or 0))
        self._bulk = None
        self._sent.clear()
        self._send({"type": "bulk_decided", "token": message.get("token"), "sentence": self._done(group)})
        self._send_view(start=self._first_line())

    # ------------------------------------------------------------------ answers

    def _marked(self, group: Group | None, how: str, message: Mapping[str, Any]) -> None:
        if group is None:
            self._send({"type": "nothing", "what": how, "token": message.get("token")})
            return
        place = self.session.index.place(group.case_id) if self._knows(group.case_id) else None
        line = self.session.position(place) if place is not None else None
        self._sent = {group.case_id} if place is not None else set()
        shown = [self._case(group.case_id, {})] if place is not None else []
        self._send({"type": how, "token": message.get("token"), "case": group.case_id, "line": line, "cases": shown,
                    "sentence": group_sentence(group.records, group.cases)} | self._standing())  # fmt: skip
        if place is not None:
            self._send_ahead(line if line is not None else -1)

    def _knows(self, case_id: str) -> bool:
        try:
            self.session.index.place(case_id)
        except DecisionError:
            return False
        return True

    def _after(self, case_id: str, line: int) -> None:
        self._sent.discard(case_id)
        self._send_cases([case_id])
        self._send_ahead(line)

    def _first_line(self) -> int:
        following = self.session.next_open(-1)
        return following[0] if following else 0

    def _send_view(self, start: int) -> None:
        self._sent.clear()  # with a new view the front forgets the cases it had
        first = [self.session.index.case_id(self.session.place_at(start))] if len(self.session) else []
        self._sent.update(first)
        self._send(
            {
                "type": "view",
                "total": len(self.session),
                "line": start,
                "kind": self.session.view.kind,
                "order": self.session.view.order,
                "text": self.session.view.text,
                "states": sorted(int(s) for s in self.session.view.states),
                "from": max(0, start - 20),
                "rows": [self._row(r) for r in self.session.page(max(0, start - 20), start + 40)],
                "cases": [self._case(case_id, {}) for case_id in first],
            }
            | self._standing()
        )
        if first:
            self._send_ahead(start)

    def _send_ahead(self, line: int) -> None:
        """Send the open cases after ``line``: which they are, and those that the front has not seen."""
        following = self._next(line)
        self._send({"type": "ahead", "after": line, "next": following})
        self._send_cases([n["case"] for n in following])

    def _next(self, line: int) -> list[Message]:
        lines = self.session.next_open(line, AHEAD)
        return [{"line": n, "case": self.session.index.case_id(self.session.place_at(n))} for n in lines]

    def _send_cases(self, ids: list[str]) -> None:
        for case_id in ids:
            if case_id not in self._sent:
                self._sent.add(case_id)
                self._send({"type": "cases", "cases": [self._case(case_id, {})]})

    def _standing(self) -> Message:
        kinds = {kind: self.session.progress(kind) for kind in self.session.index.kinds}
        p = self.session.progress(self.session.view.kind)
        return {"progress": {"total": p.total, "open": p.open, "decided": p.decided, "deferred": p.deferred,
                             "escalated": p.escalated, "conflicts": p.conflicts, "mine": p.mine,
                             "kinds": [{"kind": k, "open": q.open, "total": q.total} for k, q in kinds.items()]}}  # fmt: skip

    def _done(self, group: Group) -> str:
        return f"{_(ACTION_WORDS[group.action])}: {group_sentence(group.records, group.cases)}"

    def _intent(self, message: Mapping[str, Any]) -> Intent:
        action = DecisionAction(str(message["action"]))
        until = None
        if action is DecisionAction.DEFER:
            until = self.session.today() + timedelta(days=max(1, int(message.get("days") or 30)))
        return Intent(
            action=action,
            survivor=message.get("survivor") or None,
            out=frozenset(message.get("out") or ()),
            only=message.get("only") or None,
            owner=message.get("owner") or None,
            until=until,
            reason=clean(str(message.get("reason") or "")),
            choices=dict(message.get("choices") or {}) if action is DecisionAction.MERGE else {},
            confirmed=bool(message.get("confirmed")),
        )

    # ------------------------------------------------------------------ what the front is given

    def _row(self, row: QueueRow) -> Message:
        return {
            "case": row.case_id, "kind": row.kind, "title": row.title, "size": row.size, "state": int(row.state),
            "score": None if self.blind else row.score, "protected": row.protected, "records": records(row.size),
        }  # fmt: skip

    def _case(self, case_id: str, arranged: Mapping[str, Any]) -> Message:
        sheet = self.session.sheet(
            case_id,
            survivor=arranged.get("survivor") or None,
            out=frozenset(arranged.get("out") or ()),
            by_hand=dict(arranged.get("choices") or {}),
            rule=arranged.get("rule") or "survivor",
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
            "hidden": sheet.hidden_members, "survivor": sheet.members[0].id if facts.kind == "duplicate" else None,
            "proposed": facts.survivor.id if facts.survivor else None, "out": sorted(arranged.get("out") or ()),
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
        }  # fmt: skip

    def _result(self, sheet: Sheet) -> Message | None:
        if sheet.result is None:
            return None
        return {
            "taken": [{"field": f, "id": i, "value": sheet.result.values.get(f)} for f, i in sheet.result.taken_from.items()],
            "lost": [{"field": x.field, "id": x.key.id, "value": x.value} for x in sheet.result.lost],
        }

    def _concerns(self, sheet: Sheet, arranged: Mapping[str, Any]) -> dict[str, list[Message]]:
        """What speaks against each action, so that the front can refuse or ask without asking the kernel."""
        out: dict[str, list[Message]] = {}
        for action in _ASKED:
            if action not in possible(sheet.facts):
                continue
            until = self.session.today() if action is DecisionAction.DEFER else None
            intent = Intent(
                action, survivor=arranged.get("survivor") or None, out=frozenset(arranged.get("out") or ()), until=until
            )
            try:
                made = drafts(sheet.facts, intent)
            except DecisionError as error:
                out[action.value] = [{"level": "refused", "sentence": error.render(_)}]
                continue
            found = concerns(
                made, self.session.standing_of_all(sheet.facts, intent), self.session.live.merged_into, self.session.reviewer
            )
            if found:
                out[action.value] = [{"level": c.level, "sentence": sentence(c, _)} for c in found[:8]]
        return out


def _pair(vector: Any) -> Message:
    return {
        "left": vector.pair.left.id, "right": vector.pair.right.id, "probability": vector.probability, "bits": vector.match_weight,
        "prior": vector.prior_bits,
        "weights": [{"field": w.field, "agreement": w.agreement, "level": w.level, "bits": w.bits} for w in vector.weights],
    }  # fmt: skip


def clean(text: str, limit: int = 2_000) -> str:
    """Return a reviewer's free text without characters that no database keeps, cut to ``limit``."""
    return "".join(c for c in text[:limit] if c in "\n\t" or not (ord(c) < 0x20 or 0xD800 <= ord(c) <= 0xDFFF)).strip()
