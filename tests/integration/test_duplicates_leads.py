"""Leads against contacts: real people of a CRM with the look-alikes that sales knows, and pairs that people told apart."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from steward.cli import main
from steward.decisions import Decision, DecisionAction
from steward.records import RecordKey
from steward.scoring.duplicates.between import BetweenResult, Side, link_between, rejected_between
from steward.store.decision_log import DecisionLog
from tests.support.duplicates import precision_recall_f1, read_csv

AT = datetime(2026, 11, 25, tzinfo=UTC)
SHORT = {"Robert": "Bob", "William": "Bill", "Elizabeth": "Liz", "Margaret": "Peggy", "Catherine": "Cathy", "James": "Jim",
         "Michael": "Mike", "Richard": "Dick", "Patricia": "Pat", "Jennifer": "Jenny", "Thomas": "Tom", "Katherine": "Kate"}  # fmt: skip
OTHERS = ("Aldous", "Brunhild", "Cosmo", "Delphine", "Ewart", "Fenella", "Gulliver", "Hortense", "Ignatius", "Jocasta")
TOWNS = (("Dundee", "DD1 4HN"), ("Truro", "TR1 2QE"), ("Lerwick", "ZE1 0LL"), ("Ripon", "HG4 1QS"))

Truth = set[tuple[str, str]]


def _contacts(folder: Path) -> pl.DataFrame:
    """Return real contacts with the addresses of their households, one per household and name."""
    home = folder / "crm_npsp"
    people, accounts = read_csv(home / "contacts.csv"), read_csv(home / "accounts.csv")
    joined = people.join(accounts, left_on="account_id", right_on="id").filter(
        pl.col("BillingStreet").is_not_null() & (pl.col("Email").is_not_null() | pl.col("Phone").is_not_null())
    )
    alone = joined.unique("account_id", keep="none").unique(("FirstName", "LastName"), keep="none")
    return alone.sort(pl.col("id").cast(pl.Int64)).select(
        "id", "FirstName", "LastName", "Email", "Phone", "Title", MailingStreet="BillingStreet", MailingCity="BillingCity",
        MailingPostalCode="BillingPostalCode",
    )  # fmt: skip


def _lead(number: int, sort: str, c: dict[str, str | None]) -> dict[str, str | None]:
    """Return a lead as someone who knew the contact would have entered it, or the look-alike of that sort."""
    first, last, mail, phone = c["FirstName"] or "", c["LastName"] or "", c["Email"], c["Phone"]
    row = {"lead": f"L{number:04}", "Full name": f"{first} {last}", "E-Mail": mail, "Telephone": phone, "Street": c["MailingStreet"],
           "Town": c["MailingCity"], "ZIP": c["MailingPostalCode"]}  # fmt: skip
    other = OTHERS[number % len(OTHERS)]
    town, code = TOWNS[number % len(TOWNS)]
    match sort:
        case "upper case, no street":
            return row | {"Full name": f"{last}, {first}".upper(), "E-Mail": mail.upper() if mail else None, "Street": None}
        case "short form or initial":
            return row | {"Full name": f"{SHORT.get(first, first[0] + '.')} {last}"}
        case "slip in the name":
            at = len(last) // 2
            return row | {"Full name": f"{first} {last[:at]}{last[at + 1 :]}", "ZIP": None}
        case "other address of mail":
            return row | {"E-Mail": f"{first[0]}{last}{number}@work.example".lower()}
        case "moved":
            return row | {"Street": f"{number} Harbour Road", "Town": town, "ZIP": code}
        case "of the household":
            return row | {"Full name": f"{other} {last}", "E-Mail": f"{other}.{last}{number}@home.example".lower()}
        case "namesake":
            return row | {"E-Mail": f"{last}{number}@mail.example".lower(), "Telephone": f"+44 1382 55{number:04}",
                          "Street": f"{number} Mill Lane", "Town": town, "ZIP": code}  # fmt: skip
        case "next tenant":
            return row | {"Full name": f"{other} {OTHERS[(number + 3) % 10]}son", "E-Mail": f"{other}{number}@mail.example".lower(),
                          "Telephone": f"+44 1872 66{number:04}"}  # fmt: skip
        case _:
            return row


SAME = ("upper case, no street", "short form or initial", "slip in the name", "other address of mail", "moved")
ALIKE = ("of the household", "namesake", "next tenant")


@pytest.fixture(scope="module")
def sides(real_data: Path) -> tuple[Side, Side, Truth, dict[str, str]]:
    """Leads and contacts, the true pairs, and the sort of each lead; every fifth lead is nobody's contact at all."""
    contacts = _contacts(real_data)
    leads, true, sorts, gone = [], set(), {}, set()
    for number, c in enumerate(contacts.iter_rows(named=True)):
        if number % 3 == 0:
            sort = (*SAME, *ALIKE, "unknown", "unknown")[number // 3 % 10]
            leads.append(_lead(number, sort, c))
            sorts[f"L{number:04}"] = sort
            if sort in SAME:
                true.add((f"L{number:04}", str(c["id"])))
            elif sort == "unknown":
                gone.add(c["id"])
    left = Side("lead", pl.DataFrame(leads), "lead", role="person")
    right = Side("contact", contacts.filter(~pl.col("id").is_in(sorted(gone))), "id", role="person")
    return left, right, true, sorts


@pytest.fixture(scope="module")
def linked(sides: tuple[Side, Side, Truth, dict[str, str]]) -> BetweenResult:
    return link_between(sides[0], sides[1])


def _above(result: BetweenResult) -> Truth:
    frame = result.pairs_frame().filter(pl.col("probability") >= result.result.cut)
    return set(frame.select("left_id", "right_id").iter_rows())


def test_leads_that_are_contacts_are_found_and_their_look_alikes_are_not(
    sides: tuple[Side, Side, Truth, dict[str, str]], linked: BetweenResult
) -> None:
    _, _, true, sorts = sides
    assert all(list(sorts.values()).count(s) >= 15 for s in (*SAME, *ALIKE, "unknown"))
    found = _above(linked)
    precision, recall, _ = precision_recall_f1(found, true)
    assert precision >= 0.98 and recall >= 0.97, {s: sum(sorts[a] == s for a, _ in found - true) for s in sorts.values()}
    offered = set(linked.pairs_frame().select("left_id", "right_id").iter_rows())
    assert len(true & offered) >= 0.98 * len(true)
    states = dict(linked.found().select("left_id", "state").iter_rows())
    assert not [lead for lead, sort in sorts.items() if sort in (*ALIKE, "unknown") and states[lead] in ("found", "several")]


def test_contacts_among_leads_are_the_same_pairs(
    sides: tuple[Side, Side, Truth, dict[str, str]], linked: BetweenResult
) -> None:
    leads, contacts, _, _ = sides
    back = link_between(contacts, leads)
    assert {(b, a) for a, b in _above(back)} == _above(linked)
    ours = {(a, b): p for a, b, p in linked.pairs_frame().select("left_id", "right_id", "probability").iter_rows()}
    theirs = {(b, a): p for a, b, p in back.pairs_frame().select("left_id", "right_id", "probability").iter_rows()}
    assert ours.keys() == theirs.keys() and all(abs(ours[k] - theirs[k]) < 1e-9 for k in ours)


def test_pairs_told_apart_count_whichever_way_round_and_for_these_objects_alone() -> None:
    lead, contact, other = RecordKey("lead", "1"), RecordKey("contact", "2"), RecordKey("account", "2")
    apart = [(contact, lead), (lead, other), (RecordKey("contact", "7"), RecordKey("contact", "8"))]
    one, two = Side("lead", pl.DataFrame()), Side("contact", pl.DataFrame())
    assert rejected_between(one, two, apart) == {("1", "2")}
    assert rejected_between(two, one, apart) == {("2", "1")}
    old = Side("contact.csv", pl.DataFrame(), object="contact")  # an older list of the same object
    assert rejected_between(old, two, apart) == {("7", "8"), ("8", "7")}


def _apart(number: int, *keys: RecordKey) -> list[Decision]:
    return [
        Decision(f"d{number}.{n}", f"g{number}", "c", key, DecisionAction.NOT_DUPLICATE, "anna", AT)
        for n, key in enumerate(keys)
    ]


def test_what_people_told_apart_never_links_from_the_terminal(
    sides: tuple[Side, Side, Truth, dict[str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leads, contacts, _, _ = sides
    leads.frame.rename({"lead": "id"}).write_csv(tmp_path / "lead.csv")
    contacts.frame.write_csv(tmp_path / "contact.csv")
    w = str(tmp_path / "w")
    files = [str(tmp_path / "lead.csv"), str(tmp_path / "contact.csv")]
    assert main(["snapshot", *files, "--id", "id", "--workspace", w]) == 0
    capsys.readouterr()

    def said(*words: str) -> tuple[dict[str, str], int]:
        assert main(["link", *words, "--json"]) == 0
        out = json.loads(capsys.readouterr().out)
        return {f["left_id"]: f["right_id"] for f in out["found"]}, out["told_apart"]

    log_file = tmp_path / "w" / "decisions.sqlite"
    before, none = said("lead", "contact", "--workspace", w)
    assert none == 0 and len(before) > 50 and not log_file.exists()  # looking makes no log
    (one, first), (two, second) = sorted(before.items())[:2]
    with DecisionLog.open(log_file) as log:
        log.append(_apart(1, RecordKey("lead", one), RecordKey("contact", first)))
        log.append(_apart(2, RecordKey("contact", second), RecordKey("lead", two)))
        log.append(_apart(3, RecordKey("contact", first), RecordKey("contact", second)))
        head = log.head()
    left = {k: v for k, v in before.items() if k not in (one, two)}
    assert said("lead", "contact", "--workspace", w) == (left, 2)
    back, count = said("contact", "lead", "--workspace", w)
    assert {v: k for k, v in back.items()} == left and count == 2
    assert said(files[0], "contact", "--id", "id", "--workspace", w) == (left, 2)  # a list is called what a snapshot calls it
    assert said(*files, "--id", "id") == (before, 0)  # no workspace, no decisions
    assert main(["link", "lead", "contact", "--workspace", w]) == 0
    assert "told apart" in capsys.readouterr().out
    with DecisionLog.open(log_file) as log:
        assert log.head() == head
        log.append([Decision("u", "u", "c", RecordKey("lead", one), DecisionAction.UNDO, "anna", AT, undoes="g1")])
    assert said("lead", "contact", "--workspace", w) == (left | {one: first}, 1)
