"""Identity and values of CRM records, their canonical forms and digests.

Two forms of a value exist, both defined here and nowhere else:

* the **text form** (:func:`canonical_text`): what a snapshot stores and what digests are computed over. It is the same
  whether a value came from SQL, JSON or a file, so that the executor can compare a live record with a reviewed one.
* the **tagged form** (:func:`tag`, :func:`untag`): text form plus type, lossless; what a backup stores, so that a
  restore writes back exactly what was there.

A **record digest** is sha256 over ``{len(name)}:{name}=`` followed by ``N;`` or ``S{len}:{text};`` per field, fields
sorted by the bytes of their names, all lengths in UTF-8 bytes. Length prefixes make it unambiguous: NULL is not the
empty text, and no value can imitate a delimiter. ``steward.store`` computes the same in SQL.

An **object digest** is independent of row order and keeps multiplicity: record digests are put in 4,096 buckets by
their first three hexadecimal digits, each bucket is sha256 over its sorted digests, and the object is sha256 over the
buckets. A **snapshot digest** is sha256 over its objects.

Left to others: reading (``steward.crm``), storing (``steward.store``), writing (``steward.executor``).
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

Scalar = (
    None
    | bool
    | int
    | float
    | Decimal
    | str
    | bytes
    | datetime
    | date
    | time
    | timedelta
    | uuid.UUID
    | list[object]
    | dict[str, object]
)
"""A value as a CRM gives it. Lists and dictionaries are JSON values of vendor CRMs."""

Fields = Mapping[str, Scalar]


@dataclass(frozen=True, slots=True, order=True)
class RecordKey:
    """Identity of a record: object name and id. Ids are text to the last digit and never numbers."""

    object: str
    id: str

    def __str__(self) -> str:
        return f"{self.object}/{self.id}"


@dataclass(frozen=True, slots=True)
class Record:
    """A record as its CRM holds it now.

    Attributes
    ----------
    key : RecordKey
    fields : mapping of str to Scalar
        Every field that the mapping covers, the key among them.
    version : str or None
        What the CRM changes with every edit (row version, modification time); None where it has none.
    deleted : bool
        In the recycle bin or flagged as deleted.
    deleted_by : str or None
        Who deleted it, where the CRM tells.
    """

    key: RecordKey
    fields: Fields
    version: str | None = None
    deleted: bool = False
    deleted_by: str | None = None

    @property
    def digest(self) -> str:
        """Hexadecimal sha256 of the fields (see the module's docstring)."""
        return record_digest(self.fields)


@dataclass(frozen=True, slots=True)
class Absent:
    """Positive evidence that a record is not there: the CRM said so. An empty answer is not evidence."""

    key: RecordKey
    how: str
    """What the CRM said, e.g. ``404`` or ``no row``."""
    deleted_by: str | None = None
    binned: bool = False
    """It lies in the CRM's recycle bin, which can bring it back but does not show its fields."""


@dataclass(frozen=True, slots=True)
class Link:
    """A reference from one record to another: ``child.field == parent.id``."""

    child: RecordKey
    field: str
    parent: RecordKey


@dataclass(frozen=True, slots=True)
class ObjectStats:
    """What a snapshot holds of one object."""

    name: str
    rows: int
    digest: str
    rejects: int = 0
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An immutable copy of a CRM at one time, named by its content digest.

    Attributes
    ----------
    digest : str
        Hexadecimal sha256, independent of row order.
    taken_at : datetime
        UTC. The ``as_of`` of every score computed on it.
    system, tenant, environment : str
        Where it came from; a manifest for one environment cannot run in another.
    objects : tuple of ObjectStats
        Sorted by name.
    complete : bool
        False when rejects are unresolved or the read may be partial: nothing may be deleted from it then.
    """

    digest: str
    taken_at: datetime
    system: str
    tenant: str
    environment: str
    connector_version: str
    objects: tuple[ObjectStats, ...]
    complete: bool = True
    notes: tuple[str, ...] = field(default=())

    @property
    def rows(self) -> int:
        """Number of records over all objects."""
        return sum(o.rows for o in self.objects)

    def object(self, name: str) -> ObjectStats:
        """Return the statistics of one object; ``KeyError`` where the snapshot does not hold it."""
        for stats in self.objects:
            if stats.name == name:
                return stats
        raise KeyError(name)


def canonical_text(value: Scalar) -> str | None:
    """Return the text form of a value; None stays None.

    Aware times become UTC with ``Z``, so that a session's time zone does not change a digest. Decimals are written
    without exponent and keep their scale. Floats use the shortest text that reads back as the same number.
    """
    match value:
        case None:
            return None
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(value)
        case Decimal():
            return format(value, "f")
        case datetime():
            if value.tzinfo is not None:
                return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
            return value.isoformat()
        case date() | time():
            return value.isoformat()
        case timedelta():
            return f"{value // timedelta(microseconds=1)}us"
        case bytes() | bytearray() | memoryview():
            return "\\x" + bytes(value).hex()
        case uuid.UUID():
            return str(value)
        case list() | dict():
            return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=canonical_text)
    raise TypeError(f"no text form for {type(value).__name__}")


_TAGS: dict[type, str] = {
    bool: "b", int: "i", float: "f", Decimal: "d", str: "s", bytes: "x",
    datetime: "t", date: "D", time: "T", timedelta: "w", uuid.UUID: "u", list: "j", dict: "j",
}  # fmt: skip


def tag(value: Scalar) -> str:
    """Return the tagged form: one letter for the type, a colon, the text. ``n`` is NULL."""
    if value is None:
        return "n"
    kind = _TAGS.get(type(value))
    if kind is None:
        raise TypeError(f"no tagged form for {type(value).__name__}")
    if isinstance(value, datetime):  # the offset is kept here, unlike in the text form
        return f"t:{value.isoformat()}"
    if isinstance(value, (list, dict)):
        return "j:" + json.dumps(_wrapped(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    text = canonical_text(value)
    return f"{kind}:{text}"


_WRAP = "$steward"


def _wrapped(value: object) -> object:
    """Return a JSON value in which everything JSON does not know (a decimal in an array, say) is in its tagged form."""
    if isinstance(value, list):
        return [_wrapped(v) for v in value]
    if isinstance(value, dict):
        inside = {k: _wrapped(v) for k, v in value.items()}
        return {_WRAP: "j", "is": inside} if _WRAP in value else inside
    if value is None or type(value) in (bool, int, float, str):
        return value
    return {_WRAP: tag(value)}  # type: ignore[arg-type]  # what is no scalar is refused there


def _unwrapped(value: object) -> object:
    if isinstance(value, list):
        return [_unwrapped(v) for v in value]
    if not isinstance(value, dict):
        return value
    said = value.get(_WRAP)
    if said == "j" and isinstance(inside := value.get("is"), dict):
        return {k: _unwrapped(v) for k, v in inside.items()}
    return untag(said) if isinstance(said, str) else {k: _unwrapped(v) for k, v in value.items()}


def untag(tagged: str) -> Scalar:
    """Return the value of a tagged form; the inverse of :func:`tag`.

    Raises
    ------
    ValueError
        The text is not a tagged form.
    """
    if tagged == "n":
        return None
    kind, colon, text = tagged.partition(":")
    if not colon:
        raise ValueError("not a tagged value")
    match kind:
        case "s":
            return text
        case "b" if text in ("true", "false"):
            return text == "true"
        case "i":
            return int(text)
        case "f":
            return float(text)
        case "d":
            return Decimal(text)
        case "t":
            return datetime.fromisoformat(text)
        case "D":
            return date.fromisoformat(text)
        case "T":
            return time.fromisoformat(text)
        case "w":
            return timedelta(microseconds=int(text.removesuffix("us")))
        case "x":
            return bytes.fromhex(text.removeprefix("\\x"))
        case "u":
            return uuid.UUID(text)
        case "j":
            loaded: Scalar = json.loads(text)
            return _unwrapped(loaded) if _WRAP in text else loaded  # type: ignore[return-value]  # JSON in, JSON out
    raise ValueError(f"unknown tag {kind!r}")


def serialise(fields: Fields) -> bytes:
    """Return the bytes a record digest is computed over."""
    parts: list[bytes] = []
    for name in sorted(fields, key=lambda n: n.encode()):
        raw_name = name.encode("utf-8", "surrogatepass")
        parts.append(b"%d:%b=" % (len(raw_name), raw_name))
        text = canonical_text(fields[name])
        if text is None:
            parts.append(b"N;")
        else:
            raw = text.encode("utf-8", "surrogatepass")
            parts.append(b"S%d:%b;" % (len(raw), raw))
    return b"".join(parts)


def record_digest(fields: Fields) -> str:
    """Return the hexadecimal sha256 of one record."""
    return hashlib.sha256(serialise(fields)).hexdigest()


def object_digest(name: str, record_digests: Iterable[str]) -> str:
    """Return the digest of one object from its record digests, in any order.

    Notes
    -----
    Memory is proportional to the number of records; ``steward.store`` computes the same value in SQL and spills.
    """
    buckets: dict[str, list[str]] = {}
    rows = 0
    for digest in record_digests:
        buckets.setdefault(digest[:3], []).append(digest)
        rows += 1
    lines = [f"{b}:{_sha(''.join(sorted(buckets[b])))}" for b in sorted(buckets)]
    return _sha(f"steward.object.v1\n{len(name.encode())}:{name}\n{rows}\n" + "\n".join(lines))


def snapshot_digest(objects: Iterable[ObjectStats]) -> str:
    """Return the digest of a snapshot from its objects, in any order."""
    lines = sorted(f"{len(o.name.encode())}:{o.name} {o.rows} {o.digest}" for o in objects)
    return _sha("steward.snapshot.v1\n" + "\n".join(lines))


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
