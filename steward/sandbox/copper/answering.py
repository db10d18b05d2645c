"""Answers one call of the vendor's API: who asks, whether the limit allows it, which record, which envelope.

Pure of HTTP: takes method, path, query and body, gives status, JSON and headers. Left to others: faults and sockets (``app``).
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from steward.sandbox.copper import writing
from steward.sandbox.copper.search import Invalid, search
from steward.sandbox.copper.shapes import PLURAL, RECORDS, SINGULAR, bad_id
from steward.sandbox.copper.state import APPLICATION, Body, State

_BULK = ("bulk_create", "bulk_update")


@dataclass(slots=True)
class Reply:
    """An answer before it is sent; ``body`` None is an empty one."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    deleted: list[tuple[str, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    secret: str
    user: int
    admin: bool


def envelope(status: int, message: str) -> Reply:
    """Answer in the envelope with ``success``."""
    return Reply(status, {"success": False, "status": status, "message": message})


def _invalid(problems: tuple[str, ...]) -> Reply:
    return envelope(422, "Invalid input: Validation errors: " + "\n".join(problems))


_UNKNOWN_PATH = {"error": "not_found"}
_NO_RECORD = "Resource not found"


def caller(state: State, headers: Mapping[str, str]) -> Caller | None:
    """Return who asks by the four headers or by a token issued here; nothing when that is not settled."""
    authorization = headers.get("authorization", "")
    if authorization.lower().startswith("bearer "):
        rows = state.query("SELECT * FROM access WHERE secret = ? AND way = 'bearer'", authorization[7:].strip())
    else:
        rows = state.query("SELECT * FROM access WHERE secret = ? AND way = 'key'", headers.get("x-pw-accesstoken", ""))
        if rows:
            user = state.get("users", rows[0][2]) or {}
            if headers.get("x-pw-useremail", "").lower() != str(user.get("email")).lower():
                return None
            if headers.get("x-pw-application") != APPLICATION:
                return None
    if not rows or state.get("users", rows[0][2]) is None:
        return None
    return Caller(rows[0][0], rows[0][2], bool(rows[0][3]))


def limited(state: State, who: Caller, *, bulk: bool) -> bool:
    """Count a call in the rolling windows; tell whether it is one too many. A refused call is not counted."""
    now = state.now()
    windows = [(state.calls.setdefault(who.secret, deque()), state.switches.per_minute, 60.0)]
    if bulk:
        windows.append((state.calls.setdefault("bulk " + who.secret, deque()), state.switches.bulk_per_second, 1.0))
    for calls, allowed, span in windows:
        while calls and calls[0] <= now - span:
            calls.popleft()
        if len(calls) >= allowed:
            return True
    for calls, _, _ in windows:
        calls.append(now)
    return False


def answer(state: State, who: Caller, method: str, path: str, query: Mapping[str, str], raw: bytes) -> Reply:
    """Answer one call whose caller is known and within the limit."""
    parts = path.strip("/").split("/")
    body: Any = {}
    if raw.strip():
        try:
            body = json.loads(raw)
        except ValueError:
            return _invalid(("Base: Body is not JSON",))
    if parts[0] in RECORDS and parts[0] == "leads" and not state.switches.leads:
        return envelope(403, "Feature not enabled")
    try:
        if parts[0] in RECORDS:
            return _record_call(state, who, method, parts, body)
        return _other_call(state, who, method, parts, query, body)
    except Invalid as error:
        return _invalid(error.problems)
    except writing.Refused:
        return envelope(422, "Invalid request: The record has dependent records")


def _record_call(state: State, who: Caller, method: str, parts: list[str], body: Any) -> Reply:
    kind, rest = parts[0], parts[1:]
    if method == "POST" and rest == ["search"]:
        return _search(state, who, kind, body)
    if len(rest) == 1 and rest[0] in _BULK and method in ("POST", "PUT"):
        return _bulk(state, who, kind, rest[0], body)
    if not isinstance(body, dict):
        return _invalid(("Base: Body must be an object",))
    if kind == "people" and method == "POST" and rest == ["fetch_by_email"]:
        rows, _ = search(state, kind, {"emails": [body.get("email", "")]}, _sight(state, who, kind))
        return Reply(200, rows[0]) if rows else envelope(404, _NO_RECORD)
    if method == "POST" and not rest:
        return Reply(200, writing.create(state, kind, body))
    if not rest or rest[0] in ("search", "fetch_by_email", "deleted", "bulk_delete", *_BULK):
        return Reply(404, _UNKNOWN_PATH)
    if not (rest[0].isascii() and rest[0].isdigit()):
        return _invalid((bad_id("id", rest[0]) or "",))
    id_ = int(rest[0])
    if id_ < 1 or id_ >= 2**63:
        return _invalid((bad_id("id", 0 if id_ < 1 else "out of range") or "",))
    return _one(state, who, method, kind, id_, rest[1:], body)


def _one(state: State, who: Caller, method: str, kind: str, id_: int, rest: list[str], body: Body) -> Reply:
    held = state.get(kind, id_)
    if held is not None and not _may_see(state, who, kind, held):
        hidden = int(state.switches.hidden)
        return envelope(hidden, _NO_RECORD if hidden == 404 else "Forbidden")
    if held is None:
        again = method == "DELETE" and not rest and state.switches.second_delete == "200"
        if again and state.query("SELECT 1 FROM gone WHERE kind = ? AND id = ?", kind, id_):
            return Reply(200, {"id": id_, "is_deleted": True})
        return envelope(404, _NO_RECORD)
    if not rest:
        if method == "GET":
            return Reply(200, held)
        if method == "PUT":
            return Reply(200, writing.update(state, kind, id_, body))
        if method == "DELETE":
            return Reply(200, writing.delete(state, kind, id_), deleted=[(kind, id_)])
    elif rest[0] == "related" and kind != "activities" and len(rest) <= 2:
        if method == "GET" and (len(rest) == 1 or rest[1] in RECORDS):
            return Reply(200, writing.related(state, kind, id_, rest[1] if len(rest) == 2 else None))
        if method == "POST" and len(rest) == 1:
            return Reply(200, writing.relate(state, kind, id_, body))
        if method == "DELETE" and len(rest) == 1:
            done = writing.unrelate(state, kind, id_, body)
            return Reply(200, done) if done else envelope(422, "Invalid request: Resources are not related")
    elif rest[0] == "files" and len(rest) <= 2:
        files = state.query("SELECT id, body FROM file WHERE kind = ? AND owner = ? ORDER BY id", kind, id_)
        if method == "GET" and len(rest) == 1:
            return Reply(200, [{"id": n, **json.loads(text)} for n, text in files])
        if method == "DELETE" and len(rest) == 2 and rest[1] in {str(n) for n, _ in files}:
            state.query("DELETE FROM file WHERE id = ?", int(rest[1]))
            return Reply(200, {"removed": True, "resource": {"id": int(rest[1]), "type": "filedocument"}})
        if method == "DELETE" and len(rest) == 2:
            return envelope(404, _NO_RECORD)
    return Reply(404, _UNKNOWN_PATH)


def _search(state: State, who: Caller, kind: str, body: Any) -> Reply:
    if not isinstance(body, dict):
        return _invalid(("Base: Body must be an object",))
    rows, total = search(state, kind, body, _sight(state, who, kind))
    told = {"exact": total, "overstate": total + state.switches.total_extra}.get(state.switches.total)
    return Reply(200, rows, {} if told is None else {"X-PW-TOTAL": str(told)})


def _bulk(state: State, who: Caller, kind: str, verb: str, body: Any) -> Reply:
    """The contract fixes limit, order and failures, not the body: a bare array and ``{entity: […]}`` are both taken."""
    items = body.get(kind) if isinstance(body, dict) else body
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return _invalid((f"{kind.capitalize()}: must be an array",))
    if len(items) > 10:
        return Reply(422, {"error": "Request size too large, limit is 10"})
    out = []
    for item in items:
        id_ = item.get("id")
        try:
            if verb == "bulk_create":
                out.append(writing.create(state, kind, item))
                continue
            held = state.get(kind, id_) if isinstance(id_, int) else None
            if held is None or not _may_see(state, who, kind, held):
                raise Invalid("Id: not found")
            out.append(writing.update(state, kind, held["id"], {k: v for k, v in item.items() if k != "id"}) or {})
        except Invalid as error:
            message = {problem.split(":")[0].lower().replace(" ", "_"): [{"error": "invalid"}] for problem in error.problems}
            out.append({"success": False, "message": message, **({} if id_ is None else {"id": id_})})
    return Reply(200, out)


def _other_call(
    state: State, who: Caller, method: str, parts: list[str], query: Mapping[str, str], body: Any
) -> Reply:  # fmt: skip
    if method == "GET" and parts == ["account"]:
        settings = {
            "setting_team_permissions_enabled": state.switches.team_permissions, "setting_enable_leads": state.switches.leads,
        }  # fmt: skip
        return Reply(200, {"id": 1, "name": "Sandbox", "primary_timezone": "Etc/UTC", "settings": settings})
    if parts[0] == "users":
        if method == "POST" and parts[1:] == ["search"]:
            return _search(state, who, "users", body)
        if method == "GET" and len(parts) == 2:
            id_ = str(who.user) if parts[1] == "me" else parts[1]
            if not (id_.isascii() and id_.isdigit() and 0 < int(id_) < 2**63):
                return _invalid((bad_id("id", id_) or "",))
            user = state.get("users", int(id_))
            return Reply(200, user) if user else envelope(404, _NO_RECORD)
    if method == "GET" and parts[0] == "custom_field_definitions" and len(parts) <= 2:
        found = [json.loads(text) for (text,) in state.query("SELECT body FROM definition ORDER BY id")]
        if len(parts) == 1:
            return Reply(200, found)
        one = next((d for d in found if str(d["id"]) == parts[1]), None)
        return Reply(200, one) if one else envelope(404, _NO_RECORD)
    if method == "GET" and parts == ["related_links"]:
        return _links(state, who, query)
    if parts[0] == "webhooks":
        return _webhooks(state, method, parts[1:], body)
    return Reply(404, _UNKNOWN_PATH)


def _links(state: State, who: Caller, query: Mapping[str, str]) -> Reply:
    kind, id_ = query.get("source_type", ""), query.get("source_id", "")
    if kind not in RECORDS:
        return _invalid(("Source Type: is not included in the list",))
    if not (id_.isascii() and id_.isdigit() and 0 < int(id_) < 2**63):
        return _invalid((bad_id("source_id", id_) or "",))

    def end(of: str, n: int) -> Body:
        name = (state.get(of, n) or {}).get("name")
        return {"id": n, "entity_type": of if state.switches.link_entity_type == "plural" else SINGULAR[of], "name": name}

    held = state.get(kind, int(id_))
    if held is None or not _may_see(state, who, kind, held):
        return Reply(200, [])
    out = []
    for n, definition, a, a_id, b, b_id in state.query("SELECT * FROM link ORDER BY id"):
        ends = (end(a, a_id), end(b, b_id))
        if (a, a_id) == (kind, int(id_)):
            pass
        elif (b, b_id) == (kind, int(id_)) and state.switches.links_both_ways:
            ends = ends[::-1]
        else:
            continue
        out.append({"id": n, "custom_field_definition_id": definition, "source": ends[0], "target": ends[1]})
    return Reply(200, out)


def _webhooks(state: State, method: str, rest: list[str], body: Any) -> Reply:
    hooks = [{"id": n, **json.loads(text)} for n, text in state.query("SELECT * FROM webhook ORDER BY id")]
    if method == "GET" and not rest:
        return Reply(200, hooks)
    if method == "POST" and not rest:
        given = body if isinstance(body, dict) else {}
        problems = []
        if given.get("type") not in PLURAL:
            problems.append("Type: is not included in the list")
        if given.get("event") not in ("new", "update", "delete"):
            problems.append("Event: is not included in the list")
        if not str(given.get("target", "")).startswith("https://"):
            problems.append("Target: must be an https address")
        if len(hooks) >= 100:
            problems.append("Base: Too many subscriptions")
        if problems:
            return _invalid(tuple(problems))
        kept = {key: given[key] for key in ("type", "event", "target")}
        made = state.query("INSERT INTO webhook VALUES (NULL, ?) RETURNING id", json.dumps(kept))
        return Reply(200, {"id": made[0][0], **kept})
    if method == "DELETE" and len(rest) == 1:
        if rest[0] not in {str(hook["id"]) for hook in hooks}:
            return envelope(404, _NO_RECORD)
        state.query("DELETE FROM webhook WHERE id = ?", int(rest[0]))
        return Reply(200, {"id": int(rest[0]), "is_deleted": True})
    return Reply(404, _UNKNOWN_PATH)


def notify(state: State, deleted: list[tuple[str, int]]) -> None:
    """Write down delete notifications: at most once, up to 30 ids in one. Nothing is sent over any network."""
    if state.switches.drop_webhooks:
        return
    for (text,) in state.query("SELECT body FROM webhook"):
        hook = json.loads(text)
        ids = [id_ for kind, id_ in deleted if hook["event"] == "delete" and SINGULAR[kind] == hook["type"]]
        for start in range(0, len(ids), 30):
            last = state.notices[-1] if state.notices else None
            if last and not last["taken"] and last["target"] == hook["target"] and len(last["ids"]) + len(ids) <= 30:
                last["ids"] += ids
                continue
            state.notices.append(
                {
                    "type": hook["type"],
                    "event": "delete",
                    "target": hook["target"],
                    "ids": ids[start : start + 30],
                    "taken": False,
                }
            )


def _groups(state: State, user: int) -> set[int]:
    return {group["id"] for group in (state.get("users", user) or {}).get("groups", ())}


def _sight(state: State, who: Caller, kind: str) -> tuple[str, list[Any]] | None:
    """Condition on what the key may see under team permissions: what its owner's groups own, and what nobody owns not."""
    if not state.switches.team_permissions or who.admin or kind == "users":
        return None
    mine = _groups(state, who.user)
    owners = [user["id"] for user in state.all("users") if mine & {group["id"] for group in user["groups"]}]
    owner = "user_id" if kind == "activities" else "assignee_id"
    return f"json_extract(indexed, '$.{owner}') IN (SELECT value FROM json_each(?))", [json.dumps(owners)]  # noqa: S608 - names are literals of this module


def _may_see(state: State, who: Caller, kind: str, body: Body) -> bool:
    if not state.switches.team_permissions or who.admin:
        return True
    owner = body.get("user_id" if kind == "activities" else "assignee_id")
    return owner is not None and bool(_groups(state, who.user) & _groups(state, owner))
