"""What hangs on a customer: deals, orders, invoices, tickets, activities, notes, with a history that fits its state.

Every contact is in one of these states, and the state decides dates, business and truth:

* ``fresh``      made in the last 90 days;
* ``active``     wrote, called or bought within 20 months;
* ``cooling``    last seen 20 to 34 months ago: not stale yet;
* ``dormant``    one sign of life five to eleven years ago, no business, bounced mail or an owner who left: stale;
* ``shielded``   looks dormant, but a legal hold, open deal, unpaid invoice, open ticket, retained invoice or a
  withdrawn consent (suppression entry) keeps it.

Left to others: writing the rows (``steward.sandbox.build``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from steward.sandbox import words as w
from steward.sandbox.people import Uniform, pick

Row = tuple[object, ...]
SHIELDS = ("legal_hold", "open_deal", "unpaid_invoice", "open_ticket", "retention", "suppression")
_YEARS = 15


class Calendar:
    """Days and moments before ``as_of`` as text, made once."""

    def __init__(self, as_of: date) -> None:
        self.as_of = as_of
        self.days = [(as_of - timedelta(days=n)).isoformat() for n in range(_YEARS * 366)]
        self.times = [f"T{6 + n // 60 % 13:02d}:{n % 60:02d}:{n * 7 % 60:02d}Z" for n in range(780)]

    def day(self, ago: float) -> str:
        """Return the day ``ago`` days before ``as_of``."""
        return self.days[min(int(ago), len(self.days) - 1)]

    def moment(self, r: Uniform, ago: float) -> str:
        """Return a moment of that day."""
        return self.days[min(int(ago), len(self.days) - 1)] + self.times[int(r() * 780)]


def money(r: Uniform) -> str:
    """Draw an amount between 40 and 40,000, small ones more often."""
    cents = int(4_000 * 10 ** (r() * 3))
    return f"{cents // 100}.{cents % 100:02d}"


CURRENCY = {"DE": "EUR", "GB": "GBP", "US": "USD", "CN": "CNY"}


class Business:
    """Makes the rows that hang on one contact.

    Parameters
    ----------
    new_id : callable
        Table name → next id of that table.
    active_users, left_users : list of str
        Ids.
    """

    def __init__(
        self, r: Uniform, calendar: Calendar, new_id: Callable[[str], str], active_users: list[str], left_users: list[str]
    ) -> None:
        self.r, self.calendar, self.new_id = r, calendar, new_id
        self.active_users, self.left_users = active_users, left_users
        self.rows: dict[str, list[Row]] = {t: [] for t in ("deal", "order", "invoice", "ticket", "activity", "note")}

    def stamp(self, created: float, updated: float) -> Row:
        """Return created_at, updated_at, row_version and the three deletion columns of a live row."""
        r, calendar = self.r, self.calendar
        first = calendar.moment(r, created)
        last = calendar.moment(r, updated) if updated < created - 1 else first
        return (first, last, 1 + int(r() * r() * 9), 0, None, None)

    def state(self) -> str:
        """Draw the state of a contact."""
        x = self.r()
        return (
            "active" if x < 0.58 else "cooling" if x < 0.77 else "dormant" if x < 0.9 else "shielded" if x < 0.95 else "fresh"
        )

    def for_contact(
        self, contact: str, company: str | None, language: str, country: str | None, state: str, owner: str
    ) -> tuple[float, str | None]:
        """Add the rows of one contact.

        Returns
        -------
        created : float
            Days before ``as_of`` at which the contact was made.
        shield : str or None
            For ``shielded``: what protects it.
        """
        r = self.r
        if state == "fresh":
            created = 1 + r() * 80
            for _ in range(int(r() * 3)):
                self._activity(contact, company, None, owner, language, r() * created, r() < 0.6)
            return created, None
        if state in ("active", "cooling"):
            last = 3 + r() * 590 if state == "active" else 610 + r() * 410
            created = last + 30 + r() * 2_800
            self._activity(contact, company, None, owner, language, last, True)
            for _ in range(int(r() * 3)):
                self._activity(contact, company, None, owner, language, last + r() * (created - last), r() < 0.5)
            if r() < 0.4:
                self._business(contact, company, language, country, owner, last, created, state)
            if r() < 0.22:
                ago = last + r() * (created - last)
                done = state == "cooling" or r() < 0.7
                self._ticket(contact, company, owner, language, ago, "closed" if done else pick(r, ("open", "waiting", "new")))
            if r() < 0.25:
                self._note(contact, company, owner, language, last + r() * (created - last))
            return created, None
        last = 1_850 + r() * 2_100
        created = last + 20 + r() * 500
        self._activity(contact, company, None, owner, language, last, True)
        if r() < 0.6:  # our own mailings since: no sign of life of the person
            self._activity(contact, company, None, owner, language, r() * last, False)
        if r() < 0.1:
            self._note(contact, company, owner, language, created - 10)
        if state == "dormant":
            return created, None
        shield = SHIELDS[int(r() * len(SHIELDS))]
        if shield == "open_deal":
            self._deal(contact, company, language, country, owner, last, pick(r, ("prospecting", "negotiation", "proposal")))
        elif shield == "unpaid_invoice":
            self._invoice(contact, company, country, owner, last, pick(r, ("open", "overdue", "disputed")))
        elif shield == "open_ticket":
            self._ticket(contact, company, owner, language, last, pick(r, ("open", "waiting")))
        elif shield == "retention":
            self._invoice(contact, company, country, owner, 1_860 + r() * 700, "paid")
        return created, shield

    def _activity(
        self, contact: str, company: str | None, deal: str | None, owner: str, language: str, ago: float, inbound: bool
    ) -> None:
        r = self.r
        kind = (
            pick(r, ("call", "email", "meeting", "login", "click"))
            if inbound
            else pick(r, ("email", "call", "mailing", "mail_open"))
        )
        direction = "inbound" if inbound else "system" if kind == "mail_open" else "outbound"
        at = self.calendar.moment(r, ago)
        self.rows["activity"].append(
            (self.new_id("activity"), contact, company, deal, owner, kind, direction, pick(r, w.ACTIVITY_WORDS[language]), at,
             at, at, 1, 0, None, None)
        )  # fmt: skip

    def _note(self, contact: str, company: str | None, author: str, language: str, ago: float) -> None:
        body = pick(self.r, w.NOTE_WORDS[language])
        self.rows["note"].append((self.new_id("note"), contact, company, author, body, *self.stamp(ago, ago)))

    def _ticket(self, contact: str, company: str | None, owner: str, language: str, ago: float, status: str) -> None:
        r = self.r
        self.rows["ticket"].append(
            (self.new_id("ticket"), contact, company, owner, pick(r, w.TICKET_WORDS[language]), status,
             pick(r, ("low", "normal", "normal", "high")), *self.stamp(ago, max(ago - r() * 20, 0)))
        )  # fmt: skip

    def _deal(
        self, contact: str, company: str | None, language: str, country: str | None, owner: str, ago: float, stage: str
    ) -> tuple[str, str]:
        r, deal, amount = self.r, self.new_id("deal"), money(self.r)
        self.rows["deal"].append(
            (deal, company, contact, owner, pick(r, w.DEAL_WORDS[language]), stage, amount, CURRENCY.get(country or "", "EUR"),
             self.calendar.day(max(ago - 30, 0)), *self.stamp(ago + 20, max(ago - 30, 0)))
        )  # fmt: skip
        return deal, amount

    def _order(
        self,
        contact: str,
        company: str | None,
        country: str | None,
        owner: str,
        ago: float,
        deal: str | None,
        amount: str,
        status: str,
    ) -> str:
        order = self.new_id("order")
        self.rows["order"].append(
            (order, deal, company, contact, owner, "SO-" + order[-9:], status, amount, CURRENCY.get(country or "", "EUR"),
             self.calendar.day(ago), *self.stamp(ago, max(ago - 9, 0)))
        )  # fmt: skip
        return order

    def _invoice(self, contact: str, company: str | None, country: str | None, owner: str, ago: float, status: str) -> None:
        amount = money(self.r)
        order = self._order(contact, company, country, owner, ago + 8, None, amount, "completed")
        self._bill(contact, company, country, order, amount, ago, status)

    def _bill(
        self, contact: str, company: str | None, country: str | None, order: str, amount: str, ago: float, status: str
    ) -> None:
        invoice = self.new_id("invoice")
        day = self.calendar.day
        paid = day(max(ago - 12, 0)) if status == "paid" else None
        self.rows["invoice"].append(
            (invoice, order, company, contact, "INV-" + invoice[-9:], status, amount, CURRENCY.get(country or "", "EUR"), day(ago),
             day(max(ago - 30, 0)), paid, *self.stamp(ago, max(ago - 12, 0)))
        )  # fmt: skip

    def _business(
        self,
        contact: str,
        company: str | None,
        language: str,
        country: str | None,
        owner: str,
        last: float,
        created: float,
        state: str,
    ) -> None:
        r = self.r
        for _ in range(1 + int(r() * r() * 3)):
            ago = last + 10 + r() * max(created - last - 30, 1)
            open_ = state == "active" and r() < 0.25
            stage = pick(r, ("prospecting", "negotiation", "proposal")) if open_ else "won" if r() < 0.7 else "lost"
            deal, amount = self._deal(contact, company, language, country, owner, ago, stage)
            if stage == "won":
                order = self._order(
                    contact, company, country, owner, max(ago - 35, 0), deal, amount, "completed" if r() < 0.9 else "shipped"
                )
                status = "paid" if state == "cooling" or r() < 0.85 else pick(r, ("open", "overdue"))
                self._bill(contact, company, country, order, amount, max(ago - 42, 0), status)
            if r() < 0.5:
                self._activity(contact, company, deal, owner, language, ago, r() < 0.5)
