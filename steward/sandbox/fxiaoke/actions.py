"""Calls of the Fxiaoke sandbox that change: void, delete, recover, create, update, change of owner, lock.

Success says nothing about single records, as with the vendor: who sent a list must read afterwards. Left to others:
who may call and what breaks on the way (``gateway``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import cast

from steward.sandbox.fxiaoke.objects import OBJECTS, Json
from steward.sandbox.fxiaoke.reading import BAD_PARAMETER, PEOPLE, Call, sees
from steward.sandbox.fxiaoke.world import Refusal, World

Change = Callable[[Json], None]
_GIVEN = ("_id", "create_time", "created_by", "last_modified_by", "last_modified_time", "life_status", "is_deleted", "version",
          "life_status_before_invalid", "lock_status")  # fmt: skip


def _editable(world: World, call: Call, api: str, key: object) -> Json:
    """Return the record to change, or refuse: unknown or deleted, or not this employee's."""
    doc = world.get(api, key) if isinstance(key, str) else None
    if doc is None:
        raise Refusal(world.switches.not_found_code)
    if call.employee in world.switches.limited_users or not sees(world, call, doc):
        raise Refusal(world.switches.permission_code)
    return doc


def _check_void(world: World, doc: Json) -> None:
    switches = world.switches
    if doc["life_status"] == "invalid":
        if not switches.repeat_void_is_ok:
            raise Refusal(switches.state_code)
    elif switches.void_needs_normal and doc["life_status"] != "normal":
        raise Refusal(switches.state_code)
    if switches.void_refuses_locked and doc["lock_status"] == "1":
        raise Refusal(switches.locked_code)


def _void(world: World, call: Call, api: str, doc: Json) -> None:
    if doc["life_status"] == "invalid":
        return
    if world.switches.approval_on_void:
        doc["life_status"] = world.switches.approval_status
        kind = "approval"
    else:
        doc.update(life_status_before_invalid=doc["life_status"], life_status="invalid", is_deleted=True)
        kind = "invalid"
    world.touch(doc, call.employee, moves=world.switches.void_moves_time, names=world.switches.void_names)
    world.put(api, doc)
    world.note(api, str(doc["_id"]), kind, call.employee)


def void(world: World, call: Call) -> Json:
    """Void one record; a list of ids is refused."""
    api = call.api(world)
    doc = _editable(world, call, api, call.data.get("object_data_id"))
    _check_void(world, doc)
    _void(world, call, api, doc)
    return {}


def void_many(world: World, call: Call) -> Json:
    """Void records of a custom object."""
    api = call.api(world)
    _each(world, call, api, lambda doc: _check_void(world, doc), lambda doc: _void(world, call, api, doc))
    return {}


def _each(world: World, call: Call, api: str, check: Change, act: Change) -> None:
    """Check all and then act on all; with partial lists, act on those that pass and answer success all the same."""
    ids = call.data.get("idList")
    if not isinstance(ids, list) or not all(isinstance(key, str) for key in ids):
        raise Refusal(BAD_PARAMETER)
    if not 0 < len(ids) <= world.switches.list_limit:
        raise Refusal(BAD_PARAMETER)
    good: list[Json] = []
    for key in dict.fromkeys(ids):
        try:
            doc = _editable(world, call, api, key)
            check(doc)
            good.append(doc)
        except Refusal:
            if not world.switches.partial_lists:
                raise
    for doc in good:
        act(doc)


def _voided(world: World, doc: Json) -> None:
    if doc["life_status"] != "invalid":
        raise Refusal(world.switches.state_code)


def delete(world: World, call: Call) -> Json:
    """Delete voided records for good."""
    api = call.api(world)

    def act(doc: Json) -> None:
        world.drop(api, str(doc["_id"]))
        world.note(api, str(doc["_id"]), "delete", call.employee)

    _each(world, call, api, lambda doc: _voided(world, doc), act)
    return {}


def recover(world: World, call: Call) -> Json:
    """Give voided records the status they had."""
    api = call.api(world)

    def act(doc: Json) -> None:
        doc.update(life_status=doc["life_status_before_invalid"] or "normal", life_status_before_invalid=None, is_deleted=False)
        world.touch(doc, call.employee, moves=world.switches.void_moves_time, names=world.switches.void_names)
        world.put(api, doc)
        world.note(api, str(doc["_id"]), "recover", call.employee)

    _each(world, call, api, lambda doc: _voided(world, doc), act)
    return {}


def _known(world: World, api: str, given: object) -> dict[str, object]:
    """Return the values of a create or update; unknown and derived names are refused, given ones left out."""
    if not isinstance(given, dict):
        raise Refusal(BAD_PARAMETER)
    values = {n: v for n, v in given.items() if n not in ("dataObjectApiName", "object_describe_api_name", "_id")}
    if not values.keys() <= OBJECTS[api].keys():
        raise Refusal(BAD_PARAMETER)
    kept: dict[str, object] = {}
    for name, value in values.items():
        kind = OBJECTS[api][name].kind
        if name in _GIVEN or kind == "count":
            continue
        if world.switches.null_clears == "empty":
            if value is None:
                continue
            kept[name] = None if value == "" else _stored(world, kind, value)
        else:
            kept[name] = _stored(world, kind, value)
    return kept


def _stored(world: World, kind: str, value: object) -> object:
    """Return a value as it is stored, refusing one of another type than the field's."""
    if value is None:
        return None
    if kind in PEOPLE:
        return _numbers(world, value)
    lists, moments = ("select_many", "file_attachment", "department"), ("date", "date_time")
    if (kind in lists) != isinstance(value, list) or (kind in moments) != (type(value) is int):
        raise Refusal(BAD_PARAMETER)
    if kind == "true_or_false" and not isinstance(value, bool):
        raise Refusal(BAD_PARAMETER)
    if kind in ("number", "currency"):
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            raise Refusal(BAD_PARAMETER) from None
        return f"{number:.2f}" if world.switches.rewrites_numbers else str(value)
    return value


def _flows(world: World, call: Call, api: str, doc: Json, kind: str) -> bool:
    """Run workflow and approval unless the call turns them off; True where the change waits for approval."""
    if call.body.get("triggerWorkFlow") is not False:
        world.note(api, str(doc["_id"]), "workflow", call.employee)
    if not world.switches.approval_on_edit or call.body.get("triggerApprovalFlow") is False:
        return False
    doc["life_status"] = "under_review" if kind == "create" else world.switches.approval_status
    world.note(api, str(doc["_id"]), "approval", call.employee)
    return True


def _named(world: World, call: Call) -> tuple[str, dict[str, object]]:
    """Return object and values of a call whose api name stands inside ``object_data``."""
    given = call.data.get("object_data")
    if not isinstance(given, dict):
        raise Refusal(BAD_PARAMETER)
    inside = Call(call.path, {"data": {"dataObjectApiName": given.get("dataObjectApiName")}}, call.employee, call.open_ids)
    return inside.api(world), given


def _numbers(world: World, given: object) -> list[str]:
    """Return employee numbers of a list of employees, refusing unknown and stopped ones."""
    if not isinstance(given, list) or not given:
        raise Refusal(BAD_PARAMETER)
    found = []
    for value in given:
        person = world.employee(open_id=str(value)) if str(value).startswith("FSUID_") else world.employee(str(value))
        if person is None or person["stopped"]:
            raise Refusal(30027)
        found.append(str(person["number"]))
    return found


def create(world: World, call: Call) -> Json:
    """Make a record; its id is always new."""
    api, given = _named(world, call)
    values, now = _known(world, api, given), world.now_ms()
    if not isinstance(values.get("name"), str):
        raise Refusal(BAD_PARAMETER)
    made = call.body.get("hasSpecifyTime") is True and given.get("create_time")
    author = call.body.get("hasSpecifyCreatedBy") is True and given.get("created_by")
    (n,) = world.db.execute("SELECT coalesce(max(n), 0) FROM change_log").fetchone()
    key = hashlib.sha256(f"{api}/{now}/{n}".encode()).hexdigest()[:24]
    doc: Json = dict.fromkeys(OBJECTS[api])
    owner = _numbers(world, values["owner"]) if values.get("owner") else [call.employee]
    doc.update(values)
    doc.update(
        _id=key, owner=owner, create_time=made if type(made) is int else now,
        last_modified_time=made if type(made) is int and world.switches.specified_time_is_change else now,
        created_by=_numbers(world, author) if author else [call.employee], last_modified_by=[call.employee],
        life_status="normal", lock_status="0", is_deleted=False, version="1", record_type=values.get("record_type") or "default__c",
    )  # fmt: skip
    _flows(world, call, api, doc, "create")
    world.put(api, doc)
    world.note(api, key, "create", call.employee)
    return {"dataId": key} if world.switches.create_tells_id else {}


def update(world: World, call: Call) -> Json:
    """Change fields of a record that is not voided; the owner has a call of its own."""
    api, given = _named(world, call)
    doc = _editable(world, call, api, given.get("_id"))
    values = _known(world, api, given)
    if "owner" in values:
        raise Refusal(BAD_PARAMETER)
    if doc["life_status"] == "invalid":
        raise Refusal(world.switches.state_code)
    if doc["lock_status"] == "1" and call.data.get("skipDataStatusValidate") is not True:
        raise Refusal(world.switches.locked_code)
    if api == "PersonnelObj":
        if not world.switches.personnel_editable:
            raise Refusal(world.switches.permission_code)
        if "status" in values:
            world.db.execute("UPDATE employee SET stopped = ? WHERE number = ?", (int(values["status"] == "1"), doc["user_id"]))
    if not _flows(world, call, api, doc, "update"):
        doc.update(values)
    world.touch(doc, call.employee)
    world.put(api, doc)
    world.note(api, str(doc["_id"]), "update", call.employee)
    return {}


def change_owner(world: World, call: Call) -> Json:
    """Give records to other employees."""
    api, moves = call.api(world), call.data.get("Data")
    if not isinstance(moves, list) or not moves or not all(isinstance(m, dict) for m in moves):
        raise Refusal(BAD_PARAMETER)
    planned = [(_editable(world, call, api, m.get("objectDataId")), _numbers(world, m.get("ownerId"))) for m in moves]
    for doc, owner in planned:
        if doc["life_status"] == "invalid":
            raise Refusal(world.switches.state_code)
        doc["owner"] = owner
        world.touch(doc, call.employee)
        world.put(api, doc)
        world.note(api, str(doc["_id"]), "changeOwner", call.employee)
    return {}


def lock(world: World, call: Call) -> Json:
    """Lock or unlock records."""
    api, ids = call.api(world, any_path=True), call.data.get("dataIds")
    if not isinstance(ids, list) or not ids:
        raise Refusal(BAD_PARAMETER)
    status = "0" if call.path.endswith("unlock") else "1"
    for doc in [_editable(world, call, api, key) for key in cast(list[object], ids)]:
        doc["lock_status"] = status
        world.touch(doc, call.employee)
        world.put(api, doc)
        world.note(api, str(doc["_id"]), "lock" if status == "1" else "unlock", call.employee)
    return {}
