"""How records hang together in a snapshot: chains of references from a document or activity up to a customer.

An activity may point to a contact, the contact to a company: the company's last activity is then found over two steps.
Chains follow the ``parents`` of the mapping, never through users, never twice through the same object, at most three
steps. It also knows which snapshots came before. Left to others: what is made of them (``staleness``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steward.crm.mapping import Mapping, ObjectMapping
from steward.records import Snapshot
from steward.store.sql import quote

if TYPE_CHECKING:
    from steward.store import Workspace

DEPTH = 3
CUSTOMER_ROLES = ("person", "company", "lead")


@dataclass(frozen=True, slots=True)
class Chain:
    """One way from a source object to a target: ``steps`` are (object, column) pairs, the source's first."""

    source: str
    target: str
    steps: tuple[tuple[str, str], ...]


def chains(mapping: Mapping, source: ObjectMapping, target: str) -> list[Chain]:
    """Return every chain from ``source`` to ``target``, shortest first."""
    found: list[Chain] = []

    def walk(entry: ObjectMapping, steps: tuple[tuple[str, str], ...], seen: frozenset[str]) -> None:
        for column, parent in entry.parents.items():
            taken = (*steps, (entry.name, column))
            if parent == target:
                found.append(Chain(source.name, target, taken))
            elif parent not in seen and len(taken) < DEPTH and mapping.objects[parent].role != "user":
                walk(mapping.objects[parent], taken, seen | {parent})

    if source.name != target:
        walk(source, (), frozenset({source.name}))
    return sorted(found, key=lambda c: (len(c.steps), c.steps))


def earlier_snapshots(ws: Workspace, snapshot: Snapshot) -> list[Snapshot]:
    """Return the snapshots of the same source that were taken before this one, the oldest first."""
    same = (snapshot.system, snapshot.tenant, snapshot.environment)
    found = [
        s
        for s in ws.snapshots()
        if (s.system, s.tenant, s.environment) == same and s.taken_at < snapshot.taken_at and s.digest != snapshot.digest
    ]
    return sorted(found, key=lambda s: s.taken_at)


def of_roles(mapping: Mapping, *roles: str) -> Iterator[ObjectMapping]:
    """Objects of these roles, in the order of the mapping."""
    return (entry for entry in mapping.objects.values() if entry.role in roles)


def joined(chain: Chain, tables: dict[str, str], columns: str, where: str = "true") -> str:
    """Return SQL that gives ``target`` (id of the customer) and ``columns`` of the source (alias ``s``) for one chain.

    Records in the recycle bin are passed through between source and target, for what hangs on them still hangs, but
    ``where`` decides about the source itself.
    """
    sql = [f"FROM {tables[chain.source]} s"]
    at = "s"
    for number, (_object, column) in enumerate(chain.steps[:-1], start=1):
        parent = chain.steps[number][0]
        sql.append(f"JOIN {tables[parent]} p{number} ON p{number}._id = {at}.{quote(column)}")
        at = f"p{number}"
    last = f"{at}.{quote(chain.steps[-1][1])}"
    return f"SELECT {last} AS target, {columns} {' '.join(sql)} WHERE {last} IS NOT NULL AND ({where})"
