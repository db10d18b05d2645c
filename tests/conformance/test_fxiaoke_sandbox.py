"""The Fxiaoke sandbox against the checklist of its contract, over real HTTP and with a plain client.

One test per line of the checklist, and both settings of every switch that stands for something nobody has verified.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from steward.sandbox.fxiaoke import create_app
from steward.sandbox.fxiaoke.world import FAULTS, Switches
from tests.support.vendor_sandbox import serve

V2, CUSTOM = "/cgi/crm/v2/data/", "/cgi/crm/custom/v2/data/"
APP = {"appId": "FSAID_sandbox", "appSecret": "sandbox-secret", "permanentCode": "sandbox-code"}


class Client:
    """What a careful hand with curl would send."""

    def __init__(self, address: str, user: str = "1000") -> None:
        self.http = httpx.Client(base_url=address, timeout=10)
        self.user, self.token = user, ""

    def post(self, path: str, body: Any, **headers: str) -> Any:
        answer = self.http.post(path, params={"thirdTraceId": "0b1c"}, json=body, headers=headers)
        assert answer.status_code == 200
        return answer.json()

    def new_token(self, **changes: str) -> Any:
        return self.post("/oauth2.0/token", {**APP, "grantType": "app_secret", **changes})

    def call(self, path: str, data: Any, user: str = "", **top: Any) -> Any:
        if not self.token:
            self.token = self.new_token()["accessToken"]
        headers = {"authorization": f"Bearer {self.token}", "x-fs-ea": "sandbox01", "x-fs-userid": user or self.user}
        return self.post(path, {**top, "data": data}, **headers)

    def query(self, api: str, user: str = "", top: Any = None, count: bool = False, **info: Any) -> Any:
        path = (CUSTOM if api.endswith("__c") else V2) + "query"
        asked = {"limit": 100, "offset": 0, "orders": [{"fieldName": "_id", "isAsc": True}], **info}
        data = {"dataObjectApiName": api, "find_explicit_total_num": count, "search_query_info": asked}
        return self.call(path, data, user, **(top or {}))

    def first(self, api: str = "AccountObj", n: int = 1, **info: Any) -> list[str]:
        return [row["_id"] for row in self.query(api, limit=n, **info)["data"]["dataList"]]

    def act(self, verb: str, api: str, ids: Any, user: str = "") -> int:
        path = (CUSTOM if api.endswith("__c") else V2) + verb
        data = {"dataObjectApiName": api, ("object_data_id" if verb == "invalid" else "idList"): ids}
        code = self.call(path, data, user)["errorCode"]
        assert isinstance(code, int)
        return code

    def get(self, api: str, key: str, **top: Any) -> Any:
        path = (CUSTOM if api.endswith("__c") else V2) + "get"
        return self.call(path, {"dataObjectApiName": api, "objectDataId": key}, **top)

    def control(self, name: str, **body: Any) -> Any:
        answer = self.http.post(f"/_control/{name}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def stored(self, api: str) -> dict[str, Any]:
        return {r["_id"]: r for r in self.control("records", object=api)["records"]}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serve(create_app(customers=460, seed=3)) as at:
        yield at


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    found = Client(address)
    before = found.control("switches")
    found.control("clock", freeze=True, advance=60)  # empties every window
    yield found
    found.control("switches", **before)
    found.control("faults", clear=True)
    found.http.close()


# ------------------------------------------------------------------------------------------------ credentials


def test_the_token_is_the_same_for_6600_seconds_then_new_and_the_old_one_lives_to_7200(client: Client) -> None:
    client.control("clock", advance=7_300)
    first = client.new_token()
    assert (first["errorCode"], first["ea"], first["expiresIn"]) == (0, "sandbox01", 7200)
    client.control("clock", advance=6_600)
    again = client.new_token()
    assert (again["accessToken"], again["expiresIn"]) == (first["accessToken"], 600)
    client.control("clock", advance=1)
    second = client.new_token()
    assert second["accessToken"] != first["accessToken"]
    client.token = first["accessToken"]
    assert client.query("AccountObj")["errorCode"] == 0
    client.control("clock", advance=600)
    assert client.query("AccountObj")["errorCode"] == 20016
    client.token = second["accessToken"]
    assert client.query("AccountObj")["errorCode"] == 0


def test_the_old_style_carries_its_credentials_in_the_body(client: Client) -> None:
    given = client.post("/cgi/corpAccessToken/get/V2", APP)
    mobile = client.stored("PersonnelObj").popitem()[1]["phone"]
    top = {"corpAccessToken": given["corpAccessToken"], "corpId": given["corpId"]}
    user = client.post("/cgi/user/getByMobile", {**top, "mobile": mobile})["empList"][0]["openUserId"]
    info = {"limit": 5, "offset": 0}
    body = {**top, "data": {"dataObjectApiName": "AccountObj", "search_query_info": info}}
    answer = client.post(V2 + "query", {**body, "currentOpenUserId": user})
    assert answer["errorCode"] == 0
    assert all(row["owner"][0].startswith("FSUID_") for row in answer["data"]["dataList"])
    assert client.post(V2 + "query", {**body, "currentOpenUserId": "1000"})["errorCode"] == 30027


def test_wrong_credentials_answer_200_with_a_code(client: Client) -> None:
    assert client.new_token(appSecret="wrong")["errorCode"] == 10006
    assert client.new_token(appId="FSAID_x")["errorCode"] == 11001
    assert client.new_token(permanentCode="x")["errorCode"] == 11013
    assert client.post(V2 + "query", {"data": {}})["errorCode"] == 20017
    assert client.post(V2 + "query", {"data": {}}, authorization="Bearer bad")["errorCode"] == 20016


@pytest.mark.parametrize("code", [30004, 14001])
def test_the_token_call_refuses_an_eleventh_in_a_minute(client: Client, code: int) -> None:
    client.control("switches", token_limit_code=code)
    assert [client.new_token()["errorCode"] for _ in range(11)] == [0] * 10 + [code]
    client.control("clock", advance=60)
    assert client.new_token()["errorCode"] == 0


def test_token_calls_must_not_overlap(client: Client, address: str) -> None:
    client.control("switches", token_seconds=0.5, token_limit_code=14001)
    codes: list[int] = []

    def ask() -> None:
        other = Client(address)
        codes.append(other.new_token()["errorCode"])
        other.http.close()

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [0, 14001, 14001]


@pytest.mark.parametrize("needed", [True, False])
def test_a_good_token_without_a_trace_id(client: Client, needed: bool) -> None:
    client.control("switches", trace_id_required=needed)
    headers = {"authorization": f"Bearer {client.new_token()['accessToken']}", "x-fs-ea": "sandbox01", "x-fs-userid": "1000"}
    body = {"data": {"dataObjectApiName": "AccountObj", "search_query_info": {"limit": 1, "offset": 0}}}
    answer = client.http.post(V2 + "query", json=body, headers=headers).json()
    assert answer["errorCode"] == (15002 if needed else 0)


def test_a_limited_employee_sees_fewer_rows_and_may_void_nothing(client: Client) -> None:
    all_rows = client.query("AccountObj", count=True)["data"]["total"]
    owner = client.query("AccountObj", limit=1)["data"]["dataList"][0]["owner"][0]
    staff = client.stored("PersonnelObj").values()
    owner = next(p["user_id"] for p in staff if p["status"] == "0" and p["user_id"] != "1000") if owner == "1000" else owner
    active = next(p["user_id"] for p in staff if p["status"] == "0" and p["user_id"] != "1000")
    client.control("switches", limited_users=[active])
    mine = client.query("AccountObj", user=active, count=True)["data"]
    assert 0 < mine["total"] < all_rows
    assert all(row["owner"] == [active] for row in mine["dataList"])
    assert client.act("invalid", "AccountObj", mine["dataList"][0]["_id"], user=active) == 900403


@pytest.mark.parametrize("visible", [True, False])
def test_employees_as_an_object_may_be_invisible(client: Client, visible: bool) -> None:
    client.control("switches", personnel_visible=visible)
    assert bool(client.first("PersonnelObj")) is visible


def test_employees_are_listed_at_top_level(client: Client) -> None:
    headers = {"authorization": f"Bearer {client.new_token()['accessToken']}", "x-fs-ea": "sandbox01"}
    listed = client.post("/cgi/user/list", {"departmentId": 999999, "fetchChild": True}, **headers)["userList"]
    assert len(listed) == len(client.stored("PersonnelObj")) and {u["isStop"] for u in listed} == {True, False}
    assert client.post("/cgi/user/simpleList", {"departmentId": 1}, **headers)["errorCode"] == 30007


def test_an_unknown_path_answers_a_page(client: Client) -> None:
    for method, path in (("POST", "/cgi/crm/v2/data/unknown"), ("GET", V2 + "query"), ("POST", "/cgi/other")):
        answer = client.http.request(method, path, json={}, follow_redirects=False)
        assert answer.status_code == 302 and "html" in answer.headers["content-type"]


# ------------------------------------------------------------------------------------------------ reading


def test_paging_rules(client: Client) -> None:
    assert client.query("AccountObj", limit=101)["errorCode"] == 15002
    assert client.query("AccountObj", limit=100, offset=50)["errorCode"] == 15002
    assert client.query("AccountObj", limit=100, offset=10_100)["errorCode"] == 10013
    assert client.query("AccountObj", limit=100, offset=10_000)["errorCode"] == 0
    assert client.query("AccountObj", limit=0)["errorCode"] == 15002


def test_pages_by_id_give_every_record_once_and_ids_have_two_shapes(client: Client) -> None:
    client.control("switches", voided_in_query="yes")
    found: list[str] = []
    while True:
        after = [{"field_name": "_id", "operator": "GT", "field_values": [found[-1]]}] if found else []
        page = client.first("ContactObj", 100, filters=after)
        found += page
        if len(page) < 100:
            break
    assert found == sorted(client.stored("ContactObj")) and len(found) == 460
    assert {len(key) for key in found} == {24, 32}


def test_total_is_zero_where_the_count_is_off(client: Client) -> None:
    live = sum(r["life_status"] != "invalid" for r in client.stored("ContactObj").values())
    assert client.query("ContactObj", count=True)["data"]["total"] == live
    assert client.query("ContactObj", count=False)["data"]["total"] == 0
    assert client.query("ContactObj", count=True, top={"need_return_count_num": False})["data"]["total"] == 0


def test_empty_values_are_left_out_unless_asked_for(client: Client) -> None:
    key, whole = next((k, r) for k, r in client.stored("ContactObj").items() if r["account_id"] is None and not r["is_deleted"])
    assert "account_id" not in client.get("ContactObj", key)["data"]
    told = client.get("ContactObj", key, includeNull=True)["data"]
    assert told.keys() >= whole.keys() and told["account_id"] is None and told["account_id__r"] is None


def test_values_travel_as_the_contract_says(client: Client) -> None:
    order = client.query("SalesOrderObj", limit=1)["data"]["dataList"][0]
    assert isinstance(order["order_amount"], str) and isinstance(order["owner"], list)
    assert isinstance(order["create_time"], int) and order["create_time"] > 10**12
    assert isinstance(order["is_deleted"], bool) and order["owner__l"][0]["id"] == order["owner"][0]
    linked = next(r for r in client.query("SalesOrderObj")["data"]["dataList"] if "account_id" in r)
    assert linked["account_id__r"] == client.stored("AccountObj")[linked["account_id"]]["name"]
    opened = client.query("SalesOrderObj", limit=1, top={"convertUserId": True})["data"]["dataList"][0]
    assert opened["owner"][0].startswith("FSUID_")


def test_projection_gives_the_named_fields_alone(client: Client) -> None:
    row = client.query("AccountObj", limit=1, fieldProjection=["_id", "name"])["data"]["dataList"][0]
    assert row.keys() == {"_id", "name"}


@pytest.mark.parametrize(
    ("operator", "values", "holds"),
    [
        ("EQ", ["paid"], lambda v: v == "paid"),
        ("N", ["paid"], lambda v: v != "paid"),
        ("IN", ["paid", "open"], lambda v: v in ("paid", "open")),
        ("NIN", ["paid", "open"], lambda v: v not in ("paid", "open")),
        ("LIKE", ["ai"], lambda v: "ai" in v),
        ("NLIKE", ["ai"], lambda v: "ai" not in v),
        ("STARTWITH", ["o"], lambda v: v.startswith("o")),
        ("ENDWITH", ["e"], lambda v: v.endswith("e")),
        ("HASANYOF", ["paid"], lambda v: v == "paid"),
        ("IS", [], lambda v: not v),
        ("ISN", [], bool),
    ],
)
def test_filters(client: Client, operator: str, values: list[str], holds: Any) -> None:
    filters = [{"field_name": "status__c", "operator": operator, "field_values": values}]
    total = client.query("PaymentObj", count=True, filters=filters)["data"]["total"]
    assert total == sum(holds(r["status__c"]) for r in client.stored("PaymentObj").values())


def test_not_equal_finds_empty_values_and_amounts_compare_as_numbers(client: Client) -> None:
    stored = client.stored("PaymentObj").values()
    none = sum(r["payment_time"] is None for r in stored)
    differs = [{"field_name": "payment_time", "operator": "N", "field_values": ["1"]}]
    assert none and client.query("PaymentObj", count=True, filters=differs)["data"]["total"] == len(stored)
    big = [{"field_name": "payment_amount", "operator": "BETWEEN", "field_values": ["900", "10000"]}]
    assert client.query("PaymentObj", count=True, filters=big)["data"]["total"] == sum(
        900 <= float(r["payment_amount"]) <= 10_000 for r in stored
    )


def test_a_bad_filter_is_refused_or_fails_open_by_switch(client: Client) -> None:
    filters = [{"field_name": "nothing", "operator": "EQ", "field_values": ["x"]}]
    assert client.query("AccountObj", filters=filters)["errorCode"] == 15002
    client.control("switches", unknown_filter_ignored=True)
    assert client.first("AccountObj", 100, filters=filters) == client.first("AccountObj", 100) != []
    assert (
        client.query("AccountObj", filters=[{"field_name": "name", "operator": "IS NOT", "field_values": []}])["errorCode"]
        == 15002
    )


def test_incremental_reading_by_last_modified_time(client: Client) -> None:
    key = client.first()[0]
    client.control("clock", advance=10)
    now = client.control("clock")["now"]
    client.control("edit", object="AccountObj", id=key, fields={"name": "Changed by hand"})
    filters = [{"field_name": "last_modified_time", "operator": "GTE", "field_values": [str(now)]}]
    assert client.first(n=100, filters=filters) == [key]
    assert client.get("AccountObj", key)["data"]["name"] == "Changed by hand"


def test_a_custom_object_has_its_own_paths(client: Client) -> None:
    info = {"search_query_info": {"limit": 1, "offset": 0}}
    assert client.call(V2 + "query", {"dataObjectApiName": "x__c", **info})["errorCode"] == 900410
    assert client.call(CUSTOM + "query", {"dataObjectApiName": "AccountObj", **info})["errorCode"] == 900410
    client.control("switches", wrong_path_code=15002)
    assert client.call(V2 + "query", {"dataObjectApiName": "x__c", **info})["errorCode"] == 15002
    assert client.query("x__c", limit=1)["data"]["dataList"]
    simple = client.call(
        CUSTOM + "findSimple", {"dataObjectApiName": "AccountObj", "field_projection": ["name", "order_count__c"], **info}
    )
    assert simple["data"]["dataList"][0].keys() == {"name"}


def test_objects_and_fields_describe_themselves(client: Client) -> None:
    listed = client.call("/cgi/crm/v2/object/list", {})["data"]["objects"]
    assert [o["describeApiName"] for o in listed if o["defineType"] == "custom"] == ["x__c"]
    for entry in listed:
        api = entry["describeApiName"]
        told = client.call("/cgi/crm/v2/object/describe", {"apiName": api}, includeDetail=False)["data"]["describe"]["fields"]
        assert client.stored(api).popitem()[1].keys() == told.keys()
        if api != "PersonnelObj":
            assert any(f["type"] == "object_reference" for f in told.values()) or api == "AccountObj"


@pytest.mark.parametrize(("switch", "plain", "asked"), [("yes", True, True), ("no", False, False), ("filtered", False, True)])
def test_voided_records_in_a_query_by_switch(client: Client, switch: str, plain: bool, asked: bool) -> None:
    client.control("switches", voided_in_query=switch)
    voided = {k for k, r in client.stored("ContactObj").items() if r["life_status"] == "invalid"}
    key = min(voided)
    one = [{"field_name": "_id", "operator": "EQ", "field_values": [key]}]
    assert (client.first("ContactObj", filters=one) == [key]) is plain
    filters = [{"field_name": "life_status", "operator": "EQ", "field_values": ["invalid"]}]
    assert (set(client.first("ContactObj", 100, filters=filters)) == voided) is asked
    assert client.get("ContactObj", key)["data"]["life_status"] == "invalid"


# ------------------------------------------------------------------------------------------------ void, delete, recover


def test_void_delete_recover(client: Client) -> None:
    key, other = client.first(n=2, filters=[{"field_name": "life_status", "operator": "EQ", "field_values": ["normal"]}])
    assert client.act("delete", "AccountObj", [key]) == client.act("recover", "AccountObj", [key]) == 900409
    assert client.act("invalid", "AccountObj", [key]) != 0, "a list is refused"
    assert client.act("invalid", "AccountObj", key) == 0
    row = client.stored("AccountObj")[key]
    assert (row["life_status"], row["life_status_before_invalid"], row["is_deleted"]) == ("invalid", "normal", True)
    assert client.act("recover", "AccountObj", [key]) == 0
    row = client.stored("AccountObj")[key]
    assert (row["life_status"], row["life_status_before_invalid"], row["is_deleted"]) == ("normal", None, False)
    assert client.act("invalid", "AccountObj", key) == client.act("invalid", "AccountObj", other) == 0
    answer = client.call(V2 + "delete", {"dataObjectApiName": "AccountObj", "idList": [key, other]})
    assert answer.keys() == {"traceId", "errorCode", "errorMessage", "errorDescription"}, "no result per id"
    assert client.get("AccountObj", key)["errorCode"] == client.act("recover", "AccountObj", [key]) == 900404
    kinds = [e["operationType"] for e in history(client, "AccountObj", key)]
    assert kinds[:4] == ["delete", "invalid", "recover", "invalid"]


def history(client: Client, api: str, key: str) -> list[Any]:
    data = {
        "apiName": api,
        "objectId": key,
        "pageNumber": 1,
        "pageSize": 50,
        "operationTimeFrom": 0,
        "operationTimeTo": 9 * 10**12,
    }
    found = client.call("/cgi/crm/v2/object/getNewLogInfoListForWeb", data)["data"]["logs"]
    assert all(e["owner"]["employeeID"] and e["operationTime"] > 10**12 for e in found)
    return list(found)


@pytest.mark.parametrize("ok", [True, False])
@pytest.mark.parametrize("moves", [True, False])
def test_void_again_and_its_time_by_switch(client: Client, ok: bool, moves: bool) -> None:
    client.control("switches", repeat_void_is_ok=ok, void_moves_time=moves)
    key = client.first("LeadsObj")[0]
    before = client.stored("LeadsObj")[key]["last_modified_time"]
    assert client.act("invalid", "LeadsObj", key) == 0
    assert (client.stored("LeadsObj")[key]["last_modified_time"] > before) is moves
    assert client.act("invalid", "LeadsObj", key) == (0 if ok else 900409)


def test_void_refuses_what_is_not_normal_and_what_is_locked(client: Client) -> None:
    changing, locked = client.first("NewOpportunityObj", 2)
    client.control("edit", object="NewOpportunityObj", id=changing, fields={"life_status": "in_change"})
    data = {"dataObjectApiName": "NewOpportunityObj", "dataIds": [locked], "detailObjStrategy": 0}
    assert client.call("/cgi/crm/v2/object/lock", data)["errorCode"] == 0
    assert client.act("invalid", "NewOpportunityObj", changing) == 900409
    assert client.act("invalid", "NewOpportunityObj", locked) == 900423
    client.control("switches", void_needs_normal=False, void_refuses_locked=False)
    assert client.act("invalid", "NewOpportunityObj", changing) == client.act("invalid", "NewOpportunityObj", locked) == 0
    assert client.stored("NewOpportunityObj")[changing]["life_status_before_invalid"] == "in_change"


@pytest.mark.parametrize("status", ["in_change", "under_review"])
def test_an_approval_on_void_answers_0_and_leaves_the_record(client: Client, status: str) -> None:
    client.control("switches", approval_on_void=True, approval_status=status)
    key = client.first("PaymentObj")[0]
    assert client.act("invalid", "PaymentObj", key) == 0
    assert client.get("PaymentObj", key)["data"]["life_status"] == status
    client.control("edit", object="PaymentObj", id=key, fields={"life_status": "normal"})


@pytest.mark.parametrize("partial", [True, False])
def test_a_list_with_one_bad_id(client: Client, partial: bool) -> None:
    client.control("switches", partial_lists=partial)
    good, bad = client.first("SalesOrderObj", 2)
    assert client.act("invalid", "SalesOrderObj", good) == 0
    assert client.act("delete", "SalesOrderObj", [good, bad]) == (0 if partial else 900409)
    left = client.stored("SalesOrderObj")
    assert (good in left) is not partial and bad in left
    assert partial or client.act("recover", "SalesOrderObj", [good]) == 0


def test_custom_records_are_voided_in_lists_on_the_path_without_v2(client: Client) -> None:
    ids = client.first("x__c", 3)
    assert client.act("invalid", "x__c", ids) != 0
    assert client.call("/cgi/crm/custom/data/invalid", {"dataObjectApiName": "x__c", "idList": ids})["errorCode"] == 0
    assert all(client.stored("x__c")[key]["life_status"] == "invalid" for key in ids)
    assert client.act("delete", "x__c", ids) == 0 and not client.stored("x__c").keys() & set(ids)


# ------------------------------------------------------------------------------------------------ create, update, owner


def test_create_keeps_time_and_author_and_gives_a_new_id(client: Client) -> None:
    given = {
        "dataObjectApiName": "AccountObj",
        "name": "Acme",
        "create_time": 1500000000000,
        "created_by": ["1000"],
        "tel": "1",
    }
    key = client.call(V2 + "create", {"object_data": given}, hasSpecifyTime=True, hasSpecifyCreatedBy=True)["dataId"]
    row = client.get("AccountObj", key)["data"]
    assert (row["name"], row["create_time"], row["created_by"]) == ("Acme", 1500000000000, ["1000"])
    assert client.call(V2 + "create", {"object_data": {**given, "nothing": 1}})["errorCode"] == 15002
    assert client.call(V2 + "create", {"object_data": given})["dataId"] != key


def test_update_cannot_change_the_owner_but_change_owner_can(client: Client) -> None:
    key, staff = client.first("ContactObj")[0], client.stored("PersonnelObj").values()
    busy = next(p["user_id"] for p in staff if p["status"] == "0" and p["user_id"] != "1000")
    left = next(p["user_id"] for p in staff if p["status"] == "1")
    named = {"dataObjectApiName": "ContactObj", "_id": key}
    assert client.call(V2 + "update", {"object_data": {**named, "email": "a@b.example"}})["errorCode"] == 0
    assert client.call(V2 + "update", {"object_data": {**named, "owner": [busy]}})["errorCode"] == 15002
    move = {"dataObjectApiName": "ContactObj", "Data": [{"objectDataId": key, "ownerId": [busy]}]}
    assert client.call(V2 + "changeOwner", move)["errorCode"] == 0
    move["Data"] = [{"objectDataId": key, "ownerId": [left]}]
    assert client.call(V2 + "changeOwner", move)["errorCode"] == 30027
    row = client.stored("ContactObj")[key]
    assert (row["owner"], row["email"]) == ([busy], "a@b.example")


# ------------------------------------------------------------------------------------------------ limits, faults, the page


@pytest.mark.parametrize("code", [30004, 14001])
def test_a_hundred_calls_in_twenty_seconds_per_path(client: Client, code: int) -> None:
    client.control("switches", limit_code=code, calls_per_window=5)
    codes = [client.query("AccountObj", limit=1)["errorCode"] for _ in range(6)]
    assert codes == [0] * 5 + [code]
    assert client.get("AccountObj", "no")["errorCode"] == 900404, "another path has a window of its own"
    client.control("clock", advance=20)
    assert client.query("AccountObj", limit=1)["errorCode"] == 0
    assert client.control("switches", calls_per_window=100)["window_seconds"] == 20.0


def test_the_day_has_a_quota(client: Client) -> None:
    client.control("clock", advance=86_400)
    client.control("switches", daily_quota=2)
    assert [client.query("AccountObj", limit=1)["errorCode"] for _ in range(3)] == [0, 0, 30002]
    client.token = ""
    client.control("clock", advance=86_400)
    assert client.query("AccountObj", limit=1)["errorCode"] == 0
    client.control("switches", no_pack=True)
    assert client.query("AccountObj", limit=1)["errorCode"] == 30003


def test_faults_before_and_after_applying(client: Client) -> None:
    client.query("AccountObj", limit=1)
    key, second, third = client.first("LeadsObj", 3)
    client.control("faults", kind="code", path="data/invalid", code=-1)
    assert client.act("invalid", "LeadsObj", key) == -1
    assert client.stored("LeadsObj")[key]["life_status"] == "normal"
    client.control("faults", kind="code_after", path="data/invalid", code=50009)
    assert client.act("invalid", "LeadsObj", key) == 50009
    assert client.stored("LeadsObj")[key]["life_status"] == "invalid"
    for kind, record, status in (("cut", second, "normal"), ("cut_after", third, "invalid")):
        client.control("faults", kind=kind, path="data/invalid")
        with pytest.raises(httpx.RemoteProtocolError):
            client.act("invalid", "LeadsObj", record)
        assert client.stored("LeadsObj")[record]["life_status"] == status
    client.control("faults", kind="html", path="query")
    with pytest.raises(ValueError):
        client.query("AccountObj", limit=1)


def test_the_wording_of_an_error_is_never_twice_the_same(client: Client) -> None:
    said = {client.get("AccountObj", "no")["errorMessage"] for _ in range(20)}
    assert len(said) > 10


def test_levers_answer_only_this_machine_and_know_their_words(client: Client) -> None:
    assert client.http.post("/_control/switches", content="{}", headers={"content-type": "text/plain"}).status_code == 403
    assert client.http.post("/_control/switches", json={}, headers={"host": "evil.example"}).status_code == 403
    assert client.http.get("/", headers={"host": "evil.example"}).status_code == 403
    for body in ({"nothing": 1}, {"daily_quota": "5"}, {"voided_in_query": "perhaps"}, {"approval_on_void": 1}):
        assert client.http.post("/_control/switches", json=body).status_code == 400
    assert client.http.post("/_control/faults", json={"kind": "flood"}).status_code == 400


def test_the_page_shows_records_bin_and_requests_and_escapes_them(client: Client) -> None:
    key = client.first()[0]
    client.control("clock", advance=1)
    client.control("edit", object="AccountObj", id=key, fields={"name": "<script>alert(1)</script>"})
    answer = client.http.get("/")
    assert "&lt;script&gt;alert(1)" in answer.text and "<script>" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "/cgi/crm/v2/data/query" in answer.text and "sandbox-secret" not in answer.text
    logged = client.control("requests")["requests"]
    assert logged[-1]["path"] == V2 + "query" and logged[-1]["employee"] == "1000"


def test_the_state_outlives_the_server(tmp_path: Any) -> None:
    with serve(create_app(tmp_path / "state.sqlite", customers=50, seed=1)) as at:
        client = Client(at)
        key = client.first()[0]
        assert client.act("invalid", "AccountObj", key) == 0
        before = client.stored("AccountObj")
    with serve(create_app(tmp_path / "state.sqlite", customers=50, seed=1)) as at:
        client.http.close()
        client = Client(at)
        assert client.stored("AccountObj") == before and before[key]["life_status"] == "invalid"
        client.http.close()


# ------------------------------------------------------------------------------------------------ the command, the page of the manual


def test_the_command_serves_until_it_is_stopped(tmp_path: Path) -> None:
    words = ["sandbox", "fxiaoke", "--customers", "30", "--state", str(tmp_path / "s.sqlite"), "--json", "--quiet"]
    with subprocess.Popen([sys.executable, "-m", "steward.cli", *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = ""
        while not said.endswith("}\n"):
            line = process.stdout.readline()
            assert line, "the sandbox ended"
            said += line
        with httpx.Client(base_url=json.loads(said)["address"], transport=httpx.HTTPTransport(retries=5)) as http:
            assert "Fxiaoke sandbox" in http.get("/").text
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_the_manual_names_every_switch_fault_and_lever() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "sandbox-fxiaoke.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+)`", text))
    assert Switches().shown().keys() | set(FAULTS) | {"edit", "erase", "clock", "records", "requests"} <= named


# ------------------------------------------------------------------------------------------------ what writing needs


NORMAL = [{"field_name": "life_status", "operator": "EQ", "field_values": ["normal"]}]


def given(**fields: Any) -> dict[str, Any]:
    return {"dataObjectApiName": "AccountObj", **fields}


def test_a_call_that_is_late_takes_effect_when_it_is_let(client: Client) -> None:
    key = client.first(filters=NORMAL)[0]
    client.control("faults", kind="late", path="data/update|data/invalid")
    with pytest.raises(httpx.HTTPError):
        client.act("invalid", "AccountObj", key)
    assert client.stored("AccountObj")[key]["life_status"] == "normal"
    assert client.control("late") == {"applied": 1, "refused": 0}
    assert client.stored("AccountObj")[key]["life_status"] == "invalid"
    client.control("faults", kind="late", path="data/invalid")
    with pytest.raises(httpx.HTTPError):
        client.act("invalid", "AccountObj", key)
    assert client.control("late") == {"applied": 0, "refused": 1}


def test_a_page_may_be_answered_after_the_change(client: Client) -> None:
    key = client.first(filters=NORMAL)[0]
    client.control("faults", kind="html_after", path="data/invalid")
    with pytest.raises(ValueError):
        client.act("invalid", "AccountObj", key)
    assert client.stored("AccountObj")[key]["life_status"] == "invalid"


def test_somebody_voids_recovers_and_deletes(client: Client) -> None:
    key = client.first(filters=NORMAL)[0]
    for verb, status in (("void", "invalid"), ("recover", "normal"), ("void", "invalid")):
        client.control("act", verb=verb, object="AccountObj", id=key)
        assert client.stored("AccountObj")[key]["life_status"] == status
    client.control("act", verb="delete", object="AccountObj", id=key)
    assert key not in client.stored("AccountObj")
    assert client.http.post("/_control/act", json={"verb": "void", "object": "AccountObj", "id": key}).status_code == 400


def test_a_query_that_lags_shows_what_was(client: Client) -> None:
    key, other = client.first(n=2, filters=NORMAL)
    client.control("switches", query_lags=True)
    client.control("edit", object="AccountObj", id=key, fields={"name": "Newer"})
    client.control("erase", object="AccountObj", id=other)
    rows = {r["_id"]: r for r in client.query("AccountObj")["data"]["dataList"]}
    assert rows[key]["name"] != "Newer" and other in rows
    assert client.get("AccountObj", key)["data"]["name"] == "Newer" and client.get("AccountObj", other)["errorCode"] == 900404
    client.control("switches", query_lags=False)
    rows = {r["_id"]: r for r in client.query("AccountObj")["data"]["dataList"]}
    assert rows[key]["name"] == "Newer" and other not in rows


def test_workflows_and_approvals_run_unless_they_are_turned_off(client: Client) -> None:
    client.control("switches", approval_on_edit=True)
    key = client.first(filters=NORMAL)[0]
    off = {"triggerWorkFlow": False, "triggerApprovalFlow": False}
    assert client.call(V2 + "update", {"object_data": given(_id=key, name="Off")}, **off)["errorCode"] == 0
    assert client.stored("AccountObj")[key]["name"] == "Off"
    assert client.call(V2 + "update", {"object_data": given(_id=key, name="On")})["errorCode"] == 0
    doc = client.stored("AccountObj")[key]
    assert (doc["name"], doc["life_status"]) == ("Off", "in_change")
    new = client.call(V2 + "create", {"object_data": given(name="New")})["dataId"]
    assert client.stored("AccountObj")[new]["life_status"] == "under_review"


@pytest.mark.parametrize(("switch", "value"), [("null", None), ("empty", "")])
def test_what_empties_a_field_is_a_switch(client: Client, switch: str, value: Any) -> None:
    client.control("switches", null_clears=switch)
    key = client.first(filters=NORMAL)[0]
    client.control("edit", object="AccountObj", id=key, fields={"tel": "+49 1"})
    client.call(V2 + "update", {"object_data": given(_id=key, tel=value)})
    assert client.stored("AccountObj")[key]["tel"] is None
    client.control("switches", null_clears="empty")
    client.control("edit", object="AccountObj", id=key, fields={"tel": "+49 1"})
    client.call(V2 + "update", {"object_data": given(_id=key, tel=None)})
    assert client.stored("AccountObj")[key]["tel"] == "+49 1"


def test_values_of_a_wrong_type_are_refused(client: Client) -> None:
    key = client.first("ContactObj")[0]
    for name, value in (
        ("date_of_birth", "2001-01-01"),
        ("interests__c", "news"),
        ("helpers__c", "1000"),
        ("legal_hold__c", "yes"),
    ):
        code = client.call(V2 + "update", {"object_data": {"dataObjectApiName": "ContactObj", "_id": key, name: value}})[
            "errorCode"
        ]
        assert code == 15002, name


def test_a_list_holds_twenty_and_get_may_hide_what_is_voided(client: Client) -> None:
    keys = client.first(n=21, filters=NORMAL)
    for key in keys:
        assert client.act("invalid", "AccountObj", key) == 0
    client.control("clock", advance=60)
    assert client.act("recover", "AccountObj", keys) == 15002 and client.act("recover", "AccountObj", keys[1:]) == 0
    assert client.get("AccountObj", keys[0])["data"]["life_status"] == "invalid"
    client.control("switches", get_shows_voided=False)
    assert client.get("AccountObj", keys[0])["errorCode"] == 900404


@pytest.mark.parametrize("names", [True, False])
def test_whether_a_void_stamps_the_editor_is_a_switch(client: Client, names: bool) -> None:
    client.control("switches", void_names=names)
    key = client.first(filters=NORMAL)[0]
    client.control("edit", object="AccountObj", id=key, fields={"tel": "1"})
    before = client.stored("AccountObj")[key]["last_modified_by"]
    client.act("invalid", "AccountObj", key)
    assert client.stored("AccountObj")[key]["last_modified_by"] == (["1000"] if names else before)


def test_what_create_keeps_and_tells_is_a_switch(client: Client) -> None:
    client.control("switches", specified_time_is_change=True, create_tells_id=False, rewrites_numbers=True)
    before = set(client.stored("AccountObj"))
    answer = client.call(
        V2 + "create", {"object_data": given(name="New", create_time=1, employees__c="7")}, hasSpecifyTime=True
    )
    (new,) = set(client.stored("AccountObj")) - before
    doc = client.stored("AccountObj")[new]
    assert "dataId" not in answer and (doc["create_time"], doc["last_modified_time"], doc["employees__c"]) == (1, 1, "7.00")


def test_an_employee_is_stopped_by_an_update_where_the_tenant_lets_it(client: Client) -> None:
    person = next(d for d in client.stored("PersonnelObj").values() if d["status"] == "0" and d["user_id"] != "1000")
    data = {"object_data": {"dataObjectApiName": "PersonnelObj", "_id": person["_id"], "status": "1"}}
    assert client.call(V2 + "update", data)["errorCode"] == 900403
    client.control("switches", personnel_editable=True)
    assert client.call(V2 + "update", data)["errorCode"] == 0
    users = client.call("/cgi/user/list", None, departmentId=999999)["userList"]
    assert sum(u["isStop"] for u in users) >= 1
