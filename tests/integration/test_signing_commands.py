"""keys, trust, inspect, sign and veto as people run them, on real folders; ssh-keygen as a real counterpart."""

from __future__ import annotations

import os
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from steward import __version__
from steward.commands._signing import now
from steward.errors import MalformedManifestError, TrustError
from steward.manifest_files import FileItems, ManifestFolder, read_trust_folder, write_file
from steward.signing import PolicyInForce, VerifyContext, load_trust, verify
from steward.ssh_keygen import SshKeygenSigner, armor, ssh_public_key
from tests.support import signing as world
from tests.support.signing_commands import POLICY, WORD, Run, first_trust, folder, keys, lay, made_now, run, trust

__all__ = ["first_trust", "folder", "keys", "run", "trust"]  # fixtures


def approved(path: Path, trust: Path) -> Any:
    from steward.policy import parse_policy

    policy = parse_policy(POLICY.read_text())
    pin = trust.with_name("trust.pin").read_text().strip()
    store = load_trust(read_trust_folder(trust), pin=pin, now=now())
    where = ManifestFolder(path)
    context = VerifyContext(
        tenant="acme", system="sql", environment="production", now=now(), policies={policy.digest: PolicyInForce.of(policy)},
        tool_version=__version__, vetoes=where.vetoes(),
    )  # fmt: skip
    return verify(where.envelope(), where.items(), store, context)


def test_a_manifest_is_inspected_signed_and_then_verified(folder: Path, trust: Path, keys: Path, run: Run) -> None:
    code, seen, _err = run("inspect", folder, "--trust", trust)
    assert code == 0 and seen["records"] == 3 and seen["missing"] == {"contact": ["steward"]} and seen["signed_by"] == []
    for count in (2, 4, 0, -3):
        code, _, err = run(
            "sign", folder, "--key", keys / "bob", "--passphrase-file", keys / "pw", "--trust", trust, "--count", count
        )
        assert code == 2 and "Nothing was signed" in err
    assert run("inspect", folder, "--trust", trust)[1]["signed_by"] == []
    code, done, _err = run(
        "sign", folder, "--key", keys / "bob", "--passphrase-file", keys / "pw", "--trust", trust, "--count", 3
    )
    assert code == 0 and done == {"manifest_id": folder.name, "digest": seen["digest"], "signed_as": "bob", "missing": {}}
    found = approved(folder, trust)
    assert found.approvers == ("bob",) and found.digest == seen["digest"] and len(list(found.items)) == 3
    assert run("sign", folder, "--key", keys / "bob", "--passphrase-file", keys / "pw", "--trust", trust, "--count", 3)[0] == 7


def test_what_was_swapped_after_it_was_shown_is_not_signed(folder: Path, trust: Path, keys: Path, run: Run) -> None:
    """A notebook shows A and leaves B: the command signs only what it verified, under the digest that was given."""
    digest = run("inspect", folder, "--trust", trust)[1]["digest"]
    other = world.manifest(3, nonce=9)
    (folder / "items.ndjson").write_bytes(other.items.replace(b'"seq":1', b'"seq":7'))
    assert run("sign", folder, "--key", keys / "bob", "--passphrase-file", keys / "pw", "--trust", trust, "--count", 3)[0] == 7
    assert (
        run(
            "sign",
            folder,
            "--key",
            keys / "bob",
            "--passphrase-file",
            keys / "pw",
            "--trust",
            trust,
            "--count",
            3,
            "--digest",
            "0" * 64,
        )[0]
        == 7
    )
    assert digest


def test_a_veto_stops_signing_and_running(folder: Path, trust: Path, keys: Path, run: Run) -> None:
    run("sign", folder, "--key", keys / "bob", "--passphrase-file", keys / "pw", "--trust", trust, "--count", 3)
    code, done, _ = run(
        "veto",
        folder,
        "--reason",
        "talks",
        "--item",
        1,
        "--key",
        keys / "eve",
        "--passphrase-file",
        keys / "pw",
        "--trust",
        trust,
    )
    assert code == 0 and done["scope"] == [1]
    assert approved(folder, trust).vetoed == {1}
    assert run("sign", folder, "--key", keys / "cid", "--passphrase-file", keys / "pw", "--trust", trust, "--count", 3)[0] == 8
    assert (
        run("veto", folder, "--reason", "all of it", "--key", keys / "bob", "--passphrase-file", keys / "pw", "--trust", trust)[
            0
        ]
        == 0
    )
    with pytest.raises(TrustError):
        approved(folder, trust)
    assert (
        run("veto", folder, "--reason", "x\u202e", "--key", keys / "bob", "--passphrase-file", keys / "pw", "--trust", trust)[0]
        == 2
    )
    assert (
        run("veto", folder, "--reason", "no right", "--key", keys / "ada", "--passphrase-file", keys / "pw", "--trust", trust)[
            0
        ]
        == 8
    )


def test_a_plan_can_be_required(folder: Path, trust: Path, keys: Path, run: Run) -> None:
    code, _, err = run(
        "sign",
        folder,
        "--key",
        keys / "bob",
        "--passphrase-file",
        keys / "pw",
        "--trust",
        trust,
        "--count",
        3,
        "--require-plan",
    )
    assert code == 8 and "plan" in err


def test_the_executors_plan_and_the_last_manifest_are_shown_beside_what_is_signed(
    folder: Path, trust: Path, keys: Path, run: Run, tmp_path: Path
) -> None:
    from steward.executor.documents import PlanPredicate
    from steward.manifest import PLAN_TYPE, Subject
    from steward.signing import sign_statement

    bob = ("--key", keys / "bob", "--passphrase-file", keys / "pw", "--trust", trust, "--count", 3)
    (tmp_path / "machine.pub").write_text(world.signer("machine").public_key.openssh_line("machine"))
    assert (
        run("trust", "add", "executor", "night", "--tenant", "acme", "--pub", tmp_path / "machine.pub", "--trust", trust)[0]
        == 0
    )
    for name in ("ria", "rex"):
        assert run("trust", "sign", "--key", keys / name, "--passphrase-file", keys / "pw", "--trust", trust)[0] == 0
    before = made_now([world.item(0), world.item(1, id="elsewhere")], nonce=7, created_at=now() - timedelta(days=2, hours=1))
    lay(folder.parent, before)
    lay(folder.parent, made_now(1, nonce=8, tenant="other"))
    lay(folder.parent, made_now(1, nonce=9, created_at=now() - timedelta(days=1), not_before=now() + timedelta(hours=1)))
    (folder.parent / "0000000000000000000000000Z").mkdir()  # no manifest at all

    def plan(statement: str, signer: str = "machine") -> bytes:
        said = PlanPredicate(
            manifest_id=folder.name, statement=statement, approved=False, at=now(), executor="night", records=3,
            verdicts={"apply": 1, "drift/version": 2}, related={"note.contact_id/detach": 4}, batches=1, requests=9, credits=0,
            seconds=12, backup_bytes=1, free_bytes=2,
        )  # fmt: skip
        subject = [Subject(name="statement", digest={"sha256": statement})]
        return sign_statement([world.signer(signer)], subject=subject, predicate_type=PLAN_TYPE, predicate=said)

    code, seen, _ = run("inspect", folder, "--trust", trust)
    assert code == 0 and seen["plan"] is None
    last = seen["since_last"]
    assert last["manifest_id"] == before.predicate.manifest_id and last["signed_by"] == []
    assert (last["new"], last["gone"], last["changed"], last["same"]) == (2, 1, 0, 1)
    (folder / "plan.dsse.json").write_bytes(plan("0" * 64))
    code, _, err = run("sign", folder, *bob, "--require-plan")
    assert code == 8 and "another one" in err
    (folder / "plan.dsse.json").write_bytes(plan(seen["digest"], "mallory"))
    assert run("sign", folder, *bob, "--require-plan")[0] == 8
    code, _, err = run("inspect", folder, "--trust", trust)
    assert code == 0 and "does not hold" in err
    (folder / "plan.dsse.json").write_bytes(plan(seen["digest"]))
    seen = run("inspect", folder, "--trust", trust)[1]
    assert seen["plan"]["applies"] == 1 and seen["plan"]["stays"] == {"drift/version": 2} and seen["plan"]["seconds"] == 12
    assert run("inspect", folder, "--trust", trust, "--against", tmp_path / "nowhere")[0] == 7
    assert run("sign", folder, *bob, "--require-plan")[0] == 0


def test_trust_changes_are_drafts_until_both_roots_have_signed(trust: Path, keys: Path, run: Run) -> None:
    assert run("trust", "remove", "person", "bob", "--trust", trust)[0] == 0
    assert run("trust", "show", "--trust", trust)[1]["version"] == 1
    assert run("trust", "sign", "--key", keys / "bob", "--passphrase-file", keys / "pw", "--trust", trust)[0] == 8
    for name in ("ria", "rex"):
        assert run("trust", "sign", "--key", keys / name, "--passphrase-file", keys / "pw", "--trust", trust)[0] == 0
    shown = run("trust", "show", "--trust", trust)[1]
    assert shown["version"] == 2 and shown["holds"] and {p["id"] for p in shown["document"]["people"]} == {"ada", "cid", "eve"}
    assert run("trust", "remove", "person", "nobody", "--trust", trust)[0] == 2
    assert run("trust", "add", "person", "twin", "--role", "steward", "--pub", keys / "cid.pub", "--trust", trust)[0] == 8


def test_a_root_holder_may_sign_with_an_ssh_key(keys: Path, ssh_key: Path, tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "store"
    at = ("--trust", folder)
    assert run("trust", "init", "--root", f"ria={keys / 'ria.pub'}", *at)[0] == 2, "one is not enough"
    roots = ("--root", f"ria={keys / 'ria.pub'}", "--root-ssh", f"rex={ssh_key}.pub")
    assert run("trust", "init", *roots, *at)[0] == 0
    assert run("trust", "sign", "--key", keys / "ria", "--passphrase-file", keys / "pw", *at)[1]["holds"] is False
    code, done, err = run("trust", "sign", "--ssh-key", ssh_key, *at)
    assert code == 0 and done == {"version": 1, "signed_as": "rex", "holds": True}, err
    # Rotation: the new holders and the old ones sign.
    assert run("trust", "rotate", "--root", f"ria={keys / 'ria.pub'}", "--root", f"eve={keys / 'eve.pub'}", *at)[0] == 0
    for words, holds in ((("--key", keys / "ria"), False), (("--key", keys / "eve"), False), (("--ssh-key", ssh_key), True)):
        passphrase = () if words[0] == "--ssh-key" else ("--passphrase-file", keys / "pw")
        assert run("trust", "sign", *words, *passphrase, *at)[1]["holds"] is holds
    assert run("trust", "show", *at)[1]["version"] == 2


def test_there_is_no_trust_at_first_sight(folder: Path, trust: Path, run: Run) -> None:
    trust.with_name("trust.pin").unlink()
    code, _, err = run("inspect", folder, "--trust", trust)
    assert code == 8 and "--pin" in err
    assert run("inspect", folder, "--trust", trust, "--pin", "0" * 64)[0] == 8


def test_keys_and_passphrases_that_others_could_read_are_refused(
    folder: Path, trust: Path, keys: Path, run: Run, tmp_path: Path
) -> None:
    open_word = tmp_path / "open"
    open_word.write_text(WORD)
    open_word.chmod(0o644)
    assert run("sign", folder, "--key", keys / "bob", "--passphrase-file", open_word, "--trust", trust, "--count", 3)[0] == 8
    wrong = tmp_path / "wrong"
    wrong.write_text("canary-wrong-passphrase")
    wrong.chmod(0o400)
    code, _, err = run("sign", folder, "--key", keys / "bob", "--passphrase-file", wrong, "--trust", trust, "--count", 3)
    assert code == 8 and "canary" not in err
    assert run("keys", "new", "--person", "bob", "--to", keys / "bob", "--passphrase-file", keys / "pw")[0] == 2, (
        "no key is overwritten"
    )


def test_only_regular_files_are_read(folder: Path, trust: Path, run: Run, tmp_path: Path) -> None:
    items = folder / "items.ndjson"
    kept = items.read_bytes()
    for make in (
        lambda: os.mkfifo(items),
        lambda: items.symlink_to(tmp_path / "elsewhere"),
        lambda: items.mkdir(),
        lambda: items.symlink_to("/dev/zero"),
        lambda: None,
    ):
        if items.is_dir() and not items.is_symlink():
            items.rmdir()
        else:
            items.unlink(missing_ok=True)
        (tmp_path / "elsewhere").write_bytes(kept)
        make()
        assert run("inspect", folder, "--trust", trust)[0] == 7
    (tmp_path / "link").symlink_to(folder)
    assert run("inspect", tmp_path / "link", "--trust", trust)[0] == 7


def test_files_that_only_look_like_vetoes_refuse(folder: Path) -> None:
    (folder / "veto-of-mine.json").write_text("{}")
    with pytest.raises(MalformedManifestError):
        ManifestFolder(folder).vetoes()


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"one", exclusive=True)
    with pytest.raises(Exception, match="exists"):
        write_file(tmp_path / "a", b"two", exclusive=True)
    write_file(tmp_path / "a", b"three")
    assert (tmp_path / "a").read_bytes() == b"three" and sorted(p.name for p in tmp_path.iterdir()) == ["a"]
    with FileItems(tmp_path / "a") as items:
        assert items.size == 5 and items.read(1, 99) == b"hree"


# SSH keys -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ssh_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("ssh") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
    return file


def test_ssh_keygen_signs_and_ssh_keygen_agrees(ssh_key: Path, tmp_path: Path) -> None:
    signer = SshKeygenSigner(ssh_key)
    signature = signer.sign(b"message")
    ssh_public_key(ssh_key.with_name("id.pub")).verify(signature, b"message")
    (tmp_path / "sig").write_text(armor(signature))
    (tmp_path / "allowed").write_text("bob " + ssh_key.with_name("id.pub").read_text())
    check = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-f",
        str(tmp_path / "allowed"),
        "-I",
        "bob",
        "-n",
        "steward-manifest@v1",
        "-s",
        str(tmp_path / "sig"),
    ]
    assert subprocess.run(check, input=b"message", capture_output=True).returncode == 0
    assert subprocess.run(check, input=b"massage", capture_output=True).returncode != 0


def test_an_ssh_signature_made_for_another_use_is_none(ssh_key: Path, tmp_path: Path) -> None:
    from steward.errors import BadSignatureError
    from steward.ssh_keygen import dearmor

    (tmp_path / "m").write_bytes(b"message")
    subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-q", "-f", str(ssh_key), "-n", "git", str(tmp_path / "m")],
        check=True,
        capture_output=True,
    )
    other = dearmor((tmp_path / "m.sig").read_text())
    public = ssh_public_key(ssh_key.with_name("id.pub"))
    with pytest.raises(BadSignatureError):
        public.verify(other, b"message")
    good = SshKeygenSigner(ssh_key).sign(b"message")
    for at in range(len(good)):
        for bit in range(8):
            flipped = bytearray(good)
            flipped[at] ^= 1 << bit
            with pytest.raises(BadSignatureError):
                public.verify(bytes(flipped), b"message")


def test_an_ssh_agent_signs_for_a_person_of_the_trust_store(
    folder: Path, trust: Path, keys: Path, run: Run, ssh_key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        run(
            "trust",
            "add",
            "person",
            "sam",
            "--role",
            "steward",
            "--pub",
            ssh_key.with_name("id.pub"),
            "--ssh",
            "--trust",
            trust,
        )[0]
        == 0
    )
    for name in ("ria", "rex"):
        assert run("trust", "sign", "--key", keys / name, "--passphrase-file", keys / "pw", "--trust", trust)[0] == 0
    agent = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True).stdout
    words = dict(part.split("=", 1) for part in agent.replace("\n", ";").split(";") if part.startswith("SSH_"))
    try:
        for name, value in words.items():
            monkeypatch.setenv(name, value)
        subprocess.run(["ssh-add", "-q", str(ssh_key)], check=True, capture_output=True)
        alone = folder.parent / "id.pub"
        alone.write_bytes(ssh_key.with_name("id.pub").read_bytes())
        code, done, err = run("sign", folder, "--ssh-key", alone, "--trust", trust, "--count", 3)
        assert code == 0, err
        assert done["signed_as"] == "sam"
    finally:
        os.kill(int(words["SSH_AGENT_PID"]), 15)
    assert approved(folder, trust).approvers == ("sam",)
