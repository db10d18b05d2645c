"""The review notebook in JupyterLab 4 and in Notebook 7, as a reviewer meets it; and each notebook run whole without a browser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from playwright.sync_api import Browser

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
        taken=datetime.now(UTC),  # nothing can be drafted from an old snapshot
    )
    ws.close()
    return ws.path


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, workspace: Path) -> Iterator[Lab]:
    """One server with both faces, JupyterLab and Notebook, and the review notebook."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(ROOT / "notebooks" / "review.ipynb", folder / "review.ipynb")
    shutil.copytree(workspace, folder / "second")
    source = (ROOT / "notebooks" / "review.ipynb").read_text(encoding="utf-8")
    assert source.count('\\"STEWARD_WORKSPACE\\"') == 1
    second = source.replace('\\"STEWARD_WORKSPACE\\"', '\\"STEWARD_SECOND\\"')  # the two faces work on cases of their own
    (folder / "review7.ipynb").write_text(second, encoding="utf-8")
    trust = make_trust(folder / "people", "Anna Schmidt")
    server = Lab(folder, workspace, "Anna Schmidt", STEWARD_TRUST=str(trust), STEWARD_MANIFESTS=str(folder / "manifests"),
                 STEWARD_SECOND=str(folder / "second"))  # fmt: skip
    yield server
    server.stop()


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """One browser for the module."""
    with browser() as started:
        yield started


class Book:
    """The review notebook, open and run, in one of the two faces; every request is noted."""

    cells = "JSON.stringify(window.jupyterapp.shell.currentWidget.content.widgets.map((w) => w.model.sharedModel.getSource()))"

    def __init__(self, chrome: Browser, lab: Lab, address: str) -> None:
        self.lab, self.requests = lab, list[str]()
        self.page = page = chrome.new_page(viewport={"width": 1680, "height": 1100})
        page.set_default_timeout(90_000)  # two cores may be busy with other tests
        page.on("request", lambda r: self.requests.append(r.url))
        page.goto(address)
        page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.content?.widgets?.length > 3", timeout=90_000)
        page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.ready")
        page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        page.wait_for_selector(".sr-title h2", timeout=90_000)
        self.before = page.evaluate(self.cells)

    def unchanged(self, after: object) -> None:
        """Fail where a key has changed a cell or the number of cells."""
        assert self.page.evaluate(self.cells) == self.before, after

    def press_all_from_everywhere(self) -> set[str]:
        """Press every key of command mode from every element that can have the focus; return the classes of the elements."""
        page = self.page
        find = "[...document.querySelectorAll('.sr, .sr *')].filter((n) => n.tabIndex >= 0 && n.offsetParent !== null)"
        name = "(n) => n.className + '|' + (n.getAttribute('aria-label') ?? n.innerText ?? '').slice(0, 40)"
        names: list[str] = page.evaluate(f"[...new Set({find}.map({name}))]")
        # Last what leads to another view; before it what decides, for the case on the screen then changes.
        names.sort(key=lambda n: ("sr-tab" in n or "sr-select" in n, "sr-act" in n))
        focus = f"(what) => {{ const n = {find}.find((n) => ({name})(n) === what); n?.focus(); return !!n; }}"
        found = set[str]()
        for what in names:
            for _ in range(10):  # the case before may just have been decided: the next is on its way
                if page.evaluate(focus, what):
                    break
                page.wait_for_timeout(200)
            else:
                continue
            found.add(what)
            for k in COMMAND_MODE:
                page.keyboard.press(k)
            page.keyboard.press("Escape")
            self.unchanged(what)
        return {part for what in found for part in what.split("|")[0].split()}

    def close(self) -> None:
        """Fail on any request that left the machine; end the kernel."""
        home = (f"http://127.0.0.1:{self.lab.port}/", f"ws://127.0.0.1:{self.lab.port}/", "blob:", "data:")
        assert [u for u in self.requests if not u.startswith(home)] == []
        self.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        self.page.close()


KINDS = {"sr-list", "sr-sheet", "sr-scroll", "sr-tab", "sr-act", "sr-search", "sr-select", "sr-range"}
# Every letter and digit pair that command mode knows, and what moves, deletes or runs cells.
COMMAND_MODE = ("a", "b", "x", "Escape", "d", "d", "Escape", "z", "z", "y", "Enter", "Escape", "Shift+m", "Delete", "0", "0", "c",
                "Escape", "v", "Shift+v", "r", "1", "Shift+ArrowDown", "Escape")  # fmt: skip


def test_a_reviewer_works_in_jupyterlab_by_keyboard_and_no_key_reaches_the_notebook(
    lab: Lab, chrome: Browser, workspace: Path
) -> None:
    book = Book(chrome, lab, lab.url("review.ipynb"))
    page = book.page
    page.evaluate("window.jupyterapp.shell.collapseLeft()")
    page.locator(".sr-list").click(position={"x": 100, "y": 20})
    log = DecisionLog.open(workspace)
    for n, k in enumerate(["m", "p", "n", "m", "m", "p", "m", "n", "p", "m"], 1):
        page.wait_for_selector(".sr-title h2")
        page.wait_for_function("document.querySelector('.sr')?.contains(document.activeElement)")
        page.keyboard.press(k)
        page.wait_for_function("([n]) => document.querySelector('.sr-done').textContent.startsWith(n + ' of')", arg=[n])
        book.unchanged(k)
    assert page.locator('.sr-saved[data-ok="yes"]').count() == 1
    page.keyboard.press("u")
    page.wait_for_function("document.querySelector('.sr-done').textContent.startsWith('9 of')")
    read = log.read()
    assert len({d.group for d in read if d.action is not A.UNDO}) == 10 and read[-1].action is A.UNDO
    assert {d.reviewer for d in read} == {"Anna Schmidt"}
    page.locator(".sr").first.scroll_into_view_if_needed()
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
    (manifest,) = (lab.folder / "manifests").iterdir()
    items = [json.loads(line) for line in (manifest / "items.ndjson").read_text(encoding="utf-8").splitlines()]
    going = {d.key.id for d in log.standing().destructive()}
    assert len(going) == 4 and {i["id"] for i in items if i["action"] == "merge_into"} == going
    log.close()
    # The pictures stand in the notebook as well, and a threshold moves by arrow keys without a cell noticing.
    page.wait_for_selector(".sr-pictures .sr-svg")
    slider = page.locator(".sr-pictures .sr-range")
    slider.focus()
    before = slider.input_value()
    page.keyboard.press("ArrowRight")
    assert slider.input_value() != before
    book.unchanged("slider")
    assert book.press_all_from_everywhere() >= KINDS
    page.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' })")
    page.wait_for_selector('body[data-jp-theme-light="false"]', state="attached")
    page.wait_for_timeout(500)
    page.screenshot(path=ARTIFACTS / "review-lab-dark.png")
    book.close()


def test_the_same_notebook_works_in_notebook_7(lab: Lab, chrome: Browser) -> None:
    book = Book(chrome, lab, f"http://127.0.0.1:{lab.port}/notebooks/review7.ipynb?token={lab.token}")
    page = book.page
    with DecisionLog.open(lab.folder / "second") as log:
        already = len(log.read())
        page.locator(".sr-list").focus()  # the first open case is on the screen
        before = page.locator(".sr-done").inner_text()
        page.keyboard.press("p")
        page.wait_for_function("(t) => document.querySelector('.sr-done').textContent !== t", arg=before)
        page.wait_for_selector('.sr-saved[data-ok="yes"]')
        assert len(log.read()) > already
        page.wait_for_function("document.querySelector('.sr')?.contains(document.activeElement)")
        page.keyboard.press("u")
        page.wait_for_function("document.querySelector('.sr-saved').textContent.includes('Undone')")
        assert page.locator(".sr-done").first.inner_text() == before, page.locator(".sr-strip").first.inner_text()
        assert log.read()[-1].action is A.UNDO
    # Notebook keeps only what is near the screen: go to the pictures and try what they hold, then back to the panel.
    page.evaluate(
        "(() => { const c = window.jupyterapp.shell.currentWidget.content; c.activeCellIndex = 7; c.scrollToItem(7); })()"
    )
    page.wait_for_selector(".sr-pictures .sr-svg")
    assert book.press_all_from_everywhere() >= {"sr-range", "sr-tab"}
    page.evaluate(
        "(() => { const c = window.jupyterapp.shell.currentWidget.content; c.activeCellIndex = 3; c.scrollToItem(3); })()"
    )
    page.wait_for_selector(".sr-title h2")
    assert book.press_all_from_everywhere() >= KINDS - {"sr-range"}
    page.locator(".sr").first.scroll_into_view_if_needed()
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / "review-notebook7.png")
    book.close()


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
