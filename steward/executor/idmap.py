"""Which id became which, published: a file beside the receipt, a table in a CRM in SQL, a webhook.

Losers of merges lead to their survivors, re-created records to their new ids; ``unmerged`` takes a merge back. Warehouses
and other systems that copied ids follow it. Ids and times alone, never a value. Left to others: the table
(``writers.sql_ids``), noting new ids (``engine``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import httpx

from steward.executor.files import StreamedFile
from steward.executor.journal import Journal
from steward.manifest.codec import encode
from steward.manifest.format import Subject
from steward.post import sign_body

CHUNK = 5_000
KIND = "id_map"
TIMEOUT = 10.0


def id_map_lines(journal: Journal, manifest: str) -> Iterator[bytes]:
    """Yield the lines of a manifest's map: canonical JSON without line feeds."""
    for object, old, new, why, at in journal.id_map(manifest):
        yield encode({"object": object, "old": old, "new": new, "why": why, "at": at})


def write_id_map(folder: Path, journal: Journal, manifest: str) -> Subject | None:
    """Write ``<manifest>.idmap.ndjson``; return its name and digest, None where no id changed."""
    lines = id_map_lines(journal, manifest)
    first = next(lines, None)
    if first is None:
        return None
    name = f"{manifest}.idmap.ndjson"
    with StreamedFile(folder / name) as file:
        file.write(first + b"\n")
        for line in lines:
            file.write(line + b"\n")
    return Subject(name=name, digest={"sha256": file.sha256})


def queue_id_map(journal: Journal, manifest: str, at: datetime) -> None:
    """Put the map into the outbox in parts; the caller holds the commit. Again is nothing."""
    part: list[bytes] = []
    number = 0

    def put() -> None:
        nonlocal number
        body = json.dumps({"manifest": manifest, "part": number, "lines": [line.decode() for line in part]})
        journal.db.execute(
            "INSERT OR IGNORE INTO outbox(id, kind, body, at) VALUES (?,?,?,?)",
            (f"{KIND}:{manifest}:{number}", KIND, body, at.isoformat()),
        )
        number += 1
        part.clear()

    for line in list(id_map_lines(journal, manifest)):
        part.append(line)
        if len(part) >= CHUNK:
            put()
    if part:
        put()


def deliver_id_maps(journal: Journal, url: str, secret: bytes, now: datetime, *, client: httpx.Client | None = None) -> int:
    """Send what waits in the outbox; return how many parts still wait. At least once; ``id`` tells a repetition.

    ``X-Steward-Id`` and ``X-Steward-Signature: t=SECONDS,v1=HEX`` are those of every webhook (:mod:`steward.post`). A
    failure is no error of the run: the next run sends again.
    """
    rows = journal.db.execute("SELECT id, body FROM outbox WHERE kind=? AND sent IS NULL ORDER BY at, id", (KIND,)).fetchall()
    if not rows:
        return 0
    ours = client is None
    client = client or httpx.Client(timeout=TIMEOUT, follow_redirects=False)
    left = len(rows)
    try:
        for id, body in rows:
            raw = json.dumps({"id": id, **json.loads(body)}).encode()
            seconds = int(now.timestamp())
            signature = f"t={seconds},v1={sign_body(secret, seconds, raw)}"
            headers = {"Content-Type": "application/json", "X-Steward-Id": id, "X-Steward-Signature": signature}
            try:
                answer = client.post(url, content=raw, headers=headers)
                delivered = answer.is_success
            except httpx.HTTPError:
                delivered = False
            with journal.commit():
                if delivered:
                    journal.db.execute("UPDATE outbox SET sent=?, attempts=attempts+1 WHERE id=?", (now.isoformat(), id))
                    left -= 1
                else:
                    journal.db.execute("UPDATE outbox SET attempts=attempts+1 WHERE id=?", (id,))
            if not delivered:
                break
    finally:
        if ours:
            client.close()
    return left


__all__ = ["deliver_id_maps", "id_map_lines", "queue_id_map", "write_id_map"]
