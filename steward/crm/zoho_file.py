"""The file of a Zoho bulk read: a ZIP with one CSV, as rows by field.

Left to others: the job that makes it (``steward.crm.zoho``), values (``steward.crm.zoho_values``).
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable
from typing import Any

from steward.errors import SchemaMismatchError, UnavailableError
from steward.messages import N_

MAX_CSV = 4 << 30
"""Bytes of a file; more is refused before it is unpacked."""


def file_rows(raw: bytes, object: str, names: Iterable[str]) -> list[dict[str, Any]]:
    """Return the rows of a file.

    Parameters
    ----------
    object : str
        Name of the object, for messages.
    names : iterable of str
        Fields that the file must have; a look-up may be there as ``NAME.id``.

    Raises
    ------
    UnavailableError
        The file is broken.
    SchemaMismatchError
        It left a field out.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            found = [i for i in archive.infolist() if i.filename.lower().endswith(".csv")]
            if len(found) != 1 or found[0].file_size > MAX_CSV:
                raise zipfile.BadZipFile
            with archive.open(found[0]) as file:
                reader = csv.DictReader(io.TextIOWrapper(file, "utf-8-sig", newline=""))
                lacking = set(names) - set(reader.fieldnames or ()) - {"id"}
                lacking -= {n for n in lacking if f"{n}.id" in (reader.fieldnames or ())}
                rows: list[dict[str, Any]] = [{(n or "").removesuffix(".id"): v for n, v in row.items()} for row in reader]
    except (zipfile.BadZipFile, UnicodeDecodeError, csv.Error, EOFError):
        raise UnavailableError(N_("The file of the bulk read of {object} is broken."), object=object) from None
    for row in rows:
        if "Id" in row and "id" not in row:
            row["id"] = row.pop("Id")
    if lacking:
        raise SchemaMismatchError(
            N_("{object}: the bulk read left out {missing}."), object=object, missing=", ".join(sorted(lacking))
        )
    return rows


__all__ = ["MAX_CSV", "file_rows"]
