"""A local company that speaks Jiandaoyun's wire contract, to train and rehearse on and to test the connector with.

Written from the contract page alone and sharing no code with the connector, so that one misreading is not made twice.
What the page leaves unverified is a switch (``state.SETTINGS``). Needs the extra ``sandbox``. Left to others: the connector
(``steward.crm``), the generated customers (``steward.sandbox``).
"""

from __future__ import annotations

from steward.sandbox.jiandaoyun.app import create_app
from steward.sandbox.jiandaoyun.seed import FULL_KEY, READ_KEY

__all__ = ["FULL_KEY", "READ_KEY", "create_app"]
