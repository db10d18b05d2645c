"""``steward demo``: the whole way on a generated CRM, with the commands a person would type.

Each stage prints the command that does it and runs it, so that every line can be repeated, broken and studied by hand.
The executor runs as a process of its own, as it would anywhere: this side has no way to write to the CRM. At the end the
CRM is compared, row by row, with what it was before.

Everything lies below one folder. A folder that an earlier demo made is made anew; any other that is not empty is refused.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from steward.cli import main as steward_main
from steward.errors import ExecutionError, StewardError, UsageError
from steward.messages import N_, _, language
from steward.screen import Screen

EXAMPLE = "steward demo --into demo --customers 1000 --seed 7"

STAGES = ("snapshot", "score", "decide", "propose", "sign", "plan", "apply", "restore")
MARK = "made-by-steward-demo"
WARNING = "For demonstration only: keys and passphrases lie side by side here. Never use them for anything real.\n"

PEOPLE = {
    "anna": ("analyst",),
    "ben": ("steward",),
    "chen": ("steward",),
    "dora": ("privacy",),
    "emil": ("owner",),
}
"""Who is who in the demo: Anna proposes and never approves; the others approve, each in a role of their own."""

APPROVERS = ("ben", "chen", "emil")
"""Whom this manifest needs: two stewards for the merges, and an owner, since more than 5 % of an object goes."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the words of this verb."""
    parser.add_argument("--into", type=Path, required=True, metavar="DIR", help=_("folder for everything the demo makes"))
    parser.add_argument("--customers", type=int, default=1_000, metavar="N", help=_("number of contacts (default 1000)"))
    parser.add_argument("--seed", type=int, default=7, metavar="S", help=_("the same seed makes the same customers"))
    parser.add_argument(
        "--stop-before", choices=STAGES, metavar="STAGE", help=_("stop before this stage: ") + ", ".join(STAGES)
    )


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Go the whole way, or up to a stage."""
    if args.customers < 100:
        raise UsageError(N_("The demo needs at least 100 customers."))
    demo = Demo(args.into.resolve(), args.customers, args.seed, screen)
    demo.prepare()
    for stage in STAGES:
        if stage == args.stop_before:
            screen.say(N_("Stopped before {stage}, as asked. Go on by hand with the commands above."), stage=stage)
            break
        getattr(demo, stage)()
    else:
        demo.close()
    screen.result(
        {"into": str(demo.root), "stages": demo.done, "seconds": round(time.monotonic() - demo.began, 1), **demo.facts}
    )
    return 0


@dataclass
class Demo:
    """One run of the demo below ``root``."""

    root: Path
    customers: int
    seed: int
    screen: Screen
    tenant: str = "demo"
    people: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: PEOPLE)
    done: list[str] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    _before: dict[str, list[str]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """URL of the demo's CRM."""
        return f"sqlite:///{self.root / 'crm.sqlite'}"

    @property
    def manifest(self) -> Path:
        """Folder of the manifest that was proposed."""
        return Path(str(self.facts["manifest"]))

    def path(self, *parts: str) -> Path:
        """A path below the demo's folder."""
        return self.root.joinpath(*parts)

    # ------------------------------------------------------------------ stages

    def prepare(self) -> None:
        """Make the folder, the CRM, the people with their keys, the trust store and the executor's home."""
        self._clean_folder()
        self._heading(0, N_("A CRM of invented customers, and the people who may decide about it"))
        self._run("sandbox", "embedded", "--into", self.root, "--customers", self.customers, "--seed", self.seed)
        self._make_keys()
        self._make_policy()
        self._make_executor()
        self._make_trust()
        self._pin_trust()

    def snapshot(self) -> None:
        """Copy the CRM into the workspace."""
        self._heading(1, N_("Snapshot: an immutable copy, named by its content"))
        self._run("snapshot", "--mapping", self.path("mapping.toml"), "--from", self.url, "--workspace", self._workspace)

    def score(self) -> None:
        """Compute evidence."""
        self._heading(2, N_("Score: duplicate, stale and invalid records, with reasons"))
        self._run(
            "score", "--policy", self.path("policy.toml"), "--holds", self.path("holds.txt"), "--workspace", self._workspace
        )

    def decide(self) -> None:
        """Let a written rule decide; people would use the review panel."""
        self._heading(3, N_("Decide: a written rule takes the clear cases; people see the rest in `steward review`"))
        self._run("decide", "--holds", self.path("holds.txt"), "--workspace", self._workspace)

    def propose(self) -> None:
        """Draft the manifest."""
        self._heading(4, N_("Propose: what will happen to which record, and what was held back"))
        said = self._run(
            "propose", "--to", self.path("manifests"), "--proposer", "anna", "--trust", self.path("trust"), "--policy", self.path("policy.toml"),
            "--holds", self.path("holds.txt"), "--workspace", self._workspace, result=True,
        )  # fmt: skip
        self.facts["manifest"] = str(said["folder"])
        self.facts["items"] = said["records"]
        self.facts["held_back"] = said["held_back"]

    def sign(self) -> None:
        """Let the stewards and the privacy officer approve."""
        self._heading(5, N_("Sign: named people approve the verified bytes; the one who proposed never counts"))
        known = ("--trust", self.path("trust"), "--policy", self.path("policy.toml"))
        self._run("inspect", self.manifest, *known, "--items", 4, "--workspace", self._workspace)
        for person in APPROVERS:
            self._run(
                "sign", self.manifest, *known, "--key", self.path("keys", f"{person}.key"),
                "--passphrase-file", self.path("keys", f"{person}.passphrase"), "--count", self.facts["items"],
                quiet=True, show=True,
            )  # fmt: skip

    def plan(self) -> None:
        """Dry run."""
        self._heading(6, N_("Plan: the executor verifies, reads every record again, and says what it would do"))
        self._before = dump(self.path("crm.sqlite"))
        self._execute("plan", self.manifest)

    def apply(self) -> None:
        """Apply: backup, journal, CRM, receipt."""
        self._heading(7, N_("Apply: each record is backed up and read back before it is touched"))
        said = self._execute("apply", self.manifest, result=True)
        self.facts["receipt"] = said["receipt"]
        self.facts["outcomes"] = said["counts"]
        changed = difference(self._before, dump(self.path("crm.sqlite")))
        self.facts["rows_changed"] = sum(changed.values())
        self.screen.table(
            N_("Rows of the CRM that are no longer as they were"),
            (N_("table"), N_("rows")),
            [(t, n) for t, n in changed.items() if n],
        )

    def restore(self) -> None:
        """Put everything back and compare."""
        self._heading(8, N_("Restore: everything back as it was, with its links"))
        self._execute(
            "restore", str(self.facts["receipt"]), "--sign-with", self.path("keys", "ben.key"),
            "--passphrase-file", self.path("keys", "ben.passphrase"), "--identity", self.path("keys", "operations.age"),
        )  # fmt: skip
        left = {t: n for t, n in difference(self._before, dump(self.path("crm.sqlite"))).items() if n}
        if left:
            raise ExecutionError(N_("After restoring, these tables differ: {tables}."), tables=", ".join(left))
        rows = sum(len(r) for r in self._before.values())
        self.facts["restored_identical_rows"] = rows
        self.screen.say(N_("The CRM is, row by row, what it was before: {rows} rows compared, none differs."), rows=f"{rows:,}")

    def close(self) -> None:
        """Say where to look next."""
        self.screen.heading(N_("Done in {seconds} s. Where to look next"), seconds=round(time.monotonic() - self.began))
        self.screen.say(N_("  {path}: what was held back and why, item by item"), path=self.manifest)
        for command in (
            f"steward review --workspace {self._workspace}",
            f"steward export evidence --to evidence.csv --workspace {self._workspace}",
            f"steward-executor status --home {self.path('executor')}",
            f"steward-executor audit verify --home {self.path('executor')}",
        ):
            self.screen.say("  {command}", command=command)

    # ------------------------------------------------------------------ preparing

    @property
    def _workspace(self) -> Path:
        return self.path("workspace")

    def _clean_folder(self) -> None:
        if self.root.exists():
            if not self.root.is_dir():
                raise UsageError(N_("{path} is a file."), path=self.root)
            if any(self.root.iterdir()) and not self.path(MARK).exists():
                raise UsageError(
                    N_("{path} is not empty and no demo made it; nothing was touched."),
                    next_step=N_("Name another folder with --into."),
                    path=self.root,
                )
            shutil.rmtree(self.root)
        self.root.mkdir(parents=True)
        self.path(MARK).write_text(WARNING, encoding="utf-8")
        for folder in ("keys", "manifests"):
            self.path(folder).mkdir(mode=0o700)
        self.path("keys", "README").write_text(WARNING, encoding="utf-8")
        self.path("holds.txt").write_text("# Legal holds: one object/id per line. This demo holds none.\n", encoding="utf-8")

    def _make_keys(self) -> None:
        from pyrage import x25519

        for person in (*self.people, "ria", "rex"):
            secret = self.path("keys", f"{person}.passphrase")
            secret.touch(mode=0o600)
            secret.write_text(secrets.token_urlsafe(24) + "\n", encoding="utf-8")
            secret.chmod(0o400)
            self._run(
                "keys",
                "new",
                "--person",
                person,
                "--to",
                self.path("keys", f"{person}.key"),
                "--passphrase-file",
                secret,
                quiet=True,
            )
        for recipient in ("operations", "escrow"):
            identity = x25519.Identity.generate()
            file = self.path("keys", f"{recipient}.age")
            file.touch(mode=0o600)
            file.write_text(f"{identity}\n", encoding="utf-8")
            file.chmod(0o400)
            self.path("keys", f"{recipient}.recipient").write_text(f"{identity.to_public()}\n", encoding="utf-8")
        self.screen.say(
            N_("Keys of {people} are in {path}, protected by passphrases."),
            people=", ".join(self.people),
            path=self.path("keys"),
        )

    def _make_policy(self) -> None:
        self.path("policy.toml").write_bytes(resources.files("steward").joinpath("demo_policy.toml").read_bytes())

    def _make_trust(self) -> None:
        trust, keys = ("--trust", self.path("trust")), self.path("keys")
        roots = [w for name in ("ria", "rex") for w in ("--root", f"{name}={keys / f'{name}.key.pub'}")]
        self._run("trust", "init", *trust, *roots, "--sandbox", "sandbox", quiet=True)
        for person, roles in self.people.items():
            given = [w for role in roles for w in ("--role", role)]
            self._run("trust", "add", "person", person, *given, "--pub", keys / f"{person}.key.pub", *trust, quiet=True)
        self._run(
            "trust",
            "add",
            "executor",
            "demo-executor",
            "--tenant",
            self.tenant,
            "--pub",
            self._executor_key(),
            *trust,
            quiet=True,
        )
        for recipient in ("operations", "escrow"):
            public = self.path("keys", f"{recipient}.recipient").read_text(encoding="utf-8").strip()
            self._run("trust", "add", "recipient", recipient, "--recipient", public, *trust, quiet=True)
        self._run("trust", "add", "policy", self.path("policy.toml"), *trust, quiet=True)
        for name in ("ria", "rex"):
            self._run(
                "trust",
                "sign",
                *trust,
                "--key",
                keys / f"{name}.key",
                "--passphrase-file",
                keys / f"{name}.passphrase",
                quiet=True,
            )
        self._run("trust", "show", *trust)

    def _make_executor(self) -> None:
        self._execute(
            "init", "--executor", "demo-executor", "--url", self.url, "--mapping", self.path("mapping.toml"),
            "--policy", self.path("policy.toml"), result=True,
        )  # fmt: skip
        shutil.copy(self.path("holds.txt"), self.path("executor", "holds.txt"))

    def _executor_key(self) -> Path:
        found = next(iter(sorted(self.path("executor").glob("*.pub"))), None)
        if found is None:
            raise ExecutionError(N_("The executor's home holds no public key."))
        return found

    def _pin_trust(self) -> None:
        # In earnest the pin comes to the executor another way than the files: by telephone, on paper.
        pin = self.path("trust.pin").read_text(encoding="ascii").strip()
        self._execute("init", "--trust", self.path("trust"), "--trust-root", pin)

    # ------------------------------------------------------------------ running

    def _heading(self, number: int, template: str) -> None:
        name = ("prepare", *STAGES)[number]
        self.done.append(name)
        self.screen.heading(N_("{number} of {last}  {what}"), number=number, last=len(STAGES), what=_(template))

    def _show(self, words: Sequence[str]) -> None:
        self.screen.say("$ {command}", command=shlex.join(words))

    def _run(self, *words: object, result: bool = False, quiet: bool = False, show: bool = False) -> dict[str, object]:
        """Run a `steward` command in this process and show it; with ``result`` also return what --json says."""
        texts = [str(w) for w in words]
        if show or not quiet:
            self._show(["steward", *texts])
        if result:
            done = subprocess.run(
                [sys.executable, "-m", "steward.cli", *texts, "--json"],
                capture_output=True,
                text=True,
                check=False,
                env=self._environment(),
            )
            return self._json(done)
        code = steward_main([*texts, *(["--quiet"] if quiet or self.screen.quiet or self.screen.json else [])])
        if code:
            raise StewardError(N_("The stage stopped with exit code {code}."), code=code)
        return {}

    def _execute(self, verb: str, *words: object, result: bool = False) -> dict[str, object]:
        """Run `steward-executor` as a process of its own."""
        texts = [verb, *(str(w) for w in words), "--home", str(self.path("executor"))]
        self._show(["steward-executor", *texts])
        command = [sys.executable, "-m", "steward.executor.cli", *texts]
        sys.stdout.flush()
        if result or self.screen.json:
            return self._json(
                subprocess.run([*command, "--json"], capture_output=True, text=True, check=False, env=self._environment())
            )
        done = subprocess.run(command, check=False, env=self._environment())
        if done.returncode:
            raise StewardError(N_("The stage stopped with exit code {code}."), code=done.returncode)
        return {}

    @staticmethod
    def _environment() -> dict[str, str]:
        """This process's environment, with the language its screens speak."""
        return {**os.environ, "STEWARD_LANGUAGE": language()}

    def _json(self, done: subprocess.CompletedProcess[str]) -> dict[str, object]:
        if done.stderr and (done.returncode or not self.screen.quiet):
            sys.stderr.write(done.stderr)
        if done.returncode:
            raise StewardError(N_("The stage stopped with exit code {code}."), code=done.returncode)
        said: dict[str, object] = json.loads(done.stdout)
        return said


def dump(path: Path) -> dict[str, list[str]]:
    """Return every row of every table of an SQLite file, as sorted text; the executor's ledger is not the CRM's."""
    import sqlite3

    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        tables = [
            t
            for (t,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            if not t.startswith(("steward_", "sqlite_"))
        ]
        rows = {t: sorted(map(repr, db.execute(f'SELECT * FROM "{t}"'))) for t in tables}  # noqa: S608  # names come from the schema
    db.close()
    return rows


def difference(before: dict[str, list[str]], after: dict[str, list[str]]) -> dict[str, int]:
    """Return table → number of rows of ``before`` that ``after`` lacks, or the reverse where more were added."""
    found = {}
    for table in sorted({*before, *after}):
        old, new = before.get(table, []), after.get(table, [])
        found[table] = max(len(set(old) - set(new)), len(set(new) - set(old)), abs(len(old) - len(new)))
    return found
