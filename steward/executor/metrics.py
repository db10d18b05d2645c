"""What a running executor tells OpenTelemetry: how far it is, what waits, whether it is frozen. Extra ``metrics``.

It is on where ``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``OTEL_EXPORTER_OTLP_METRICS_ENDPOINT``) is set, and takes every other setting
from OpenTelemetry's own variables. Metrics are read when they are sent, from the journal, over a connection of their own that
cannot write: nothing of it stands in the way of a batch, and a collector that is away stops nothing.

===============================  =========  =======================================================
metric                           unit       attributes beside tenant, environment, executor
===============================  =========  =======================================================
``steward.items``                record     ``object``, ``action``, ``state`` (of manifests at work)
``steward.manifests``            manifest   ``kind``, ``state``
``steward.outbox.waiting``       notice
``steward.audit.events``         event
``steward.backup.bytes``         By
``steward.frozen``               1
===============================  =========  =======================================================

Never an id of a record or a person. Left to others: logs and traces.
"""

from __future__ import annotations

import importlib
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from steward import __version__
from steward.errors import MissingExtraError, StewardError
from steward.executor.home import Home
from steward.executor.journal import connect

_SWITCHES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
_TIMEOUT_MS = 5_000

Row = tuple[int, dict[str, str]]


def is_on() -> bool:
    """True where the environment names a collector and does not switch the whole off."""
    return any(os.environ.get(name) for name in _SWITCHES) and os.environ.get("OTEL_SDK_DISABLED", "").lower() != "true"


class Reader:
    """Reads figures from a home; every method returns values with their attributes and raises nothing."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def _rows(self, sql: str, names: tuple[str, ...]) -> list[Row]:
        if not self._home.journal.exists():
            return []
        try:
            db = connect(self._home.journal, read_only=True)
            try:
                return [(int(row[0]), dict(zip(names, map(str, row[1:]), strict=True))) for row in db.execute(sql).fetchall()]
            finally:
                db.close()
        except (sqlite3.Error, OSError, StewardError):  # a damaged journal is said where it is used
            return []

    def items(self) -> list[Row]:
        """Items of manifests at work."""
        return self._rows(
            "SELECT count(*), i.object, i.action, i.state FROM item i JOIN manifest m ON m.id = i.manifest"
            " WHERE m.state = 'running' GROUP BY i.object, i.action, i.state",
            ("object", "action", "state"),
        )

    def manifests(self) -> list[Row]:
        """Manifests ever seen."""
        return self._rows("SELECT count(*), kind, state FROM manifest GROUP BY kind, state", ("kind", "state"))

    def waiting(self) -> list[Row]:
        """Notices and maps that nobody has taken yet."""
        return self._rows("SELECT count(*) FROM outbox WHERE sent IS NULL", ())

    def events(self) -> list[Row]:
        """Events of the audit log."""
        return self._rows("SELECT count(*) FROM event", ())

    def backup(self) -> list[Row]:
        """Bytes of the backup's files."""
        try:
            sizes = [path.stat().st_size for path in (self._home.path / "backup").iterdir() if path.is_file()]
        except OSError:
            return []
        return [(sum(sizes), {})]

    def frozen(self) -> list[Row]:
        """1 where the freeze switch is set."""
        return [(int(self._home.frozen.exists() or self._home.frozen.is_symlink()), {})]


@contextmanager
def telling(home: Home) -> Iterator[None]:
    """Send metrics while the block runs and once more at its end, where a collector is named; else do nothing.

    Raises
    ------
    MissingExtraError
        A collector is named and OpenTelemetry is not installed: silence would look like health.
    """
    if not is_on():
        yield
        return
    try:
        sdk = importlib.import_module("opentelemetry.sdk.metrics")
        export = importlib.import_module("opentelemetry.sdk.metrics.export")
        resource = importlib.import_module("opentelemetry.sdk.resources")
        otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.http.metric_exporter")
        observation = importlib.import_module("opentelemetry.metrics").Observation
    except ImportError:
        raise MissingExtraError("metrics", "opentelemetry-sdk") from None
    # A collector that is away is its operator's business; its name and answers are not for our logs.
    for name in ("opentelemetry", "urllib3", "requests"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    config, reader = home.config, Reader(home)
    fixed = {"tenant": config.tenant, "environment": config.environment, "executor": config.executor}

    def watch(read: Callable[[], list[Row]]) -> Callable[[Any], list[Any]]:
        return lambda _options: [observation(value, {**fixed, **more}) for value, more in read()]

    exporter = otlp.OTLPMetricExporter(timeout=_TIMEOUT_MS / 1000)
    provider = sdk.MeterProvider(
        metric_readers=[export.PeriodicExportingMetricReader(exporter, export_timeout_millis=_TIMEOUT_MS)],
        resource=resource.Resource.create({"service.name": "steward-executor", "service.version": __version__}),
        shutdown_on_exit=False,
    )
    meter = provider.get_meter("steward.executor", __version__)
    for name, read, unit, text in (
        ("steward.items", reader.items, "{record}", "items of manifests at work, by state"),
        ("steward.manifests", reader.manifests, "{manifest}", "manifests ever seen, by state"),
        ("steward.outbox.waiting", reader.waiting, "{notice}", "notices that nobody has taken yet"),
        ("steward.audit.events", reader.events, "{event}", "events of the audit log"),
        ("steward.backup.bytes", reader.backup, "By", "size of the backup"),
        ("steward.frozen", reader.frozen, "1", "1 where the freeze switch is set"),
    ):
        meter.create_observable_gauge(name, callbacks=[watch(read)], unit=unit, description=text)
    try:
        yield
    finally:
        provider.shutdown(timeout_millis=_TIMEOUT_MS)
