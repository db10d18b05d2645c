"""The command: help without heavy packages, refusals without tracebacks, exit codes as documented."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from steward import errors
from steward.cli import VERBS, main, run_guarded
from steward.errors import StewardError, printable
from steward.messages import LANGUAGES, choose_language
from steward.screen import Screen

HEAVY = {"duckdb", "polars", "pandas", "numpy", "pyarrow", "scipy", "sklearn", "recordlinkage", "great_expectations", "altair",
         "IPython", "sqlalchemy", "httpx", "pydantic", "matplotlib", "ipywidgets", "cryptography"}  # fmt: skip


@pytest.mark.parametrize(
    "words", ["import steward", "import steward; dir(steward)", "import steward.cli; steward.cli.main(['--help'])"]
)
def test_importing_steward_loads_nothing_heavy(words: str) -> None:
    code = f"{words}\nimport sys; print(sorted({{m.split('.')[0] for m in sys.modules}}), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stderr.replace("'", '"')))
    assert not loaded & HEAVY


def test_the_public_names_can_be_fetched() -> None:
    import steward

    for name in steward.__all__:
        assert getattr(steward, name) is not None
    with pytest.raises(AttributeError):
        steward.nothing  # noqa: B018  # the access is the test


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--json" in shown and f"steward {verb} " in shown.rsplit("--language", 1)[1]


def test_an_unknown_verb_is_refused_with_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["delete-everything"]) == 2
    assert "snapshot" in capsys.readouterr().err


def test_a_defect_shows_its_place_and_never_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> int:
        raise ValueError("Erika Mustermann, +49 30 1234")

    assert run_guarded(broken, Screen()) == 70
    said = capsys.readouterr().err
    assert "ValueError" in said and "Mustermann" not in said and "Traceback" not in said


def test_a_missing_extra_says_what_to_install(capsys: pytest.CaptureFixture[str]) -> None:
    def needs() -> int:
        raise ModuleNotFoundError("no", name="duckdb")

    assert run_guarded(needs, Screen()) == 2
    assert "steward[workbench]" in capsys.readouterr().err


def test_every_error_has_the_exit_code_of_the_tree() -> None:
    tree = errors.__doc__ or ""
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, StewardError):
            assert name in tree, f"{name} is missing in the docstring's tree"
            assert 1 <= kind.exit_code <= 16


def test_hostile_facts_cannot_move_the_cursor_or_forge_a_line() -> None:
    hostile = "a\x1b[2J\nRefused: nothing\u202e\u200b\u2066"
    assert not set(printable(hostile)) & set("\x1b\n\u202e\u200b\u2066")
    assert "\x1b" not in str(StewardError("{x}", x=hostile))
    assert len(printable("x" * 10_000)) <= 200


def test_json_keeps_standard_output_clean(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(json=True)
    screen.say("hello {who}", who="x")
    screen.table("t", ("a",), [(1,)])
    screen.result({"n": 1})
    assert json.loads(capsys.readouterr().out) == {"n": 1}


def test_language_falls_back_to_english() -> None:
    try:
        assert choose_language("de_AT.UTF-8") == "de"
        assert choose_language("zh-CN") == "zh_CN"
        assert choose_language("tlh") == "en"
        assert set(LANGUAGES) == {"en", "de", "zh_CN"}
    finally:
        choose_language("en")


def test_a_missing_workspace_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--workspace", str(tmp_path / "nowhere")]) in range(2, 17)
    said = capsys.readouterr().err
    assert said.startswith("Refused:") and "Traceback" not in said


def test_the_page_of_exit_codes_names_every_error() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, StewardError):
            assert f"| {kind.exit_code} | `{name}` |" in page
