"""What the sign page says and does, without a browser: from verified bytes, one number, a passphrase used once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steward.approval import Approval, open_policies, open_trust
from steward.commands._signing import now
from steward.messages import choose_language
from steward.review.page import page_environment, write_page
from steward.review.sign.talk import SignTalk, Wanted
from steward.review.sign.ways import Way
from tests.support.signing_commands import WORD, first_trust, folder, keys, lay, made_now, run, trust  # noqa: F401  # fixtures

Ask = Callable[..., tuple[SignTalk, list[dict[str, Any]]]]


@pytest.fixture
def page(trust: Path, keys: Path, folder: Path) -> Ask:  # noqa: F811  # fixtures by name
    """Open a page as ``who`` over the manifest; returns it and what it has said."""

    def make(who: str | None = "bob", **more: Any) -> tuple[SignTalk, list[dict[str, Any]]]:
        said: list[dict[str, Any]] = []
        way = Way(key=str(keys / who)) if who else Way()
        talk = SignTalk(Wanted(folder=str(folder), trust=str(trust), way=way, **more), said.append)
        talk.handle({"type": "ready"})
        return talk, said

    return make


def test_it_shows_what_inspect_shows_and_who_signs(page: Ask, folder: Path, trust: Path) -> None:  # noqa: F811
    talk, said = page()
    shown = said[0]
    with Approval.open(folder, trust=open_trust(trust, now=now()), policies=open_policies(), now=now()) as approval:
        found = approval.summary
    assert shown["type"] == "manifest" and shown["can_sign"] and shown["asks"] == "passphrase"
    assert found.manifest_id in shown["title"] and [found.digest in v for _w, v in shown["facts"]].count(True) == 1
    assert shown["who"] == "You sign as bob (steward)."
    titles = [s["title"] for s in shown["sections"]]
    assert titles[0] == "What it does" and "Difference to the last manifest" in titles and "Held back" in titles
    does = shown["sections"][0]["rows"]
    assert [(r[0], r[2]) for r in does] == [(line.object, str(line.records)) for line in found.lines]
    risky = next(s for s in shown["sections"] if s["title"].endswith("riskiest"))
    assert [r[0] for r in risky["rows"]] == [str(i.key) for i in found.riskiest]
    talk.close()


def test_it_signs_when_the_number_was_typed_and_the_folder_then_holds_the_signature(page: Ask, folder: Path) -> None:  # noqa: F811
    talk, said = page()
    before = (folder / "manifest.dsse.json").read_bytes()
    talk.handle({"type": "sign", "typed": "4", "secret": WORD})
    assert said[-1]["type"] == "refused" and "4 was typed" in said[-1]["sentence"]
    assert (folder / "manifest.dsse.json").read_bytes() == before
    talk.handle({"type": "sign", "typed": "3", "secret": WORD})
    assert said[-1]["type"] == "manifest" and said[-1]["done"][0].startswith("Signed as bob")
    assert not said[-1]["can_sign"] and (folder / "manifest.dsse.json").read_bytes() != before
    seats = next(s for s in said[-1]["sections"] if s["title"].startswith("Who has signed"))
    assert "Signed by: bob." in seats["says"]
    talk.close()
    _again, later = page()
    assert later[0]["problem"] == "bob has signed already." and not later[0]["can_sign"]


def test_a_wrong_passphrase_is_refused_and_no_passphrase_is_ever_said(page: Ask, caplog: pytest.LogCaptureFixture) -> None:
    talk, said = page()
    for secret in ("wrong horse", WORD):
        talk.handle({"type": "sign", "typed": "3", "secret": secret})
    assert said[1]["type"] == "refused" and said[2]["type"] == "manifest"
    everything = json.dumps(said) + repr(vars(talk)) + caplog.text
    assert WORD not in everything and "wrong horse" not in everything
    talk.close()


def test_nothing_is_signed_that_was_not_shown(page: Ask, folder: Path, trust: Path, keys: Path) -> None:  # noqa: F811
    said: list[dict[str, Any]] = []
    talk = SignTalk(Wanted(folder=str(folder), trust=str(trust), way=Way(key=str(keys / "bob"))), said.append)
    talk.handle({"type": "sign", "typed": "3", "secret": WORD})
    assert said[0]["sentence"].startswith("Nothing was shown yet")
    talk.handle({"type": "ready"})
    (folder / "manifest.dsse.json").write_bytes((folder / "manifest.dsse.json").read_bytes() + b"\n")
    talk.handle({"type": "sign", "typed": "3", "secret": WORD})
    assert said[-1]["type"] == "refused"
    talk.close()


def test_a_changed_item_is_not_shown_at_all(page: Ask, folder: Path) -> None:  # noqa: F811
    raw = (folder / "items.ndjson").read_bytes()
    (folder / "items.ndjson").write_bytes(raw.replace(b"soft_delete", b"hard_delete", 1))
    _talk, said = page()
    assert [m["type"] for m in said] == ["refused"]


def test_the_proposer_and_the_unknown_are_told_so_before_they_sign(page: Ask) -> None:
    talk, said = page("ada")
    assert "does not count" in said[0]["who"]
    talk.close()
    talk, said = page("ria")
    assert "does not know this key" in said[0]["who"]
    talk.close()


def test_without_a_key_or_with_a_veto_it_only_shows(page: Ask, folder: Path, run: Any, keys: Path, trust: Path) -> None:  # noqa: F811
    talk, said = page(None)
    assert not said[0]["can_sign"] and "without a key" in said[0]["problem"]
    talk.handle({"type": "sign", "typed": "3", "secret": ""})
    assert said[-1]["type"] == "refused"
    talk.close()
    code, _out, err = run(
        "veto", folder, "--key", keys / "cid", "--passphrase-file", keys / "pw", "--trust", trust, "--reason", "no"
    )
    assert code == 0, err
    talk, said = page()
    assert not said[0]["can_sign"] and "veto" in said[0]["problem"]
    talk.close()


def test_the_difference_to_the_last_manifest_stands_there(page: Ask, folder: Path) -> None:  # noqa: F811
    from datetime import timedelta

    lay(folder.parent, made_now(5, nonce=2, created_at=now() - timedelta(days=3)))
    talk, said = page()
    since = next(s for s in said[0]["sections"] if s["title"].startswith("Difference"))
    assert len(since["says"]) == 2 and since["rows"]
    assert since["rows"][0][2:] == ["5", "3", "−2"]
    talk.close()


@pytest.mark.parametrize("language", ["de", "zh_CN"])
def test_every_language_has_the_same_shape(page: Ask, language: str) -> None:
    choose_language(language)
    try:
        talk, said = page()
        assert [len(s["columns"]) for s in said[0]["sections"] if s["rows"]] and all(
            len(r) == len(s["columns"]) for s in said[0]["sections"] for r in s["rows"]
        )
        talk.close()
    finally:
        choose_language("en")


def test_a_passphrase_of_the_environment_is_not_handed_to_the_server_and_the_notebook_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from steward.review.page import SIGN

    monkeypatch.setenv("STEWARD_PASSPHRASE", WORD)
    assert WORD not in page_environment("en", STEWARD_SIGN_PAGE="{}").values()
    assert WORD not in write_page(tmp_path, "sign", SIGN).read_text(encoding="utf-8")
