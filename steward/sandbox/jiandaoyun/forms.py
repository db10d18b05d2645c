"""Apps, forms and widgets of the training company, and where the generator's columns go in them.

Two apps, so that a customer is also pointed at from outside its own app. Every kind of field that a reader can trip over
stands in at least one form: ``lookup``, ``linkobject``, ``linkdata`` (in a form and inside a subform), ``user``, ``phone``,
``usergroup``, ``dept``, ``deptgroup``, ``address``, ``image``, ``upload``, ``subform``, ``sn`` and a stage. Some widgets carry an alias, some only their
``_widget_`` name. Left to others: rows (``seed``), state (``state``), the wire (``reading``, ``writing``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

APPS = (("客户管理", "cust"), ("售后服务", "service"))
"""Name and short name of each app, in the order the list call gives them."""

UNWRITABLE = frozenset({"sn", "signature", "linkdata", "aggregation"})
"""Kinds of field the interface does not let anybody write."""

HIDDEN = frozenset({"separator", "linkquery"})
"""Kinds the widget list leaves out."""


@dataclass(frozen=True, slots=True)
class Widget:
    """One field: its label, kind, source column of the generator, alias, target form and (for a subform) its columns."""

    label: str
    kind: str
    source: str = ""
    alias: str = ""
    target: str = ""
    items: tuple[Widget, ...] = ()


@dataclass(frozen=True, slots=True)
class Form:
    """One form: the generator's table behind it, its app, its label, its widgets; ``flow`` says it is a workflow form."""

    table: str
    app: str
    label: str
    widgets: tuple[Widget, ...]
    flow: bool = False


def _w(label: str, kind: str, source: str = "", *, alias: str = "", to: str = "", items: Sequence[Widget] = ()) -> Widget:
    return Widget(label, kind, source, alias, to, tuple(items))


FORMS = (
    Form("company", "cust", "客户", (
        _w("客户编号", "sn", "@sn"),
        _w("客户名称", "text", "name", alias="customer_name"),
        _w("公司电话", "phone", "phone"),
        _w("电子邮箱", "text", "email"),
        _w("网站", "text", "website"),
        _w("地址", "address", "@address"),
        _w("注册号", "text", "registration_no"),
        _w("所属行业", "combo", "industry"),
        _w("员工人数", "number", "employees"),
        _w("客户状态", "radiogroup", "@state"),
        _w("法律保留", "radiogroup", "@hold"),
        _w("负责人", "user", "owner_id"),
        _w("标签", "checkboxgroup", "@tags"),
        _w("合同附件", "upload", "@files"),
        _w("分隔线", "separator"),
        _w("银行账户", "subform", "@accounts", items=(_w("开户行", "text"), _w("账号", "text"))),
    )),
    Form("contact", "cust", "联系人", (
        _w("称呼", "combo", "salutation"),
        _w("姓", "text", "last_name", alias="last_name"),
        _w("名", "text", "first_name", alias="first_name"),
        _w("电子邮箱", "text", "email", alias="email"),
        _w("邮箱状态", "radiogroup", "email_status"),
        _w("电话", "phone", "phone"),
        _w("手机", "phone", "mobile"),
        _w("生日", "datetime", "birth_date"),
        _w("职务", "text", "job_title"),
        _w("地址", "address", "@address"),
        _w("语言", "combo", "language"),
        _w("来源", "combo", "lead_source"),
        _w("营销同意", "radiogroup", "marketing_consent"),
        _w("法律保留", "radiogroup", "@hold"),
        _w("所属客户", "lookup", "company_id", to="company"),
        _w("负责人", "user", "owner_id"),
        _w("名片", "image", "@card"),
        _w("其他联系方式", "subform", "@ways", items=(_w("类型", "combo"), _w("号码", "phone"))),
    )),
    Form("deal", "cust", "商机", (
        _w("商机名称", "text", "name"),
        _w("客户", "lookup", "company_id", alias="customer", to="company"),
        _w("联系人", "linkobject", "contact_id", to="contact"),
        _w("负责人", "user", "owner_id"),
        _w("阶段", "sale_stage", "stage"),
        _w("金额", "number", "amount"),
        _w("币种", "combo", "currency"),
        _w("预计成交日期", "datetime", "close_date"),
    )),
    Form("order", "cust", "订单", (
        _w("订单号", "text", "number"),
        _w("商机", "lookup", "deal_id", to="deal"),
        _w("客户", "lookup", "company_id", to="company"),
        _w("联系人", "lookup", "contact_id", to="contact"),
        _w("负责人", "user", "owner_id"),
        _w("状态", "combo", "status"),
        _w("金额", "number", "amount"),
        _w("币种", "combo", "currency"),
        _w("订单日期", "datetime", "order_date"),
        _w("收货明细", "subform", "@lines", items=(_w("数量", "number"), _w("收货人", "linkdata", to="contact"), _w("签收单", "upload"))),
    ), flow=True),
    Form("activity", "cust", "跟进记录", (
        _w("联系人", "linkdata", "contact_id", to="contact"),
        _w("客户", "linkobject", "company_id", to="company"),
        _w("商机", "lookup", "deal_id", to="deal"),
        _w("跟进方式", "combo", "kind"),
        _w("方向", "radiogroup", "direction"),
        _w("主题", "textarea", "subject"),
        _w("跟进时间", "datetime", "occurred_at"),
        _w("跟进人", "user", "owner_id"),
    )),
    Form("ticket", "service", "工单", (
        _w("联系人", "linkobject", "contact_id", to="contact"),
        _w("客户", "lookup", "company_id", to="company"),
        _w("负责人", "user", "owner_id"),
        _w("主题", "text", "subject"),
        _w("状态", "radiogroup", "status"),
        _w("优先级", "combo", "priority"),
        _w("协办人", "usergroup", "@helpers"),
        _w("受理部门", "dept", "@dept"),
        _w("知会部门", "deptgroup", "@depts"),
    )),
    Form("invoice", "service", "发票", (
        _w("发票号", "text", "number"),
        _w("订单", "lookup", "order_id", to="order"),
        _w("客户", "lookup", "company_id", to="company"),
        _w("联系人", "linkdata", "contact_id", to="contact"),
        _w("状态", "combo", "status"),
        _w("金额", "number", "amount"),
        _w("币种", "combo", "currency"),
        _w("开票日期", "datetime", "issued_on"),
        _w("到期日", "datetime", "due_on"),
        _w("付款日期", "datetime", "paid_on"),
    )),
    Form("", "cust", "线索池", (_w("线索名称", "text"),)),
)  # fmt: skip
"""The last form stands for a preset one that cannot be called (code 30002)."""
