"""Credentials of the Fxiaoke sandbox: tokens of both styles, their life, and who acts in a call.

Left to others: limits per path and faults (``gateway``).
"""

from __future__ import annotations

import asyncio
import uuid

from starlette.requests import Request

from steward.sandbox.fxiaoke.objects import Json
from steward.sandbox.fxiaoke.reading import Call
from steward.sandbox.fxiaoke.world import Refusal, World

LIFE, SAME_FOR = 7200.0, 6600.0
TOKEN_PATHS = {"/oauth2.0/token": "header", "/cgi/corpAccessToken/get/V2": "body"}


async def give_token(world: World, path: str, body: Json) -> Json:
    """Answer a token call: the same token for 6600 s, then a new one while the old one lives on to 7200 s.

    Raises
    ------
    Refusal
        Calls that overlap or come too often; wrong secret 10006, app 11001, permanent code 11013.
    """
    switches, style = world.switches, TOKEN_PATHS[path]
    if world.token_running or not world.within("token", switches.tokens_per_minute, 60.0):
        raise Refusal(switches.token_limit_code)
    world.token_running = True
    try:
        if switches.token_seconds:
            await asyncio.sleep(switches.token_seconds)
        if body.get("appSecret") != switches.app_secret:
            raise Refusal(10006)
        if body.get("appId") != switches.app_id:
            raise Refusal(11001)
        if body.get("permanentCode") != switches.permanent_code:
            raise Refusal(11013)
        if style == "header" and body.get("grantType") != "app_secret":
            raise Refusal(15002)
        now = world.clock.now()
        row = world.db.execute("SELECT token, made FROM token WHERE style = ? ORDER BY made DESC LIMIT 1", (style,)).fetchone()
        token, made = row or ("", 0.0)
        if now - made > SAME_FOR:
            token, made = uuid.uuid4().hex, now
            world.db.execute("DELETE FROM token WHERE made <= ?", (now - LIFE,))
            world.db.execute("INSERT INTO token VALUES (?, ?, ?)", (token, style, made))
        left = int(made + LIFE - now)
        if style == "body":
            return {"corpAccessToken": token, "corpId": switches.corp_id, "expiresIn": left}
        return {
            "accessToken": token, "expiresIn": left, "ea": switches.ea, "appId": switches.app_id,
            "openUserId": switches.corp_id,
        }  # fmt: skip
    finally:
        world.token_running = False


def authorised(world: World, request: Request, body: Json) -> Call:
    """Return the call of whoever holds a good token.

    Raises
    ------
    Refusal
        20017 without credentials, 20016 for a token that is wrong or over, 30027 for an unknown or stopped employee.
    """
    tenant: object
    header = request.headers.get("authorization", "")
    if header:
        style, token, tenant = "header", header.removeprefix("Bearer "), request.headers.get("x-fs-ea")
        acting, expected = request.headers.get("x-fs-userid", ""), world.switches.ea
    elif body.get("corpAccessToken"):
        style, token, tenant = "body", str(body["corpAccessToken"]), body.get("corpId")
        acting, expected = str(body.get("currentOpenUserId") or ""), world.switches.corp_id
    else:
        raise Refusal(20017)
    row = world.db.execute("SELECT made FROM token WHERE token = ? AND style = ?", (token, style)).fetchone()
    if row is None or world.clock.now() - row[0] >= LIFE:
        raise Refusal(20016)
    if tenant != expected:
        raise Refusal(20017)
    path = request.url.path
    open_ids = style == "body" or body.get("convertUserId") is True
    if path.startswith("/cgi/user/"):  # asked with the token alone, before anybody's number is known
        return Call(path, body, acting, open_ids)
    person = world.employee(open_id=acting) if style == "body" else world.employee(acting)
    if person is None or person["stopped"]:
        raise Refusal(30027)
    if world.switches.trace_id_required and not request.query_params.get("thirdTraceId"):
        raise Refusal(15002)
    return Call(path, body, str(person["number"]), open_ids)
