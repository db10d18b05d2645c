"""Answers a front that wishes to see a picture: one small message each way, no widget, no browser.

Scores are not shown where they are hidden (blind mode). Nothing is kept: a picture shows the snapshot and the log as they
are when it is asked for. Left to others: counting and drawing (the other modules of this room), cases and decisions
(``steward.review.conversation``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from steward.decisions import Standing
from steward.errors import StewardError
from steward.evidence import ComparisonVector
from steward.messages import _
from steward.records import RecordKey, Snapshot
from steward.review.conversation import Conversation
from steward.review.numbers import share
from steward.review.pictures import execution, heat, related, scores, stand, waterfall
from steward.review.pictures.scene import Scene
from steward.review.session import ReviewSession
from steward.store.decision_log import DecisionLog

if TYPE_CHECKING:
    from steward.store import Workspace

Message = dict[str, Any]
_BLIND = ("scores", "waterfall", "heat")


class PictureTalk:
    """Answers messages of type ``picture``.

    Parameters
    ----------
    ws : Workspace
    snapshot : Snapshot
    send : callable
        Takes one dictionary for the front.
    standing : callable
        Returns what people have decided so far.
    log : DecisionLog, optional
        For the trend; every case counts as open without one.
    blind : bool
        Show no score and nothing that is made of scores.
    """

    def __init__(
        self,
        ws: Workspace,
        snapshot: Snapshot,
        send: Callable[[Message], None],
        standing: Callable[[], Standing | None],
        *,
        log: DecisionLog | None = None,
        blind: bool = False,
    ) -> None:
        self._ws, self._snapshot, self._send, self._standing, self._log, self.blind = ws, snapshot, send, standing, log, blind

    def handle(self, message: Mapping[str, Any]) -> None:
        """Answer one message; a refusal or a defect becomes a sentence in the place of the picture."""
        which = str(message.get("which") or "")
        make = getattr(self, "_make_" + which, None)
        if make is None:
            return
        answer: Message = {"type": "picture", "which": which}
        try:
            if self.blind and which in _BLIND:
                answer["sentence"] = _("Scores are hidden (blind mode).")
            else:
                answer |= make(message)
        except StewardError as error:
            answer["sentence"] = error.render(_)
        except Exception as error:  # the front must say so; an exception in a widget callback is shown nowhere
            answer["sentence"] = _("A defect in the picture ({kind}).").format(kind=type(error).__name__)
        self._send(answer)

    def _make_scores(self, _message: Mapping[str, Any]) -> Message:
        found = scores.collect(self._ws, self._snapshot, self._standing())
        if not found.pairs.any():
            return {"sentence": _("No pair was proposed on this snapshot.")}
        return _shown(scores.draw(found)) | {"cuts": scores.cuts(found)}

    def _make_heat(self, message: Mapping[str, Any]) -> Message:
        known = heat.objects_of(self._ws, self._snapshot)
        if not known:
            return {"sentence": _("The snapshot has no people and no companies.")}
        chosen = str(message.get("about") or "")
        chosen = chosen if chosen in known else known[0]
        found = heat.collect(self._ws, self._snapshot, chosen)
        return _shown(heat.draw(found)) | {"choices": [[n, n] for n in known], "chosen": chosen}

    def _make_related(self, message: Mapping[str, Any]) -> Message:
        members = [RecordKey(str(o), str(i)) for o, i in message.get("members") or ()]
        if not members:
            return {"sentence": _("Open a case first.")}
        chosen = next((k for k in members if k.id == str(message.get("about") or "")), members[0])
        found = related.collect(self._ws, self._snapshot, chosen, named=True)
        return _shown(related.draw(found)) | {"choices": [[k.id, k.id] for k in members], "chosen": chosen.id}

    def _make_waterfall(self, message: Mapping[str, Any]) -> Message:
        pairs = self._pairs(str(message.get("object") or ""), str(message.get("case") or ""))
        if not pairs:
            return {"sentence": _("Only duplicates are held together by weights.")}
        names = [f"{p.pair.left.id} – {p.pair.right.id}" for p in pairs]
        wanted = str(message.get("about") or "")
        at = names.index(wanted) if wanted in names else 0
        choices = [[n, f"{n} · {share(p.probability, 1)}"] for n, p in zip(names, pairs, strict=True)]
        return _shown(waterfall.draw(pairs[at])) | {"choices": choices[:200], "chosen": names[at]}

    def _pairs(self, object: str, case: str) -> list[ComparisonVector]:
        if object not in {o.name for o in self._snapshot.objects}:
            return []
        return sorted(self._ws.pairs_of(self._snapshot, object, case), key=lambda v: (-v.match_weight, v.pair))

    def _make_stand(self, _message: Mapping[str, Any]) -> Message:
        from steward.scorecard.facts import TREND, trend_points

        points = trend_points(self._ws, self._ws.snapshots()[-TREND:])
        return _shown(
            stand.draw(
                [
                    stand.Point(
                        p.taken_at,
                        {
                            "records": p.records,
                            "duplicates": p.duplicates,
                            "stale": p.stale,
                            "free": p.free,
                            "invalid": p.invalid,
                        },
                    )
                    for p in points
                ]
            )
        )

    def _make_execution(self, message: Mapping[str, Any]) -> Message:
        earlier = [
            s for s in self._ws.snapshots() if s.digest != self._snapshot.digest and s.taken_at <= self._snapshot.taken_at
        ]
        if not earlier:
            return {"sentence": _("There is no earlier snapshot to compare with: take one after an execution.")}
        wanted = str(message.get("about") or "")
        before = next((s for s in earlier if s.digest == wanted), earlier[-1])
        found = execution.collect(self._ws, before, self._snapshot)
        choices = [[s.digest, f"{s.taken_at:%Y-%m-%d %H:%M} · {s.digest[:12]}"] for s in reversed(earlier)]
        return _shown(execution.draw(found)) | {"choices": choices, "chosen": before.digest}


def _shown(scene: Scene) -> Message:
    return {"scene": scene.message()}


class Desk:
    """The conversation about cases and the one about pictures, for a panel that has both."""

    def __init__(self, ws: Workspace, session: ReviewSession, send: Callable[[Message], None], *, blind: bool = False) -> None:
        self.session = session
        self.conversation = Conversation(session, send, blind=blind)
        self.pictures = PictureTalk(ws, session.snapshot, send, session.live.standing, log=session.log, blind=blind)

    def handle(self, message: Mapping[str, Any]) -> None:
        """Answer one message of the front."""
        if message.get("type") == "picture":
            self.pictures.handle(message)
        else:
            self.conversation.handle(message)


NOTEBOOK = ("scores", "heat", "stand", "execution")
"""Pictures of a whole snapshot; the others are about one case and belong to the panel."""

__all__ = ["NOTEBOOK", "Desk", "PictureTalk"]
