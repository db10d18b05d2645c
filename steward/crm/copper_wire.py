"""Copper's address, credential, limits and answers; what the connector can, and its switches.

Left to others: what is asked (``steward.crm.copper``, ``steward.executor.writers.copper``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import httpx

from steward.crm.base import Capabilities
from steward.crm.profiles import Profile, address, credential
from steward.crm.vendor import switches
from steward.crm.wire import Limit, Reply, Throttle, Wire, WireClock, refused, unexpected
from steward.errors import UsageError
from steward.messages import N_

ADDRESS = "https://api.copper.com/developer_api/v1"

COPPER_CAPABILITIES = Capabilities(
    system="copper",
    conditional_delete=False,
    transactional=False,
    recycle_bin=False,
    restore_keeps_id=False,
    restore_moves_version=True,
    tells_who_deleted=False,
    per_id_result=True,
    batch_size=1,
    requests_per_minute=180,
    request_lifetime=90.0,
    side_effects=(),
    source="developer.copper.com: requests, people, activities (Developer API v1); docs/reference/copper.md",
)

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "sees_everything": ("no", "yes"),
    "converted_leads": ("include_converted_leads", "none"),
    "connect_fields": ("check", "ignore"),
    "files": ("check", "ignore"),
    "related": ("leave", "ask"),
    "system_activities": ("linked", "apart"),
    "written_dates": ("us", "seconds"),
    "deleted_tag": (),
    "requests_per_minute": (),
    "sort_by": (),
}
"""Switches of a profile and their values, the careful one first; without values: free text."""


def open_wire(
    profile: Profile, *, write: bool = False, transport: httpx.BaseTransport | None = None, clock: WireClock | None = None
) -> Wire:
    """Return the wire of a profile with its credential."""
    secrets = credential(profile, write=write)
    headers: Callable[[], Mapping[str, str]]
    if "bearer" in secrets:
        bearer = secrets["bearer"]

        def headers() -> Mapping[str, str]:
            return {"Authorization": f"Bearer {bearer.reveal().decode()}", "Content-Type": "application/json"}
    elif {"user", "token"} <= secrets.keys():
        user, token = secrets["user"], secrets["token"]

        def headers() -> Mapping[str, str]:
            return {
                "X-PW-AccessToken": token.reveal().decode(),
                "X-PW-UserEmail": user.reveal().decode(),
                "X-PW-Application": "developer_api",
                "Content-Type": "application/json",
            }
    else:
        raise UsageError(N_("A Copper credential is 'user' and 'token', or 'bearer'."))
    said = switches(profile, OPTIONS)["requests_per_minute"]
    per_minute = int(said) if said.isdigit() and said != "0" else COPPER_CAPABILITIES.requests_per_minute or 1
    limits = (Limit(per_minute, 60.0), Limit(3, 1.0, "bulk"))
    real: dict[str, Any] = {} if clock is None else {"clock": clock}
    return Wire(address(profile, ADDRESS), headers, Throttle(limits, clock=clock), transport=transport, **real)


def answer(reply: Reply, wire: Wire) -> Any:
    """Return the JSON of an answer.

    Raises
    ------
    DeniedError
        401 or 403: credential, permissions, or a feature that is off.
    SchemaMismatchError
        Any other refusal: a body key or value the vendor does not know.
    """
    if reply.status in (401, 403):
        raise refused(wire.host, reply.status, "")
    if reply.status != 200:
        raise unexpected(wire.host, reply.status, "")
    return reply.json()


def is_unknown_record(reply: Reply) -> bool:
    """Say whether a 404 speaks of the record; ``{"error": …}`` speaks of a path that does not exist."""
    said = reply.json()
    return isinstance(said, dict) and said.get("success") is False and said.get("status") == 404


__all__ = ["ADDRESS", "COPPER_CAPABILITIES", "OPTIONS", "answer", "is_unknown_record", "open_wire"]
