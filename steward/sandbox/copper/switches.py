"""What a test or a trainer can turn: limits, the settings the contract leaves unverified, and faults.

Left to others: acting on them (``answering``, ``search``, ``writing``, ``app``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

POLICIES = ("orphan", "null", "cascade", "refuse")
RELATIONS = ("people.company", "opportunity.company", "opportunity.primary_contact", "task.related", "activity.parent")
FAULTS = ("429", "500", "cut_before", "cut_after", "late")
_CHOICES: dict[str, tuple[object, ...]] = {
    "page_size_over": ("refuse", "clamp"),
    "bounds": ("inclusive", "exclusive"),
    "total": ("exact", "overstate", "omit"),
    "rate_body": ("empty", "envelope"),
    "second_delete": ("404", "200"),
    "tags": ("replace", "add"),
    "custom_fields": ("merge", "replace"),
    "parent_by_update": ("changed", "ignored"),
    "hidden": ("404", "403"),
    "link_entity_type": ("plural", "singular"),
}


@dataclass(slots=True)
class Switches:
    """Settings of one sandbox.

    Attributes
    ----------
    per_minute, bulk_per_second : int
        Calls allowed in a rolling minute per key, and bulk calls in a rolling second.
    rate_body : str
        ``empty`` or ``envelope``: body of a 429.
    page_size_over : str
        ``refuse`` (422) or ``clamp`` for a ``page_size`` above 200.
    ceiling : int
        Rows one search exposes however it is paged.
    total, total_extra : str, int
        ``exact``, ``overstate`` (by ``total_extra`` rows) or ``omit``: the header ``X-PW-TOTAL``.
    short_by : int
        Rows left out at the end of every page and given on the next one.
    empty_pages : int
        Empty pages after the first one, before the rest follows.
    bounds : str
        ``inclusive`` or ``exclusive``: whether a minimum or maximum counts itself in.
    overlap, overlap_sorted : int
        Rows of the page before that come again when no ``sort_by`` was sent, and when one was.
    lag : bool
        While on, search answers as before the changes, until ``/_control/settle``.
    team_permissions : bool
        While on, a key that is no admin's sees only what its owner's groups own.
    hidden : str
        Status of a record that is there and may not be seen.
    leads : bool
        Whether the Leads feature is on.
    second_delete : str
        ``404`` or ``200``: deleting what is already gone.
    tags : str
        ``replace`` or ``add``: what an update does with the tags it names.
    custom_fields : str
        ``merge`` or ``replace``: what an update does with the custom fields it does not name.
    parent_by_update : str
        ``changed`` or ``ignored``: what an update does with a task's ``related_resource`` and an activity's ``parent``.
    stubs_in_search : bool
        Whether search lists deleted activities as stubs.
    keep_given_dates : bool
        Whether ``date_created`` in a create is honoured.
    links_both_ways : bool
        Whether ``related_links`` of a record also lists links that point at it.
    link_entity_type : str
        ``plural`` (``people``) or ``singular`` (``person``) in related links.
    drop_webhooks : bool
        Whether notifications are lost.
    on_delete : dict of str to str
        Relation → ``orphan`` (the id dangles), ``null``, ``cascade`` or ``refuse``.
    """

    per_minute: int = 180
    bulk_per_second: int = 3
    rate_body: str = "empty"
    page_size_over: str = "refuse"
    ceiling: int = 100_000
    total: str = "exact"
    total_extra: int = 7
    short_by: int = 0
    empty_pages: int = 0
    bounds: str = "inclusive"
    overlap: int = 3
    overlap_sorted: int = 0
    lag: bool = False
    team_permissions: bool = False
    hidden: str = "404"
    leads: bool = True
    second_delete: str = "404"
    tags: str = "replace"
    custom_fields: str = "merge"
    parent_by_update: str = "changed"
    stubs_in_search: bool = False
    keep_given_dates: bool = False
    links_both_ways: bool = False
    link_entity_type: str = "plural"
    drop_webhooks: bool = False
    on_delete: dict[str, str] = field(default_factory=lambda: dict.fromkeys(RELATIONS, "orphan"))

    def turn(self, changes: dict[str, Any]) -> None:
        """Set the named switches, all or none.

        Raises
        ------
        ValueError
            Unknown switch or a value it does not take.
        """
        known = {f.name: f for f in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"unknown switch: {name}")
            now = getattr(self, name)
            if name == "on_delete":
                good = isinstance(value, dict) and all(k in RELATIONS and v in POLICIES for k, v in value.items())
            elif name in _CHOICES:
                good = value in _CHOICES[name]
            elif isinstance(now, bool):
                good = isinstance(value, bool)
            else:
                good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
            if not good:
                raise ValueError(f"bad value for the switch {name}")
        for name, value in changes.items():
            setattr(self, name, {**self.on_delete, **value} if name == "on_delete" else value)

    def shown(self) -> dict[str, Any]:
        """Return all settings as JSON shows them."""
        return asdict(self)


@dataclass(slots=True)
class Fault:
    """One planned fault.

    Attributes
    ----------
    kind : str
        ``429``, ``500`` (with HTML), ``cut_before`` (nothing applied), ``cut_after`` (applied, no answer) or ``late`` (no
        answer, and applied when ``/_control/late`` says so).
    method, path : str
        Only calls of this method, and with this text in their path; empty means any.
    skip, times : int
        Let so many matching calls pass first; then strike so often.
    """

    kind: str
    method: str = ""
    path: str = ""
    skip: int = 0
    times: int = 1

    def __post_init__(self) -> None:
        if self.kind not in FAULTS:
            raise ValueError(f"unknown fault: {self.kind}")

    def strikes(self, method: str, path: str) -> bool:
        """Tell whether it strikes this call; counts it."""
        if self.times < 1 or (self.method and self.method != method) or self.path not in path:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True
