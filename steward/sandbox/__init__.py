"""CRMs to train, rehearse and test on: a generated one in SQL, and local servers that speak a vendor's wire contract.

Nothing here is copied from real customers: names are drawn from word lists, mail addresses are in reserved domains, and
phone numbers in ranges kept for fiction where a regulator keeps any. Left to others: reading a CRM (``steward.crm``).
"""

from __future__ import annotations

from importlib import resources

from steward.sandbox.build import AS_OF, Truth, build_crm

__all__ = ["AS_OF", "Truth", "build_crm", "demo_mapping"]


def demo_mapping(*, tenant: str = "demo", environment: str = "sandbox") -> str:
    """Return the mapping file of the embedded CRM as TOML text."""
    text = resources.files(__name__).joinpath("demo_mapping.toml").read_text(encoding="utf-8")
    for name, default, wanted in (("tenant", "demo", tenant), ("environment", "sandbox", environment)):
        quoted = wanted.replace("\\", "\\\\").replace('"', '\\"')
        text = text.replace(f'{name} = "{default}"', f'{name} = "{quoted}"', 1)
    return text
