"""A page of something else after a write says nothing; after a read it is a fault to try again."""

from __future__ import annotations

import httpx
import pytest

from steward.crm.wire import Throttle, Wire
from steward.errors import OutcomeUnknownError, UnavailableError


def _wire(body: str) -> Wire:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text=body))
    return Wire("http://127.0.0.1:1", dict, Throttle(()), transport=transport)


def test_a_page_of_something_else_after_a_write_is_no_answer() -> None:
    with pytest.raises(OutcomeUnknownError):
        _wire("<html>gateway</html>").write("POST", "records").json()
    with pytest.raises(UnavailableError) as stopped:
        _wire("<html>gateway</html>").read("GET", "records").json()
    assert not isinstance(stopped.value, OutcomeUnknownError)


def test_numbers_stay_exact() -> None:
    assert str(_wire('{"n": 9007199254740993.10}').read("GET", "records").json()["n"]) == "9007199254740993.10"
