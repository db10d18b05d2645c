"""The queue: every case of a snapshot, ordered, filtered and searched; as quick at a million as at a thousand.

The cases are collected once in SQL; orders and states are arrays, so that a page, a jump or the next open case costs
microseconds and never a query. Text search runs in DuckDB over the fields of all members.

Left to others: what one case shows (``steward.review.source``), decisions (``steward.review.session``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from steward.errors import DecisionError, UsageError
from steward.messages import N_
from steward.records import RecordKey, Snapshot
from steward.store.sql import literal, quote

if TYPE_CHECKING:
    from steward.store import Workspace

Order = Literal["certainty", "impact", "learning", "size"]
ORDERS: tuple[Order, ...] = ("certainty", "impact", "learning", "size")
KINDS = ("duplicate", "stale", "invalid")
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class CaseState(IntEnum):
    """Where a case stands."""

    OPEN = 0
    DECIDED = 1
    DEFERRED = 2
    ESCALATED = 3
    CONFLICT = 4


@dataclass(frozen=True, slots=True)
class View:
    """What part of the queue is wanted, and in which order.

    Attributes
    ----------
    kind : str or None
        ``duplicate``, ``stale``, ``invalid`` or None for all.
    states : frozenset of CaseState
        Empty means all.
    text : str
        Words that must all occur in one member; ``field:word`` looks in one field, ``-word`` must not occur.
    order : Order
        ``certainty`` (surest first), ``impact`` (most at stake first), ``learning`` (what :meth:`CaseIndex.teach` was
        given first, then nearest to even odds), ``size`` (largest clusters first).
    low, high : float or None
        Bounds of the score, both included, in [0, 1].
    protected : bool or None
        Only cases with (True) or without (False) a protected record.
    mine : bool
        Only cases that wait for the reviewer: deferred by, or escalated to, that person.
    """

    kind: str | None = None
    object: str | None = None
    states: frozenset[CaseState] = frozenset()
    text: str = ""
    order: Order = "certainty"
    low: float | None = None
    high: float | None = None
    protected: bool | None = None
    mine: bool = False


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One line of the queue."""

    row: int
    case_id: str
    kind: str
    object: str
    title: str
    size: int
    score: float
    state: CaseState
    protected: bool


class CaseIndex:
    """All cases of one snapshot.

    Parameters
    ----------
    ws : Workspace
    snapshot : Snapshot
        Its evidence must be there (``steward score``).
    """

    def __init__(self, ws: Workspace, snapshot: Snapshot) -> None:
        self._ws, self._snapshot = ws, snapshot
        self._mapping = ws.mapping(snapshot)
        self._db = ws.connection.cursor()  # temporary tables of our own
        self._collect()
        self.state = np.zeros(len(self), dtype=np.uint8)
        self._ranks: dict[str, Rows] = {}
        self._found: tuple[str, npt.NDArray[np.bool_]] | None = None

    def __len__(self) -> int:
        return len(self.score)

    def close(self) -> None:
        """Release the temporary tables."""
        self._db.close()

    # ------------------------------------------------------------------ collecting

    def _collect(self) -> None:
        digest = self._snapshot.digest
        self._db.execute(
            """
            CREATE OR REPLACE TEMP TABLE review_case AS
            WITH spoken AS (
                SELECT kind, object, case_id, min(record_id) AS first_id, count(DISTINCT record_id) AS records,
                       min(score) AS low, max(score) AS high
                FROM evidence WHERE snapshot = $s GROUP BY kind, object, case_id),
            grouped AS (
                SELECT object, cluster_id, count(*) AS members, max(record_id) FILTER (WHERE survivor) AS survivor_id
                FROM clusters WHERE snapshot = $s GROUP BY object, cluster_id)
            SELECT (row_number() OVER (ORDER BY s.kind, s.object, s.case_id) - 1)::BIGINT AS place, s.kind, s.object, s.case_id,
                   coalesce(g.survivor_id, s.first_id) AS lead_id, coalesce(g.members, s.records)::INTEGER AS members,
                   CASE WHEN s.kind = 'duplicate' THEN s.low ELSE s.high END AS score
            FROM spoken s LEFT JOIN grouped g ON s.kind = 'duplicate' AND g.object = s.object AND g.cluster_id = s.case_id
            ORDER BY place
            """,
            {"s": digest},
        )
        self._db.execute(
            """
            CREATE OR REPLACE TEMP TABLE review_member AS
            SELECT c.place, c.object, g.record_id FROM review_case c
              JOIN clusters g ON g.snapshot = $s AND c.kind = 'duplicate' AND g.object = c.object AND g.cluster_id = c.case_id
            UNION
            SELECT c.place, c.object, e.record_id FROM review_case c
              JOIN evidence e ON e.snapshot = $s AND e.kind = c.kind AND e.object = c.object AND e.case_id = c.case_id
            """,
            {"s": digest},
        )
        # What was seen in a case, by place: the evidence itself is in no order that would let one case be found quickly.
        self._db.execute(
            """
            CREATE OR REPLACE TEMP TABLE review_said AS
            SELECT c.place, e.digest FROM review_case c
              JOIN evidence e ON e.snapshot = $s AND e.kind = c.kind AND e.object = c.object AND e.case_id = c.case_id
            ORDER BY c.place
            """,
            {"s": digest},
        )
        self._db.execute(
            """
            CREATE OR REPLACE TEMP TABLE review_protected AS
            SELECT DISTINCT m.place FROM review_member m
              JOIN protections p ON p.snapshot = $s AND p.object = m.object AND p.record_id = m.record_id
            """,
            {"s": digest},
        )
        titles = self._titles_sql()
        table = self._db.sql(
            f"""
            SELECT c.case_id, c.kind, c.object, c.members, c.score, coalesce(t.title, c.lead_id) AS title,
                   p.place IS NOT NULL AS protected
            FROM review_case c LEFT JOIN ({titles}) t ON t.object = c.object AND t.id = c.lead_id
            LEFT JOIN review_protected p ON p.place = c.place ORDER BY c.place
            """  # noqa: S608 - table and column names come quoted from the workspace
        ).to_arrow_table()
        self._case_id = table.column("case_id").combine_chunks()
        self._title = table.column("title").combine_chunks()
        self.score: npt.NDArray[np.float64] = table.column("score").to_numpy()
        self.size: npt.NDArray[np.int32] = table.column("members").to_numpy()
        self.protected: npt.NDArray[np.bool_] = table.column("protected").to_numpy(zero_copy_only=False)
        kinds = table.column("kind").combine_chunks().dictionary_encode()
        objects = table.column("object").combine_chunks().dictionary_encode()
        self._kinds, self._kind = kinds.dictionary.to_pylist(), kinds.indices.to_numpy(zero_copy_only=False)
        self._objects, self._object = objects.dictionary.to_pylist(), objects.indices.to_numpy(zero_copy_only=False)
        self._place_of: dict[str, int] = {}

    def _titles_sql(self) -> str:
        parts = []
        known = {o.name for o in self._snapshot.objects}
        for name, entry in self._mapping.objects.items():
            if name not in known:
                continue
            columns = [c for c in entry.label if c in self._ws.columns(self._snapshot, name)]
            joined = ", ".join(f"nullif(trim({quote(c)}), '')" for c in columns)
            title = f"nullif(concat_ws(' ', {joined}), '')" if joined else "_id"
            parts.append(
                f"SELECT {literal(name)} AS object, _id AS id, {title} AS title FROM {self._ws.table(self._snapshot, name)} "  # noqa: S608 - quoted
                f"WHERE _id IN (SELECT lead_id FROM review_case WHERE object = {literal(name)})"
            )
        return " UNION ALL ".join(parts) or "SELECT NULL AS object, NULL AS id, NULL AS title WHERE false"

    # ------------------------------------------------------------------ looking up

    @property
    def kinds(self) -> list[str]:
        """Kinds that have cases."""
        return sorted(self._kinds, key=lambda k: KINDS.index(k) if k in KINDS else 9)

    @property
    def objects(self) -> list[str]:
        """Objects that have cases."""
        return sorted(self._objects)

    def states_of(self, kind: str) -> npt.NDArray[np.uint8]:
        """Return the states of the cases of one kind."""
        wanted: npt.NDArray[np.uint8] = self.state[self.of_kind(kind)]
        return wanted

    def of_kind(self, kind: str) -> Mask:
        """Return which cases are of a kind."""
        found: Mask = self._kind == (self._kinds.index(kind) if kind in self._kinds else -1)
        return found

    def of_object(self, object: str) -> Mask:
        """Return which cases are of an object."""
        found: Mask = self._object == (self._objects.index(object) if object in self._objects else -1)
        return found

    def objects_of(self, kind: str) -> list[str]:
        """Return the objects that have cases of a kind."""
        return sorted({self._objects[i] for i in np.unique(self._object[self.of_kind(kind)])})

    def with_severity(self, severity: str) -> Mask:
        """Return which cases hold a reason of this severity."""
        return self._marked(
            "SELECT DISTINCT c.place FROM review_case c JOIN evidence e ON e.snapshot = $s AND e.kind = c.kind AND e.object = c.object "
            "AND e.case_id = c.case_id WHERE e.severity = $v",
            {"s": self._snapshot.digest, "v": severity},
        )

    def linked_from(self, probability: float) -> Mask:
        """Return which clusters have each member but the survivor linked to the survivor with at least this probability."""
        return self._marked(
            """
            WITH members AS (
                SELECT c.place, c.object, c.lead_id, m.record_id FROM review_case c JOIN review_member m USING (place)
                WHERE c.kind = 'duplicate' AND m.record_id <> c.lead_id)
            SELECT m.place FROM members m LEFT JOIN (
                SELECT object, left_id AS a, right_id AS b, probability FROM pairs WHERE snapshot = $s UNION ALL
                SELECT object, right_id, left_id, probability FROM pairs WHERE snapshot = $s) p
              ON p.object = m.object AND p.a = m.lead_id AND p.b = m.record_id
            GROUP BY m.place HAVING min(coalesce(p.probability, 0)) >= $v
            """,
            {"s": self._snapshot.digest, "v": probability},
        )

    def _marked(self, query: str, values: dict[str, Any]) -> Mask:
        out = np.zeros(len(self), dtype=bool)
        out[self._db.execute(query, values).fetchnumpy()["place"]] = True
        return out

    def case_id(self, place: int) -> str:
        """Return the id of the case at a place of the index."""
        case_id = str(self._case_id[place].as_py())
        self._place_of[case_id] = int(place)  # whoever was given the id comes back with it
        return case_id

    def case_ids(self, places: Sequence[int] | Rows) -> list[str]:
        """Return the ids of the cases at many places."""
        return [str(name) for name in self._case_id.take(np.asarray(places, dtype=np.int64)).to_pylist()]

    def kind_of(self, place: int) -> str:
        """Return the kind of the case at a place of the index."""
        return str(self._kinds[self._kind[place]])

    def object_of(self, place: int) -> str:
        """Return the object of the case at a place of the index."""
        return str(self._objects[self._object[place]])

    def place(self, case_id: str) -> int:
        """Return the place of a case.

        Raises
        ------
        DecisionError
            No such case in this snapshot.
        """
        found = self._place_of.get(case_id)
        if found is None:
            rows = self._db.execute("SELECT place FROM review_case WHERE case_id = $c LIMIT 1", {"c": case_id}).fetchall()
            if not rows:
                raise DecisionError(
                    N_("The case {case} is not in this snapshot."), next_step=N_("Open the queue again."), case=case_id
                )
            found = self._place_of[case_id] = int(rows[0][0])
        return found

    def digests(self, places: Sequence[int] | Rows) -> dict[int, list[str]]:
        """Return the digests of the evidence of each case."""
        out: dict[int, list[str]] = {}
        for place, digest in self._at(places, "SELECT t.place, t.digest FROM review_said t"):
            out.setdefault(place, []).append(digest)
        return out

    def _at(self, places: Sequence[int] | Rows, query: str, order: str = "") -> list[Any]:
        """Run a query over the table ``t`` at some places; one place is looked up without a join."""
        wanted = [int(p) for p in places]
        if len(wanted) == 1:
            return self._db.execute(f"{query} WHERE t.place = $p {order}", {"p": wanted[0]}).fetchall()
        join = "JOIN (SELECT unnest($p::BIGINT[]) AS place) USING (place)"
        return self._db.execute(f"{query} {join} {order}", {"p": wanted}).fetchall()

    def members(self, places: Sequence[int] | Rows) -> dict[int, list[RecordKey]]:
        """Return the records of each case, sorted."""
        found = self._at(
            places, "SELECT t.place, t.object, t.record_id FROM review_member t", "ORDER BY t.place, t.object, t.record_id"
        )
        out: dict[int, list[RecordKey]] = {}
        for place, name, record_id in found:
            out.setdefault(place, []).append(RecordKey(name, record_id))
        return out

    def places_of(self, keys: Iterable[RecordKey]) -> list[int]:
        """Return the cases in which any of the records takes part."""
        wanted = list(keys)
        found = self._db.execute(
            "SELECT DISTINCT m.place FROM review_member m JOIN (SELECT unnest($o::VARCHAR[]) AS object, unnest($r::VARCHAR[]) AS record_id) "
            "USING (object, record_id)",
            {"o": [k.object for k in wanted], "r": [k.id for k in wanted]},
        ).fetchall()
        return [row[0] for row in found]

    def row(self, place: int) -> QueueRow:
        """Return one line of the queue."""
        return QueueRow(
            row=int(place), case_id=self.case_id(place), kind=self.kind_of(place), object=self.object_of(place),
            title=str(self._title[place].as_py()), size=int(self.size[place]), score=float(self.score[place]),
            state=CaseState(int(self.state[place])), protected=bool(self.protected[place]),
        )  # fmt: skip

    # ------------------------------------------------------------------ ordering and filtering

    def select(self, view: View) -> Rows:
        """Return the places of the cases that a view shows, in its order."""
        if view.order not in ORDERS:
            raise UsageError(N_("There is no order {order}; there are: {known}."), order=view.order, known=", ".join(ORDERS))
        order = self._rank(view.order)
        keep = np.ones(len(self), dtype=bool)
        if view.kind:
            keep &= self.of_kind(view.kind)
        if view.object:
            keep &= self.of_object(view.object)
        if view.states:
            keep &= np.isin(self.state, [int(s) for s in view.states])
        if view.low is not None:
            keep &= self.score >= view.low
        if view.high is not None:
            keep &= self.score <= view.high
        if view.protected is not None:
            keep &= self.protected == view.protected
        if view.text.strip():
            keep &= self._matching(view.text)
        return order[keep[order]]

    def teach(self, first: Sequence[tuple[str, str]]) -> None:
        """Put clusters first in the order ``learning``: (object, case id), those that teach most first; the rest by even odds."""
        self._ranks.pop("learning", None)
        if not first:
            return
        found = self._db.execute(
            "SELECT c.place FROM review_case c JOIN (SELECT unnest($o::VARCHAR[]) AS object, unnest($c::VARCHAR[]) AS case_id, "
            "unnest(range(len($o::VARCHAR[]))) AS n) USING (object, case_id) WHERE c.kind = 'duplicate' ORDER BY n",
            {"o": [o for o, _ in first], "c": [c for _, c in first]},
        ).fetchnumpy()
        ahead = np.asarray(found["place"], dtype=np.int64)
        rest = self._rank("learning")
        self._ranks["learning"] = np.concatenate([ahead, rest[~np.isin(rest, ahead)]])

    def _rank(self, order: Order) -> Rows:
        if order not in self._ranks:
            match order:
                case "certainty":
                    key = -self.score
                case "learning":
                    key = np.abs(self.score - 0.5)
                case "size":
                    key = -self.size.astype(np.float64)
                case "impact":
                    key = -self._weights()
            self._ranks[order] = np.argsort(key, kind="stable").astype(np.int64)
        return self._ranks[order]

    def _weights(self) -> npt.NDArray[np.float64]:
        """Return for each case the amounts and the number of records that hang on its members (amounts weigh first)."""
        parts = []
        known = {o.name for o in self._snapshot.objects}
        for name in self._objects:
            for child, column in self._mapping.children_of(name):
                if child.name not in known:
                    continue
                amount = f"coalesce(sum(try_cast({quote(child.amount)} AS DOUBLE)), 0)" if child.amount else "0"
                parts.append(
                    f"SELECT {literal(name)} AS object, {quote(column)} AS record_id, count(*) + {amount} AS weight "  # noqa: S608 - quoted
                    f"FROM {self._ws.table(self._snapshot, child.name)} WHERE {quote(column)} IS NOT NULL AND NOT _deleted "
                    f"GROUP BY {quote(column)}"
                )
        weights = np.zeros(len(self))
        if parts:
            found = self._db.execute(
                f"SELECT m.place, sum(w.weight) AS weight FROM review_member m JOIN ({' UNION ALL '.join(parts)}) w "  # noqa: S608 - quoted
                "USING (object, record_id) GROUP BY m.place"
            ).fetchnumpy()
            weights[found["place"]] = found["weight"]
        return weights

    def _matching(self, words: str) -> npt.NDArray[np.bool_]:
        if self._found is None or self._found[0] != words:
            hits = np.zeros(len(self), dtype=bool)
            for name in self._objects:
                columns = self._ws.columns(self._snapshot, name)
                condition, values = _condition(words, columns)
                found = self._db.execute(
                    f"SELECT DISTINCT m.place FROM review_member m JOIN {self._ws.table(self._snapshot, name)} t ON t._id = m.record_id "  # noqa: S608 - quoted
                    f"WHERE m.object = $object AND {condition}",
                    {"object": name, **values},
                ).fetchnumpy()
                hits[found["place"]] = True
            self._found = (words, hits)
        return self._found[1]


def _condition(words: str, columns: Sequence[str]) -> tuple[str, dict[str, Any]]:
    by_name = {c.lower(): c for c in columns}
    everything = "lower(concat_ws(chr(10), t._id, " + ", ".join(f"t.{quote(c)}" for c in columns) + "))"
    parts: list[str] = []
    values: dict[str, Any] = {}
    for i, word in enumerate(words.split()):
        wanted = not (word.startswith("-") and len(word) > 1)
        word = word if wanted else word[1:]
        field, colon, rest = word.partition(":")
        where = everything
        if colon and rest and field.lower() in by_name:
            where, word = f"lower(coalesce(t.{quote(by_name[field.lower()])}, ''))", rest
        values[f"w{i}"] = word.lower()
        parts.append(f"{'' if wanted else 'NOT '}contains({where}, $w{i})")
    return " AND ".join(parts), values
