"""Protections: what keeps a record, whatever its score. Each is computed from the snapshot, the policy or the hold list.

A protection whose source is not mapped, not loaded, emptier than the policy expects or not readable protects every record
of the object, under the code ``unknown_<code>``: it cannot be known that nothing keeps them.

Left to others: the score (``score``), what a protection stops (``steward.policy.blocking``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pyarrow as pa

from steward.crm.mapping import ObjectMapping
from steward.policy import HELD, OPEN_BUSINESS, Holds, Marked, Retention, retained_until, years_for
from steward.scoring.relations import CUSTOMER_ROLES, Chain, chains, earlier_snapshots, joined, of_roles
from steward.scoring.staleness.activity import View, life, loaded_rows, months_sql
from steward.store.impact import holds_sql
from steward.store.sql import literal, quote

_LOOK_BACK = 24
"""Earlier snapshots that are asked whether a record was gone."""

_WORD = {
    "open_deal": "open deal",
    "open_quote": "open quote",
    "open_order": "open order",
    "unpaid_invoice": "unpaid invoice",
    "active_contract": "active contract",
    "open_ticket": "open ticket",
}


class Protector:
    """Computes the protections of one object into a temporary table ``record_id, code, outcome, sentence``."""

    def __init__(self, view: View, entry: ObjectMapping, holds: Holds) -> None:
        self.view, self.entry, self.holds = view, entry, holds
        self.table = quote(f"_steward_protect_{entry.name}")
        self.live = f"{view.tables[entry.name]} t"
        self.unknown: dict[str, str] = {}

    def compute(self) -> str:
        """Fill the table and return its quoted name."""
        if self.table in self.view.made:
            return self.table
        self.view.execute(
            f"CREATE OR REPLACE TEMP TABLE {self.table} (record_id VARCHAR, code VARCHAR, outcome VARCHAR, sentence VARCHAR)"
        )
        self._held()
        for code, roles in OPEN_BUSINESS.items():
            if self.view.policy.rule(code).applies:
                self._open(code, roles)
        steps: dict[str, Callable[[], None]] = {
            "retention": self._retention,
            "created_recently": self._created_recently,
            "only_contact": self._only_contact,
            "parent_of_protected": self._parent_of_protected,
        }
        for code, step in steps.items():
            if self.view.policy.rule(code).applies:
                step()
        for code, why in self.unknown.items():
            self._insert(
                f"SELECT DISTINCT t._id, {literal('unknown_' + code)}, 'keep', {literal(why)} FROM {self.live} WHERE NOT t._deleted"  # noqa: S608
            )
        self.view.made[self.table] = self.table
        return self.table

    def _insert(self, select: str) -> None:
        self.view.execute(f"INSERT INTO {self.table} {select}")

    def _per_record(self, rows: str, code: str, outcome: str, sentence: str) -> None:
        """Insert one protection per live record of the object that ``rows`` (with ``target``) names; ``sentence`` is SQL."""
        self._insert(
            f"SELECT r.target, {literal(code)}, {literal(outcome)}, {sentence} FROM ({rows}) r "  # noqa: S608 - quoted
            f"SEMI JOIN (SELECT _id FROM {self.live} WHERE NOT t._deleted) l ON l._id = r.target GROUP BY r.target"
        )

    # ------------------------------------------------------------------ lists and marks

    def _held(self) -> None:
        """Lists and marked columns. A code that neither a list nor a column can tell of protects, as a hold would."""
        view, name = self.view, self.entry.name
        marks = [m for m in view.policy.marked if m.object == name]
        for code in HELD:
            rule = view.policy.rule(code)
            if rule.applies and not self.holds.loaded and not any(m.code == code for m in marks):
                words = code.replace("_", " ")
                self.unknown[code] = f"There is no {words} list, so it is not known whether the record is on it."
            listed = sum(held == code for held in self.holds.entries.values())
            if self.holds.loaded and not any(m.code == code for m in marks) and listed < rule.rows_expected(0):
                self.unknown[code] = (
                    f"The list has {listed} entries of {code}, fewer than the {rule.rows_expected(0)} the policy expects."
                )
        mine = [(key.id, code) for key, code in sorted(self.holds.entries.items()) if key.object == name]
        if mine:
            frame = pa.table(
                {"id": pa.array([i for i, _ in mine], pa.string()), "code": pa.array([c for _, c in mine], pa.string())}
            )
            view.connection.register("_steward_holds", frame)
            self._insert(
                "SELECT h.id, h.code, CASE WHEN h.code = 'opt_out' THEN 'anonymise' ELSE 'keep' END, "  # noqa: S608
                "'On the list of ' || replace(h.code, '_', ' ') || ' entries.' FROM _steward_holds h "
                f"SEMI JOIN (SELECT _id FROM {self.live} WHERE NOT t._deleted) l ON l._id = h.id"
            )
            view.connection.unregister("_steward_holds")
        for mark in marks:
            self._marked(mark)

    def _marked(self, mark: Marked) -> None:
        view, name = self.view, self.entry.name
        if not view.has(name, mark.column):
            self.unknown[mark.code] = f"The column {mark.column} of {name}, which marks it, is not in the snapshot."
            return
        values = ", ".join(literal(v) for v in mark.values)
        where = f"NOT t._deleted AND t.{quote(mark.column)} IN ({values})"
        marked = int(str(view.one(f"SELECT count(*) FROM {self.live} WHERE {where}")))  # noqa: S608 - quoted
        expected = view.policy.rule(mark.code).rows_expected(0)
        if marked < expected:
            self.unknown[mark.code] = (
                f"The column {mark.column} of {name} marks {marked} records, fewer than the {expected} the policy expects."
            )
        sentence = f"Marked in the CRM as {mark.code.replace('_', ' ')} (column {mark.column})."
        self._insert(
            f"SELECT DISTINCT t._id, {literal(mark.code)}, {literal(mark.outcome)}, {literal(sentence)} FROM {self.live} "  # noqa: S608
            f"WHERE {where}"
        )

    # ------------------------------------------------------------------ documents

    def _sources(self, code: str, found: Iterator[ObjectMapping], what: str) -> list[tuple[ObjectMapping, list[Chain]]]:
        """Return the sources that lead to the object, or none with the reason in ``unknown``."""
        usable: list[tuple[ObjectMapping, list[Chain]]] = []
        for source in found:
            reached = chains(self.view.mapping, source, self.entry.name)
            if not reached:
                continue
            problem = self._problem(code, source, reached)
            if problem:
                self.unknown[code] = problem
                return []
            usable.append((source, reached))
        if not usable:
            self.unknown[code] = f"No object of the mapping says whether there is one for {self.entry.name}: {what}."
        return usable

    def _problem(self, code: str, source: ObjectMapping, reached: list[Chain]) -> str:
        view, name = self.view, source.name
        if name not in view.tables:
            return f"The object {name} is mapped and not in the snapshot."
        if view.snapshot.object(name).rejects:
            return f"The object {name} has rejected lines, so it is not whole."
        few = self._too_few(code, name)
        if few:
            return few
        for chain in reached:
            for step, column in chain.steps:
                if step not in view.tables or not view.has(step, column):
                    return f"The column {column} of {step}, which links {name} to it, is not in the snapshot."
                if view.snapshot.object(step).rejects:
                    return f"The object {step}, which links {name} to it, has rejected lines, so it is not whole."
        return ""

    def _too_few(self, code: str, name: str) -> str:
        rows, expected = loaded_rows(self.view, [name])[name], self.view.policy.rule(code).rows_expected()
        if rows >= expected:
            return ""
        return f"The object {name} has {rows} rows, fewer than the {expected} the policy expects."

    def _open(self, code: str, roles: tuple[str, ...]) -> None:
        found = (e for e in of_roles(self.view.mapping, *roles) if e.role == roles[0] or e.open_when is not None)
        for source, reached in self._sources(code, found, _WORD[code]):
            rule = source.open_when
            if rule is None or not self.view.has(source.name, rule.column):
                self.unknown[code] = f"It is not known which records of {source.name} are open."
                return
            is_open = holds_sql(f"s.{quote(rule.column)}", rule)
            rows = " UNION ALL ".join(
                joined(c, self.view.tables, "s._id AS s_id", f"NOT s._deleted AND {is_open}") for c in reached
            )
            sentence = (
                f"CASE WHEN count(DISTINCT r.s_id) = 1 THEN {literal(f'1 {_WORD[code]}: {source.name}/')} || min(r.s_id) "
                f"ELSE count(DISTINCT r.s_id)::VARCHAR || {literal(f' {_WORD[code]}s, among them {source.name}/')} || min(r.s_id) END || '.'"
            )
            self._per_record(rows, code, "keep", sentence)

    def _retention(self) -> None:
        policy = self.view.policy
        roles = {role for rule in policy.retention.values() for role in rule.roles}
        found = (e for e in self.view.mapping.objects.values() if e.retention is not None or e.role in roles)
        for source, reached in self._sources("retention", found, "document with a retention period"):
            name, rule = policy.retention_for(source.role, source.retention)
            column = source.event or source.created
            if rule is None or column is None or not self.view.has(source.name, column):
                self.unknown["retention"] = (
                    f"It is not known how long documents of {source.name} must be kept (rule {name or 'none'})."
                )
                return
            date = f"s.{quote(column + '__date')}"
            rows = " UNION ALL ".join(joined(c, self.view.tables, f"s._id AS s_id, {date}::DATE AS day") for c in reached)
            self._retained(rows, source.name, rule)

    def _retained(self, rows: str, source: str, rule: Retention) -> None:
        """Insert documents whose period has not ended at ``as_of``; a date that cannot be read keeps as well."""
        column = self.view.policy.country_columns.get(self.entry.name)
        known = column if self.view.has(self.entry.name, column) else None
        country = f"t.{quote(known)}" if known else "NULL"
        longest, longest_citation = years_for(rule, None)
        cases_years, cases_law = [], []
        for period in rule.countries.values():
            values = ", ".join(literal(v.casefold()) for v in period.values)
            cases_years.append(f"WHEN lower(trim({country})) IN ({values}) THEN {period.years}")
            cases_law.append(f"WHEN lower(trim({country})) IN ({values}) THEN {literal(period.citation)}")
        unknown = f"{country} IS NULL OR trim({country}) = ''"
        years = f"CASE WHEN {unknown} THEN {longest} {' '.join(cases_years)} ELSE {rule.years} END"
        law = f"CASE WHEN {unknown} THEN {literal(longest_citation)} {' '.join(cases_law)} ELSE {literal(rule.citation)} END"
        end = (
            f"make_date(least(year(r.day) + ({years}), 9999), 12, 31)"
            if rule.starts == "year_end"
            else f"(r.day + to_years(({years})::INTEGER))::DATE"
        )
        # DuckDB reads a day of retained_until() the same: both are checked against each other in the tests.
        self._insert(
            f"WITH d AS (SELECT t._id, r.s_id, {end} AS until, {law} AS law FROM ({rows}) r "  # noqa: S608 - quoted
            f"JOIN {self.live} ON t._id = r.target WHERE NOT t._deleted), "
            f"k AS (SELECT * FROM d WHERE until IS NULL OR until >= DATE {literal(self.view.as_of.date().isoformat())}), "
            "m AS (SELECT _id, max(coalesce(until, DATE '9999-12-31')) AS until FROM k GROUP BY _id) "
            f"SELECT k._id, 'retention', {literal(rule.outcome)}, "
            f"CASE WHEN m.until = DATE '9999-12-31' THEN {literal(source + '/')} || min(k.s_id) || ' has no date that can be read, so its retention period is not known' "
            f"ELSE {literal(source + '/')} || min(k.s_id) || ' must be kept until ' || m.until::VARCHAR END || ' (' || min(k.law) || ').' "
            "FROM k JOIN m ON m._id = k._id AND coalesce(k.until, DATE '9999-12-31') = m.until GROUP BY k._id, m.until"
        )

    # ------------------------------------------------------------------ the record itself and its neighbours

    def _created_recently(self) -> None:
        column, days = self.entry.created, self.view.policy.rule("created_recently").days
        if column is None or not self.view.has(self.entry.name, column):
            self.unknown["created_recently"] = f"It is not known when records of {self.entry.name} were created."
            return
        date = f"t.{quote(column + '__date')}"
        as_of = f"TIMESTAMP {literal(self.view.as_of.isoformat(sep=' '))}"
        self._insert(
            f"SELECT t._id, 'created_recently', 'keep', CASE WHEN bool_or({date} IS NULL) THEN 'Its creation date cannot be read.' "  # noqa: S608
            f"ELSE 'Created on ' || max({date})::DATE::VARCHAR || ', less than {days} days before the snapshot.' END FROM {self.live} "
            f"WHERE NOT t._deleted AND ({date} IS NULL OR {date} > {as_of} - INTERVAL {days} DAY) GROUP BY t._id"
        )
        self._restored_recently(days)

    def _restored_recently(self, days: int) -> None:
        """Records that an earlier snapshot of these days lacked or held as deleted, though one before had them.

        Whoever brought a record back wants it; its creation date does not tell. Earlier snapshots of the same source in
        this workspace do. One with rejected lines of the object says nothing about what was not there.
        """
        view = self.view
        earlier = [
            s
            for s in earlier_snapshots(view.ws, view.snapshot)[-_LOOK_BACK:]
            if any(o.name == self.entry.name and not o.rejects for o in s.objects)
        ]
        window = [s.taken_at for s in earlier if view.snapshot.taken_at - s.taken_at <= timedelta(days=days)]
        if len(earlier) < 1 or not window:
            return
        seen = " UNION ALL ".join(
            f"SELECT _id, {number} AS n, _deleted FROM {view.ws.table(s, self.entry.name)}"  # noqa: S608 - quoted by the store
            for number, s in enumerate(earlier)
        )
        recent = len(earlier) - len(window)
        self._insert(
            f"WITH seen AS ({seen}), known AS (SELECT _id, min(n) AS first, "  # noqa: S608
            f"count(DISTINCT n) FILTER (WHERE NOT _deleted AND n >= {recent}) AS live FROM seen GROUP BY _id) "
            f"SELECT DISTINCT t._id, 'created_recently', 'keep', 'It was gone less than {days} days before the snapshot, and came back.' "
            f"FROM {self.live} JOIN known k ON k._id = t._id WHERE NOT t._deleted AND k.live < {len(earlier)} - greatest(k.first, {recent}) "
            f"AND t._id NOT IN (SELECT record_id FROM {self.table} WHERE code = 'created_recently')"
        )

    def _only_contact(self) -> None:
        if self.entry.role != "person":
            return
        view, code = self.view, "only_contact"
        links = [
            (c, view.mapping.objects[p]) for c, p in self.entry.parents.items() if view.mapping.objects[p].role == "company"
        ]
        if not links:
            self.unknown[code] = f"The mapping does not say which company a record of {self.entry.name} belongs to."
            return
        for column, company in links:
            if company.name not in view.tables or not view.has(self.entry.name, column):
                self.unknown[code] = f"The object {company.name} is not in the snapshot."
                return
            if view.snapshot.object(company.name).rejects:
                self.unknown[code] = f"The object {company.name} has rejected lines, so it is not whole."
                return
            few = self._too_few(code, company.name)
            if few:
                self.unknown[code] = few
                return
            months = months_sql(view, company, "c")
            as_of = f"TIMESTAMP {literal(view.as_of.isoformat(sep=' '))}"
            open_business = " UNION ALL ".join(self._open_of(company)) or "SELECT NULL AS target, NULL AS s_id"
            cell = f"t.{quote(column)}"
            self._insert(
                f"WITH alone AS (SELECT min(t._id) AS _id, {cell} AS company FROM {self.live} WHERE NOT t._deleted AND {cell} IS NOT NULL "  # noqa: S608
                f"GROUP BY {cell} HAVING count(DISTINCT t._id) = 1), "
                f"active AS (SELECT c._id FROM {view.tables[company.name]} c LEFT JOIN {life(view, company.name)} l ON l._id = c._id "
                f"WHERE NOT c._deleted AND (l.unreadable > 0 OR l.last_at > {as_of} - to_months(coalesce({months}, 1200)::INTEGER)) "
                f"UNION SELECT target FROM ({open_business})) "
                f"SELECT alone._id, {literal(code)}, 'keep', {literal(f'The only contact of {company.name}/')} || alone.company "
                "|| ', which is active.' FROM alone SEMI JOIN active ON active._id = alone.company"
            )

    def _open_of(self, company: ObjectMapping) -> Iterator[str]:
        view = self.view
        for roles in OPEN_BUSINESS.values():
            for source in of_roles(view.mapping, *roles):
                rule = source.open_when
                if rule is None or source.name not in view.tables or not view.has(source.name, rule.column):
                    continue
                is_open = f"NOT s._deleted AND {holds_sql(f's.{quote(rule.column)}', rule)}"
                for chain in chains(view.mapping, source, company.name):
                    if all(step in view.tables and view.has(step, column) for step, column in chain.steps):
                        yield joined(chain, view.tables, "s._id AS s_id", is_open)

    def _parent_of_protected(self) -> None:
        view, code = self.view, "parent_of_protected"
        children = [(e, c) for e, c in view.mapping.children_of(self.entry.name) if e.role in CUSTOMER_ROLES]
        others = [(e, c) for e, c in children if e.name != self.entry.name]
        if not others and self.entry.role == "company":
            self.unknown[code] = f"No object of the mapping says who belongs to {self.entry.name}."
        for child, column in others:
            if child.name not in view.tables or not view.has(child.name, column):
                self.unknown[code] = f"The object {child.name} is mapped and not in the snapshot."
                continue
            if view.snapshot.object(child.name).rejects:
                self.unknown[code] = f"The object {child.name} has rejected lines, so it is not whole."
                continue
            few = self._too_few(code, child.name) if self.entry.role == "company" and child.role == "person" else ""
            if few:
                self.unknown[code] = few
                continue
            protected = Protector(view, child, self.holds).compute()
            rows = (
                f"SELECT c.{quote(column)} AS target, c._id AS s_id FROM {view.tables[child.name]} c "  # noqa: S608
                f"SEMI JOIN {protected} p ON p.record_id = c._id WHERE NOT c._deleted"
            )
            self._per_record(
                rows, code, "keep", f"{literal(f'Parent of the protected record {child.name}/')} || min(r.s_id) || '.'"
            )
        for child, column in children:
            if child.name == self.entry.name and view.has(child.name, column):
                self._up_the_tree(column)

    def _up_the_tree(self, column: str) -> None:
        """Protect parents of protected records of the same object, up to the top."""
        while True:
            before = self.view.one(f"SELECT count(*) FROM {self.table}")  # noqa: S608
            self._insert(
                f"SELECT p._id, 'parent_of_protected', 'keep', {literal(f'Parent of the protected record {self.entry.name}/')} || min(c._id) || '.' "  # noqa: S608
                f"FROM {self.view.tables[self.entry.name]} c JOIN {self.view.tables[self.entry.name]} p ON p._id = c.{quote(column)} "
                f"SEMI JOIN {self.table} k ON k.record_id = c._id "
                f"ANTI JOIN (SELECT record_id FROM {self.table} WHERE code = 'parent_of_protected') a ON a.record_id = p._id "
                "WHERE NOT c._deleted AND NOT p._deleted GROUP BY p._id"
            )
            if self.view.one(f"SELECT count(*) FROM {self.table}") == before:  # noqa: S608
                return


__all__ = ["Protector", "retained_until"]
