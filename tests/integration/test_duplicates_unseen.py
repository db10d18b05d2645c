"""Tables nobody has seen, German and Chinese headers and encodings, from the file to the clusters without a setting."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from steward.cli import main
from steward.store import Workspace
from tests.support.duplicates import pairs_of_groups, precision_recall_f1

GIVEN = "Anna Jürgen Käthe Lukas Björn Sabine Margarethe Uwe Renate Jörg Heike Torsten".split()  # noqa: SIM905
FAMILY = "Müller Groß Schäfer Weiß Köhler Straßer Böhm Huber Maier Lindner Vogt Krüger".split()  # noqa: SIM905


def _german(path: Path) -> set[tuple[str, str]]:
    r = random.Random(8)
    rows, true = [], []
    for i in range(700):
        given, family = r.choice(GIVEN), r.choice(FAMILY)
        row = [f"K{i}", given, family, f"{given[:1].lower()}.{family.lower()}{i}@post{i % 9}.example", f"0{r.randint(30, 89)}/{r.randint(1000000, 9999999)}",
               f"{r.choice(['Hauptstraße', 'Ringstr.', 'Am Markt', 'Schloßallee'])} {r.randint(1, 200)}", f"{r.randint(10000, 99999)}",
               r.choice(["Köln", "München", "Ulm"]), f"{r.randint(1, 28):02d}.{r.randint(1, 12):02d}.{r.randint(1945, 2003)}", r.choice(["Herr", "Frau"]),
               str(r.randint(0, 9999))]  # fmt: skip
        rows.append(row)
        if i % 10 == 0:
            other = [f"K{i}b", row[1] if i % 20 else row[1][0] + ".", family.replace("ü", "ue").replace("ß", "ss").upper(), "", row[4].replace("/", " "),
                     row[5].replace("straße", "str."), *row[6:]]  # fmt: skip
            rows.append(other)
            true.append([row[0], other[0]])
    r.shuffle(rows)
    with path.open("w", encoding="cp1252", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(
            [
                "Kundennr",
                "Vorname",
                "Nachname",
                "E-Mail-Adresse",
                "Telefonnummer",
                "Straße",
                "PLZ",
                "Ort",
                "Geb.-Datum",
                "Anrede",
                "Umsatz",
            ]
        )
        writer.writerows(rows)
    return pairs_of_groups(true)


def _chinese(path: Path) -> set[tuple[str, str]]:
    r = random.Random(9)
    rows, true = [], []
    for i in range(700):
        name = r.choice("王李张刘陈杨黄赵") + r.choice("伟芳娜敏静丽强磊") + (r.choice("军洋艳勇") if r.random() < 0.5 else "")
        phone = f"1{r.randint(30, 89)}{r.randint(10000000, 99999999)}"
        firm = f"北京{r.choice('华中大')}{r.choice('杰涛明超')}{r.choice(['科技', '贸易', '电子'])}有限公司"
        place = f"{r.choice(['北京市朝阳区', '上海市浦东新区'])}{r.choice(['建国路', '人民路', '科技路'])}{r.randint(1, 300)}号"
        rows.append([f"C{i}", name, firm, phone, f"u{i}@mail{i % 7}.example", place, r.choice(["意向", "成交"])])
        if i % 10 == 0:
            rows.append(
                [
                    f"C{i}b",
                    name,
                    firm.replace("有限公司", "有限责任公司").replace("北京", "北京市"),
                    "+86 " + phone,
                    "",
                    place,
                    "意向",
                ]
            )
            true.append([f"C{i}", f"C{i}b"])
    r.shuffle(rows)
    with path.open("w", encoding="gb18030", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["客户编号", "联系人", "公司名称", "手机号", "电子邮箱", "详细地址", "阶段"])
        writer.writerows(rows)
    return pairs_of_groups(true)


@pytest.mark.parametrize(
    ("make", "key", "kinds", "left_out"),
    [
        (_german, "Kundennr", {"Vorname": "given", "Nachname": "family", "E-Mail-Adresse": "email", "Telefonnummer": "phone", "Straße": "address",
                               "PLZ": "postcode", "Ort": "city", "Geb.-Datum": "birthdate"}, {"Anrede", "Umsatz", "Kundennr"}),
        (_chinese, "客户编号", {"联系人": "person", "公司名称": "company", "手机号": "phone", "电子邮箱": "email", "详细地址": "address"}, {"阶段", "客户编号"}),
    ],
    ids=["German", "Chinese"],
)  # fmt: skip
def test_a_table_nobody_has_seen(
    make: Callable[[Path], set[tuple[str, str]]],
    key: str,
    kinds: dict[str, str],
    left_out: set[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    true = make(tmp_path / "kunden.csv")
    w = str(tmp_path / "w")
    assert main(["snapshot", str(tmp_path / "kunden.csv"), "--id", key, "--role", "person", "--workspace", w]) == 0
    capsys.readouterr()
    assert main(["score", "--plan", "--object", "kunden", "--workspace", w, "--json"]) == 0
    (plan,) = json.loads(capsys.readouterr().out)["plans"]
    assert {f["name"]: f["kind"] for f in plan["fields"]} == kinds
    assert {x["name"] for x in plan["left_out"] if x["what"] == "column"} >= left_out and all(
        x["reason"] for x in plan["left_out"]
    )
    assert plan["rules"] and all(r["pairs"] > 0 for r in plan["rules"])
    with Workspace.open(w, read_only=True) as ws:
        assert ws.runs(ws.snapshot()) == []  # a plan stores nothing
    assert main(["score", "--object", "kunden", "--only", "duplicate", "--workspace", w]) == 0
    with Workspace.open(w, read_only=True) as ws:
        found = pairs_of_groups([[m.id for m in c.members] for c in ws.clusters(ws.snapshot(), "kunden")])
    precision, recall, _ = precision_recall_f1(found, true)
    assert precision >= 0.98 and recall >= 0.95
