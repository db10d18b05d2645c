"""Creating, changing, deleting, relating: the vendor's rules, and the relations a delete leaves behind.

Left to others: HTTP (``answering``), storage (``state``).
"""

from __future__ import annotations

from steward.sandbox.copper.search import Invalid
from steward.sandbox.copper.shapes import ALLOWED_RELATIONS, PLURAL, SINGULAR, WRITABLE, bad_id, empty, label
from steward.sandbox.copper.state import Body, State

_ID_FIELDS = ("assignee_id", "company_id", "primary_contact_id", "contact_type_id", "customer_source_id", "user_id")
_FIELD_OF = {
    ("people", "companies"): "company_id",
    ("opportunities", "companies"): "company_id",
    ("opportunities", "people"): "primary_contact_id",
}
_DELETE_OF = {
    ("people", "company_id"): "people.company",
    ("opportunities", "company_id"): "opportunity.company",
    ("opportunities", "primary_contact_id"): "opportunity.primary_contact",
}


class Refused(Exception):
    """A switch says that this delete is refused because of what hangs on the record."""


def check(state: State, kind: str, body: Body, *, changing: int | None = None) -> None:
    """Check the body of a create or an update.

    Raises
    ------
    Invalid
        All problems at once.
    """
    dates = () if changing else ("date_created", "date_modified")
    problems = [
        f"Base: Unrecognized attributes specified: {key}" for key in body if key not in WRITABLE[kind] and key not in dates
    ]
    if kind == "activities":
        if not changing and not isinstance(body.get("parent"), dict):
            problems.append("Parent: can't be blank")
        if (body.get("type") or {}).get("category") == "system":
            problems.append("Type: System activities are read only")
    elif (not changing or "name" in body) and not str(body.get("name") or "").strip():
        problems.append("Name: can't be blank")
    problems += [bad for key in _ID_FIELDS if body.get(key) is not None and (bad := bad_id(key, body[key]))]
    if kind == "people":
        mails = {str(one.get("email", "")).lower() for one in body.get("emails") or [] if isinstance(one, dict)}
        for mail in sorted(mails - {""}):
            held = state.query(
                "SELECT 1 FROM record WHERE kind = 'people' AND body IS NOT NULL AND id IS NOT ? AND EXISTS "
                "(SELECT 1 FROM json_each(body, '$.emails') e WHERE lower(json_extract(e.value, '$.email')) = ?)",
                changing, mail,
            )  # fmt: skip
            if held:
                problems.append("Emails: has already been taken")
    if kind == "companies" and body.get("email_domain"):
        held = state.query(
            "SELECT 1 FROM record WHERE kind = 'companies' AND body IS NOT NULL AND id IS NOT ? "
            "AND lower(json_extract(body, '$.email_domain')) = ?",
            changing, str(body["email_domain"]).lower(),
        )  # fmt: skip
        if held:
            problems.append("Email Domain: has already been taken")
    for key in ("tags", "emails", "phone_numbers", "websites", "socials", "custom_fields"):
        if key in body and body[key] is not None and not isinstance(body[key], list):
            problems.append(f"{label(key)}: must be an array")
    if problems:
        raise Invalid(*problems)


def create(state: State, kind: str, body: Body) -> Body:
    """Create a record under a new id and return it."""
    check(state, kind, body)
    now = int(state.now())
    made = {**empty(kind), **body, "id": state.new_id(kind)}
    if not (state.switches.keep_given_dates and body.get("date_created")):
        made["date_created"] = made["date_modified"] = now
    made["date_modified"] = made["date_modified"] or now
    if kind == "activities":
        made["activity_date"] = made["activity_date"] or now
    state.put(kind, made)
    return made


def update(state: State, kind: str, id_: int, body: Body) -> Body | None:
    """Change only what the body names; null clears. Custom fields are changed one by one."""
    held = state.get(kind, id_)
    if held is None:
        return None
    if held.get("is_deleted") or (kind == "activities" and (held.get("type") or {}).get("category") == "system"):
        raise Invalid("Base: This activity cannot be edited")
    check(state, kind, body, changing=id_)
    changes = {key: [] if value is None and isinstance(held.get(key), list) else value for key, value in body.items()}
    if "custom_fields" in changes:
        values = {one["custom_field_definition_id"]: one["value"] for one in held["custom_fields"]}
        values.update({one["custom_field_definition_id"]: one.get("value") for one in changes["custom_fields"]})
        if state.switches.custom_fields == "replace":
            named = {one["custom_field_definition_id"] for one in changes["custom_fields"]}
            values = {number: value if number in named else None for number, value in values.items()}
        changes["custom_fields"] = [{"custom_field_definition_id": n, "value": value} for n, value in values.items()]
    if state.switches.parent_by_update == "ignored":
        changes = {key: value for key, value in changes.items() if key not in ("related_resource", "parent")}
    if "tags" in changes and state.switches.tags == "add":
        changes["tags"] = list(dict.fromkeys([*held["tags"], *changes["tags"]]))
    return state.change(kind, id_, changes)


def delete(state: State, kind: str, id_: int) -> Body | None:
    """Delete for good; nothing when there is no such record.

    Raises
    ------
    Refused
        A switch refuses because of what hangs on it. Nothing was changed then.
    """
    held = state.get(kind, id_)
    if held is None:
        return None
    stub = {"id": id_, "is_deleted": True}
    if kind == "activities":
        state.put(kind, stub)
        return stub
    hanging = list(_hanging(state, kind, id_))
    policies = state.switches.on_delete
    if any(policies[relation] == "refuse" for relation, *_ in hanging):
        raise Refused
    for relation, child, child_id, field in hanging:
        if policies[relation] == "null":
            state.change(child, child_id, {field: None})
        elif policies[relation] == "cascade":
            delete(state, child, child_id)
    state.drop(kind, id_)
    state.query("DELETE FROM relation WHERE (a = ?1 AND a_id = ?2) OR (b = ?1 AND b_id = ?2)", kind, id_)
    state.query("DELETE FROM link WHERE (a = ?1 AND a_id = ?2) OR (b = ?1 AND b_id = ?2)", kind, id_)
    return stub


def _hanging(state: State, kind: str, id_: int) -> list[tuple[str, str, int, str]]:
    found = []
    for (child, parent), field in _FIELD_OF.items():
        if parent == kind:
            found += [(_DELETE_OF[child, field], child, n, field) for n in _where(state, child, field, id_)]
    for child, field, relation in (("tasks", "related_resource", "task.related"), ("activities", "parent", "activity.parent")):
        for n in _where(state, child, f"{field}.id", id_):
            if ((state.get(child, n) or {}).get(field) or {}).get("type") == SINGULAR[kind]:
                found.append((relation, child, n, field))
    return found


def _where(state: State, kind: str, field: str, id_: int) -> list[int]:
    rows = state.query(f"SELECT id FROM record WHERE kind = ? AND json_extract(body, '$.{field}') = ? ORDER BY id", kind, id_)  # noqa: S608 - names are literals of this module
    return [row[0] for row in rows]


def related(state: State, kind: str, id_: int, only: str | None = None) -> list[Body]:
    """Return identifiers of what is linked, without activities and connect fields."""
    held = state.get(kind, id_) or {}
    found: set[tuple[str, int]] = set()
    for (child, parent), field in _FIELD_OF.items():
        if child == kind and held.get(field):
            found.add((parent, held[field]))
        if parent == kind:
            found |= {(child, n) for n in _where(state, child, field, id_)}
    if kind == "tasks" and held.get("related_resource"):
        found.add((PLURAL[held["related_resource"]["type"]], held["related_resource"]["id"]))
    found |= {("tasks", n) for relation, _, n, _ in _hanging(state, kind, id_) if relation == "task.related"}
    for a, a_id, b, b_id in state.query(
        "SELECT * FROM relation WHERE (a = ?1 AND a_id = ?2) OR (b = ?1 AND b_id = ?2)", kind, id_
    ):
        found.add((b, b_id) if (a, a_id) == (kind, id_) else (a, a_id))
    return [{"id": n, "type": SINGULAR[other]} for other, n in sorted(found) if only in (None, other)]


def _other(state: State, body: Body) -> tuple[str, int]:
    resource = body.get("resource")
    if not isinstance(resource, dict) or resource.get("type") not in PLURAL:
        raise Invalid("Resource: is invalid")
    if problem := bad_id("id", resource.get("id")):
        raise Invalid(problem)
    other = PLURAL[resource["type"]]
    if state.get(other, resource["id"]) is None:
        raise Invalid("Resource: not found")
    return other, resource["id"]


def relate(state: State, kind: str, id_: int, body: Body) -> Body:
    """Link two records."""
    other, other_id = _other(state, body)
    if frozenset((kind, other)) not in ALLOWED_RELATIONS:
        raise Invalid("Base: This relation is not allowed")
    if {"id": other_id, "type": SINGULAR[other]} in related(state, kind, id_):
        return {"resource": body["resource"]}
    for (one, one_id), (two, two_id) in (((kind, id_), (other, other_id)), ((other, other_id), (kind, id_))):
        if one == "tasks":
            if (state.get(one, one_id) or {}).get("related_resource"):
                raise Invalid("Base: A task can be related to one record only")
            state.change(one, one_id, {"related_resource": {"id": two_id, "type": SINGULAR[two]}})
            return {"resource": body["resource"]}
        if (one, two) == ("people", "companies"):
            if (state.get(one, one_id) or {}).get("company_id"):
                raise Invalid("Base: A person can be related to one company only")
            state.change(one, one_id, {"company_id": two_id, "company_name": (state.get(two, two_id) or {}).get("name")})
            return {"resource": body["resource"]}
    state.query("INSERT INTO relation VALUES (?, ?, ?, ?)", kind, id_, other, other_id)
    return {"resource": body["resource"]}


def unrelate(state: State, kind: str, id_: int, body: Body) -> Body | None:
    """Take a link away and delete nothing; nothing when the two are not linked."""
    other, other_id = _other(state, body)
    if {"id": other_id, "type": SINGULAR[other]} not in related(state, kind, id_):
        return None
    for (one, one_id), (two, two_id) in (((kind, id_), (other, other_id)), ((other, other_id), (kind, id_))):
        held = state.get(one, one_id) or {}
        field = _FIELD_OF.get((one, two))
        if field and held.get(field) == two_id:
            state.change(one, one_id, {field: None})
        if one == "tasks" and held.get("related_resource") == {"id": two_id, "type": SINGULAR[two]}:
            state.change(one, one_id, {"related_resource": None})
        state.query("DELETE FROM relation WHERE a = ? AND a_id = ? AND b = ? AND b_id = ?", one, one_id, two, two_id)
    return {"removed": True, "resource": body["resource"]}
