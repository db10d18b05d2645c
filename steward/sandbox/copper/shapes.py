"""Entities and fields of the contract: names, what a value may look like, which search keys exist, which relations.

Left to others: storing (``state``), searching (``search``), writing (``writing``).
"""

from __future__ import annotations

from typing import Any

SINGULAR = {
    "people": "person", "companies": "company", "leads": "lead", "opportunities": "opportunity",
    "projects": "project", "tasks": "task", "activities": "activity_log", "users": "user",
}  # fmt: skip
PLURAL = {one: many for many, one in SINGULAR.items()}
RECORDS = ("people", "companies", "leads", "opportunities", "projects", "tasks", "activities")
STATUS = ("Open", "Won", "Lost", "Abandoned")
"""Of opportunities, by ``status_ids``."""

_BOTH = ("name", "assignee_id", "details", "tags", "custom_fields")
_CONTACT = ("address", "contact_type_id", "phone_numbers", "socials", "websites")
WRITABLE: dict[str, tuple[str, ...]] = {
    "people": (
        *_BOTH, *_CONTACT, "prefix", "first_name", "middle_name", "last_name", "suffix", "company_id", "emails", "title",
    ),
    "companies": (*_BOTH, *_CONTACT, "email_domain", "primary_contact_id"),
    "leads": (
        *_BOTH, "address", "phone_numbers", "socials", "websites", "prefix", "first_name", "middle_name", "last_name", "suffix",
        "email", "title", "company_name", "customer_source_id", "monetary_value", "monetary_unit", "status", "status_id",
    ),
    "opportunities": (
        *_BOTH, "status", "pipeline_id", "pipeline_stage_id", "company_id", "primary_contact_id", "close_date",
        "monetary_value", "win_probability", "loss_reason_id", "customer_source_id", "priority",
    ),
    "projects": (*_BOTH, "status"),
    "tasks": (*_BOTH, "related_resource", "due_date", "reminder_date", "completed_date", "status", "priority"),
    "activities": ("type", "parent", "details", "activity_date", "user_id"),
}  # fmt: skip
_READ_ONLY = ("id", "date_created", "date_modified")
_SEEN = {
    "people": ("company_name", "date_last_contacted", "interaction_count", "leads_converted_from", "date_lead_created"),
    "companies": ("interaction_count",),
    "leads": ("date_last_contacted", "interaction_count", "converted_at", "converted_contact_id", "converted_opportunity_id"),
    "opportunities": ("date_stage_changed", "date_last_contacted", "interaction_count", "leads_converted_from"),
    "projects": (),
    "tasks": (),
    "activities": ("old_value", "new_value"),
}
LISTS = ("tags", "emails", "phone_numbers", "socials", "websites", "custom_fields", "leads_converted_from")
FIELDS = {kind: (*_READ_ONLY, *WRITABLE[kind], *_SEEN[kind]) for kind in RECORDS}
DEFAULT_SORT = {"people": "first_name", "companies": "date_modified", "tasks": "due_date", "activities": "activity_date"}
"""Where nothing is named here: ``name``."""

_PAGING = ("page_number", "page_size")
_COMMON = (
    *_PAGING, "sort_by", "sort_direction", "ids", "assignee_ids", "minimum_created_date", "maximum_created_date",
    "minimum_modified_date", "maximum_modified_date", "tags", "age",
)  # fmt: skip
_TOUCHED = ("minimum_interaction_count", "maximum_interaction_count", "minimum_interaction_date", "maximum_interaction_date")
SEARCH_KEYS: dict[str, tuple[str, ...]] = {
    "people": (*_COMMON, *_TOUCHED, "emails", "phone_number", "company_ids", "opportunity_ids"),
    "companies": (*_COMMON, *_TOUCHED, "phone_number"),
    "leads": (*_COMMON, *_TOUCHED, "emails", "phone_number", "include_converted_leads"),
    "opportunities": (*_COMMON, *_TOUCHED, "company_ids", "primary_contact_ids", "status_ids"),
    "projects": _COMMON,
    "tasks": _COMMON,
    "activities": (*_PAGING, "sort_by", "sort_direction", "ids", "parent", "full_result"),
    "users": _PAGING,
}

ALLOWED_RELATIONS = frozenset(
    frozenset(pair)
    for pair in (
        ("leads", "tasks"), ("people", "companies"), ("people", "opportunities"), ("people", "tasks"), ("people", "projects"),
        ("companies", "opportunities"), ("companies", "tasks"), ("companies", "projects"), ("opportunities", "projects"),
        ("opportunities", "tasks"), ("projects", "tasks"),
    )
)  # fmt: skip


def label(key: str) -> str:
    """Name of a key as the vendor's messages write it: ``company_id`` → ``Company Id``."""
    return " ".join(word.capitalize() for word in key.split("_"))


def bad_id(key: str, value: object) -> str | None:
    """Complaint about a value that is no positive integer, as the vendor words it."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return None
    name = label(key)
    return f"{name}: Invalid value for {name}: IDs must be positive integers: {value}"


def empty(kind: str) -> dict[str, Any]:
    """Return a record of this kind in which nothing is filled in."""
    return {name: [] if name in LISTS else None for name in FIELDS[kind]}
