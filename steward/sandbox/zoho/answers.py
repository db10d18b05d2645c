"""Envelopes and refusals of the vendor, one constructor each. Left to others: when they are given."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response


class Refusal(Exception):
    """A request fault: one top-level envelope."""

    def __init__(self, status: int, code: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(code)
        self.status, self.body = status, envelope(code, message, details or {}, "error")


@dataclass(slots=True)
class Call:
    """One authenticated request: what was sent and who sent it."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: Any
    host: str
    user: int = 0
    scopes: frozenset[str] = field(default_factory=frozenset)


Handler = Callable[..., Response]


def envelope(code: str, message: str, details: Mapping[str, Any], status: str) -> dict[str, Any]:
    """The vendor's envelope of a verdict."""
    return {"code": code, "details": dict(details), "message": message, "status": status}


def answer(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    body = json.dumps(document, ensure_ascii=False).encode()
    return Response(body, status, dict(headers or {}), media_type="application/json")


def nothing(status: int = 204) -> Response:
    """An answer without a body."""
    return Response(b"", status)


def verdicts(name: str, items: list[dict[str, Any]]) -> Response:
    """200 when all went well, 207 when some did, 400 when none did; 202 when all were scheduled."""
    good = sum(item["status"] == "success" for item in items)
    if good == len(items):
        status = 202 if items and all(item["code"] == "SCHEDULED" for item in items) else 200
    else:
        status = 207 if good else 400
    return answer({name: items}, status)
