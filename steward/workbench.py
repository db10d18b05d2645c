"""What a notebook holds: open a workspace, load, score, review, decide, draft.

A façade of few lines over the rooms, so that a notebook and the commands do the same. It can read a CRM and can never
change one: writing is the executor's, which this cannot import.

Left to others: how each step works (``steward.store``, ``steward.scoring``, ``steward.review``,
``steward.commands.propose``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steward.errors import UsageError
from steward.messages import N_
from steward.records import RecordKey, Snapshot

if TYPE_CHECKING:
    import polars as pl

    from steward.crm.mapping import Mapping
    from steward.policy import Policy
    from steward.scoring.duplicates.plan import Plan
    from steward.scoring.run import ScoreLine
    from steward.store import Workspace
    from steward.store.decision_log import DecisionLog

Progress = Callable[[int], None]


@dataclass
class Workbench:
    """An open workspace with the tools of a notebook.

    Attributes
    ----------
    path : Path
        The workspace folder.
    store : Workspace
    """

    path: Path
    store: Workspace
    _log: DecisionLog | None = field(default=None, repr=False)

    def __enter__(self) -> Workbench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the workspace and the decision log."""
        with suppress(Exception):
            if self._log is not None:
                self._log.close()
        self.store.close()

    @property
    def log(self) -> DecisionLog:
        """The decision log beside the workspace."""
        if self._log is None:
            from steward.store.decision_log import DecisionLog

            self._log = DecisionLog.open(self.path / "decisions.sqlite")
        return self._log

    def snapshot(self, name: str | None = None) -> Snapshot:
        """Return a snapshot by the beginning of its digest; the latest without one."""
        return self.store.snapshot(name)

    def load(self, mapping: str | Path, source: str | Path | None = None, *, progress: Progress | None = None) -> Snapshot:
        """Take a snapshot of a CRM or of export files.

        Parameters
        ----------
        mapping : str or Path
            The mapping file.
        source : str or Path, optional
            SQLAlchemy URL of a CRM in SQL; or the folder of export files, by default the mapping's own.
        """
        from steward.crm.mapping import parse_mapping

        path = Path(mapping)
        parsed = parse_mapping(path.read_text(encoding="utf-8"), where=path.name)
        now = datetime.now(UTC).replace(microsecond=0)
        if isinstance(source, str) and "://" in source:
            from steward.crm.sql import SqlReader

            reader = SqlReader(source, parsed)
            try:
                return self.store.take_snapshot(reader, taken_at=now, progress=progress)
            finally:
                reader.close()
        from steward.store import ExportSource, FileSource

        folder = Path(source) if source is not None else path.parent
        if parsed.system == "files" and "export" in parsed.options:
            with ExportSource([folder], scratch=self.path / "tmp", mapping=parsed) as exports:
                return self.store.take_snapshot(exports, taken_at=now, progress=progress)
        return self.store.take_snapshot(FileSource(folder, parsed), taken_at=now, progress=progress)

    def load_exports(
        self,
        *files: str | Path,
        vendor: str | None = None,
        object: str | None = None,
        key: str | None = None,
        encoding: str | None = None,
        tenant: str = "local",
        environment: str = "files",
        progress: Progress | None = None,
    ) -> Snapshot:
        """Take a snapshot of a vendor's export files, which are recognised by their headers.

        Parameters
        ----------
        *files : str or Path
            Files, folders or ZIP archives as the vendor exports them.
        vendor, object, key, encoding : str, optional
            Said instead of recognised, see :class:`steward.store.exports.ExportSource`.
        tenant, environment : str
            Whose records these are.

        Raises
        ------
        UsageError, SnapshotError
            A file that nobody can tell, one without ids, or one that cannot be read.
        """
        from steward.store.exports import ExportSource

        with ExportSource(
            files, scratch=self.path / "tmp", vendor=vendor, object=object, key=key, encoding=encoding, tenant=tenant,
            environment=environment,
        ) as source:  # fmt: skip
            return self.store.take_snapshot(source, taken_at=datetime.now(UTC).replace(microsecond=0), progress=progress)

    def score(
        self,
        objects: Sequence[str] = (),
        *,
        kinds: Sequence[str] = ("duplicate", "stale", "invalid"),
        policy: Policy | None = None,
        holds: Path | None = None,
        suites: Path | None = None,
        definition: Path | None = None,
        engine: str = "sql",
        seed: int = 0,
        progress: Progress | None = None,
        survivor_rules: Sequence[str] = (),
        before: Callable[[Plan], None] | None = None,
    ) -> list[ScoreLine]:
        """Compute evidence on the latest snapshot and store it.

        Parameters
        ----------
        objects : sequence of str
            Objects to score; by default people, companies and leads, and every object that has a suite.
        kinds : sequence of {'duplicate', 'stale', 'invalid'}
        policy : Policy, optional
            Staleness, protections and retention; by default the one that ships.
        holds : Path, optional
            The legal hold list. Without one the protection has no source, and protects.
        suites : Path, optional
            Folder of suites; by default those that ship.
        definition : Path, optional
            A linkage definition, or a Splink model; by default one is proposed from the data.
        engine : {'sql', 'gx'}
            ``gx`` lets Great Expectations check every row of the suites instead of a sample of 20,000; slow.
        survivor_rules : sequence of str, optional
            Which record of a cluster is proposed to survive, see :mod:`steward.scoring.duplicates.survivor`.
        before : callable, optional
            Called with the plan of each object before its pairs are compared.
        """
        from steward.scoring.duplicates.learning import merged_by_people
        from steward.scoring.run import score_objects

        standing = self.log.standing()
        return score_objects(
            self.store,
            self.snapshot(),
            apart=standing.not_duplicates,
            together=merged_by_people(standing),
            objects=objects,
            kinds=kinds,
            policy=policy,
            holds=holds,
            suites=suites,
            definition=definition,
            engine=engine,
            seed=seed,
            progress=progress,
            survivor_rules=survivor_rules,
            before=before,
        )

    def evidence(self, kind: str | None = None, object: str | None = None) -> pl.DataFrame:
        """Return the evidence of the latest snapshot as a table, strongest first."""
        import polars as pl

        found = self.store.evidence(self.snapshot(), kind=kind, object=object)
        rows = [
            {
                "object": e.key.object,
                "record_id": e.key.id,
                "kind": e.kind,
                "rule_id": e.rule_id,
                "score": e.score,
                "sentence": e.sentence,
            }
            for e in found
        ]
        schema = {
            "object": pl.String,
            "record_id": pl.String,
            "kind": pl.String,
            "rule_id": pl.String,
            "score": pl.Float64,
            "sentence": pl.String,
        }
        return pl.DataFrame(rows, schema=schema).sort("score", "record_id", descending=[True, False])

    def review(self, reviewer: str, **options: Any) -> Any:
        """Return the review panel; ``reviewer`` is the name that every decision will carry."""
        if not reviewer.strip() or reviewer.startswith("rule:"):
            raise UsageError(N_("A review needs the name of a person."))
        from steward.review import review_panel

        return review_panel(self.store, reviewer, **options)

    def pictures(self, *names: str) -> Any:
        """Return pictures of the latest snapshot: ``scores``, ``heat``, ``stand``, ``execution``, or all of them."""
        from steward.review.pictures.widget import picture_panel

        return picture_panel(self.store, *names)

    def impact(self, key: RecordKey) -> Any:
        """Return what hangs on one record."""
        return self.store.impact(self.snapshot(), [key])[key]

    def propose(self, to: str | Path, *, proposer: str, policy: Path | None = None, **options: Any) -> Path:
        """Draft a manifest from the decisions in force and return its folder.

        Side effects: writes the manifest folder below ``to``. Signs nothing and changes no CRM.
        """
        from steward.commands.propose import propose

        return propose(self.path, Path(to), proposer=proposer, policy=policy, **options)

    def mapping(self) -> Mapping:
        """Return the mapping the latest snapshot was taken with."""
        return self.store.mapping(self.snapshot())


def open_workspace(path: str | Path, *, create: bool = True, read_only: bool = False) -> Workbench:
    """Open a workspace folder, making it where there is none.

    Parameters
    ----------
    read_only : bool
        Open the snapshots without being able to add one; several people can then look at once.
    """
    from steward.store import Workspace

    folder = Path(path)
    return Workbench(folder, Workspace.open(folder, create=create and not read_only, read_only=read_only))
