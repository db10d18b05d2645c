"""The executor's home: one folder with its configuration, journal, backups, trust store, receipts and switches.

::

    config.toml      who and where: tenant, system, environment, mapping, url, limits
    mapping.toml     objects, keys, parents (a copy, so that an edit elsewhere changes nothing here)
    policy.toml      the policy in force; its digest must stand in the trust store
    trust/           versions of the trust store, pinned by ``trust_pin``
    executor.key     its own signing key, never an approver's; executor.pass opens it (0400)
    journal.sqlite   what is meant, done, unknown; the replay ledger; the audit log
    backup/          frames and wrapped data keys
    receipts/ plans/ restores/ audit/
    holds.txt        records that must stay, one ``object/id`` a line; absent means everything must
    keeps.txt        what reviewers decided since (``steward export keeps``); absent or damaged means everything must stay
    FREEZE           exists: nothing starts

Left to others: what it is used for (``runner``).
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import parse_mapping
from steward.crm.profiles import Profile, read_profile
from steward.errors import ExecutionError, UsageError
from steward.executor.pushing import check_places
from steward.manifest.keeps import Keeps, write_keeps
from steward.manifest_files import read_file, read_key, read_secret, read_trust_folder, write_file
from steward.messages import N_
from steward.policy import Policy, parse_policy
from steward.signing import FileSigner, PolicyInForce, PublicKey, Secret, TrustStore, generate_key, load_key, load_trust

FORMAT = "steward-executor/1"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

Hundredths = Annotated[int, Meta(ge=0, le=10_000)]
Count = Annotated[int, Meta(ge=0, le=10_000_000)]


class LocalLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Brakes of this machine; the least of manifest and these holds. Shares in hundredths of a percent.

    ``rate_share`` is how much of a documented rate limit is ours; ``records_per_day`` how many records one UTC day may
    change, over all manifests.
    """

    drift: Hundredths = 500
    error: Hundredths = 200
    missing: Hundredths = 2_000
    canary: Count = 20
    rate_per_minute: Count = 100_000
    rate_share: Annotated[int, Meta(ge=1, le=10_000)] = 9_700
    records_per_day: Count = 10_000_000
    credits_per_request: Count = 1


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``config.toml``. Unknown words refuse: they might have been a restriction.

    Attributes
    ----------
    url, read_url : str
        Database; ``${NAME}`` is taken from the environment. ``read_url`` is the read-only credential of plan.
    profiles, profile : str
        Instead of ``url``, for a vendor's CRM: profiles file (:mod:`steward.crm.profiles`), relative to the home, and the
        profile in it; its ``[read]`` plans and its ``[write]`` applies.
    actor : str
        Name the executor writes as ``deleted_by``; a user of its own in the CRM.
    executor : str
        Its id in the trust store.
    trust_pin : str
        Digest of the first trust version, got by another way than the files.
    checkpoints : tuple of str
        Where signed checkpoints go (:mod:`steward.executor.pushing`); at least one place should be one that this machine
        cannot rewrite.
    keeps : str
        Keep list that the workbench writes; relative to the home.
    keeps_max_age_hours : int
        An older list is not taken; 0 takes any.
    id_map_webhook : str
        Address that is told which id became which after merges and restores; signed with ``webhook_secret_file``.
    hours, closed : tuple of str
        When it may work (:mod:`steward.executor.hours`); the signed window of a manifest holds as well.
    post : str
        Settings of mail server and webhooks for its notices (:mod:`steward.post_settings`); none are sent without.
    identities : tuple of str
        age identity files for restore. Empty is right outside a sandbox: then give ``--identity`` when it is needed.
    """

    format: str
    tenant: str
    system: str
    environment: str
    executor: str
    url: str = ""
    profiles: str = ""
    profile: str = ""
    read_url: str = ""
    actor: str = "steward-executor"
    mapping: str = "mapping.toml"
    policies: tuple[str, ...] = ("policy.toml",)
    trust_pin: str = ""
    key: str = "executor.key"
    passphrase_file: str = "executor.pass"  # noqa: S105  a file's name
    batch: Annotated[int, Meta(ge=1, le=1_000)] = 100
    canary_wait: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    checkpoints: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()
    keeps: str = "keeps.txt"
    keeps_max_age_hours: Annotated[int, Meta(ge=0, le=8_760)] = 0
    id_map_webhook: str = ""
    webhook_secret_file: str = "webhook.secret"  # noqa: S105  a file's name
    reserve_bytes: Annotated[int, Meta(ge=0, le=1 << 50)] = 50_000_000
    hours: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    post: str = ""
    limits: LocalLimits = LocalLimits()


@dataclass(frozen=True, slots=True)
class Home:
    """An opened home.

    Attributes
    ----------
    path : Path
    config : Config
    mapping : Mapping
    policies : dict
        Digest → policy in force.
    """

    path: Path
    config: Config
    mapping: CrmMapping
    policies: dict[str, PolicyInForce]

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.path / "journal.sqlite"

    @property
    def frozen(self) -> Path:
        """The freeze switch."""
        return self.path / "FREEZE"

    def url(self, *, read: bool = False) -> str:
        """Return the database's address with its variables filled in.

        Raises
        ------
        UsageError
            A variable is not set.
        """
        text = (self.config.read_url if read else "") or self.config.url

        def fill(match: re.Match[str]) -> str:
            value = os.environ.get(match.group(1))
            if value is None:
                raise UsageError(
                    N_("config.toml takes the database's address from ${name}, which is not set."),
                    next_step=N_("Set it for this command alone, or use systemd's LoadCredential."),
                    name=match.group(1),
                )
            return value

        filled = _VARIABLE.sub(fill, text)
        if "://" not in filled and not Path(filled).is_absolute():
            return str((self.path / filled).resolve())
        return filled

    def vendor(self) -> Profile:
        """Return the profile of a vendor's CRM.

        Raises
        ------
        UsageError
            None is named, or it is another tenant's than this home.
        """
        c = self.config
        if not (c.profiles and c.profile):
            raise UsageError(
                N_("config.toml names no profile for {system}."),
                next_step=N_("Write 'profiles' and 'profile' into it: docs/reference/profiles.md."),
                system=c.system,
            )
        path = Path(c.profiles)
        found = read_profile(path if path.is_absolute() else self.path / path, c.profile)
        for name, said, here in (
            ("system", found.system, c.system),
            ("tenant", found.tenant, c.tenant),
            ("environment", found.environment, c.environment),
        ):
            if said != here:
                raise UsageError(
                    N_("The profile is for the {name} {said}, config.toml for {here}."), name=name, said=said, here=here
                )
        return found

    def trust(self, now: object, at_least: int = 0) -> TrustStore:
        """Load the pinned trust store.

        Raises
        ------
        TrustError, ExpiredError
        """
        assert isinstance(now, datetime)
        if not self.config.trust_pin:
            raise ExecutionError(
                N_("No trust store is pinned here."),
                next_step=N_("Run: steward-executor init --home {home} --trust DIR --trust-root DIGEST"),
                home=self.path,
            )
        return load_trust(read_trust_folder(self.path / "trust"), pin=self.config.trust_pin, now=now, at_least=at_least)

    def signer(self) -> FileSigner:
        """Open the executor's own key."""
        return load_key(read_key(self.path / self.config.key), read_secret(self.path / self.config.passphrase_file))


def open_home(path: Path) -> Home:
    """Read a home.

    Raises
    ------
    UsageError
        Not a home, or a word in ``config.toml`` that is not known.
    """
    file = path / "config.toml"
    if not file.is_file():
        raise UsageError(
            N_("{home} is not an executor's home."),
            next_step=N_("Make one with: steward-executor init --home {home} …"),
            home=path,
        )
    try:
        config = msgspec.toml.decode(read_file(file, limit=1 << 20), type=Config, strict=True)
    except (msgspec.MsgspecError, ValueError) as error:
        raise UsageError(N_("config.toml cannot be used: {problem}"), problem=str(error)) from None
    if config.format != FORMAT:
        raise UsageError(
            N_("config.toml says format {format}; this version reads {known}."), format=config.format, known=FORMAT
        )
    check_places(config.checkpoints)
    mapping = parse_mapping(_text(path / config.mapping), where=config.mapping)
    for name, said, here in (
        ("system", mapping.system, config.system),
        ("tenant", mapping.tenant, config.tenant),
        ("environment", mapping.environment, config.environment),
    ):
        if said != here:
            raise UsageError(
                N_("The mapping is for the {name} {said}, config.toml for {here}."), name=name, said=said, here=here
            )
    policies = [parse_policy(_text(path / name), where=name) for name in config.policies]
    return Home(path, config, mapping, {p.digest: PolicyInForce.of(p) for p in policies})


def _text(path: Path) -> str:
    if not path.is_file():
        raise UsageError(N_("{path} is missing."), path=path)
    return read_file(path, limit=4 << 20).decode()


def init_home(
    path: Path,
    *,
    executor: str,
    url: str,
    mapping: str,
    policy: str,
    checkpoints: tuple[str, ...] = (),
    identities: tuple[str, ...] = (),
    read_url: str = "",
    profiles: str = "",
    profile: str = "",
    batch: int = 100,
    canary_wait: float = 0.0,
    passphrase: Secret | None = None,
) -> PublicKey:
    """Make a home with a key of its own; return the public key that the trust store must name.

    Parameters
    ----------
    mapping, policy : str
        Texts of the mapping and policy files; tenant, system and environment are the mapping's.

    Raises
    ------
    UsageError
        There is one already.
    """
    if (path / "config.toml").exists():
        raise UsageError(N_("{home} is an executor's home already."), home=path)
    parsed = parse_mapping(mapping)
    checked: Policy = parse_policy(policy)
    for name in ("", "backup", "trust", "receipts", "plans", "restores", "audit"):
        (path / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    secret = passphrase or Secret(secrets.token_urlsafe(32).encode())
    raw, public = generate_key(secret)
    write_file(path / "executor.pass", secret.reveal() + b"\n", mode=0o400)
    write_file(path / "executor.key", raw, mode=0o400)
    write_file(path / "executor.pub", public.openssh_line(executor).encode())
    write_file(path / "mapping.toml", mapping.encode())
    write_file(path / "policy.toml", policy.encode())
    write_file(path / "holds.txt", b"# Records that must stay: one object/id a line. An empty list means somebody looked.\n")
    nothing = Keeps(parsed.tenant, datetime.now(UTC), 0, {})
    write_file(path / "keeps.txt", write_keeps(nothing))
    config = Config(
        format=FORMAT, tenant=parsed.tenant, system=parsed.system, environment=parsed.environment, url=url, read_url=read_url,
        profiles=profiles, profile=profile,
        executor=executor, checkpoints=checkpoints, identities=identities, batch=batch, canary_wait=canary_wait,
    )  # fmt: skip
    write_config(path, config)
    assert checked.digest
    return public


def write_config(path: Path, config: Config) -> None:
    """Write ``config.toml``; values are plain words and numbers."""
    plain = msgspec.to_builtins(config)
    limits = plain.pop("limits")
    lines = [f"{name} = {_toml(value)}" for name, value in plain.items()]
    lines += ["", "[limits]", *(f"{name} = {_toml(value)}" for name, value in limits.items())]
    write_file(path / "config.toml", ("\n".join(lines) + "\n").encode(), mode=0o600)


def _toml(value: object) -> str:
    # A JSON string, number or list of strings is TOML too, but for "\/" and DEL, which the encoder does not write.
    return msgspec.json.encode(value).decode()


def pin_trust(path: Path, trust: Path, pin: str) -> int:
    """Copy a trust folder into the home and pin it; return its version. Runs again for newer versions under the same pin."""
    home = open_home(path)
    versions = read_trust_folder(trust)
    store = load_trust(versions, pin=pin, now=datetime.now(UTC))
    if home.config.trust_pin not in ("", pin):
        raise UsageError(
            N_("Another trust root is pinned here; it is not replaced."), next_step=N_("A new root needs a new home.")
        )
    first = store.version - len(versions) + 1
    for offset, raw in enumerate(versions):
        write_file(path / "trust" / f"{first + offset}.dsse.json", raw)
    write_config(path, msgspec.structs.replace(home.config, trust_pin=pin))
    return store.version
