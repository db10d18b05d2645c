"""Snapshot read of many records from the Zoho sandbox through bulk jobs: seconds of processor of reader and server.

Run: ``python bench/zoho_bulk.py [--rows 100000] [--page 25000]``. The server runs in a process of its own; waiting between polls is
left out by a virtual clock, so that what remains is work.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


class Virtual:
    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def serve(listener: socket.socket, rows: int, page: int) -> None:
    import json

    import uvicorn

    from steward.sandbox.zoho import make

    app = make(customers=1_000)
    state = app.state
    state.switches.update(bulk_page=page, bulk_downloads=10_000)
    held = [json.loads(doc) for (doc,) in state.db.execute("SELECT doc FROM record WHERE module = 'Contacts'")]
    state.db.execute("BEGIN")
    for n in range(rows - len(held)):
        state.put("Contacts", 8_000_000_000_000_000_000 + n, held[n % len(held)], created=1.7e9, modified=1.7e9 + n)
    state.db.execute("COMMIT")
    uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False)).run(sockets=[listener])


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rows", type=int, default=100_000)
    options.add_argument("--page", type=int, default=25_000)
    chosen = options.parse_args()
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    child = os.fork()
    if child == 0:
        serve(listener, chosen.rows, chosen.page)
        os._exit(0)
    listener.close()
    try:
        from steward.crm.mapping import parse_mapping
        from steward.crm.profiles import Profile
        from steward.crm.zoho import ZohoReader
        from steward.sandbox.zoho.auth import CLIENT
        from tests.integration.test_crm_zoho import MAPPING

        profile = Profile(
            system="zoho", tenant="demo", environment="sandbox", address=address, name="bench",
            read={**CLIENT, "refresh_token": "1000.reader"}, options={"data_centre": "eu", "accounts": address},
        )  # fmt: skip
        with ZohoReader(profile, parse_mapping(MAPPING), clock=Virtual()) as reader:
            reader.columns("contact")  # waits until the server is filled
            ticks = os.sysconf("SC_CLK_TCK")

            def of_child() -> float:
                return sum(int(x) for x in Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[11:13]) / ticks

            server, ours, wall = of_child(), time.process_time(), time.perf_counter()
            found = sum(len(records) for records in reader.scan("contact"))
            print(
                f"{found:,} records: reader {time.process_time() - ours:.1f} s of processor, server {of_child() - server:.1f} s, "
                f"{time.perf_counter() - wall:.1f} s by the clock, {reader.wire.requests} requests"
            )
            assert found == chosen.rows
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
