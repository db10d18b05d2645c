"""No text is ever read in an encoding it was not written in: recognised rightly, or asked for."""

from __future__ import annotations

import pytest

from steward.errors import EncodingUnknownError, SnapshotError, UsageError
from steward.store.encodings import by_zero_bytes, declared, marked, weigh

TEXTS = {
    "zh": "张伟,北京市朝阳区建国路88号\n李娜,上海贸易有限公司\n王芳,深圳市南山区科技园\n欧阳娜,广州市天河区\n",
    "rare zh": "喆,镕基\n堃,赟珺\n",
    "tw": "陳志豪,台北市大安區\n林淑惠,高雄市左營區\n王美玲,香港九龍尖沙咀\n",
    "de": "Jürgen Groß,Köln\nKäthe Müller,Nürnberg\nÖzgür Weiß,Düsseldorf\n",
    "fr": "Hélène François,Besançon\nChloë Lefèvre,Orléans\nJérôme Bûcheron,Nîmes\n",
    "es": "Íñigo Muñoz,Cádiz\nBegoña Peña,Logroño\n",
    "sv": "Åsa Björk,Malmö\nPär Ängström,Västerås\n",
    "pt": "João Conceição,São Paulo\nInês Simões,Évora\n",
    "da": "Søren Kjær,Ålborg\nÅse Bøe,Tromsø\n",
    "cs": "Jiří Dvořák,Plzeň\nVáclav Růžička,Žižkov\nŠtěpán Černý,Třebíč\n",
    "pl": "Łukasz Wałęsa,Łódź\nJózef Śliwiński,Gdańsk\n",
    "hu": "Győző Kőrösi,Szűcsfalva\nÁrpád Erdős,Győr\n",
    "hr": "Ivo Kovačević,Šibenik\nAna Đurđević,Požega\n",
    "ro": "Ștefan,Iași\n".replace("Ș", "Ş").replace("ș", "ş"),
    "tr": "Gökçe Yıldız,İstanbul\nŞükrü Çağlar,Eskişehir\n",
    "el": "Γιώργος Παπαδόπουλος,Αθήνα\nΜαρία,Θεσσαλονίκη\n",
    "ru": "Иванов Сергей,Москва\nПетрова Анна,Тверь\n",
    "ja": "山田太郎,東京都渋谷区\n佐藤花子さん,大阪市\nカタカナ,ひらがな\n",
    "ja kanji": "田中一郎,京都市中京区\n鈴木健太,横浜市西区\n",
    "ko": "김철수,서울특별시 강남구\n이영희,부산광역시 해운대구\n박민수,대전\n",
}
CODECS = ["cp1252", "iso8859_15", "cp850", "mac_roman", "cp1250", "iso8859_2", "cp1254", "cp1253", "cp1251", "koi8_r", "iso8859_5",
          "gb18030", "gbk", "gb2312", "big5", "cp950", "big5hkscs", "shift_jis", "cp932", "euc_jp", "euc_kr", "cp949", "hz", "utf-7"]  # fmt: skip


def _cases() -> list[tuple[str, str]]:
    found = []
    for name, text in TEXTS.items():
        for codec in CODECS:
            try:
                raw = text.encode(codec)
            except UnicodeEncodeError:
                continue
            if not raw.isascii():
                found.append((name, codec))
    return found


@pytest.mark.parametrize(("name", "codec"), _cases())
def test_recognised_rightly_or_asked_for(name: str, codec: str) -> None:
    """Every line alone as well: a file may hold one name only."""
    text = TEXTS[name]
    for piece in (text, *text.splitlines(keepends=True)):
        lines = [line for line in piece.encode(codec).splitlines(keepends=True) if not line.isascii()]
        if not lines or all(_utf8(line) for line in lines):
            continue
        try:
            found = weigh(lines, "f.csv")
        except EncodingUnknownError as error:
            assert "--encoding" in error.render()
        else:
            assert b"".join(lines).decode(found.name) == b"".join(lines).decode(codec)


def _utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "codec"),
    [("zh", "gb18030"), ("zh", "gbk"), ("tw", "big5"), ("de", "cp1252"), ("sv", "cp1252"), ("es", "cp1252"), ("fr", "cp1252")],
)
def test_what_must_be_recognised_without_asking(name: str, codec: str) -> None:
    raw = TEXTS[name].encode(codec)
    assert raw.decode(weigh(raw.splitlines(keepends=True), "f.csv").name) == TEXTS[name]


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["zh", "de", "ru", "ko"])
def test_utf_16_without_a_mark(name: str, codec: str) -> None:
    text = "id,name,ort\n" + "".join(f"{n},{line}\n" for n, line in enumerate(TEXTS[name].splitlines()))
    found = by_zero_bytes(text.encode(codec), "f.csv")
    assert found is not None and found.name == codec


def test_binary_data_is_no_text() -> None:
    with pytest.raises(SnapshotError, match="binary"):
        by_zero_bytes(bytes(range(256)) * 100, "f.csv")
    assert by_zero_bytes(b"id,a\n", "f.csv") is None
    assert by_zero_bytes(b"x" * 20_000 + b"\0", "f.csv") is None


def test_marks_and_declarations() -> None:
    assert marked("\ufeffid".encode("utf-16-be")) is not None
    assert declared("utf-16", "\ufeffid".encode("utf-16-be")).name == "utf-16-be"
    assert declared("UTF-8-SIG", b"\xef\xbb\xbfid").bom == 3
    assert declared("GBK", b"id").name == "gb18030"
    for wrong in ("klingon", "rot13", "base64", ""):
        with pytest.raises(UsageError):
            declared(wrong, b"id")
