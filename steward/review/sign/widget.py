"""The widget of the sign page: carries messages between the front and a :class:`~steward.review.sign.talk.SignTalk`.

Nothing of a manifest and nothing that was typed becomes part of the widget's state. Left to others: everything else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import anywidget
import msgspec
import traitlets

from steward.messages import _, language
from steward.review.panel import FRONT, front
from steward.review.sign.talk import WORDS, SignTalk, Wanted

ENVIRONMENT = "STEWARD_SIGN_PAGE"
"""The variable of the page's server that holds :class:`Wanted` as JSON."""


class SignPanel(anywidget.AnyWidget):
    """The sign page's content."""

    _esm = front("sign.js")
    _css = FRONT / "panel.css"
    words = traitlets.Dict().tag(sync=True)

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(words={name: _(english) for name, english in WORDS.items()} | {"lang": language().replace("_", "-")})
        self._talk = SignTalk(wanted, self.send)
        self.on_msg(self._heard)

    def _heard(self, _widget: object, content: Mapping[str, Any], _buffers: object) -> None:
        self._talk.handle(content)

    def __repr__(self) -> str:
        return "<sign page>"


def sign_panel() -> SignPanel:
    """Return the panel for what the environment names; the page's one cell calls it."""
    return SignPanel(msgspec.json.decode(os.environ[ENVIRONMENT].encode(), type=Wanted))
