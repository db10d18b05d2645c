"""``steward-executor …``: reads the words, calls the runner, says what came of it and what to run next.

Exit codes: 0 done · 2 wrong words · 6 policy · 7 manifest · 8 trust · 9 CRM · 10 stopped · 11 not finished, run again ·
12 breaker · 13 frozen · 14 journal or audit log damaged · 15 backup unreadable · 16 restore conflicts · 70 a defect ·
130 interrupted. Left to others: doing it (``steward.executor.runner``).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from steward import __version__
from steward.cli import run_guarded
from steward.errors import RestoreConflictError, UsageError
from steward.messages import N_, _, choose_language
from steward.screen import Screen

VERBS: dict[str, tuple[str, str]] = {
    "init": (N_("make a home with its own key, or pin a trust store"), "steward-executor init --home executor --executor machine --url sqlite:///crm.sqlite --mapping mapping.toml --policy policy.toml"),
    "plan": (N_("read everything a manifest names and sort it; change nothing"), "steward-executor plan manifests/0A… --home executor"),
    "apply": (N_("apply a manifest, or go on where it stopped"), "steward-executor apply manifests/0A… --home executor"),
    "status": (N_("show what was done and what is open"), "steward-executor status --home executor --watch"),
    "restore": (N_("bring records and their links back from a receipt"), "steward-executor restore executor/receipts/0A….receipt.dsse.json --home executor --sign-with bob.key"),
    "backup": (N_("verify that backups can be opened, or expire them"), "steward-executor backup verify --home executor --identity ops.agekey"),
    "audit": (N_("verify the audit log; certify one record's deletion"), "steward-executor audit verify --home executor"),
}  # fmt: skip
"""Verb → help line and a real example."""

_STATE_WORDS = {
    "done": N_("done"), "done_inferred": N_("done (read back later)"), "drift": N_("changed since the review"),
    "missing": N_("not there"), "failed": N_("failed"), "veto": N_("vetoed"), "blocked": N_("blocked by what hangs on it"),
    "held": N_("on the hold list"), "conflict": N_("conflict"), "pending": N_("open"), "intent": N_("sent, not settled"),
    "doubt": N_("in doubt"), "apply": N_("would be applied"), "vetoed": N_("vetoed"),
}  # fmt: skip


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
    made["status"].add_argument("--watch", action="store_true", help=_("show it again every two seconds"))
    restore = made["restore"]
    restore.add_argument("receipt", type=Path, metavar="RECEIPT")
    restore.add_argument("--sign-with", type=Path, metavar="KEYFILE", help=_("a steward's key; one suffices"))
    restore.add_argument("--passphrase-file", type=Path, metavar="FILE")
    restore.add_argument("--identity", type=Path, action="append", default=[], metavar="FILE", help=_("opens the backup"))
    restore.add_argument("--id", action="append", default=[], metavar="OBJECT/ID", help=_("bring back this record alone"))
    restore.add_argument("--seq", type=int, action="append", default=[], metavar="N", help=_("bring back this item alone"))
    restore.add_argument("--dry-run", action="store_true", help=_("say what would come back and what cannot"))
    backup = made["backup"]
    backup.add_argument("what", choices=("verify", "expire"))
    backup.add_argument("--identity", type=Path, action="append", default=[], metavar="FILE")
    backup.add_argument("--sample", type=int, default=100, metavar="PERCENT")
    audit = made["audit"]
    audit.add_argument("what", choices=("verify", "show", "certificate", "check-certificate"))
    audit.add_argument("file", type=Path, nargs="?", metavar="RECEIPT|CERTIFICATE")
    audit.add_argument("--id", metavar="OBJECT/ID")
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
    screen = Screen(json=args.json, quiet=args.quiet)
    return run_guarded(lambda: _COMMANDS[args.verb](args, screen), screen)


def _home(args: argparse.Namespace) -> Path:
    where = args.home or os.environ.get("STEWARD_EXECUTOR_HOME")
    if not where:
        raise UsageError(N_("Which home?"), next_step=N_("Give --home DIR or set STEWARD_EXECUTOR_HOME."))
    return Path(where)


def _init(args: argparse.Namespace, screen: Screen) -> int:
    from steward.executor.home import init_home, open_home, pin_trust

    home = _home(args)
    if (args.trust is None) != (args.trust_root is None):
        raise UsageError(N_("--trust and --trust-root go together."), next_step=N_("There is no trust at first sight."))
    result: dict[str, object] = {"home": str(home)}
    if not (home / "config.toml").exists():
        missing = [f"--{name}" for name in ("executor", "url", "mapping", "policy") if getattr(args, name) is None]
        if missing:
            raise UsageError(N_("A new home needs {words} as well."), words=", ".join(missing))
        public = init_home(
            home, executor=args.executor, url=args.url, read_url=args.read_url, mapping=_text(args.mapping), policy=_text(args.policy),
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

    with Executor(_home(args)) as executor, screen.progress(N_("Reading what is there now")) as advance:
        plan, said, path = executor.plan(args.manifest, progress=advance)
    screen.heading(
        N_("Plan of {manifest}: {records} records, nothing was changed"), manifest=said.manifest_id, records=said.records
    )
    screen.table(
        "", (N_("what would happen"), N_("records")), [(_(_STATE_WORDS.get(n, n)), c) for n, c in said.verdicts.items()]
    )
    if plan.by_action:
        screen.table("", (N_("action"), N_("records")), sorted(plan.by_action.items()))
    if said.related:
        screen.table("", (N_("what hangs on them"), N_("records")), list(said.related.items()))
    if plan.stopped:
        rows = [
            (str(v.work.key), _(_STATE_WORDS.get(v.state.value, v.state.value)), CODES.get(v.code, v.code))
            for v in plan.stopped[:20]
        ]
        screen.table("", (N_("stays"), N_("state"), N_("why")), rows)
    screen.say(
        N_("About {batches} batches, {seconds} s, {bytes} bytes of backup."),
        batches=said.batches,
        seconds=said.seconds,
        bytes=said.backup_bytes,
    )
    if said.approved:
        screen.next(f"steward-executor apply {args.manifest} --home {_home(args)}")
    else:
        screen.warn(N_("The manifest may not run yet: approvals or its start time are missing."))
        screen.next(f"steward sign {args.manifest} --key FILE")
    screen.result(
        {
            "manifest": said.manifest_id, "approved": said.approved, "records": said.records, "verdicts": said.verdicts,
            "related": said.related, "actions": dict(plan.by_action), "batches": said.batches, "seconds": said.seconds,
            "backup_bytes": said.backup_bytes, "plan": str(path),
            "stays": [{"seq": v.work.seq, "object": v.work.object, "id": v.work.id, "state": v.state.value, "code": v.code} for v in plan.stopped],
        }
    )  # fmt: skip
    return 0


def _apply(args: argparse.Namespace, screen: Screen) -> int:
    from steward.executor.runner import Executor

    with Executor(_home(args)) as executor, screen.progress(N_("Applying")) as advance:
        done = executor.apply(args.manifest, override=args.override, progress=advance)
    screen.heading(N_("Applied {manifest}"), manifest=done.manifest)
    _counts(screen, done.counts)
    screen.say(N_("Receipt: {path}"), path=done.receipt)
    screen.next(f"steward-executor restore {done.receipt} --home {_home(args)} --sign-with KEYFILE")
    screen.result({"manifest": done.manifest, "counts": done.counts, "receipt": str(done.receipt)})
    return 0


def _counts(screen: Screen, counts: dict[str, int]) -> None:
    screen.table("", (N_("outcome"), N_("records")), [(_(_STATE_WORDS.get(n, n)), c) for n, c in sorted(counts.items())])


def _status(args: argparse.Namespace, screen: Screen) -> int:
    from steward.executor.runner import Executor

    while True:
        with Executor(_home(args)) as executor:
            found = executor.status()
        if found["frozen"]:
            screen.warn(N_("The freeze switch is set; nothing starts."))
        rows = [
            (m["id"], m["kind"], m["state"], m["records"], ", ".join(f"{n} {c}" for n, c in sorted(m["items"].items())))
            for m in found["manifests"]
        ]
        if rows:
            screen.table("", (N_("manifest"), N_("kind"), N_("state"), N_("records"), N_("items")), rows)
        else:
            screen.say(N_("Nothing has been applied here yet."))
        screen.result(found)
        if not args.watch:
            open_ = [m for m in found["manifests"] if m["state"] == "running"]
            if open_:
                screen.next(f"steward-executor apply MANIFEST_DIR --home {_home(args)}")
            return 0
        time.sleep(2)


def _restore(args: argparse.Namespace, screen: Screen) -> int:
    from steward.executor.runner import Executor
    from steward.manifest_files import read_key, read_secret
    from steward.signing import Secret, load_key

    if args.sign_with is None:
        raise UsageError(N_("A restore is signed too."), next_step=N_("Give a steward's key: --sign-with KEYFILE."))
    beside = args.sign_with.with_name(args.sign_with.name + ".pass")
    if args.passphrase_file is not None:
        secret = read_secret(args.passphrase_file)
    elif beside.is_file():  # demonstrations and services keep it in a file closed to others; anything else is refused
        secret = read_secret(beside)
    elif os.environ.get("STEWARD_PASSPHRASE"):
        secret = Secret(os.environ["STEWARD_PASSPHRASE"].encode())
    elif sys.stdin.isatty():
        import getpass

        secret = Secret(getpass.getpass(_("Passphrase of {name}: ").format(name=args.sign_with.name)).encode())
    else:
        raise UsageError(
            N_("A passphrase is needed."), next_step=N_("Give --passphrase-file FILE (mode 0400), or run it in a terminal.")
        )
    signer = load_key(read_key(args.sign_with), secret)
    with Executor(_home(args)) as executor, screen.progress(N_("Restoring")) as advance:
        done = executor.restore(
            args.receipt, signer, identities=args.identity, ids=args.id, seqs=args.seq, dry_run=args.dry_run, progress=advance
        )
    if args.dry_run:
        screen.heading(N_("What a restore would do; nothing was changed"))
        _counts(screen, done.counts)
        screen.result({"dry_run": True, "counts": done.counts})
        return 0
    screen.heading(N_("Restored under {manifest}"), manifest=done.manifest)
    _counts(screen, done.counts)
    tally: dict[tuple[str, str], int] = {}
    for line in done.lines:
        tally[line.what, line.outcome] = tally.get((line.what, line.outcome), 0) + 1
    screen.table("", (N_("read back"), N_("outcome"), N_("number")), [(w, o, n) for (w, o), n in sorted(tally.items())])
    odd = [e for e in done.lines if e.outcome != "restored"]
    if odd:
        rows = [(str(e.record), e.what, e.field or ", ".join(e.fields[:5]), e.outcome) for e in odd[:20]]
        screen.table("", (N_("not as before"), N_("what"), N_("field"), N_("outcome")), rows)
    screen.say(N_("Receipt: {path}"), path=done.receipt)
    screen.next(f"steward-executor audit verify --home {_home(args)}")
    screen.result(
        {
            "manifest": done.manifest, "counts": done.counts, "receipt": str(done.receipt),
            "read_back": [{"what": w, "outcome": o, "count": n} for (w, o), n in sorted(tally.items())],
            "not_as_before": [{"record": str(e.record), "what": e.what, "field": e.field, "fields": e.fields, "outcome": e.outcome} for e in odd],
        }
    )  # fmt: skip
    if done.counts.get("conflict") or done.counts.get("failed"):
        raise RestoreConflictError(
            N_("{count} records could not come back without overwriting people's work."),
            next_step=N_("They are listed in the report beside the receipt; nothing of theirs was changed."),
            count=done.counts.get("conflict", 0) + done.counts.get("failed", 0),
        )
    return 0


def _backup(args: argparse.Namespace, screen: Screen) -> int:
    from steward.executor.runner import Executor

    with Executor(_home(args)) as executor:
        if args.what == "expire":
            from steward.executor.expiry import expire

            found = expire(executor)
            screen.say(
                N_("{count} manifests' backups were shredded; {left} are still kept."),
                count=len(found["expired"]),
                left=found["kept"],
            )
            screen.result(found)
            return 0
        if not 1 <= args.sample <= 100:
            raise UsageError(N_("--sample is a percentage from 1 to 100."))
        with screen.progress(N_("Opening frames")) as advance:
            counts = executor.backup_verify(args.identity, percent=args.sample, progress=advance)
    screen.say(N_("{checked} of {frames} frames were opened and hold {rows} rows, all as the journal says."), **counts)
    screen.result(counts)
    return 0


def _audit(args: argparse.Namespace, screen: Screen) -> int:
    from steward.executor.runner import Executor

    with Executor(_home(args)) as executor:
        if args.what == "show":
            from steward.executor.audit import event_lines

            for entry in event_lines(executor.journal):
                sys.stdout.write(json.dumps(entry, ensure_ascii=True) + "\n")
            return 0
        if args.what == "verify":
            found = executor.audit_verify(args.checkpoints)
            screen.say(
                N_("{events} events, {checkpoints} signed checkpoints: the log is what was written."),
                events=found.events,
                checkpoints=found.checkpoints,
            )
            if not found.external:
                screen.warn(
                    N_(
                        "No checkpoint from outside was compared: a log cut off and rewritten with this machine's key would pass."
                    )
                )
            screen.result(
                {
                    "events": found.events,
                    "head": found.head,
                    "root": found.root,
                    "checkpoints": found.checkpoints,
                    "external": found.external,
                }
            )
            return 0
        if args.file is None:
            raise UsageError(N_("Which file?"), next_step=N_("Give the receipt or certificate."))
        if args.what == "certificate":
            if not args.id or "/" not in args.id:
                raise UsageError(N_("Which record?"), next_step=N_("Give --id OBJECT/ID."))
            document = executor.certificate(args.file, args.id)
            text = json.dumps(document, indent=1)
            if args.to is not None:
                args.to.write_text(text + "\n", encoding="utf-8")
                screen.say(N_("Certificate: {path}. It names no other record."), path=args.to)
                screen.next(f"steward-executor audit check-certificate {args.to} --home {_home(args)}")
            elif not args.json:
                sys.stdout.write(text + "\n")
            screen.result(document)
            return 0
        outcome = executor.check_certificate(args.file)
        screen.say(N_("Genuine: {object}/{id} was '{action}', outcome '{state}', at {at}."), **outcome)
        screen.result(outcome)
        return 0


_COMMANDS: dict[str, Callable[[argparse.Namespace, Screen], int]] = {
    "init": _init, "plan": _plan, "apply": _apply, "status": _status, "restore": _restore, "backup": _backup, "audit": _audit,
}  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
