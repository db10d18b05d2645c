"""``restore``, ``backup`` and ``audit`` as people type them, and what all commands show alike.

Left to others: reading the words (``cli``), doing it (``runner``).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from steward.errors import RestoreConflictError, UsageError
from steward.executor.choosing import Scope
from steward.executor.restore import CODES as REASONS
from steward.executor.restore_report import line_document
from steward.executor.words import said, tell_partly
from steward.messages import N_, _
from steward.screen import Screen


def home_of(args: argparse.Namespace) -> Path:
    where = args.home or os.environ.get("STEWARD_EXECUTOR_HOME")
    if not where:
        raise UsageError(N_("Which home?"), next_step=N_("Give --home DIR or set STEWARD_EXECUTOR_HOME."))
    return Path(where)


def counts_table(screen: Screen, counts: dict[str, int]) -> None:
    screen.table("", (N_("outcome"), N_("records")), [(said(n), c) for n, c in sorted(counts.items())])


def restore(args: argparse.Namespace, screen: Screen) -> int:
    from steward.executor import looking
    from steward.executor.runner import Executor
    from steward.manifest_files import read_key, read_secret
    from steward.signing import Secret, load_key

    if args.rehearse:
        return _rehearse(args, screen)
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
    with Executor(home_of(args)) as executor, screen.progress(N_("Restoring")) as advance:
        done = executor.restore(
            args.receipt,
            signer,
            identities=args.identity,
            scope=_scope(args),
            new_ids=args.new_ids,
            dry_run=args.dry_run,
            progress=advance,
        )
        partly = looking.partly_of(executor, done.manifest) if done.counts.get("partly") else None
    if args.dry_run:
        screen.heading(N_("What a restore would do; nothing was changed"))
        counts_table(screen, done.counts)
        if done.lines:
            rows = [(str(e.record), e.what, e.field, REASONS.get(e.why, e.why)) for e in done.lines[:20]]
            screen.table(N_("What cannot come back"), (N_("record"), N_("what"), N_("field"), N_("why")), rows)
        screen.result({"dry_run": True, "counts": done.counts, "cannot": [line_document(e) for e in done.lines]})
        return 0
    screen.heading(N_("Restored under {manifest}"), manifest=done.manifest)
    counts_table(screen, done.counts)
    tally: dict[tuple[str, str], int] = {}
    for line in done.lines:
        tally[line.what, line.outcome] = tally.get((line.what, line.outcome), 0) + 1
    screen.table("", (N_("read back"), N_("outcome"), N_("number")), [(w, o, n) for (w, o), n in sorted(tally.items())])
    odd = [e for e in done.lines if e.outcome != "restored"]
    if odd:
        rows = [(str(e.record), e.what, e.field or ", ".join(e.fields[:5]), e.outcome) for e in odd[:20]]
        screen.table("", (N_("not as before"), N_("what"), N_("field"), N_("outcome")), rows)
    screen.say(N_("Receipt: {path}"), path=done.receipt)
    if partly is not None:
        tell_partly(screen, home_of(args), partly)
    screen.next(f"steward-executor audit verify --home {home_of(args)}")
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


def _scope(args: argparse.Namespace) -> Scope:
    return Scope(
        ids=frozenset(args.id), seqs=frozenset(args.seq), objects=frozenset(args.object), since=_time(args.since),
        until=_time(args.until), with_related=args.with_related,
    )  # fmt: skip


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(N_("{text} is not a time."), next_step=N_("Write it like 2026-11-25T14:00."), text=text) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _rehearse(args: argparse.Namespace, screen: Screen) -> int:
    from steward.executor.runner import Executor

    with Executor(home_of(args)) as executor, screen.progress(N_("Rehearsing")) as advance:
        found = executor.rehearse(args.receipt, identities=args.identity, progress=advance)
    screen.say(
        N_("{equal} of {records} rows came back in the scratch CRM as they were. The real CRM was not asked."),
        equal=found.equal,
        records=found.records,
    )
    rows = [(str(e.record), ", ".join(e.fields[:5]), e.outcome) for e in found.different[:20]]
    if rows:
        screen.table("", (N_("not as before"), N_("field"), N_("outcome")), rows)
    screen.result(
        {
            "rehearsed": True,
            "records": found.records,
            "equal": found.equal,
            "different": [line_document(e) for e in found.different],
        }
    )
    if found.different:
        raise RestoreConflictError(
            N_("{count} rows would not come back as they were."),
            next_step=N_("Keep the backup folder as it is and ask the auditor."),
            count=len(found.different),
        )
    return 0


def _erase(args: argparse.Namespace, screen: Screen) -> int:
    from steward.executor.erasure import erase
    from steward.executor.runner import Executor
    from steward.records import RecordKey

    object, slash, id = (args.id or "").partition("/")
    if not slash:
        raise UsageError(N_("Which record?"), next_step=N_("Give --id OBJECT/ID."))
    with Executor(home_of(args)) as executor, screen.progress(N_("Erasing")) as advance:
        done = erase(executor, RecordKey(object, id), identities=args.identity, progress=advance)
    screen.say(
        N_("Erased from the backups of {manifests} manifests: {rows} rows; {keys} data keys are gone, {kept} frames were written anew."),
        manifests=len(done.manifests), rows=done.rows, keys=done.keys, kept=done.rewritten,
    )  # fmt: skip
    screen.say(N_("Receipt: {path}"), path=done.receipt)
    screen.result(
        {
            "record": args.id,
            "manifests": list(done.manifests),
            "rows": done.rows,
            "keys": done.keys,
            "receipt": str(done.receipt),
        }
    )
    return 0


def backup(args: argparse.Namespace, screen: Screen) -> int:
    from steward.executor.runner import Executor

    if args.what == "erase":
        return _erase(args, screen)
    with Executor(home_of(args)) as executor:
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


def audit(args: argparse.Namespace, screen: Screen) -> int:
    from steward.executor.runner import Executor

    with Executor(home_of(args)) as executor:
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
            if not args.id or any("/" not in i for i in args.id):
                raise UsageError(N_("Which record?"), next_step=N_("Give --id OBJECT/ID."))
            document = executor.certificate(args.file, *args.id)
            text = json.dumps(document, indent=1)
            if args.to is not None:
                args.to.write_text(text + "\n", encoding="utf-8")
                screen.say(N_("Certificate: {path}. It names no other record."), path=args.to)
                screen.next(f"steward-executor audit check-certificate {args.to} --home {home_of(args)}")
            elif not args.json:
                sys.stdout.write(text + "\n")
            screen.result(document)
            return 0
        outcomes = executor.check_certificate(args.file)
        for outcome in outcomes:
            screen.say(N_("Genuine: {object}/{id} was '{action}', outcome '{state}', at {at}."), **outcome)
        screen.result(outcomes[0] if len(outcomes) == 1 else {"records": outcomes})
        return 0
