"""What Zoho's answers to a write say of each record: verdicts by id, and refusals of a whole call.

A status of 2xx proves nothing: a batch has one verdict per id, and only ``details.id`` says whose. A refused item may come
without one. Anything that is not understood is no answer, and the record is read. Left to others: the calls (``writers.zoho``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from steward.crm.wire import Reply, refused
from steward.crm.zoho_wire import DENIED
from steward.errors import OutcomeUnknownError
from steward.executor.ports import Answer, Result
from steward.executor.writers.vendor import Refused
from steward.messages import N_

CODES: Mapping[str, str] = {
    "RECORD_LOCKED": "locked",
    "NOT_APPROVED": "in_approval",
    "NOT_REVIEWED": "in_approval",
    "NOT_ALLOWED": "not_allowed",
    "CANNOT_PERFORM_ACTION": "not_allowed",
    "NO_PERMISSION": "denied",
    "AUTHORIZATION_FAILED": "denied",
    "MANDATORY_NOT_FOUND": "mandatory_field",
    "DUPLICATE_DATA": "duplicate",
    "INVALID_DATA": "not_a_value",
    "LIMIT_EXCEEDED": "limit",
    "ID_ALREADY_DEACTIVATED": "already",
    "ID_ALREADY_ACTIVATED": "already",
    "ID_ALREADY_DELETED": "already",
    "CANNOT_UPDATE_PRIMARY_CONTACT": "primary_contact",
    "CANNOT_RESTORE_WITHOUT_PARENT": "parent_gone",
    "INVALID_URL_PATTERN": "no_such_call",
}
"""The vendor's code → ours; its texts are shown nowhere."""


@dataclass(slots=True)
class Verdicts:
    """An answer, item by item.

    Attributes
    ----------
    by_id : dict of str to mapping
        Verdicts that name their record.
    nameless : list of mapping
        Refusals that do not; none of them is a success.
    """

    status: int
    by_id: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    nameless: list[Mapping[str, Any]] = field(default_factory=list)


def verdicts(reply: Reply, name: str, host: str, asked: Sequence[str]) -> Verdicts:
    """Return the verdicts of a call.

    Parameters
    ----------
    name : str
        Key of the list: ``data``, ``users`` or ``recycle_bin``.
    asked : sequence of str
        Ids that were sent; a verdict about another one means that nothing of the answer can be believed.

    Raises
    ------
    DeniedError, Refused
        The whole call was refused: nothing was changed.
    OutcomeUnknownError
        The answer does not say.
    """
    said = _document(reply)
    items = said.get(name)
    if not isinstance(items, list) or not all(isinstance(i, Mapping) for i in items):
        raise whole(reply, said, host)
    found = Verdicts(reply.status)
    for item in items:
        id = (item.get("details") or {}).get("id") if isinstance(item.get("details") or {}, Mapping) else None
        if id is not None and str(id) in asked and str(id) not in found.by_id:
            found.by_id[str(id)] = item
        elif id is None and item.get("status") == "error":
            found.nameless.append(item)
        else:
            raise unclear(host)
    return found


def made(reply: Reply, host: str) -> str:
    """Return the id of the one record that an insert made; raises as :func:`verdicts`."""
    said = _document(reply)
    items = said.get("data")
    if not isinstance(items, list) or len(items) != 1 or not isinstance(items[0], Mapping):
        raise whole(reply, said, host)
    item = items[0]
    if item.get("status") == "error":
        raise Refused(ours(item))
    id = str((item.get("details") or {}).get("id") or "")
    if reply.status not in (200, 201) or item.get("code") != "SUCCESS" or not id.isdigit():
        raise unclear(host)
    return id


def one(found: Verdicts, id: str, host: str) -> str:
    """Return the code of a success of a call about one record.

    Raises
    ------
    Refused
        It was refused.
    OutcomeUnknownError
        The answer does not say.
    """
    item = found.by_id.get(id) or (found.nameless[0] if len(found.nameless) == 1 and not found.by_id else None)
    if item is None or found.status >= 500:
        raise unclear(host)
    if item.get("status") == "success" and found.status < 300:
        return str(item.get("code"))
    if item.get("status") != "error":
        raise unclear(host)
    if item.get("code") == "ALREADY_MODIFIED":
        raise Refused("changed", Answer.CHANGED)
    if gone(item):
        raise Refused("absent", Answer.ABSENT)
    raise Refused(ours(item))


def gone(item: Mapping[str, Any]) -> bool:
    """True where a refusal says that there is no such record: the place of the id is named, and no field."""
    details = item.get("details")
    return (
        item.get("code") == "INVALID_DATA"
        and isinstance(details, Mapping)
        and ("id" in details or "resource_path_index" in details)
        and "api_name" not in details
    )


def ours(item: Mapping[str, Any]) -> str:
    """Return our word for the vendor's code."""
    return CODES.get(str(item.get("code")), "refused")


def result(item: Mapping[str, Any], by: str) -> Result | None:
    """Return what a verdict on a deletion means; None where it is not clear."""
    match item.get("status"), item.get("code"):
        case "success", "SUCCESS":
            return Result(Answer.DONE, by=by or None)
        case "error", _:
            return Result(Answer.ABSENT, "absent") if gone(item) else Result(Answer.REFUSED, ours(item))
    return None


def whole(reply: Reply, said: Mapping[str, Any], host: str) -> Exception:
    """Return what a call without verdicts of its own means."""
    code = str(said.get("code") or "")
    if reply.status in (401, 403) or (400 <= reply.status < 500 and code in DENIED):
        return refused(host, reply.status, code)
    if reply.status == 412 or code == "ALREADY_MODIFIED":
        return Refused("changed", Answer.CHANGED)
    if 400 <= reply.status < 500 and code:
        return Refused(ours(said))
    return unclear(host)


def unclear(host: str) -> OutcomeUnknownError:
    """Return the error of an answer that does not say what became of a call."""
    return OutcomeUnknownError(
        N_("The CRM at {host} answered a change in a way that does not say what became of it."), host=host
    )


def _document(reply: Reply) -> Mapping[str, Any]:
    """Return the answer's document; an empty one where it is none, so that nothing is read out of it."""
    try:
        said = msgspec.json.decode(reply.body)
    except msgspec.MsgspecError:
        return {}
    return said if isinstance(said, Mapping) else {}


__all__ = ["CODES", "Verdicts", "gone", "made", "one", "ours", "result", "unclear", "verdicts", "whole"]
