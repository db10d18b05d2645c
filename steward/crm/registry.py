"""Every connector's capability table in one place, for ``steward connectors`` and for tests.

A connector registers by one line here. Left to others: what each can do (its own module).
"""

from __future__ import annotations

from dataclasses import asdict

from steward.crm.base import Capabilities
from steward.crm.sql import SQL_CAPABILITIES

FILES_CAPABILITIES = Capabilities(
    system="files",
    restore_keeps_id=False,
    batch_size=1,
    request_lifetime=0.0,
    source="docs/reference/mapping.md; export files can be read and scored, never written back",
)


def capabilities() -> tuple[Capabilities, ...]:
    """Return the table of every connector, sorted by system."""
    return tuple(sorted((SQL_CAPABILITIES, FILES_CAPABILITIES), key=lambda c: c.system))


def as_document() -> list[dict[str, object]]:
    """Return the same for machines."""
    return [asdict(c) for c in capabilities()]
