"""The Jiandaoyun sandbox against the checklist of its contract: each item over real HTTP, by plain ``httpx``."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from steward.errors import UsageError
from steward.sandbox.jiandaoyun import FULL_KEY, READ_KEY, create_app
from steward.sandbox.jiandaoyun.control import DONE, KINDS, SHOWN
from steward.sandbox.jiandaoyun.state import SETTINGS
from tests.support.vendor_sandbox import serve

FORGED = "f" * 24


class Company:
    """A caller of one sandbox: the interface, the control side, and the forms by their label."""

    def __init__(self, address: str) -> None:
        self.http = httpx.Client(base_url=address, timeout=10)
        self.key = FULL_KEY
        self.control("settings", rates=False)
        self.refresh()

    def refresh(self) -> None:
        self.form = {f["name"]: f for f in self.look("forms")}

    def raw(self, path: str, body: dict[str, Any] | None = None, **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.key}"}
        return self.http.post(f"/api{path}", json=body or {}, headers=headers, **more)

    def call(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.raw(path, body)
        assert answer.status_code == 200, answer.text
        assert "code" not in answer.json()
        return dict(answer.json())

    def code(self, path: str, body: dict[str, Any] | None = None, status: int = 400) -> int:
        answer = self.raw(path, body)
        assert answer.status_code == status, answer.text
        assert set(answer.json()) == {"code", "msg"}
        return int(answer.json()["code"])

    def control(self, name: str, **body: Any) -> Any:
        answer = self.http.post(f"/_control/{name}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def look(self, name: str, **query: str) -> Any:
        return self.http.get(f"/_control/{name}", params=query).json()

    def at(self, label: str, **more: Any) -> dict[str, Any]:
        return {"app_id": self.form[label]["app_id"], "entry_id": self.form[label]["entry_id"], **more}

    def key_of(self, form: str, label: str) -> str:
        return next(f["key"] for f in self.form[form]["fields"] if f["label"] == label)

    def page(self, form: str, **more: Any) -> list[dict[str, Any]]:
        return list(self.call("/v5/app/entry/data/list", self.at(form, **more))["data"])

    def all(self, form: str) -> list[dict[str, Any]]:
        rows = self.page(form, limit=100)
        while rows and (more := self.page(form, limit=100, data_id=rows[-1]["_id"])):
            rows += more
        return rows


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("company") / "company.sqlite"
    create_app(path, customers=120).state.company.db.close()
    return path


@pytest.fixture
def company(template: Path, tmp_path: Path) -> Iterator[Company]:
    """Give every test the same company again, as it was left in a file."""
    shutil.copy(template, tmp_path / "company.sqlite")
    with serve(create_app(tmp_path / "company.sqlite")) as address:
        made = Company(address)
        yield made
        made.http.close()


LIST = "/v5/app/entry/data/list"
GET = "/v5/app/entry/data/get"
DELETE = "/v5/app/entry/data/delete"
BATCH = "/v5/app/entry/data/batch_delete"
CREATE = "/v5/app/entry/data/create"
UPDATE = "/v5/app/entry/data/update"


def test_only_post_and_only_a_good_key(company: Company) -> None:
    assert company.http.get("/api/v5/app/list").status_code == 405
    assert company.http.post("/api/v5/app/list", json={}).json()["code"] == 8301
    company.key = "unknown"
    assert company.code("/v5/app/list") == 17018
    company.control("key", key=FULL_KEY, enabled=False)
    company.key = FULL_KEY
    assert company.code("/v5/app/list") == 17018


def test_scopes_of_a_key_by_address_app_and_call(company: Company) -> None:
    company.control("key", key="a", ips=["192.0.2.1"])
    company.control("key", key="b", apps=[company.form["工单"]["app_id"]])
    body = company.at("客户", data_id=FORGED)
    company.key = "a"
    assert company.code(GET, body) == 17052
    company.key = "b"
    assert company.code(GET, body) == 17053
    company.key = READ_KEY
    assert company.code(DELETE, body) == 17054
    assert company.page("客户")


def test_unknown_paths_answer_in_another_shape(company: Company) -> None:
    answer = company.raw("/v5/app/entry/data/recycle_bin")
    assert answer.status_code == 404
    assert "code" not in answer.text


def test_apps_forms_and_widgets_with_windows(company: Company) -> None:
    apps = company.call("/v5/app/list", {"skip": 0, "limit": 100})["apps"]
    assert [a["name"] for a in apps] == ["客户管理", "售后服务"]
    assert company.call("/v5/app/list", {"skip": 1, "limit": 1})["apps"] == apps[1:]
    assert company.code("/v5/app/list", {"limit": 101}) == 3005
    forms = company.call("/v5/app/entry/list", {"app_id": apps[0]["app_id"]})["forms"]
    assert [f["name"] for f in forms] == ["客户", "联系人", "商机", "订单", "跟进记录", "线索池"]
    widgets = company.call("/v5/app/entry/widget/list", company.at("订单"))
    assert {"lookup", "user", "subform", "combo"} <= {w["type"] for w in widgets["widgets"]}
    assert "target" not in json.dumps(widgets)
    assert company.form["客户"]["entry_id"] not in json.dumps(widgets), "the target of a lookup is hidden"
    assert "separator" not in json.dumps(company.call("/v5/app/entry/widget/list", company.at("客户")))
    (lines,) = [w for w in widgets["widgets"] if w["type"] == "subform"]
    assert [i["type"] for i in lines["items"]] == ["number", "linkdata", "upload"]
    assert company.code("/v5/app/entry/list", {"app_id": FORGED}) == 2004
    assert company.code(LIST, {"app_id": apps[0]["app_id"], "entry_id": FORGED}) == 3000


def test_a_preset_form_cannot_be_called(company: Company) -> None:
    assert company.code(LIST, company.at("线索池")) == 30002


def test_a_changed_alias_changes_the_key_and_the_time_of_the_form(company: Company) -> None:
    old = company.key_of("客户", "客户名称")
    before = company.call("/v5/app/entry/widget/list", company.at("客户"))
    widget = next(w["widgetName"] for w in before["widgets"] if w["name"] == old)
    company.control("alias", entry_id=company.form["客户"]["entry_id"], widget=widget, alias="new_name")
    after = company.call("/v5/app/entry/widget/list", company.at("客户"))
    assert {w["widgetName"] for w in before["widgets"]} == {w["widgetName"] for w in after["widgets"]}
    row = company.page("客户", limit=1)[0]
    assert "new_name" in row
    assert old not in row
    assert after["dataModifyTime"] > before["dataModifyTime"]
    key = row["_id"]
    moved = after["dataModifyTime"]
    for path, more in ((UPDATE, {"data": {"new_name": {"value": "x"}}}), (DELETE, {})):
        company.call(path, company.at("客户", data_id=key, **more))
        now = company.call("/v5/app/entry/widget/list", company.at("客户"))["dataModifyTime"]
        assert now > moved
        moved = now


def test_ten_rows_by_default_and_an_exclusive_ascending_cursor(company: Company) -> None:
    first = company.call(LIST, company.at("联系人"))
    assert set(first) == {"data"}, "no total and no flag"
    assert len(first["data"]) == 10
    rows = company.all("联系人")
    ids = [r["_id"] for r in rows]
    assert ids == sorted(ids)
    assert len(ids) == len(set(ids)) == company.form["联系人"]["records"]
    assert company.page("联系人", data_id=ids[-1]) == []


def test_an_exact_multiple_ends_with_an_empty_page(company: Company) -> None:
    ids = [r["_id"] for r in company.all("联系人")]
    for key in ids[100:]:
        company.control("delete", entry_id=company.form["联系人"]["entry_id"], data_id=key)
    page = company.page("联系人", limit=100)
    assert len(page) == 100
    assert company.page("联系人", limit=100, data_id=page[-1]["_id"]) == []


def test_more_than_a_hundred_is_refused_or_capped_by_switch(company: Company) -> None:
    assert company.code(LIST, company.at("联系人", limit=101)) == 3005
    company.control("settings", over_limit="cap")
    assert len(company.page("联系人", limit=500)) == 100
    assert company.code(LIST, company.at("联系人", limit=0)) == 3005


BAD = [
    {"field": "nobody", "type": "text", "method": "eq", "value": ["x"]},
    {"field": "email", "type": "text", "method": "contains", "value": ["x"]},
    {"field": "_id", "method": "eq", "value": [FORGED]},
    {"field": "createTime", "method": "range", "value": ["2999-01-01", "2999-01-02"]},
    {"field": "updateTime", "method": "range", "value": ["2999-01-01", "2999-01-02"]},
    {"field": "updater", "method": "eq", "value": ["x"]},
]


@pytest.mark.parametrize("cond", BAD, ids=lambda c: f"{c['field']}-{c['method']}")
def test_a_filter_not_understood_is_ignored_or_refused_by_switch(company: Company, cond: dict[str, Any]) -> None:
    asked = {"rel": "and", "cond": [cond]}
    assert [r["_id"] for r in company.page("联系人", limit=100, filter=asked)] == [
        r["_id"] for r in company.page("联系人", limit=100)
    ]
    company.control("settings", filters="strict")
    assert company.code(LIST, company.at("联系人", filter=asked)) == 4815


def test_a_number_asked_for_as_text_is_ignored(company: Company) -> None:
    field = company.key_of("商机", "金额")
    cond = {"field": field, "type": "number", "method": "gt", "value": ["1"]}
    every = [r["_id"] for r in company.page("商机", limit=100)]
    assert [r["_id"] for r in company.page("商机", limit=100, filter={"rel": "and", "cond": [cond]})] == every
    cond["value"] = [10**12]
    assert company.page("商机", filter={"rel": "and", "cond": [cond]}) == []


def test_filters_that_are_understood_hold(company: Company) -> None:
    field = company.key_of("订单", "联系人")
    rows = [r for r in company.all("订单") if r[field]]
    wanted = rows[0][field]
    cond = {"field": field, "type": "lookup", "method": "in", "value": [wanted]}
    found = company.page("订单", limit=100, filter={"rel": "and", "cond": [cond]})
    assert [r["_id"] for r in found] == [r["_id"] for r in rows if r[field] == wanted]
    owner = company.key_of("订单", "负责人")
    cond = {"field": owner, "type": "user", "method": "nin", "value": ["nobody"]}
    assert len(company.page("订单", limit=100, filter={"rel": "and", "cond": [cond]})) == len(company.page("订单", limit=100))


def test_data_id_can_be_filtered_where_the_switch_says_so(company: Company) -> None:
    key = company.page("联系人", limit=1)[0]["_id"]
    asked = {"rel": "and", "cond": [{"field": "_id", "method": "in", "value": [key]}]}
    assert len(company.page("联系人", filter=asked)) == 10
    company.control("settings", system_filters=True)
    assert [r["_id"] for r in company.page("联系人", filter=asked)] == [key]


def test_quirks_of_the_projection(company: Company) -> None:
    full = set(company.page("联系人", limit=1)[0])
    assert set(company.page("联系人", limit=1, fields=[])[0]) == full
    assert set(company.page("联系人", limit=1, fields=["_id"])[0]) == full
    assert set(company.page("联系人", limit=1, fields=["email", "nobody"])[0]) == {"_id", "appId", "entryId", "email"}


def test_values_as_the_wire_gives_them(company: Company) -> None:
    row = next(r for r in company.all("联系人") if r[company.key_of("联系人", "手机")])
    assert row["createTime"].endswith("Z")
    assert row["createTime"][-5] == "."
    assert set(row[company.key_of("联系人", "手机")]) == {"verified", "phone"}
    owner = row[company.key_of("联系人", "负责人")]
    assert set(owner) == {"name", "username", "status", "type", "departments", "integrate_id"}
    assert owner["status"] in (-1, 1)
    deal = next(r for r in company.all("商机") if r[company.key_of("商机", "联系人")])
    assert set(deal[company.key_of("商机", "联系人")]) == {"link_form", "link_id", "name"}
    activity = next(r for r in company.all("跟进记录") if r[company.key_of("跟进记录", "联系人")])
    assert set(activity[company.key_of("跟进记录", "联系人")]) == {"id"}
    order = next(r for r in company.all("订单") if r[company.key_of("订单", "收货明细")])
    assert len(order[company.key_of("订单", "收货明细")][0]["_id"]) == 24


@pytest.mark.parametrize(("switch", "text", "phone"), [("typed", "", {}), ("null", None, None)])
def test_empty_values_by_kind_or_as_null(company: Company, switch: str, text: object, phone: object) -> None:
    company.control("settings", empties=switch)
    made = company.call(CREATE, company.at("联系人", data={}))["data"]
    assert made["email"] == text
    assert made[company.key_of("联系人", "手机")] == phone


def test_empty_values_left_out(company: Company) -> None:
    company.control("settings", empties="absent")
    assert "email" not in company.call(CREATE, company.at("联系人", data={}))["data"]


def test_wrapped_writes_and_silent_nulls(company: Company) -> None:
    phone = company.key_of("联系人", "手机")
    lookup = company.key_of("联系人", "所属客户")
    data = {
        "email": {"value": "a@example.org"},
        "last_name": "not wrapped",
        phone: {"value": "wrong kind"},
        lookup: {"value": FORGED},
    }
    made = company.call(CREATE, company.at("联系人", data=data))["data"]
    assert made["email"] == "a@example.org"
    assert made["last_name"] == ""
    assert made[phone] == {}
    assert made[lookup] == FORGED, "the target is not checked"
    cleared = company.call(UPDATE, company.at("联系人", data_id=made["_id"], data={"email": {"value": {}}}))["data"]
    assert cleared["email"] == ""
    assert cleared[lookup] == FORGED


def test_kinds_that_cannot_be_written_and_subforms_that_are_replaced(company: Company) -> None:
    number, accounts = company.key_of("客户", "客户编号"), company.key_of("客户", "银行账户")
    bank = company.key_of("客户", "开户行")
    row = next(r for r in company.all("客户") if r[accounts])
    data = {number: {"value": "mine"}, accounts: {"value": [{bank: {"value": "甲"}}, {bank: {"value": "乙"}}]}}
    after = company.call(UPDATE, company.at("客户", data_id=row["_id"], data=data))["data"]
    assert after[number] == row[number]
    assert [line[bank] for line in after[accounts]] == ["甲", "乙"]
    assert row[accounts][0]["_id"] not in {line["_id"] for line in after[accounts]}
    link = company.key_of("跟进记录", "联系人")
    made = company.call(CREATE, company.at("跟进记录", data={link: {"value": {"id": FORGED}}}))["data"]
    assert made[link] == {}


def test_deletes_and_their_bounds(company: Company) -> None:
    ids = [r["_id"] for r in company.page("联系人", limit=100)]
    assert company.call(DELETE, company.at("联系人", data_id=ids[0])) == {"status": "success"}
    assert company.call(BATCH, company.at("联系人", data_ids=ids[1:3])) == {"status": "success", "success_count": 2}
    assert company.code(BATCH, company.at("联系人", data_ids=[f"{n:024x}" for n in range(101)])) == 17033
    assert company.code(BATCH, company.at("联系人", data_ids=[])) == 3005
    assert company.code(GET, company.at("联系人", data_id=ids[0])) == 4001
    assert not {ids[0], ids[1], ids[2]} & {r["_id"] for r in company.all("联系人")}


@pytest.mark.parametrize("switch", ["4001", "4042"])
def test_a_missing_id_is_refused_by_switch(company: Company, switch: str) -> None:
    company.control("settings", missing_single=switch)
    assert company.code(DELETE, company.at("联系人", data_id=FORGED)) == int(switch)


def test_a_missing_id_may_answer_success(company: Company) -> None:
    company.control("settings", missing_single="success")
    assert company.call(DELETE, company.at("联系人", data_id=FORGED)) == {"status": "success"}


def test_missing_ids_in_a_batch_lower_the_count_or_refuse_all(company: Company) -> None:
    one, other = [r["_id"] for r in company.page("联系人", limit=2)]
    assert company.call(BATCH, company.at("联系人", data_ids=[one, FORGED]))["success_count"] == 1
    company.control("settings", missing_batch="error")
    assert company.code(BATCH, company.at("联系人", data_ids=[other, FORGED])) == 4001
    assert company.call(GET, company.at("联系人", data_id=other))["data"]["_id"] == other


def test_the_bin_is_the_operators_alone(company: Company) -> None:
    one, other = [r["_id"] for r in company.page("联系人", limit=2)]
    company.call(DELETE, company.at("联系人", data_id=one))
    assert one in {r["_id"] for r in company.look("bin")}
    company.control("settings", bin=False)
    company.call(DELETE, company.at("联系人", data_id=other))
    assert other not in {r["_id"] for r in company.look("bin")}
    assert company.control("recover", data_id=other) == {"recovered": False}
    assert company.look("webhooks") == [], "the interface sends none"
    assert company.control("recover", data_id=one) == {"recovered": True}
    assert company.call(GET, company.at("联系人", data_id=one))["data"]["_id"] == one
    assert json.loads(company.look("webhooks")[-1]["body"])["op"] == "data_recover"


def test_webhooks_of_a_person_are_signed(company: Company) -> None:
    key = company.page("联系人", limit=1)[0]["_id"]
    company.control("delete", entry_id=company.form["联系人"]["entry_id"], data_id=key)
    (push,) = company.look("webhooks")
    sent = json.loads(push["body"])
    assert (sent["op"], sent["data"]["_id"]) == ("data_remove", key)
    nonce, stamp = (part.split("=")[1] for part in push["query"].split("&"))
    plain = f"{nonce}:{push['body']}:sandbox-webhook-secret:{stamp}"
    assert push["signature"] == hashlib.sha1(plain.encode()).hexdigest()


def test_a_record_made_again_has_a_new_id_and_links_dangle(company: Company) -> None:
    field = company.key_of("订单", "联系人")
    order = next(r for r in company.all("订单") if r[field])
    company.call(DELETE, company.at("联系人", data_id=order[field]))
    made = company.call(CREATE, company.at("联系人", data={"email": {"value": "again@example.org"}}))["data"]
    assert made["_id"] > order[field]
    assert company.call(GET, company.at("订单", data_id=order["_id"]))["data"][field] == order[field]


def test_a_repeated_transaction_overwrites_and_names_nobody(company: Company) -> None:
    path = "/v5/app/entry/data/batch_create"
    rows = [{"email": {"value": f"{n}@example.org"}} for n in range(3)]
    first = company.call(path, company.at("联系人", data_list=rows, transaction_id="t"))
    assert len(first["success_ids"]) == 3
    rows[0]["email"]["value"] = "changed@example.org"
    again = company.call(path, company.at("联系人", data_list=rows, transaction_id="t"))
    assert again["success_ids"] == []
    assert company.call(GET, company.at("联系人", data_id=first["success_ids"][0]))["data"]["email"] == "changed@example.org"
    assert company.code(path, company.at("联系人", data_list=rows * 34)) == 17024


def test_batch_update_leaves_subforms(company: Company) -> None:
    accounts = company.key_of("客户", "银行账户")
    row = next(r for r in company.all("客户") if r[accounts])
    data = {"customer_name": {"value": "一样"}, accounts: {"value": []}}
    answer = company.call("/v5/app/entry/data/batch_update", company.at("客户", data_ids=[row["_id"]], data=data))
    assert answer == {"status": "success", "success_count": 1}
    after = company.call(GET, company.at("客户", data_id=row["_id"]))["data"]
    assert after["customer_name"] == "一样"
    assert after[accounts] == row[accounts]


def test_workflow_instances_and_their_other_shape(company: Company) -> None:
    row = next(r for r in company.all("订单"))
    company.control("flow", data_id=row["_id"], state=0)
    asked = {"instance_id": row["_id"], "tasks_type": 1}
    assert company.call("/v6/workflow/instance/get", asked)["status"] == 0
    company.control("settings", running_delete="refuse")
    assert company.code(DELETE, company.at("订单", data_id=row["_id"])) == 4042
    assert company.call("/v1/workflow/instance/close", asked) == {"status": "success"}
    assert company.call(GET, company.at("订单", data_id=row["_id"]))["data"]["flowState"] == 2
    refused = company.raw("/v1/workflow/instance/close", asked)
    assert (refused.status_code, set(refused.json())) == (400, {"status", "code", "message"})
    assert company.call("/v1/workflow/instance/activate", asked) == {"status": "success"}
    company.control("settings", running_delete="allow")
    assert company.call(DELETE, company.at("订单", data_id=row["_id"])) == {"status": "success"}


def test_a_bulk_job_locks_the_form_for_a_while(company: Company) -> None:
    ids = [r["_id"] for r in company.page("联系人", limit=3)]
    company.control("clock", freeze=True)
    company.control("settings", busy_seconds=5)
    company.call(BATCH, company.at("联系人", data_ids=ids[:1]))
    assert company.code(DELETE, company.at("联系人", data_id=ids[1])) == 4012
    company.control("clock", advance=6)
    company.call(DELETE, company.at("联系人", data_id=ids[1]))


def test_a_marked_row_is_refused_and_takes_its_batch_with_it(company: Company) -> None:
    ids = [r["_id"] for r in company.page("联系人", limit=2)]
    company.control("mark", data_id=ids[1])
    assert company.code(DELETE, company.at("联系人", data_id=ids[1])) == 4402
    assert company.code(BATCH, company.at("联系人", data_ids=ids)) == 4402
    assert [r["_id"] for r in company.page("联系人", limit=2)] == ids


def test_rates_of_a_path_and_of_the_company(company: Company) -> None:
    company.control("clock", freeze=True)
    company.control("settings", rates=True)
    for _ in range(30):
        company.page("客户", limit=1)
    assert company.code(LIST, company.at("客户")) == 8304
    for _ in range(19):
        company.call("/v5/app/list")
    assert company.code("/v5/app/list") == 8303
    company.control("clock", advance=1.1)
    assert company.page("客户", limit=1)


def test_concurrency_and_gateway_answer_without_the_shape(company: Company) -> None:
    company.control("settings", concurrency=1)
    company.control("fault", kind="delay", seconds=0.3, path="/v5/app/list")
    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(a.status_code for a in pool.map(lambda _: company.raw("/v5/app/list"), range(4)))
    assert statuses[0] == 200
    assert statuses[-1] == 429
    company.control("settings", concurrency=0)
    company.control("fault", kind="http_502")
    answer = company.raw("/v5/app/list")
    assert answer.status_code == 502
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(("kind", "gone"), [("cut_before", 0), ("cut_half", 2), ("cut_after", 4)])
def test_a_broken_connection_before_between_and_after(company: Company, kind: str, gone: int) -> None:
    ids = [r["_id"] for r in company.page("联系人", limit=4)]
    company.control("fault", kind=kind, path="batch_delete")
    with pytest.raises(httpx.TransportError):
        company.raw(BATCH, company.at("联系人", data_ids=ids))
    left = {r["_id"] for r in company.all("联系人")}
    assert [k in left for k in ids] == [False] * gone + [True] * (4 - gone)


def test_addresses_of_attachments_change_and_run_out(company: Company) -> None:
    files = company.key_of("客户", "合同附件")
    row = next(r for r in company.all("客户") if r[files])
    again = company.call(GET, company.at("客户", data_id=row["_id"]))["data"]
    assert set(row[files][0]) == {"name", "size", "mime", "url"}
    assert row[files][0]["url"] != again[files][0]["url"]
    assert company.http.get(row[files][0]["url"]).status_code == 200
    assert company.http.get(row[files][0]["url"][:-1] + "0x").status_code == 403
    company.control("clock", advance=15 * 86_400 + 10)
    assert company.http.get(row[files][0]["url"]).status_code == 403


def test_members_leave_and_stay_in_the_records(company: Company) -> None:
    owner = company.key_of("联系人", "负责人")
    row = next(r for r in company.all("联系人") if r[owner]["status"] == 1)
    name = row[owner]["username"]
    found = company.call("/v5/corp/department/user/list", {"dept_no": 1, "has_child": True})["users"]
    assert name in {u["username"] for u in found}
    company.control("settings", integrated=True)
    assert company.code("/v5/corp/user/delete", {"username": name}) == 8302
    company.control("settings", integrated=False)
    assert company.call("/v5/corp/user/batch_delete", {"usernames": [name]}) == {"status": "success"}
    assert company.call("/v5/corp/user/get", {"username": name})["user"]["status"] == -1
    assert company.call(GET, company.at("联系人", data_id=row["_id"]))["data"]["creator"]["status"] in (-1, 1)
    assert company.call(GET, company.at("联系人", data_id=row["_id"]))["data"][owner]["status"] == -1
    assert company.code("/v5/corp/user/get", {"username": "nobody"}) == 1010
    assert {d["dept_no"] for d in company.call("/v6/corp/department/list")["departments"]} == {1, 2, 3}


def test_the_audit_trail_by_edition_cursor_and_days(company: Company) -> None:
    path = "/v1/audit_log/list"
    ids = [r["_id"] for r in company.page("联系人", limit=3)]
    company.call(BATCH, company.at("联系人", data_ids=ids))
    now = company.control("clock")["now"]
    window = {"start": now[:8] + "01T00:00:00.000Z", "end": now}
    asked = {"domain": "platform", "time_range": window, "event_types": ["data.record.delete"], "limit": 2}
    assert company.code(path, asked, status=403) == 8302
    company.control("settings", audit=True)
    first = company.call(path, asked)
    assert first["has_more"] is True
    rest = company.call(path, {**asked, "cursor": first["cursor"]})
    assert [i["resource"]["data_id"] for i in first["items"] + rest["items"]] == ids[::-1]
    assert company.code(path, {**asked, "time_range": {"start": "2026-06-01T00:00:00Z", "end": "2026-08-01T00:00:00Z"}}) == 3005
    assert company.code(path, {**asked, "filters": {"nobody": []}}) == 3005


def test_words_of_a_refusal_come_in_two_languages(company: Company) -> None:
    said = {company.raw(GET, company.at("联系人", data_id=FORGED)).json()["msg"] for _ in range(40)}
    assert len(said) == 2


def test_the_page_escapes_and_the_control_side_refuses_other_sites(company: Company) -> None:
    company.call(CREATE, company.at("联系人", data={"email": {"value": "<script>alert(1)</script>"}}))
    page = company.http.get("/")
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert company.http.post("/_control/calm", json={}, headers={"origin": "http://elsewhere.example"}).status_code == 403
    assert company.http.post("/_control/calm", content="{}").status_code == 403
    assert company.http.get("/", headers={"host": "elsewhere.example"}).status_code == 400


def test_the_how_to_names_every_switch_fault_and_control() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "sandbox-jiandaoyun.md").read_text(encoding="utf-8")
    named = {word for part in text.split("`")[1::2] for word in part.split()}
    assert not (set(SETTINGS) | set(KINDS) | set(DONE) | set(SHOWN)) - named


def test_a_file_of_something_else_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database, whatever the name says " * 40)
    with pytest.raises(UsageError):
        create_app(tmp_path / "text")
