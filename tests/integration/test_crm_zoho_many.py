"""Zoho records by the hundred: what lists cut and leave out, what they do not give, and what the recycle bin says of the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from steward.crm.mapping import parse_mapping
from steward.crm.zoho import ZohoReader
from steward.errors import SchemaMismatchError
from steward.records import Absent, Record, canonical_text
from steward.sandbox.zoho import reading, rows
from tests.support.vendor_sandbox import serve
from tests.support.writer_zoho import Quick, mapping_text, profile
from tests.support.zoho_contract import Watched
from tests.support.zoho_sandbox import Caller, Fresh

MAPPING = parse_mapping(mapping_text())


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


def open_reader(crm: Caller, **options: str) -> ZohoReader:
    address = str(crm.http.base_url).rstrip("/")
    return ZohoReader(profile(address, **options), MAPPING, clock=Quick(), transport=Watched())


@pytest.fixture
def reader(crm: Caller) -> Iterator[ZohoReader]:
    with open_reader(crm) as found:
        assert isinstance(found, ZohoReader)
        yield found


def asked(crm: Caller) -> list[str]:
    return [
        f"{e['method']} {e['path'].split('?')[0]}"
        for e in crm.http.get("/_control/log").json()["log"]
        if "/oauth/" not in e["path"]
    ]


def same(left: Record | Absent, right: Record | Absent) -> bool:
    assert isinstance(left, Record) and isinstance(right, Record)
    return left.digest == right.digest and left.version == right.version


@pytest.mark.parametrize(
    "object", ["company", "contact", "lead", "deal", "task", "call", "meeting", "ticket", "order", "invoice", "note"]
)
def test_together_one_by_one_and_as_a_file_are_one_record(crm: Caller, reader: ZohoReader, object: str) -> None:
    scanned = {r.key.id: r for part in reader.scan(object) for r in part}
    some = list(scanned)[:130]
    together = reader.fetch(object, some)
    with open_reader(crm, reads="single") as single:
        one_by_one = single.fetch(object, some[:30])
    assert list(together) and set(together) == set(some)
    assert all(same(together[i], scanned[i]) for i in some)
    assert all(same(together[i], one_by_one[i]) for i in some[:30])


def test_a_hundred_records_cost_a_few_calls(crm: Caller, reader: ZohoReader) -> None:
    ids = crm.ids("Contacts", 100)
    reader.columns("contact")
    before = len(asked(crm))
    found = reader.fetch("contact", ids)
    calls = asked(crm)[before:]
    assert len(found) == 100 and len(calls) <= 4, calls
    assert not [c for c in calls if c.startswith("GET /crm/v8/Contacts/5")]


def test_subforms_and_multi_select_look_ups_are_in_the_record(crm: Caller, reader: ZohoReader) -> None:
    held = {i: json.loads(crm.http.get(f"/_control/record/{i}").json()["doc"]) for i in crm.ids("Contacts", 60)}
    visited = [i for i, doc in held.items() if doc.get("Visits")]
    partners = [i for i, doc in held.items() if doc.get("Partners")]
    assert visited and partners
    for found in (reader.fetch("contact", list(held)), {r.key.id: r for part in reader.scan("contact") for r in part}):
        for id in (*visited, *partners):
            record, wanted = found[id], held[id]
            assert isinstance(record, Record)
            more: Any = record.fields["more"]
            if id in visited:
                assert [v["Remark"] for v in more["Visits"]] == [v["Remark"] for v in wanted["Visits"]]
            else:
                assert more["Partners"] == [{"Partners": {"id": wanted["Partners"][0]["Partners"]["id"]}}]


def test_a_change_in_a_subform_changes_the_digest(crm: Caller, reader: ZohoReader) -> None:
    ids = crm.ids("Contacts", 5)
    before = reader.fetch("contact", ids)
    crm.control("edit", id=ids[0], values={"Visits": [{"id": "1", "Remark": "changed"}]})
    after = reader.fetch("contact", ids)
    assert not same(before[ids[0]], after[ids[0]]) and same(before[ids[1]], after[ids[1]])


def test_another_records_new_name_changes_nothing_here(crm: Caller, reader: ZohoReader) -> None:
    """A look-up carries the name of what it leads to; that it was renamed there is no change here."""
    ids = [
        i for i in crm.ids("Contacts", 60) if json.loads(crm.http.get(f"/_control/record/{i}").json()["doc"]).get("Partners")
    ]
    before = reader.fetch("contact", ids)
    for id in ids:
        doc = json.loads(crm.http.get(f"/_control/record/{id}").json()["doc"])
        doc["Partners"][0]["Partners"]["name"] = "renamed"
        crm.state.db.execute("UPDATE record SET doc = ? WHERE id = ?", (json.dumps(doc), int(id)))
    after = reader.fetch("contact", ids)
    assert ids and all(same(before[i], after[i]) for i in ids)


def test_a_text_that_a_list_cuts_comes_whole(crm: Caller, reader: ZohoReader) -> None:
    ids = crm.ids("Contacts", 4)
    for length, id in zip((499, 500, 501, 3_000), ids, strict=True):
        crm.control("edit", id=id, values={"Background": "x" * length})
    found = reader.fetch("contact", ids)
    lengths = [len(str(r.fields["Background"])) for r in found.values() if isinstance(r, Record)]
    assert lengths == [499, 500, 501, 3_000]


def test_a_column_that_coql_leaves_out_is_asked_for_in_full(
    crm: Caller, reader: ZohoReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = rows.listed
    monkeypatch.setattr(reading.rows, "listed", lambda *args: {n: v for n, v in real(*args).items() if n != "Tag"})
    ids = crm.ids("Contacts", 40)
    with open_reader(crm, reads="single") as single:
        alone = single.fetch("contact", ids)
    before = len(asked(crm))
    found = reader.fetch("contact", ids)
    assert all(same(found[i], alone[i]) for i in ids) and len(asked(crm)) - before <= 6


@pytest.mark.parametrize("lacking", ["field", "record"])
def test_what_an_answer_leaves_out_is_read_by_itself(
    crm: Caller, reader: ZohoReader, lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = rows.complete

    def complete(*args: Any) -> dict[str, Any]:
        said = real(*args)
        return {"id": said["id"]} if lacking == "field" else {**said, "id": "1"}

    monkeypatch.setattr(rows, "complete", complete)
    ids = crm.ids("Contacts", 6)
    found = reader.fetch("contact", ids)
    with open_reader(crm, reads="single") as single:
        alone = single.fetch("contact", ids)
    assert all(same(found[i], alone[i]) for i in ids)


def test_a_snapshot_without_subforms_is_refused_unless_the_profile_says_so(
    crm: Caller, reader: ZohoReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "complete", lambda state, row, fields: {"id": str(row["id"])})
    with pytest.raises(SchemaMismatchError) as caught:
        list(reader.scan("contact"))
    assert "Visits" in str(caught.value)
    with open_reader(crm, subforms="single") as single, open_reader(crm, subforms="leave_out") as without:
        one = {r.key.id: r for part in single.scan("contact") for r in part}
        two = {r.key.id: r for part in without.scan("contact") for r in part}
        some = list(one)[:10]
        again = single.fetch("contact", some)
        assert all(same(again[i], one[i]) for i in some) and any(one[i].fields["more"] for i in some)
        assert not any(r.fields["more"] for r in two.values())
        left = without.fetch("contact", some)
        assert all(same(left[i], two[i]) for i in some)


def test_a_field_that_coql_does_not_take_makes_every_record_read_by_itself(
    crm: Caller, reader: ZohoReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    from steward.sandbox.zoho.answers import Refusal

    def refuse(text: str, depth: int) -> Any:
        raise Refusal(400, "INVALID_QUERY", "column given seems to be invalid", {"column_name": "Background"})

    monkeypatch.setattr(reading.coql, "parse", refuse)
    ids = crm.ids("Contacts", 5)
    for _ in range(2):
        assert all(isinstance(r, Record) for r in reader.fetch("contact", ids).values())
    assert asked(crm).count("POST /crm/v8/coql") == 1, "it is not asked twice"


def test_more_than_fifty_fields_are_asked_for_in_parts(
    crm: Caller, reader: ZohoReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    from steward.crm import zoho_many

    monkeypatch.setattr(zoho_many, "_FIELDS", 7)
    ids = crm.ids("Contacts", 5)
    with open_reader(crm, reads="single") as single:
        alone = single.fetch("contact", ids)
    assert all(same(reader.fetch("contact", ids)[i], alone[i]) for i in ids)


@pytest.mark.parametrize("shape", ["object", "string"])
def test_what_went_is_listed_by_the_bin_with_who_deleted_it(crm: Caller, reader: ZohoReader, shape: str) -> None:
    crm.control("switches", bin_module=shape)
    ids = crm.ids("Contacts", 40)
    reader.columns("contact")
    crm("DELETE", f"Contacts?ids={','.join(ids)}")
    who = str(crm("GET", "users?type=CurrentUser").json()["users"][0]["id"])
    before = len(asked(crm))
    found = reader.fetch("contact", ids)
    assert all(isinstance(a, Absent) and a.binned and a.deleted_by == who for a in found.values()) and len(found) == 40
    assert len(asked(crm)) - before <= 3


def test_the_bin_of_another_module_is_no_evidence_for_this_one(crm: Caller, reader: ZohoReader) -> None:
    leads = crm.ids("Leads", 5)
    crm("DELETE", f"Leads?ids={','.join(leads)}")
    found = reader.fetch("contact", leads)
    assert all(isinstance(a, Absent) and not a.binned and a.deleted_by is None for a in found.values())


def test_purged_and_never_there_and_live_and_binned_are_told_apart_together(crm: Caller, reader: ZohoReader) -> None:
    live, binned, purged, *_ = crm.ids("Contacts", 3)
    crm("DELETE", f"Contacts?ids={binned},{purged}")
    crm("DELETE", f"settings/recycle_bin/{purged}")
    found = reader.fetch("contact", [live, binned, purged, "123456789012345678", "no id"])
    assert isinstance(found[live], Record)
    assert [(isinstance(a, Absent) and a.binned) for a in found.values()] == [False, True, False, False, False]
    assert all(isinstance(found[i], Absent) for i in (binned, purged, "123456789012345678", "no id"))


def test_a_bin_that_may_not_be_read_leaves_absent_without_a_bin(crm: Caller, reader: ZohoReader) -> None:
    ids = crm.ids("Contacts", 5)
    crm("DELETE", f"Contacts?ids={','.join(ids)}")
    reader.columns("contact")
    crm.control("faults", kind="403", path="recycle_bin", times=100)
    found = reader.fetch("contact", ids)
    assert all(isinstance(a, Absent) and not a.binned for a in found.values()) and len(found) == 5


def test_a_converted_lead_is_no_absent_record(crm: Caller, reader: ZohoReader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists leave converted leads out. Were COQL to do the same, the single read still gives them."""
    ids = crm.ids("Leads", 5)
    crm.control("edit", id=ids[0], values={"Converted__s": True})
    real = reading.rows.listed
    monkeypatch.setattr(reading.rows, "listed", lambda s, row, f: {"id": "1"} if str(row["id"]) == ids[0] else real(s, row, f))
    found = reader.fetch("lead", ids)
    record = found[ids[0]]
    assert isinstance(record, Record) and record.fields["Converted__s"] == "true"


def test_two_hundred_children_and_no_more_take_one_question(crm: Caller, reader: ZohoReader) -> None:
    parents = crm.ids("Contacts", 3)
    reader.children("contact", parents)
    before = len(asked(crm))
    reader.children("contact", parents)
    questions = [c for c in asked(crm)[before:] if c.endswith("/coql")]
    assert len(questions) == len(MAPPING.children_of("contact"))


@pytest.mark.parametrize("version", ["v8", "v7"])
def test_every_call_goes_to_the_version_of_the_profile(crm: Caller, version: str) -> None:
    crm.control("switches", api=version)
    with open_reader(crm, api=version) as reader:
        ids = crm.ids("Contacts", 4)
        assert all(isinstance(r, Record) for r in reader.fetch("contact", ids).values())
        assert sum(len(part) for part in reader.scan("deal")) == len(crm.ids("Deals"))
    assert all(f"/{version}/" in path for path in asked(crm))


def test_values_are_text_of_one_form(crm: Caller, reader: ZohoReader) -> None:
    ids = crm.ids("Contacts", 30)
    for record in reader.fetch("contact", ids).values():
        assert isinstance(record, Record)
        assert all(v is None or isinstance(v, str) for n, v in record.fields.items() if n != "more")
        json.loads(canonical_text(record.fields["more"]) or "{}")
