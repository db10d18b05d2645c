// The sign page: paints what Python has checked, and sends the number and the passphrase that were typed, once.
//
// Stands after common.js. A passphrase is cleared from its field in the moment it is sent, and is never written anywhere else.
// Left to others: what is shown and whether it may be signed (steward/review/sign, in Python).

export default { render({ model, el }) { return new SignPage(model, el).start(); } };

class SignPage {
  constructor(model, el) { this.model = model; this.el = el; this.w = model.get("words") || {}; }

  start() {
    const root = (this.root = put(this.el, "main", "sr sr-signpage")); root.lang = this.w.lang || "en"; root.setAttribute("aria-label", this.w.title);
    keepKeys(root);
    this.place = put(root, "div"); put(this.place, "p", "sr-none", this.w.loading);
    this.listener = (m) => this.hear(m); this.model.on("msg:custom", this.listener);
    this.model.send({ type: "ready" });
    return () => this.model.off?.("msg:custom", this.listener);
  }

  hear(m) {
    if (m.type === "manifest") this.paint(m);
    else if (m.type === "refused") this.refuse(m.sentence);
  }

  refuse(sentence) {
    if (!this.form) { this.place.replaceChildren(); const strip = put(this.place, "div", "sr-strip"); strip.setAttribute("role", "alert"); put(strip, "b", "", "!"); put(strip, "span", "", sentence); makeButton(this.place, "", this.w.again, "", () => this.model.send({ type: "ready" })); return; }
    this.strip.replaceChildren(); put(this.strip, "b", "", "!"); put(this.strip, "span", "", sentence); this.strip.hidden = false; this.strip.dataset.level = "refused";
    this.go.disabled = false; (this.secret ?? this.typed).focus();
  }

  paint(m) {
    const p = this.place; p.replaceChildren(); this.form = null;
    const head = put(p, "header", "sr-signhead"); put(head, "h1", "", m.title); put(head, "p", "sr-big", m.lead);
    for (const line of m.done) { const d = put(head, "p", "sr-note sr-signed"); d.setAttribute("role", "status"); put(d, "b", "", "✓ "); put(d, "span", "", line); }
    const list = put(head, "dl", "sr-facts2");
    for (const [name, value] of m.facts) { const d = put(list, "div"); put(d, "dt", "", name); put(d, "dd", "", value); }
    put(head, "p", "sr-quiet", this.w.checked);
    m.sections.forEach((s) => this.paintSection(p, s));
    this.paintForm(p, m);
    if (m.done.length) { head.tabIndex = -1; head.focus({ preventScroll: false }); head.scrollIntoView({ block: "start" }); }
  }

  paintSection(p, s) {
    const card = put(p, "section", "sr-card sr-signcard"); put(card, "h2", "", s.title);
    for (const line of s.says) put(card, "p", s.hot ? "sr-note sr-hot" : "", line);
    if (s.rows.length) {
      let into = card;
      if (s.folded) { into = put(card, "details", "sr-numbers"); focusable(put(into, "summary", "", s.folded)); }
      const wrap = focusable(put(into, "div", "sr-scroll")); wrap.tabIndex = 0; wrap.setAttribute("role", "region"); wrap.setAttribute("aria-label", s.title);
      const table = put(wrap, "table", "sr-table sr-plain"), head = put(put(table, "thead"), "tr"), right = new Set(s.right);
      s.columns.forEach((c, i) => { put(head, "th", right.has(i) ? "sr-right" : "", c).scope = "col"; });
      const body = put(table, "tbody");
      for (const row of s.rows) { const tr = put(body, "tr"); row.forEach((v, i) => { const cell = put(tr, i ? "td" : "th", right.has(i) ? "sr-right" : "", v); if (!i) cell.scope = "row"; }); }
    }
    if (s.note) put(card, "p", "sr-quiet", s.note);
  }

  paintForm(p, m) {
    const form = put(p, "section", "sr-card sr-signform"); form.setAttribute("aria-label", this.w.sign); put(form, "h2", "", this.w.sign);
    if (m.who) put(form, "p", "", m.who);
    if (!m.can_sign) { if (m.problem) put(form, "p", "sr-note sr-hot", m.problem); this.typed = this.secret = null; return; }
    this.form = form;
    const field = (label, type) => { const l = put(form, "label", "sr-label"); put(l, "span", "", label); const i = focusable(put(l, "input", "sr-search")); i.type = type; i.autocomplete = "off"; i.spellcheck = false; return i; };
    this.typed = field(`${this.w.typed}: ${m.count}`, "text"); this.typed.inputMode = "numeric";
    this.secret = m.asks ? field(this.w[m.asks], "password") : null;
    if (this.secret) this.secret.autocomplete = "new-password"; // a browser shall not offer to keep it
    this.strip = put(form, "div", "sr-strip"); this.strip.setAttribute("role", "alert"); this.strip.hidden = true;
    const row = put(form, "div", "sr-actions"), digits = (t) => t.replace(/[\s,.'’]/g, ""), wanted = digits(m.count);
    const send = () => {
      if (this.go.disabled) return;
      const secret = this.secret ? this.secret.value : ""; if (this.secret) this.secret.value = "";
      this.go.disabled = true; this.strip.hidden = false; delete this.strip.dataset.level; this.strip.replaceChildren(); put(this.strip, "span", "", this.w.signing);
      this.model.send({ type: "sign", typed: this.typed.value, secret });
    };
    this.go = makeButton(row, "sr-go sr-delete", this.w.sign, "Enter", send); this.go.disabled = true;
    const ready = () => { this.go.disabled = digits(this.typed.value) !== wanted || (this.secret !== null && !this.secret.value); };
    for (const i of [this.typed, this.secret]) i?.addEventListener("input", ready);
    form.addEventListener("keydown", (e) => { if (e.key === "Enter" && e.target.tagName === "INPUT" && !e.isComposing) { e.preventDefault(); send(); } });
  }
}
