"""Everything that only reads: settings, lists, single records, full data, search, count, COQL, related lists, deletions.

Left to others: bulk jobs (``bulk``), the bin and what changes anything (``removing``).
"""

from __future__ import annotations

import base64
import json
from typing import Any

from starlette.responses import Response

from steward.sandbox.zoho import coql, rows
from steward.sandbox.zoho.answers import Call, Refusal, answer, nothing
from steward.sandbox.zoho.auth import require
from steward.sandbox.zoho.model import FOLLOWING, MODULES, RELATED, Field, field_meta, field_of, module_meta
from steward.sandbox.zoho.state import DAY, State, parse_moment

MOST_FIELDS, PAGE, BY_PAGE = 50, 200, 2_000


def known(module: str) -> str:
    """Check a module's name.

    Raises
    ------
    Refusal
        400 ``INVALID_MODULE``.
    """
    if module not in MODULES:
        raise Refusal(400, "INVALID_MODULE", "the module name given seems to be invalid", {"resource_path_index": 0})
    return module


def number(text: str) -> int:
    """Read an id.

    Raises
    ------
    Refusal
        400 ``UNABLE_TO_PARSE_DATA_TYPE``.
    """
    if not text.isascii() or not text.isdigit() or int(text) >= 2**63:
        raise Refusal(400, "UNABLE_TO_PARSE_DATA_TYPE", "either the request body or parameters is in wrong format")
    return int(text)


def missing(state: State, name: str) -> Refusal:
    """The refusal for a parameter that must be there."""
    return Refusal(
        400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing", {state.switches["param_key"]: name}
    )


def chosen(state: State, call: Call, module: str, most: int = MOST_FIELDS) -> list[Field]:
    """Fields that a call asks for; names nobody knows are passed over, as the vendor does."""
    names = [n for n in call.query.get("fields", "").split(",") if n]
    if not names:
        raise missing(state, "fields")
    if len(names) > most:
        raise Refusal(400, "LIMIT_EXCEEDED", "maximum fields limit exceeded", {"limit": most, "param_name": "fields"})
    return [found for found in (field_of(module, n) for n in names) if found is not None]


def org(state: State, call: Call) -> Response:
    """``GET /org``."""
    require(call, "ZohoCRM.org.READ")
    return answer({"org": [{"id": "20240001", "zgid": "20240001", "company_name": "Sandbox", "type": state.switches["org_type"],
                            "time_zone": "Asia/Kolkata", "currency": "EUR", "primary_email": "sandbox@crm.example",
                            "license_details": {"paid_type": "enterprise"}}]})  # fmt: skip


def modules(state: State, call: Call) -> Response:
    """``GET /settings/modules``."""
    require(call, "ZohoCRM.settings.modules.READ")
    return answer({"modules": [module_meta(n, m) for n, m in enumerate(MODULES)]})


def fields(state: State, call: Call) -> Response:
    """``GET /settings/fields?module=``."""
    require(call, "ZohoCRM.settings.fields.READ")
    module = known(call.query.get("module") or "")
    return answer({"fields": [field_meta(n, f) for n, f in enumerate(MODULES[module])]})


def related_lists(state: State, call: Call) -> Response:
    """``GET /settings/related_lists?module=``."""
    require(call, "ZohoCRM.settings.related_lists.READ")
    module = known(call.query.get("module") or "")
    found = [{"id": str(7_200_000_000_000_000_000 + n), "api_name": name, "display_label": name, "name": name,
              "module": {"api_name": target, "id": "0"}, "href": f"{module}/{{ENTITYID}}/{name}", "type": "default"}
             for n, (name, (target, _)) in enumerate(RELATED.get(module, {}).items())]  # fmt: skip
    return answer({"related_lists": found}) if found else nothing()


def listing(state: State, call: Call, module: str) -> Response:
    """``GET /{module}`` by ``page`` up to 2,000 rows, further by ``page_token``."""
    require(call, "ZohoCRM.modules.READ", module=known(module))
    wanted = chosen(state, call, module)
    per_page = int(number(call.query.get("per_page", str(PAGE))))
    if not 1 <= per_page <= PAGE:
        raise Refusal(400, "INVALID_DATA", "the per_page given is invalid", {"param_name": "per_page", "limit": PAGE})
    sort, direction = call.query.get("sort_by", "id"), call.query.get("sort_order", "desc")
    if sort not in {"id", "Created_Time", "Modified_Time"} or direction not in {"asc", "desc"}:
        raise Refusal(400, "INVALID_DATA", "the value given seems to be invalid", {"param_name": "sort_by"})
    if ("page" in call.query and "page_token" in call.query) or ("cvid" in call.query and "sort_by" in call.query):
        raise Refusal(400, "AMBIGUITY_DURING_PROCESSING", "ambiguity while processing the request",
                      {"ambiguity_due_to": [{"param_name": "page"}, {"param_name": "page_token"}]})  # fmt: skip
    since, bound = call.headers.get("if-modified-since"), dict(call.query)
    bound.pop("page", None)
    bound.pop("page_token", None)
    binding = json.dumps([module, bound, since, call.user], sort_keys=True)
    if "page_token" in call.query:
        offset = _open_token(state, call.query["page_token"], binding)
        page = offset // per_page + 1
    else:
        page = int(number(call.query.get("page", "1"))) or 1
        offset = (page - 1) * per_page
        if page > 10 or offset + per_page > BY_PAGE:
            raise Refusal(400, "DISCRETE_PAGINATION_LIMIT_EXCEEDED", "the limit of page is exceeded", {"limit": BY_PAGE})
    cap = int(state.switches["record_cap"])
    if offset >= cap:
        raise Refusal(400, "PAGINATION_LIMIT_EXCEEDED", "the limit of records is exceeded", {"limit": cap})
    where = "module = ? AND life = 'live'"
    values: list[str | float] = [module]
    if since:
        try:
            where, values = where + " AND modified > ?", [module, parse_moment(since)]
        except ValueError:
            raise Refusal(400, "INVALID_DATA", "the header given is invalid", {"header": "If-Modified-Since"}) from None
    if module == "Leads" and call.query.get("converted") != "both":
        wanted_state = int(call.query.get("converted") == "true")
        where += f" AND coalesce(json_extract(doc, '$.Converted__s'), 0) = {wanted_state}"
    order = {"id": "id", "Created_Time": "created", "Modified_Time": "modified"}[sort]
    found = list(state.query(
        f"SELECT * FROM record WHERE {where} ORDER BY {order} {direction}, id {direction} LIMIT ? OFFSET ?",  # noqa: S608 - our own words
        [*values, per_page + 1, offset],
    ))  # fmt: skip
    if not found:
        return nothing(304 if since and offset == 0 else 204)
    more = len(found) > per_page
    token = _make_token(state, offset + per_page, binding) if more else None
    return answer({
        "data": [rows.listed(state, row, wanted) for row in found[:per_page]],
        "info": {"per_page": per_page, "count": min(len(found), per_page), "page": page, "more_records": more, "sort_by": sort,
                 "sort_order": direction, "next_page_token": token, "previous_page_token": None,
                 "page_token_expiry": state.moment(state.now() + DAY) if more else None},
    })  # fmt: skip


def _make_token(state: State, offset: int, binding: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([offset, binding, state.now() + DAY]).encode()).decode()


def _open_token(state: State, token: str, binding: str) -> int:
    try:
        offset, bound, ends = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        raise Refusal(400, "INVALID_DATA", "the page_token given seems to be invalid", {"param_name": "page_token"}) from None
    if bound != binding:
        raise Refusal(
            400, "TOKEN_BOUND_DATA_MISMATCH", "the page_token belongs to another request", {"param_name": "page_token"}
        )
    if ends <= state.now():
        raise Refusal(400, "EXPIRED_VALUE", "the page_token has expired", {"param_name": "page_token"})
    return int(offset)


def single(state: State, call: Call, module: str, ident: str) -> Response:
    """``GET /{module}/{id}``, complete."""
    require(call, "ZohoCRM.modules.READ", module=known(module))
    found = state.get(number(ident), module=module)
    if found is None:
        if state.switches["missing_single"] == 204:
            return nothing()
        raise Refusal(400, "INVALID_DATA", "the id given seems to be invalid", {"resource_path_index": 1})
    return answer({"data": [rows.whole(state, found[1])]})


def full_data(state: State, call: Call, module: str) -> Response:
    """``GET /{module}/actions/fetch_full_data``: complete values, up to 200 ids and 8 fields."""
    require(call, "ZohoCRM.modules.READ", module=known(module))
    wanted = chosen(state, call, module, most=8)
    idents = [number(i) for i in call.query.get("ids", "").split(",") if i]
    if not idents:
        raise missing(state, "ids")
    if len(idents) > 200:
        raise Refusal(400, "LIMIT_EXCEEDED", "maximum ids limit exceeded", {"limit": 200, "param_name": "ids"})
    found = [state.get(i, module=module) for i in idents]
    data = [rows.complete(state, f[1], wanted) for f in found if f is not None]
    return answer({"data": data}) if data else nothing()


def search(state: State, call: Call, module: str) -> Response:
    """``GET /{module}/search``: ``equals`` on text behaves like *contains*; the index lags."""
    require(call, "ZohoCRM.modules.READ", "ZohoSearch.securesearch.READ", module=known(module))
    wanted = chosen(state, call, module) if call.query.get("fields") else list(MODULES[module])
    page, per_page = int(number(call.query.get("page", "1"))), int(number(call.query.get("per_page", str(PAGE))))
    if page * per_page > BY_PAGE:
        raise Refusal(400, "LIMIT_REACHED", "the limit of search is reached", {"limit": BY_PAGE})
    where, values = _search_terms(state, call, module)
    before = state.now() - float(state.switches["search_lag"])
    found = list(state.query(
        f"SELECT * FROM record WHERE module = ? AND life = 'live' AND modified <= ? AND {where} ORDER BY id DESC LIMIT ? OFFSET ?",  # noqa: S608
        [module, before, *values, per_page + 1, (page - 1) * per_page],
    ))  # fmt: skip
    if not found:
        return nothing()
    return answer({"data": [rows.listed(state, row, wanted) for row in found[:per_page]],
                   "info": {"per_page": per_page, "count": min(len(found), per_page), "page": page,
                            "more_records": len(found) > per_page}})  # fmt: skip


def _search_terms(state: State, call: Call, module: str) -> tuple[str, list[Any]]:
    if "criteria" in call.query:
        terms = call.query["criteria"].strip("()").replace("))and((", ")and(").split(")and(")
        if len(terms) > (15 if state.switches["api"] == "v8" else 10):
            raise Refusal(400, "LIMIT_EXCEEDED", "too many criteria", {"limit": 15})
        parts, values = [], []
        for term in terms:
            name, _, rest = term.partition(":")
            operator, _, held = rest.partition(":")
            found = field_of(module, name)
            if found is None or operator not in {"equals", "starts_with"}:
                raise Refusal(400, "INVALID_QUERY", "invalid query formed", {"api_name": name})
            if found.name == "id" or found.kind in {
                "integer",
                "double",
                "currency",
                "boolean",
                "lookup",
                "ownerlookup",
                "datetime",
            }:
                parts.append(f"{coql.column(found)} = ?")
                values.append(coql.bound(found, held))
            else:
                parts.append(f"instr(lower({coql.column(found)}), lower(?)) {'= 1' if operator == 'starts_with' else '> 0'}")
                values.append(held)
        return " AND ".join(parts), values
    for parameter, name in (("email", "Email"), ("phone", "Phone")):
        if parameter in call.query:
            return f"json_extract(doc, '$.{name}') = ?", [call.query[parameter]]
    if "word" in call.query:
        return "instr(lower(doc), lower(?)) > 0", [call.query["word"]]
    raise missing(state, "criteria")


def count(state: State, call: Call, module: str) -> Response:
    """``GET /{module}/actions/count``: a figure that lags behind."""
    require(call, "ZohoCRM.modules.READ", "ZohoSearch.securesearch.READ", "ZohoCRM.settings.layouts.READ", module=known(module))
    where, values = _search_terms(state, call, module) if "criteria" in call.query else ("1", [])
    then = state.now() - float(state.switches["count_lag"])
    ((n,),) = state.db.execute(
        f"SELECT count(*) FROM record WHERE module = ? AND created <= ? AND (life = 'live' OR deleted > ?) AND {where}",  # noqa: S608
        [module, then, then, *values],
    ).fetchall()  # fmt: skip
    return answer({"count": str(n) if state.switches["count_text"] else n})


def query(state: State, call: Call) -> Response:
    """``POST /coql``."""
    text = call.body.get("select_query") if isinstance(call.body, dict) else None
    if not isinstance(text, str):
        raise Refusal(400, "MANDATORY_NOT_FOUND", "required field not found", {"api_name": "select_query"})
    asked = coql.parse(text, int(state.switches["coql_depth"]))
    require(call, "ZohoCRM.coql.READ")
    require(call, "ZohoCRM.modules.READ", module=asked.module)
    found = list(state.query(
        f"SELECT * FROM record WHERE module = ? AND life = 'live' AND {asked.where} ORDER BY {asked.order} LIMIT ? OFFSET ?",  # noqa: S608
        [asked.module, *asked.values, asked.limit + 1, asked.offset],
    ))  # fmt: skip
    if not found:
        return nothing()
    wanted = [f for f in (field_of(asked.module, n) for n in asked.fields) if f is not None]
    data = [rows.listed(state, row, wanted) for row in found[: asked.limit]]
    for record in data:  # a look-up is its id alone here
        for f in wanted:
            if f.kind in {"lookup", "ownerlookup"} and isinstance(record.get(f.name), dict):
                record[f.name] = {"id": record[f.name]["id"]}
    return answer({"data": data, "info": {"count": len(data), "more_records": len(found) > asked.limit}})


def related(state: State, call: Call, module: str, ident: str, name: str, *, life: str = "live") -> Response:
    """``GET /{module}/{id}/{list}``, and ``/{module}/deleted/{id}/{list}`` for a record in the bin (look-ups only)."""
    require(call, "ZohoCRM.modules.READ", module=known(module))
    relation = RELATED.get(module, {}).get(name)
    if relation is None or (life == "bin" and name in FOLLOWING):
        raise Refusal(400, "INVALID_DATA", "the related list name given seems to be invalid", {"resource_path_index": 2})
    wanted = chosen(state, call, relation[0])
    if state.get(number(ident), module=module, life=life) is None:
        raise Refusal(400, "INVALID_DATA", "the id given seems to be invalid", {"resource_path_index": 1})
    page, per_page = int(number(call.query.get("page", "1"))), int(number(call.query.get("per_page", str(PAGE))))
    found = list(state.query(
        f"SELECT * FROM record WHERE module = ? AND life = 'live' AND json_extract(doc, '$.{relation[1]}.id') = ? "  # noqa: S608
        "ORDER BY id LIMIT ? OFFSET ?", [relation[0], ident, per_page + 1, (page - 1) * per_page],
    ))  # fmt: skip
    if not found:
        return nothing()
    return answer({"data": [rows.listed(state, row, wanted) for row in found[:per_page]],
                   "info": {"per_page": per_page, "count": min(len(found), per_page), "page": page,
                            "more_records": len(found) > per_page}})  # fmt: skip


def deleted(state: State, call: Call, module: str) -> Response:
    """``GET /{module}/deleted``: who deleted what and when; no values."""
    require(call, "ZohoCRM.modules.READ", module=known(module))
    kind = call.query.get("type", "all")
    lives = {"all": ("bin", "gone"), "recycle": ("bin",), "permanent": ("gone",)}.get(kind)
    if lives is None:
        raise Refusal(400, "PATTERN_NOT_MATCHED", "please check whether the input values are correct", {"param_name": "type"})
    state.age()
    since = call.headers.get("if-modified-since")
    page, per_page = int(number(call.query.get("page", "1"))), int(number(call.query.get("per_page", str(PAGE))))
    found = list(state.query(
        f"SELECT * FROM record WHERE module = ? AND life IN ({', '.join('?' * len(lives))}) AND deleted > ? "  # noqa: S608
        "ORDER BY deleted DESC, id DESC LIMIT ? OFFSET ?",
        [module, *lives, parse_moment(since) if since else 0, per_page + 1, (page - 1) * per_page],
    ))  # fmt: skip
    if not found:
        return nothing(304 if since and page == 1 else 204)
    data = []
    for row in found[:per_page]:
        by = state.person(row["deleted_by"])
        creator = json.loads(row["doc"]).get("Created_By") or by
        data.append({"deleted_by": {"name": by["name"], "id": by["id"]}, "id": str(row["id"]), "display_name": state.display(row),
                     "type": "recycle" if row["life"] == "bin" else "permanent",
                     "created_by": {"name": creator["name"], "id": creator["id"]},
                     "deleted_time": state.moment(row["deleted"])})  # fmt: skip
    return answer({"data": data, "info": {"per_page": per_page, "count": len(data), "page": page,
                                          "more_records": len(found) > per_page}})  # fmt: skip


def timeline(state: State, call: Call, module: str, ident: str) -> Response:
    """``GET /{module}/{id}/__timeline``."""
    require(call, "ZohoCRM.modules.READ", module=known(module))
    if not state.switches["timeline_of_binned"] and state.get(number(ident), module=module) is None:
        raise Refusal(400, "INVALID_DATA", "the id given seems to be invalid", {"resource_path_index": 1})
    found = [{"action": e["action"], "source": e["source"], "audited_time": state.moment(e["moment"]),
              "done_by": state.person(e["user"])}
             for e in state.query("SELECT * FROM event WHERE id = ? ORDER BY moment DESC, rowid DESC", [number(ident)])]  # fmt: skip
    return answer({"__timeline": found, "info": {"count": len(found), "more_records": False}}) if found else nothing()
