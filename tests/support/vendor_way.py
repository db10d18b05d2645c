"""The whole way over a vendor's API with the commands people type: snapshot by a profile, score, decide, propose, sign,
plan, apply, restore. People, keys, trust store and executor are the demo's; the executor is a process of its own.

A test gives the profile (address of a sandbox, credentials as environment variables), the mapping's text, and says which
records a person decides on. Records are compared through a reader, before, after and after the restore.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path

from steward.commands.demo import Demo
from steward.crm.mapping import Mapping as CrmMapping
from steward.crm.mapping import parse_mapping
from steward.crm.profiles import read_profile
from steward.crm.registry import open_reader
from steward.decisions import DecisionAction
from steward.records import Record, RecordKey, Scalar, canonical_text
from steward.review.intent import Intent
from steward.review.session import ReviewSession
from steward.screen import Screen
from steward.workbench import open_workspace

PROFILE = "vendor"

POLICY_MORE = """
[limits]
max_records = 100000
max_percent_of_object = 100
max_drift_percent = 100
max_error_percent = 100
canary = 5
rate_per_minute = 1000000
window = "any"
"""
"""Limits for a small sandbox, of which a test takes a large part."""


@dataclass
class VendorWay(Demo):
    """One way.

    Attributes
    ----------
    mapping_text : str
        Its tenant and environment are those of the way; the environment is a sandbox of the trust store.
    profile_text : str
        The lines of ``[profiles.vendor]`` and below it, without ``format``, ``system``, ``tenant`` and ``environment``.
    system : str
    switched_off : tuple of str
        Protections that the CRM has no facts for.
    """

    mapping_text: str = ""
    profile_text: str = ""
    system: str = ""
    environment: str = "sandbox"
    switched_off: tuple[str, ...] = ()
    limits: str = POLICY_MORE
    more_propose: tuple[str, ...] = ()
    held: dict[str, int] = field(default_factory=dict)

    @classmethod
    def start(cls, root: Path, system: str, mapping: str, profile: str, *, tenant: str = "demo", **more: object) -> VendorWay:
        """Make folder, keys, policy, profile, executor and trust store."""
        way = cls(
            root, 0, 1, Screen(quiet=True), tenant=tenant, mapping_text=mapping, profile_text=profile, system=system, **more,  # type: ignore[arg-type]  # words of the class
        )  # fmt: skip
        way.prepare()
        return way

    @property
    def profiles(self) -> Path:
        """The profiles file."""
        return self.path("profiles.toml")

    def prepare(self) -> None:
        """See :meth:`start`."""
        self._clean_folder()
        self.path("mapping.toml").write_text(self.mapping_text, encoding="utf-8")
        parsed = parse_mapping(self.mapping_text)
        assert (parsed.system, parsed.tenant, parsed.environment) == (self.system, self.tenant, self.environment)
        head, _, below = self.profile_text.partition("\n[")
        self.profiles.write_text(
            f'format = "steward-profiles/1"\n\n[profiles.{PROFILE}]\nsystem = "{self.system}"\ntenant = "{self.tenant}"\n'
            f'environment = "{self.environment}"\nmapping = "mapping.toml"\n{head}\n' + (f"\n[{below}" if below else ""),
            encoding="utf-8",
        )
        self._make_keys()
        policy = resources.files("steward").joinpath("default_policy.toml").read_text(encoding="utf-8")
        off = "".join(
            f'\n[protections.{c}]\napplies = false\nbecause = "This CRM has none of these."\n' for c in self.switched_off
        )
        self.path("policy.toml").write_text(_with_limits(policy, self.limits) + off, encoding="utf-8")
        self._make_executor()
        self._make_trust()
        self._pin_trust()

    def _make_executor(self) -> None:
        self._execute(
            "init", "--executor", "demo-executor", "--profiles", self.profiles, "--profile", PROFILE,
            "--mapping", self.path("mapping.toml"), "--policy", self.path("policy.toml"), result=True,
        )  # fmt: skip
        shutil.copy(self.path("holds.txt"), self.path("executor", "holds.txt"))

    def snapshot(self) -> None:
        """Copy the CRM into the workspace through its API."""
        self._run("snapshot", "--profile", PROFILE, "--profiles", self.profiles, "--workspace", self._workspace)

    def score(self, *more: object) -> None:
        """Find duplicates and stale records; the suites that ship name the columns of the demo's CRM."""
        suites = self.path("suites")
        suites.mkdir()
        self._run(
            "score", "--only", "duplicate", "--only", "stale", *more, "--suites", suites, "--policy", self.path("policy.toml"),
            "--holds", self.path("holds.txt"), "--workspace", self._workspace,
        )  # fmt: skip

    def propose(self) -> None:
        """Draft the manifest."""
        said = self._run(
            "propose", "--to", self.path("manifests"), "--proposer", "anna", "--trust", self.path("trust"), "--policy",
            self.path("policy.toml"), "--holds", self.path("holds.txt"), "--workspace", self._workspace, *self.more_propose, result=True,
        )  # fmt: skip
        self.facts |= {"manifest": str(said["folder"]), "items": said["records"], "held_back": said["held_back"]}

    def sign(self, people: tuple[str, ...] = ("ben", "chen", "dora", "emil")) -> None:
        """Let people approve."""
        for name in people:
            self._run(
                "sign", self.manifest, "--trust", self.path("trust"), "--policy", self.path("policy.toml"),
                "--key", self.path("keys", f"{name}.key"), "--passphrase-file", self.path("keys", f"{name}.passphrase"),
                "--count", self.facts["items"], quiet=True,
            )  # fmt: skip

    def plan(self) -> dict[str, object]:  # type: ignore[override]  # the demo's prints instead
        """Dry run; returns what it says for machines."""
        return self._execute("plan", self.manifest, result=True)

    def apply(self) -> dict[str, object]:  # type: ignore[override]  # the demo's prints instead
        """Apply; returns counts and receipt."""
        said = self._execute("apply", self.manifest, result=True)
        self.facts["receipt"] = said["receipt"]
        return said

    def restore(self, *more: str) -> dict[str, object]:  # type: ignore[override]
        """Restore the receipt; returns counts and what was read back."""
        return self._execute(
            "restore", str(self.facts["receipt"]), "--sign-with", self.path("keys", "ben.key"), "--passphrase-file",
            self.path("keys", "ben.passphrase"), "--identity", self.path("keys", "operations.age"), *more, result=True,
        )  # fmt: skip

    def audit(self) -> None:
        """Verify the audit log and the backups."""
        self._execute("audit", "verify")
        self._execute("backup", "verify", "--identity", self.path("keys", "operations.age"))

    def items(self) -> list[dict[str, object]]:
        """Lines of the manifest."""
        return [json.loads(line) for line in (self.manifest / "items.ndjson").read_text(encoding="utf-8").splitlines()]

    def decide_on(self, merges: Mapping[str, str], deletes: frozenset[str], object: str) -> set[str]:
        """Decide as anna would with the keyboard: losers into survivors where a cluster of two holds both, and stale ones.

        Returns
        -------
        set of str
            Ids decided on: a case that scoring did not find is not decided.
        """
        decided: set[str] = set()
        with open_workspace(self._workspace) as bench:
            snapshot = bench.snapshot()
            session = ReviewSession(bench.store, snapshot, bench.log, "anna")
            for cluster in bench.store.clusters(snapshot, object):
                ids = {m.id for m in cluster.members}
                for loser, survivor in merges.items():
                    if ids == {loser, survivor}:
                        session.decide(
                            cluster.id, Intent(DecisionAction.MERGE, survivor=survivor, confirmed=True, reason="planted")
                        )
                        decided.add(loser)
            for evidence in bench.store.evidence(snapshot, kind="stale", object=object):
                if evidence.key.id in deletes and evidence.key.id not in decided:
                    session.decide(evidence.case_id, Intent(DecisionAction.DELETE, confirmed=True, reason="planted"))
                    decided.add(evidence.key.id)
            session.close()
        return decided

    def records(self) -> dict[RecordKey, Record]:
        """Every live record as the reader gives it."""
        reader = open_reader(read_profile(self.profiles, PROFILE))
        try:
            return {r.key: r for o in reader.objects() for part in reader.scan(o.name) for r in part if not r.deleted}
        finally:
            reader.close()


def _with_limits(policy: str, limits: str) -> str:
    """Return a policy with its table of limits replaced."""
    before, found, after = policy.partition("\n[limits]")
    assert found
    rest = after.partition("\n[")
    return before + "\n" + limits + ("\n[" + rest[2] if rest[1] else "")


def differences(
    before: Mapping[RecordKey, Record], after: Mapping[RecordKey, Record], *, without: Mapping[str, frozenset[str]]
) -> dict[RecordKey, tuple[str, ...]]:
    """Return, per record that is not as it was, the names of its fields that differ; ``gone`` or ``new`` for whole records.

    Parameters
    ----------
    without : mapping of str to frozenset of str
        Object → columns that the vendor moves by itself.
    """
    found: dict[RecordKey, tuple[str, ...]] = {}
    for key in {*before, *after}:
        if key not in after or key not in before:
            found[key] = ("gone",) if key not in after else ("new",)
            continue
        old, new = before[key].fields, after[key].fields
        names = tuple(
            sorted(
                n
                for n in {*old, *new} - without.get(key.object, frozenset())
                if canonical_text(old.get(n)) != canonical_text(new.get(n))
            )
        )
        if names:
            found[key] = names
    return found


def key_of(item: Mapping[str, object]) -> RecordKey:
    """Return which record an item of a manifest is about."""
    return RecordKey(str(item["object"]), str(item["id"]))


def links_follow_the_survivor(
    mapping: CrmMapping,
    merges: Sequence[Mapping[str, object]],
    before: Mapping[RecordKey, Record],
    after: Mapping[RecordKey, Record],
    *,
    stays: Callable[[RecordKey, str], bool],
    object: str = "contact",
) -> int:
    """Assert that every link to a loser is one to its survivor, and that others are what they were.

    Parameters
    ----------
    merges : sequence of mapping
        Items of the manifest; those that merge are meant.
    stays : callable
        Gets the key of a record and the object that one of its links points at; True where that link may not have changed.

    Returns
    -------
    int
        How many had to follow.
    """
    merged = {str(i["id"]): str(i["target"]) for i in merges if i["action"] == "merge_into"}
    moved = 0
    for key, record in after.items():
        for name, parent in mapping.objects[key.object].parents.items():
            was, now = canonical_text(before[key].fields.get(name)), canonical_text(record.fields.get(name))
            if parent == object and was in merged:
                moved += 1
                assert now == merged[was], (key, name)
            elif stays(key, parent):
                assert now == was, (key, name)
    return moved


def under_old_ids(
    way: VendorWay, mapping: CrmMapping, found: Mapping[RecordKey, Record], *, column: str, typed: Callable[[str], Scalar] = str
) -> dict[RecordKey, Record]:
    """Return records, and what refers to them, under the ids that they had before they were made anew.

    Parameters
    ----------
    column : str
        Where a record holds its own id.
    typed : callable
        Makes of an id what a column holds.
    """
    old: dict[RecordKey, str] = {}
    for file in way.path("executor", "receipts").glob("*.idmap.ndjson"):
        for line in file.read_text().splitlines():
            said = json.loads(line)
            if said["why"] == "recreated":
                old[RecordKey(said["object"], said["new"])] = said["old"]
    named: dict[RecordKey, Record] = {}
    for key, record in found.items():
        fields = dict(record.fields)
        if key in old:
            fields[column] = typed(old[key])
        for name, parent in mapping.objects[key.object].parents.items():
            at = RecordKey(parent, canonical_text(fields.get(name)) or "")
            if at in old:
                fields[name] = typed(old[at])
        here = RecordKey(key.object, old.get(key, key.id))
        assert here not in named
        named[here] = replace(record, key=here, fields=fields)
    return named
