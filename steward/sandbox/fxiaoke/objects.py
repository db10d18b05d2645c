"""Objects and fields of the Fxiaoke sandbox: what ``describe`` tells, and the only list of what a record can hold.

Names of fields that the contract page does not give are this tenant's own choice, as every tenant has fields of its
own; a connector must learn them from ``describe``. Left to others: rows (``seed``), answers (``reading``, ``actions``).
"""

from __future__ import annotations

from dataclasses import dataclass

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field: api name, type as the vendor names it, target object of a reference, option values."""

    name: str
    kind: str
    target: str | None = None
    options: tuple[str, ...] = ()
    required: bool = False

    def describe(self) -> Json:
        """Return the field as ``describe`` gives it."""
        told: Json = {
            "api_name": self.name,
            "type": self.kind,
            "label": self.name.replace("_", " "),
            "is_required": self.required,
        }
        if self.target:
            told["target_api_name"] = self.target
        if self.options:
            told["options"] = [{"value": value, "label": value.replace("_", " ")} for value in self.options]
        return told


LIFE = ("ineffective", "under_review", "normal", "in_change", "invalid")
_SYSTEM = (
    FieldSpec("_id", "text", required=True),
    FieldSpec("name", "text", required=True),
    FieldSpec("owner", "employee"),
    FieldSpec("owner_department", "text"),
    FieldSpec("data_own_department", "department"),
    FieldSpec("created_by", "employee"),
    FieldSpec("create_time", "date_time"),
    FieldSpec("last_modified_by", "employee"),
    FieldSpec("last_modified_time", "date_time"),
    FieldSpec("life_status", "select_one", options=LIFE),
    FieldSpec("life_status_before_invalid", "text"),
    FieldSpec("lock_status", "select_one", options=("0", "1")),
    FieldSpec("is_deleted", "true_or_false"),
    FieldSpec("record_type", "record_type"),
    FieldSpec("version", "number"),
)


def _fields(*own: FieldSpec) -> dict[str, FieldSpec]:
    return {field.name: field for field in (*_SYSTEM, *own)}


def _texts(*names: str) -> list[FieldSpec]:
    return [FieldSpec(name, "text") for name in names]


def _to(name: str, target: str) -> FieldSpec:
    return FieldSpec(name, "object_reference", target)


OBJECTS: dict[str, dict[str, FieldSpec]] = {
    "PersonnelObj": _fields(*_texts("user_id", "full_name", "phone", "email"), FieldSpec("status", "select_one", options=("0", "1"))),
    "AccountObj": _fields(
        *_texts("url", "email", "tel", "address", "postcode__c", "city__c", "country__c", "registration_no__c"),
        FieldSpec("industry__c", "text"),
        FieldSpec("employees__c", "number"),
        FieldSpec("legal_hold__c", "true_or_false"),
        FieldSpec("order_count__c", "count"),
    ),
    "ContactObj": _fields(
        _to("account_id", "AccountObj"),
        *_texts("salutation__c", "first_name__c", "last_name__c", "email", "tel1", "mobile1", "job_title", "address"),
        *_texts("postcode__c", "city__c", "country__c", "language__c", "lead_source__c"),
        FieldSpec("date_of_birth", "date"),
        FieldSpec("email_status__c", "select_one", options=("ok", "bounced")),
        FieldSpec("consent__c", "select_one", options=("granted", "none", "withdrawn")),
        FieldSpec("legal_hold__c", "true_or_false"),
        FieldSpec("interests__c", "select_many", options=("fairs", "news", "training")),
        FieldSpec("helpers__c", "employee_many"),
        FieldSpec("files__c", "file_attachment"),
    ),
    "LeadsObj": _fields(
        _to("account_id", "AccountObj"), _to("contact_id", "ContactObj"), _to("new_opportunity_id", "NewOpportunityObj"),
        *_texts("company", "mobile", "email"),
        FieldSpec("biz_status", "select_one", options=("un_assigned", "un_processed", "processed", "transformed", "closed")),
    ),
    "NewOpportunityObj": _fields(
        _to("account_id", "AccountObj"), _to("contact__c", "ContactObj"),
        FieldSpec("sales_stage", "select_one", options=("prospecting", "negotiation", "proposal", "won", "lost")),
        FieldSpec("amount", "currency"), FieldSpec("close_date", "date"), *_texts("currency__c"),
    ),
    "SalesOrderObj": _fields(
        _to("account_id", "AccountObj"), _to("contact__c", "ContactObj"), _to("new_opportunity_id", "NewOpportunityObj"),
        FieldSpec("order_status", "select_one", options=("completed", "shipped")),
        FieldSpec("order_amount", "currency"), FieldSpec("order_time", "date"), *_texts("currency__c"),
    ),
    "PaymentObj": _fields(
        _to("account_id", "AccountObj"), _to("order_id", "SalesOrderObj"),
        FieldSpec("status__c", "select_one", options=("open", "overdue", "disputed", "paid")),
        FieldSpec("payment_amount", "currency"), FieldSpec("payment_time", "date"), FieldSpec("due_date__c", "date"),
    ),
    "x__c": _fields(
        _to("account__c", "AccountObj"), _to("contact__c", "ContactObj"),
        FieldSpec("status__c", "select_one", options=("new", "open", "waiting", "closed")), *_texts("priority__c"),
    ),
}  # fmt: skip
"""Object → its fields. Parents stand before children."""


def is_custom(api: str) -> bool:
    """Tell whether an api name is of a custom object, which has paths of its own."""
    return api.endswith("__c")
