"""A local server that speaks Fxiaoke's OpenAPI (纷享销客), for trials, training and tests.

Written from the contract alone and apart from the reader, so that one misreading is not made twice. What the contract
leaves open is a switch (``world.Switches``). Needs the extra ``sandbox``. Left to others: reading it
(``steward.crm.fxiaoke``).
"""

from __future__ import annotations

from importlib import resources

from steward.sandbox.fxiaoke.gateway import create_app

__all__ = ["create_app", "sandbox_mapping"]


def sandbox_mapping() -> str:
    """Return the mapping file of the sandbox's tenant as TOML text."""
    return resources.files(__name__).joinpath("mapping.toml").read_text(encoding="utf-8")
