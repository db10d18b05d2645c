"""The review notebook in JupyterLab, as a reviewer meets it; and each notebook run whole without a browser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from steward.decisions import DecisionAction as A
from steward.policy import Protection
from steward.store.decision_log import DecisionLog
from tests.support.lab import Lab, make_trust
from tests.support.review import browser, make_workspace, ordinary

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / "artifacts"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scored workspace that nobody holds open."""
    ws, _ = make_workspace(
        tmp_path_factory.mktemp("lab"),
        ordinary(60),
        clusters=[(2 * n, 2 * n + 1) for n in range(14)],
        stale=[40, 41, 42],
        invalid=[44],
        deals=[(1, "1200.50", "won"), (3, "99.50", "open")],
        protections={40: Protection("legal_hold", "keep", "It is on the hold list.")},
    )
    ws.close()
    return ws.path


@pytest.fixture
def lab(tmp_path: Path, workspace: Path) -> Iterator[Lab]:
    """JupyterLab with the review notebook."""
    shutil.copy(ROOT / "notebooks" / "review.ipynb", tmp_path / "review.ipynb")
    trust = make_trust(tmp_path / "people", "Anna Schmidt")
    server = Lab(tmp_path, workspace, "Anna Schmidt", STEWARD_TRUST=str(trust), STEWARD_MANIFESTS=str(tmp_path / "manifests"))
    yield server
    server.stop()


def test_a_reviewer_works_in_jupyterlab_by_keyboard_and_no_key_reaches_the_notebook(
    lab: Lab, workspace: Path, tmp_path: Path
) -> None:
    requests: list[str] = []
    with browser() as chrome:
        page = chrome.new_page(viewport={"width": 1680, "height": 1100})
        page.set_default_timeout(90_000)  # two cores may be busy with other tests
        page.on("request", lambda r: requests.append(r.url))
        page.goto(lab.url("review.ipynb"))
        page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.content?.widgets?.length > 3", timeout=90_000)
        page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.ready")
        page.evaluate("window.jupyterapp.shell.collapseLeft(); window.jupyterapp.commands.execute('notebook:run-all-cells')")
        page.wait_for_selector(".sr-title h2", timeout=90_000)
        cells = (
            "JSON.stringify(window.jupyterapp.shell.currentWidget.content.widgets.map((w) => w.model.sharedModel.getSource()))"
        )
        before = page.evaluate(cells)
        page.locator(".sr-list").click(position={"x": 100, "y": 20})
        log = DecisionLog.open(workspace)
        for n, k in enumerate(["m", "p", "n", "m", "m", "p", "m", "n", "p", "m"], 1):
            page.wait_for_selector(".sr-title h2")
            page.wait_for_function("document.querySelector('.sr')?.contains(document.activeElement)")
            page.keyboard.press(k)
            page.wait_for_function("([n]) => document.querySelector('.sr-done').textContent.startsWith(n + ' of')", arg=[n])
            assert page.evaluate(cells) == before, k
        assert page.locator('.sr-saved[data-ok="yes"]').count() == 1
        page.keyboard.press("u")
        page.wait_for_function("document.querySelector('.sr-done').textContent.startsWith('9 of')")
        read = log.read()
        assert len({d.group for d in read if d.action is not A.UNDO}) == 10 and read[-1].action is A.UNDO
        assert {d.reviewer for d in read} == {"Anna Schmidt"}
        page.locator(".sr").scroll_into_view_if_needed()
        ARTIFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTIFACTS / "review-lab.png")
        # The work is done: the last cell drafts a manifest from what stands decided.
        page.evaluate(
            "(() => { const c = window.jupyterapp.shell.currentWidget.content; c.activeCellIndex = c.widgets.length - 1; })()"
        )
        page.evaluate("window.jupyterapp.commands.execute('notebook:run-cell')")
        page.wait_for_function(
            "/(Drafted \\w{26}|Error)/.test(document.querySelector('.jp-Cell:last-child .jp-OutputArea')?.innerText ?? '')",
            timeout=60_000,
        )
        said = page.locator(".jp-Cell .jp-OutputArea").last.inner_text()
        assert "Drafted" in said and "Error" not in said, said
        (manifest,) = (tmp_path / "manifests").iterdir()
        items = [json.loads(line) for line in (manifest / "items.ndjson").read_text(encoding="utf-8").splitlines()]
        going = {d.key.id for d in log.standing().destructive()}
        assert len(going) == 4 and {i["id"] for i in items if i["action"] == "merge_into"} == going
        # Every key of notebook command mode, from every kind of element that can have the focus.
        for selector in (".sr-list", ".sr-sheet", ".sr-scroll", ".sr-tab", ".sr-act"):
            page.locator(selector).first.evaluate("(n) => n.focus()")
            for k in (
                "a",
                "b",
                "x",
                "Escape",
                "d",
                "d",
                "Escape",
                "z",
                "z",
                "y",
                "Enter",
                "Escape",
                "Shift+m",
                "Delete",
                "0",
                "0",
                "c",
                "Escape",
                "v",
            ):
                page.keyboard.press(k)
            page.keyboard.press("Escape")
            assert page.evaluate(cells) == before, selector
        page.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' })")
        page.wait_for_selector('body[data-jp-theme-light="false"]', state="attached")
        page.wait_for_timeout(500)
        page.screenshot(path=ARTIFACTS / "review-lab-dark.png")
        log.close()
    outside = [
        u
        for u in requests
        if not u.startswith((f"http://127.0.0.1:{lab.port}/", f"ws://127.0.0.1:{lab.port}/", "blob:", "data:"))
    ]
    assert outside == []


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.name)
def test_a_notebook_is_stored_without_outputs_and_equals_its_script(path: Path) -> None:
    import jupytext

    stored = nbformat.read(path, as_version=4)
    assert all(not c.get("outputs") and c.get("execution_count") is None for c in stored.cells if c.cell_type == "code")
    script = jupytext.read(path.with_suffix(".py"))
    assert [(c.cell_type, c.source) for c in stored.cells] == [(c.cell_type, c.source) for c in script.cells]


def test_the_review_notebook_runs_whole_and_saves_no_customer(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEWARD_TRUST", str(make_trust(tmp_path / "people", "Anna")))
    monkeypatch.setenv("STEWARD_MANIFESTS", str(tmp_path / "manifests"))
    undecided = shutil.copytree(workspace, tmp_path / "undecided", ignore=shutil.ignore_patterns("decisions.sqlite*"))
    monkeypatch.setenv("STEWARD_WORKSPACE", str(undecided))
    monkeypatch.setenv("STEWARD_REVIEWER", "Anna")
    book = nbformat.read(ROOT / "notebooks" / "review.ipynb", as_version=4)
    NotebookClient(book, timeout=60, kernel_name="python3", store_widget_state=True).execute()
    text = json.dumps(book, ensure_ascii=False)
    assert "duplicate:" in text and "Nothing is decided yet" in text
    assert "Müller" not in text and "@example.org" not in text
