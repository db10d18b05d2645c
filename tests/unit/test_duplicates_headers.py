"""Headers in many languages, and names whose header says only *name*."""

from __future__ import annotations

import polars as pl
import pytest

from steward.scoring.duplicates.headers import _WORDS, folded_header, kind_of_header
from steward.scoring.duplicates.link import link
from steward.scoring.duplicates.profile import header_kind, propose

SPOKEN = {
    "French": "Nom_de_famille=family Prénom=given Société=company Courriel=email Téléphone=phone Date_de_naissance=birthdate "
    "Adresse=address Code_postal=postcode Ville=city Pays=category SIRET=identifier Civilité=skip",
    "Spanish": "Apellidos=family Razón_social=company Correo_electrónico=email Teléfono=phone Fecha_de_nacimiento=birthdate "
    "Dirección=address Código_postal=postcode Ciudad=city País=category DNI=identifier",
    "Portuguese": "Sobrenome=family Empresa=company Telemóvel=phone Data_de_nascimento=birthdate Endereço=address CEP=postcode "
    "Cidade=city CPF=identifier",
    "Italian": "Cognome=family Azienda=company Cellulare=phone Data_di_nascita=birthdate Indirizzo=address CAP=postcode Città=city "
    "Codice_fiscale=identifier",
    "Dutch": "Achternaam=family Voornaam=given Bedrijf=company Telefoonnummer=phone Geboortedatum=birthdate Straat=address "
    "Woonplaats=city",
    "Polish": "Nazwisko=family Imię=given Nazwa_firmy=company Nr_telefonu=phone Data_urodzenia=birthdate Ulica=address "
    "Kod_pocztowy=postcode Miejscowość=city PESEL=identifier",
    "Czech": "Příjmení=family Společnost=company Datum_narození=birthdate Ulice=address PSČ=postcode Město=city IČO=identifier",
    "Hungarian": "Vezetéknév=family Keresztnév=given Cégnév=company Telefonszám=phone Születési_idő=birthdate Irányítószám=postcode",
    "Swedish": "Efternamn=family Förnamn=given Företag=company E-post=email Födelsedatum=birthdate Postnummer=postcode",
    "Finnish": "Sukunimi=family Etunimi=given Yritys=company Sähköposti=email Syntymäaika=birthdate Kaupunki=city",
    "Turkish": "Soyadı=family Şirket=company E-posta=email Doğum_tarihi=birthdate Şehir=city",
    "Russian": "Фамилия=family Имя=given Отчество=middle Организация=company Телефон=phone Дата_рождения=birthdate Адрес=address "
    "Индекс=postcode Город=city ИНН=identifier",
    "Ukrainian": "Прізвище=family Ім'я=given Компанія=company Дата_народження=birthdate Місто=city ЄДРПОУ=identifier",
    "Greek": "Επώνυμο=family Εταιρεία=company Τηλέφωνο=phone Διεύθυνση=address Πόλη=city",
    "Japanese": "氏名=person 会社名=company メールアドレス=email 電話番号=phone 生年月日=birthdate 住所=address 郵便番号=postcode",
    "Korean": "성명=person 회사명=company 이메일=email 전화번호=phone 생년월일=birthdate 주소=address 우편번호=postcode",
    "Arabic": "الشركة=company الهاتف=phone العنوان=address المدينة=city",
    "Indonesian": "Nama_belakang=family Perusahaan=company No_HP=phone Tanggal_lahir=birthdate Alamat=address Kota=city",
}


@pytest.mark.parametrize("language", SPOKEN)
def test_headers_are_read_in(language: str) -> None:
    pairs = [entry.rsplit("=", 1) for entry in SPOKEN[language].split()]
    assert {h: header_kind(h) for h, _ in pairs} == dict(pairs)


def test_no_header_is_two_kinds() -> None:
    seen: dict[str, str] = {}
    for kind, text in _WORDS.items():
        for header in " ".join(text.split()).split("|"):
            folded = folded_header(header)
            assert folded and seen.setdefault(folded, kind) == kind, header
            assert kind_of_header(header.upper()) == kind


def test_accents_and_capitals_make_no_difference() -> None:
    assert folded_header("CÓDIGO  Postal") == folded_header("co\u0301digo postal") == "codigo postal"
    assert kind_of_header("Postal") is None


@pytest.mark.parametrize(
    ("headers", "rows", "kinds"),
    [
        (("Name", "Vorname"), [("Müller", "Anna"), ("Groß", "Ben"), ("Weiß", "Carl")], ["family", "given"]),
        (("nom", "prénom"), [("Petit", "Anne"), ("Le Roy", "Luc"), ("Moreau", "Éva")], ["family", "given"]),
        (("nombre", "apellidos"), [("María José", "García López"), ("Luis", "Pérez Ruiz"), ("Ana", "Gil")], ["given", "family"]),
        (("nom", "ville"), [("Anne Petit", "Lyon"), ("Luc Le Roy", "Nice"), ("Éva Moreau", "Brest")], ["person", "city"]),
        (("Name", "Vorname", "Nachname"), [("A GmbH", "Al", "Bo"), ("B AG", "Cy", "Do"), ("C KG", "Ed", "Fa")], ["company", "given", "family"]),
    ],
)  # fmt: skip
def test_a_name_beside_its_other_half(headers: tuple[str, ...], rows: list[tuple[str, ...]], kinds: list[str]) -> None:
    frame = pl.DataFrame([(str(i), *r) for i, r in enumerate(rows)], schema=["id", *headers], orient="row")
    assert [c.used_as for c in propose(frame, ids="id").columns] == kinds


def test_a_french_table_is_scored_without_a_setting() -> None:
    people = [
        ("Lefèvre", "Hélène", "12 rue des Lilas", "69003", "Lyon", "06 12 34 56 78"),
        ("Moreau", "Étienne", "4 avenue Foch", "54000", "Nancy", "06 98 76 54 32"),
        ("Girard", "Chloé", "7 place du Marché", "13001", "Marseille", "07 11 22 33 44"),
        ("Roux", "Nicolas", "30 boulevard Carnot", "59000", "Lille", "06 55 44 33 22"),
    ]
    rows = [(f"c{i}", *p) for i, p in enumerate(people)]
    rows.append(("c9", "LEFEVRE", "Helene", "12, rue des Lilas", "69003", "LYON", "0612345678"))
    frame = pl.DataFrame(rows, schema=["id", "nom", "prénom", "adresse", "code postal", "ville", "téléphone"], orient="row")
    found = link(frame, ids="id")
    assert [f.kind for f in found.definition.fields] == ["given", "family", "phone", "address", "city", "postcode"]
    assert found.groups() == [["c0", "c9"]]
