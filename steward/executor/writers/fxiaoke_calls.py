"""Calls of Fxiaoke that change one record: update, change of owner, recover, create.

Left to others: voiding, deleting, settling (``fxiaoke``), payloads (``fxiaoke_payload``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from steward.crm.fxiaoke import FxiaokeReader, condition, path_of
from steward.crm.fxiaoke_wire import BUSY, DAY_USED_UP, DENIED
from steward.crm.mapping import ObjectMapping
from steward.crm.wire import refused
from steward.errors import CrmError, OutcomeUnknownError, UnavailableError
from steward.executor.steps import part_of
from steward.executor.writers import fxiaoke_payload as payload
from steward.executor.writers.vendor import Refused, VendorWriter
from steward.messages import N_
from steward.records import Absent, Fields, Record, canonical_text

_NO_EMPLOYEE = frozenset({30007, 30027})
_BAD_CALL = frozenset({10013, 15002, 32000})


class FxiaokeCalls(VendorWriter):
    """What one call of Fxiaoke changes, and how its answer is understood."""

    reader: FxiaokeReader

    @property
    def me(self) -> str:
        """The acting employee, where the profile says that voiding stamps the last editor."""
        return self.reader.api.acts_as if self.reader.options["who_voided"] == "stamped" else ""

    def writable(self, entry: ObjectMapping, *, create: bool) -> frozenset[str]:
        """Return the columns that a call may set."""
        return payload.columns_to_set(
            entry, self.reader.fields(entry), create=create, stops_users=self.reader.options["stops_users"] == "edit"
        )

    def moved_columns(self, entry: ObjectMapping) -> frozenset[str]:
        """Return what the vendor stamps, and what it computes from other records."""
        return payload.MOVED | payload.computed(self.reader.fields(entry))

    def at_once(self, entry: ObjectMapping, op: str) -> int:
        """Void takes one record, delete twenty."""
        return 1 if op == "bin" else super().at_once(entry, op)

    def _see(self, entry: ObjectMapping, id: str) -> Record | Absent | None:
        """Read one record by a call of its own; None where the answer does not say."""
        try:
            return self.reader.fetch(entry.name, [id]).get(id)
        except CrmError:
            return None

    def _send(self, entry: ObjectMapping, verb: str, data: Mapping[str, Any], **top: Any) -> tuple[int, dict[str, Any]]:
        """Send one call and return the code of a good answer or of a refusal that must be looked at, and the answer.

        Raises
        ------
        Refused
            By a code that speaks of the call: nothing was changed.
        DeniedError, ThrottledError, UnavailableError
            Certainly not done.
        OutcomeUnknownError
            Nobody knows.
        """
        said = self.reader.api.change(f"{path_of(entry)}/{verb}", {**top, "data": dict(data)})
        code = int(said["errorCode"])
        if code in BUSY or code == -2:
            raise OutcomeUnknownError(N_("The CRM did not say what became of a call (code {code})."), code=code)
        if code in DAY_USED_UP:  # the next read says so and stops the run
            raise UnavailableError(N_("The day's calls of the CRM at {host} are used up."), host=self.reader.wire.host)
        if code in DENIED:
            raise refused(self.reader.wire.host, 200, str(code))
        if code in _NO_EMPLOYEE:
            raise Refused("no_such_user")
        if code in _BAD_CALL:
            raise Refused("bad_call")
        return code, said

    def _switched(self) -> dict[str, bool]:
        return {name: name in self.side_effects for name in self.capabilities.side_effects}

    def _values(self, entry: ObjectMapping, fields: Fields, *, create: bool = False) -> dict[str, Any]:
        kinds = payload.kinds(self.reader.fields(entry))
        empty = "" if self.reader.options["empties"] == "empty" and not create else None
        try:
            return {n: payload.as_sent(kinds.get(n, ""), n, v, empty=empty) for n, v in fields.items()}
        except ValueError:
            raise Refused("bad_value") from None

    def send_update(self, entry: ObjectMapping, record: Record, changes: Fields) -> None:
        """Set columns of one record, the owner by its own call."""
        id = canonical_text(record.fields["_id" if entry.key == "_id" else "record_id"]) or record.key.id
        rest = {n: v for n, v in changes.items() if n != "owner"}
        if rest:
            given = {"_id": id, "dataObjectApiName": entry.source, **self._values(entry, rest)}
            data = {"skipDataStatusValidate": False, "object_data": given}
            code, _ = self._send(entry, "update", data, **self._switched())
            self._unless_refused(entry, record, rest, code)
        if "owner" in changes:
            owner = self._values(entry, {"owner": changes["owner"]})["owner"]
            if not owner:
                raise Refused("no_owner")
            moves = [{"objectDataId": id, "ownerId": owner}]
            code, _ = self._send(entry, "changeOwner", {"dataObjectApiName": entry.source, "Data": moves})
            self._unless_refused(entry, record, {"owner": changes["owner"]}, code)

    def _unless_refused(self, entry: ObjectMapping, record: Record, changes: Fields, code: int) -> None:
        """Look at a record after a refusal with a code of its own: as it was, it is one."""
        if code == 0:
            return
        found, names = self._see(entry, record.key.id), sorted(changes)
        if isinstance(found, Record) and part_of(found.fields, names) == part_of(record.fields, names):
            raise Refused("refused")
        raise OutcomeUnknownError(N_("The CRM did not say what became of a call (code {code})."), code=code)

    def send_unbin(self, entry: ObjectMapping, id: str) -> None:
        """Recover one voided record."""
        self._no_users(entry)
        code, _ = self._send(entry, "recover", {"dataObjectApiName": entry.source, "idList": [id]})
        if code == 0:
            return
        found = self._see(entry, id)
        if isinstance(found, Absent):
            raise Refused("not_in_bin")
        if isinstance(found, Record) and found.deleted:
            raise Refused("refused")
        if found is None:
            raise OutcomeUnknownError(N_("The CRM did not say what became of a call (code {code})."), code=code)

    def send_insert(self, entry: ObjectMapping, fields: Fields) -> str:
        """Make a record anew at its old time of creation; its author is this employee, so that it can be found again."""
        self._no_users(entry)
        data = {"object_data": {"dataObjectApiName": entry.source, **self._values(entry, fields, create=True)}}
        code, said = self._send(entry, "create", data, hasSpecifyTime="create_time" in fields, **self._switched())
        inner = said.get("data")
        new = said.get("dataId") or (inner.get("dataId") if isinstance(inner, dict) else None)
        if code == 0 and isinstance(new, str) and new:
            return new
        made = self._made_by_us(entry)
        alike = [r.key.id for r in made if part_of(r.fields, sorted(fields)) == part_of(fields, sorted(fields))]
        if code == 0 and len(alike) == 1:
            return alike[0]
        if code != 0 and not alike:
            raise Refused("refused")
        raise OutcomeUnknownError(N_("The CRM did not say what became of a call (code {code})."), code=code)

    def made_since(self, entry: ObjectMapping, since: datetime) -> Iterable[Record]:
        """Yield every live record whose author we are: time of creation is the old one, and no other is certain."""
        columns = self.reader.columns(entry.name)
        for rows in self.reader.matching(entry, [condition("created_by", "EQ", [self.reader.api.acts_as])]):
            for row in rows:
                record = self.reader.record(entry, columns, row)
                if not record.deleted and record.fields.get("created_by") == self.reader.api.acts_as:
                    yield record

    def _made_by_us(self, entry: ObjectMapping) -> list[Record]:
        """Return what we made and no step knows of."""
        known = self._steps.new_ids(None, entry.name)
        return [r for r in self.made_since(entry, datetime.min) if r.key.id not in known]

    @staticmethod
    def _no_users(entry: ObjectMapping) -> None:
        if payload.is_user(entry):
            raise Refused("is_a_user")


__all__ = ["FxiaokeCalls"]
