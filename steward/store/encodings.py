"""Finds out which characters the bytes of a file mean, or asks. Nothing is ever guessed into nonsense.

The order: what was declared · a byte order mark · UTF-16 by its zero bytes · strict UTF-8 · then candidates, of which one
must be plausible and all others must not be. A strict decoder is no proof for the old code pages: GB 18030 decodes Big5,
German cp1252 and damaged UTF-8 without a complaint, as rare Chinese characters. So the characters that come out are
weighed: frequent ones speak for an encoding, rare ones and letters stuck to Chinese characters against it.

Left to others: reading with it (``delimited``, ``json_files``), keeping lines that do not decode (``delimited``).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass

from steward.errors import EncodingUnknownError, SnapshotError, UsageError
from steward.messages import N_
from steward.store.hanzi import SIMPLIFIED, TRADITIONAL

SAMPLE = 1 << 20
"""Bytes of lines with other than ASCII characters that are weighed."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"\x84\x31\x95\x33", "gb18030"),
)

# Declared names and what is read: GB 18030 is a superset of GBK and GB 2312, cp950 and cp1252 of Big5 and Latin-1 in practice.
_ALIASES = {"gbk": "gb18030", "gb2312": "gb18030", "cp936": "gb18030"}

_ASKED = ("cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp850", "gb18030", "cp950", "cp932", "euc_jp", "euc_kr")
"""What is offered when the file has to be declared."""

_WORD = re.compile(r"[^\W\d_]+")
# Without ð, þ and ý, which is what Turkish becomes; Icelandic is asked for.
_WESTERN = frozenset("àâäáãåæçèéêëìíîïñòóôõöøùúûüÿßœšžÀÂÄÁÃÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜŒŠŽŸ")
_PUNCTUATION = frozenset("–—‘’‚“”„•…€§°´·ºª«»®©™£¥±²³µ¼½¾¿¡\xa0\xad¢¨¬¯×÷†‡‰‹›")


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the bytes of a file are read.

    Attributes
    ----------
    name : str
        A Python codec.
    bom : int
        Bytes of the byte order mark to leave out at the beginning.
    how : str
        ``declared``, ``mark``, ``strict`` or ``weighed``.
    """

    name: str
    bom: int
    how: str

    @property
    def wide(self) -> bool:
        """UTF-16 and UTF-32: a line end is no single byte there."""
        return self.name.startswith(("utf-16", "utf-32"))


def declared(name: str, head: bytes) -> Encoding:
    """Return the encoding a person named.

    Raises
    ------
    UsageError
        There is no such encoding.
    """
    try:
        info = codecs.lookup(name)
        if not info._is_text_encoding:
            raise LookupError(name)
    except LookupError:
        raise UsageError(
            N_("There is no encoding {name}."),
            next_step=N_("Known are among others: {known}."),
            name=name,
            known=", ".join(("utf-8", *_ASKED)),
        ) from None
    codec = info.name
    for mark, marked in _BOMS:
        if head.startswith(mark) and (codec.replace("-sig", "") == marked or codec in ("utf-16", "utf-32")):
            return Encoding(marked, len(mark), "declared")
    codec = {"utf-16": "utf-16-le", "utf-32": "utf-32-le", "utf-8-sig": "utf-8"}.get(codec, codec)
    return Encoding(_ALIASES.get(codec, codec), 0, "declared")


def marked(head: bytes) -> Encoding | None:
    """Return the encoding a byte order mark names, or None."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            return Encoding(name, len(mark), "mark")
    return None


def by_zero_bytes(head: bytes, file: str) -> Encoding | None:
    """Return UTF-16 without a mark, recognised by where the zero bytes stand; None where there are none.

    Raises
    ------
    SnapshotError
        Zero bytes that no text has: the file is binary.
    """
    zeros = head.count(0)
    if zeros == 0:
        return None
    even = head[: len(head) // 2 * 2]
    high, low = even[0::2].count(0), even[1::2].count(0)
    for name, mine, other in (("utf-16-le", low, high), ("utf-16-be", high, low)):
        if mine > 4 * other and mine * 50 >= len(even):
            text = even.decode(name, "replace")
            # Surrogates may be cut at the end of the sample, nowhere else.
            if text[:-1].count("\ufffd") == 0 and ("\n" in text or "\r" in text) and _printable_share(text) > 0.99:
                return Encoding(name, 0, "weighed")
    if zeros <= len(head) // 10_000:
        return None  # single zero bytes in a text: the lines that hold them are rejected
    raise SnapshotError(
        N_("{file} is no table: it holds binary data."),
        next_step=N_("Export it as CSV, TSV, XLSX, Parquet or JSON."),
        file=file,
    )


def _printable_share(text: str) -> float:
    bad = sum(1 for c in text if (c < " " and c not in "\t\r\n") or "\ue000" <= c <= "\uf8ff")
    return 1 - bad / max(1, len(text))


def weigh(lines: Iterable[bytes], file: str) -> Encoding:
    """Choose an encoding for lines that are not all UTF-8, or ask.

    Parameters
    ----------
    lines : iterable of bytes
        The lines of the file that hold other than ASCII characters; at most :data:`SAMPLE` bytes are looked at.

    Raises
    ------
    EncodingUnknownError
        No candidate is plausible, or more than one.
    """
    taken: list[bytes] = []
    size = 0
    for line in lines:
        taken.append(line)
        size += len(line)
        if size >= SAMPLE:
            break
    as_utf8 = sum(1 for line in taken if _decodes(line, "utf-8"))
    if as_utf8 >= 9 * (len(taken) - as_utf8) and as_utf8 >= 9:
        return Encoding("utf-8", 0, "weighed")  # its few bad lines are rejected and shown
    sample = b"".join(taken)
    texts = {name: text for name in _ASKED if (text := _mostly(taken, name)) is not None}
    plausible = [
        name
        for name, test in (("gb18030", _is_simplified), ("cp950", _is_traditional), ("cp1252", _is_western))
        if name in texts and test(texts[name])
    ]
    if plausible == ["cp1252"] and not _western_is_unambiguous(texts, sample):
        plausible = []
    if len(plausible) == 1:
        return Encoding(plausible[0], 0, "weighed")
    offered = plausible + [n for n in _ranked(sample) if n in texts and n not in plausible]
    offered += [n for n in texts if n not in offered]
    raise EncodingUnknownError(
        N_("{file} is not UTF-8, and its characters could be read in several ways: {candidates}."),
        next_step=N_("Say which it is with --encoding, for example --encoding {first}; --encoding can be tried without harm."),
        file=file, candidates=", ".join(offered[:6]) or "-", first=(offered or ["cp1252"])[0],
    )  # fmt: skip


def _decodes(line: bytes, name: str) -> bool:
    try:
        line.decode(name)
    except UnicodeDecodeError:
        return False
    return True


def _mostly(lines: list[bytes], name: str) -> str | None:
    """Text of the lines that decode, where nearly all do; a few may be damaged."""
    texts = []
    for line in lines:
        try:
            texts.append(line.decode(name))
        except UnicodeDecodeError:
            continue
    return "\n".join(texts) if texts and len(texts) >= 0.95 * len(lines) else None


def _is_simplified(text: str) -> bool:
    return _is_chinese(text, SIMPLIFIED, "gb2312")


def _is_traditional(text: str) -> bool:
    return _is_chinese(text, TRADITIONAL, "big5")


def _is_chinese(text: str, frequent: frozenset[str], narrow: str) -> bool:
    """Whether a text reads like Chinese customer data; the odds are those of frequent against evenly spread characters."""
    other = [c for c in text if ord(c) > 0x7F]
    han = [c for c in other if "\u3400" <= c <= "\u9fff" or ord(c) >= 0x20000]
    stray = [
        c
        for c in other
        if not ("\u3000" <= c <= "\u9fff" or "\uff00" <= c <= "\uffef" or c in _PUNCTUATION or ord(c) >= 0x20000)
    ]
    kana = sum(1 for c in other if "\u3041" <= c <= "\u30ff")
    if not han or len(stray) * 20 > len(other) or kana * 10 > len(other):
        return False
    odds = sum(1.3 if c in frequent else -0.74 for c in han)
    if odds < 5:
        return False
    known = sum(1 for c in han if _encodes(c, narrow))
    # A Chinese character stuck between Latin letters is what an umlaut becomes.
    stuck = len(re.findall(r"[a-z][\u3400-\u9fff][a-z]", text))
    return known >= 0.85 * len(han) and stuck * 10 <= len(han)


def _encodes(char: str, name: str) -> bool:
    try:
        char.encode(name)
    except UnicodeEncodeError:
        return False
    return True


def _is_western(text: str) -> bool:
    """Whether a text reads like a western European language in cp1252."""
    other = [c for c in text if ord(c) > 0x7F]
    if any(c not in _WESTERN and c not in _PUNCTUATION for c in other):
        return False
    words = [w for w in _WORD.findall(text) if not w.isascii()]
    if not words:
        return False
    # In these languages most letters of a word are plain; a word of accents alone is another script.
    odd = sum(1 for w in words if sum(ord(c) > 0x7F for c in w) > max(1, len(w) // 2) or re.search(r"[^\x00-\x7f]{3}", w))
    inside = len(re.findall(r"[A-Za-z][‚„…†‡‰‹•“”€¢£¥±²³¼½¾×÷¬¯¨™®©§°´·][A-Za-z]", text))
    shouting = sum(1 for w in words if re.search(r"[^\W\d_][ÀÂÄÁÃÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜŒŠŽŸ]", w) and not w.isupper())
    return odd * 20 <= len(words) and inside * 50 <= len(words) and shouting * 20 <= len(words)


def _western_is_unambiguous(texts: dict[str, str], sample: bytes) -> bool:
    """Whether cp1252 and the code page of central Europe read the same, or a detector prefers the western one."""
    text = texts["cp1252"]
    if texts.get("cp1250") == text:
        return True
    if len(text) == len(texts.get("cp1250", "")):
        differing = {w for w, c in zip(text, texts["cp1250"], strict=True) if w != c}
        slavic = {c for c in text if c in "šžŠŽøØìÌ"}  # what Czech, Slovak and Croatian are full of
        if differing <= set("ñÑåÅ"):  # ń without ł, ą, ę and ć, or ĺ: no language writes so
            return True
        if "è" in differing and differing & set("êàû") and differing <= set("èêàùûïœÈÊÀÙÛÏŒñ") and not slavic:
            return True  # French; no language has č together with ę, ŕ or ű
    ranked = _ranked(sample)
    return bool(ranked) and ranked[0] == "cp1252"


def _ranked(sample: bytes) -> list[str]:
    """Candidates in the order a detector library prefers them."""
    from charset_normalizer import from_bytes

    same = {"latin_1": "cp1252", "iso8859_1": "cp1252", "iso8859_15": "cp1252", "big5": "cp950", "big5hkscs": "cp950", "gbk": "gb18030",
            "gb2312": "gb18030", "iso8859_2": "cp1250", "shift_jis": "cp932", "cp949": "euc_kr", "iso8859_5": "cp1251"}  # fmt: skip
    found = from_bytes(sample[: 1 << 16], cp_isolation=[*_ASKED, "latin_1", "big5", "gbk", "shift_jis"])
    return list(dict.fromkeys(same.get(match.encoding, match.encoding) for match in found))
