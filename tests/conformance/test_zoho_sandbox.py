"""The Zoho sandbox against the checklist of its contract page, over real HTTP, with a client that shares no code with it."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from steward.sandbox.zoho import create_app
from steward.sandbox.zoho.auth import REFRESH
from tests.support.vendor_sandbox import serve
from tests.support.zoho_sandbox import Caller, Fresh


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Fresh]]:
    fresh = Fresh(300)
    with serve(fresh) as address:
        yield address, fresh


@pytest.fixture
def crm(server: tuple[str, Fresh]) -> Iterator[Caller]:
    address, fresh = server
    caller = Caller(address, fresh.renew())
    yield caller
    caller.http.close()


def code(answer: httpx.Response) -> str:
    body = answer.json()
    for name in ("data", "users", "recycle_bin"):
        if name in body:
            return str(body[name][0]["code"])
    return str(body["code"])


def test_the_eleventh_token_in_ten_minutes_is_denied_with_status_200(crm: Caller) -> None:
    for _ in range(9):
        assert "access_token" in crm.ask_token().json()
    denied = crm.ask_token()
    assert denied.status_code == 200 and "access_token" not in denied.json() and "Access Denied" in denied.text
    crm.control("clock", seconds=601)
    body = crm.ask_token().json()
    assert body["api_domain"] == str(crm.http.base_url).rstrip("/") and body["expires_in"] == 3600


def test_the_sixteenth_live_token_evicts_the_oldest(crm: Caller) -> None:
    for n in range(15):
        if n == 8:
            crm.control("clock", seconds=601)
        crm.ask_token()
    assert crm("GET", "org").status_code == 401


@pytest.mark.parametrize(
    ("form", "error"), [({"client_secret": "x"}, "invalid_client"), ({"refresh_token": "x"}, "invalid_code")]
)
def test_a_wrong_credential_is_refused_with_status_200(crm: Caller, form: dict[str, str], error: str) -> None:
    answer = crm.ask_token(**form)
    assert (answer.status_code, answer.json()) == (200, {"error": error})


def test_variants_of_401(crm: Caller) -> None:
    assert crm.http.get("/crm/v8/org").json()["code"] == "AUTHENTICATION_FAILURE"
    bearer = crm("GET", "org", headers={"Authorization": f"Bearer {crm.token}"})
    assert (bearer.status_code, code(bearer)) == (401, "AUTHENTICATION_FAILURE")
    reader = Caller(str(crm.http.base_url), crm.state, "1000.reader")
    mismatch = reader("DELETE", f"Contacts/{crm.ids('Contacts')[0]}")
    assert (mismatch.status_code, code(mismatch)) == (401, "OAUTH_SCOPE_MISMATCH")
    reader.http.close()
    crm.control("switches", dc="us")
    assert code(crm("GET", "org")) == "INVALID_TOKEN", "a token of another data centre"
    crm.control("switches", dc="eu")
    crm.control("clock", seconds=3601)
    assert code(crm("GET", "org")) == "INVALID_TOKEN"
    crm.control("switches", expired_code="INVALID_OAUTHTOKEN")
    assert code(crm("GET", "org")) == "INVALID_OAUTHTOKEN"


def test_the_reader_token_holds_nothing_that_changes(crm: Caller) -> None:
    assert not [s for s in REFRESH["1000.reader"][0] if s.endswith((".DELETE", ".UPDATE", ".CREATE", ".ALL"))]


def test_organisation_and_settings(crm: Caller) -> None:
    assert crm("GET", "org").json()["org"][0]["type"] == "sandbox"
    crm.control("switches", org_type="production")
    assert crm("GET", "org").json()["org"][0]["type"] == "production"
    names = {m["api_name"] for m in crm("GET", "settings/modules").json()["modules"]}
    assert {"Accounts", "Contacts", "Leads", "Deals", "Tasks", "Notes"} <= names
    kinds = {f["data_type"] for f in crm("GET", "settings/fields?module=Contacts").json()["fields"]}
    assert {"subform", "multiselectlookup", "multiselectpicklist", "lookup", "ownerlookup", "textarea", "datetime"} <= kinds
    lists = crm("GET", "settings/related_lists?module=Contacts").json()["related_lists"]
    assert "Contacts/{ENTITYID}/Deals" in {entry["href"] for entry in lists}
    assert code(crm("GET", "settings/fields?module=Nope")) == "INVALID_MODULE"


def test_ids_are_beyond_a_double_and_times_have_the_callers_offset(crm: Caller) -> None:
    row = crm("GET", "Contacts?fields=Modified_Time").json()["data"][0]
    assert isinstance(row["id"], str) and int(row["id"]) > 2**53 and row["Modified_Time"].endswith("+05:30")
    crm.control("switches", zone_minutes=-480)
    assert crm("GET", "Contacts?fields=Modified_Time").json()["data"][0]["Modified_Time"].endswith("-08:00")


def test_list_rules(crm: Caller) -> None:
    for key in ("param", "param_name"):
        crm.control("switches", param_key=key)
        bare = crm("GET", "Contacts")
        assert (bare.status_code, code(bare), bare.json()["details"]) == (400, "REQUIRED_PARAM_MISSING", {key: "fields"})
    assert code(crm("GET", "Contacts?fields=" + ",".join(["Email"] * 51))) == "LIMIT_EXCEEDED"
    assert crm("GET", "Contacts?fields=id&per_page=201").status_code == 400
    assert code(crm("GET", "Contacts?fields=id&page=11&per_page=5")) == "DISCRETE_PAGINATION_LIMIT_EXCEEDED"
    assert code(crm("GET", "Contacts?fields=id&page=1&page_token=x")) == "AMBIGUITY_DURING_PROCESSING"
    assert code(crm("GET", "Contacts?fields=id&page_token=x")) == "INVALID_DATA"


def test_page_tokens_reach_every_record_and_are_bound(crm: Caller) -> None:
    seen: list[str] = []
    url = "Tasks?fields=Subject&per_page=50&sort_order=asc"
    answer = crm("GET", url).json()
    first = answer["info"]["next_page_token"]
    while True:
        seen += [row["id"] for row in answer["data"]]
        if not answer["info"]["more_records"]:
            break
        answer = crm("GET", f"{url}&page_token={answer['info']['next_page_token']}").json()
    assert seen == crm.ids("Tasks")
    assert code(crm("GET", f"Tasks?fields=Status&per_page=50&page_token={first}")) == "TOKEN_BOUND_DATA_MISMATCH"
    crm.control("switches", record_cap=50)
    assert code(crm("GET", f"{url}&page_token={first}")) == "PAGINATION_LIMIT_EXCEEDED"
    crm.control("switches", token_seconds=10**6, record_cap=100_000)
    crm.token = crm.ask_token().json()["access_token"]
    crm.control("clock", days=1.1)
    assert code(crm("GET", f"{url}&page_token={first}")) == "EXPIRED_VALUE"


def test_nothing_is_204_and_unchanged_is_304(crm: Caller) -> None:
    gone = crm("GET", "Contacts/123456789012345678")
    assert (gone.status_code, gone.content) == (204, b"")
    crm.control("switches", missing_single=400)
    assert code(crm("GET", "Contacts/123456789012345678")) == "INVALID_DATA"
    later = {"If-Modified-Since": "2040-01-01T00:00:00+00:00"}
    assert crm("GET", "Contacts?fields=id", headers=later).status_code == 304
    assert crm("GET", "Contacts/deleted").status_code == 204
    assert code(crm("GET", "Contacts/deleted?type=x")) == "PATTERN_NOT_MATCHED"


def test_a_list_cuts_long_text_and_leaves_subforms_out(crm: Caller) -> None:
    listed = crm("GET", "Contacts?fields=Background,Visits,Interests,Partners").json()["data"]
    cut = next(row for row in listed if row["Background"])
    assert len(cut["Background"]) == 500 and "Visits" not in cut and "Partners" not in cut
    whole = crm("GET", f"Contacts/{cut['id']}").json()["data"][0]
    assert len(whole["Background"]) > 500 and isinstance(whole["Visits"], list) and whole["$editable"] is True
    full = crm("GET", f"Contacts/actions/fetch_full_data?ids={cut['id']}&fields=Background,Visits").json()["data"][0]
    assert full["Background"] == whole["Background"] and full["Visits"] == whole["Visits"]


def test_search_equals_is_contains_and_lags_while_coql_is_exact(crm: Caller) -> None:
    ident = crm.ids("Contacts")[0]
    crm.control("edit", id=ident, values={"Email": "ann@b.example.net"})
    inside = "Contacts/search?criteria=((Email:equals:ann@b.example))"
    assert [row["id"] for row in crm("GET", inside).json()["data"]] == [ident]
    exact = "select id, Email from Contacts where Email = 'ann@b.example' limit 0, 200"
    assert crm("POST", "coql", json={"select_query": exact}).status_code == 204
    crm.control("switches", search_lag=600)
    crm.control("edit", id=ident, values={"Email": "eve@b.example"})
    assert crm("GET", "Contacts/search?email=eve@b.example").status_code == 204
    now = exact.replace("ann", "eve")
    assert crm("POST", "coql", json={"select_query": now}).json()["data"][0]["id"] == ident
    assert code(crm("GET", "Contacts/search?word=a&page=11")) == "LIMIT_REACHED"


def test_count_lags(crm: Caller) -> None:
    before = crm("GET", "Contacts/actions/count").json()["count"]
    crm.control("switches", count_lag=600)
    crm("DELETE", f"Contacts/{crm.ids('Contacts')[0]}")
    assert crm("GET", "Contacts/actions/count").json()["count"] == before
    crm.control("clock", seconds=601)
    assert crm("GET", "Contacts/actions/count").json()["count"] == before - 1


def test_coql_pages_by_id_and_refuses_what_is_not_of_it(crm: Caller) -> None:
    parents = crm.ids("Contacts", 100)
    found: list[str] = []
    last = "0"
    while True:
        text = (
            f"select id, Who_Id from Tasks where (Who_Id in ({', '.join(repr(p) for p in parents)}) and id > {last}) "
            "order by id asc limit 0, 20"
        )
        answer = crm("POST", "coql", json={"select_query": text})
        if answer.status_code == 204:
            break
        rows = answer.json()["data"]
        found += [r["id"] for r in rows]
        assert {r["Who_Id"]["id"] for r in rows} <= set(parents)
        last = found[-1]
    held = crm.state.db.execute("SELECT id, json_extract(doc, '$.Who_Id.id') FROM record WHERE module = 'Tasks' ORDER BY id")
    assert found == [str(i) for i, who in held if who in parents] and len(found) > 40
    for wrong in ("select id from Tasks", "drop table record", "select id from Tasks where id = 1 limit 0, 201",
                  "select x from Tasks where id > 0", "select id from Tasks where Subject = 'a' -- b"):  # fmt: skip
        assert crm("POST", "coql", json={"select_query": wrong}).status_code == 400, wrong
    many = ", ".join(["'1'"] * 101)
    assert (
        code(crm("POST", "coql", json={"select_query": f"select id from Tasks where Who_Id in ({many})"})) == "LIMIT_EXCEEDED"
    )
    quoted = crm("POST", "coql", json={"select_query": "select id from Contacts where Email = 'x'' or ''1'' = ''1'"})
    assert quoted.status_code == 204


def read_job(crm: Caller, query: dict[str, object]) -> tuple[list[str], dict[str, object], list[list[str]]]:
    made = crm("POST", "/crm/bulk/v8/read", json={"query": query, "file_type": "csv"})
    assert made.status_code == 201
    job = made.json()["data"][0]["details"]["id"]
    states = []
    while True:
        said = crm("GET", f"/crm/bulk/v8/read/{job}").json()["data"][0]
        states.append(said["state"])
        if said["state"] in {"COMPLETED", "FAILURE"}:
            break
    if said["state"] == "FAILURE":
        return states, {}, []
    raw = crm("GET", f"/crm/bulk/v8/read/{job}/result")
    assert raw.status_code == 200, raw.text
    with zipfile.ZipFile(io.BytesIO(raw.content)) as bundle:
        (name,) = bundle.namelist()
        rows = list(csv.reader(io.StringIO(bundle.read(name).decode(), newline="")))
    return states, said["result"], rows


def test_bulk_read_walks_its_states_and_tokens_give_every_row(crm: Caller) -> None:
    crm.control("switches", bulk_page=100)
    query: dict[str, object] = {"module": {"api_name": "Contacts"}, "fields": ["Email", "Background"], "page": 1}
    seen: list[str] = []
    while True:
        states, result, rows = read_job(crm, query)
        assert states == ["ADDED", "QUEUED", "IN PROGRESS", "COMPLETED"] and rows[0] == ["id", "Email", "Background"]
        assert result["count"] == len(rows) - 1
        seen += [row[0] for row in rows[1:]]
        if not result["more_records"]:
            break
        query = {**query, "page_token": result["next_page_token"]}
        query.pop("page", None)
    assert seen == crm.ids("Contacts") and len(seen) > 200


def test_bulk_failure_throttle_and_unknown_job(crm: Caller) -> None:
    crm.control("switches", bulk_polls=0, bulk_failures=1)
    query: dict[str, object] = {"module": {"api_name": "Deals"}, "fields": ["Stage"]}
    assert read_job(crm, query)[0] == ["FAILURE"]
    for _ in range(10):
        read_job(crm, query)
    job = crm("POST", "/crm/bulk/v8/read", json={"query": query}).json()["data"][0]["details"]["id"]
    crm("GET", f"/crm/bulk/v8/read/{job}")
    assert crm("GET", f"/crm/bulk/v8/read/{job}/result").status_code == 429
    missing = crm("GET", "/crm/bulk/v8/read/1")
    assert (missing.status_code, code(missing)) == (404, "RESOURCE_NOT_FOUND")


def test_delete_shapes(crm: Caller) -> None:
    a, b, c, d = crm.ids("Contacts", 4)
    good = crm("DELETE", f"Contacts?ids={a}&wf_trigger=false")
    assert (good.status_code, good.json()["data"][0]["message"]) == (200, "record deleted")
    assert crm.http.get(f"/_control/record/{a}").json()["workflow"] == 0
    mixed = crm("DELETE", f"Contacts?ids={a},{b}")
    assert mixed.status_code == 207
    by_id = {v["details"]["id"]: v["code"] for v in mixed.json()["data"]}
    assert by_id == {a: "INVALID_DATA", b: "SUCCESS"}
    assert crm.http.get(f"/_control/record/{b}").json()["workflow"] == 1, "workflows run unless switched off"
    never = crm("DELETE", "Contacts/123456789012345678")
    assert never.status_code == 400 and never.json()["data"][0]["message"] == "record not deleted"
    crm.control("switches", verdict="resource_path_index")
    assert crm("DELETE", f"Contacts/{a}").json()["data"][0]["details"] == {"resource_path_index": 1}
    assert code(crm("DELETE", "Contacts?ids=" + ",".join(["1"] * 101))) == "LIMIT_EXCEEDED"
    assert code(crm("DELETE", "Contacts?ids=abc")) == "UNABLE_TO_PARSE_DATA_TYPE"
    assert code(crm("DELETE", "Contacts")) == "REQUIRED_PARAM_MISSING"
    for ident, kind in ((c, "RECORD_LOCKED"), (d, "NOT_APPROVED")):
        crm.control("lock", id=ident, kind=kind)
        assert code(crm("DELETE", f"Contacts/{ident}")) == kind
    assert crm("DELETE", f"Contacts/{d}").json()["data"][0]["details"] == {}
    crm.control("lock", id=d, kind="NO_PERMISSION")
    assert crm("DELETE", f"Contacts/{d}").json()["data"][0]["code"] == "NO_PERMISSION"
    crm.control("switches", refuse_delete="NO_PERMISSION")
    assert crm("DELETE", f"Contacts/{d}").status_code == 403


def test_verdicts_may_come_in_another_order(crm: Caller) -> None:
    crm.control("switches", shuffle=True)
    wanted = crm.ids("Tasks", 20)
    said = [v["details"]["id"] for v in crm("DELETE", "Tasks?ids=" + ",".join(wanted)).json()["data"]]
    assert sorted(said) == sorted(wanted) and said != wanted


def test_notes_follow_into_the_bin_and_back_lookups_survive(crm: Caller) -> None:
    parent, notes = crm.parent_with("Notes", "Parent_Id")
    tasks = [r["id"] for r in crm("GET", f"Contacts/{parent}/Tasks?fields=Subject").json()["data"]]
    crm("DELETE", f"Contacts/{parent}")
    assert not set(notes) & set(crm.ids("Notes")) and set(tasks) <= set(crm.ids("Tasks"))
    entry = crm("GET", f"settings/recycle_bin/{parent}").json()["recycle_bin"][0]
    assert entry["module"]["api_name"] == "Contacts" and entry["deleted_by"]["id"]
    gone = crm("GET", "Contacts/deleted?type=recycle").json()["data"][0]
    assert gone["id"] == parent and gone["deleted_by"]["id"] == entry["deleted_by"]["id"]
    left = crm("GET", f"Contacts/deleted/{parent}/Tasks?fields=Subject").json()["data"]
    assert {r["id"] for r in left} == set(tasks)
    assert code(crm("POST", f"settings/recycle_bin/{notes[0]}/actions/restore")) == "CANNOT_RESTORE_WITHOUT_PARENT"
    back = crm("POST", f"settings/recycle_bin/{parent}/actions/restore")
    assert back.json()["recycle_bin"][0]["message"] == "Restored" and set(notes) <= set(crm.ids("Notes"))
    crm.control("switches", cascade=["Contacts>Tasks"], bin_module="string")
    crm("DELETE", f"Contacts/{parent}")
    assert not set(tasks) & set(crm.ids("Tasks"))
    assert crm("GET", f"settings/recycle_bin/{parent}").json()["recycle_bin"][0]["module"] == "Contacts"


def test_restore_by_ids_by_filter_and_over_the_threshold(crm: Caller) -> None:
    a, b, c = crm.ids("Deals", 3)
    crm("DELETE", f"Deals?ids={a},{b},{c}")
    assert crm("GET", "settings/recycle_bin/actions/count").json() == {"count": 3}
    some = crm("POST", "settings/recycle_bin/actions/restore", json={"ids": [a, "99"]})
    assert some.status_code == 207 and some.json()["recycle_bin"][0]["message"] == "record restored"
    crm.control("switches", bulk_threshold=0)
    assert crm("POST", "settings/recycle_bin/actions/restore", json={"ids": [b]}).status_code == 202
    group = {"group_operator": "AND", "group": [{"field": {"api_name": "module"}, "comparator": "equal", "value": "Deals"}]}
    assert crm("POST", "settings/recycle_bin/actions/restore", json={"filters": group}).status_code == 202
    assert {a, b, c} <= set(crm.ids("Deals"))
    assert crm("POST", "settings/recycle_bin/actions/restore", json={"ids": [a], "filters": group}).status_code == 400
    wrong = {"filters": {**group, "group_operator": "OR"}}
    assert crm("POST", "settings/recycle_bin/actions/restore", json=wrong).status_code == 400


def test_sixty_days_in_the_bin_a_hundred_and_twenty_in_the_trace(crm: Caller) -> None:
    crm.control("switches", token_seconds=10**9)
    crm.token = crm.ask_token().json()["access_token"]
    ident = crm.ids("Deals", 1)[0]
    crm("DELETE", f"Deals/{ident}")
    crm.control("clock", days=59.9)
    assert crm("GET", f"settings/recycle_bin/{ident}").status_code == 200
    crm.control("clock", days=0.2)
    assert crm("GET", f"settings/recycle_bin/{ident}").status_code == 204
    assert crm("GET", "Deals/deleted").json()["data"][0]["type"] == "permanent"
    crm.control("clock", days=60)
    assert crm("GET", "Deals/deleted").status_code == 204


def test_version_7_has_no_restore_empty_or_count(crm: Caller) -> None:
    crm.control("switches", api="v7")
    for method, path in (("POST", "actions/restore"), ("POST", "actions/empty"), ("GET", "actions/count")):
        answer = crm(method, f"settings/recycle_bin/{path}", json={})
        assert (answer.status_code, code(answer)) == (404, "INVALID_URL_PATTERN")


def test_purge_and_empty(crm: Caller) -> None:
    a, b = crm.ids("Deals", 2)
    crm("DELETE", f"Deals?ids={a},{b}")
    assert crm("DELETE", f"settings/recycle_bin/{a}").json()["recycle_bin"][0]["message"] == "record deleted"
    assert crm("DELETE", f"settings/recycle_bin?ids={a}").status_code == 400
    crm.control("switches", admin=False)
    assert code(crm("POST", "settings/recycle_bin/actions/empty")) == "AUTHORIZATION_FAILED"
    crm.control("switches", admin=True)
    assert crm("POST", "settings/recycle_bin/actions/empty").json()["recycle_bin"][0]["message"] == "recyclebin is cleared"
    by_filter = crm("DELETE", "settings/recycle_bin", params={"filters": json.dumps({"field": {"api_name": "module"}, "comparator": "equal", "value": "Deals"})})  # fmt: skip
    assert by_filter.status_code == 202 and code(by_filter) == "SCHEDULED"


def test_mass_delete_by_ids_and_by_view(crm: Caller) -> None:
    a, b = crm.ids("Leads", 2)
    said = crm("POST", "Leads/actions/mass_delete", json={"ids": [a, "99"]})
    assert said.status_code == 207 and said.json()["data"][0]["message"] == "record is deleted"
    job = crm("POST", "Leads/actions/mass_delete", json={"cvid": "9"}).json()["data"][0]["details"]["job_id"]
    assert code(crm("POST", "Leads/actions/mass_delete", json={"cvid": "9"})) == "ALREADY_SCHEDULED"
    for wanted in ("RUNNING", "COMPLETED"):
        assert crm("GET", f"Leads/actions/mass_delete?job_id={job}").json()["data"][0]["Status"] == wanted
    assert crm.ids("Leads") == [] and b not in crm.ids("Leads")


def test_merge_takes_two_children_at_most_and_moves_what_hangs_on_them(crm: Caller) -> None:
    child, tasks = crm.parent_with("Tasks", "Who_Id")
    master, other, third = [i for i in crm.ids("Contacts", 6) if i != child][:3]
    many = {"merge": [{"data": [{"id": i} for i in (child, other, third)]}]}
    assert code(crm("POST", f"Contacts/{master}/actions/merge", json=many)) == "NOT_ALLOWED"
    assert crm("POST", f"Contacts/{master}/actions/merge", json={"merge": [{"data": [{"id": child}]}]}).status_code == 200
    assert crm("GET", f"Contacts/{child}").status_code == 204
    moved = crm("GET", f"Contacts/{master}/Tasks?fields=Subject").json()["data"]
    assert set(tasks) <= {r["id"] for r in moved}
    actions = [e["action"] for e in crm("GET", f"Contacts/{child}/__timeline").json()["__timeline"]]
    assert "find_and_merge_duplicate" in actions and "deleted" in actions
    crm.control("switches", bulk_threshold=0)
    scheduled = crm("POST", f"Contacts/{other}/actions/merge", json={"merge": [{"data": [{"id": master}]}]})
    assert scheduled.status_code == 202 and scheduled.json()["merge"][0]["details"]["job_id"]


def test_users_are_staff_and_a_deleted_owner_is_still_named(crm: Caller) -> None:
    people = crm("GET", "users?type=AllUsers").json()["users"]
    ident = next(u["id"] for u in people[1:] if u["status"] == "active")
    body = {"users": [{"id": ident, "status": "inactive"}]}
    assert crm("PUT", f"users/{ident}", json=body).status_code == 200
    assert code(crm("PUT", f"users/{ident}", json=body)) == "ID_ALREADY_DEACTIVATED"
    assert crm("PUT", f"users/{people[0]['id']}", json=body).status_code == 400, "the primary contact stays"
    assert crm("DELETE", f"users/{ident}").json()["users"][0]["message"] == "User deleted"
    again = crm("DELETE", f"users/{ident}")
    assert (again.status_code, code(again)) == (400, "ID_ALREADY_DELETED")
    owned = crm("POST", "coql", json={"select_query": f"select id, Owner from Contacts where Owner = '{ident}'"})
    assert owned.json()["data"][0]["Owner"]["id"] == ident
    for key, user in zip(("jobId", "job_id"), [u["id"] for u in people if u["id"] != ident][1:3], strict=True):
        crm.control("switches", job_key=key)
        move = {"transfer_and_delete": [{"transfer": {"id": people[0]["id"], "records": True}}]}
        said = crm("POST", f"users/{user}/actions/transfer_and_delete", json=move).json()["transfer_and_delete"][0]
        job = said["details"][key]
        for wanted in ("in_progress", "completed"):
            polled = crm("GET", f"users/{user}/actions/transfer_and_delete?job_id={job}").json()
            assert polled["transfer_and_delete"][0]["status"] == wanted


@pytest.mark.parametrize("shape", ["item", "top"])
@pytest.mark.parametrize("header", ["if-unmodified-since", "if-modified-since", "none"])
def test_an_update_takes_a_condition_that_a_delete_does_not(crm: Caller, header: str, shape: str) -> None:
    crm.control("switches", guard=header, guard_shape=shape)
    heeded, header = header != "none", "if-unmodified-since" if header == "none" else header
    a = crm.ids("Contacts", 1)[0]
    seen = crm("GET", f"Contacts/{a}").json()["data"][0]["Modified_Time"]
    body = {"data": [{"First_Name": "Neu", "Created_Time": "2000-01-01T00:00:00Z"}]}
    said = crm("PUT", f"Contacts/{a}", json=body, headers={header: seen}).json()["data"][0]
    assert said["code"] == "SUCCESS" and said["details"]["id"] == a
    after = crm("GET", f"Contacts/{a}").json()["data"][0]
    assert after["First_Name"] == "Neu" and not after["Created_Time"].startswith("2000")
    again = crm("PUT", f"Contacts/{a}", json=body, headers={header: seen})
    assert (again.status_code, code(again)) == ((412, "ALREADY_MODIFIED") if heeded else (200, "SUCCESS"))
    assert crm("DELETE", f"Contacts/{a}", headers={header: seen}).status_code == 200
    assert crm("PUT", f"Contacts/{a}", json=body).status_code == 400


def test_an_insert_has_a_verdict_per_record_and_fires_workflows_unless_told_not_to(crm: Caller) -> None:
    crm.control("switches", mandatory=["Contacts.Last_Name"], unique=["Contacts.Email"])
    good = {
        "Last_Name": "Neu",
        "Email": "neu@crm.example",
        "Visits": [{"Remark": "x"}],
        "Modified_Time": "2000-01-01T00:00:00Z",
    }
    said = crm("POST", "Contacts", json={"data": [good, {"First_Name": "x"}, {**good, "Last_Name": "Zwei"}], "trigger": []})
    assert said.status_code == 207
    assert [i["code"] for i in said.json()["data"]] == ["SUCCESS", "MANDATORY_NOT_FOUND", "DUPLICATE_DATA"]
    ident = said.json()["data"][0]["details"]["id"]
    made = crm("GET", f"Contacts/{ident}").json()["data"][0]
    assert made["Visits"][0]["Remark"] == "x" and made["Visits"][0]["id"] and not made["Modified_Time"].startswith("2000")
    me = crm("GET", "users?type=CurrentUser").json()["users"]
    assert len(me) == 1 and made["Created_By"]["id"] == made["Owner"]["id"] == me[0]["id"]
    assert crm.http.get(f"/_control/record/{ident}").json()["workflow"] == 0
    other = crm("POST", "Contacts", json={"data": [{"Last_Name": "Laut"}]})
    assert other.status_code == 201
    assert crm.http.get(f"/_control/record/{other.json()['data'][0]['details']['id']}").json()["workflow"] == 1
    assert crm("POST", "Contacts", json={"data": [{"Last_Name": "x"}] * 101}).status_code == 400
    assert crm("POST", "Deals", json={"data": [{"Deal_Name": "x", "Contact_Name": {"id": "99"}}]}).status_code == 400


def test_a_unique_value_that_was_taken_meanwhile_stops_a_restore(crm: Caller) -> None:
    crm.control("switches", unique=["Contacts.Email"])
    a = crm("POST", "Contacts", json={"data": [{"Last_Name": "A", "Email": "one@crm.example"}]}).json()["data"][0]["details"][
        "id"
    ]
    crm("DELETE", f"Contacts/{a}")
    assert crm("POST", "Contacts", json={"data": [{"Last_Name": "B", "Email": "one@crm.example"}]}).status_code == 201
    assert code(crm("POST", f"settings/recycle_bin/{a}/actions/restore")) == "DUPLICATE_DATA"


@pytest.mark.parametrize("moves", ["yes", "ignored", "refused"])
def test_the_parent_of_a_note_may_or_may_not_be_changed(crm: Caller, moves: str) -> None:
    crm.control("switches", note_moves=moves)
    parent, notes = crm.parent_with("Notes", "Parent_Id")
    other = next(i for i in crm.ids("Contacts") if i != parent)
    body = {"data": [{"Parent_Id": {"id": other, "module": {"api_name": "Contacts"}}}]}
    said = crm("PUT", f"Notes/{notes[0]}", json=body)
    held = crm("GET", f"Notes/{notes[0]}").json()["data"][0]["Parent_Id"]["id"]
    assert (said.status_code, held) == (400 if moves == "refused" else 200, other if moves == "yes" else parent)


def test_people_and_late_calls_and_answers_without_a_verdict(crm: Caller) -> None:
    a, b, c = crm.ids("Contacts", 3)
    crm.control("remove", id=a)
    said = crm("GET", f"settings/recycle_bin/{a}").json()["recycle_bin"][0]
    assert said["deleted_by"]["id"] != crm("GET", "users?type=CurrentUser").json()["users"][0]["id"]
    crm.control("return", id=a)
    assert crm("GET", f"Contacts/{a}").status_code == 200
    crm.control("faults", kind="late", method="DELETE")
    with pytest.raises(httpx.HTTPError):
        crm("DELETE", f"Contacts?ids={a}")
    assert crm("GET", f"Contacts/{a}").status_code == 200
    assert crm.control("late")["statuses"] == [200] and crm("GET", f"Contacts/{a}").status_code == 204
    crm.control("faults", kind="partial", method="DELETE")
    assert len(crm("DELETE", f"Contacts?ids={b},{c}").json()["data"]) == 1
    assert crm("GET", f"Contacts/{c}").status_code == 204


@pytest.mark.parametrize("told", [True, False])
def test_the_timeline_of_what_lies_in_the_bin_may_be_told_or_not(crm: Caller, told: bool) -> None:
    crm.control("switches", timeline_of_binned=told)
    a = crm.ids("Contacts", 1)[0]
    crm.control("edit", id=a, values={"First_Name": "x"})
    crm("DELETE", f"Contacts/{a}")
    said = crm("GET", f"Contacts/{a}/__timeline")
    assert said.status_code == (200 if told else 400)
    if told:
        assert [e["action"] for e in said.json()["__timeline"]] == ["deleted", "updated"]


def test_timeline_and_audit_export_say_what_was_done(crm: Caller) -> None:
    a, b = crm.ids("Contacts", 2)
    user = crm("GET", "users?type=ActiveUsers").json()["users"][0]
    moved = crm("POST", "Contacts/actions/change_owner", json={"ids": [b, "99"], "owner": {"id": user["id"]}})
    assert moved.status_code == 207 and crm("GET", f"Contacts/{b}").json()["data"][0]["Owner"]["id"] == user["id"]
    crm("DELETE", f"Contacts/{a}")
    crm("POST", f"settings/recycle_bin/{a}/actions/restore")
    assert [e["action"] for e in crm("GET", f"Contacts/{a}/__timeline").json()["__timeline"]] == ["restored", "deleted"]
    job = crm("POST", "settings/audit_log_export", json={}).json()["audit_log_export"][0]["details"]["id"]
    for wanted in ("Scheduled", "Progress", "Finished"):
        said = crm("GET", f"settings/audit_log_export/{job}").json()["audit_log_export"][0]
        assert said["status"] == wanted
    path = said["download_links"][0].removeprefix(str(crm.http.base_url).rstrip("/"))
    rows = list(csv.reader(io.StringIO(crm("GET", path).text)))[1:]
    assert [(r[2], r[4]) for r in rows] == [("updated", b), ("deleted", a), ("restored", a)]


def test_related_counts_nest(crm: Caller) -> None:
    parent, tasks = crm.parent_with("Tasks", "Who_Id")
    sent = {"get_related_records_count": [{"related_list": {"api_name": "Tasks"}}]}
    said = crm("POST", f"Contacts/{parent}/actions/get_related_records_count", json=sent).json()
    assert said["get_related_records_count"][0][0]["count"] == len(tasks)


def test_credits_are_told_from_half_use_on_and_429_has_no_retry_after(crm: Caller) -> None:
    crm.control("switches", credits=4)
    assert "x-api-credits-remaining" not in crm("GET", "org").headers
    assert crm("GET", "org").headers["x-api-credits-remaining"] == "2"
    crm("GET", "Contacts/deleted")
    spent = crm("GET", "org")
    assert (spent.status_code, code(spent)) == (429, "TOO_MANY_REQUESTS") and "retry-after" not in spent.headers


def test_concurrency_is_capped(crm: Caller) -> None:
    crm.control("switches", concurrency=0)
    assert crm("GET", "org").status_code == 429


def test_faults_before_and_after_applying(crm: Caller) -> None:
    a, b = crm.ids("Contacts", 2)
    crm.control("faults", kind="cut_before", method="DELETE")
    with pytest.raises(httpx.RemoteProtocolError):
        crm("DELETE", f"Contacts/{a}")
    assert crm("GET", f"Contacts/{a}").status_code == 200
    crm.control("faults", kind="cut_after", method="DELETE")
    with pytest.raises(httpx.RemoteProtocolError):
        crm("DELETE", f"Contacts/{b}")
    assert crm("DELETE", f"Contacts/{b}").json()["data"][0]["message"] == "record not deleted"
    for name in ("INTERNAL_ERROR", "INTERNAL_SERVER_ERROR"):
        crm.control("switches", server_error=name)
        crm.control("faults", kind="500")
        answer = crm("GET", "org")
        assert (answer.status_code, code(answer)) == (500, name)


def test_wrong_paths_and_verbs(crm: Caller) -> None:
    assert (crm("GET", "a/b/c/d/e").status_code, code(crm("GET", "a/b/c/d/e"))) == (404, "INVALID_URL_PATTERN")
    assert code(crm("PATCH", "users/5")) == "INVALID_REQUEST_METHOD"
    assert code(crm("GET", "Nope?fields=id")) == "INVALID_MODULE"


def test_a_body_of_another_shape_is_refused(crm: Caller) -> None:
    a = crm.ids("Contacts", 1)[0]
    for path in ("coql", "/crm/bulk/v8/read", "Contacts/actions/mass_delete", f"Contacts/{a}/actions/merge",
                 "settings/recycle_bin/actions/restore"):  # fmt: skip
        for body in ([], {"merge": [3]}, {"query": {"module": 5}}, {"ids": 5}, {"filters": []}):
            assert crm("POST", path, json=body).status_code == 400, (path, body)
    assert crm("POST", "coql", content=b"{").status_code == 400


def test_a_kept_state_goes_on_where_it_stood(tmp_path: Path) -> None:
    first = create_app(tmp_path / "state.sqlite", customers=20)
    held = first.state.db.execute("SELECT count(*), max(id) FROM record").fetchall()
    job = first.state.new_id()
    first.state.db.execute("INSERT INTO job (id, kind) VALUES (?, 'bulk')", (job,))
    first.state.db.close()
    second = create_app(tmp_path / "state.sqlite", customers=20)
    assert second.state.db.execute("SELECT count(*), max(id) FROM record").fetchall() == held
    assert second.state.new_id() == job + 1
    second.state.db.close()


def test_the_page_escapes_and_the_log_holds_no_secret(crm: Caller) -> None:
    ident = crm.ids("Contacts")[0]
    crm.control("edit", id=ident, values={"Full_Name": "<script>alert(1)</script>"})
    crm("GET", "Contacts/search?word=%3Cimg%20src=x%3E")
    shown = crm.http.get("/").text
    assert "<script>" not in shown and "&lt;script&gt;alert(1)" in shown and "<img" not in shown and ident in shown
    log = crm.http.get("/_control/log").text
    assert "/oauth/v2/token" in log and crm.token not in log and "sandbox-client" not in log and "1000.executor" not in log
