"""A conformance suite for verifiers of the manifest format, usable against another implementation.

``python -m tests.conformance.manifest [--command 'your-verifier'] [--list] [--only NAME]``: each case is a folder with a
manifest, a trust folder and a ``context.json``; the verifier is called as

    COMMAND verify --manifest DIR --trust DIR --context FILE
    COMMAND plan   --manifest DIR --trust DIR --context FILE

``verify`` must exit 0 where the manifest may run now. ``plan`` looks at a manifest that need not be approved yet: it asks for
everything but approvals, the start, the ledger and a veto of the whole, and exits 0 where nothing else stands against it. Both
exit otherwise with 7 (manifest), 8 (trust) or 6 (policy), and print one JSON object with ``accepted`` and, when refused,
``reason``; ``plan`` adds ``counts`` {object/action: records} and ``missing`` {object: roles that nobody has taken}.
``context.json`` holds ``pin``, ``now``, ``tenant``, ``system``, ``environment``, ``tool``, ``trustAtLeast``, ``policies``
{digest: {maxRecords, maxPercentOfObject}}, ``ledger`` {manifest id: {digest, finished}}. Without ``--command`` steward's own
verifier is called in this process; ``python -m tests.conformance.manifest verify …`` is that verifier as a command.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from steward.errors import StewardError
from steward.manifest_files import ManifestFolder, read_trust_folder
from steward.signing import LedgerEntry, PolicyInForce, VerifyContext, examine, load_trust, verify
from steward.signing.summary import missing_seats
from tests.conformance.manifest_cases import CASES, Case, exit_code


def check(manifest: Path, trust: Path, context: Path, verb: str = "verify") -> tuple[int, dict[str, object]]:
    """steward's verifier over files: exit code and what it prints."""
    said = json.loads(context.read_text(encoding="utf-8"))
    now = datetime.fromisoformat(said["now"])
    try:
        store = load_trust(read_trust_folder(trust), pin=said["pin"], now=now, at_least=said["trustAtLeast"])
        folder = ManifestFolder(manifest)
        here = VerifyContext(
            tenant=said["tenant"],
            system=said["system"],
            environment=said["environment"],
            now=now,
            policies={d: PolicyInForce(p["maxRecords"], p["maxPercentOfObject"]) for d, p in said["policies"].items()},
            tool_version=said["tool"],
            ledger={i: LedgerEntry(e["digest"], e["finished"]) for i, e in said["ledger"].items()},
            vetoes=folder.vetoes(),
        )
        with folder.items() as items:
            if verb == "plan":
                seen = examine(folder.envelope(), items, store, here)
                missing = {o: seats for o, seats in missing_seats(seen, store).items() if seats}
                return 0, {"accepted": True, "digest": seen.digest, "counts": seen.predicate.counts, "missing": missing}
            found = verify(folder.envelope(), items, store, here)
            return 0, {
                "accepted": True,
                "digest": found.digest,
                "approvers": list(found.approvers),
                "vetoed": sorted(found.vetoed),
            }
    except StewardError as error:
        return error.exit_code, {"accepted": False, "reason": type(error).__name__, "message": str(error)}


def run_case(case: Case, folder: Path, command: str | None) -> str | None:
    """Run one case with both verbs; return what is wrong, or None."""
    case.write(folder)
    where = [folder / "manifest", folder / "trust", folder / "context.json"]
    for verb, reason in (("verify", case.reason), ("plan", case.plan_reason)):
        if command is None:
            code, said = check(*where, verb)
        else:
            words = [w for pair in zip(("--manifest", "--trust", "--context"), map(str, where), strict=True) for w in pair]
            done = subprocess.run(
                [*shlex.split(command), verb, *words], capture_output=True, text=True, timeout=60, check=False
            )
            code, said = done.returncode, json.loads(done.stdout or "{}")
        expected = exit_code(reason)
        if code != expected:
            return f"{verb}: exit code {code}, expected {expected}: {said}"
        if said.get("accepted") is not (expected == 0):
            return f"{verb}: printed {said}"
        if command is None and reason and said.get("reason") != reason:
            return f"{verb}: refused as {said.get('reason')}, expected {reason}: {said.get('message')}"
        if verb == "plan" and expected == 0 and case.missing is not None and said.get("missing") != case.missing:
            return f"plan: missing {said.get('missing')}, expected {case.missing}"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.manifest", description=__doc__)
    parser.add_argument("verb", nargs="?", choices=("verify", "plan"))
    for name in ("manifest", "trust", "context"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--command")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--only")
    args = parser.parse_args()
    if args.verb:
        code, said = check(args.manifest, args.trust, args.context, args.verb)
        print(json.dumps(said))
        return code
    wrong = 0
    for name, case in CASES.items():
        if args.only and args.only not in name:
            continue
        if args.list:
            print(f"{name:<48}{exit_code(case.reason)}  {case.reason}")
            continue
        with tempfile.TemporaryDirectory() as folder:
            problem = run_case(case, Path(folder), args.command)
        print(f"{'FAIL' if problem else 'pass'}  {name}" + (f": {problem}" if problem else ""))
        wrong += bool(problem)
    if not args.list:
        print(f"{len(CASES)} cases, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
