"""The wire to Jiandaoyun: the key, the documented limits, and what its codes mean.

Refusals are HTTP 400 with a code; success has none. Two codes that ask a reader to wait say nothing of a call that writes:
it may have been done. Left to others: records (``steward.crm.jiandaoyun``), calls that write
(``steward.executor.writers.jiandaoyun``).
"""

from __future__ import annotations

import re
from typing import Any

import httpx
import msgspec

from steward.crm.mapping import ObjectMapping
from steward.crm.profiles import Profile, address, credential
from steward.crm.wire import Limit, Reply, Throttle, Wire, WireClock, refused, unexpected
from steward.errors import SchemaMismatchError, UsageError
from steward.messages import N_

ADDRESS = "https://api.jiandaoyun.com/api"
_TABLE = re.compile(r"([0-9a-f]{24})/([0-9a-f]{24})")

UNSURE = frozenset({4000, 9004, 9007})
"""Faults of the vendor's own, in the middle of a call: a write may have been done."""
WAIT = frozenset({8303, 8304, 4012, 9004, 9007})
NO_MEMBER = 1010
DENIED = frozenset({1058, 4025, 8302, 8017, 8301, 17018, 17052, 17053, 17054, 30002, 7103, 7206, 7212, 7221})
BAD_KEY = frozenset({8017, 8301, 17018, 17052})
NO_FORM = frozenset({2004, 3000})
BAD_FILTER = 4815
NO_RECORD = 4001


def form_of(entry: ObjectMapping) -> dict[str, str]:
    """Return ``app_id`` and ``entry_id`` of an object.

    Raises
    ------
    SchemaMismatchError
        Its table is not ``APP_ID/ENTRY_ID``.
    """
    match = _TABLE.fullmatch(entry.source)
    if match is None:
        raise SchemaMismatchError(
            N_("{object}: the table of a Jiandaoyun form is APP_ID/ENTRY_ID, both of 24 hexadecimal digits."),
            next_step=N_("Propose a mapping with: steward connectors map --profile NAME"),
            object=entry.name,
        )
    return {"app_id": match[1], "entry_id": match[2]}


def open_wire(
    profile: Profile, *, write: bool = False, transport: httpx.BaseTransport | None = None, clock: WireClock | None = None
) -> Wire:
    """Return the wire of a profile with its key. All calls are POST; limits are those the vendor documents."""
    secrets = credential(profile, write=write)
    if "token" not in secrets:
        raise UsageError(N_("A Jiandaoyun credential is 'token': the API key."))
    token = secrets["token"]
    limits = (Limit(50, 1.0), Limit(30, 1.0, "*"), Limit(20, 1.0, "single"), Limit(10, 1.0, "batch"))
    real: dict[str, Any] = {} if clock is None else {"clock": clock}
    return Wire(
        address(profile, ADDRESS),
        lambda: {"Authorization": f"Bearer {token.reveal().decode()}", "Content-Type": "application/json"},
        Throttle(limits, clock=clock),
        throttled=lambda reply: reply.status == 429 or code_of(reply) in WAIT,
        unsure=lambda reply: code_of(reply) in UNSURE,
        transport=transport,
        **real,
    )


def code_of(reply: Reply) -> int | None:
    """Return the vendor's code of a refusal; None where the answer has none, which is what success looks like."""
    if reply.status == 200:
        return None
    try:
        said = msgspec.json.decode(reply.body)
    except msgspec.MsgspecError:
        return None
    code = said.get("code") if isinstance(said, dict) else None
    return code if isinstance(code, int) else None


def answer(reply: Reply, wire: Wire) -> dict[str, Any]:
    """Return the JSON object of a good answer.

    Raises
    ------
    DeniedError
        The key, its scope or the plan does not allow the call.
    SchemaMismatchError
        The form is gone, or the answer is none of the contract's.
    """
    code = code_of(reply)
    if code in DENIED or reply.status in (401, 403):
        raise refused(wire.host, reply.status, str(code or ""))
    if reply.status != 200:
        raise unexpected(wire.host, reply.status, str(code or ""))
    said = reply.json()
    if not isinstance(said, dict) or "code" in said:
        raise unexpected(wire.host, reply.status, str(said.get("code", "")) if isinstance(said, dict) else "")
    return said
