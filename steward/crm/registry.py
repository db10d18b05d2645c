"""Every connector in one place: its capability table, and how a profile becomes a reader.

A vendor registers by one line here; its module is imported when it is first used. Left to others: what each can do
(its own module), profiles (``steward.crm.profiles``).
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import cast

import msgspec

from steward.crm.base import Capabilities
from steward.crm.examples import VENDORS as SHIPPED
from steward.crm.examples import example_mapping
from steward.crm.mapping import Mapping, parse_mapping
from steward.crm.profiles import Profile
from steward.crm.sql import SQL_CAPABILITIES
from steward.crm.vendor import VendorReader
from steward.errors import UsageError
from steward.messages import N_

VENDORS: dict[str, str] = {
    "copper": "steward.crm.copper:CopperReader",
    "fxiaoke": "steward.crm.fxiaoke:FxiaokeReader",
    "jiandaoyun": "steward.crm.jiandaoyun:JiandaoyunReader",
    "tryton": "steward.crm.tryton:TrytonReader",
    "zoho": "steward.crm.zoho:ZohoReader",
}
"""System → its reader."""

FILES_CAPABILITIES = Capabilities(
    system="files",
    restore_keeps_id=False,
    batch_size=1,
    request_lifetime=0.0,
    source="docs/reference/mapping.md; export files can be read and scored, never written back",
)


def capabilities() -> tuple[Capabilities, ...]:
    """Return the table of every connector, sorted by system."""
    vendors = [cast(Capabilities, getattr(_module(name), f"{name.upper()}_CAPABILITIES")) for name in VENDORS]
    return tuple(sorted((SQL_CAPABILITIES, FILES_CAPABILITIES, *vendors), key=lambda c: c.system))


def as_document() -> list[dict[str, object]]:
    """Return the same for machines."""
    return [asdict(c) for c in capabilities()]


def mapping_of(profile: Profile) -> Mapping:
    """Return the mapping of a profile: its own file, or the one that ships with the connector, for its tenant.

    Raises
    ------
    SchemaMismatchError, UsageError
        The file cannot be used, or says another system.
    """
    if profile.mapping:
        path = Path(profile.folder) / profile.mapping
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            raise UsageError(N_("The mapping {where} cannot be read."), where=path) from None
        mapping = parse_mapping(text, where=path.name)
    elif profile.system in SHIPPED:
        mapping = parse_mapping(example_mapping(profile.system), where=profile.system)
    else:
        raise UsageError(
            N_("The profile {name} names no mapping, and none ships for {system}."),
            next_step=N_("Propose one with: steward connectors map"),
            name=profile.name,
            system=profile.system,
        )
    if mapping.system != profile.system:
        raise UsageError(
            N_("The mapping is for {said}, the profile {name} for {system}."),
            said=mapping.system,
            name=profile.name,
            system=profile.system,
        )
    return msgspec.structs.replace(mapping, tenant=profile.tenant, environment=profile.environment)


def open_reader(
    profile: Profile, *, kept: Path | None = None, write: bool = False, mapping: Mapping | None = None
) -> VendorReader:
    """Open the reader of a profile.

    Parameters
    ----------
    kept : Path or None
        Folder for the pages of a read that broke off.
    write : bool
        Take the credential to write: what the executor reads with while it writes.
    mapping : Mapping or None
        Instead of the profile's: the executor's own copy.

    Raises
    ------
    UsageError
        No such connector, or the profile lacks something it needs.
    """
    if profile.system not in VENDORS:
        raise UsageError(
            N_("There is no connector {system}; there are: {known}."), system=profile.system, known=", ".join(sorted(VENDORS))
        )
    reader = getattr(_module(profile.system), VENDORS[profile.system].partition(":")[2])
    opened = cast(VendorReader, reader(profile, mapping or mapping_of(profile), kept=kept, write=write))
    said = (profile.system, profile.address, sorted(profile.read.items()), sorted(profile.options.items()))
    opened.sight = hashlib.sha256(msgspec.json.encode(said)).hexdigest()  # words and references; a secret is in neither
    return opened


def _module(system: str) -> object:
    return import_module(VENDORS[system].partition(":")[0])
