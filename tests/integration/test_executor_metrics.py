"""Metrics of a real run, over OTLP to a real collector's wire contract: counts, and no id."""

from __future__ import annotations

import gzip
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from steward.errors import MissingExtraError
from steward.executor import metrics
from steward.sandbox import build_crm
from tests.support.executor import World


class Collector(BaseHTTPRequestHandler):
    """Takes what OpenTelemetry's HTTP exporter sends."""

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            raw = gzip.decompress(raw)
        self.server.taken.append((self.path, raw))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    server.taken = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def world(tmp_path: Path) -> World:
    build_crm(f"sqlite:///{tmp_path / 'crm.sqlite'}", customers=40, seed=5)
    return World(tmp_path, f"sqlite:///{tmp_path / 'crm.sqlite'}")


def points(raw: bytes) -> dict[str, list[tuple[dict[str, str], int]]]:
    """Metrics of a message: name → attributes and value."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    found: dict[str, list[tuple[dict[str, str], int]]] = {}
    for resource in ExportMetricsServiceRequest.FromString(raw).resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.gauge.data_points:
                    attributes = {a.key: a.value.string_value for a in point.attributes}
                    found.setdefault(metric.name, []).append((attributes, point.as_int))
    return found


def test_what_a_run_did_is_told_and_no_id_is(world: World, collector: Any) -> None:
    tickets = sorted(k for k, r in world.records().items() if k.object == "ticket" and not r.deleted)[:10]
    folder = world.manifest(dict.fromkeys(tickets, "delete"))
    (world.home / "FREEZE").touch()
    with world.executor() as executor, metrics.telling(executor.home), pytest.raises(Exception, match="freeze"):
        executor.apply(folder)
    ((path, raw),) = collector.taken
    assert path == "/v1/metrics"
    found = points(raw)
    mine = {"tenant": "demo", "environment": "sandbox", "executor": "machine"}
    assert found["steward.items"] == [({**mine, "object": "ticket", "action": "soft_delete", "state": "pending"}, len(tickets))]
    assert found["steward.frozen"] == [(mine, 1)] and len(tickets) > 2
    (world.home / "FREEZE").unlink()
    with world.executor() as executor, metrics.telling(executor.home):
        executor.apply(folder)
    found = points(collector.taken[-1][1])
    assert "steward.items" not in found, "nothing is at work any more"
    assert found["steward.manifests"] == [({**mine, "kind": "deletion", "state": "finished"}, 1)]
    assert found["steward.frozen"] == [(mine, 0)] and found["steward.backup.bytes"][0][1] > 0
    everything = b"".join(raw for _path, raw in collector.taken)
    assert folder.name.encode() not in everything
    for ticket in tickets:
        assert b"/" + ticket.id.encode() not in everything


def test_a_collector_that_is_away_stops_nothing(world: World, collector: Any, capsys: pytest.CaptureFixture[str]) -> None:
    collector.server_close()
    tickets = sorted(k for k, r in world.records().items() if k.object == "ticket" and not r.deleted)[:3]
    folder = world.manifest(dict.fromkeys(tickets, "delete"))
    with world.executor() as executor, metrics.telling(executor.home):
        assert executor.apply(folder).counts == {"done": 3}
    out, err = capsys.readouterr()
    assert "127.0.0.1" not in out + err


def test_without_a_collector_nothing_is_loaded_and_without_the_package_it_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(metrics.importlib, "import_module", missing)
    with world.executor() as executor:
        with metrics.telling(executor.home):
            pass
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
        with pytest.raises(MissingExtraError, match=r"steward\[metrics\]"), metrics.telling(executor.home):
            pass
        monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
        with metrics.telling(executor.home):
            pass


def test_a_home_without_a_journal_and_a_broken_one_say_nothing(world: World, tmp_path: Path) -> None:
    with world.executor() as executor:
        reader = metrics.Reader(executor.home)
        shutil.rmtree(world.home / "backup", ignore_errors=True)
        assert reader.backup() == []
    (world.home / "journal.sqlite").write_bytes(b"not a database" * 100)
    assert reader.items() == [] and reader.frozen() == [(0, {})]
