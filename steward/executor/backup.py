"""The backup bundle: encrypted frames of whole rows, written, made durable and read back before anything is changed.

A **frame** is ``SBF1 ‖ u32 length ‖ u32 crc32 ‖ 16-byte key id ‖ 12-byte nonce ‖ AES-256-GCM(zstd(lines))``, integers
big-endian, length and checksum over what follows them; additional data is ``steward.frame.v1|manifest|segment|index``.
Lines are JSON, one per effect: the row in tagged form (``steward.records.tag``), what becomes of it, and its links.

A **data key** is random and serves one group of about a thousand records; it is wrapped with age for at least two
recipients into ``keys/<key id>.age``, which any age program opens, and is durable before the first frame under it. The
executor holds recipients only: it cannot open what an earlier run wrote. Removing a key file is what expiry means.

A **segment** is one file per run of a manifest. The journal says how far it is good; a longer file has a torn tail, a
shorter one stops everything.

Left to others: when to write (``steward.executor.engine``), what to bring back (``steward.executor.restore``).
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyrage
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from steward.errors import BackupUnreadableError
from steward.executor.ports import Disk, Effect, Hook, no_hook
from steward.messages import N_
from steward.records import Record, RecordKey, tag, untag

MAGIC = b"SBF1"
_HEAD = struct.Struct(">4sII")
_BODY = 16 + 12
GROUP_RECORDS = 1_000
MAX_FRAME = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class FrameRef:
    """Where a frame is and what it must be."""

    segment: str
    index: int
    offset: int
    length: int
    sha256: str
    key: str


def encode_effects(effects: Iterable[Effect]) -> bytes:
    """Return the plain lines of a frame."""
    lines = []
    for e in effects:
        line = {
            "seq": e.seq,
            "role": e.role,
            "op": e.op,
            "object": e.before.key.object,
            "id": e.before.key.id,
            "version": e.before.version,
            "deleted": e.before.deleted,
            "fields": {name: tag(value) for name, value in e.before.fields.items()},
            "changes": {name: tag(value) for name, value in e.changes.items()},
        }
        lines.append(json.dumps(line, ensure_ascii=False, separators=(",", ":")))
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def decode_effects(plain: bytes) -> list[Effect]:
    """Return the effects of a frame; the inverse of :func:`encode_effects`.

    Raises
    ------
    BackupUnreadableError
    """
    effects = []
    try:
        # Not splitlines(): customer text may hold U+2028 and other line ends that JSON leaves as they are.
        for raw in plain.decode("utf-8", "surrogatepass").split("\n"):
            line = json.loads(raw)
            record = Record(
                RecordKey(line["object"], line["id"]),
                {name: untag(value) for name, value in line["fields"].items()},
                line["version"],
                line["deleted"],
            )
            changes = {name: untag(value) for name, value in line["changes"].items()}
            effects.append(Effect(line["seq"], line["role"], line["op"], record, changes))
    except (ValueError, KeyError, TypeError) as error:
        raise unreadable("content") from error
    return effects


def unreadable(what: str) -> BackupUnreadableError:
    """Return the refusal for a frame that cannot be read."""
    return BackupUnreadableError(
        N_("A backup frame cannot be read back ({what})."),
        next_step=N_("Nothing of it was sent. Look at the disk, then run again."),
        what=what,
    )


def key_name(key: str) -> str:
    """Name of the file with a wrapped data key."""
    return f"keys/{key}.age"


def segment_name(segment: str) -> str:
    """Name of a segment's file."""
    return f"{segment}.frames"


def _aad(manifest: str, segment: str, index: int) -> bytes:
    return f"steward.frame.v1|{manifest}|{segment}|{index}".encode()


def parse_recipient(text: str) -> Any:
    """Return an age or SSH recipient.

    Raises
    ------
    BackupUnreadableError
        Not a recipient: nobody could open the backup.
    """
    try:
        if text.startswith("ssh-"):
            return pyrage.ssh.Recipient.from_str(text)
        return pyrage.x25519.Recipient.from_str(text)
    except Exception as error:  # pyrage raises its own classes, none exported under one base
        raise BackupUnreadableError(N_("A backup recipient is not an age or SSH public key."), recipient=text[:12]) from error


def check_recipients(recipients: Sequence[str]) -> list[Any]:
    """Return at least two different recipients.

    Raises
    ------
    BackupUnreadableError
    """
    if len(set(recipients)) < 2:
        raise BackupUnreadableError(
            N_("A backup needs at least two recipients."), next_step=N_("One lost key must not lose the backup; name a second.")
        )
    return [parse_recipient(r) for r in dict.fromkeys(recipients)]


class BackupSegment:
    """One growing segment.

    Parameters
    ----------
    disk : Disk
        Of the backup folder.
    manifest, segment : str
    recipients : sequence of str
        At least two.
    note : callable
        Gets the id of each data key before its file is written, and makes it durable.
    """

    def __init__(
        self,
        disk: Disk,
        manifest: str,
        segment: str,
        recipients: Sequence[str],
        *,
        note: Callable[[str], None],
        hook: Hook = no_hook,
        group_records: int = GROUP_RECORDS,
    ) -> None:
        self._disk = disk
        self._note = note
        self.manifest = manifest
        self.segment = segment
        self._recipients = check_recipients(recipients)
        self._hook = hook
        self._group_records = group_records
        self._index = 0
        self._key = b""
        self._cipher: AESGCM | None = None
        self._key_id = ""
        self._nonce = 0
        self._left = 0
        self._compress = zstandard.ZstdCompressor(level=3)
        self._expand = zstandard.ZstdDecompressor()

    def _new_key(self) -> None:
        self._key = AESGCM.generate_key(256)
        self._cipher = AESGCM(self._key)
        self._key_id = os.urandom(16).hex()
        self._nonce = 0
        self._left = self._group_records
        self._note(self._key_id)
        self._hook("backup.key")
        self._disk.write_new(key_name(self._key_id), pyrage.encrypt(self._key, self._recipients))
        self._hook("backup.key.done")

    def write(self, effects: Sequence[Effect]) -> FrameRef:
        """Append a frame, make it durable, read it back from the disk, open it and compare.

        Raises
        ------
        BackupUnreadableError
            What the disk gives back is not what was written.
        """
        if self._left <= 0 or self._cipher is None:
            self._new_key()
        cipher = self._cipher
        assert cipher is not None
        plain = encode_effects(effects)
        nonce = self._nonce.to_bytes(12, "big")
        self._nonce += 1
        self._left -= len(effects)
        sealed = cipher.encrypt(nonce, self._compress.compress(plain), _aad(self.manifest, self.segment, self._index))
        body = bytes.fromhex(self._key_id) + nonce + sealed
        frame = _HEAD.pack(MAGIC, len(body), zlib.crc32(body)) + body
        name = segment_name(self.segment)
        self._hook("backup.append")
        offset = self._disk.append(name, frame)
        self._hook("backup.sync")
        self._disk.sync(name)
        self._hook("backup.read")
        back = self._disk.read(name, offset, len(frame))
        if self._open_frame(back, self._index) != plain:
            raise unreadable("other bytes")
        ref = FrameRef(self.segment, self._index, offset, len(frame), hashlib.sha256(back).hexdigest(), self._key_id)
        self._index += 1
        return ref

    def _open_frame(self, frame: bytes, index: int) -> bytes:
        return open_frame(frame, lambda _: self._key, self.manifest, self.segment, index, self._expand)


def open_frame(
    frame: bytes,
    key_of: Callable[[str], bytes],
    manifest: str,
    segment: str,
    index: int,
    expand: zstandard.ZstdDecompressor | None = None,
) -> bytes:
    """Return the plain lines of one frame.

    Parameters
    ----------
    key_of : callable
        Data key by key id.

    Raises
    ------
    BackupUnreadableError
        Torn, damaged, moved from another place, or under another key.
    """
    if len(frame) < _HEAD.size + _BODY:
        raise unreadable("torn")
    magic, length, crc = _HEAD.unpack_from(frame)
    body = frame[_HEAD.size :]
    if magic != MAGIC or len(body) != length or zlib.crc32(body) != crc:
        raise unreadable("checksum")
    key_id, nonce, sealed = body[:16].hex(), body[16:28], body[28:]
    try:
        packed = AESGCM(key_of(key_id)).decrypt(nonce, sealed, _aad(manifest, segment, index))
        return (expand or zstandard.ZstdDecompressor()).decompress(packed, max_output_size=MAX_FRAME)
    except (InvalidTag, zstandard.ZstdError) as error:
        raise unreadable("decryption") from error


def split_frames(raw: bytes) -> list[bytes]:
    """Return the whole frames at the start of a segment's bytes; a torn tail is left out."""
    frames, at = [], 0
    while at + _HEAD.size <= len(raw):
        magic, length, _ = _HEAD.unpack_from(raw, at)
        end = at + _HEAD.size + length
        if magic != MAGIC or end > len(raw):
            break
        frames.append(raw[at:end])
        at = end
    return frames


class BackupReader:
    """Opens frames with an identity: for restore, rehearsal and ``backup verify``.

    Parameters
    ----------
    disk : Disk
    identities : sequence
        pyrage identities, from :func:`load_identities`.
    """

    def __init__(self, disk: Disk, identities: Sequence[Any]) -> None:
        self._disk = disk
        self._identities = list(identities)
        self._keys: dict[str, bytes] = {}

    def key(self, key_id: str) -> bytes:
        """Unwrap a data key.

        Raises
        ------
        BackupUnreadableError
            Expired (the key file is gone), or not wrapped for this identity.
        """
        if key_id not in self._keys:
            try:
                wrapped = self._disk.read(key_name(key_id))
            except FileNotFoundError:
                raise BackupUnreadableError(
                    N_("The key of this backup is gone: it has expired and was shredded."),
                    next_step=N_("Nothing can be restored from it."),
                    key=key_id,
                ) from None
            try:
                self._keys[key_id] = pyrage.decrypt(wrapped, self._identities)
            except Exception as error:  # pyrage raises its own classes, none exported under one base
                raise BackupUnreadableError(
                    N_("The identity given cannot open this backup."),
                    next_step=N_("Use the key of one of its recipients: --identity FILE."),
                    key=key_id,
                ) from error
        return self._keys[key_id]

    def read(self, manifest: str, ref: FrameRef) -> list[Effect]:
        """Return the effects of one frame after comparing its digest with the journal's.

        Raises
        ------
        BackupUnreadableError
        """
        try:
            frame = self._disk.read(segment_name(ref.segment), ref.offset, ref.length)
        except FileNotFoundError:
            raise unreadable("no file") from None
        if hashlib.sha256(frame).hexdigest() != ref.sha256:
            raise unreadable("digest")
        return decode_effects(open_frame(frame, self.key, manifest, ref.segment, ref.index))


def load_identities(text: str) -> list[Any]:
    """Return the identities of an age identity file, or one unencrypted SSH key.

    Raises
    ------
    BackupUnreadableError
    """
    try:
        if "PRIVATE KEY" in text:
            return [pyrage.ssh.Identity.from_buffer(text.encode())]
        lines = [line.strip() for line in text.splitlines()]
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line.startswith("AGE-SECRET-KEY-")]
    except Exception as error:  # pyrage raises its own classes, none exported under one base
        raise BackupUnreadableError(N_("The identity file cannot be read.")) from error
    if not found:
        raise BackupUnreadableError(
            N_("The identity file holds no identity."), next_step=N_("An age identity begins with AGE-SECRET-KEY-.")
        )
    return found
