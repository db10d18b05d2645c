"""Members of a Jiandaoyun company as an object of the mapping: its table is the word ``members``.

A member is no record of a form. Its key is the user name, and ``status`` says whether it has left (-1), was invited (0) or
has joined (1). The list of the root department leaves out who has left; asked for by name they are still there.

Left to others: forms (``steward.crm.jiandaoyun``), making somebody leave (``steward.executor.writers.jiandaoyun``).
"""

from __future__ import annotations

from typing import Any

from steward.crm.jiandaoyun_wire import BAD_KEY, DENIED, NO_MEMBER, answer, code_of
from steward.crm.mapping import ObjectMapping
from steward.crm.wire import Wire, refused, unexpected
from steward.records import Absent, RecordKey

MEMBERS = "members"
COLUMNS = ("username", "name", "status", "type", "departments", "integrate_id")
LEFT = -1
_ROOT = 1


def is_members(entry: ObjectMapping) -> bool:
    """Say whether an object of the mapping is the company's members."""
    return entry.source == MEMBERS


def reached(wire: Wire) -> bool:
    """Say whether the key may list members.

    Raises
    ------
    DeniedError
        The key itself is no good.
    """
    reply = wire.read("POST", "v5/corp/department/user/list", json={"dept_no": _ROOT, "has_child": False})
    if code_of(reply) in BAD_KEY:
        raise refused(wire.host, reply.status, str(code_of(reply)))
    return code_of(reply) not in DENIED


def all_members(wire: Wire) -> list[dict[str, Any]]:
    """Return every member who has not left, sorted by user name."""
    said = answer(wire.read("POST", "v5/corp/department/user/list", json={"dept_no": _ROOT, "has_child": True}), wire)
    users = said.get("users")
    if not isinstance(users, list) or not all(isinstance(u, dict) and u.get("username") for u in users):
        raise unexpected(wire.host, 200, "users")
    return sorted(users, key=lambda u: str(u["username"]))


def member(wire: Wire, entry: ObjectMapping, username: str) -> dict[str, Any] | Absent | None:
    """Return one member, also one who has left; None where the answer does not say."""
    reply = wire.read("POST", "v5/corp/user/get", json={"username": username})
    if code_of(reply) == NO_MEMBER:
        return Absent(RecordKey(entry.name, username), how=str(NO_MEMBER))
    found = answer(reply, wire).get("user")
    return found if isinstance(found, dict) and found.get("username") == username else None


__all__ = ["COLUMNS", "LEFT", "MEMBERS", "all_members", "is_members", "member", "reached"]
