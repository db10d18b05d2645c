"""The writer of Jiandaoyun over its sandbox, for the conformance suite; people act through the sandbox's control side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.jiandaoyun_company import open_company
from tests.support.writer_case import Fault, WriterCase

_FAULT: dict[Fault, dict[str, object]] = {
    "lost": {"kind": "cut_before"},
    "applied": {"kind": "cut_after"},
    "throttled": {"kind": "http_429"},
    "refused": {"kind": "code", "code": 4402},
}


@contextmanager
def open_case(folder: Path) -> Iterator[WriterCase]:
    """Open the case on a new company."""
    with open_company(folder) as company:
        writer, look = company.writer(), company.look()
        given = company.widget("person", "名")

        def fault(kind: Fault) -> None:
            company.control("fault", path="writes", **_FAULT[kind])

        try:
            yield WriterCase(
                system="jiandaoyun", writer=writer, look=look, steps=company.steps, mapping=writer.mapping, person="person",
                child=("ticket", company.widget("ticket", "联系人")), text_field=given,
                new_person=lambda name: company.make("person", 名=name, 手机={"phone": "13800000000"}, 邮箱状态="ok"),
                new_child=lambda of: company.make("ticket", 联系人={"link_id": of}, 主题="a ticket"),
                edit=lambda id, said: company.edit("person", id, 名=said),
                remove=lambda id: company.remove("person", id),
                gone=lambda id: id not in company.rows("person"),
                fault=fault,
            )  # fmt: skip
        finally:
            writer.close()
            look.close()
