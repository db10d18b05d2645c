"""Reads Tryton 8.2 over JSON-RPC. Reads only.

What is peculiar, each with a test of its name:

* Archived records are hidden unless the context says ``active_test: false``; it always does here.
* ``_timestamp`` is the version that Tryton itself can compare in a write: deletes and updates are conditional.
* A record's ``_timestamp`` does not move when a child of it changes: children are compared by themselves.
* Notes and attachments hang on a text reference (``party.party,12``) and on no foreign key.
* A user without any group may write: the check asks for the rights of every mapped model and says so.
* Errors are status 200 with ``error``; an unknown method is 403, a lost session 401.

Left to others: changing anything (``steward.executor.writers.tryton``).
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from steward.crm.base import Capabilities
from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import ObjectMapping
from steward.crm.pages import Page, Row
from steward.crm.profiles import Profile, address, credential
from steward.crm.vendor import Access, VendorReader, switches
from steward.crm.wire import Limit, Reply, Throttle, Wire, WireClock, clock_of, refused, unexpected
from steward.errors import DeniedError, UsageError
from steward.messages import N_
from steward.records import Absent, RecordKey, Scalar

PAGE = 500

TRYTON_CAPABILITIES = Capabilities(
    system="tryton",
    conditional_delete=True,
    transactional=False,
    recycle_bin=True,
    recycle_days=None,
    restore_keeps_id=True,
    restore_moves_version=True,
    tells_who_deleted=True,
    per_id_result=True,
    batch_size=1,
    requests_per_minute=None,
    request_lifetime=60.0,
    side_effects=(),
    source="Tryton 8.2 driven and observed; docs/reference/tryton.md. Archiving is the recycle bin; a hard delete has none",
)

OPTIONS: Mapping[str, tuple[str, ...]] = {"company": (), "requests_per_minute": ()}
"""Switches of a profile: the company whose records are meant."""

_LEFT_OUT = frozenset({"one2many", "many2many", "one2one", "binary"})
_ID = re.compile(r"[1-9][0-9]{0,18}")
_IN = 200


class TrytonReader(VendorReader):
    """Implements :class:`steward.crm.base.CrmReader` for Tryton.

    Parameters
    ----------
    profile : Profile
        ``address`` is ``https://HOST/DATABASE``; ``[read]``: ``user`` and ``password`` of a user that may only read.
    """

    connector_version = "tryton/1"
    counts_exactly = True

    def __init__(
        self,
        profile: Profile,
        mapping: CrmMapping,
        *,
        kept: Path | None = None,
        write: bool = False,
        transport: httpx.BaseTransport | None = None,
        clock: WireClock | None = None,
    ) -> None:
        self.capabilities = TRYTON_CAPABILITIES
        self.api = TrytonApi(profile, write=write, transport=transport, clock=clock)
        super().__init__(mapping, self.api.wire, kept=kept)
        self._fields: dict[str, dict[str, Mapping[str, Any]]] = {}

    def close(self) -> None:
        """Release connections."""
        self.api.close()

    def access(self) -> Access:
        """Return database, user, and whether any mapped model may be written."""
        models = [o.source for o in self.mapping.objects.values()]
        rights = self.api.call("model.ir.model.access.get_access", [models])
        missing, may_write = [], False
        for entry in self.mapping.objects.values():
            said = rights.get(entry.source) or {}
            if not said.get("read", True):
                missing.append(entry.name)
            may_write = may_write or any(said.get(n, True) for n in ("write", "create", "delete"))
        return Access(
            organisation=self.api.database,
            acts_as=str(self.api.user),
            may_write=may_write,
            clock_seconds=clock_of(self.api.headers),
            missing=tuple(missing),
        )

    def kinds(self, entry: ObjectMapping) -> dict[str, Mapping[str, Any]]:
        """Return the stored fields of a model: computed ones, which cannot be sorted by, change without an edit."""
        if entry.name not in self._fields:
            said = self.api.call(f"model.{entry.source}.fields_get", [])
            self._fields[entry.name] = {
                name: field
                for name, field in sorted(said.items())
                if field.get("type") not in _LEFT_OUT
                and field.get("searchable")
                and (field.get("sortable") or field.get("type") == "reference")
            }
        return self._fields[entry.name]

    def describe(self, entry: ObjectMapping) -> tuple[str, ...]:
        """Return the stored fields, and ``_timestamp``."""
        return tuple(dict.fromkeys(("id", *self.kinds(entry), "_timestamp")))

    def pages(self, entry: ObjectMapping, cursor: Any) -> Iterator[Page]:
        """Yield pages in the order of ids; the cursor is the last id."""
        last: int = cursor or 0
        while True:
            rows = self._read(entry, [["id", ">", last]], PAGE)
            if not rows:
                yield Page((), None)
                return
            last = int(rows[-1]["id"])
            yield Page(rows, last)

    def count(self, object: str) -> int:
        """Return the number of live records: archived ones are not counted."""
        entry = self.entry(object)
        domain = [["active", "=", True]] if "active" in self.kinds(entry) else []
        return int(self.api.call(f"model.{entry.source}.search_count", [domain]))

    def one(self, entry: ObjectMapping, id: str) -> Row | Absent | None:
        """Search for one id: ``read`` of a deleted one is an error, an empty search is evidence."""
        key = RecordKey(entry.name, id)
        if not _ID.fullmatch(id):
            return Absent(key, how="no Tryton id")
        rows = self._read(entry, [["id", "=", int(id)]], 2)
        return rows[0] if rows else Absent(key, how="search is empty")

    def referring(self, child: ObjectMapping, column: str, ids: Sequence[str]) -> Iterator[Row]:
        """Yield rows whose ``column`` is one of ``ids``, by foreign key or by text reference."""
        wanted = [i for i in ids if _ID.fullmatch(i)]
        kind = self.kinds(child).get(column, {}).get("type")
        model = self.entry(child.parents[column]).source
        for start in range(0, len(wanted), _IN):
            part = wanted[start : start + _IN]
            values: list[Any] = [f"{model},{i}" for i in part] if kind == "reference" else [int(i) for i in part]
            last = 0
            while rows := self._read(child, [[column, "in", values], ["id", ">", last]], PAGE):
                yield from rows
                last = int(rows[-1]["id"])

    def _read(self, entry: ObjectMapping, domain: list[Any], limit: int) -> list[dict[str, Any]]:
        return self.search(entry, domain, limit, self.describe(entry))

    def search(self, entry: ObjectMapping, domain: list[Any], limit: int, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return the first rows of a domain in the order of ids, with the named columns."""
        rows = self.api.call(f"model.{entry.source}.search_read", [domain, 0, limit, [["id", "ASC"]], list(names)])
        if not isinstance(rows, list):
            raise unexpected(self.wire.host, 200, "search_read")
        return rows

    def flatten(self, entry: ObjectMapping, row: Row) -> dict[str, Scalar]:
        """Return the columns of a row; a text reference to a mapped model becomes the id."""
        flat: dict[str, Scalar] = {}
        kinds = self.kinds(entry)
        for name, value in row.items():
            if name not in ("id", "_timestamp") and name not in kinds:
                continue  # Tryton adds ``field.`` with rendered names
            plain = untype(value)
            if isinstance(plain, int) and kinds.get(name, {}).get("type") == "boolean":
                plain = bool(plain)  # on SQLite a server answers 0 and 1
            parent = entry.parents.get(name)
            if parent is not None and isinstance(plain, str) and "," in plain:
                model, _, id = plain.partition(",")
                plain = id if model == self.entry(parent).source else None
            flat[name] = plain
        return flat


def untype(value: Any) -> Scalar:
    """Return a value of Tryton's JSON, whose typed ones are objects with ``__class__``."""
    if isinstance(value, dict) and "__class__" in value:
        match value["__class__"]:
            case "Decimal":
                return Decimal(str(value["decimal"]))
            case "datetime":
                parts = [int(value.get(n, 0)) for n in ("year", "month", "day", "hour", "minute", "second")]
                return "{:04d}-{:02d}-{:02d}T{:02d}:{:02d}:{:02d}".format(*parts) + (
                    f".{int(value['microsecond']):06d}" if value.get("microsecond") else ""
                )
            case "date":
                return f"{int(value['year']):04d}-{int(value['month']):02d}-{int(value['day']):02d}"
            case "time":
                return f"{int(value['hour']):02d}:{int(value['minute']):02d}:{int(value['second']):02d}"
            case "timedelta":
                return str(value.get("seconds"))
            case "bytes":
                return base64.b64decode(str(value.get("base64", "")))
    if isinstance(value, list) and not value:
        return None
    return value  # type: ignore[no-any-return]  # JSON values are scalars


# the wire --------------------------------------------------------------------------------------------------------


class TrytonApi:
    """Calls within a session that is opened once, and anew when the server lost it."""

    def __init__(
        self,
        profile: Profile,
        *,
        write: bool = False,
        transport: httpx.BaseTransport | None = None,
        clock: WireClock | None = None,
    ) -> None:
        self._secrets = credential(profile, write=write)
        if not {"user", "password"} <= self._secrets.keys():
            raise UsageError(N_("A Tryton credential is 'user' and 'password'."))
        chosen = switches(profile, OPTIONS)
        where = address(profile).rstrip("/")
        self.database = urlsplit(where).path.strip("/")
        if not self.database or "/" in self.database:
            raise UsageError(N_("The address of a Tryton profile is https://HOST/DATABASE."))
        self.context: dict[str, Any] = {"active_test": False, "language": "en"}
        if chosen["company"].isdigit():
            self.context["company"] = int(chosen["company"])
        self.user, self._session = 0, ""
        self.headers: Mapping[str, str] = {}
        self._lock = threading.Lock()
        said = chosen["requests_per_minute"]
        limits = [Limit(int(said), 60.0)] if said.isdigit() and said != "0" else []
        real: dict[str, Any] = {} if clock is None else {"clock": clock}
        self.wire = Wire(
            where, self._headers, Throttle(limits, clock=clock), expired=lambda reply: reply.status == 401, renew=self._drop,
            transport=transport, **real,
        )  # fmt: skip
        self._door = Wire(
            where, lambda: {"Content-Type": "application/json"}, Throttle((), clock=clock), transport=transport, **real
        )

    def call(self, method: str, params: Sequence[Any], *, context: Mapping[str, Any] | None = None, write: bool = False) -> Any:
        """Call a method and return its result.

        Raises
        ------
        TrytonRefusal
            The server refused; its class is in ``code``, its text is not kept.
        """
        send = self.wire.write if write else self.wire.read
        body = {"id": 1, "method": method, "params": [*params, {**self.context, **(context or {})}]}
        reply = send("POST", "rpc/", json=body)
        self.headers = reply.headers
        return self._result(reply)

    def close(self) -> None:
        """Release connections."""
        self._door.close()
        self.wire.close()

    def _headers(self) -> dict[str, str]:
        with self._lock:
            if not self._session:
                self._login()
            token = base64.b64encode(f"{self._name()}:{self.user}:{self._session}".encode()).decode()
        return {"Content-Type": "application/json", "Authorization": f"Session {token}"}

    def _drop(self) -> None:
        with self._lock:
            self._session = ""

    def _name(self) -> str:
        return self._secrets["user"].reveal().decode()

    def _login(self) -> None:
        secret = {"password": self._secrets["password"].reveal().decode()}
        reply = self._door.read("POST", "rpc/", json={"id": 1, "method": "common.db.login", "params": [self._name(), secret]})
        if reply.status in (401, 403):
            raise refused(self.wire.host, reply.status, "login")
        said = self._result(reply)
        if not isinstance(said, list) or len(said) < 2:
            raise refused(self.wire.host, reply.status, "login")
        self.user, self._session = int(said[0]), str(said[1])

    def _result(self, reply: Reply) -> Any:
        if reply.status in (401, 403):
            raise refused(self.wire.host, reply.status, "")
        if reply.status != 200:
            raise unexpected(self.wire.host, reply.status, "")
        said = reply.json()
        if isinstance(said, dict) and "error" in said:
            error = said["error"]
            code = str(error[0]) if isinstance(error, list) and error else "error"
            raise TrytonRefusal(self.wire.host, code)
        if not isinstance(said, dict) or "result" not in said:
            raise unexpected(self.wire.host, reply.status, "")
        return said["result"]


class TrytonRefusal(DeniedError):
    """The server refused a call; ``code`` is the class of its error, such as ``UserError`` or ``ConcurrencyException``."""

    def __init__(self, host: str, code: str) -> None:
        super().__init__(N_("Tryton at {host} refused the call ({code})."), host=host, code=code)
        self.code = code
