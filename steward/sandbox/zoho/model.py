"""Modules and fields of the sandbox organisation, as plain tables.

Every kind of field that a list answer treats in its own way is present: long rich text, subforms, multi-select
pick lists, multi-select look-ups, look-ups, owners, dates and moments. Left to others: rows (``seed``), answers (``reading``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

STATUS = ("Active", "Dormant", "Prospect")
TOPICS = ("Newsletter", "Events", "Product news", "Surveys")
ONLY_SINGLE = frozenset({"subform", "multiselectlookup", "multiuserlookup"})
"""Kinds that a list leaves out; only one record or ``fetch_full_data`` gives them."""
JSON_TYPES = {
    "boolean": "boolean", "integer": "integer", "double": "double", "currency": "double", "lookup": "jsonobject",
    "ownerlookup": "jsonobject", "subform": "jsonarray", "multiselectpicklist": "jsonarray", "multiselectlookup": "jsonarray",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """One field: API name, vendor kind, and for look-ups the module it points to."""

    name: str
    kind: str
    target: str = ""
    custom: bool = False
    choices: tuple[str, ...] = ()

    @property
    def rich(self) -> bool:
        """Whether a list answer cuts the value."""
        return self.kind == "textarea"


def _f(name: str, kind: str = "text", target: str = "", *, custom: bool = False, choices: tuple[str, ...] = ()) -> Field:
    return Field(name, kind, target, custom, choices)


_SYSTEM = (
    _f("id", "bigint"), _f("Owner", "ownerlookup"), _f("Created_By", "ownerlookup"), _f("Modified_By", "ownerlookup"),
    _f("Created_Time", "datetime"), _f("Modified_Time", "datetime"), _f("Tag", "text"),
)  # fmt: skip
_PERSON = (
    _f("Salutation", "picklist"), _f("First_Name"), _f("Last_Name"), _f("Full_Name"), _f("Email", "email"), _f("Phone", "phone"),
    _f("Mobile", "phone"), _f("Lead_Source", "picklist"), _f("Email_Opt_Out", "boolean"), _f("Last_Activity_Time", "datetime"),
    _f("Description", "textarea"), _f("Background", "textarea", custom=True), _f("Language", custom=True),
    _f("Interests", "multiselectpicklist", custom=True, choices=TOPICS),
    _f("Standing", "picklist", custom=True, choices=STATUS),
    _f("Legal_Hold", "boolean", custom=True), _f("Score", "integer", custom=True), _f("Weight", "double", custom=True),
)  # fmt: skip

MODULES: dict[str, tuple[Field, ...]] = {
    "Accounts": (
        *_SYSTEM, _f("Account_Name"), _f("Website", "website"), _f("Email", "email", custom=True), _f("Phone", "phone"),
        _f("Billing_Street"), _f("Billing_Code"), _f("Billing_City"), _f("Billing_Country"),
        _f("Registration_No", custom=True), _f("Industry", "picklist"), _f("Employees", "integer"),
        _f("Parent_Account", "lookup", "Accounts"), _f("Description", "textarea"), _f("Legal_Hold", "boolean", custom=True),
        _f("Last_Activity_Time", "datetime"),
    ),
    "Contacts": (
        *_SYSTEM, *_PERSON, _f("Account_Name", "lookup", "Accounts"), _f("Reporting_To", "lookup", "Contacts"), _f("Title"),
        _f("Date_of_Birth", "date"), _f("Mailing_Street"), _f("Mailing_Zip"), _f("Mailing_City"), _f("Mailing_Country"),
        _f("Visits", "subform", custom=True), _f("Partners", "multiselectlookup", "Accounts", custom=True),
    ),
    "Leads": (
        *_SYSTEM, *_PERSON, _f("Company"), _f("Designation"), _f("Street"), _f("Zip_Code"), _f("City"), _f("Country"),
        _f("Converted__s", "boolean"),
    ),
    "Deals": (
        *_SYSTEM, _f("Deal_Name"), _f("Stage", "picklist"), _f("Amount", "currency"), _f("Currency", "picklist"),
        _f("Closing_Date", "date"), _f("Account_Name", "lookup", "Accounts"), _f("Contact_Name", "lookup", "Contacts"),
        _f("Description", "textarea"),
    ),
    "Tasks": (
        *_SYSTEM, _f("Subject"), _f("Status", "picklist"), _f("Due_Date", "date"), _f("Who_Id", "lookup", "Contacts"),
        _f("What_Id", "lookup", "Accounts"), _f("Description", "textarea"),
    ),
    "Calls": (
        *_SYSTEM, _f("Subject"), _f("Call_Type", "picklist"), _f("Call_Start_Time", "datetime"),
        _f("Who_Id", "lookup", "Contacts"), _f("What_Id", "lookup", "Accounts"),
    ),
    "Events": (
        *_SYSTEM, _f("Event_Title"), _f("Start_DateTime", "datetime"), _f("Who_Id", "lookup", "Contacts"),
        _f("What_Id", "lookup", "Accounts"),
    ),
    "Cases": (
        *_SYSTEM, _f("Subject"), _f("Status", "picklist"), _f("Priority", "picklist"),
        _f("Account_Name", "lookup", "Accounts"), _f("Related_To", "lookup", "Contacts"),
    ),
    "Sales_Orders": (
        *_SYSTEM, _f("Subject"), _f("Status", "picklist"), _f("Grand_Total", "currency"), _f("Order_Date", "date"),
        _f("Account_Name", "lookup", "Accounts"), _f("Contact_Name", "lookup", "Contacts"), _f("Deal_Name", "lookup", "Deals"),
    ),
    "Invoices": (
        *_SYSTEM, _f("Subject"), _f("Status", "picklist"), _f("Grand_Total", "currency"), _f("Invoice_Date", "date"),
        _f("Due_Date", "date"), _f("Account_Name", "lookup", "Accounts"), _f("Contact_Name", "lookup", "Contacts"),
        _f("Sales_Order", "lookup", "Sales_Orders"),
    ),
    "Notes": (*_SYSTEM, _f("Note_Title"), _f("Note_Content", "textarea"), _f("Parent_Id", "lookup", "se_module")),
    "Attachments": (*_SYSTEM, _f("File_Name"), _f("Size", "bigint"), _f("Parent_Id", "lookup", "se_module")),
}  # fmt: skip

NAME_OF = {
    "Accounts": "Account_Name", "Contacts": "Full_Name", "Leads": "Full_Name", "Deals": "Deal_Name", "Tasks": "Subject",
    "Calls": "Subject", "Events": "Event_Title", "Cases": "Subject", "Sales_Orders": "Subject", "Invoices": "Subject",
    "Notes": "Note_Title", "Attachments": "File_Name",
}  # fmt: skip
RELATED: dict[str, dict[str, tuple[str, str]]] = {
    "Accounts": {
        "Contacts": ("Contacts", "Account_Name"), "Deals": ("Deals", "Account_Name"), "Tasks": ("Tasks", "What_Id"),
        "Calls": ("Calls", "What_Id"), "Events": ("Events", "What_Id"), "Cases": ("Cases", "Account_Name"),
        "Invoices": ("Invoices", "Account_Name"), "SalesOrders": ("Sales_Orders", "Account_Name"), "Notes": ("Notes", "Parent_Id"),
        "Attachments": ("Attachments", "Parent_Id"),
    },
    "Contacts": {
        "Deals": ("Deals", "Contact_Name"), "Tasks": ("Tasks", "Who_Id"), "Calls": ("Calls", "Who_Id"),
        "Events": ("Events", "Who_Id"), "Cases": ("Cases", "Related_To"), "Invoices": ("Invoices", "Contact_Name"),
        "SalesOrders": ("Sales_Orders", "Contact_Name"), "Notes": ("Notes", "Parent_Id"),
        "Attachments": ("Attachments", "Parent_Id"),
    },
    "Leads": {"Tasks": ("Tasks", "Who_Id"), "Notes": ("Notes", "Parent_Id"), "Attachments": ("Attachments", "Parent_Id")},
    "Deals": {"Notes": ("Notes", "Parent_Id"), "Attachments": ("Attachments", "Parent_Id"), "SalesOrders": ("Sales_Orders", "Deal_Name")},
}  # fmt: skip
"""Module → related list → (module of the children, their look-up field)."""
FOLLOWING = ("Notes", "Attachments")
"""Modules whose records go into the bin with their parent and come back with it."""


def field_of(module: str, name: str) -> Field | None:
    """Return the field of that API name."""
    return next((f for f in MODULES[module] if f.name == name), None)


def module_meta(index: int, module: str) -> dict[str, Any]:
    """One entry of ``settings/modules``."""
    label = module.replace("_", " ")
    return {
        "id": str(7_000_000_000_000_000_000 + index), "api_name": module, "module_name": module, "plural_label": label,
        "singular_label": label.removesuffix("s"), "generated_type": "default", "api_supported": True, "viewable": True,
        "editable": True, "deletable": True, "creatable": True, "visible": True, "status": "visible",
    }  # fmt: skip


def field_meta(index: int, field: Field) -> dict[str, Any]:
    """One entry of ``settings/fields``."""
    meta: dict[str, Any] = {
        "id": str(7_100_000_000_000_000_000 + index), "api_name": field.name, "field_label": field.name.replace("_", " "),
        "data_type": field.kind, "json_type": JSON_TYPES.get(field.kind, "string"), "custom_field": field.custom,
        "visible": True, "read_only": field.name in {"id", "Created_Time", "Modified_Time"}, "length": 32_000 if field.rich else 255,
        "pick_list_values": [{"display_value": c, "actual_value": c} for c in field.choices], "lookup": {},
    }  # fmt: skip
    if field.rich:
        meta["textarea"] = {"type": "rich_text"}
    if field.kind in {"lookup", "multiselectlookup"}:
        meta["lookup"] = {"module": {"api_name": field.target, "id": "0"}, "display_label": field.name}
    if field.kind == "subform":
        meta["subform"] = {"module": field.name, "id": "0"}
        meta["associated_module"] = {"module": field.name, "id": "0"}
    return meta
