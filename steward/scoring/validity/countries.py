"""Country names as CRMs hold them, and the forms of postcodes.

Names in English, German, Chinese and their own language, and both ISO codes, for the countries steward knows. A name
that is not here is no error: rules that need the country let the value pass.
"""

from __future__ import annotations

import re
from functools import lru_cache

_NAMES = {
    "AR": "ARG Argentina Argentinien 阿根廷", "AT": "AUT Austria Österreich 奥地利", "AU": "AUS Australia Australien 澳大利亚",
    "BE": "BEL Belgium Belgien Belgique België 比利时", "BR": "BRA Brazil Brasilien Brasil 巴西", "CA": "CAN Canada Kanada 加拿大",
    "CH": "CHE Switzerland Schweiz Suisse Svizzera 瑞士", "CN": "CHN China 中国 中华人民共和国 PRC",
    "CZ": "CZE Czechia Tschechien Česko 捷克", "DE": "DEU GER Germany Deutschland 德国", "DK": "DNK Denmark Dänemark Danmark 丹麦",
    "ES": "ESP Spain Spanien España 西班牙", "FI": "FIN Finland Finnland Suomi 芬兰", "FR": "FRA France Frankreich 法国",
    "GB": "GBR UK England Scotland Wales Großbritannien 英国", "HK": "HKG Hongkong 香港", "IE": "IRL Ireland Irland 爱尔兰",
    "IN": "IND India Indien 印度", "IT": "ITA Italy Italien Italia 意大利", "JP": "JPN Japan 日本", "KR": "KOR Südkorea 韩国",
    "LU": "LUX Luxembourg Luxemburg 卢森堡", "MX": "MEX Mexico Mexiko México 墨西哥", "NL": "NLD Netherlands Niederlande Nederland 荷兰",
    "NO": "NOR Norway Norwegen Norge 挪威", "PL": "POL Poland Polen Polska 波兰", "PT": "PRT Portugal 葡萄牙",
    "SE": "SWE Sweden Schweden Sverige 瑞典", "SG": "SGP Singapore Singapur 新加坡", "TW": "TWN Taiwan 台湾",
    "US": "USA America Amerika 美国", "VE": "VEN Venezuela 委内瑞拉",
}  # fmt: skip
_LONG = {"united states": "US", "united states of america": "US", "vereinigte staaten": "US", "united kingdom": "GB",
         "great britain": "GB", "vereinigtes königreich": "GB", "northern ireland": "GB", "hong kong": "HK", "south korea": "KR",
         "republic of korea": "KR", "the netherlands": "NL", "czech republic": "CZ"}  # fmt: skip
_REGION = {name.casefold(): code for code, names in _NAMES.items() for name in (code, *names.split())} | _LONG

_FORMS = {
    "AR": r"[A-Z]?\d{4}([A-Z]{3})?", "AT": r"(A-?)?\d{4}", "AU": r"\d{4}", "BE": r"(B-?)?\d{4}", "BR": r"\d{4,5}(-?\d{3})?",
    "CA": r"[A-Z]\d[A-Z] ?\d[A-Z]\d", "CH": r"(CH-?)?\d{4}", "CN": r"\d{6}", "CZ": r"\d{3} ?\d{2}", "DE": r"(D-?)?\d{5}",
    "DK": r"(DK-?)?\d{4}", "ES": r"\d{5}", "FI": r"(FI-?)?\d{5}", "FR": r"(F-?)?\d{5}",
    "GB": r"(GIR ?0AA|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})", "IN": r"\d{3} ?\d{3}", "IT": r"(I-?)?\d{5}", "JP": r"\d{3}(-?\d{4})?",
    "KR": r"(\d{5}|\d{3}-?\d{3})", "LU": r"(L-?)?\d{4}", "MX": r"\d{5}", "NL": r"\d{4} ?[A-Z]{2}", "NO": r"(N-?)?\d{4}",
    "PL": r"\d{2}-?\d{3}", "PT": r"\d{4}(-?\d{3})?", "SE": r"(S(E)?-?)?\d{3} ?\d{2}", "SG": r"(\d{4}|\d{6})", "TW": r"\d{3}(\d{2,3})?",
    "US": r"\d{5}(-?\d{4})?", "VE": r"\d{4}",
}  # fmt: skip
POSTCODES = {code: re.compile(rf"^{form}$") for code, form in _FORMS.items()}
"""ISO code → form of its postcodes, upper case; forms that a country has given up count as well."""


@lru_cache(maxsize=10_000)
def region_of(country: str | None) -> str | None:
    """Return the ISO code of a country as a CRM writes it; None where it is not known."""
    return _REGION.get(" ".join((country or "").split()).casefold().rstrip("."))
