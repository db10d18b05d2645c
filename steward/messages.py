"""Words for people: translation marks and look-up, in English, 简体中文 and Deutsch.

The core marks its sentences with :func:`N_` and never translates: an error carries its English template and its
facts, so that a screen can render both in the reader's language. Screens translate with :func:`_` and
:func:`ngettext`. Catalogues are ``steward/locale/<language>/LC_MESSAGES/steward.mo``; a missing catalogue or a missing
sentence falls back to English.

Left to others: dates and numbers for people (``steward.cli`` and the panels), the catalogues themselves.
"""

from __future__ import annotations

import gettext as _gettext
import os
from functools import lru_cache
from pathlib import Path

LANGUAGES = ("en", "zh_CN", "de")
"""Languages with a catalogue; ``en`` is the language of the source."""

_LOCALE_DIR = Path(__file__).with_name("locale")
_chosen: str | None = None


def N_(text: str) -> str:
    """Mark ``text`` for translation and return it unchanged."""
    return text


def choose_language(language: str | None) -> str:
    """Set the language of this process and return the one in force.

    Parameters
    ----------
    language : str or None
        ``en``, ``de``, ``zh_CN`` or a locale name such as ``zh_CN.UTF-8``; None takes ``STEWARD_LANGUAGE`` or ``LANG``.
        A language without a catalogue gives English.
    """
    global _chosen
    wanted = language or os.environ.get("STEWARD_LANGUAGE") or os.environ.get("LANG") or "en"
    wanted = wanted.split(".")[0].replace("-", "_")
    for known in LANGUAGES:
        if wanted == known or wanted.split("_")[0] == known.split("_")[0]:
            _chosen = known
            return known
    _chosen = "en"
    return "en"


def language() -> str:
    """Return the language in force, choosing it from the environment at first use."""
    return _chosen or choose_language(None)


@lru_cache(maxsize=len(LANGUAGES))
def catalogue(name: str) -> _gettext.NullTranslations:
    """Return the catalogue of one language (English text for what it lacks)."""
    return _gettext.translation("steward", _LOCALE_DIR, languages=[name], fallback=True)


def _(text: str) -> str:
    """Translate one sentence or word into the language in force."""
    return catalogue(language()).gettext(text) if text else ""


def ngettext(singular: str, plural: str, n: int) -> str:
    """Translate a sentence with a count, with the plural form of the language in force."""
    return catalogue(language()).ngettext(singular, plural, n)
