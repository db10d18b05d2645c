"""Profiles: which vendor, whose tenant, at which address, with which credential. One TOML file, and no secret in it.

A value of ``[NAME.read]`` or ``[NAME.write]`` that is a secret is written as a reference and never as itself:

* ``${NAME}``: the environment,
* ``${file:PATH}``: a file that only its owner can read, such as systemd's ``LoadCredential`` gives,
* ``${keyring:SERVICE/USER}``: the system's keyring.

Example
-------
::

    format = "steward-profiles/1"

    [profiles.acme]
    system = "copper"
    tenant = "acme"
    environment = "production"

    [profiles.acme.read]
    user = "reader@acme.example"
    token = "${COPPER_READ_TOKEN}"

Left to others: what a vendor needs (its own module says which words), opening a reader
(``steward.crm.registry``), the executor's configuration (``steward.executor.home``).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from steward.errors import MissingExtraError, UsageError
from steward.messages import N_
from steward.signing.keys import Secret

FORMAT = "steward-profiles/1"

PUBLIC_WORDS = frozenset({"user", "user_id", "client_id", "app_id", "company"})
"""Words of a credential that may stand in the file as they are. Every other one must be a reference."""

_REFERENCE = re.compile(r"\$\{(?:(file|keyring):)?([^}\r\n]+)\}")
_MAX_FILE = 1 << 20
_MAX_SECRET = 8_192


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One tenant of one vendor.

    Attributes
    ----------
    system : str
        The connector: ``copper``, ``zoho``, ``fxiaoke``, ``jiandaoyun``, ``tryton``, ``sql``.
    tenant, environment : str
        As manifests name them; two tenants of one vendor are two profiles.
    address : str
        Of the API; empty takes the vendor's own where it has one. ``${NAME}`` is taken from the environment.
    mapping : str
        Mapping file, relative to the profiles' file; empty takes the one that ships with the connector.
    read, write : mapping
        Credential to read and, on the executor's machine alone, to write.
    options : mapping
        The connector's switches; unknown ones are refused by it.
    """

    system: str
    tenant: str
    environment: str
    address: str = ""
    mapping: str = ""
    read: dict[str, str] = {}
    write: dict[str, str] = {}
    options: dict[str, str] = {}
    name: str = ""
    folder: str = ""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    format: str
    profiles: dict[str, Profile]


def read_profile(path: Path, name: str) -> Profile:
    """Return one profile of a file.

    Raises
    ------
    UsageError
        No such file or profile, an unknown word, a secret that stands in the file itself.
    """
    known = read_profiles(path)
    if name not in known:
        raise UsageError(
            N_("{path} has no profile {name}; it has: {known}."), path=path, name=name, known=", ".join(sorted(known)) or "-"
        )
    return known[name]


def read_profiles(path: Path) -> dict[str, Profile]:
    """Return every profile of a file; see :func:`read_profile`."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(N_("{path} cannot be read ({problem})."), path=path, problem=error.strerror or "-") from None
    if len(raw) > _MAX_FILE:
        raise UsageError(N_("{path} is too large for a profiles file."), path=path)
    try:
        said = msgspec.toml.decode(raw, type=_File, strict=True)
    except (msgspec.MsgspecError, ValueError) as error:
        raise UsageError(
            N_("The profiles {path} cannot be used: {problem}"),
            next_step=N_("Mend the file; docs/reference/profiles.md describes every word."),
            path=path,
            problem=str(error),
        ) from None
    if said.format != FORMAT:
        raise UsageError(
            N_("{path} says format {format}; this version reads {known}."), path=path, format=said.format, known=FORMAT
        )
    found: dict[str, Profile] = {}
    for name, profile in said.profiles.items():
        if profile.name or profile.folder:
            raise UsageError(N_("{path}: the heading names the profile; take 'name' and 'folder' out."), path=path)
        for part, credential in (("read", profile.read), ("write", profile.write)):
            for word, value in credential.items():
                if word not in PUBLIC_WORDS and not _REFERENCE.fullmatch(value):
                    raise UsageError(
                        N_("{path}: {word} of [profiles.{name}.{part}] must be a reference, not the secret itself."),
                        next_step=N_("Write ${{NAME}}, ${{file:PATH}} or ${{keyring:SERVICE/USER}}, and change the secret: it was in a file."),
                        path=path, word=word, name=name, part=part,
                    )  # fmt: skip
        found[name] = msgspec.structs.replace(profile, name=name, folder=str(path.parent))
    return found


def credential(profile: Profile, *, write: bool = False) -> dict[str, Secret]:
    """Return the credential with every reference followed.

    Raises
    ------
    UsageError
        There is none, or a reference leads nowhere. Neither value nor reference's target is shown, only its name.
    """
    said: Mapping[str, str] = profile.write if write else profile.read
    if not said:
        raise UsageError(
            N_("The profile {name} has no credential to {what}."),
            next_step=N_("Add [profiles.{name}.{what}] on the machine that may do this."),
            name=profile.name,
            what="write" if write else "read",
        )
    return {word: Secret(follow(value, word).encode()) for word, value in said.items()}


def address(profile: Profile, default: str = "") -> str:
    """Return the API's address with ``${NAME}`` filled in."""
    said = profile.address or default
    if not said:
        raise UsageError(N_("The profile {name} needs an address."), name=profile.name)
    return _REFERENCE.sub(lambda m: follow(m.group(0), "address"), said)


def follow(value: str, word: str) -> str:
    """Return what a reference stands for; a value that is none is returned as it is."""
    match = _REFERENCE.fullmatch(value)
    if match is None:
        return value
    kind, target = match.group(1), match.group(2)
    found = {"file": _from_file, "keyring": _from_keyring}.get(kind or "", _from_environment)(target, word)
    if not found or len(found) > _MAX_SECRET or any(ord(c) < 0x20 or ord(c) == 0x7F for c in found):
        raise UsageError(N_("What the reference for {word} leads to is empty, too long, or no single line."), word=word)
    return found


def _from_environment(name: str, word: str) -> str:
    found = os.environ.get(name)
    if found is None:
        raise UsageError(
            N_("{word} is taken from ${name}, which is not set."),
            next_step=N_("Set it for this command alone."),
            word=word,
            name=name,
        )
    return found


def _from_file(name: str, word: str) -> str:
    path = Path(name).expanduser()
    try:
        said = path.stat()
        if not stat.S_ISREG(said.st_mode) or said.st_size > _MAX_SECRET:
            raise UsageError(N_("The file for {word} is no plain small file."), word=word)
        if said.st_mode & 0o077:
            raise UsageError(
                N_("The file for {word} can be read by others."), next_step=N_("Make it yours alone: chmod 600 FILE"), word=word
            )
        return path.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise UsageError(N_("The file for {word} cannot be read."), word=word) from None


def _from_keyring(name: str, word: str) -> str:
    service, slash, user = name.partition("/")
    if not (service and slash and user):
        raise UsageError(N_("The keyring reference for {word} is not SERVICE/USER."), word=word)
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise MissingExtraError("keyring", "keyring") from None
    try:
        found = keyring.get_password(service, user)
    except keyring.errors.KeyringError:
        found = None
    if found is None:
        raise UsageError(
            N_("The system's keyring gives nothing for {word}."),
            next_step=N_("Store it with: keyring set SERVICE USER"),
            word=word,
        )
    return found
