"""``steward-executor …``: reads the words, calls the runner, says what came of it and what to run next.

Exit codes: 0 done · 2 wrong words · 6 policy · 7 manifest · 8 trust · 9 CRM · 10 stopped · 11 not finished, run again ·
12 breaker · 13 frozen · 14 journal or audit log damaged · 15 backup unreadable · 16 restore conflicts · 70 a defect ·
130 interrupted. Left to others: doing it (``steward.executor.runner``).
"""

from __future__ import annotations

import argparse
import errno
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from steward import __version__
from steward.cli import run_guarded
from steward.errors import ExecutionError, UsageError
from steward.executor import notice_verbs, verbs
from steward.executor.privacy import leave_no_dumps
from steward.executor.verbs import counts_table, home_of
from steward.executor.words import MANIFEST_WORDS, said, tell_partly
from steward.messages import N_, _, choose_language
from steward.screen import Screen

VERBS: dict[str, tuple[str, str]] = {
    "init": (N_("make a home with its own key, or pin a trust store"), "steward-executor init --home executor --executor machine --url sqlite:///crm.sqlite --mapping mapping.toml --policy policy.toml"),
    "plan": (N_("read everything a manifest names and sort it; change nothing"), "steward-executor plan manifests/0A… --home executor"),
    "apply": (N_("apply a manifest, or go on where it stopped"), "steward-executor apply manifests/0A… --home executor"),
    "notify": (N_("tell the owners of records before anything is deleted; send what waits"), "steward-executor notify manifests/0A… --home executor"),
    "objections": (N_("show the page on which owners object"), "steward-executor objections --listen 127.0.0.1:8470 --home executor"),
    "status": (N_("show what was done and what is open"), "steward-executor status --home executor --watch"),
    "restore": (N_("bring records and their links back from a receipt"), "steward-executor restore executor/receipts/0A….receipt.dsse.json --home executor --sign-with bob.key"),
    "backup": (N_("verify that backups can be opened, expire them, or erase one record from them"), "steward-executor backup verify --home executor --identity ops.agekey"),
    "audit": (N_("verify the audit log; certify one record's deletion"), "steward-executor audit verify --home executor"),
}  # fmt: skip
"""Verb → help line and a real example."""
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})
_SQLITE_DISK = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="steward-executor",
        description=_("Applies signed manifests to a CRM: backup first, every outcome receipted, everything restorable."),
        epilog="\n".join(f"  {example}" for _text, example in VERBS.values()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"steward {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    made = {
        name: verbs.add_parser(
            name,
            help=_(text),
            description=_(text),
            epilog=_("Example:") + f"\n  {example}\n\n" + _exit_codes(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for name, (text, example) in VERBS.items()
    }
    for sub in made.values():
        _everywhere(sub)
    init = made["init"]
    init.add_argument("--executor", metavar="NAME", help=_("its id in the trust store"))
    init.add_argument("--url", help=_("database of the CRM; ${NAME} is taken from the environment"))
    init.add_argument("--profiles", type=Path, metavar="FILE", help=_("instead of --url: profiles file of a vendor's CRM"))
    init.add_argument("--profile", default="", metavar="NAME", help=_("the profile in it"))
    init.add_argument("--read-url", default="", help=_("the same with a read-only user, for plan"))
    init.add_argument("--mapping", type=Path, metavar="FILE")
    init.add_argument("--policy", type=Path, metavar="FILE")
    init.add_argument("--checkpoints", action="append", default=[], metavar="DIR", help=_("where to copy signed checkpoints"))
    init.add_argument(
        "--identity", action="append", default=[], metavar="FILE", help=_("sandbox only: identity that opens backups")
    )
    init.add_argument("--batch", type=int, default=100, help=_("items per batch"))
    init.add_argument("--trust", type=Path, metavar="DIR", help=_("trust store to pin or to update from"))
    init.add_argument("--trust-root", metavar="DIGEST", help=_("digest of its first version, got another way than the files"))
    for verb in ("plan", "apply"):
        made[verb].add_argument("manifest", type=Path, metavar="MANIFEST_DIR")
    made["apply"].add_argument("--override", metavar="REASON", help=_("a person has looked: let it pass the breaker"))
    made["notify"].add_argument("manifest", type=Path, nargs="?", metavar="MANIFEST_DIR")
    made["objections"].add_argument("--listen", default="127.0.0.1:8470", metavar="HOST:PORT", help=_("where to listen"))
    made["status"].add_argument("--watch", action="store_true", help=_("show it again every two seconds"))
    restore = made["restore"]
    restore.add_argument("receipt", type=Path, metavar="RECEIPT")
    restore.add_argument("--sign-with", type=Path, metavar="KEYFILE", help=_("a steward's key; one suffices"))
    restore.add_argument("--passphrase-file", type=Path, metavar="FILE")
    restore.add_argument("--identity", type=Path, action="append", default=[], metavar="FILE", help=_("opens the backup"))
    restore.add_argument("--id", action="append", default=[], metavar="OBJECT/ID", help=_("bring back this record alone"))
    restore.add_argument("--seq", type=int, action="append", default=[], metavar="N", help=_("bring back this item alone"))
    restore.add_argument("--object", action="append", default=[], metavar="NAME", help=_("bring back this object alone"))
    restore.add_argument("--since", metavar="TIME", help=_("bring back what was taken from then on"))
    restore.add_argument("--until", metavar="TIME", help=_("bring back what was taken before"))
    restore.add_argument("--with-related", action="store_true", help=_("and what hung on it, or it hung on, and was taken too"))
    restore.add_argument("--new-ids", action="store_true", help=_("make a record anew where somebody else has its id now"))
    restore.add_argument(
        "--rehearse", action="store_true", help=_("restore into a scratch CRM and compare; the CRM is not asked")
    )
    restore.add_argument("--dry-run", action="store_true", help=_("say what would come back and what cannot"))
    backup = made["backup"]
    backup.add_argument("what", choices=("verify", "expire", "erase"))
    backup.add_argument("--identity", type=Path, action="append", default=[], metavar="FILE")
    backup.add_argument("--id", metavar="OBJECT/ID", help=_("erase: the record"))
    backup.add_argument("--sample", type=int, default=100, metavar="PERCENT")
    audit = made["audit"]
    audit.add_argument("what", choices=("verify", "show", "certificate", "check-certificate"))
    audit.add_argument("file", type=Path, nargs="?", metavar="RECEIPT|CERTIFICATE")
    audit.add_argument("--id", action="append", default=[], metavar="OBJECT/ID", help=_("one person's record (repeatable)"))
    audit.add_argument("--to", type=Path, metavar="FILE")
    audit.add_argument(
        "--checkpoints", type=Path, action="append", default=[], metavar="FILE", help=_("checkpoints kept elsewhere")
    )
    return parser


def _everywhere(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(_("everywhere"))
    group.add_argument("--home", type=Path, metavar="DIR", help=_("the executor's home (or STEWARD_EXECUTOR_HOME)"))
    group.add_argument("--json", action="store_true", help=_("print one JSON document for machines"))
    group.add_argument("--quiet", action="store_true", help=_("print only warnings and errors"))
    group.add_argument("--language", metavar="L", help=_("en, de or zh_CN (or STEWARD_LANGUAGE)"))


def _exit_codes() -> str:
    assert __doc__ is not None
    return "Exit codes: " + __doc__.partition("Exit codes: ")[2].partition(" Left to others")[0].replace("\n", " ")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    choose_language(words[words.index("--language") + 1] if "--language" in words[:-1] else None)
    args = _parser().parse_args(words)
    leave_no_dumps()
    screen = Screen(json=args.json, quiet=args.quiet)
    return run_guarded(lambda: _on_disk(lambda: _COMMANDS[args.verb](args, screen)), screen)


def _on_disk(action: Callable[[], int]) -> int:
    """Run a command; a disk that is full or broken is no defect: what was finished is kept, and the command is run again."""
    try:
        return action()
    except (OSError, sqlite3.OperationalError) as error:
        if isinstance(error, OSError):
            refused, problem = error.errno in _DISK, os.strerror(error.errno or 0)
        else:
            refused, problem = error.sqlite_errorcode & 0xFF in _SQLITE_DISK, error.sqlite_errorname
        if not refused:
            raise
        raise ExecutionError(
            N_("The disk refuses: {problem}. What was finished is kept."),
            next_step=N_("Free space or mend the disk, then run the same command again."),
            problem=problem.lower(),
        ) from error


def _init(args: argparse.Namespace, screen: Screen) -> int:
    from steward.executor.home import init_home, open_home, pin_trust

    home = home_of(args)
    if (args.trust is None) != (args.trust_root is None):
        raise UsageError(N_("--trust and --trust-root go together."), next_step=N_("There is no trust at first sight."))
    result: dict[str, object] = {"home": str(home)}
    if not (home / "config.toml").exists():
        where = "url" if args.profiles is None else "profile"
        missing = [f"--{name}" for name in ("executor", where, "mapping", "policy") if not getattr(args, name)]
        if missing:
            raise UsageError(N_("A new home needs {words} as well."), words=", ".join(missing))
        public = init_home(
            home, executor=args.executor, url=args.url or "", read_url=args.read_url,
            profiles="" if args.profiles is None else str(args.profiles.resolve()), profile=args.profile, mapping=_text(args.mapping), policy=_text(args.policy),
            checkpoints=tuple(args.checkpoints), identities=tuple(args.identity), batch=args.batch,
        )  # fmt: skip
        result |= {"key": public.public, "keyid": public.keyid}
        screen.say(N_("Made the executor's home {home}."), home=home)
        screen.say(N_("Its public key, for the trust store, is in {key}"), key=home / "executor.pub")
    elif args.trust is None:
        raise UsageError(N_("{home} is an executor's home already."), home=home)
    if args.trust is not None:
        version = pin_trust(home, args.trust, args.trust_root)
        result |= {"trust_version": version}
        screen.say(N_("Trust store version {version} is pinned."), version=version)
        screen.next(f"steward-executor plan MANIFEST_DIR --home {home}")
    else:
        name = open_home(home).config.executor
        screen.say(N_("Have the root holders add executor '{name}' with this key to the trust store."), name=name)
        screen.next(f"steward-executor init --home {home} --trust DIR --trust-root DIGEST")
    screen.result(result)
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(N_("{path} is not UTF-8 text."), path=path) from None


def _plan(args: argparse.Namespace, screen: Screen) -> int:
    from steward.executor.judge import CODES
    from steward.executor.runner import Executor

    with Executor(home_of(args)) as executor, screen.progress(N_("Reading what is there now")) as advance:
        plan, signed, path = executor.plan(args.manifest, progress=advance)
    screen.heading(
        N_("Plan of {manifest}: {records} records, nothing was changed"), manifest=signed.manifest_id, records=signed.records
    )
    screen.table("", (N_("what would happen"), N_("records")), [(said(n), c) for n, c in signed.verdicts.items()])
    if plan.by_action:
        screen.table("", (N_("action"), N_("records")), sorted(plan.by_action.items()))
    if signed.related:
        screen.table("", (N_("what hangs on them"), N_("records")), list(signed.related.items()))
    if plan.stopped:
        rows = [(str(v.work.key), said(v.state.value), CODES.get(v.code, v.code)) for v in plan.stopped[:20]]
        screen.table("", (N_("stays"), N_("state"), N_("why")), rows)
    screen.say(
        N_("About {batches} batches, {requests} calls, {credits} credits, {seconds} s, {bytes} bytes of backup."),
        batches=signed.batches,
        requests=signed.requests,
        credits=signed.credits,
        seconds=signed.seconds,
        bytes=signed.backup_bytes,
    )
    if signed.approved:
        screen.next(f"steward-executor apply {args.manifest} --home {home_of(args)}")
    else:
        screen.warn(N_("The manifest may not run yet: approvals or its start time are missing."))
        screen.next(f"steward sign {args.manifest} --key FILE")
    screen.result(
        {
            "manifest": signed.manifest_id, "approved": signed.approved, "records": signed.records, "verdicts": signed.verdicts,
            "related": signed.related, "actions": dict(plan.by_action), "batches": signed.batches, "seconds": signed.seconds,
            "requests": signed.requests, "credits": signed.credits,
            "backup_bytes": signed.backup_bytes, "plan": str(path),
            "stays": [{"seq": v.work.seq, "object": v.work.object, "id": v.work.id, "state": v.state.value, "code": v.code} for v in plan.stopped],
        }
    )  # fmt: skip
    return 0


def _apply(args: argparse.Namespace, screen: Screen) -> int:
    from steward.executor import looking
    from steward.executor.metrics import telling
    from steward.executor.runner import Executor

    with Executor(home_of(args)) as executor, telling(executor.home), screen.progress(N_("Applying")) as advance:
        done = executor.apply(args.manifest, override=args.override, progress=advance)
        partly = looking.partly_of(executor, done.manifest) if done.counts.get("partly") else None
    screen.heading(N_("Applied {manifest}"), manifest=done.manifest)
    counts_table(screen, done.counts)
    screen.say(N_("Receipt: {path}"), path=done.receipt)
    if partly is not None:
        tell_partly(screen, home_of(args), partly)
    else:
        screen.next(f"steward-executor restore {done.receipt} --home {home_of(args)} --sign-with KEYFILE")
    screen.result({"manifest": done.manifest, "counts": done.counts, "receipt": str(done.receipt)})
    return 0


def _status(args: argparse.Namespace, screen: Screen) -> int:
    from steward.executor.runner import Executor

    while True:
        with Executor(home_of(args)) as executor:
            found = executor.status()
        if found["frozen"]:
            screen.warn(N_("The freeze switch is set; nothing starts."))
        rows = [
            (
                m["id"],
                _(MANIFEST_WORDS.get(m["kind"], m["kind"])),
                _(MANIFEST_WORDS.get(m["state"], m["state"])),
                m["records"],
                ", ".join(f"{said(n)}: {c}" for n, c in sorted(m["items"].items())),
            )
            for m in found["manifests"]
        ]
        if rows:
            screen.table("", (N_("manifest"), N_("kind"), N_("state"), N_("records"), N_("items")), rows)
        else:
            screen.say(N_("Nothing has been applied here yet."))
        for m in found["manifests"]:
            tell_partly(screen, home_of(args), m)
        screen.result(found)
        if not args.watch:
            open_ = [m for m in found["manifests"] if m["state"] == "running"]
            if open_:
                screen.next(f"steward-executor apply MANIFEST_DIR --home {home_of(args)}")
            return 0
        time.sleep(2)


_COMMANDS: dict[str, Callable[[argparse.Namespace, Screen], int]] = {
    "init": _init, "plan": _plan, "apply": _apply, "status": _status, "restore": verbs.restore, "backup": verbs.backup,
    "audit": verbs.audit, "notify": notice_verbs.notify, "objections": notice_verbs.objections,
}  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
