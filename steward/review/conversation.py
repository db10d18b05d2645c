"""What is said between the panel's front and the session: small dictionaries each way, no widget, no browser.

The front sends intents and paints answers. It is sent the next open cases ahead, so that a decision and the case after
it are painted without waiting; it says *saved* only when :class:`steward.review.session.ReviewSession` has returned,
which is after the log is on disk.

Messages of the front: ``ready``; ``here`` (every half minute: renews the claim, brings what others did); ``view`` (kind,
order, text, states, mine, low, high, protected, object); ``page``; ``open``; ``arrange``; ``rule`` (survivor rule);
``decide``; ``undo``; ``redo``; ``bulk`` and ``bulk_decide`` (with ``lines`` for a selection); ``learn`` and ``learn_accept``.
Answers carry the ``token`` of the message. An answer to ``arrange`` lets go the keys that wait for it, ``decided`` carries
the next open cases, so that a key is never taken for a case that was decided already.

Left to others: what a case looks like in a message (``steward.review.shown``), the widget that carries the messages (``steward.review.panel``), the words (``steward.review.words``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from steward.decisions import DecisionAction
from steward.errors import DecisionError, StewardError
from steward.messages import N_, _
from steward.review.cases import CaseState, View
from steward.review.intent import ConfirmationNeededError, Intent, sentence
from steward.review.learning import Teaching
from steward.review.session import Bulk, Group, ReviewSession
from steward.review.shown import Shown
from steward.review.survivor import check_rule
from steward.review.words import ACTION_WORDS, bulk_sentence, group_sentence

Message = dict[str, Any]
AHEAD = 6
"""Open cases that are sent before they are asked for."""


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
        self.session, self._send = session, send
        self.shown = Shown(session, blind=blind)
        self._teaching = Teaching(session)
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
                object=message.get("object") or None,
                low=_share(message.get("low")),
                high=_share(message.get("high")),
                protected=message.get("protected"),
                mine=bool(message.get("mine")),
            )
        )
        self.session.claims.let_go()  # what was claimed ahead belongs to the queue that was left
        self._send_view(start=self._first_line())

    def _on_page(self, message: Mapping[str, Any]) -> None:
        start, stop = int(message["from"]), int(message["to"])
        rows = self.session.page(start, min(stop, start + 500))
        self._send({"type": "page", "view": message.get("view"), "from": start, "rows": [self.shown.row(r) for r in rows]})

    def _on_here(self, message: Mapping[str, Any]) -> None:
        """Somebody is still at the screen: keep the claim, and bring what others have decided since."""
        case_id = message.get("case")
        before = dict(self.session.claims.taken)
        changed = self.session.refresh()
        self.session.claims.look_around()
        if isinstance(case_id, str) and self._knows(case_id):
            self.session.hold(case_id)
            here = {m.key for m in self.session.source.facts([self.session.index.place(case_id)])[0].members}
            if changed & here or before.get(case_id) != self.session.claims.taken.get(case_id):
                self._sent.discard(case_id)
                self._send_cases([case_id])
        if changed:
            self._send({"type": "standing"} | self._standing())

    def _on_rule(self, message: Mapping[str, Any]) -> None:
        """Another survivor rule from here on: what was sent ahead was worked out by the old one."""
        check_rule(str(message.get("rule") or "survivor"))
        self.shown.rule = str(message.get("rule") or "survivor")
        self._sent.clear()
        case_id = str(message["case"])
        self._sent.add(case_id)
        self._send({"type": "ruled", "token": message.get("token"), "cases": [self.shown.case(case_id, message)]})
        self._send_ahead(int(message.get("line", -1)))

    def _on_open(self, message: Mapping[str, Any]) -> None:
        line = int(message["line"])
        case_id = self.session.index.case_id(self.session.place_at(line))
        if self.session.hold(case_id) is not None:
            self._sent.discard(case_id)  # sent before somebody else took it: the screen must say so
        self._send_cases([case_id])
        self._send_ahead(line)

    def _on_arrange(self, message: Mapping[str, Any]) -> None:
        self._send({"type": "cases", "token": message.get("token"), "cases": [self.shown.case(str(message["case"]), message)]})

    def _on_decide(self, message: Mapping[str, Any]) -> None:
        case_id = str(message["case"])
        intent = self._intent(message)
        group = self.session.decide(case_id, intent)
        line = int(message.get("line", -1))
        following = self._next(line)
        # The next cases go with the answer: a front that did not know them when the key was pressed moves on at once,
        # and never stands on a decided case where the next key would decide it again.
        self._send({"type": "decided", "token": message.get("token"), "case": case_id, "group": group.id, "next": following,
                    "state": int(self.session.index.state[self.session.index.place(case_id)]),
                    "sentence": self._done(group)} | self._standing())  # fmt: skip
        self._sent.discard(case_id)
        if intent.action is DecisionAction.COMMENT or not following:
            self._send_cases([case_id])  # it is still on the screen
        self._send_ahead(line, following)

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
                "hard": None if self._bulk.hard is None else sentence(self._bulk.hard, _),
                "riskiest": [self.shown.row(r) for r in self._bulk.riskiest],
                "left_out": [{"case": case, "sentence": sentence(concern, _)} for case, concern in self._bulk.left_out[:20]],
            }
        )

    def _on_bulk_decide(self, message: Mapping[str, Any]) -> None:
        if self._bulk is None:
            raise DecisionError(N_("Work out the bulk action first."))
        group = self.session.decide_bulk(self._bulk, int(message.get("typed") or 0), sure=bool(message.get("sure")))
        self._bulk = None
        self._sent.clear()
        self._send({"type": "bulk_decided", "token": message.get("token"), "sentence": self._done(group)})
        self._send_view(start=self._first_line())

    def _on_learn(self, message: Mapping[str, Any]) -> None:
        """What the decisions would change in the scoring; shown before anybody accepts it."""
        if self.shown.blind:
            raise DecisionError(N_("Scores are hidden (blind mode)."))
        self._send(self._teaching.preview(str(message.get("object") or "")) | {"token": message.get("token")})

    def _on_learn_accept(self, message: Mapping[str, Any]) -> None:
        file = self._teaching.accept(self.session.today())
        self._send({"type": "learned", "token": message.get("token"), "file": file.name})

    # ------------------------------------------------------------------ answers

    def _marked(self, group: Group | None, how: str, message: Mapping[str, Any]) -> None:
        if group is None:
            self._send({"type": "nothing", "what": how, "token": message.get("token")})
            return
        place = self.session.index.place(group.case_id) if self._knows(group.case_id) else None
        line = self.session.position(place) if place is not None else None
        self._sent = {group.case_id} if place is not None else set()
        shown = [self.shown.case(group.case_id, {})] if place is not None else []
        self._send({"type": how, "token": message.get("token"), "case": group.case_id, "line": line, "cases": shown,
                    "sentence": group_sentence(group.records, group.cases)} | self._standing())  # fmt: skip
        if place is not None:
            self._send_ahead(line if line is not None else -1)

    def _knows(self, case_id: str) -> bool:
        return self.session.knows(case_id)

    def _first_line(self) -> int:
        following = self.session.reserve(-1)
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
                "rows": [self.shown.row(r) for r in self.session.page(max(0, start - 20), start + 40)],
                "cases": [self.shown.case(case_id, {}) for case_id in first],
            }
            | self._standing()
        )
        if first:
            self._send_ahead(start)

    def _send_ahead(self, line: int, following: list[Message] | None = None) -> None:
        """Send the open cases after ``line``: which they are, and those that the front has not seen."""
        following = self._next(line) if following is None else following
        self._send({"type": "ahead", "after": line, "next": following})
        self._send_cases([n["case"] for n in following])

    def _next(self, line: int) -> list[Message]:
        lines = self.session.reserve(line, AHEAD)
        return [{"line": n, "case": self.session.index.case_id(self.session.place_at(n))} for n in lines]

    def _send_cases(self, ids: list[str]) -> None:
        for case_id in ids:
            if case_id not in self._sent:
                self._sent.add(case_id)
                self._send({"type": "cases", "cases": [self.shown.case(case_id, {})]})

    def _standing(self) -> Message:
        kinds = {kind: self.session.progress(kind) for kind in self.session.index.kinds}
        p = self.session.progress(self.session.view.kind)
        return {"progress": {"total": p.total, "open": p.open, "decided": p.decided, "deferred": p.deferred,
                             "escalated": p.escalated, "conflicts": p.conflicts, "mine": p.mine, "waiting": len(self.session.waiting_for_me()),
                             "kinds": [{"kind": k, "open": q.open, "total": q.total} for k, q in kinds.items()]}}  # fmt: skip

    def _done(self, group: Group) -> str:
        return f"{_(ACTION_WORDS[group.action])}: {group_sentence(group.records, group.cases)}"

    def _intent(self, message: Mapping[str, Any]) -> Intent:
        action = DecisionAction(str(message["action"]))
        until = None
        if action is DecisionAction.DEFER:
            until = _day(message.get("until")) or self.session.today() + timedelta(days=max(1, int(message.get("days") or 30)))
            if until <= self.session.today():
                raise DecisionError(N_("A case is deferred to a day that is still to come."))
        return Intent(
            action=action,
            survivor=message.get("survivor") or None,
            out=frozenset(message.get("out") or ()),
            only=message.get("only") or None,
            split=bool(message.get("split")),
            owner=clean(str(message.get("owner") or "")) or None,
            to=clean(str(message.get("to") or ""), 200) or None,
            until=until,
            reason=clean(str(message.get("reason") or "")),
            choices=dict(message.get("choices") or {}) if action is DecisionAction.MERGE else {},
            links=frozenset(map(str, message.get("links") or ())) if action is DecisionAction.MERGE else frozenset(),
            confirmed=bool(message.get("confirmed")),
        )


def _share(value: object) -> float | None:
    """Read a bound of the score as a front sends it: a number from 0 to 1, or nothing."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return min(1.0, max(0.0, float(value)))


def _day(value: object) -> date | None:
    if not isinstance(value, str) or not value:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise DecisionError(N_("{text} is not a date."), text=value[:40]) from None


def clean(text: str, limit: int = 2_000) -> str:
    """Return a reviewer's free text without characters that no database keeps, cut to ``limit``."""
    return "".join(c for c in text[:limit] if c in "\n\t" or not (ord(c) < 0x20 or 0xD800 <= ord(c) <= 0xDFFF)).strip()
