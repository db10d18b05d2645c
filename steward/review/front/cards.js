// What stands under the comparison of one case: what a merge would lose, memberships, the survivor's values, what was said before.
//
// Stands between common.js and panel.js. Customer values reach the page through `put` alone.
// Left to others: the panel (panel.js), what is lost (steward/review/losses.py, survivor.py).

const MERGE_RULES = ["survivor", "most_recent", "most_complete", "longest", "most_common"];

function lostCard(p, s, c) {
  const card = put(s, "section", "sr-card"); put(card, "h3", "", p.t("lost"));
  const lost = c.result?.lost ?? [], links = c.members.flatMap((m) => m.memberships.filter((x) => x.conflicts && !c.out.includes(m.id)).map((x) => [m, x]));
  if (!lost.length && !links.length) put(card, "p", "sr-quiet", "✓ " + p.t("lost_nothing"));
  const ul = lost.length || links.length ? put(card, "ul", "sr-lost") : null;
  for (const [m, x] of links) {
    const li = put(ul, "li", "sr-block"); put(li, "span", "sr-lf", "⊗ " + x.object); put(li, "span", "sr-lv", x.to + roleOf(x)); 
    const goes = (c.links ?? []).includes(x.link), solved = goes || links.some(([, y]) => (c.links ?? []).includes(y.link) && y.object === x.object && y.to === x.to);
    const said = put(li, "span", "sr-quiet", `${m.id}${goes ? " · " + p.t("link_goes") : solved ? "" : " · " + p.t("link_conflict")} `);
    p.button(said, "sr-mini", p.t(goes ? "keep_link" : "let_link_go"), "", () => p.letLink(x.link)).setAttribute("aria-pressed", String(goes));
  }
  for (const x of lost) {
    const li = put(ul, "li"); put(li, "span", "sr-lf", x.field); put(li, "span", "sr-lv", x.refers ? `${x.value} (${x.refers})` : x.value);
    put(li, "span", "sr-quiet", x.free ? x.id : `${x.id} · ${p.t("kept_by_system")}`);
  }
  if (c.result?.more_lost) put(card, "p", "sr-quiet", c.result.more_lost);
}

function roleOf(x) { return x.role.length ? " · " + x.role.map(([field, value]) => `${field}: ${value}`).join(", ") : ""; }

function resultCard(p, s, c) {
  const card = put(s, "section", "sr-card"); put(card, "h3", "", p.t("result"));
  const row = put(card, "label", "sr-label"); put(row, "span", "", p.t("survivor_rule"));
  const pick = focusable(put(row, "select", "sr-select")), rules = [...MERGE_RULES, ...c.trusted];
  if (!rules.includes(c.rule)) rules.push(c.rule);
  rules.forEach((rule, i) => { const o = put(pick, "option", "", MERGE_RULES.includes(rule) ? p.t("rule_" + rule) : p.t("rule_trusted", { source: rule.slice("trusted:".length) })); o.value = i; });
  pick.value = rules.indexOf(c.rule);
  pick.addEventListener("change", () => { p.ruled(rules[Number(pick.value)]); });
  const taken = c.result?.taken ?? [];
  if (!taken.length) { put(card, "p", "sr-quiet", p.t("result_own")); return; }
  const ul = put(card, "ul", "sr-lost");
  for (const x of taken) { const li = put(ul, "li"); put(li, "span", "sr-lf", x.field); put(li, "span", "sr-lv", x.value ?? "∅ " + p.t("missing")); put(li, "span", "sr-quiet", p.t("from_member", { id: x.id })); }
}

function membershipRows(p, table, c) {
  if (!c.members.some((m) => m.memberships.length)) return;
  const group = put(table, "tbody", "sr-impact"), tr = put(group, "tr", "sr-section"); put(tr, "th", "sr-field", p.t("memberships")).scope = "rowgroup";
  c.members.forEach((m, i) => {
    const td = put(tr, "td", i === p.focus ? "sr-focus" : "");
    for (const x of m.memberships) put(td, "div", x.conflicts ? "sr-block" : "", `${x.conflicts ? "⊗ " : ""}${x.object}: ${x.to}${roleOf(x)}`);
  });
}

function toldCard(p, s, c) {
  if (!c.told.length) return;
  const card = put(s, "section", "sr-card"); put(card, "h3", "", p.t("told"));
  const ul = put(card, "ul", "sr-reasons");
  for (const x of c.told) {
    const li = put(ul, "li"), more = [x.to ? "→ " + x.to : "", x.until ? p.day(x.until) : ""].filter(Boolean).join(" · ");
    put(li, "span", "", p.t("decided_by", { action: x.word, reviewer: x.reviewer }) + (more ? " · " + more : "")); put(li, "span", "sr-quiet", " " + p.day(x.date));
    if (x.reason) put(li, "div", "sr-lv", x.reason);
  }
}

// What the decisions would change in the scoring, in numbers and examples; nothing changes before somebody accepts it.
function lessonShown(p, d, m) {
  d.querySelector(".sr-plan")?.remove(); d.querySelector(".sr-actions")?.remove();
  const plan = put(d, "div", "sr-plan"), n = (x) => p.number.format(x);
  put(plan, "p", "sr-big", p.t("lesson_from", { together: n(m.together), apart: n(m.apart) }));
  put(plan, "p", m.better ? "" : "sr-block", p.t(m.better ? "lesson_better" : "lesson_worse", { before: n(m.right[0]), after: n(m.right[1]), all: n(m.of) }));
  put(plan, "p", "", p.t("lesson_pairs", { gained: n(m.gained), lost: n(m.lost) }));
  put(plan, "p", "", m.fates.map(([word, count]) => `${word}: ${n(count)}`).join(" · "));
  if (m.weights.length) {
    const scroll = focusable(put(plan, "div", "sr-scroll")); scroll.tabIndex = 0; scroll.setAttribute("role", "region"); scroll.setAttribute("aria-label", p.t("lesson_weights"));
    const table = put(scroll, "table", "sr-table sr-one"), head = put(put(table, "thead"), "tr"), body = put(table, "tbody");
    for (const name of ["field", "level", "before", "after"]) put(head, "th", "", p.t(name === "field" ? name : "lesson_" + name)).scope = "col";
    for (const w of m.weights) { const tr = put(body, "tr"); put(tr, "th", "sr-field", w.field).scope = "row"; put(tr, "td", "", w.level); put(tr, "td", "", p.bits.format(w.before)); put(tr, "td", "", p.bits.format(w.after)); }
  }
  if (m.examples.length) { const ul = put(plan, "ul", "sr-risky"); for (const x of m.examples) put(ul, "li", "", `${x.fate} (${x.records}): ${x.before.join(" | ") || "–"} → ${x.after.join(" | ") || "–"}`); }
  const row = put(d, "div", "sr-actions");
  const yes = p.button(row, "", p.t("lesson_accept"), "", () => p.say({ type: "learn_accept", token: ++p.token }));
  p.button(row, "", p.t("cancel"), "Esc", () => p.closeDialog());
  yes.focus();
}
