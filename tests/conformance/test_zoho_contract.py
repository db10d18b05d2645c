"""The sandbox's answers against facts of Zoho's published OpenAPI, and that these facts would notice a wrong answer.

Every call of the other conformance tests passes the same check (``Caller``), and so does every answer the writer's tests get
(``Watched``); here each operation is asked once more in each form that the vendor leaves open.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from steward.sandbox.zoho.app import ROUTES
from tests.support.vendor_sandbox import serve
from tests.support.zoho_contract import OPERATIONS, Broken, check
from tests.support.zoho_sandbox import Caller, Fresh


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Fresh]]:
    fresh = Fresh(60)
    with serve(fresh) as address:
        yield address, fresh


@pytest.fixture
def crm(server: tuple[str, Fresh]) -> Iterator[Caller]:
    address, fresh = server
    caller = Caller(address, fresh.renew())
    yield caller
    caller.http.close()


FORMS: tuple[dict[str, Any], ...] = (
    {},
    {"api": "v7", "zone_minutes": -480, "missing_single": 400, "count_text": True},
    {"param_key": "param_name", "bin_module": "string", "job_key": "job_id", "server_error": "INTERNAL_SERVER_ERROR"},
    {"verdict": "resource_path_index", "shuffle": True, "guard_shape": "top", "expired_code": "INVALID_OAUTHTOKEN"},
    {"bulk_threshold": 0, "guard": "if-modified-since", "note_moves": "refused", "cascade": ["Accounts>Contacts"]},
)


@pytest.mark.parametrize("form", FORMS, ids=lambda f: "+".join(f) or "default")
def test_every_operation_answers_as_the_contract_says_in_every_form(crm: Caller, form: dict[str, Any]) -> None:
    crm.control("switches", **form)
    a, b, c, d = crm.ids("Contacts", 4)
    version = crm.state.switches["api"]
    asked: set[tuple[str, str]] = set()

    def ask(method: str, path: str, **parts: Any) -> httpx.Response:
        asked.add((method, path.split("?")[0]))
        return crm(
            method,
            f"/crm/{version}/{path}" if not path.startswith("bulk") else f"/crm/{path.replace('/', f'/{version}/', 1)}",
            **parts,
        )

    for path in ("org", "settings/modules", "settings/fields?module=Contacts", "settings/related_lists?module=Contacts", "users?type=AllUsers",
                 f"Contacts/{a}", "Contacts?fields=Last_Name,Modified_Time", "Contacts", "Nope?fields=id", "Contacts/x", "Contacts/123456789",
                 f"Contacts/actions/fetch_full_data?ids={a},{b}&fields=Visits,Background", "Contacts/actions/count", "Contacts/deleted",
                 "settings/recycle_bin", "settings/recycle_bin/1", "settings/recycle_bin/actions/count", f"Contacts/{a}/Deals?fields=Stage"):  # fmt: skip
        ask("GET", path)
    ask("POST", "coql", json={"select_query": f"select id, Owner, Modified_Time from Contacts where id in ('{a}','{b}')"})
    ask("POST", "coql", json={"select_query": "nonsense"})
    job = ask(
        "POST",
        "bulk/read",
        json={"query": {"module": {"api_name": "Contacts"}, "fields": ["id"], "page": 1}, "file_type": "csv"},
    )
    for _ in range(5):
        ask("GET", f"bulk/read/{job.json()['data'][0]['details']['id']}")
    ask("GET", f"bulk/read/{job.json()['data'][0]['details']['id']}/result")
    seen = ask("GET", f"Contacts/{a}").json()["data"][0]["Modified_Time"]
    for _ in range(2):
        ask(
            "PUT",
            f"Contacts/{a}",
            json={"data": [{"First_Name": "N"}]},
            headers={"If-Unmodified-Since": seen, "If-Modified-Since": seen},
        )
    note = crm.ids("Notes", 1)[0]
    ask("PUT", f"Notes/{note}", json={"data": [{"Parent_Id": {"id": a}}]})
    ask("PUT", "Contacts/1", json={"data": [{"First_Name": "N"}]})
    ask("POST", "Contacts", json={"data": [{"Last_Name": "N"}]})
    ask("POST", "Contacts", json={})
    ask(
        "POST",
        "Contacts/actions/change_owner",
        json={"ids": [a, "9"], "owner": {"id": ask("GET", "users").json()["users"][0]["id"]}},
    )
    for kind in ("RECORD_LOCKED", "NOT_APPROVED", "NO_PERMISSION"):
        crm.control("lock", id=c, kind=kind)
        for path in (f"Contacts?ids={c}", f"Contacts/{c}"):
            ask("DELETE", path)
        ask("PUT", f"Contacts/{c}", json={"data": [{"First_Name": "N"}]})
        ask("DELETE", f"Contacts?ids={c},{b}" if kind == "NO_PERMISSION" else f"Contacts?ids={c}&wf_trigger=false")
    ask("DELETE", "Contacts")
    ask("DELETE", "Contacts/77")
    ask("DELETE", f"Contacts?ids={a},77")
    for path in (
        "Contacts/deleted",
        "Contacts/deleted?type=x",
        "settings/recycle_bin",
        f"settings/recycle_bin/{a}",
        f"Contacts/{a}/__timeline",
    ):
        ask("GET", path)
    ask("POST", "settings/recycle_bin/actions/restore", json={"ids": [a, "77"]})
    ask("POST", f"settings/recycle_bin/{b}/actions/restore")
    ask("DELETE", f"Contacts/{d}")
    ask("DELETE", f"settings/recycle_bin?ids={d},77")
    ask("DELETE", "settings/recycle_bin/77")
    user = ask("GET", "users?type=ActiveUsers").json()["users"][-1]["id"]
    for status in ("inactive", "inactive", "active", "x"):
        ask("PUT", f"users/{user}", json={"users": [{"id": user, "status": status}]})
    crm.control("revoke")
    ask("GET", "org")
    assert len(asked) > 35


@pytest.mark.parametrize("kind", ["429", "500", "403"])
def test_a_fault_answers_as_the_contract_says(crm: Caller, kind: str) -> None:
    crm.control("faults", kind=kind)
    assert crm("GET", "org").status_code == int(kind)


def _changed(said: Any, change: Callable[[Any], None]) -> bytes:
    other = copy.deepcopy(said)
    change(other)
    return json.dumps(other).encode()


def _number(said: Any) -> None:
    said["data"][0]["details"]["id"] = int(said["data"][0]["details"]["id"])


def _code(said: Any) -> None:
    said["data"][0]["code"] = "DONE"


def _five_keys(said: Any) -> None:
    said["data"][0]["more"] = 1


def _no_id(said: Any) -> None:
    del said["data"][0]["details"]["id"]


def _zulu(said: Any) -> None:
    said["data"][0]["details"]["Modified_Time"] = "2026-01-01T00:00:00Z"


@pytest.mark.parametrize("change", [_number, _code, _five_keys, _no_id, _zulu])
def test_a_wrong_answer_is_noticed(crm: Caller, change: Callable[[Any], None]) -> None:
    a = crm.ids("Contacts", 1)[0]
    said = crm("PUT", f"Contacts/{a}", json={"data": [{"First_Name": "N"}]}).json()
    check("PUT", f"/crm/v8/Contacts/{a}", 200, json.dumps(said).encode())
    with pytest.raises(Broken):
        check("PUT", f"/crm/v8/Contacts/{a}", 200, _changed(said, change))


def test_a_status_that_does_not_fit_its_verdicts_is_noticed(crm: Caller) -> None:
    a, b = crm.ids("Contacts", 2)
    good = crm("DELETE", f"Contacts?ids={a}").content
    mixed = crm("DELETE", f"Contacts?ids={a},{b}").content
    path = "/crm/v8/Contacts"
    for status, body in ((207, mixed), (200, good)):
        check("DELETE", path, status, body)
    for status, body in ((200, mixed), (400, good), (204, good), (202, good)):
        with pytest.raises(Broken):
            check("DELETE", path, status, body)
    with pytest.raises(Broken):
        check("GET", "/crm/v8/settings/recycle_bin", 200, b'{"recycle_bin": [{"id": "1"}], "info": {}}')
    with pytest.raises(Broken):
        check("POST", "/crm/v8/coql", 200, b'{"data": [{"id": 1}], "info": {"count": 1, "more_records": false}}')


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r[0]} {r[1]}")
def test_the_facts_have_every_operation_that_the_sandbox_routes(route: tuple[Any, ...]) -> None:
    method, pattern = route[:2]
    path = pattern.replace("([A-Za-z_]+)", "Contacts").replace("([0-9]+)", "1").replace("([^/]+)", "1")
    assert [m for m, known, _ in OPERATIONS if m == method and re.fullmatch(known, path)]
