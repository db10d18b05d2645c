"""Writes to Jiandaoyun (简道云, abroad Jodoo), API v5: records of any form, and members who leave.

What is peculiar, each with a test of its name:

* A deletion is final: no call lists, restores or purges what the web page's recycle bin may hold. So a *soft* deletion is a
  field of the mapping that is set, and nothing else.
* By default every record goes in a call of its own, which answers for it, is logged and starts no automation. A call for a
  hundred answers with a count: where it is not the number sent, each is read and what is left goes one by one.
* A record whose flow is running stays, unless the profile says otherwise.
* A wrong value is stored as nothing with a success answer: kinds, members and times are looked at before a call, the answer
  is compared with what was sent, and what was not taken is put back.
* A member is no customer: one can be made to leave, never be deleted, and nothing brings one back.
* ``is_start_trigger`` and ``is_start_workflow`` are said in every call that has them, and off unless the manifest turns them on.

Left to others: order, looking before a call, settling (``vendor``), making records, codes and switches
(``jiandaoyun_making``), values (``jiandaoyun_payload``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from steward.crm.jiandaoyun_members import LEFT, is_members
from steward.crm.jiandaoyun_wire import form_of
from steward.crm.mapping import ObjectMapping
from steward.errors import CrmError, OutcomeUnknownError, SchemaMismatchError, ThrottledError
from steward.executor.ports import Answer, Effect, Result, Settled, Unit, Work
from steward.executor.writers.jiandaoyun_making import JiandaoyunMaking
from steward.executor.writers.jiandaoyun_payload import comes_back, settable, wrapped
from steward.executor.writers.vendor import Refused
from steward.messages import N_
from steward.records import Absent, Fields, Record, RecordKey, Scalar, canonical_text

MOST = 100
"""Records of one batch call."""
MOST_SINGLY = 60
"""The same where each is asked for by itself before it: 30 calls a second."""
LOOKED = 20
"""Records that are looked at together before they go one by one: one second of calls."""


class JiandaoyunWriter(JiandaoyunMaking):
    """Implements :class:`steward.executor.ports.Writer` for Jiandaoyun.

    Parameters
    ----------
    reader : JiandaoyunReader
        With a key that may write.
    """

    @property
    def me(self) -> str:
        """Return nothing: the vendor tells nobody who deleted."""
        return ""

    def writable(self, entry: ObjectMapping, *, create: bool) -> frozenset[str]:
        """Return fields of the kinds that the vendor lets a call set; of a member its status alone."""
        if is_members(entry):
            return frozenset() if create else frozenset({"status"})
        return settable(self.reader.widgets(entry), create=create)

    def moved_columns(self, entry: ObjectMapping) -> frozenset[str]:
        """Return who and when, which move with every write."""
        return frozenset() if is_members(entry) else frozenset({"updater", "updateTime"})

    def value_for(self, object: str, field: str, text: str | None, now: datetime) -> Scalar:
        """Return a time as the vendor gives it back, to the millisecond; else as the mapping says."""
        entry = self.mapping.objects[object]
        if text is None and not is_members(entry) and self.reader.kinds(entry).get(field) == "datetime":
            return now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return super().value_for(object, field, text, now)

    def count(self, object: str) -> int:
        """Count by reading to the empty page: the vendor counts nothing."""
        return sum(1 for part in self.reader.scan(object) for r in part if not r.deleted)

    # one batch --------------------------------------------------------------------------------------------------

    def apply(self, units: Sequence[Unit], *, manifest: str, attempt: int) -> Mapping[int, Result]:
        """See :class:`VendorWriter`; the forms are described anew first, for their fields may have been renamed."""
        self._prepare(units, manifest, attempt)
        return super().apply(units, manifest=manifest, attempt=attempt)

    def go_on(self, units: Sequence[Unit], *, manifest: str) -> Mapping[int, Result]:
        """See :class:`VendorWriter`."""
        self._prepare(units, manifest, 2)
        return super().go_on(units, manifest=manifest)

    def _prepare(self, units: Sequence[Unit], manifest: str, attempt: int) -> None:
        self._manifest, self._attempt = manifest, attempt
        self._members.clear()
        self._made.clear()
        for object in dict.fromkeys(e.before.key.object for u in units for e in u.effects):
            self.reader.moved(self.mapping.objects[object])

    def settle(self, works: Sequence[Work], *, manifest: str) -> Mapping[int, Settled]:
        """See :class:`VendorWriter`."""
        self._made.clear()
        return super().settle(works, manifest=manifest)

    def at_once(self, entry: ObjectMapping, op: str) -> int:
        """Return one, unless the profile lets many go in a call: a hundred, or as many as are looked at in two seconds."""
        return 1 if self._one_by_one else MOST_SINGLY if self.reader.options["lists"] == "lag" else MOST

    def _make(self, units: Sequence[Unit], manifest: str) -> dict[int, Result]:
        """Make units, a second's worth at a time: looked at together, and merges asked together what still refers."""
        results: dict[int, Result] = {}
        size = LOOKED if self._one_by_one else MOST
        for start in range(0, len(units), size):
            some = units[start : start + size]
            merges = [u for u in some if len(u.effects) > 1 and any(e.op == "delete" for e in u.effects)]
            if self._one_by_one:
                with suppress(CrmError, SchemaMismatchError):  # then each is looked at by itself
                    self._look_again([e.before.key for u in some if len(u.effects) == 1 for e in u.effects if e.op == "delete"])
            for part in ([u for u in some if u not in merges], merges):
                try:
                    said = self._merge_together(part, manifest) if part is merges else super()._make(part, manifest)
                except ThrottledError:
                    if not results:
                        raise
                    said = {w.seq: Result(Answer.LATER, "throttled") for u in part for w in u.works}
                results |= said
                if any(w.seq not in said or said[w.seq].answer is Answer.LATER for u in part for w in u.works):
                    left = {w.seq: Result(Answer.LATER, "stopped") for u in units for w in u.works}
                    done = {w.seq for u in [*units[:start], *part, *(some if part is merges else ())] for w in u.works}
                    return results | {seq: r for seq, r in left.items() if seq not in done}
        return results

    def _merge_together(self, units: Sequence[Unit], manifest: str) -> dict[int, Result]:
        """Make merges: first all that leads away from what goes, then one reading of what still refers, then the deletions.

        A form may have to be read whole to know what refers to a record; so it is read once for all of them.
        """
        if len(units) < 2:
            return super()._make(units, manifest)
        results: dict[int, Result] = {}
        ready: list[tuple[Unit, tuple[Effect, ...]]] = []
        for n, unit in enumerate(units):
            goes = tuple(e for e in unit.effects if e.op == "delete")
            first = tuple(e for e in unit.effects if e.op != "delete")
            try:
                said = super()._make([replace(unit, effects=first)], manifest) if first else {}
            except ThrottledError:
                if not (results or ready):
                    raise
                said = {w.seq: Result(Answer.LATER, "throttled") for w in unit.works}
            if not first or all(w.seq in said and said[w.seq].answer is Answer.DONE for w in unit.works):
                ready.append((unit, goes))
                continue
            results |= said
            if any(w.seq not in said or said[w.seq].answer is Answer.LATER for w in unit.works):
                results |= {w.seq: Result(Answer.LATER, "stopped") for u in units[n + 1 :] for w in u.works}
                break
        return results | self._let_go(ready, manifest)

    def _let_go(self, ready: Sequence[tuple[Unit, tuple[Effect, ...]]], manifest: str) -> dict[int, Result]:
        """Delete what merges leave behind; whatever is not clearly done stays without an answer, for its other steps were made."""
        results: dict[int, Result] = {}
        going = {e.before.key for _, goes in ready for e in goes}
        referred: dict[RecordKey, set[RecordKey]] = {}
        try:
            for object in dict.fromkeys(key.object for key in going):
                for link in self.reader.children(object, [k.id for k in going if k.object == object]):
                    referred.setdefault(link.parent, set()).add(link.child)
            self._asked = going
            for unit, goes in ready:
                if any(referred.get(e.before.key, set()) - {g.before.key for g in goes} for e in goes):
                    continue  # somebody has led something there since
                said = super()._make([replace(unit, effects=goes)], manifest)
                if not all(w.seq in said and said[w.seq].answer is Answer.DONE for w in unit.works):
                    break
                results |= said
        except CrmError:
            return results
        finally:
            self._asked = set()
        return results

    def _none_refers(self, effect: Effect, unit: Unit) -> None:
        """See :class:`VendorWriter`; what was asked together a moment ago is not asked again."""
        if effect.before.key not in self._asked:
            super()._none_refers(effect, unit)

    @property
    def _one_by_one(self) -> bool:
        return self.reader.options["delete_by"] == "one" or self._switch("is_start_trigger")

    # calls ------------------------------------------------------------------------------------------------------

    def send_update(self, entry: ObjectMapping, record: Record, changes: Fields) -> None:
        """Set fields of a record, and put back what the vendor did not take."""
        if is_members(entry):
            self._let_leave(record, changes)
            return
        now = self._set(entry, record.key.id, changes)
        if now is None or not self._differ(entry, now, changes):
            return  # without a record in the answer, settling compares
        # It may stand in another field: what holds what we sent, or was emptied, is ours.
        sent = {canonical_text(v) for v in changes.values()} | {None}
        ours = {
            n: record.fields.get(n)
            for n in self.writable(entry, create=False)
            if canonical_text(now.fields.get(n)) != canonical_text(record.fields.get(n))
            and (n in changes or canonical_text(now.fields.get(n)) in sent)
        }
        again = self._set(entry, record.key.id, ours) if ours else now
        if again is None or self._differ(entry, again, ours):
            raise OutcomeUnknownError(N_("The CRM stored something else than it was sent."))
        raise Refused("not_taken")

    def _set(self, entry: ObjectMapping, id: str, changes: Fields) -> Record | None:
        """Set fields; return the record that the answer holds."""
        self._check_members(entry, changes)
        body = {
            **form_of(entry),
            "data_id": id,
            "data": wrapped(self.reader.widgets(entry), changes),
            "is_start_trigger": self._switch("is_start_trigger"),
        }
        row = self._write("v5/app/entry/data/update", body, "single").get("data")
        self.reader.moved(entry)  # two fields may have swapped their names while it was on its way
        return self._record(entry, row) if isinstance(row, dict) and row.get("_id") == id else None

    def _record(self, entry: ObjectMapping, row: Mapping[str, Any]) -> Record:
        return self.reader.record(entry, self.reader.columns(entry.name), self.reader.by_widget(entry, row))

    def _differ(self, entry: ObjectMapping, now: Record, meant: Fields) -> bool:
        known = {str(w["widgetName"]): w for w in self.reader.widgets(entry)}
        return any(
            canonical_text(now.fields.get(n)) != canonical_text(comes_back(known.get(n, {}), v)) for n, v in meant.items()
        )

    def _let_leave(self, record: Record, changes: Fields) -> None:
        if set(changes) != {"status"} or canonical_text(changes["status"]) != str(LEFT):
            raise Refused("nobody_comes_back" if set(changes) == {"status"} else "not_writable")
        said = self._write("v5/corp/user/delete", {"username": record.key.id}, "single")
        if said.get("status") != "success":
            raise OutcomeUnknownError(N_("The CRM's answer does not say what became of a member."))

    def send_delete(self, entry: ObjectMapping, records: Sequence[Record], op: str) -> Mapping[str, Result]:
        """Delete for good: one by one, or up to a hundred in a call."""
        if op != "delete":
            raise Refused("no_recycle_bin")
        if is_members(entry) or entry.role == "user":
            raise Refused("user_object")
        results: dict[str, Result] = {}
        if self.reader.options["running_flow"] == "stays":
            results = {r.key.id: Result(Answer.REFUSED, "flow_runs") for r in records if r.fields.get("flowState") == 0}
        going = [r for r in records if r.key.id not in results]
        if len(going) > 1:
            return results | self._batch(entry, going)
        return results | {r.key.id: self._single(entry, r) for r in going}

    def _single(self, entry: ObjectMapping, record: Record) -> Result:
        body = {**form_of(entry), "data_id": record.key.id, "is_start_trigger": self._switch("is_start_trigger")}
        try:
            said = self._write("v5/app/entry/data/delete", body, "single")
        except Refused as stop:
            if stop.code == "delete_failed" and isinstance(self._now(record.key), Absent):
                return Result(Answer.ABSENT, "absent")
            return Result(stop.answer, stop.code)
        if said.get("status") != "success":
            raise OutcomeUnknownError(N_("The CRM's answer does not say what became of a record."))
        return Result(Answer.DONE)

    def _now(self, key: RecordKey) -> Record | Absent | None:
        return self.reader.fetch(key.object, [key.id]).get(key.id)

    def _batch(self, entry: ObjectMapping, records: Sequence[Record]) -> dict[str, Result]:
        """Delete records in one call, whose count says all or nothing certain."""
        by_id = {r.key.id: r for r in records}
        try:
            said = self._write("v5/app/entry/data/batch_delete", {**form_of(entry), "data_ids": list(by_id)}, "batch")
        except Refused as stop:
            if stop.code in ("bad_request", "no_form"):
                raise
            said = {}  # which of them it was, and what became of the others, nobody says
        if said.get("status") == "success" and said.get("success_count") == len(by_id):
            return {id: Result(Answer.DONE) for id in by_id}
        # What is gone stays without an answer: by whom, nobody knows. What is there goes by itself, if nobody changed it.
        results: dict[str, Result] = {}
        for id in by_id:
            found = self._now(RecordKey(entry.name, id))
            if not isinstance(found, Record):
                continue
            if self._content(found) != self._content(by_id[id]):
                results[id] = Result(Answer.CHANGED, "changed")
                continue
            self._hook("vendor.call")
            try:
                results[id] = self._single(entry, by_id[id])
            except CrmError:
                break  # this one and what follows are read
        return results

    def send_unbin(self, entry: ObjectMapping, id: str) -> None:
        """Refuse: no call reaches the recycle bin."""
        raise Refused("no_recycle_bin")

    def put_back(self, work: Work, *, manifest: str) -> bool:
        """Return False: nothing brings a deleted record back."""
        return False


__all__ = ["JiandaoyunWriter"]
