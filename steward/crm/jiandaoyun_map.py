"""Proposes a mapping of a Jiandaoyun account: any app, form and widget that the key reaches.

There is no fixed customer in a no-code platform. Forms get their role from their names, columns from the labels that
people see. Which form a reference points at is not described anywhere: a filled value is looked up in the other forms,
and where none knows it the reference is left for a person to fill in.

Left to others: reading records (``steward.crm.jiandaoyun``), the words (``steward.crm.mapping``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from steward.crm.jiandaoyun import WRITABLE, plain
from steward.crm.jiandaoyun_wire import answer, code_of
from steward.crm.propose import Proposal, Proposed, object_names, role_of
from steward.crm.wire import Wire
from steward.errors import SchemaMismatchError
from steward.messages import N_

PAGE = 100
SAMPLES = 100
"""Records of a form that are looked at for a filled reference."""

TRIED = 5
"""Values of a reference that are looked up: any one of them may dangle."""

_REFERENCES = frozenset({"lookup", "linkobject", "linkdata"})
_LABELS = ("姓名", "名称", "客户名称", "公司名称", "联系人", "name", "title", "标题", "编号")
_STATUS = ("状态", "阶段", "status", "stage")
_AMOUNT = ("金额", "总金额", "amount", "total")
_OWNER = ("负责人", "归属人", "跟进人", "owner")
_EVENT = ("日期", "时间", "date")


def propose_forms(wire: Wire, *, apps: Sequence[str] = ()) -> Proposal:
    """Propose a mapping of every form.

    Parameters
    ----------
    apps : sequence of str
        Names or ids of the apps that are meant; empty: all that the key reaches.

    Raises
    ------
    SchemaMismatchError
        The key reaches no form.
    """
    forms = [form for app in _apps(wire, apps) for form in _forms(wire, app)]
    tables = [f"{f['app_id']}/{f['entry_id']}" for f in forms]
    # Names of forms make names of objects; two forms of one name get a number.
    names = object_names([f"{f.get('name', '')}\x00{t}" for f, t in zip(forms, tables, strict=True)])
    by_table = {t: _plain_name(n, str(f.get("name", ""))) for f, t, n in zip(forms, tables, names.values(), strict=True)}
    by_table = _distinct(by_table)
    left_out: dict[str, str] = {}
    objects: list[Proposed] = []
    for form, where in zip(forms, tables, strict=True):
        reply = wire.read("POST", "v5/app/entry/widget/list", json=_ids(form))
        if code_of(reply) is not None:
            left_out[where] = f"the key does not reach it (code {code_of(reply)})"
            continue
        widgets = [w for w in answer(reply, wire).get("widgets", ()) if isinstance(w, dict) and w.get("widgetName")]
        objects.append(_propose(wire, form, where, widgets, by_table))
    if not objects:
        raise SchemaMismatchError(
            N_("The key reaches no form of Jiandaoyun."), next_step=N_("Widen its scope by the app that holds the customers.")
        )
    return Proposal(objects, left_out, system="jiandaoyun")


def _propose(
    wire: Wire, form: Mapping[str, Any], where: str, widgets: Sequence[Mapping[str, Any]], names: Mapping[str, str]
) -> Proposed:
    title = str(form.get("name", ""))
    found = Proposed(names[where], where, "_id", role_of(title))
    found.remarks = [title, *(f"{w['widgetName']}: {w.get('label', '')} ({w.get('type', '')})" for w in widgets)]
    if found.role != "other":
        found.guesses.append(f"role {found.role}")
    found.words = {"created": "createTime", "modified": "updateTime", "version": "updateTime"}
    labels = {str(w.get("label", "")): w for w in widgets}
    for word, known, kinds in (
        ("amount", _AMOUNT, ("number",)), ("owner", _OWNER, ("user",)), ("event", _EVENT, ("datetime",)),
    ):  # fmt: skip
        hit = next(
            (w for label, w in labels.items() if w.get("type") in kinds and any(k in label.lower() for k in known)), None
        )
        if hit is not None:
            found.words[word] = str(hit["widgetName"])
            found.guesses.append(f"{word} {hit.get('label', '')}")
    found.label = [str(w["widgetName"]) for label, w in labels.items() if any(k in label.lower() for k in _LABELS)][:2]
    found.writable = [str(w["widgetName"]) for w in widgets if can_write(w)]
    status = next((w for label, w in labels.items() if any(k in label.lower() for k in _STATUS)), None)
    found.status = str(status["widgetName"]) if status is not None else None
    samples = _samples(wire, form) if any(w.get("type") in _REFERENCES for w in widgets) else []
    for widget in widgets:
        for column in widget.get("items") or ():
            if isinstance(column, dict) and column.get("type") in _REFERENCES:
                found.guesses.append(
                    f"{column.get('widgetName')} refers from inside a subform; it holds a deletion back, and is not moved by a merge"
                )
        if widget.get("type") not in _REFERENCES:
            continue
        name = str(widget["widgetName"])
        target = _target(wire, widget, samples, names)
        if target is None:
            found.guesses.append(f"{name} refers to a form that no value tells; fill it in under parents")
        else:
            found.parents[name], found.on_delete[name] = target, "block"
            found.guesses.append(f"parent {name}")
    return found


def can_write(widget: Mapping[str, Any]) -> bool:
    """Say whether a call may set a field and lose nothing; a subform only where all its columns can be written."""
    if widget.get("type") == "subform":
        columns = [c for c in widget.get("items") or () if isinstance(c, dict)]
        return bool(columns) and all(c.get("type") in WRITABLE for c in columns)
    return widget.get("type") in WRITABLE


def _target(
    wire: Wire, widget: Mapping[str, Any], samples: Sequence[Mapping[str, Any]], names: Mapping[str, str]
) -> str | None:
    """Return the object whose form knows one of the values."""
    kind = str(widget.get("type"))
    said = [s.get(str(widget.get("name")), s.get(str(widget["widgetName"]))) for s in samples]
    values = [v for v in (plain(kind, s) for s in said) if isinstance(v, str) and re.fullmatch(r"[0-9a-f]{24}", v)]
    linked = next((s.get("link_form") for s in said if isinstance(s, dict) and s.get("link_form")), None)
    for where, name in names.items():
        if linked is not None and where.endswith(f"/{linked}"):
            return name
    for value in list(dict.fromkeys(values))[:TRIED]:
        for where, name in names.items():
            app, _, entry = where.partition("/")
            reply = wire.read("POST", "v5/app/entry/data/get", json={"app_id": app, "entry_id": entry, "data_id": value})
            row = reply.json().get("data") if reply.status == 200 else None
            if isinstance(row, dict) and row.get("_id") == value and row.get("entryId", entry) == entry:
                return name
    return None


def _samples(wire: Wire, form: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    reply = wire.read("POST", "v5/app/entry/data/list", json={**_ids(form), "limit": SAMPLES})
    rows = answer(reply, wire).get("data") if code_of(reply) is None else []
    return [r for r in rows or () if isinstance(r, dict)]


def _apps(wire: Wire, wanted: Sequence[str]) -> Iterator[str]:
    for app in _all(wire, "v5/app/list", {}, "apps"):
        if not wanted or app.get("app_id") in wanted or app.get("name") in wanted:
            yield str(app["app_id"])


def _forms(wire: Wire, app: str) -> Iterator[Mapping[str, Any]]:
    for form in _all(wire, "v5/app/entry/list", {"app_id": app}, "forms"):
        yield {**form, "app_id": app}


def _all(wire: Wire, path: str, body: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    skip = 0
    while True:
        rows = answer(wire.read("POST", path, json={**body, "skip": skip, "limit": PAGE}), wire).get(name) or []
        yield from rows
        skip += len(rows)
        if not rows:
            return


def _ids(form: Mapping[str, Any]) -> dict[str, str]:
    return {"app_id": str(form["app_id"]), "entry_id": str(form["entry_id"])}


def _plain_name(name: str, title: str) -> str:
    role = role_of(title)
    ascii_name = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
    if ascii_name and ascii_name[0].isalpha():
        return ascii_name[:50]
    return role if role != "other" else name.split("_")[0] or "form"


def _distinct(names: Mapping[str, str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for where, name in names.items():
        candidate, n = name, 2
        while candidate in given.values():
            candidate, n = f"{name}_{n}", n + 1
        given[where] = candidate
    return given
