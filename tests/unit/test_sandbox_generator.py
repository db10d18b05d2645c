"""The generated CRM: the same by seed, believable, with a truth that is true, and business that protects or does not."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from steward.errors import UsageError
from steward.sandbox import AS_OF, Truth, build_crm, demo_mapping
from steward.sandbox.copies import rewrite_phone

TABLES = ("user", "company", "contact", "deal", "order", "invoice", "ticket", "activity", "note")

ROOT = Path(__file__).resolve().parents[2]


def digest_of(path: Path) -> str:
    """Digest of all rows of all tables, in key order."""
    summed = hashlib.sha256()
    with sqlite3.connect(path) as connection:
        for name in TABLES:
            for row in connection.execute(f'SELECT * FROM "{name}" ORDER BY id'):
                summed.update(repr(row).encode())
    return summed.hexdigest()


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("crm") / "crm.sqlite"
    build_crm(path, customers=6_000, seed=11)
    return path


@pytest.fixture(scope="module")
def truth(crm: Path) -> Truth:
    return Truth.load(crm.with_name("truth.json"))


def ask(crm: Path, sql: str, *values: object) -> list[tuple[object, ...]]:
    with sqlite3.connect(crm) as connection:
        return connection.execute(sql, values).fetchall()


# ---------------------------------------------------------------------------------------------- by seed


def test_the_same_seed_gives_the_same_rows_whatever_the_hash_seed(tmp_path: Path) -> None:
    digests = set()
    for hash_seed in ("0", "1", "4242"):
        path = tmp_path / f"{hash_seed}.sqlite"
        code = f"from steward.sandbox import build_crm; build_crm({str(path)!r}, customers=700, seed=5)"
        subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONHASHSEED": hash_seed})
        digests.add(digest_of(path))
    assert len(digests) == 1


def test_the_rows_of_a_seed_are_what_they_were(tmp_path: Path) -> None:
    """A change here is a change of every benchmark and demo: bump it knowingly, and say so in the changelog."""
    build_crm(tmp_path / "crm.sqlite", customers=500, seed=2026)
    assert digest_of(tmp_path / "crm.sqlite") == GOLDEN


def test_another_seed_gives_other_people(tmp_path: Path) -> None:
    for seed in (1, 2):
        build_crm(tmp_path / f"{seed}.sqlite", customers=300, seed=seed, truth_file=tmp_path / f"{seed}.json")
    one, two = ({r[0] for r in ask(tmp_path / f"{s}.sqlite", "SELECT email FROM contact WHERE email NOT NULL")} for s in (1, 2))
    assert len(one & two) < 5


def test_exactly_as_many_contacts_as_asked_for(tmp_path: Path) -> None:
    for n in (10, 11, 999, 20_005):
        path = tmp_path / f"{n}.sqlite"
        t = build_crm(path, customers=n, seed=3)
        assert t.rows["contact"] == n == ask(path, "SELECT count(DISTINCT id) FROM contact")[0][0]


# ---------------------------------------------------------------------------------------------- truth


def test_clusters_are_disjoint_and_of_real_records(crm: Path, truth: Truth) -> None:
    for name in ("contact", "company"):
        ids = {r[0] for r in ask(crm, f"SELECT id FROM {name}")}
        members = [i for cluster in truth.duplicate_clusters[name] for i in cluster]
        assert len(members) == len(set(members)) and set(members) <= ids
        assert all(len(c) >= 2 for c in truth.duplicate_clusters[name])
    assert 0.06 < sum(len(c) - 1 for c in truth.duplicate_clusters["contact"]) / 6_000 < 0.2
    assert max(map(len, truth.duplicate_clusters["contact"])) >= 4


def test_duplicates_keep_evidence_that_a_person_could_see(crm: Path, truth: Truth) -> None:
    rows = {
        r[0]: r[1:]
        for r in ask(
            crm, "SELECT id, lower(email), phone, mobile, birth_date, postcode, street, first_name, last_name FROM contact"
        )
    }
    digits = lambda t: re.sub(r"\D", "", str(t or ""))[-7:]  # noqa: E731 - a name is enough
    seen = 0
    pairs = [(c[0], other) for c in truth.duplicate_clusters["contact"] for other in c[1:]]
    for left, right in pairs:
        a, b = rows[left], rows[right]
        same = (
            (a[0] and a[0] == b[0])
            or (digits(a[1]) and digits(a[1]) == digits(b[1]))
            or (digits(a[2]) and digits(a[2]) == digits(b[2]))
        )
        same = same or (a[3] and a[3] == b[3]) or (a[4] and a[4] == b[4] and (a[6] == b[6] or a[7] == b[7]))
        seen += bool(same)
    assert seen / len(pairs) > 0.97


def test_duplicates_differ_somewhere(crm: Path, truth: Truth) -> None:
    columns = "first_name, last_name, email, phone, mobile, birth_date, street, postcode, salutation, job_title"
    rows = {r[0]: r[1:] for r in ask(crm, f"SELECT id, {columns} FROM contact")}
    equal = sum(rows[c[0]] == rows[c[1]] for c in truth.duplicate_clusters["contact"])
    assert equal / len(truth.duplicate_clusters["contact"]) < 0.12


def test_look_alikes_are_no_duplicates(truth: Truth) -> None:
    for name in ("contact", "company"):
        cluster_of = {i: n for n, c in enumerate(truth.duplicate_clusters[name]) for i in c}
        for left, right, _kind in truth.look_alikes[name]:
            assert left != right
            assert left not in cluster_of or cluster_of[left] != cluster_of.get(right)
    assert {k for *_, k in truth.look_alikes["contact"]} == {"parent_and_child", "twins", "namesakes", "shared_reception"}
    assert {k for *_, k in truth.look_alikes["company"]} == {"branch", "holding"}


def test_parents_and_children_share_house_and_name_but_not_the_year(crm: Path, truth: Truth) -> None:
    rows = {r[0]: r[1:] for r in ask(crm, "SELECT id, last_name, street, birth_date, first_name FROM contact")}
    pairs = [(rows[a], rows[b]) for a, b, kind in truth.look_alikes["contact"] if kind == "parent_and_child"]
    assert len(pairs) >= 15
    for a, b in pairs:
        assert a[:2] == b[:2] and str(a[2])[:4] != str(b[2])[:4]
    assert any(a[3] == b[3] for a, b in pairs)


def test_ids_tell_nothing(crm: Path, truth: Truth) -> None:
    order = {r[0]: n for n, r in enumerate(ask(crm, "SELECT id FROM contact ORDER BY id"))}
    gaps = [abs(order[c[0]] - order[c[1]]) for c in truth.duplicate_clusters["contact"]]
    mean = sum(gaps) / len(gaps) / 6_000
    assert 0.29 < mean < 0.38  # a third is what chance gives
    assert sum(g < 60 for g in gaps) / len(gaps) < 0.05


def test_the_truth_is_not_in_the_crm(crm: Path) -> None:
    tables = {r[0] for r in ask(crm, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == set(TABLES)
    for name in TABLES:
        columns = {str(r[1]) for r in ask(crm, f'PRAGMA table_info("{name}")')}
        assert not {c for c in columns if re.search("truth|cluster|duplicate|planted|stale", c)}


def test_stale_contacts_have_one_old_sign_of_life_and_no_business(crm: Path, truth: Truth) -> None:
    assert len(truth.stale["contact"]) > 500
    for key in truth.stale["contact"]:
        inbound = ask(crm, "SELECT occurred_at FROM activity WHERE contact_id = ? AND direction = 'inbound'", key)
        assert len(inbound) == 1 and str(inbound[0][0]) < "2023-11-01"
        for name in ("deal", "order", "invoice", "ticket"):
            assert ask(crm, f'SELECT count(*) FROM "{name}" WHERE contact_id = ?', key) == [(0,)]
        ((status, active, hold, consent),) = ask(
            crm,
            """SELECT c.email_status, u.is_active, c.legal_hold, c.marketing_consent FROM contact c JOIN "user" u ON u.id = c.owner_id
            WHERE c.id = ?""",
            key,
        )
        assert (status == "bounced" or active == 0) and hold == 0 and consent != "withdrawn"


SHIELD_SQL = {
    "legal_hold": "SELECT count(*) FROM contact WHERE id = ? AND legal_hold = 1",
    "suppression": "SELECT count(*) FROM contact WHERE id = ? AND marketing_consent = 'withdrawn'",
    "open_deal": "SELECT count(*) FROM deal WHERE contact_id = ? AND stage NOT IN ('won', 'lost')",
    "open_ticket": "SELECT count(*) FROM ticket WHERE contact_id = ? AND status NOT IN ('solved', 'closed')",
    "unpaid_invoice": "SELECT count(*) FROM invoice WHERE contact_id = ? AND status NOT IN ('paid', 'cancelled')",
    "retention": "SELECT count(*) FROM invoice WHERE contact_id = ? AND status = 'paid' AND issued_on >= '2018-01-01'",
}


def test_each_protected_contact_has_what_protects_it(crm: Path, truth: Truth) -> None:
    assert set(truth.protected["contact"].values()) == set(SHIELD_SQL)
    for key, shield in truth.protected["contact"].items():
        assert ask(crm, SHIELD_SQL[shield], key) == [(1,)]
        assert key not in truth.stale["contact"]


def test_other_contacts_have_been_heard_of_within_three_years(crm: Path, truth: Truth) -> None:
    old = set(truth.stale["contact"]) | set(truth.protected["contact"])
    last = {
        r[0]: r[1] for r in ask(crm, "SELECT contact_id, max(occurred_at) FROM activity WHERE direction = 'inbound' GROUP BY 1")
    }
    for key, created in ask(crm, "SELECT id, created_at FROM contact WHERE is_deleted = 0"):
        if key not in old:
            assert str(last.get(key, created)) > "2023-11-01"


INVALID_SQL = {
    "name_missing": "SELECT count(*) FROM contact WHERE id = ? AND last_name IS NULL",
    "unreachable": "SELECT count(*) FROM contact WHERE id = ? AND coalesce(email, phone, mobile, street) IS NULL",
    "birth_date_future": "SELECT count(*) FROM contact WHERE id = ? AND birth_date > '2026-11-01'",
    "birth_date_ancient": "SELECT count(*) FROM contact WHERE id = ? AND birth_date < '1905-01-01'",
    "country_unknown": "SELECT count(*) FROM contact WHERE id = ? AND country NOT IN ('DE', 'US', 'GB', 'CN')",
}


def test_each_invalid_contact_is_invalid_as_said(crm: Path, truth: Truth) -> None:
    rules = truth.invalid["contact"]
    assert len(set(rules.values())) == 11
    for key, rule in rules.items():
        if rule in INVALID_SQL:
            assert ask(crm, INVALID_SQL[rule], key) == [(1,)]


def test_nothing_else_breaks_those_rules(crm: Path, truth: Truth) -> None:
    for rule in ("birth_date_future", "birth_date_ancient", "country_unknown"):
        where = INVALID_SQL[rule].replace("count(*)", "id").replace("id = ? AND", "is_deleted = 0 AND")
        assert {r[0] for r in ask(crm, where)} == {k for k, v in truth.invalid["contact"].items() if v == rule}


def test_credit_codes_of_chinese_firms_have_a_right_check_digit(crm: Path, truth: Truth) -> None:
    alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    rows = ask(crm, "SELECT id, registration_no FROM company WHERE country = 'CN' AND registration_no NOT NULL")
    wrong = {
        k
        for k, code in rows
        if (31 - sum(alphabet.index(c) * pow(3, i, 31) for i, c in enumerate(str(code)[:17])) % 31) % 31
        != alphabet.index(str(code)[17])
    }
    assert len(rows) > 100
    assert wrong == {k for k, rule in truth.invalid["company"].items() if rule == "registration_check_digit"}


# ---------------------------------------------------------------------------------------------- believable


def test_three_languages_and_their_legal_forms(crm: Path) -> None:
    shares = dict(ask(crm, "SELECT language, count(*) / 6000.0 FROM contact GROUP BY 1"))
    assert shares.keys() == {"de", "en", "zh"} and all(0.15 < float(str(s)) < 0.6 for s in shares.values())
    names = " | ".join(str(r[0]) for r in ask(crm, "SELECT name FROM company WHERE name NOT NULL"))
    for form in ("GmbH & Co. KG", "UG (haftungsbeschränkt)", " Ltd", " Inc", "有限公司", "股份有限公司", "有限责任公司"):
        assert form in names


def test_chance_agreement_is_as_in_life(crm: Path) -> None:
    (distinct, most, total) = ask(
        crm,
        "SELECT count(*), max(n), sum(n) FROM (SELECT count(*) n FROM contact WHERE language = 'zh' GROUP BY first_name, last_name)",
    )[0]
    assert int(str(distinct)) > 0.8 * int(str(total)) and int(str(most)) < 12
    surnames = ask(crm, "SELECT count(DISTINCT last_name) FROM contact WHERE language = 'zh' AND length(last_name) <= 2")[0][0]
    assert int(str(surnames)) > 150


def test_mail_addresses_are_in_reserved_domains_only(crm: Path, truth: Truth) -> None:
    reserved = re.compile(r"(^|\.)(example|test|invalid)$|(^|\.)example\.(com|org|net)$")
    for name in ("contact", "company", "user"):
        for key, mail in ask(crm, f'SELECT id, email FROM "{name}" WHERE email NOT NULL'):
            if key not in truth.invalid.get(name, {}):
                assert reserved.search(str(mail).lower().rpartition("@")[2]), mail


def test_some_values_are_missing_but_not_many(crm: Path) -> None:
    for column, low, high in (
        ("email", 0.05, 0.3),
        ("phone", 0.1, 0.4),
        ("birth_date", 0.35, 0.6),
        ("last_name", 0.0005, 0.02),
    ):
        share = float(str(ask(crm, f"SELECT avg({column} IS NULL) FROM contact")[0][0]))
        assert low < share < high, (column, share)


def test_nothing_is_later_than_the_day_it_is_as_of(crm: Path) -> None:
    day = AS_OF.isoformat() + "T23:59:59Z"
    for name, columns in (
        ("activity", ("occurred_at", "created_at")), ("contact", ("created_at", "updated_at")), ("invoice", ("issued_on", "due_on", "created_at")),
        ("deal", ("close_date", "updated_at")), ("order", ("order_date", "updated_at")), ("ticket", ("created_at", "updated_at")),
    ):  # fmt: skip
        for column in columns:
            assert str(ask(crm, f'SELECT max("{column}") FROM "{name}"')[0][0]) <= day
    for name in TABLES:
        assert ask(crm, f'SELECT count(*) FROM "{name}" WHERE updated_at < created_at') == [(0,)]


def test_the_day_moves_everything(tmp_path: Path) -> None:
    build_crm(tmp_path / "old.sqlite", customers=200, seed=1, as_of=date(2020, 1, 1))
    assert str(ask(tmp_path / "old.sqlite", "SELECT max(occurred_at) FROM activity")[0][0]) < "2020-01-02"


@pytest.mark.parametrize(
    "phone",
    ["+49 30 23125123-45", "+86 135 0000 1234", "+86 21 0000 1234", "+1 212 555 0123 ext. 12", "+44 20 7946 0123", None],
)
def test_a_phone_written_differently_is_the_same_number(phone: str | None) -> None:
    import random

    r = random.Random(1).random
    for _ in range(50):
        again = rewrite_phone(r, phone)
        assert (again is None) == (phone is None)
        if phone and again:
            core = re.sub(r"\D", "", phone)[-8:]
            assert re.sub(r"\D", "", again).endswith(core)


# ---------------------------------------------------------------------------------------------- the database


def test_a_delete_restricts_detaches_or_cascades_as_a_real_crm_does(crm: Path, tmp_path: Path) -> None:
    path = tmp_path / "crm.sqlite"
    path.write_bytes(crm.read_bytes())
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA foreign_keys=ON")
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    (billed,) = connection.execute("SELECT contact_id FROM invoice LIMIT 1").fetchone()
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("DELETE FROM contact WHERE id = ?", (billed,))
    key, deal = connection.execute(
        """SELECT a.contact_id, d.id FROM activity a JOIN deal d ON d.contact_id = a.contact_id
        WHERE a.contact_id NOT IN (SELECT contact_id FROM "order") LIMIT 1"""
    ).fetchone()
    connection.execute("DELETE FROM contact WHERE id = ?", (key,))
    assert connection.execute("SELECT count(*) FROM activity WHERE contact_id = ?", (key,)).fetchone() == (0,)
    assert connection.execute("SELECT contact_id FROM deal WHERE id = ?", (deal,)).fetchone() == (None,)
    connection.close()


def test_a_database_in_use_is_left_alone(crm: Path) -> None:
    before = digest_of(crm)
    with pytest.raises(UsageError, match="already holds"):
        build_crm(crm, customers=100)
    assert digest_of(crm) == before


def test_an_interrupted_build_leaves_no_table(tmp_path: Path) -> None:
    def stop(_rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_crm(tmp_path / "crm.sqlite", customers=100, progress=stop)
    assert ask(tmp_path / "crm.sqlite", "SELECT name FROM sqlite_master") == []
    assert not (tmp_path / "truth.json").exists()


def test_progress_counts_every_row(tmp_path: Path) -> None:
    seen: list[int] = []
    t = build_crm(tmp_path / "crm.sqlite", customers=300, progress=seen.append)
    assert sum(seen) == sum(t.rows.values())


def test_too_few_customers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 10"):
        build_crm(tmp_path / "crm.sqlite", customers=9)


def test_memory_does_not_grow_with_the_size(tmp_path: Path) -> None:
    peaks = []
    for n in (20_000, 60_000):
        code = (
            f"from steward.sandbox import build_crm; from tests.support.memory import peak_mib; build_crm({str(tmp_path / f'{n}.sqlite')!r}, customers={n});"
            "print(peak_mib())"
        )
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
        peaks.append(float(done.stdout))
    assert peaks[1] < 400 and peaks[1] - peaks[0] < 150  # MiB; the page cache of 128 MiB fills meanwhile


def test_the_mapping_file_speaks_for_another_tenant() -> None:
    text = demo_mapping(tenant='A "B"', environment="test")
    from steward.crm.mapping import parse_mapping

    mapping = parse_mapping(text)
    assert (mapping.tenant, mapping.environment) == ('A "B"', "test")
    assert set(mapping.objects) == set(TABLES)


GOLDEN = "3083353095dd8df1054b19f71f39f896fee33265c591495162a1e9f9a02ab4a1"
