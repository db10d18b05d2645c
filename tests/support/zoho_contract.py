"""Facts of Zoho's published OpenAPI (v8), as the vendor's page records them, to hold answers against.

Neither the sandbox nor the connector uses this. Each operation: which statuses it has, and what an answer of that status
looks like. Facts only: names of keys, codes, patterns. :class:`Watched` is a transport that checks every answer on its way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import httpx

ID = re.compile(r"[0-9]{1,20}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")
ANY_ERROR: Mapping[int, frozenset[str]] = {
    401: frozenset({"AUTHENTICATION_FAILURE", "INVALID_TOKEN", "INVALID_OAUTHTOKEN", "OAUTH_SCOPE_MISMATCH"}),
    403: frozenset({"NO_PERMISSION", "INVALID_DATA"}),
    404: frozenset({"INVALID_URL_PATTERN", "RESOURCE_NOT_FOUND"}),
    429: frozenset({"TOO_MANY_REQUESTS", "RATE_LIMIT_EXCEEDED"}),
    500: frozenset({"INTERNAL_ERROR", "INTERNAL_SERVER_ERROR"}),
}
"""Refusals of a whole request that every operation has."""
BAD = frozenset({
    "INVALID_DATA", "INVALID_MODULE", "INVALID_REQUEST_METHOD", "REQUIRED_PARAM_MISSING", "UNABLE_TO_PARSE_DATA_TYPE", "LIMIT_EXCEEDED",
    "AUTHORIZATION_FAILED", "NOT_APPROVED", "NOT_ALLOWED", "MANDATORY_NOT_FOUND", "PATTERN_NOT_MATCHED", "EXPIRED_VALUE",
    "TOKEN_BOUND_DATA_MISMATCH", "DISCRETE_PAGINATION_LIMIT_EXCEEDED", "PAGINATION_LIMIT_EXCEEDED", "AMBIGUITY_DURING_PROCESSING",
    "INVALID_QUERY", "SYNTAX_ERROR", "LIMIT_REACHED", "ALREADY_SCHEDULED", "ID_ALREADY_DEACTIVATED", "ID_ALREADY_ACTIVATED",
    "ID_ALREADY_DELETED", "CANNOT_UPDATE_PRIMARY_CONTACT", "CANNOT_DELETE_PRIMARY_CONTACT", "DUPLICATE_DATA", "EXPECTED_FIELD_MISSING",
})  # fmt: skip
"""Codes of status 400, at the top or of an item."""
ITEM = frozenset({"RECORD_LOCKED", "NO_PERMISSION", "CANNOT_RESTORE_WITHOUT_PARENT"}) | BAD
"""Codes of an item's refusal."""


class Broken(AssertionError):
    """An answer that the contract does not know."""


def need(said: bool, why: str) -> None:
    if not said:
        raise Broken(why)


def ident(value: Any, where: str) -> None:
    need(
        isinstance(value, str) and ID.fullmatch(value) is not None,
        f"{where}: an id is decimal text, not {type(value).__name__}",
    )


def moment(value: Any, where: str) -> None:
    need(isinstance(value, str) and TIME.fullmatch(value) is not None, f"{where}: a time has a numeric offset")


def person(value: Any, where: str) -> None:
    need(isinstance(value, dict) and isinstance(value.get("name"), str), f"{where}: a user has a name")
    ident(value.get("id"), where)


def keys(value: Any, wanted: str, where: str) -> None:
    need(isinstance(value, dict) and set(wanted.split()) <= value.keys(), f"{where} lacks {set(wanted.split()) - set(value)}")


def envelope(item: Any, codes: frozenset[str], *, status: str) -> None:
    """Code, details, message, status: nothing else, and nothing less."""
    need(isinstance(item, dict) and item.keys() == {"code", "details", "message", "status"}, "an envelope has four keys")
    need(item["code"] in codes, f"code {item['code']} is not known here")
    need(isinstance(item["details"], dict) and isinstance(item["message"], str), "details are an object, a message text")
    need(item["status"] == status, f"status is {status}")


def info(said: Any, more: str = "") -> None:
    keys(said, f"per_page count page more_records {more}", "info")
    need(isinstance(said["more_records"], bool) and 1 <= said["per_page"] <= 200, "info: pages of at most 200")


def pages(name: str, one: Callable[[Any], None], more: str = "", *, paged: bool = True) -> Callable[[Any], None]:
    def shape(said: Any) -> None:
        need(isinstance(said, dict) and isinstance(said.get(name), list), f"a list {name}")
        need(len(said[name]) <= 200, f"{name}: at most 200")
        for item in said[name]:
            one(item)
        if paged:
            info(said.get("info"), more)

    return shape


def verdicts(
    name: str, good: Callable[[Any], None], *, codes: frozenset[str] = frozenset({"SUCCESS"})
) -> Callable[[Any, int], None]:
    """A verdict per record: all good is 200, 201 or 202; some 207; none 400, 403 or 412."""

    def shape(said: Any, status: int) -> None:
        if status >= 400 and isinstance(said, dict) and name not in said:
            refusal(said, status)
            return
        need(isinstance(said, dict) and isinstance(said.get(name), list), f"a list {name}")
        for item in said[name]:
            if isinstance(item, dict) and item.get("status") == "success":
                envelope(item, codes, status="success")
                good(item)
            else:
                envelope(item, frozenset({"ALREADY_MODIFIED"}) if status == 412 else ITEM, status="error")
        states = {i["status"] for i in said[name]}
        allowed: tuple[set[str], ...] = ({"success"}, set())
        if status == 207:
            allowed = ({"success", "error"}, {"success"}, {"error"}, set())  # fewer where a fault took one away
        elif status >= 400:
            allowed = ({"error"}, set())
        need(states in allowed, f"status {status} with verdicts {states}")
        if status == 202:
            need(all(i["code"] == "SCHEDULED" for i in said[name]), "202 is for what was scheduled")

    return shape


def refusal(said: Any, status: int) -> None:
    known = ANY_ERROR.get(status, BAD if status == 400 else frozenset({"ALREADY_MODIFIED"}) if status == 412 else frozenset())
    envelope(said, known, status="error")
    if said["code"] == "REQUIRED_PARAM_MISSING":
        need(bool({"param", "param_name"} & said["details"].keys()), "which parameter is missing")


def by_id(item: Any) -> None:
    ident(item["details"].get("id"), "details.id")


def stamped(item: Any) -> None:
    details = item["details"]
    ident(details.get("id"), "details.id")
    for name in ("Created_Time", "Modified_Time"):
        moment(details.get(name), name)
    for name in ("Created_By", "Modified_By"):
        person(details.get(name), name)


def record(item: Any) -> None:
    ident(item.get("id"), "id")
    for name in ("Created_Time", "Modified_Time"):
        if name in item:
            moment(item[name], name)
    for name in ("Owner", "Created_By", "Modified_By"):
        if isinstance(item.get(name), dict):
            ident(item[name].get("id"), name)


def binned(item: Any) -> None:
    keys(item, "display_name deleted_time owner module deleted_by id", "recycle_bin")
    ident(item["id"], "id")
    moment(item["deleted_time"], "deleted_time")
    person(item["deleted_by"], "deleted_by")
    module = item["module"]
    need(isinstance(module, str) or isinstance(module.get("api_name"), str), "module is an object with api_name, or a word")


def deleted(item: Any) -> None:
    keys(item, "deleted_by id display_name type created_by deleted_time", "deleted")
    need(item["type"] in ("recycle", "permanent"), "type of a deletion")
    person(item["deleted_by"], "deleted_by")
    moment(item["deleted_time"], "deleted_time")


def user(item: Any) -> None:
    keys(item, "id full_name email status", "users")
    ident(item["id"], "id")
    need(item["status"] in ("active", "inactive", "deleted", "disabled"), "status of a user")


def counted(said: Any) -> None:
    need(isinstance(said, dict) and str(said.get("count")).isdigit(), "a count")


def queried(said: Any) -> None:
    keys(said, "data info", "coql")
    keys(said["info"], "count more_records", "info")
    for item in said["data"]:
        record(item)


def job(said: Any) -> None:
    keys(said["data"][0], "id operation state", "bulk read")
    need(said["data"][0]["state"] in ("ADDED", "QUEUED", "IN PROGRESS", "COMPLETED", "FAILURE"), "state of a job")
    if said["data"][0]["state"] == "COMPLETED":
        keys(said["data"][0]["result"], "page count download_url per_page more_records next_page_token", "result")


def started(said: Any) -> None:
    keys(said["data"][0]["details"], "id operation state created_by created_time", "bulk read")


def anything(said: Any) -> None:
    need(isinstance(said, dict), "a document")


_M, _N = r"[A-Za-z_]+", r"[^/]+"
Shape = Callable[..., None]
_LISTED = "sort_by sort_order next_page_token previous_page_token page_token_expiry"
OPERATIONS: tuple[tuple[str, str, Mapping[int, Shape | None]], ...] = (
    ("GET", "/settings/recycle_bin(/[0-9]+)?", {200: pages("recycle_bin", binned), 204: None}),
    ("DELETE", "/settings/recycle_bin(/[0-9]+)?", dict.fromkeys((200, 202, 207, 400), verdicts("recycle_bin", anything, codes=frozenset({"SUCCESS", "SCHEDULED"})))),
    ("POST", "/settings/recycle_bin(/[0-9]+)?/actions/restore", dict.fromkeys((200, 202, 207, 400), verdicts("recycle_bin", anything, codes=frozenset({"SUCCESS", "SCHEDULED"})))),
    ("POST", "/settings/recycle_bin/actions/empty", dict.fromkeys((200, 202, 400), verdicts("recycle_bin", anything, codes=frozenset({"SUCCESS", "SCHEDULED"})))),
    ("GET", "/settings/recycle_bin/actions/count", {200: counted}),
    ("GET", "/settings/fields", {200: pages("fields", lambda f: keys(f, "id api_name data_type json_type", "fields"), paged=False)}),
    ("GET", "/settings/modules", {200: pages("modules", lambda m: keys(m, "id api_name", "modules"), paged=False)}),
    ("GET", "/settings/related_lists", {200: pages("related_lists", lambda r: keys(r, "api_name href module", "related_lists"), paged=False), 204: None}),
    ("POST", "/settings/audit_log_export", {201: anything}),
    ("GET", "/settings/audit_log_export/.*", {200: None, 204: None}),
    ("GET", "/org", {200: pages("org", lambda o: keys(o, "id company_name type", "org"), paged=False)}),
    ("POST", "/coql", {200: queried, 204: None}),
    ("GET", "/users(/[0-9]+)?", {200: pages("users", user), 204: None}),
    ("PUT", "/users/[0-9]+", dict.fromkeys((200, 400), verdicts("users", by_id))),
    ("DELETE", "/users/[0-9]+", dict.fromkeys((200, 400), verdicts("users", anything))),
    ("POST", "/users/[0-9]+/actions/transfer_and_delete", {202: anything}),
    ("GET", "/users/[0-9]+/actions/transfer_and_delete", {200: anything}),
    ("GET", f"/{_M}/deleted", {200: pages("data", deleted), 204: None, 304: None}),
    ("GET", f"/{_M}/deleted/[0-9]+/{_M}", {200: pages("data", record), 204: None}),
    ("GET", f"/{_M}/search", {200: pages("data", record), 204: None}),
    ("GET", f"/{_M}/actions/count", {200: counted}),
    ("GET", f"/{_M}/actions/fetch_full_data", {200: pages("data", record, paged=False), 204: None}),
    ("POST", f"/{_M}/actions/mass_delete", dict.fromkeys((200, 202, 207, 400), verdicts("data", anything, codes=frozenset({"SUCCESS", "SCHEDULED"})))),
    ("GET", f"/{_M}/actions/mass_delete", {200: anything}),
    ("POST", f"/{_M}/actions/change_owner", dict.fromkeys((200, 207, 400), verdicts("data", by_id))),
    ("GET", f"/{_M}/[0-9]+/__timeline", {200: anything, 204: None}),
    ("POST", f"/{_M}/[0-9]+/actions/merge", {200: anything, 202: anything}),
    ("POST", f"/{_M}/[0-9]+/actions/get_related_records_count", {200: anything}),
    ("GET", f"/{_M}/[0-9]+/{_M}", {200: pages("data", record), 204: None}),
    ("PUT", f"/{_M}/[0-9]+", dict.fromkeys((200, 400, 403, 412), verdicts("data", stamped))),
    ("GET", f"/{_M}/{_N}", {200: pages("data", record, paged=False), 204: None, 304: None}),
    ("DELETE", f"/{_M}(/{_N})?", dict.fromkeys((200, 207, 400, 403), verdicts("data", by_id))),
    ("POST", f"/{_M}", dict.fromkeys((201, 207, 400, 403), verdicts("data", stamped))),
    ("GET", f"/{_M}", {200: pages("data", record, _LISTED), 204: None, 304: None}),
    ("POST", "/bulk/read", {201: started}),
    ("GET", "/bulk/read/[0-9]+", {200: job}),
    ("GET", "/bulk/read/[0-9]+/result", {200: None}),
)  # fmt: skip
"""Method, path below the version, status → shape; None is an answer without a document."""


def check(method: str, path: str, status: int, body: bytes) -> None:
    """Hold one answer against the contract.

    Raises
    ------
    Broken
        Status, key, code or form is not of the contract.
    """
    found = re.fullmatch(r"/crm/(bulk/)?v[78](/.*)", path)
    if found is None:
        need(status == 404, "a path below no version is unknown")
        return
    below = ("/bulk" if found.group(1) else "") + found.group(2).rstrip("/")
    shapes = next((s for m, p, s in OPERATIONS if m == method and re.fullmatch(p, below)), None)
    if status in (204, 304):
        need(body == b"", f"{status} has no body")
    if shapes is None or status not in shapes:
        need(status >= 400, f"{method} {below}: status {status} is not of this operation")
        refusal(json.loads(body), status)
        return
    shape = shapes[status]
    if shape is None:
        return
    said = json.loads(body)
    if status in (200, 201, 202, 207, 400, 403, 412) and shape.__qualname__.startswith("verdicts"):
        shape(said, status)
    else:
        shape(said)


class Watched(httpx.BaseTransport):
    """Checks every answer of the API; the token service is another one's."""

    def __init__(self) -> None:
        self._real = httpx.HTTPTransport()
        self.seen = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, check, hand on."""
        answer = self._real.handle_request(request)
        body = answer.read()
        answer.close()
        if request.url.path.startswith("/crm/"):
            self.seen += 1
            check(request.method, request.url.path, answer.status_code, body)
        return httpx.Response(answer.status_code, headers=answer.headers, content=body)

    def close(self) -> None:
        """Release connections."""
        self._real.close()


__all__ = ["OPERATIONS", "Broken", "Watched", "check"]
