"""Making records in Jiandaoyun, and what every call that writes has in common: codes, switches, members looked up.

A record is made under a key of ours (``transaction_id``), the same for the same record of the same manifest. A call whose answer
was lost can then be repeated: the vendor writes the same record again and names no id, which is then looked for. Before a
repetition it is looked for too, so that what people did to it meanwhile is not written over.

Left to others: changing and deleting (``jiandaoyun``), values (``jiandaoyun_payload``).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from steward.crm.changes import time_of
from steward.crm.jiandaoyun import JiandaoyunReader
from steward.crm.jiandaoyun_members import LEFT, MEMBERS, member
from steward.crm.jiandaoyun_wire import DENIED, NO_FORM, NO_RECORD, answer, code_of, form_of
from steward.crm.mapping import ObjectMapping
from steward.crm.vendor import VendorReader
from steward.crm.wire import refused
from steward.errors import CrmError, OutcomeUnknownError, SchemaMismatchError
from steward.executor.ports import Answer, Effect, Hook, no_hook
from steward.executor.steps import Step, StepLog, part_of
from steward.executor.writers.jiandaoyun_payload import Widget, comes_back, wrapped
from steward.executor.writers.vendor import CLOCKS, Refused, VendorWriter
from steward.messages import N_
from steward.records import Fields, Record, RecordKey, canonical_text

KEY_LIFE = timedelta(hours=1)
"""How long the vendor remembers a ``transaction_id``."""

_PAUSES = (0.0, 2.0, 8.0)
"""Seconds between looks for a record that is said to be there."""
_EDITED = timedelta(seconds=1)
"""A record whose two times lie further apart was changed after it was made."""
_FAILED = 4042
_USED = frozenset({17025, 17026})
_REFUSALS: Mapping[int, tuple[str, Answer]] = {
    NO_RECORD: ("absent", Answer.ABSENT),
    _FAILED: ("delete_failed", Answer.REFUSED),
    4402: ("aggregate_check", Answer.REFUSED),
    17032: ("not_writable", Answer.REFUSED),
    1010: ("no_member", Answer.REFUSED),
    6002: ("no_member", Answer.REFUSED),
    **dict.fromkeys(NO_FORM, ("no_form", Answer.REFUSED)),
    **dict.fromkeys((1, 3005, 17017, 17023, 17024, 17033), ("bad_request", Answer.REFUSED)),
    **dict.fromkeys((50016, 50021, 50031), ("flow_refuses", Answer.REFUSED)),
    **dict.fromkeys(_USED, ("key_used", Answer.REFUSED)),
}
"""Codes that certainly changed nothing. Every other one is a doubt."""

_ENCODE = msgspec.json.Encoder(decimal_format="number")


class JiandaoyunMaking(VendorWriter):
    """The part of the writer that makes records."""

    reader: JiandaoyunReader

    def __init__(self, reader: VendorReader, steps: StepLog, *, hook: Hook = no_hook) -> None:
        super().__init__(reader, steps, hook=hook)
        self._manifest = ""
        self._attempt = 1
        self._members: dict[str, int | None] = {}
        self._made_from: RecordKey | None = None
        self._creator: str | None = None
        self._asked: set[RecordKey] = set()
        self._made: dict[str, tuple[datetime, list[Record]]] = {}

    def _switch(self, name: str) -> bool:
        return name in self.side_effects

    def _write(self, path: str, body: Mapping[str, Any], scope: str) -> dict[str, Any]:
        """Send one call; return its good answer."""
        wire = self.reader.wire
        reply = wire.write("POST", path, content=_ENCODE.encode(body), scopes=(scope,))
        code = code_of(reply)
        if code in DENIED or reply.status in (401, 403):
            raise refused(wire.host, reply.status, str(code or ""))
        if code is not None and code in _REFUSALS:
            raise Refused(*_REFUSALS[code])
        try:
            return answer(reply, wire)
        except (SchemaMismatchError, CrmError):
            raise OutcomeUnknownError(
                N_("The CRM at {host} did not say what became of a call (status {status}, {code})."),
                host=wire.host, status=reply.status, code=code or "-",
            ) from None  # fmt: skip

    def _check_members(self, entry: ObjectMapping, changes: Fields) -> None:
        """Refuse a member whom nobody knows, before the vendor stores nobody instead."""
        kinds = self.reader.kinds(entry)
        for name, value in changes.items():
            if value and kinds.get(name) in ("user", "usergroup"):
                for username in value if isinstance(value, list) else [value]:
                    if not isinstance(username, str) or not self._known(username):
                        raise Refused("no_member")

    def _known(self, username: str, *, present: bool = False) -> bool:
        """Say whether there is such a member, also one who has left unless ``present``; asked once for a batch."""
        if username not in self._members:
            entry = ObjectMapping(key="username", table=MEMBERS, name=MEMBERS)
            found = member(self.reader.wire, entry, username)
            self._members[username] = int(found.get("status") or 0) if isinstance(found, dict) else None
        status = self._members[username]
        return status is not None and not (present and status == LEFT)

    # making a record --------------------------------------------------------------------------------------------

    def _call(self, effect: Effect) -> str | None:
        if effect.op == "insert":
            creator = effect.before.fields.get("creator")
            self._made_from = effect.before.key
            self._creator = creator if isinstance(creator, str) else None
        return super()._call(effect)

    def send_insert(self, entry: ObjectMapping, fields: Fields) -> str:
        """Make a record under a key of ours; where that key made one before, find it."""
        if self._attempt > 1:
            found = self._found(entry, fields)
            if found is not None:
                return found
        self._check_members(entry, fields)
        body: dict[str, Any] = {
            **form_of(entry),
            "data_list": [wrapped(self.reader.widgets(entry), fields)],
            "transaction_id": self._key(),
            "is_start_workflow": self._switch("is_start_workflow"),
        }
        if self._creator and self._known(self._creator, present=True):
            body["data_creator"] = self._creator
        try:
            ids = self._write("v5/app/entry/data/batch_create", body, "batch").get("success_ids")
        except Refused as stop:
            if stop.code != "key_used":
                raise
            ids = []
        if isinstance(ids, list) and len(ids) == 1 and isinstance(ids[0], str):
            return ids[0]
        if ids == []:
            return self._find(entry, fields)
        raise OutcomeUnknownError(N_("The CRM's answer does not name the record that was made."))

    def _find(self, entry: ObjectMapping, fields: Fields) -> str:
        """Find what the vendor says our key has made; pages may lag behind it."""
        for pause in _PAUSES:
            self.reader.wire.clock.sleep(pause)
            self._made.clear()
            try:
                found = self._found(entry, fields)
            except Refused:
                raise OutcomeUnknownError(N_("The CRM does not say which record it has made.")) from None
            if found is not None:
                return found
        raise Refused("key_used")  # it was made, and somebody has taken it away since

    def _key(self) -> str:
        """Return the same key for the same record of the same manifest, whenever it is asked."""
        word = f"{self.reader.tenant}\n{self._manifest}\n{self._made_from}"
        return str(uuid.UUID(bytes=hashlib.sha256(word.encode()).digest()[:16], version=4))

    def _found(self, entry: ObjectMapping, fields: Fields) -> str | None:
        """Find the record that an earlier call under the same key made; None where there is certainly none.

        Raises
        ------
        Refused
            Several are alike, or one shares half of its values: it may be it, with people's edits.
        """
        names, meant = tuple(fields), self._as_read(entry, fields, tuple(fields))
        known = self._steps.new_ids(self._manifest, entry.name)
        near = [r for r in self.made_since(entry, datetime.now(UTC) - KEY_LIFE - CLOCKS) if r.key.id not in known]
        alike = [r.key.id for r in near if self._as_read(entry, r.fields, names) == meant]
        if len(alike) == 1:
            return alike[0]
        if alike or any(_kin(r, fields) for r in near):
            raise Refused("perhaps_made")
        return None

    def made_since(self, entry: ObjectMapping, since: datetime) -> Iterable[Record]:
        """Read the form whole, once for a batch: a filter on the time of making is ignored in silence."""
        read = self._made.get(entry.name)
        if read is None or since < read[0]:
            found = [r for part in self.reader.scan(entry.name) for r in part if _since(r, since)]
            read = self._made[entry.name] = (since, found)
        return [r for r in read[1] if _since(r, since)]

    def _leaves(self, effect: Effect, names: Sequence[str]) -> str:
        if effect.op != "insert":
            return super()._leaves(effect, names)
        return self._as_read(self.mapping.objects[effect.before.key.object], effect.after(), names)

    def _as_read(self, entry: ObjectMapping, fields: Fields, names: Sequence[str]) -> str:
        known: dict[str, Widget] = {str(w["widgetName"]): w for w in self.reader.widgets(entry)}
        return part_of({n: comes_back(known.get(n, {}), fields.get(n)) for n in names}, names)

    def _state_of_insert(self, step: Step, manifest: str) -> tuple[str, str | None, str | None]:
        """Look for the record that a call without an answer may have made, in the hour in which our key is remembered."""
        if step.became is not None:
            return "made", None, step.became
        entry = self.mapping.objects[step.key.object]
        known = self._steps.new_ids(manifest, step.key.object)
        since = datetime.fromisoformat(step.at) - KEY_LIFE - CLOCKS
        near = [r for r in self.made_since(entry, since) if r.key.id not in known]
        alike = [r for r in near if self._as_read(entry, r.fields, step.fields) == step.leaves]
        if len(alike) == 1:
            self._steps.made(manifest, step, alike[0].key.id)
            return "made", None, alike[0].key.id
        return "unknown" if alike else "open", None, None


def _since(record: Record, since: datetime) -> bool:
    at = time_of(canonical_text(record.fields.get("createTime")))
    return at is None or at >= since


def _kin(record: Record, given: Fields) -> bool:
    """Say whether a record has been edited since it was made, and still holds half of some values."""
    made, moved = (time_of(canonical_text(record.fields.get(n))) for n in ("createTime", "updateTime"))
    if made is not None and moved is not None and moved - made < _EDITED:
        return False
    texts = {n: canonical_text(v) for n, v in given.items() if v is not None}
    same = sum(1 for n, text in texts.items() if canonical_text(record.fields.get(n)) == text)
    return bool(texts) and same * 2 >= len(texts)


__all__ = ["KEY_LIFE", "JiandaoyunMaking"]
