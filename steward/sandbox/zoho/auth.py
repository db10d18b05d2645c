"""Token endpoint and the check of a request's token. Left to others: what a token may then do there.

Four refresh tokens are set up: one that may read, one that may read records but neither organisation nor bin, one that may
do everything, and one that may too and is another user's. Access tokens live an hour, fifteen at a
time, ten in ten minutes; a refusal of the token service is status 200 without a token, as the vendor does it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from starlette.responses import Response

from steward.sandbox.zoho.answers import Call, Refusal, answer
from steward.sandbox.zoho.state import State

CLIENT = {"client_id": "1000.SANDBOX", "client_secret": "sandbox-client"}
_READ = (
    "ZohoCRM.modules.READ", "ZohoCRM.coql.READ", "ZohoCRM.bulk.READ", "ZohoCRM.users.READ", "ZohoCRM.org.READ",
    "ZohoCRM.settings.modules.READ", "ZohoCRM.settings.fields.READ", "ZohoCRM.settings.related_lists.READ",
    "ZohoCRM.settings.layouts.READ", "ZohoCRM.settings.recycle_bin.READ", "ZohoSearch.securesearch.READ",
)  # fmt: skip
_WRITE = (
    "ZohoCRM.modules.DELETE", "ZohoCRM.modules.UPDATE", "ZohoCRM.modules.CREATE", "ZohoCRM.mass_delete.DELETE",
    "ZohoCRM.mass_delete.READ", "ZohoCRM.settings.recycle_bin.UPDATE", "ZohoCRM.settings.recycle_bin.DELETE",
    "ZohoCRM.users.UPDATE", "ZohoCRM.users.DELETE", "ZohoCRM.settings.audit_logs.CREATE", "ZohoCRM.settings.audit_logs.READ", "ZohoCRM.change_owner.CREATE",
)  # fmt: skip
REFRESH = {
    "1000.reader": (frozenset(_READ), 1),
    "1000.narrow": (frozenset(_READ) - {"ZohoCRM.org.READ", "ZohoCRM.settings.recycle_bin.READ"}, 1),
    "1000.executor": (frozenset(_READ + _WRITE), 2),
    "1000.person": (frozenset(_READ + _WRITE), 1),
}
"""Refresh token → its scopes and the ordinal of its user."""
MOST_LIVE, MOST_MADE, WINDOW = 15, 10, 600


def refresh(state: State, form: Mapping[str, str], host: str) -> Response:
    """Answer ``POST /oauth/v2/token``."""
    if form.get("client_id") != CLIENT["client_id"] or form.get("client_secret") != CLIENT["client_secret"]:
        return answer({"error": "invalid_client"})
    known = REFRESH.get(form.get("refresh_token", ""))
    if form.get("grant_type") != "refresh_token" or known is None:
        return answer({"error": "invalid_code"})
    key = form["refresh_token"]
    if not state.stamp(f"token:{key}", WINDOW, MOST_MADE):
        return answer(
            {"error_description": "You have made too many requests continuously. Please try again after some time.",
             "error": "Access Denied", "status": "failure"}
        )  # fmt: skip
    scopes, ordinal = known
    token = f"1000.{secrets.token_hex(16)}.{secrets.token_hex(16)}"
    seconds = int(state.switches["token_seconds"])
    now = state.now()
    (user,) = state.db.execute("SELECT id FROM person ORDER BY id LIMIT 1 OFFSET ?", (ordinal - 1,)).fetchone()
    state.db.execute(
        "INSERT INTO token VALUES (?, ?, ?, ?, ?, ?, ?)",
        (token, key, " ".join(sorted(scopes)), user, state.switches["dc"], now, now + seconds),
    )
    state.db.execute(
        "DELETE FROM token WHERE refresh = ? AND token NOT IN (SELECT token FROM token WHERE refresh = ? AND ends > ? "
        "ORDER BY made DESC, rowid DESC LIMIT ?)",
        (key, key, now, MOST_LIVE),
    )
    body = {"access_token": token, "api_domain": host, "token_type": "Bearer", "expires_in": seconds}
    if state.switches["token_scope"]:
        body["scope"] = " ".join(sorted(scopes))
    return answer(body)


def identify(state: State, call: Call) -> None:
    """Fill in who calls.

    Raises
    ------
    Refusal
        401: no token, a foreign or expired one, or one of another data centre.
    """
    kind, _, token = call.headers.get("authorization", "").partition(" ")
    if kind != "Zoho-oauthtoken" or not token:
        raise Refusal(401, "AUTHENTICATION_FAILURE", "Authentication failed")
    row = state.db.execute("SELECT user, scope, dc, ends FROM token WHERE token = ?", (token,)).fetchone()
    if row is None or row[3] <= state.now() or row[2] != state.switches["dc"]:
        raise Refusal(401, str(state.switches["expired_code"]), "invalid oauth token")
    call.user, call.scopes = row[0], frozenset(row[1].split())


def require(call: Call, *wanted: str, module: str = "") -> None:
    """Check that the token holds every scope; one for all modules serves for each.

    Raises
    ------
    Refusal
        401 ``OAUTH_SCOPE_MISMATCH``.
    """
    held = {s.lower() for s in call.scopes}
    for scope in wanted:
        area, _, verb = scope.lower().rpartition(".")
        if not held & {f"{area}.{verb}", f"{area}.all", f"{area}.{module.lower()}.{verb}", f"{area}.{module.lower()}.all"}:
            raise Refusal(401, "OAUTH_SCOPE_MISMATCH", "invalid oauth scope to access this URL")
