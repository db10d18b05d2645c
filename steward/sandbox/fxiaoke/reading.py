"""Calls of the Fxiaoke sandbox that read: get, query, findSimple, object list and description, employees, change log.

Traps kept on purpose: empty values are left out unless ``includeNull`` is sent, ``total`` is 0 where the count is off,
references come with derived fields beside them, and whether voided records appear in a query is a switch. Left to
others: who may call (``gateway``), calls that change (``actions``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, cast

from steward.sandbox.fxiaoke.objects import OBJECTS, FieldSpec, Json, is_custom
from steward.sandbox.fxiaoke.world import Refusal, World

BAD_PARAMETER = 15002
PEOPLE = ("employee", "employee_many")


@dataclass
class Call:
    """One authorised call: its body, the acting employee's number, and how employees are written in it."""

    path: str
    body: Json
    employee: str
    open_ids: bool

    @property
    def data(self) -> dict[str, Any]:
        """The part ``data`` of the body."""
        data = self.body.get("data")
        if not isinstance(data, dict):
            raise Refusal(BAD_PARAMETER)
        return data

    def api(self, world: World, *, any_path: bool = False) -> str:
        """Return the object named in the call; a custom object on the path of preset ones, or the reverse, is refused."""
        api = self.data.get("dataObjectApiName")
        if not isinstance(api, str) or api not in OBJECTS:
            raise Refusal(BAD_PARAMETER)
        if not any_path and is_custom(api) != ("/custom/" in self.path):
            raise Refusal(world.switches.wrong_path_code)
        return api


def sees(world: World, call: Call, doc: Json) -> bool:
    """Tell whether the acting employee may see a record: a limited one sees only what it owns."""
    return call.employee not in world.switches.limited_users or call.employee in cast(list[str], doc["owner"] or [])


def shown(world: World, call: Call, api: str, doc: Json, wanted: list[str] | None = None, *, simple: bool = False) -> Json:
    """Return a record as the wire gives it."""
    out: Json = {}
    for name, spec in OBJECTS[api].items():
        if wanted is not None and name not in wanted:
            continue
        value = doc.get(name)
        if simple and spec.kind == "count":
            continue
        if spec.kind in PEOPLE and value is not None:
            people = [world.employee(number) for number in cast(list[str], value)]
            named = [{"id": _employee(call, p), "name": p["name"]} for p in people if p]
            out[name] = [p["id"] for p in named]
            out[f"{name}__l"] = named
            out[f"{name}__r"] = named[0] if named else None
        elif spec.kind == "object_reference":
            out[name] = value
            target = world.get(cast(str, spec.target), str(value)) if value else None
            out[f"{name}__r"] = target["name"] if target else None
            out[f"{name}__relation_ids"] = value
        else:
            out[name] = value
    return out if call.body.get("includeNull") is True else {n: v for n, v in out.items() if v is not None}


def _employee(call: Call, person: Json) -> object:
    return person["open_id"] if call.open_ids else person["number"]


def one(world: World, call: Call) -> Json:
    """Answer ``data/get``: a voided record is given, a deleted one is not."""
    api = call.api(world)
    doc = world.get(api, str(call.data.get("objectDataId") or ""))
    if doc is None or (doc["life_status"] == "invalid" and not world.switches.get_shows_voided):
        raise Refusal(world.switches.not_found_code)
    if not sees(world, call, doc):
        raise Refusal(world.switches.permission_code)
    return {"data": shown(world, call, api, doc)}


def query(world: World, call: Call) -> Json:
    """Answer ``data/query`` and ``findSimple``."""
    simple = call.path.endswith("findSimple")
    api, data = call.api(world, any_path=simple), call.data
    asked = data.get("search_query_info")
    if not isinstance(asked, dict):
        raise Refusal(BAD_PARAMETER)
    limit, offset = asked.get("limit"), asked.get("offset", 0)
    if type(limit) is not int or type(offset) is not int or not 0 < limit <= 100 or offset < 0:
        raise Refusal(BAD_PARAMETER)
    if offset > 10_000:
        raise Refusal(10013)
    if offset % limit:
        raise Refusal(BAD_PARAMETER)
    wanted = data.get("field_projection") if simple else asked.get("fieldProjection")
    if wanted is not None and not (isinstance(wanted, list) and all(isinstance(n, str) for n in wanted)):
        raise Refusal(BAD_PARAMETER)
    counting = data.get("find_explicit_total_num", True) is not False and call.body.get("need_return_count_num") is not False
    rows, in_order = _matching(world, call, api, asked)
    if not in_order or counting:
        found = list(rows)
        total, page = len(found), found[offset : offset + limit]
    else:
        total, page = 0, []
        for n, doc in enumerate(rows):
            if n >= offset:
                page.append(doc)
            if len(page) == limit:
                break
    return {
        "data": {
            "dataList": [shown(world, call, api, doc, wanted, simple=simple) for doc in page],
            "offset": offset, "limit": limit, "total": total if counting else 0,
        }
    }  # fmt: skip


def _matching(world: World, call: Call, api: str, asked: Json) -> tuple[Iterator[Json], bool]:
    """Return the records a query finds, and whether they come lazily in the order asked for."""
    filters, orders = asked.get("filters") or [], asked.get("orders") or []
    if not isinstance(filters, list) or not isinstance(orders, list):
        raise Refusal(BAD_PARAMETER)
    tests: list[Callable[[Json], bool]] = []
    after: str | None = None
    since: int | None = None
    looks_for_voided = False
    for f in filters:
        if not isinstance(f, dict) or not isinstance(f.get("field_values"), list):
            raise Refusal(BAD_PARAMETER)
        name, operator, values = f.get("field_name"), f.get("operator"), cast(list[object], f["field_values"])
        spec = OBJECTS[api].get(name) if isinstance(name, str) else None
        if spec is None:
            if world.switches.unknown_filter_ignored:
                continue
            raise Refusal(BAD_PARAMETER)
        if name in world.switches.ignored_filters:
            continue
        if spec.kind in PEOPLE:
            values = [_number(world, str(v)) for v in values]
        tests.append(_test(spec, operator, values, is_custom(api) or "/custom/" in call.path))
        if name == "_id" and operator == "GT":
            after = max(after or "", str(values[0]))
        if name == "last_modified_time" and operator in ("GT", "GTE", "BETWEEN"):
            since = int(str(values[0]))
        looks_for_voided |= name == "life_status" and operator in ("EQ", "IN") and "invalid" in values
        looks_for_voided |= name == "is_deleted" and operator == "EQ" and values[0] in (True, "true")
    voided = world.switches.voided_in_query
    with_voided = voided == "yes" or (voided == "filtered" and looks_for_voided)
    hidden = api == "PersonnelObj" and not world.switches.personnel_visible
    rows = (
        doc
        for doc in world.queried(api, after=after, since=since)
        if not hidden
        and (with_voided or doc["life_status"] != "invalid")
        and sees(world, call, doc)
        and all(test(doc) for test in tests)
    )
    if not orders or world.switches.order_ignored:  # no order promised: the latest change first, as a list on the screen is
        return iter(sorted(rows, key=lambda d: -cast(int, d["last_modified_time"]))), False
    if len(orders) == 1 and orders[0] == {"fieldName": "_id", "isAsc": True}:
        return rows, True
    found = list(rows)
    for order in reversed(orders):
        if not isinstance(order, dict) or order.get("fieldName") not in OBJECTS[api]:
            raise Refusal(BAD_PARAMETER)
        spec = OBJECTS[api][order["fieldName"]]
        found.sort(key=partial(_rank, spec), reverse=order.get("isAsc") is not True)
    return iter(found), False


def _rank(spec: FieldSpec, doc: Json) -> tuple[bool, Any]:
    value = doc[spec.name]
    return (False, 0) if value is None else (True, _value(spec, value))


def _number(world: World, given: str) -> str:
    person = world.employee(open_id=given) if given.startswith("FSUID_") else None
    return str(person["number"]) if person else given


def _value(spec: FieldSpec, value: object) -> Any:
    """Return a value in a form that compares: numbers as numbers, the rest as text."""
    if spec.kind in ("number", "currency", "count", "date", "date_time"):
        try:
            return Decimal(str(value))
        except InvalidOperation:
            raise Refusal(BAD_PARAMETER) from None
    return str(value).lower() if spec.kind == "true_or_false" else str(value)


def _test(spec: FieldSpec, operator: object, values: list[object], custom: bool) -> Callable[[Json], bool]:
    """Return the predicate of one filter."""
    name = spec.name
    if operator in ("IS", "ISN"):
        return lambda d: (d[name] in (None, "", [])) == (operator == "IS")
    wanted = [_value(spec, v) for v in values]
    if not wanted or (operator in ("BETWEEN", "NBETWEEN") and len(wanted) != 2):
        raise Refusal(BAD_PARAMETER)
    first = wanted[0]
    tests: dict[object, Callable[[Any], bool]] = {
        "EQ": lambda v: v == first, "GT": lambda v: v > first, "GTE": lambda v: v >= first,
        "LT": lambda v: v < first, "LTE": lambda v: v <= first, "IN": lambda v: v in wanted,
        "LIKE": lambda v: str(first) in str(v), "STARTWITH": lambda v: str(v).startswith(str(first)),
        "ENDWITH": lambda v: str(v).endswith(str(first)), "BETWEEN": lambda v: wanted[0] <= v <= wanted[-1],
        "CONTAINS" if custom else "HASANYOF": lambda v: v in wanted,
    }  # fmt: skip
    opposite = {"N": "EQ", "NIN": "IN", "NLIKE": "LIKE", "NBETWEEN": "BETWEEN", "NHASANYOF": "HASANYOF"}
    test = tests.get(opposite.get(str(operator), operator))
    if test is None:
        raise Refusal(BAD_PARAMETER)
    negative = str(operator) in opposite

    def holds(doc: Json) -> bool:
        value = doc[name]
        if value is None:
            return negative  # "not equal" finds empty values too
        found = any(test(_value(spec, v)) for v in (value if isinstance(value, list) else [value]))
        return found != negative

    return holds


def objects(_world: World, _call: Call) -> Json:
    """Answer ``object/list``."""
    rows = [
        {
            "describeApiName": api,
            "describeDisplayName": api,
            "defineType": "custom" if is_custom(api) else "package",
            "isActive": True,
        }
        for api in OBJECTS
    ]
    return {"data": {"objects": rows}}


def describe(world: World, call: Call) -> Json:
    """Answer ``object/describe``."""
    api = call.data.get("apiName")
    if not isinstance(api, str) or api not in OBJECTS:
        raise Refusal(world.switches.not_found_code)
    fields = {name: spec.describe() for name, spec in OBJECTS[api].items()}
    return {"data": {"describe": {"api_name": api, "display_name": api, "fields": fields}}}


def user_list(world: World, call: Call) -> Json:
    """Answer ``user/list`` and ``simpleList``: parameters and answer both at top level."""
    if call.body.get("departmentId") != 999999:
        raise Refusal(30007)
    full = call.path.endswith("/list")
    rows = []
    for p in world.employees():
        row: Json = {"openUserId": p["open_id"], "name": p["name"], "isStop": bool(p["stopped"])}
        rows.append(row | ({"mobile": p["mobile"], "departmentIds": [999998], "createTime": 1500000000000} if full else {}))
    return {"userList": rows}


def user_by_mobile(world: World, call: Call) -> Json:
    """Answer ``user/getByMobile``."""
    person = world.employee(mobile=str(call.body.get("mobile") or ""))
    if person is None:
        raise Refusal(30027)
    return {"empList": [{"openUserId": person["open_id"], "name": person["name"]}]}


def log(world: World, call: Call) -> Json:
    """Answer the change log of one record, the latest first."""
    data = call.data
    size, page = data.get("pageSize", 20), data.get("pageNumber", 1)
    if type(size) is not int or type(page) is not int or not 0 < size <= 100 or page < 1:
        raise Refusal(BAD_PARAMETER)
    rows = world.db.execute(
        "SELECT n, at, kind, employee FROM change_log WHERE api = ? AND id = ? AND at BETWEEN ? AND ? "
        "ORDER BY n DESC LIMIT ? OFFSET ?",
        (data.get("apiName"), data.get("objectId"), data.get("operationTimeFrom", 0),
         data.get("operationTimeTo", 1 << 53), size, size * (page - 1)),
    ).fetchall()  # fmt: skip
    entries = []
    for n, at, kind, number in rows:
        person = world.employee(number) or {"name": ""}
        entries.append(
            {"logID": str(n), "operationTime": at, "operationType": kind, "operationLabel": kind, "logMsg": kind,
             "owner": {"employeeID": number, "name": person["name"]}, "peerName": ""}
        )  # fmt: skip
    return {"data": {"logs": entries, "pageNumber": page, "pageSize": size}}
