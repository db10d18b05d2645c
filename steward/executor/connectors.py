"""From a home to what reads and writes its CRM: a database by its address, a vendor's CRM by its profile.

A vendor's writer registers by one line here; its module is imported when it is first used. Left to others: reading
(``steward.crm``), writing (``writers``).
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from steward.crm.registry import open_reader
from steward.errors import UsageError
from steward.executor.home import Home
from steward.executor.plan import Look
from steward.executor.ports import Hook, Writer
from steward.executor.steps import StepLog
from steward.executor.writers.sql import SqlLook, SqlWriter
from steward.executor.writers.vendor_look import VendorLook
from steward.messages import N_

WRITERS: dict[str, str] = {
    "copper": "steward.executor.writers.copper:CopperWriter",
    "fxiaoke": "steward.executor.writers.fxiaoke:FxiaokeWriter",
    "jiandaoyun": "steward.executor.writers.jiandaoyun:JiandaoyunWriter",
    "tryton": "steward.executor.writers.tryton:TrytonWriter",
    "zoho": "steward.executor.writers.zoho:ZohoWriter",
}
"""System → its writer."""


def open_look(home: Home) -> Look:
    """Open the CRM for reading, with the read-only credential where there is one.

    Raises
    ------
    UsageError
        No such system, or its address or profile is not there.
    """
    if home.config.system == "sql":
        return SqlLook(home.url(read=True), home.mapping)
    _check(home)
    return VendorLook(open_reader(home.vendor(), mapping=home.mapping))


def open_writer(home: Home, steps: StepLog, *, side_effects: frozenset[str] = frozenset(), hook: Hook) -> Writer:
    """Open the CRM for writing.

    Parameters
    ----------
    steps : StepLog
        Where a vendor's writer notes the steps of what it cannot do in one transaction.
    side_effects : frozenset of str
        Switches that the manifest turns on; all others are off.
    """
    if home.config.system == "sql":
        return SqlWriter(home.url(), home.mapping, hook=hook)
    _check(home)
    where, _, name = WRITERS[home.config.system].partition(":")
    reader = open_reader(home.vendor(), mapping=home.mapping, write=True)
    unknown = side_effects - set(reader.capabilities.side_effects)
    if unknown:
        reader.close()
        raise UsageError(
            N_("{system} has no switch {unknown}; it has: {known}."),
            system=home.config.system, unknown=", ".join(sorted(unknown)), known=", ".join(reader.capabilities.side_effects) or "-",
        )  # fmt: skip
    writer = getattr(import_module(where), name)(reader, steps, hook=hook)
    writer.side_effects = side_effects
    return cast(Writer, writer)


def _check(home: Home) -> None:
    if home.config.system not in WRITERS:
        raise UsageError(
            N_("There is no writer for the system {system}."),
            next_step=N_("Known: {known}."),
            system=home.config.system,
            known=", ".join(["sql", *sorted(WRITERS)]),
        )


__all__ = ["WRITERS", "open_look", "open_writer"]
