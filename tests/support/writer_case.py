"""One writer with its CRM, as the conformance suite of writers drives it: the same questions to every connector.

A connector joins by a module ``tests/support/writer_<system>.py`` with ``open_case(folder)``, a context manager that
yields a :class:`WriterCase` over a real system or its sandbox. What people do is done past the writer, by other means.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

from steward.crm.mapping import Mapping as CrmMapping
from steward.executor.plan import Look
from steward.executor.ports import Writer
from steward.executor.steps import StepLog

Fault = Literal["lost", "applied", "throttled", "refused"]
"""What becomes of the next call that writes: no answer and not done, no answer and done, 429, a clear refusal."""


@dataclass
class WriterCase:
    """A CRM with a few records, and what people can do to it.

    Attributes
    ----------
    writer, look : Writer, Look
        With the credential to write, and the one to read.
    person : str
        Object whose records are customers.
    child : tuple of str
        Object and field of something that refers to a customer, e.g. ``("deal", "primary_contact_id")``.
    text_field : str
        Plain text field of a customer that can be written.
    new_person : callable
        Makes a customer with this text in ``text_field``; returns its id.
    new_child : callable
        Makes a child of a customer; returns its id.
    edit : callable
        Somebody sets ``text_field`` of a customer.
    remove : callable
        Somebody deletes a customer, in the CRM itself.
    gone : callable
        Asks the CRM itself whether a customer is gone from sight.
    fault : callable
        What shall become of the next call that writes.
    late : callable
        Lets a call that was held back take effect; nothing where there is none.
    """

    system: str
    writer: Writer
    look: Look
    steps: StepLog
    mapping: CrmMapping
    person: str
    child: tuple[str, str]
    text_field: str
    new_person: Callable[[str], str]
    new_child: Callable[[str], str]
    edit: Callable[[str, str], None]
    remove: Callable[[str], None]
    gone: Callable[[str], bool]
    fault: Callable[[Fault], None]
    late: Callable[[], None] = lambda: None


SYSTEMS = ("copper", "fxiaoke", "jiandaoyun", "postgresql", "sqlite", "tryton", "zoho")


def open_case(system: str, folder: Path) -> AbstractContextManager[WriterCase]:
    """Open the case of a system."""
    opened: AbstractContextManager[WriterCase] = import_module(f"tests.support.writer_{system}").open_case(folder)
    return opened
