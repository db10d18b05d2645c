"""What a column holds, by its header: English, German and Chinese by their parts, some thirty other languages as a whole.

A header in French, Polish, Russian or Japanese is looked up whole, without accents and marks, so that short words are not found
inside others. Words that name a given name, a surname or a whole name, whichever a table has, are *name*: its other headers and
its contents decide.

Left to others: contents (``profile``).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_WORDS: dict[str, str] = {
    "family": """
        nom de famille|nom famille|patronyme|apellido|apellidos|primer apellido|segundo apellido|apellido 1|apellido 2|apellido paterno|
        apellido materno|sobrenome|apelido|ultimo nome|cognome|achternaam|familienaam|efternamn|efternavn|etternavn|slaktnamn|sukunimi|
        nazwisko|prijmeni|priezvisko|vezeteknev|csaladnev|nume de familie|nume familie|soyad|soyadi|soyisim|prezime|priimek|pavarde|uzvards|
        perekonnanimi|фамилия|прізвище|презиме|επωνυμο|苗字|성|اسم العائله|العائله|اللقب|nama belakang|nama keluarga|שם משפחה
    """,
    "given": """
        prenom|prenoms|nombre de pila|primer nombre|primeiro nome|prenome|nome proprio|voornaam|voornamen|roepnaam|fornamn|fornavn|
        tilltalsnamn|etunimi|imie|imiona|krestni jmeno|keresztnev|utonev|prenume|vardas|vards|eesnimi|имя|ім я|имя клиента|
        الاسم الاول|nama depan|שם פרטי
    """,
    "middle": "segundo nombre|отчество|по батькові|nome do meio|drugie imie|deuxieme prenom",
    "person": """
        nom complet|nom et prenom|nom prenom|prenom et nom|prenom nom|nombre completo|nombre y apellidos|nombre y apellido|
        apellidos y nombre|nome completo|nome e cognome|cognome e nome|nominativo|nome e sobrenome|volledige naam|fullstandigt namn|
        koko nimi|imie i nazwisko|nazwisko i imie|jmeno a prijmeni|cele jmeno|teljes nev|nume complet|nume si prenume|ad soyad|adi soyadi|
        ime i prezime|фио|полное имя|контактное лицо|піб|контактна особа|ονοματεπωνυμο|氏名|名前|お名前|성명|الاسم الكامل|
        nama lengkap|ho ten|ho va ten|שם מלא|persona de contacto|contatto|contato|contactpersoon|kontaktperson|osoba kontaktowa|担当者|
        担当者名|담당자
    """,
    "name": """
        nom|nombre|nombres|nome|naam|namn|navn|nimi|jmeno|meno|nev|nume|isim|ime|nosaukums|pavadinimas|ονομα|이름|الاسم|nama|שם|
        nom du client|nombre del cliente|nome cliente|klantnaam|kundnamn|nazwa|nazwa klienta|nazev|nazov|klient|cliente|klant|клиент|клієнт|
        название|наименование|назва|顧客名|고객명|العميل|musteri|musteri adi
    """,
    "company": """
        societe|entreprise|raison sociale|nom de la societe|nom societe|nom entreprise|denomination|denomination sociale|organisme|empresa|
        razon social|compania|organizacion|nombre de la empresa|nombre empresa|razao social|nome fantasia|nome da empresa|nome empresa|
        azienda|ragione sociale|societa|ditta|impresa|denominazione|bedrijf|bedrijfsnaam|organisatie|foretag|foretagsnamn|bolag|virksomhed|
        firmanavn|bedrift|yritys|yrityksen nimi|yhtio|nazwa firmy|przedsiebiorstwo|spolecnost|nazev firmy|nazev spolecnosti|ceg|cegnev|
        companie|denumire|denumire firma|sirket|sirket adi|firma adi|ticari unvan|tvrtka|podjetje|imone|uznemums|ettevote|компания|
        организация|название компании|наименование организации|фирма|предприятие|компанія|організація|підприємство|εταιρεια|επωνυμια|
        会社名|会社|企業名|法人名|取引先名|取引先|勤務先|회사|회사명|기업명|상호|الشركه|اسم الشركه|perusahaan|nama perusahaan|cong ty|
        ten cong ty|חברה|שם חברה
    """,
    "email": """
        courriel|adresse mail|adresse e mail|adresse email|adresse electronique|mel|correo|correo electronico|correio eletronico|
        posta elettronica|indirizzo email|e mailadres|emailadres|e post|epost|e postadress|epostadress|e postadresse|sahkoposti|
        sahkopostiosoite|adres e mail|adres email|e mailova adresa|email cim|e mail cim|adresa de email|e posta|eposta|el pastas|e pasts|
        электронная почта|почта|эл почта|имейл|адрес электронной почты|електронна пошта|пошта|email διευθυνση|ηλεκτρονικο ταχυδρομειο|
        メール|メールアドレス|eメール|電子メール|이메일|이메일 주소|البريد الالكتروني|thu dien tu|surel|דואר אלקטרוני|אימייל
    """,
    "phone": """
        telephone|telephones|tel portable|portable|telecopie|numero de telephone|n de telephone|telephone portable|telephone mobile|telephone fixe|telefono|movil|celular|
        telefono movil|telefono fijo|numero de telefono|telefone|telemovel|telefone celular|cellulare|numero di telefono|telefoon|
        telefoonnummer|mobiel|mobiele nummer|telefonnummer|mobilnummer|tlf|mobiltelefon|puhelin|puhelinnumero|matkapuhelin|nr telefonu|
        numer telefonu|telefon komorkowy|komorka|telefonni cislo|telefonne cislo|telefonszam|mobilszam|numar de telefon|cep telefonu|
        telefon no|telefon numarasi|telefonas|talrunis|телефон|мобильный|мобильный телефон|номер телефона|моб телефон|мобільний|
        номер телефону|τηλεφωνο|κινητο|電話番号|電話|携帯|携帯電話|携帯番号|전화|전화번호|휴대폰|휴대전화|핸드폰|الهاتف|رقم الهاتف|الجوال|
        الموبايل|telepon|no telepon|nomor telepon|no hp|dien thoai|so dien thoai|טלפון|נייד
    """,
    "birthdate": """
        date de naissance|date naissance|naissance|ne le|fecha de nacimiento|fecha nacimiento|nacimiento|data de nascimento|
        data nascimento|nascimento|data di nascita|data nascita|geboortedatum|fodelsedatum|fodelsedag|fodselsdato|fodselsdag|syntymaaika|
        syntymapaiva|data urodzenia|datum narozeni|datum narodenia|szuletesi datum|szuletesi ido|data nasterii|dogum tarihi|datum rodenja|
        datum rojstva|gimimo data|dzimsanas datums|sunniaeg|дата рождения|день рождения|дата народження|ημερομηνια γεννησης|生年月日|誕生日|
        생년월일|생일|تاريخ الميلاد|tanggal lahir|ngay sinh|תאריך לידה
    """,
    "address": """
        rue|voie|adresse postale|numero et rue|direccion|calle|domicilio|direccion postal|endereco|morada|rua|logradouro|indirizzo|
        adres|straat|straatnaam|straat en huisnummer|adress|gata|gatuadress|vej|gade|gateadresse|osoite|katuosoite|lahiosoite|ulica|adresa|
        ulice|utca|strada|sokak|cadde|acik adres|ulica i numer|adresas|gatve|iela|aadress|tanav|адрес|улица|адреса|вулиця|διευθυνση|οδος|
        住所|住所1|住所2|番地|所在地|주소|العنوان|الشارع|alamat|jalan|dia chi|כתובת|רחוב
    """,
    "postcode": """
        code postal|cp|codigo postal|cod postal|cep|cap|codice postale|codice di avviamento postale|postnummer|postnr|postinumero|
        kod pocztowy|psc|postovni smerovaci cislo|iranyitoszam|irsz|posta kodu|postanski broj|postna stevilka|pasto kodas|pasta indekss|
        postiindeks|почтовый индекс|индекс|поштовий індекс|індекс|ταχυδρομικος κωδικας|τ κ|郵便番号|우편번호|الرمز البريدي|kode pos|
        ma buu dien|ma buu chinh|מיקוד
    """,
    "city": """
        ville|commune|localite|lieu de naissance|ciudad|localidad|municipio|poblacion|lugar de nacimiento|cidade|citta|comune|localita|
        luogo di nascita|woonplaats|plaats|stad|geboorteplaats|poststed|postort|kaupunki|postitoimipaikka|miasto|miejscowosc|mesto|obec|
        varos|helyseg|telepules|oras|localitate|sehir|ilce|miestas|pilseta|linn|город|населенный пункт|місто|πολη|市区町村|市町村|
        도시|المدينه|kota|thanh pho|עיר
    """,
    "category": """
        pays|region|departement|sexe|genre|pais|provincia|estado|sexo|genero|uf|paese|nazione|regione|sesso|provincie|geslacht|kon|
        sukupuoli|kraj|wojewodztwo|plec|zeme|pohlavie|pohlavi|orszag|megye|tara|judet|ulke|cinsiyet|drzava|salis|valsts|страна|
        область|регион|пол|країна|стать|χωρα|国|都道府県|性別|국가|성별|البلد|الدوله|الجنس|negara|provinsi|jenis kelamin|quoc gia|
        gioi tinh|מדינה
    """,
    "identifier": """
        siret|siren|n siret|numero siret|numero de tva|tva|n tva|tva intracommunautaire|numero de securite sociale|nir|nif|cif|dni|nie|rfc|
        curp|cpf|cnpj|nipc|codice fiscale|partita iva|p iva|kvk|kvk nummer|btw nummer|bsn|personnummer|organisationsnummer|org nr|orgnr|cpr|
        cpr nummer|cvr|cvr nummer|fodselsnummer|henkilotunnus|y tunnus|pesel|nip|regon|ico|dic|rodne cislo|adoszam|cnp|cui|tc kimlik no|
        tckn|vergi no|vergi numarasi|oib|инн|огрн|снилс|єдрпоу|рнокпп|іпн|αφμ|法人番号|사업자등록번호|주민등록번호|رقم الهويه|gstin|aadhaar
    """,
    "domain": """
        site web|site internet|sitio web|pagina web|sito web|sito|sito internet|hemsida|hjemmeside|nettside|kotisivu|strona www|
        strona internetowa|webove stranky|weboldal|web sitesi|веб сайт|сайт|вебсайт|ιστοσελιδα|ウェブサイト|ホームページ|홈페이지|
        الموقع الالكتروني|situs web|website url|company url|company domain name
    """,
    "skip": """
        civilite|titre|fonction|poste|statut|commentaire|commentaires|remarque|remarques|tratamiento|cargo|puesto|comentarios|observaciones|
        notas|tratamento|observacoes|titolo|ruolo|qualifica|commenti|aanhef|functie|opmerking|opmerkingen|notities|anteckningar|kommentar|
        kommentarer|huomautus|tytul|stanowisko|uwagi|notatki|funkce|poznamka|poznamky|megjegyzes|beosztas|observatii|functie|notlar|gorev|
        должность|комментарий|примечание|статус|посада|коментар|примітка|役職|部署|備考|직책|부서|비고|ملاحظات|catatan|jabatan|ghi chu|
        contact owner|record owner|account owner|lead owner|company owner|deal owner|name suffix|name prefix|suffix|prefix|name sufx cd
    """,
}
"""Whole headers per kind, folded as :func:`folded_header` folds them."""


@lru_cache(maxsize=1)
def _kinds() -> dict[str, str]:
    return {
        folded_header(header): kind
        for kind, text in _WORDS.items()
        for header in " ".join(text.split()).split("|")
        if header.strip()
    }


_LETTERS = str.maketrans(
    {"ł": "l", "ø": "o", "ı": "i", "đ": "d", "æ": "ae", "œ": "oe", "ß": "ss", "ة": "ه", "أ": "ا", "إ": "ا", "آ": "ا"}
)


def folded_header(words: str) -> str:
    """Return a header's words in lower case, without accents and other marks."""
    lower = words.lower().translate(_LETTERS)
    plain = "".join(c for c in unicodedata.normalize("NFKD", lower) if not unicodedata.combining(c))
    return " ".join(unicodedata.normalize("NFC", plain).split())


def kind_of_header(words: str) -> str | None:
    """Return the kind that a header names as a whole; None where it is not known.

    Parameters
    ----------
    words : str
        The header's words, separated by spaces.

    Examples
    --------
    >>> kind_of_header("code postal"), kind_of_header("дата рождения"), kind_of_header("cafe")
    ('postcode', 'birthdate', None)
    """
    return _kinds().get(folded_header(words))


_HEADERS: tuple[tuple[str, str], ...] = (
    ("skip", r"\b(type|typ|art|title|titel|position|salutation|anrede|job|role|rolle|funktion)$|\b(passport|licen[cs]e|licen[cs]es|id) (country|state)\b"),
    ("skip", r"\b(created|updated|modified|deleted|timestamp|version|row version|erstellt|geandert|synced|last (login|seen|activity|visit|contacted|follow|followed|touched)|"
             r"letzte (anderung|aktivitat)|geandert am|angelegt( am)?|anderungsdatum|maiden name|geburtsname|anzahl|count|amount|total|revenue|price|umsatz|betrag|score|status|stage|phase|note|notes|notiz|description|beschreibung|"
             r"comment|comments|bemerkung|bemerkungen|kommentar|password|hash|uuid|guid|url|photo|picture|创建.*|更新.*|修改.*|备注|描述|金额|状态|阶段|数量)\b"),
    ("address", r"\bmail(ing)? addr(ess)? ?\d\b|\bmailing addr"),
    ("email", r"\b(e ?mail|mail|email address|e ?mail ?adresse|mailadresse|电子邮件|邮箱|电邮|电子邮箱)\b"),
    ("phone", r"\b(phone|contact (number|no|nr)|telephone|tel|mobile|cell|fax|telefon|handy|mobil|phone number|\w*(telefon|handy|mobil|mobilfunk|fax|ruf|festnetz)(nummer|nr)|"
              r"mobiltelefon|festnetz|"
              r"电话|手机|手机号|联系电话|传真|电话号码|手机号码)\b"),
    ("birthdate", r"\b(dob|birth ?date|date of birth|birth ?day|geburtsdatum|geburtstag|geb ?dat(um)?|geb|geboren( am)?|出生日期|生日)\b"),
    ("postcode", r"\b(zip|zip code|zipcode|post ?code|postal ?code|plz|postleitzahl|邮编|邮政编码)\b"),
    ("domain", r"\b(web ?site|domain|home ?page|webseite|web|internet|internetadresse|网站|网址|域名)\b"),
    ("person", r"\b(first|given|fore)( ?name)? (and )?(last|sur|family)( ?name)?\b"),
    ("given", r"\b(first ?name|given ?name|fore ?name|vorname|rufname|name first|first|given|fname|名字)\b"),
    ("family", r"\b(last ?name|sur ?name|family ?name|nach ?name|familien ?name|zuname|name last|last|lname|姓氏)\b"),
    ("middle", r"\b(middle ?name|midl ?name|name middle|middle|zweiter vorname)\b"),
    ("native", r"\b(native name( full)?|中文名|中文姓名|姓名|联系人|客户姓名)\b"),
    ("company", r"\b(company( name)?|account name|organi[sz]ation( name)?|org( name)?|name org|firma|firmenname|unternehmen|unternehmensname|arbeitgeber|employer|"
                r"business( name)?|legal name|kunde|公司|公司名称|企业名称|单位|单位名称|客户名称|企业|secondary name org)\b"),
    ("address", r"\b(address( line)?( ?\d)?|addr( full| line ?\d?)?|street|billing street|mailing street|strasse|str|\w*anschrift|\w*adresse|hausnr|"
                r"hausnummer|house number|street number|suburb|地址|详细地址|街道|住址)\b"),
    ("city", r"\b(city|town|birth ?place|place of birth|geburtsort|ort|stadt|wohnort|locality|城市|市|所在城市)\b"),
    ("category", r"\b(state|province|region|country|land|bundesland|gender|sex|geschlecht|nationality|county|省|省份|国家|性别|地区)\b"),
    ("identifier", r"\b(ssn( number)?|social security( number)?|soc sec id|passport( number)?|tax ?id( number)?|vat( id| number| no)?|ust ?id( nr)?|steuernummer|"
                   r"registration (no|number|nr)|reg no|hrb|handelsregister(nummer)?|company number|duns|u ?st ?id( ?nr)?|umsatzsteuer id|"
                   r"drivers? licen[cs]e( number)?|national id( number)?|lei( number)?|(customer|member|account|client|loyalty) (no|number|nr|ref|reference)|(kunden|mitglieds|debitoren) ?(nummer|nr)|kd ?nr|iban|"
                   r"身份证|身份证号|税号|统一社会信用代码|护照号)\b"),
    ("person", r"\b((full|contact|customer|person|display|client|lead) ?name|name full|primary name( full)?|contact|ansprechpartner|kontakt|kontaktperson|kontaktname)\b"),
    ("name", r"\b(name|kundenname|kunde name|debitor|名称|名)\b"),
    ("skip", r"\b(title|titel|salutation|anrede|position|job|department|abteilung|industry|branche|source|owner|type|category|lang|language|"
             r"sprache|职位|称呼|行业|部门|来源)\b"),
)  # fmt: skip

_HAN_HEADERS: tuple[tuple[str, str], ...] = (
    ("email", r"邮箱|邮件|电邮|e ?mail"),
    ("postcode", r"邮编|邮政编码"),
    (
        "skip",
        r"备注|描述|创建|更新|修改|时间|金额|状态|阶段|数量|来源|行业|职务|职位|部门|负责人|称呼|称谓|业务员|等级|类型|类别|积分|密码|头像|跟进|标签|归属",
    ),
    ("phone", r"手机|电话|传真|座机|固话"),
    ("city", r"出生地|籍贯"),
    ("birthdate", r"生日|出生"),
    ("identifier", r"身份证|证件号|信用代码|税号|纳税人|执照号|护照|微信|qq|编号|卡号"),
    ("domain", r"网址|官网|网站|域名|主页"),
    ("address", r"地址|街道|住址"),
    ("category", r"省|国家|国籍|性别|地区|区县|^区$|^县$"),
    ("city", r"城市|^市$|所在市|地级市"),
    ("family", r"^姓$|姓氏"),
    ("given", r"名字|^名$"),
    ("native", r"联系人|姓名|法人|法定代表人|经办人"),
    ("company", r"公司|企业|单位|客户名|机构|供应商|商户|店名"),
    ("name", r"名称|名$|^客户$"),
)
"""Chinese headers are read by what they hold, since no space parts their words: 公司联系地址 is an address."""


def header_words(name: str) -> str:
    """Return a header as lower-case words: ``npe4__LastName__c`` becomes ``last name``."""
    text = re.sub(r"^(npe?\d*|npsp|sf)\w*?__|__(c|pc)$", "", name)
    text = re.sub(r"(?<=[a-zäöüß])(?=\d)|(?<=[a-zäöüß0-9])(?=[A-ZÄÖÜ])|(?<=[A-Z])(?=[A-Z][a-z])", " ", text)
    text = re.sub(r"[^\w\u4e00-\u9fff]+|_", " ", text).lower()
    text = text.translate(str.maketrans("äöüß", "aous")).replace("strase", "strasse")
    return " ".join(text.split())


def header_kind(name: str) -> str | None:
    """Return the kind that a header names; None where it names none."""
    words = header_words(name)
    whole = kind_of_header(words)
    if whole is not None:
        return whole
    for kind, pattern in _HAN_HEADERS if re.search("[\u4e00-\u9fff]", words) else ():
        if re.search(pattern, words):
            return kind
    for kind, pattern in _HEADERS:
        if re.search(pattern, words):
            return kind
    return None
