"""The Copper sandbox against the checklist at the end of its contract page, item by item, over real HTTP."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from steward.sandbox.copper import ADMIN_KEY, State
from tests.support.copper_sandbox import Copies, Sandbox


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    return Copies(tmp_path_factory.mktemp("copper"), 260)


@pytest.fixture(scope="module")
def served(copies: Copies) -> Iterator[Sandbox]:
    with copies.running() as sandbox:
        yield sandbox


@pytest.fixture
def box(copies: Copies, served: Sandbox) -> Sandbox:
    copies.reset(served.state)
    return served


def problem(answer: httpx.Response, status: int = 422) -> str:
    assert answer.status_code == status
    body = answer.json()
    assert body["success"] is False
    assert body["status"] == status
    return str(body["message"])


@pytest.mark.parametrize("missing", ["X-PW-AccessToken", "X-PW-UserEmail", "X-PW-Application"])
def test_a_call_without_one_of_the_headers_is_refused(box: Sandbox, missing: str) -> None:
    headers = box.headers()
    assert box.client.get("/users/me", headers=headers).status_code == 200
    del headers[missing]
    assert box.client.get("/users/me", headers=headers).status_code == 401


def test_a_key_with_the_mail_of_another_user_is_refused(box: Sandbox) -> None:
    assert box.client.get("/users/me", headers={**box.headers(), "X-PW-UserEmail": box.mail(2)}).status_code == 401


def test_a_token_it_issued_is_accepted_and_no_other(box: Sandbox) -> None:
    code = box.control("oauth_code", {"user": 2})["code"]
    form = {"grant_type": "authorization_code", "code": code, "client_id": "c", "client_secret": "s", "redirect_uri": "x"}
    token = httpx.post(box.address + "/oauth/token", data=form).json()
    assert sorted(token) == ["access_token", "scope", "token_type"]
    assert box.client.get("/users/me", headers={"Authorization": f"Bearer {token['access_token']}"}).json()["id"] == 2
    assert box.client.get("/users/me", headers={"Authorization": "Bearer other"}).status_code == 401
    assert box.client.get("/users/me", headers={"Authorization": f"Bearer {ADMIN_KEY}"}).status_code == 401
    assert httpx.post(box.address + "/oauth/token", data=form).status_code == 401  # a code works once


def test_team_permissions_hide_records_without_a_hint(box: Sandbox) -> None:
    everything = box.call("POST", "/people/search", {}, admin=False).headers["X-PW-TOTAL"]
    box.control("switches", {"team_permissions": True}, "PUT")
    answer = box.call("POST", "/people/search", {"page_size": 200, "sort_by": "name"}, admin=False)
    assert 0 < int(answer.headers["X-PW-TOTAL"]) < int(everything)
    assert int(answer.headers["X-PW-TOTAL"]) >= len(answer.json())
    assert box.call("POST", "/people/search", {}).headers["X-PW-TOTAL"] == everything
    seen = {row["id"] for row in answer.json()}
    hidden = next(i for i in range(1, 200) if i not in seen and box.call("GET", f"/people/{i}").status_code == 200)
    assert box.call("GET", f"/people/{hidden}", admin=False).status_code == 404
    box.control("switches", {"hidden": "403"}, "PUT")
    assert box.call("GET", f"/people/{hidden}", admin=False).status_code == 403


def test_there_is_no_list_only_search(box: Sandbox) -> None:
    answer = box.call("GET", "/people")
    assert (answer.status_code, answer.json()) == (404, {"error": "not_found"})


def test_a_search_answers_a_bare_array_and_a_total_that_may_lie(box: Sandbox) -> None:
    answer = box.call("POST", "/people/search", {})
    total = int(answer.headers["X-PW-TOTAL"])
    assert len(answer.json()) == 20
    box.control("switches", {"total": "overstate", "total_extra": 5}, "PUT")
    assert int(box.call("POST", "/people/search", {}).headers["X-PW-TOTAL"]) == total + 5
    box.control("switches", {"total": "omit"}, "PUT")
    assert "X-PW-TOTAL" not in box.call("POST", "/people/search", {}).headers


def test_a_page_holds_at_most_200(box: Sandbox) -> None:
    assert len(box.search("people", page_size=200)) == 200
    problem(box.call("POST", "/people/search", {"page_size": 201}))
    box.control("switches", {"page_size_over": "clamp"}, "PUT")
    assert len(box.search("people", page_size=201)) == 200


def test_a_search_ends_at_its_ceiling(box: Sandbox) -> None:
    box.control("switches", {"ceiling": 50}, "PUT")
    pages = [box.search("people", page_size=20, page_number=n, sort_by="name") for n in range(1, 5)]
    assert [len(page) for page in pages] == [20, 20, 10, 0]


def test_short_pages_lose_nothing_and_unsorted_pages_overlap(box: Sandbox) -> None:
    box.control("switches", {"short_by": 30, "overlap": 4}, "PUT")
    pages = [box.search("people", page_size=100, page_number=n, sort_by="date_modified") for n in range(1, 5)]
    assert len(pages[0]) == 70
    ids = [row["id"] for page in pages for row in page]
    assert len(ids) == len(set(ids)) == int(box.call("POST", "/people/search", {}).headers["X-PW-TOTAL"])
    box.control("switches", {"short_by": 0}, "PUT")
    first, second = ({row["id"] for row in box.search("people", page_size=20, page_number=n)} for n in (2, 3))
    assert first & second  # without a sort order, rows of the page before come again
    assert not {row["id"] for row in pages[0]} & {row["id"] for row in pages[1]}
    box.control("switches", {"empty_pages": 1}, "PUT")
    lengths = [len(box.search("people", page_size=100, page_number=n, sort_by="id")) for n in (1, 2, 3)]
    assert lengths == [100, 0, 100]


def test_a_bound_counts_itself_in_or_out_as_switched(box: Sandbox) -> None:
    moment = box.search("people", sort_by="date_created", page_size=1)[0]["date_created"]
    for bounds, there in (("inclusive", True), ("exclusive", False)):
        box.control("switches", {"bounds": bounds}, "PUT")
        assert bool(box.search("people", maximum_created_date=moment)) is there


def test_unknown_keys_and_bad_ids_are_refused(box: Sandbox) -> None:
    text = problem(box.call("POST", "/people/search", {"pageSize": 1}))
    assert text == "Invalid input: Validation errors: Base: Unrecognized attributes specified: pageSize"
    text = problem(box.call("POST", "/people", {"name": "A", "company_id": "abc"}))
    assert text.endswith("Company Id: Invalid value for Company Id: IDs must be positive integers: abc")
    for bad in ("abc", "0", "-4", "1.5"):
        assert "IDs must be positive integers" in problem(box.call("GET", f"/people/{bad}"))
    problem(box.call("POST", "/people/search", {"ids": [0]}))
    assert "\n" in problem(box.call("POST", "/people", {"nope": 1}))


def test_ids_collide_across_entities(box: Sandbox) -> None:
    names = {kind: box.call("GET", f"/{kind}/3").json() for kind in ("people", "companies", "leads", "opportunities")}
    assert all(body["id"] == 3 for body in names.values())
    assert len({body["name"] for body in names.values()}) == 4


def test_times_come_in_both_forms(box: Sandbox) -> None:
    dates = {type(row["due_date"]) for row in box.search("tasks", page_size=200)}
    assert dates == {int, str}
    births = {type(row["custom_fields"][0]["value"]) for row in box.search("people", page_size=200)}
    assert {int, str} <= births
    deal = box.search("opportunities", page_size=1)[0]
    assert len(deal["close_date"].split("/")) == 3
    assert len(str(deal["date_created"])) == 10


def test_removing_a_user_leaves_records_unassigned(box: Sandbox) -> None:
    owned = box.search("people", assignee_ids=[4], page_size=200)
    nobody = int(box.call("POST", "/people/search", {"assignee_ids": [-2]}).headers["X-PW-TOTAL"])
    box.control("remove_user", {"id": 4})
    assert owned
    assert box.call("GET", f"/people/{owned[0]['id']}").json()["assignee_id"] is None
    assert int(box.call("POST", "/people/search", {"assignee_ids": [-2]}).headers["X-PW-TOTAL"]) == nobody + len(owned)
    assert 4 not in {user["id"] for user in box.search("users", page_size=200)}


def test_a_delete_is_final_and_a_second_one_as_switched(box: Sandbox) -> None:
    assert box.call("DELETE", "/people/5").json() == {"id": 5, "is_deleted": True}
    assert problem(box.call("GET", "/people/5"), 404) == "Resource not found"
    assert box.search("people", ids=[5]) == []
    assert problem(box.call("DELETE", "/people/5"), 404) == "Resource not found"
    box.control("switches", {"second_delete": "200"}, "PUT")
    assert box.call("DELETE", "/people/5").json() == {"id": 5, "is_deleted": True}
    assert box.call("DELETE", "/people/99999").status_code == 404


def test_search_may_lag_behind_a_delete(box: Sandbox) -> None:
    box.control("switches", {"lag": True}, "PUT")
    box.call("DELETE", "/people/5")
    assert box.call("GET", "/people/5").status_code == 404
    assert [row["id"] for row in box.search("people", ids=[5])] == [5]
    box.control("settle")
    assert box.search("people", ids=[5]) == []


def test_a_deleted_activity_stays_as_a_stub(box: Sandbox) -> None:
    stub = {"id": 2, "is_deleted": True}
    assert box.call("DELETE", "/activities/2").json() == stub
    assert box.call("GET", "/activities/2").json() == stub
    problem(box.call("PUT", "/activities/2", {"details": "x"}))
    assert box.search("activities", ids=[2]) == []
    box.control("switches", {"stubs_in_search": True}, "PUT")
    assert box.search("activities", ids=[2]) == [stub]


@pytest.mark.parametrize("call", [("POST", "/people/bulk_delete"), ("POST", "/people/5/restore"), ("GET", "/people/deleted")])
def test_no_bulk_delete_no_restore_no_deleted_list(box: Sandbox, call: tuple[str, str]) -> None:
    assert box.call(*call).status_code == 404


@pytest.mark.parametrize("policy", ["orphan", "null", "cascade", "refuse"])
def test_a_delete_treats_children_as_switched(box: Sandbox, policy: str) -> None:
    box.control("switches", {"on_delete": {"people.company": policy}}, "PUT")
    child = next(row for row in box.search("people", page_size=200) if row["company_id"])
    parent = child["company_id"]
    answer = box.call("DELETE", f"/companies/{parent}")
    now = box.call("GET", f"/people/{child['id']}")
    if policy == "refuse":
        problem(answer)
        assert box.call("GET", f"/companies/{parent}").status_code == 200
    elif policy == "cascade":
        assert now.status_code == 404
    else:
        assert now.json()["company_id"] == (parent if policy == "orphan" else None)


CHILDREN = {
    "opportunity.company": ("opportunities", "companies", "company_id"),
    "opportunity.primary_contact": ("opportunities", "people", "primary_contact_id"),
    "task.related": ("tasks", "people", "related_resource"),
    "activity.parent": ("activities", "people", "parent"),
}


@pytest.mark.parametrize("policy", ["orphan", "null", "cascade", "refuse"])
@pytest.mark.parametrize("relation", sorted(CHILDREN))
def test_every_relation_has_its_own_policy(box: Sandbox, relation: str, policy: str) -> None:
    kind, parent_kind, field = CHILDREN[relation]
    child, parent = next(
        (body, value["id"] if isinstance(value, dict) else value)
        for body in box.state.all(kind)
        if (value := body[field]) and (not isinstance(value, dict) or value["type"] == "person")
    )
    box.control("switches", {"on_delete": {relation: policy}}, "PUT")
    answer = box.call("DELETE", f"/{parent_kind}/{parent}")
    now = box.call("GET", f"/{kind}/{child['id']}")
    if policy == "refuse":
        problem(answer)
        assert now.json()[field] == child[field]
    elif policy == "cascade":
        assert now.status_code == 404 or now.json() == {"id": child["id"], "is_deleted": True}
    else:
        assert now.json()[field] == (child[field] if policy == "orphan" else None)


def test_files_are_listed_and_deleted(box: Sandbox) -> None:
    file = box.call("GET", "/people/1/files").json()[0]["id"]
    said = box.call("DELETE", f"/people/1/files/{file}").json()
    assert said == {"removed": True, "resource": {"id": file, "type": "filedocument"}}
    assert box.call("GET", "/people/1/files").json() == []
    assert box.call("DELETE", f"/people/1/files/{file}").status_code == 404


def test_the_command_serves_until_it_is_stopped() -> None:
    words = [sys.executable, "-m", "steward.cli", "sandbox", "copper", "--customers", "20", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = b""
        while b"http://127.0.0.1:" not in said or b"}" not in said:
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else b""
            said += line
        address = json.loads(said[said.index(b"{") :])["address"]
        page = httpx.get(address + "/")
        assert "X-PW-AccessToken" in page.text
        assert httpx.get(address + "/developer_api/v1/users/me").status_code == 401
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_relations_keep_their_limits(box: Sandbox) -> None:
    person = next(row for row in box.search("people", page_size=200) if row["company_id"])
    path, link = f"/people/{person['id']}/related", {"resource": {"id": person["company_id"], "type": "company"}}
    assert {"id": person["company_id"], "type": "company"} in box.call("GET", path).json()
    other = {"resource": {"id": 1 if person["company_id"] != 1 else 2, "type": "company"}}
    assert "one company" in problem(box.call("POST", path, other))
    assert "Resources are not related" in problem(box.call("DELETE", path, other))
    assert box.call("DELETE", path, link).json() == {"removed": True, **link}
    assert box.call("POST", path, other).status_code == 200
    assert box.call("GET", path + "/companies").json() == [other["resource"]]
    task = next(row for row in box.search("tasks", page_size=200) if row["related_resource"])
    problem(box.call("POST", f"/tasks/{task['id']}/related", {"resource": {"id": 1, "type": "project"}}))
    problem(box.call("POST", "/leads/1/related", {"resource": {"id": 1, "type": "company"}}))


def test_mail_and_domain_are_unique(box: Sandbox) -> None:
    person = next(row for row in box.search("people", page_size=200) if row["emails"])
    mail = person["emails"][0]["email"]
    assert box.call("POST", "/people/fetch_by_email", {"email": mail.upper()}).json()["id"] == person["id"]
    assert problem(box.call("POST", "/people/fetch_by_email", {"email": "no@body.example"}), 404)
    entry = {"emails": [{"email": mail, "category": "work"}]}
    problem(box.call("POST", "/people", {"name": "A", **entry}))
    problem(box.call("PUT", f"/people/{1 if person['id'] != 1 else 2}", entry))
    assert box.call("PUT", f"/people/{person['id']}", entry).status_code == 200
    domain = next(row for row in box.search("companies", page_size=200) if row["email_domain"])["email_domain"]
    problem(box.call("POST", "/companies", {"name": "B", "email_domain": domain}))


def test_an_update_changes_only_what_it_names(box: Sandbox) -> None:
    before = box.call("GET", "/people/7").json()
    after = box.call("PUT", "/people/7", {"title": None, "details": "called"}).json()
    changed = {key for key in before if before[key] != after[key]}
    assert changed - {"title"} == {"details", "date_modified"}
    assert after["title"] is None


def test_a_record_made_again_has_a_new_id_and_new_dates(box: Sandbox) -> None:
    before = next(row for row in box.search("companies", page_size=50) if row["name"])
    box.call("DELETE", f"/companies/{before['id']}")
    again = {"name": before["name"], "date_created": before["date_created"]}
    made = box.call("POST", "/companies", again).json()
    assert made["id"] != before["id"]
    assert made["date_created"] > before["date_created"]
    box.control("switches", {"keep_given_dates": True}, "PUT")
    assert box.call("POST", "/companies", again).json()["date_created"] == before["date_created"]


@pytest.mark.parametrize("form", ["empty", "envelope"])
def test_the_limit_rolls_and_says_nothing(box: Sandbox, form: str) -> None:
    box.control("switches", {"per_minute": 180, "rate_body": form}, "PUT")
    statuses = [box.call("GET", "/users/me").status_code for _ in range(181)]
    assert statuses == [200] * 180 + [429]
    answer = box.call("GET", "/users/me")
    assert not [name for name in answer.headers if "rate" in name.lower() or name.lower() == "retry-after"]
    assert answer.content == b"" if form == "empty" else answer.json()["status"] == 429
    box.control("clock", {"advance": 61})
    assert box.call("GET", "/users/me").status_code == 200


def test_bulk_calls_take_ten_and_answer_each(box: Sandbox) -> None:
    answer = box.call("POST", "/leads/bulk_create", [{"name": f"L{n}"} for n in range(11)])
    assert (answer.status_code, answer.json()) == (422, {"error": "Request size too large, limit is 10"})
    items = [{"id": 3, "title": "x"}, {"id": 2, "name": ""}, {"id": 1, "title": "y"}]
    out = box.call("POST", "/people/bulk_update", items).json()
    assert out[1] == {"success": False, "message": {"name": [{"error": "invalid"}]}, "id": 2}
    assert [(row["id"], row["title"]) for row in (out[0], out[2])] == [(3, "x"), (1, "y")]
    box.control("clock", {"advance": 2})
    box.control("switches", {"bulk_per_second": 1}, "PUT")
    box.state._clock = lambda: 1_800_000_000.0
    assert [box.call("POST", "/people/bulk_update", []).status_code for _ in range(2)] == [200, 429]


def test_leads_can_be_off(box: Sandbox) -> None:
    box.control("switches", {"leads": False}, "PUT")
    assert box.call("POST", "/leads/search", {}).status_code == 403
    assert box.call("GET", "/account").json()["settings"]["setting_enable_leads"] is False


def test_converted_leads_are_left_out_unless_asked(box: Sandbox) -> None:
    some = int(box.call("POST", "/leads/search", {}).headers["X-PW-TOTAL"])
    assert int(box.call("POST", "/leads/search", {"include_converted_leads": True}).headers["X-PW-TOTAL"]) > some


def test_delete_notices_come_once_and_may_be_lost(box: Sandbox) -> None:
    hook = {"type": "person", "event": "delete", "target": "https://hook.example/x"}
    assert box.call("POST", "/webhooks", hook).json()["id"] == 1
    assert "\n" in problem(box.call("POST", "/webhooks", {"type": "x", "event": "y", "target": "z"}))
    for n in range(1, 33):
        box.call("DELETE", f"/people/{n}")
    box.call("DELETE", "/companies/1")
    notices = box.control("notices", method="GET")
    assert [len(notice["ids"]) for notice in notices] == [30, 2]
    box.control("switches", {"drop_webhooks": True}, "PUT")
    box.call("DELETE", "/people/40")
    assert box.control("notices", method="GET") == notices
    assert box.call("DELETE", "/webhooks/1").status_code == 200
    assert box.call("GET", "/webhooks").json() == []


def test_faults_strike_as_planned(box: Sandbox) -> None:
    box.control("faults", {"kind": "500", "path": "/people"})
    answer = box.call("GET", "/people/9")
    assert answer.status_code == 502
    assert "html" in answer.headers["content-type"]
    box.control("faults", {"kind": "cut_before", "method": "DELETE"})
    with pytest.raises(httpx.TransportError):
        box.call("DELETE", "/people/9")
    assert box.call("GET", "/people/9").status_code == 200
    box.control("faults", {"kind": "cut_after", "method": "DELETE"})
    with pytest.raises(httpx.TransportError):
        box.call("DELETE", "/people/9")
    assert box.call("GET", "/people/9").status_code == 404
    box.control("faults", {"kind": "429", "skip": 1})
    assert [box.call("GET", "/users/me").status_code for _ in range(3)] == [200, 429, 200]


def test_every_answer_has_a_request_id(box: Sandbox) -> None:
    answers = [box.call("GET", path) for path in ("/users/me", "/nope", "/people/99999")]
    answers.append(box.client.get("/users/me"))
    assert len({answer.headers["x-request-id"] for answer in answers}) == 4


def test_connect_fields_stand_apart(box: Sandbox) -> None:
    link = box.call("GET", "/related_links?source_type=people&source_id=1").json()[0]
    assert link["source"]["id"] == 1
    assert link["target"]["entity_type"] == "people"
    target = f"/related_links?source_type=people&source_id={link['target']['id']}"
    assert box.call("GET", target).json() == []
    box.control("switches", {"links_both_ways": True, "link_entity_type": "singular"}, "PUT")
    assert box.call("GET", target).json()[0]["target"] == {**link["source"], "entity_type": "person"}
    assert 7 not in {one["custom_field_definition_id"] for one in box.call("GET", "/people/1").json()["custom_fields"]}
    problem(box.call("GET", "/related_links?source_type=people&source_id=x"))


def test_filters_name_what_they_find(box: Sandbox) -> None:
    opened = box.search("opportunities", status_ids=[0], page_size=200)
    assert {row["status"] for row in opened} == {"Open"}
    company = next(row["company_id"] for row in opened if row["company_id"])
    assert {row["company_id"] for row in box.search("people", company_ids=[company])} <= {company}
    parent = box.search("activities", page_size=1)[0]["parent"]
    assert {tuple(row["parent"].items()) for row in box.search("activities", parent=parent)} == {tuple(parent.items())}
    moment = box.search("people", sort_by="date_modified", sort_direction="desc", page_size=30)[-1]["date_modified"]
    assert len(box.search("people", minimum_modified_date=moment, page_size=200)) >= 30
    problem(box.call("POST", "/users/search", {"minimum_modified_date": 1}))


def test_the_page_escapes_what_records_and_calls_say(box: Sandbox) -> None:
    hostile = "<script>alert(1)</script>"
    box.control("edit", {"kind": "people", "id": 1, "changes": {"name": hostile}})
    box.call("POST", "/people/search", {hostile: 1})
    box.call("DELETE", "/people/1")
    for kind in ("people", "gone", "log", hostile):
        answer = httpx.get(box.address + "/", params={"kind": kind})
        assert answer.status_code == 200
        assert "<script" not in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "&lt;script&gt;" in httpx.get(box.address + "/?kind=log").text
    assert ADMIN_KEY not in str(box.control("log", method="GET"))


def test_the_control_refuses_what_it_does_not_know(box: Sandbox) -> None:
    for verb, body in (("switches", {"nope": 1}), ("switches", {"total": "x"}), ("faults", {"kind": "x"}), ("edit", {})):
        assert httpx.post(f"{box.address}/_control/{verb}", json=body).status_code == 400
    assert httpx.post(box.address + "/_control/nope", json={}).status_code == 404


def test_the_same_seed_builds_the_same_records(copies: Copies, tmp_path: Path) -> None:
    one, two = State(copies.original), State(Copies(tmp_path, 260).original)
    for kind in ("people", "companies", "activities"):
        assert list(one.all(kind)) == list(two.all(kind))
    one.close()
    two.close()
