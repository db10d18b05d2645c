"""``notify`` and ``objections`` as people type them. Left to others: doing it (``notices``, ``objections``, ``outbox``)."""

from __future__ import annotations

import argparse
from contextlib import suppress
from datetime import UTC, datetime

from steward.errors import UsageError
from steward.executor.home import open_home
from steward.executor.notices import Notices, mailbox_of, read_settings
from steward.executor.verbs import home_of
from steward.messages import N_
from steward.screen import Screen


def notify(args: argparse.Namespace, screen: Screen) -> int:
    """Tell the owners of a manifest's records, and send whatever else waits in the outbox."""
    from steward.executor.runner import Executor
    from steward.manifest_files import ManifestFolder
    from steward.post_settings import read_channels
    from steward.signing import examine

    with Executor(home_of(args)) as executor:
        waiting = executor.outbox.deliver(executor.clock.now())
        if args.manifest is None:
            screen.say(N_("{count} notices wait."), count=waiting)
            screen.result({"waiting": waiting})
            return 0
        settings = read_settings(executor.home.path)
        if settings is None:
            raise UsageError(
                N_("This home tells no owners."), next_step=N_("Write a notices.toml into it, see docs/how-to/notify.md.")
            )
        post = executor.home.config.post
        mailbox = mailbox_of(read_channels(executor.outside(post)) if post else ())
        notices, now = Notices(executor.home.path), executor.clock.now()
        folder = ManifestFolder(args.manifest)
        look = executor.look()
        try:
            with folder.items() as items, screen.progress(N_("Telling owners")):
                manifest = examine(folder.envelope(), items, executor.trust(), executor.context(folder))
                starts = manifest.predicate.not_before
                notices.prepare(manifest.id, manifest.digest, starts, manifest.items, look, executor.home.mapping, now)
                told = notices.send(manifest.id, settings, mailbox, look, now)
        finally:
            look.close()
    screen.say(
        N_("{sent} of {owners} owners have been told; {unreachable} have no address, {waiting} are still to be told."),
        sent=told.sent,
        owners=told.owners,
        unreachable=told.unreachable,
        waiting=told.waiting,
    )
    if told.alone:
        screen.say(N_("{count} records have no owner."), count=told.alone)
    if told.waiting:
        screen.next(f"steward-executor notify {args.manifest} --home {home_of(args)}")
    screen.result(
        {
            "manifest": manifest.id, "owners": told.owners, "sent": told.sent, "unreachable": told.unreachable,
            "waiting": told.waiting, "objected": told.objected, "records_without_owner": told.alone,
        }
    )  # fmt: skip
    return 0


def objections(args: argparse.Namespace, screen: Screen) -> int:
    """Show the page on which owners object, until it is interrupted."""
    from steward.executor.objections import serve

    home = open_home(home_of(args))
    if read_settings(home.path) is None:
        raise UsageError(
            N_("This home tells no owners."), next_step=N_("Write a notices.toml into it, see docs/how-to/notify.md.")
        )
    host, colon, port = args.listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65_535:
        raise UsageError(
            N_("{where} is no address to listen on."), next_step=N_("Write it like: 127.0.0.1:8470."), where=args.listen
        )
    with serve(Notices(home.path), host.strip("[]"), int(port), lambda: datetime.now(UTC)) as server:
        screen.say(N_("Owners can object at port {port} of {host}."), port=server.server_address[1], host=host)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0
