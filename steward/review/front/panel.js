// The review panel: paints what Python sends and sends what the reviewer intends. Plain JavaScript, no dependencies.
//
// Stands after common.js. Customer values reach the page through textContent alone (`put`): never as markup, address or style.
// Unmodified keys never leave the panel, and every element that can have the focus carries data-lm-suppress-shortcuts,
// for a notebook would otherwise take "a" as "insert a cell". Says "saved" only when Python has said so.
// Left to others: every decision about decisions (steward/review, in Python).

const ROW = 46, BLOCK = 60, TALLEST = 8_000_000;
const KEYS = { m: "merge_into", d: "delete", p: "keep", n: "not_duplicate", a: "anonymise", l: "defer", e: "escalate", c: "comment",
               o: "reassign", z: "deactivate_user" };
const KEY_OF = Object.fromEntries(Object.entries(KEYS).map(([k, a]) => [a, k.toUpperCase()]));
// Keys that mean something, and those among them that concern the case on the screen.
const KNOWN = /^([a-z/ ]|[1-9]|Arrow\w+|Page\w+|Home|End)$/, NEEDS_CASE = /^([mdpnaleczosxtvbw]|[1-9]|ArrowLeft|ArrowRight)$/;
const PATIENCE = 15_000;  // ms without an answer, after which the panel says that nothing is known to be saved
const STILL_HERE = 30_000;  // ms between two signs that somebody is at the screen, which keep the claim on its case
const ASK = new Set(["defer", "escalate", "comment", "reassign"]);

export default { render({ model, el }) { return new Panel(model, el).start(); } };

class Panel {
  constructor(model, el) {
    this.model = model; this.el = el; this.w = model.get("words") || {};
    this.rows = new Map(); this.cases = new Map(); this.next = []; this.pending = new Map();
    this.total = 0; this.line = 0; this.focus = 0; this.armed = null; this.token = 0; this.viewNo = 0; this.arranged = {};
    this.onlyDifferences = false;
    this.marked = new Set(); this.mine = false;  // lines chosen by hand, for a bulk action; the queue of what waits for me
    this.arranging = new Set(); this.held = [];  // arrangements under way, and the keys that wait for them
    const lang = this.w.lang || "en";
    this.number = new Intl.NumberFormat(lang); this.money = new Intl.NumberFormat(lang, { maximumFractionDigits: 2 });
    this.percent = new Intl.NumberFormat(lang, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
    this.bits = new Intl.NumberFormat(lang, { signDisplay: "always", minimumFractionDigits: 1, maximumFractionDigits: 1 });
    this.date = new Intl.DateTimeFormat(lang, { year: "numeric", month: "short", day: "numeric", timeZone: "UTC" });
  }

  start() {
    this.build();
    this.listener = (message) => this.hear(message);
    this.model.on("msg:custom", this.listener);
    this.say({ type: "ready" });
    const alive = setInterval(() => this.say({ type: "here", case: this.currentCase() }), STILL_HERE);
    return () => { clearInterval(alive); this.model.off?.("msg:custom", this.listener); this.observer?.disconnect(); };
  }

  share(p) { return this.percent.format(p < 1 ? Math.floor(p * 1000 + 1e-6) / 1000 : 1); }  // 0.9999 is not certain: never rounded up
  say(message) { this.model.send(message); }
  t(name, facts) { return (this.w[name] ?? name).replace(/\{(\w+)\}/g, (all, key) => (facts && key in facts ? String(facts[key]) : all)); }

  // ---------------------------------------------------------------- frame

  build() {
    const root = (this.root = put(this.el, "section", "sr"));
    root.lang = this.w.lang || "en";
    root.tabIndex = -1; focusable(root);
    root.setAttribute("aria-label", this.t("title"));
    root.addEventListener("keydown", (event) => this.key(event));
    for (const kind of ["keyup", "keypress"]) root.addEventListener(kind, (e) => { if (!e.ctrlKey && !e.metaKey && !e.altKey) e.stopPropagation(); });

    const top = put(root, "header", "sr-top");
    this.tabs = put(top, "div", "sr-tabs"); this.tabs.setAttribute("role", "group"); this.tabs.setAttribute("aria-label", this.t("queue"));
    const meter = put(top, "div", "sr-meter");
    this.bar = put(put(meter, "div", "sr-bar"), "div", "sr-fill");
    this.done = put(meter, "span", "sr-done");
    this.saved = put(top, "span", "sr-saved"); this.saved.setAttribute("role", "status"); this.saved.setAttribute("aria-live", "polite");
    this.who = put(top, "span", "sr-who", this.model.get("reviewer") || "");

    this.strip = put(root, "div", "sr-strip"); this.strip.setAttribute("role", "alert"); this.strip.hidden = true;

    const body = put(root, "div", "sr-body");
    const side = put(body, "aside", "sr-side");
    this.search = focusable(put(side, "input", "sr-search")); this.search.type = "search";
    this.search.placeholder = this.t("search"); this.search.setAttribute("aria-label", this.t("search"));
    this.search.addEventListener("input", () => { clearTimeout(this.wait); this.wait = setTimeout(() => this.look(), 250); });
    const pick = put(side, "div", "sr-pick");
    this.order = this.choice(pick, "order", ["certainty", "impact", "learning", "size"].map((n) => [n, this.t(n)]));
    this.states = this.choice(pick, "show", [["", this.t("state_any")], ...[0, 1, 2, 3, 4].map((n) => [String(n), this.t("state_" + n)])]);
    const more = this.button(side, "sr-mini", this.t("more_filters"), "", () => { filters.hidden = !filters.hidden; more.setAttribute("aria-expanded", String(!filters.hidden)); });
    const filters = put(side, "div", "sr-filters"); filters.hidden = true; more.setAttribute("aria-expanded", "false");
    [this.low, this.high] = ["score_low", "score_high"].map((name) => {
      const i = focusable(put(filters, "input", "sr-search")); i.type = "number"; i.min = 0; i.max = 100; i.placeholder = this.t(name); i.setAttribute("aria-label", this.t(name));
      i.addEventListener("change", () => this.look()); return i;
    });
    this.guard = this.choice(filters, "protected", [["", this.t("protected_any")], ["1", this.t("protected_yes")], ["0", this.t("protected_no")]]);
    const list = (this.list = focusable(put(side, "div", "sr-list")));
    list.tabIndex = 0; list.setAttribute("role", "listbox"); list.setAttribute("aria-label", this.t("queue"));
    this.tall = put(list, "div", "sr-tall"); this.tall.setAttribute("role", "presentation");
    list.addEventListener("scroll", () => { if (!this.due) this.due = requestAnimationFrame(() => { this.due = 0; this.paintList(); }); });
    list.addEventListener("click", (e) => { const row = e.target.closest(".sr-row"); if (!row) return; const n = Number(row.dataset.line); if (e.ctrlKey || e.metaKey) this.choose(n); else if (e.shiftKey) this.chooseTo(n); else this.go(n); });
    this.observer = new ResizeObserver(() => this.paintList()); this.observer.observe(list);

    this.sheet = focusable(put(body, "main", "sr-sheet")); this.sheet.tabIndex = 0; this.sheet.setAttribute("aria-label", this.t("comparison"));
    this.foot = put(root, "footer", "sr-foot");
    this.veil = put(root, "div", "sr-veil"); this.veil.hidden = true;
  }

  choice(parent, label, options) {
    const box = focusable(put(parent, "select", "sr-select")); box.setAttribute("aria-label", this.t(label));
    for (const [value, text] of options) { const o = put(box, "option", "", text); o.value = value; }
    box.addEventListener("change", () => this.look());
    return box;
  }

  button(parent, cls, text, key, act) { return makeButton(parent, cls, text, key, act); }

  // ---------------------------------------------------------------- what Python says

  hear(m) {
    switch (m.type) {
      case "view":
        this.viewNo++; this.total = m.total; this.rows.clear(); this.asked = new Set(); this.kind = m.kind; this.next = [];
        this.cases.clear(); for (const c of m.cases ?? []) this.cases.set(c.case, c);
        this.arranging.clear(); this.cacheRows(m.from, m.rows); this.progress(m.progress);
        this.order.value = m.order;
        this.tall.style.height = Math.min(this.total * ROW, TALLEST) + "px";
        this.line = -1; this.go(this.total ? m.line : -1, true);
        for (const k of this.held.splice(0, 1)) { this.held = []; this.notTaken(k.key); }
        if (!this.ready) { this.ready = true; this.list.focus({ preventScroll: true }); }
        break;
      case "page":
        if (m.view !== this.viewNo) break;
        this.cacheRows(m.from, m.rows); this.paintList();
        if (this.paintedCase !== this.currentCase()) this.paintSheet();  // its row came after the case itself
        break;
      case "cases":
        for (const c of m.cases) { this.cases.set(c.case, c); const row = this.rowOf(c.case); if (row) row.state = c.state; }
        if (m.cases.some((c) => c.case === this.currentCase())) this.paintSheet();
        this.paintList(); this.letGo(m.token, true); break;
      case "ahead": this.next = m.next; break;
      case "standing": this.progress(m.progress); break;
      case "ruled":
        this.cases.clear(); for (const c of m.cases) this.cases.set(c.case, c);
        this.paintSheet(); this.letGo(m.token, true); break;
      case "decided": { const p = this.settle(m, true); this.progress(m.progress); this.advance(m, p?.waits); if (m.case !== this.currentCase()) this.cases.delete(m.case); break; }
      case "bulk_decided": this.marked.clear(); this.closeDialog(); this.mark(m.sentence); break;
      case "undone": case "redone":
        this.mark(`${this.t(m.type)} · ${m.sentence}`); this.progress(m.progress); this.cases.clear();
        for (const c of m.cases ?? []) this.cases.set(c.case, c);
        if (m.line !== null && m.line !== undefined) this.go(m.line, true); else this.paintSheet();
        break;
      case "nothing": this.mark(this.t(m.what === "undone" ? "nothing_to_undo" : "nothing_to_redo")); break;
      case "confirm": this.settle(m, false); this.arm(m.sentences); break;
      case "refused": if (this.dialog) this.dialogError(m.sentence); else { this.settle(m, false); this.warn(m.sentence); } this.letGo(m.token); break;
      case "failed": this.settle(m, false); this.warn(this.t("defect", { kind: m.kind })); this.letGo(m.token); break;
      case "bulk": this.bulkPlanned(m); break;
      case "lesson": if (this.dialog) lessonShown(this, this.dialog, m); break;
      case "learned": this.closeDialog(); this.mark(this.t("lesson_written", { file: m.file })); break;
      case "picture": this.pictures?.hear(m); break;
    }
  }

  cacheRows(from, rows) { rows.forEach((row, i) => this.rows.set(from + i, row)); }
  rowOf(id) { const p = this.rows.get(this.line); if (p && p.case === id) return p; for (const r of this.rows.values()) if (r.case === id) return r; return null; }
  currentCase() { return this.rows.get(this.line)?.case; }
  current() { const id = this.currentCase(); return id === undefined ? null : this.cases.get(id); }

  settle(m, ok) {
    const p = this.pending.get(m.token); this.pending.delete(m.token); clearTimeout(p?.patience);
    if (ok) { const row = this.rowOf(m.case); if (row) { row.state = m.state ?? row.state; row.saving = false; } this.mark(m.sentence); }
    else if (p) { const row = this.rowOf(p.case); if (row) row.saving = false; if (p.view === this.viewNo) this.go(p.line, true); this.saved.textContent = this.t("not_saved"); this.saved.dataset.ok = "no"; }
    this.paintList();
    return p;
  }

  // Where the next case was not known yet when the key was pressed, the screen moves on now; otherwise it has long done so.
  advance(m, waits) {
    if (m.next) this.next = m.next;
    if (!waits || m.case !== this.currentCase() || !m.next?.length) return;
    const after = m.next[0]; if (after.line === this.line) return;
    if (this.cases.has(after.case)) this.knowRow(after);
    this.go(after.line, true);
  }
  knowRow(after) { if (!this.rows.has(after.line)) this.rows.set(after.line, { ...this.cases.get(after.case), protected: false }); }

  // A pressed key is never lost in silence: it waits for what is under way on this very case, or the panel says that it was not taken.
  notTaken(key) { this.warn(this.t("not_taken", { key: key.length === 1 ? key.toUpperCase() : key })); }
  letGo(token, ok = false) {
    if (!this.arranging.delete(token) || (ok && this.arranging.size)) return;
    const keys = this.held.splice(0);
    if (!ok) { if (keys.length) this.notTaken(keys[0].key); return; }
    for (const k of keys) {
      if (k.case !== this.currentCase()) { this.notTaken(k.key); return; }  // meant for what was on the screen then, not for this
      this.press(k.key, k.shift, k.inSheet);
    }
  }

  mark(text) { this.saved.replaceChildren(); put(this.saved, "b", "", "✓"); plain(this.saved, " " + text); this.saved.dataset.ok = "yes"; this.strip.hidden = true; }
  warn(text) { this.strip.replaceChildren(); put(this.strip, "b", "", "!"); put(this.strip, "span", "", text); this.strip.hidden = false; this.strip.dataset.level = "refused"; }

  progress(p) {
    if (p.kinds) this.paintTabs(p.kinds, p.waiting ?? 0);
    const done = p.total - p.open;
    this.bar.style.width = (p.total ? (100 * done) / p.total : 0) + "%";
    this.done.textContent = this.t("of", { done: this.number.format(done), total: this.number.format(p.total) });
  }

  // ---------------------------------------------------------------- queue

  look() {
    const bound = (box) => (box.value === "" ? null : Number(box.value) / 100);
    this.marked.clear();
    this.say({ type: "view", kind: this.mine ? null : this.kind, mine: !!this.mine, low: bound(this.low), high: bound(this.high),
               protected: this.guard.value === "" ? null : this.guard.value === "1", order: this.order.value, text: this.search.value, states: this.states.value === "" ? [] : [Number(this.states.value)] });
  }

  // Rebuilding what holds the focus would drop it to the page, and the next key with it to the notebook.
  keepFocus(paint) {
    const inside = () => this.root.contains(this.root.getRootNode().activeElement), had = inside();
    paint();
    if (had && !inside()) (this.dialog ? this.dialog.querySelector("button,input,select") : this.list).focus({ preventScroll: true });
  }

  paintTabs(kinds, waiting) { this.keepFocus(() => this.paintTabsNow(kinds, waiting)); }
  paintTabsNow(kinds, waiting) {
    this.tabs.replaceChildren();
    for (const k of kinds) {
      const b = this.button(this.tabs, "sr-tab", this.t(k.kind), "", () => { this.kind = k.kind; this.mine = false; this.look(); });
      put(b, "span", "sr-count", this.number.format(k.open));
      b.setAttribute("aria-pressed", String(k.kind === this.kind && !this.mine));
    }
    const b = this.button(this.tabs, "sr-tab", this.t("mine"), "", () => { this.mine = true; this.look(); });
    put(b, "span", "sr-count", this.number.format(waiting)); b.setAttribute("aria-pressed", String(!!this.mine));
  }

  top(line) { const real = this.total * ROW; return real <= TALLEST ? line * ROW : (line * ROW * (TALLEST - this.list.clientHeight)) / (real - this.list.clientHeight); }
  firstShown() { const real = this.total * ROW, y = this.list.scrollTop; return real <= TALLEST ? y / ROW : (y * (real - this.list.clientHeight)) / (TALLEST - this.list.clientHeight) / ROW; }

  paintList() {
    const height = this.list.clientHeight || 400, first = this.firstShown(), shown = Math.ceil(height / ROW) + 1, start = Math.max(0, Math.floor(first));
    const offset = this.list.scrollTop - (first - start) * ROW;
    const keep = [];
    this.ask(start, Math.min(this.total, start + shown));
    for (let n = start; n < Math.min(this.total, start + shown); n++) keep.push(this.paintRow(n, offset + (n - start) * ROW));
    this.tall.replaceChildren(...keep);
    if (!this.total) { const none = put(this.tall, "div", "sr-none", this.t("empty")); none.setAttribute("role", "option"); none.setAttribute("aria-selected", "false"); }
    this.list.setAttribute("aria-activedescendant", this.line >= 0 && keep.some((k) => k.id === this.rowId(this.line)) ? this.rowId(this.line) : "");
  }

  rowId(n) { return `sr-${this.uid ??= Math.random().toString(36).slice(2)}-${n}`; }

  paintRow(n, y) {
    const row = this.rows.get(n), node = put(null, "div", "sr-row");
    node.id = this.rowId(n); node.dataset.line = n; node.style.top = y + "px"; node.setAttribute("role", "option");
    node.setAttribute("aria-selected", String(n === this.line)); node.setAttribute("aria-setsize", this.total); node.setAttribute("aria-posinset", n + 1);
    if (!row) { node.classList.add("sr-wait"); put(node, "span", "sr-name", this.t("loading")); return node; }
    if (this.marked.has(n)) { node.classList.add("sr-marked"); put(node, "span", "sr-sign", "☑").title = this.t("marked"); }
    node.dataset.state = row.saving ? "saving" : row.state;
    const sign = put(node, "span", "sr-sign", row.saving ? "…" : ["○", "✓", "◷", "↑", "≠"][row.state]); sign.title = row.saving ? this.t("saving") : this.t("state_" + row.state);
    const middle = put(node, "span", "sr-two"); put(middle, "span", "sr-name", row.title);
    put(middle, "span", "sr-sub", row.records + (row.protected ? " · " + this.t("protected") : ""));
    if (row.score !== null) put(node, "span", "sr-num", this.share(row.score));
    return node;
  }

  choose(n) { if (n < 0) return; if (!this.marked.delete(n)) this.marked.add(n); this.paintList(); this.saved.textContent = this.t("marked_count", { count: this.number.format(this.marked.size) }); this.saved.dataset.ok = ""; }
  chooseTo(n) { const from = Math.max(0, this.line); for (let i = Math.min(from, n); i <= Math.max(from, n); i++) this.marked.add(i); this.choose(n); this.choose(n); }

  ask(from, to) {
    for (let block = Math.floor(from / BLOCK); block * BLOCK < to; block++) {
      const a = block * BLOCK, b = Math.min(this.total, a + BLOCK), key = `${this.viewNo}:${block}`;
      if (this.asked.has(key)) continue;
      let missing = false; for (let n = a; n < b && !missing; n++) missing = !this.rows.has(n);
      if (missing) { this.asked.add(key); this.say({ type: "page", view: this.viewNo, from: a, to: b }); }
    }
  }

  go(line, quiet) {
    if (!this.total) { this.line = -1; this.paintList(); this.paintSheet(); return; }
    line = Math.max(0, Math.min(this.total - 1, line));
    const moved = line !== this.line; this.line = line; this.armed = null; if (moved) { this.focus = 0; this.arranged = {}; }
    const y = this.top(line), h = this.list.clientHeight;
    if (y < this.list.scrollTop + 2) this.list.scrollTop = Math.max(0, y - ROW);
    else if (y + ROW > this.list.scrollTop + h) this.list.scrollTop = y + 2 * ROW - h;
    if (!quiet) this.strip.hidden = true;
    this.paintList(); this.paintSheet();
    if (moved || !this.current()) this.say({ type: "open", line });
  }

  // ---------------------------------------------------------------- case

  paintSheet() { this.keepFocus(() => this.paintSheetNow()); }
  paintSheetNow() {
    const s = this.sheet, c = this.current(); const same = this.paintedCase === c?.case, scroll = same ? [s.scrollTop, s.scrollLeft] : [0, 0], aside = same ? s.querySelector(".sr-scroll")?.scrollLeft ?? 0 : 0;
    this.paintedCase = c?.case;
    s.replaceChildren();
    if (!c) { put(s, "p", "sr-none", this.line < 0 ? this.t("empty") : this.t("loading")); this.paintFoot(null); return; }
    const head = put(s, "div", "sr-head"), name = put(head, "div", "sr-title"); put(name, "h2", "", c.title);
    put(name, "span", "sr-badge", this.t("state_" + c.state)).dataset.state = c.state;
    const facts = put(head, "div", "sr-facts");
    put(facts, "span", "", `${c.object} · ${c.records}`);
    if (c.score !== null) put(facts, "span", "", `${this.t(c.kind === "duplicate" ? "probability" : "score")} ${this.share(c.score)}`);
    if (c.weakest && c.size > 2) put(facts, "span", "", `${this.t("weakest")}: ${c.weakest.left} – ${c.weakest.right}, ${this.share(c.weakest.probability)}`);
    if (c.conflict) put(s, "div", "sr-note sr-hot", this.t("conflict", c.conflict));
    if (c.claimed) put(s, "div", "sr-note sr-hot", this.t("someone", { reviewer: c.claimed }));
    if (c.hidden) put(s, "div", "sr-note", c.hidden);
    for (const m of c.members) for (const p of m.protections) {
      const n = put(s, "div", "sr-note sr-hot"); put(n, "b", "", `⊗ ${this.t("protected")} · ${m.id}`); put(n, "span", "", " " + p.sentence);
    }
    if (c.kind !== "duplicate") this.paintReasons(s, c);
    this.paintTable(s, c);
    const under = put(s, "div", "sr-under");
    if (c.kind === "duplicate") { this.paintWeights(under, c); lostCard(this, under, c); resultCard(this, under, c); }
    if (c.kind === "duplicate") this.paintReasons(under, c);
    toldCard(this, under, c);
    this.paintFoot(c);
    [s.scrollTop, s.scrollLeft] = scroll;
    const wide = s.querySelector(".sr-scroll"); if (wide) wide.scrollLeft = aside;
  }

  paintTable(s, c) {
    const wrap = focusable(put(s, "div", "sr-scroll")); wrap.tabIndex = 0; wrap.setAttribute("role", "region"); wrap.setAttribute("aria-label", this.t("comparison"));
    const table = put(wrap, "table", "sr-table" + (c.members.length > 3 ? " sr-many" : c.members.length > 1 ? "" : " sr-one")), out = new Set(c.out);
    const hr = put(put(table, "thead"), "tr"); put(hr, "th", "sr-field", this.t("field")).scope = "col";
    c.members.forEach((m, i) => {
      const th = put(hr, "th", i === this.focus ? "sr-focus" : ""); th.scope = "col"; th.addEventListener("click", () => { this.focus = i; this.paintSheet(); });
      const line = put(th, "div", "sr-member"); if (c.members.length > 1) put(line, "kbd", "sr-n", i + 1); put(line, "span", "sr-id", m.id);
      const tags = put(th, "div", "sr-tags");
      if (m.id === c.survivor) put(tags, "span", "sr-tag sr-surv", "★ " + this.t("survivor") + (m.id === c.proposed ? ` (${this.t("proposed")})` : ""));
      if (m.id === c.proposed && c.why) put(th, "div", "sr-why", c.why);
      if (out.has(m.id)) put(tags, "span", "sr-tag sr-out", "⊘ " + this.t("taken_out"));
      if (m.standing) put(tags, "span", "sr-tag", this.t("decided_by", { action: m.standing.word, reviewer: m.standing.reviewer }));
    });
    const paintLine = (body, line) => {
      const tr = put(body, "tr", line.differs ? "sr-diff" : ""), th = put(tr, "th", "sr-field"); th.scope = "row";
      put(th, "span", "sr-eq", c.members.length > 1 ? (line.differs ? "≠" : "=") : ""); put(th, "span", "", line.field);
      line.cells.forEach((cell, i) => {
        const td = put(tr, "td", `sr-${cell.s}` + (i === this.focus ? " sr-focus" : "") + (out.has(c.members[i].id) ? " sr-gone" : ""));
        if (cell.s === "missing") { put(td, "span", "sr-empty", "∅ " + this.t("missing")); return; }
        if (cell.s === "differs") { const sign = put(td, "span", "sr-ne", "≠"); sign.setAttribute("role", "img"); sign.setAttribute("aria-label", this.t("differs")); }
        const text = put(td, "span", "sr-text");
        for (const [mark, part] of cell.p) put(text, mark === "d" ? "u" : "span", "", part);
        const taken = c.result?.taken.find((x) => x.field === line.field && x.id === c.members[i].id);
        if (taken) put(td, "span", "sr-tag sr-surv", "✓ " + this.t("result"));
        if (line.free && c.kind === "duplicate" && i > 0 && line.differs) {
          const b = this.button(td, "sr-mini", "↤", "", () => this.takeValue(line.field, c.members[i].id)); b.setAttribute("aria-label", `${this.t("choose_value")}: ${line.field}`); b.title = this.t("choose_value");
        }
      });
    };
    // First what differs, then what hangs on it, then what is the same: the eye meets what decides.
    const several = c.members.length > 1, first_ = put(table, "tbody"), rest = c.lines.filter((l) => several && !l.differs);
    if (!several) { this.paintImpact(table, c); membershipRows(this, table, c); }
    const body = several ? first_ : put(table, "tbody");
    for (const line of c.lines) if (!several || line.differs) paintLine(body, line);
    if (several) { this.paintImpact(table, c); membershipRows(this, table, c); }
    if (!this.onlyDifferences && rest.length) { const last = put(table, "tbody", "sr-equal"); for (const line of rest) paintLine(last, line); }
  }

  paintImpact(table, c) {
    const objects = [...new Set(c.members.flatMap((m) => m.impact.map((x) => x.object)))];
    const group = put(table, "tbody", "sr-impact"), first = put(group, "tr", "sr-section"), lead = put(first, "th", "sr-field", this.t("hangs")); lead.scope = "rowgroup";
    c.members.forEach((m, i) => put(first, "td", i === this.focus ? "sr-focus" : "", m.impact.length ? "" : this.t("hangs_nothing")));
    for (const object of objects) {
      const tr = put(group, "tr"); put(tr, "th", "sr-field", object).scope = "row";
      c.members.forEach((m, i) => {
        const td = put(tr, "td", i === this.focus ? "sr-focus" : "");
        for (const x of m.impact.filter((y) => y.object === object)) {
          const box = put(td, "div", "sr-hang"); put(box, "b", "", this.number.format(x.count));
          const more = [];
          if (x.amount) more.push(this.money.format(x.amount)); if (x.open) more.push(this.t("open_business", { count: this.number.format(x.open) }));
          if (x.latest) more.push(this.t("latest", { date: this.day(x.latest) }));
          if (more.length) put(box, "span", "", " · " + more.join(" · "));
          const fate = put(box, "div", "sr-fate");
          if (c.kind === "duplicate" && m.id !== c.survivor) put(fate, "span", "", this.t("on_merge_move"));
          if (m.id !== c.survivor || c.kind !== "duplicate") put(fate, "span", x.delete === "block" ? "sr-block" : "", (x.delete === "block" ? "⊗ " : "") + this.t("on_delete_" + x.delete));
        }
      });
    }
  }

  day(text) { const d = new Date(/[zZ]|[+-]\d\d:?\d\d$/.test(text) ? text : text.length > 10 ? text + "Z" : text + "T00:00:00Z"); return isNaN(d) ? text : this.date.format(d); }

  paintWeights(s, c) {
    if (!c.pairs.length) { if (c.score === null) put(put(s, "section", "sr-card"), "p", "sr-quiet", this.t("hidden_score")); return; }
    const me = c.members[this.focus]?.id, pair = c.pairs.find((p) => me !== c.survivor && (p.left === me || p.right === me) && (p.left === c.survivor || p.right === c.survivor))
      ?? c.pairs.find((p) => p.left === me || p.right === me) ?? c.pairs[0];
    const card = put(s, "section", "sr-card"); put(card, "h3", "", this.t("weights"));
    put(card, "p", "sr-quiet", `${pair.left} – ${pair.right} · ${this.share(pair.probability)} · ${this.t("bits", { bits: this.bits.format(pair.bits) })}`);
    // A waterfall: each bar begins where the one before ended, from nothing to the sum.
    let at = 0, low = 0, high = 0;
    for (const bits of [pair.prior, ...pair.weights.map((w) => w.bits)]) { at += bits; low = Math.min(low, at); high = Math.max(high, at); }
    const list = put(card, "div", "sr-bars"), place = (bits) => (100 * (bits - low)) / Math.max(1, high - low); at = 0;
    const bar = (label, note, bits, cls, from = at) => {
      const r = put(list, "div", "sr-weight" + (cls === "sr-sum" ? " sr-total" : "")); put(r, "span", "sr-wname", label);
      const track = put(r, "span", "sr-track"), nothing = put(track, "span", "sr-zero"), fill = put(track, "span", "sr-wfill " + cls);
      nothing.style.left = place(0) + "%"; fill.style.left = place(Math.min(from, from + bits)) + "%"; fill.style.width = place(low + Math.abs(bits)) + "%";
      put(r, "span", "sr-wnum", bits === 0 ? "0" : this.bits.format(bits)); put(r, "span", "sr-wnote", note); at = from + bits;
    };
    bar(this.t("prior"), "", pair.prior, pair.prior < 0 ? "sr-neg" : "sr-pos");
    for (const w of pair.weights) bar(w.field, w.agreement === "missing" ? "∅ " + this.t("missing") : this.t(w.agreement) + (w.level ? ` · ${w.level}` : ""), w.bits, w.bits < 0 ? "sr-neg" : "sr-pos");
    bar(this.t("sum"), this.share(pair.probability), pair.bits, "sr-sum", 0);
  }

  paintReasons(s, c) {
    if (!c.evidence.length) return;
    const card = put(s, "section", "sr-card"); put(card, "h3", "", this.t("reasons"));
    const ul = put(card, "ul", "sr-reasons");
    for (const e of c.evidence.slice(0, 60)) {
      const li = put(ul, "li"); put(li, "span", "", e.sentence); put(li, "span", "sr-quiet", " " + e.rule + (e.severity ? " · " + e.severity : ""));
      if (e.values.length && c.kind !== "duplicate") {
        const t = put(li, "div", "sr-values");
        for (const v of e.values) { const r = put(t, "div"); put(r, "b", "", v.field); put(r, "span", v.value === null ? "sr-empty" : "", v.value === null ? "∅ " + this.t("missing") : v.value); if (v.with) put(r, "span", "sr-quiet", "↔ " + v.with); if (v.points !== null) put(r, "span", "sr-wnum", this.bits.format(v.points)); }
      }
    }
  }

  paintFoot(c) { this.keepFocus(() => this.paintFootNow(c)); }
  paintFootNow(c) {
    const f = this.foot; f.replaceChildren();
    const confirm = put(f, "div", "sr-confirm");
    if (this.armed) {
      confirm.setAttribute("role", "alert");
      for (const line of this.armed.sentences) put(confirm, "div", "", "⚠ " + line);
      put(confirm, "b", "", this.t("confirm_again", { key: KEY_OF[this.armed.action] ?? "" }));
    }
    const row = put(f, "div", "sr-actions");
    if (c) for (const action of Object.values(KEYS)) {
      if (!c.actions.includes(action) || (action === "comment" || action === "reassign")) continue;
      const found = c.concerns[action] || [], no = found.some((x) => x.level === "refused");
      const b = this.button(row, `sr-act sr-${action}` + (no ? " sr-no" : "") + (this.armed?.action === action ? " sr-armed" : ""), this.t("do_" + action), KEY_OF[action], () => this.press(KEY_OF[action].toLowerCase(), false, false));
      if (no) { b.setAttribute("aria-disabled", "true"); b.title = found[0].sentence; }
    }
    const hints = put(f, "div", "sr-hints");
    const hint = (keys, text) => { const h = put(hints, "span"); for (const k of keys) put(h, "kbd", "", k); plain(h, " " + text); };
    hint(["J", "K"], `${this.t("next")} / ${this.t("previous")}`);
    if (c && c.kind === "duplicate") { hint(["←", "→"], this.t("members")); hint(["S"], this.t("choose_survivor")); hint(["X"], this.t("take_out")); hint(["T"], this.t("split")); hint(["V"], this.t("only_differences")); }
    hint(["U", "R"], `${this.t("undo")} / ${this.t("redo")}`); hint(["␣"], this.t("mark")); hint(["B"], this.t(this.marked.size ? "bulk_marked" : "bulk")); hint(["/"], this.t("search").split(":")[0]);
    hint(["C"], this.t("do_comment")); hint(["O"], this.t("do_reassign")); hint(["G"], this.t("pictures")); hint(["W"], this.t("learn"));
  }

  // ---------------------------------------------------------------- keys

  key(event) {
    if (event.isComposing || event.keyCode === 229) { event.stopPropagation(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    event.stopPropagation();
    if (this.dialog) { this.dialogKey(event); return; }
    const tag = event.target.tagName;
    if (tag === "INPUT" || tag === "TEXTAREA") { if (event.key === "Escape") { this.list.focus(); } else if (event.key === "Enter") { clearTimeout(this.wait); this.look(); this.list.focus(); } return; }
    if (tag === "SELECT" && !["Escape"].includes(event.key)) return;
    if (tag === "BUTTON" && (event.key === "Enter" || event.key === " ")) return;
    const k = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (this.press(k, event.shiftKey, this.sheet.contains(event.target))) event.preventDefault();
  }

  // Returns whether the key means something here.
  press(k, shift, inSheet) {
    let known = true; const done = () => {};
    if (this.arranging.size && k !== "Escape") {
      if (!KNOWN.test(k)) return false;
      this.held.push({ key: k, shift, inSheet, case: this.currentCase() }); this.saved.textContent = this.t("waiting"); this.saved.dataset.ok = "";
      return true;
    }
    if (NEEDS_CASE.test(k) && !this.current() && this.total) { this.notTaken(k); return true; }
    if (k === "j" || (k === "ArrowDown" && !inSheet)) { done(); this.go(this.line + 1); }
    else if (k === "k" || (k === "ArrowUp" && !inSheet)) { done(); this.go(this.line - 1); }
    else if (k === "PageDown" && !inSheet) { done(); this.go(this.line + 10); } else if (k === "PageUp" && !inSheet) { done(); this.go(this.line - 10); }
    else if (k === "Home" && !inSheet) { done(); this.go(0); } else if (k === "End" && !inSheet) { done(); this.go(this.total - 1); }
    else if (k === "ArrowRight") { done(); this.member(this.focus + 1); } else if (k === "ArrowLeft") { done(); this.member(this.focus - 1); }
    else if (k >= "1" && k <= "9" && k.length === 1) { done(); this.member(Number(k) - 1); }
    else if (k === "s") { done(); this.survivor(); } else if (k === "x") { done(); this.takeOut(); }
    else if (k === "t") { done(); this.splitHere(); } else if (k === " " && !inSheet) { done(); this.choose(this.line); }
    else if (k === "v") { done(); this.onlyDifferences = !this.onlyDifferences; this.paintSheet(); }
    else if (k === "u") { done(); this.say({ type: shift ? "redo" : "undo", token: ++this.token }); } else if (k === "r") { done(); this.say({ type: "redo", token: ++this.token }); }
    else if (k === "/") { done(); this.search.focus(); this.search.select(); } else if (k === "b") { done(); this.openBulk(); }
    else if (k === "Escape") { done(); this.held = []; if (this.armed) { this.armed = null; this.paintFoot(this.current()); } this.strip.hidden = true; this.list.focus(); }
    else if (k === "w") { done(); this.openLesson(); }
    else if (k === "g") { done(); this.openPictures(); }
    else if (KEYS[k]) { done(); this.act(KEYS[k]); }
    else known = false;
    return known;
  }

  member(i) { const c = this.current(); if (!c) return; this.focus = Math.max(0, Math.min(c.members.length - 1, i)); this.paintSheet(); this.sheet.querySelector("th.sr-focus")?.scrollIntoView({ block: "nearest", inline: "nearest" }); }

  arrange(change) {
    const c = this.current(); if (!c || c.kind !== "duplicate") return;
    this.arranged = { survivor: c.survivor, out: [...c.out], choices: this.arranged.choices || {}, links: this.arranged.links || [], ...change };
    this.armed = null; this.arranging.add(++this.token); this.say({ type: "arrange", token: this.token, case: c.case, ...this.arranged });
  }

  survivor() { const c = this.current(), m = c?.members[this.focus]; if (m) { this.focus = 0; this.arrange({ survivor: m.id, out: c.out.filter((x) => x !== m.id), choices: {}, links: [] }); } }
  takeOut() { const c = this.current(), m = c?.members[this.focus]; if (!m || m.id === c.survivor) return; this.arrange({ out: c.out.includes(m.id) ? c.out.filter((x) => x !== m.id) : [...c.out, m.id], split: false, choices: {}, links: [] }); }
  // This member and those after it are others: told apart from those that stay, not from each other.
  splitHere() { const c = this.current(); if (!c || this.focus < 1) return; this.arrange({ out: c.members.slice(this.focus).map((m) => m.id), split: true, choices: {}, links: [] }); }
  ruled(rule) { const c = this.current(); if (!c) return; this.arranging.add(++this.token); this.say({ type: "rule", token: this.token, rule, line: this.line, case: c.case, survivor: c.survivor, out: c.out, choices: this.arranged.choices || {}, links: this.arranged.links || [] }); }
  takeValue(field, id) { const choices = { ...(this.arranged.choices || {}) }; if (choices[field] === id) delete choices[field]; else choices[field] = id; this.arrange({ choices }); }

  letLink(link) { const links = this.arranged.links || []; this.arrange({ links: links.includes(link) ? links.filter((x) => x !== link) : [...links, link] }); }

  // ---------------------------------------------------------------- deciding

  act(action) {
    const c = this.current(); if (!c) return;
    if (!c.actions.includes(action)) { this.warn(this.t("not_here", { action: this.t("do_" + action) })); return; }
    if (action !== "comment" && [...this.pending.values()].some((p) => p.case === c.case)) { this.warn(this.t("still_saving")); return; }
    const found = c.concerns[action] || [], no = found.find((x) => x.level === "refused");
    if (no) { this.armed = null; this.paintFoot(c); this.warn(no.sentence); return; }
    if (ASK.has(action)) { this.openAsk(action, found.map((x) => x.sentence), action === "comment" || this.armed?.action === action); return; }
    if (found.length && this.armed?.action !== action) { this.arm(found.map((x) => x.sentence), action); return; }
    this.send(action, { confirmed: this.armed?.action === action });
  }

  arm(sentences, action) { this.armed = { action: action ?? this.lastAction, sentences }; this.paintFoot(this.current()); }

  send(action, more) {
    const c = this.current(); if (!c) return;
    const token = ++this.token, line = this.line; this.lastAction = action; this.armed = null;
    const choices = {}; if (action === "merge_into") for (const x of c.result?.taken ?? []) choices[x.field] = x.id;
    const pending = { case: c.case, line, view: this.viewNo, patience: setTimeout(() => this.warn(this.t("no_answer")), PATIENCE) };
    this.pending.set(token, pending);
    const row = this.rows.get(line); if (row) row.saving = true;
    this.saved.textContent = this.t("saving"); this.saved.dataset.ok = ""; this.strip.hidden = true;
    this.say({ type: "decide", token, line, case: c.case, action, survivor: c.survivor, out: c.out, split: !!this.arranged.split && c.out.length > 0, choices, links: action === "merge_into" ? c.links ?? [] : [], ...more });
    if (action === "comment") { this.paintList(); return; }
    const waiting = new Set([...this.pending.values()].map((p) => p.case));
    const after = this.next.find((n) => !waiting.has(n.case) && this.cases.has(n.case));
    if (after) { this.knowRow(after); this.go(after.line); }
    else { pending.waits = true; this.paintList(); this.paintFoot(this.current()); }
  }

  // ---------------------------------------------------------------- dialogs

  openDialog(title, more = "") {
    this.dialog = put(this.veil, "div", "sr-dialog " + more); this.veil.hidden = false;
    this.dialog.setAttribute("role", "dialog"); this.dialog.setAttribute("aria-modal", "true"); this.dialog.setAttribute("aria-label", title);
    put(this.dialog, "h2", "", title); return this.dialog;
  }
  closeDialog() { this.dialog?.remove(); this.dialog = null; this.pictures = null; this.veil.hidden = true; this.list.focus({ preventScroll: true }); }
  dialogError(text) { let e = this.dialog.querySelector(".sr-strip"); if (!e) { e = put(this.dialog, "div", "sr-strip"); e.setAttribute("role", "alert"); } e.textContent = text; }
  dialogKey(event) {
    if (event.key === "Escape") { event.preventDefault(); this.closeDialog(); return; }
    if (event.key === "Tab") {
      const all = [...this.dialog.querySelectorAll('button:not(:disabled),input,select,textarea,summary,[tabindex="0"]')].filter((n) => n.offsetParent !== null), i = all.indexOf(event.target), n = all.length;
      if (n) { event.preventDefault(); all[(i + (event.shiftKey ? n - 1 : 1)) % n].focus(); }
    } else if (event.key === "Enter" && !["BUTTON", "SUMMARY"].includes(event.target.tagName)) { event.preventDefault(); this.dialog.querySelector("button.sr-go:not(:disabled)")?.click(); }
  }
  input(parent, label, type, hint) { const l = put(parent, "label", "sr-label"); put(l, "span", "", label); const i = focusable(put(l, "input", "sr-search")); i.type = type; if (hint) i.placeholder = hint; return i; }

  // What speaks against it stands in the dialog, whose button then confirms; what only the kernel knows is asked afterwards.
  openAsk(action, warnings, sure) {
    const d = this.openDialog(this.t("do_" + action)); let days = null;
    for (const line of warnings) put(d, "div", "sr-note sr-hot", "⚠ " + line);
    if (action === "defer") { const l = put(d, "label", "sr-label"); put(l, "span", "", this.t("until")); days = focusable(put(l, "select", "sr-select")); for (const n of [7, 30, 90]) { const o = put(days, "option", "", this.t("days_" + n)); o.value = n; } days.value = "30"; }
    const day = days ? this.input(d, this.t("until_day"), "date") : null;
    const to = action === "escalate" ? this.input(d, this.t("to_whom"), "text") : null;
    const owner = action === "reassign" ? this.input(d, this.t("owner"), "text") : null;
    const reason = this.input(d, this.t("reason"), "text", this.t("reason_hint"));
    const row = put(d, "div", "sr-actions");
    this.button(row, "sr-go", this.t("do_" + action), "Enter", () => {
      const more = { reason: reason.value, confirmed: sure || warnings.length > 0 }; if (days) { more.days = Number(days.value); if (day.value) more.until = day.value; } if (to) more.to = to.value.trim(); if (owner) more.owner = owner.value.trim();
      this.closeDialog(); this.send(action, more);
    });
    this.button(row, "", this.t("cancel"), "Esc", () => this.closeDialog());
    (days || to || owner || reason).focus();
  }

  openLesson() {
    const c = this.current(); if (!c || c.kind !== "duplicate") { this.warn(this.t("not_here", { action: this.t("learn") })); return; }
    const d = this.openDialog(this.t("learn"), "sr-wide"); put(d, "div", "sr-plan", this.t("working"));
    this.button(put(d, "div", "sr-actions"), "", this.t("cancel"), "Esc", () => this.closeDialog()).focus();
    this.say({ type: "learn", token: ++this.token, object: c.object });
  }

  openPictures() {
    const c = this.current(), d = this.openDialog(this.t("pictures"), "sr-wide"), members = (c?.members ?? []).map((m) => [c.object, m.id]);
    const names = [...(c?.kind === "duplicate" ? ["waterfall"] : []), ...(c ? ["related"] : []), "scores", "heat", "stand", "execution"];
    const about = () => c?.members[this.focus]?.id;
    this.pictures = new Pictures(d, this.w, names, (which, chosen) => this.say({ type: "picture", which, about: chosen ?? (which === "related" ? about() : undefined), case: c?.case, object: c?.object, members }));
    this.button(put(d, "div", "sr-actions"), "", this.t("close"), "Esc", () => this.closeDialog());
    this.pictures.show(names[0]); this.pictures.tabs.querySelector("button").focus();
  }

  openBulk() {
    const c = this.current(); if (!c) return;
    const d = this.openDialog(this.t("bulk_title")), l = put(d, "label", "sr-label"); put(l, "span", "", this.t("bulk_action"));
    const pick = focusable(put(l, "select", "sr-select"));
    for (const a of c.actions.filter((x) => !["comment", "reassign"].includes(x))) { const o = put(pick, "option", "", this.t("do_" + a)); o.value = a; }
    pick.value = c.kind === "duplicate" ? "merge_into" : "delete";
    this.plan = put(d, "div", "sr-plan");
    const row = put(d, "div", "sr-actions"), work = () => { this.plan.replaceChildren(); this.say({ type: "bulk", action: pick.value, days: 30, ...(this.marked.size ? { lines: [...this.marked].sort((a, b) => a - b) } : {}) }); };
    pick.addEventListener("change", work);
    this.go_ = this.button(row, "sr-go sr-delete", this.t("ok"), "Enter", () => this.decideBulk()); this.go_.disabled = true;
    this.button(row, "", this.t("cancel"), "Esc", () => this.closeDialog());
    pick.focus(); work();
  }

  // A hard action asks twice: after the number, the same button once more.
  decideBulk() {
    if (this.hardBulk && !this.sure) { this.sure = true; this.dialogError(this.hardBulk + " " + this.t("press_again")); return; }
    this.say({ type: "bulk_decide", token: ++this.token, typed: Number(this.typed.value), sure: this.sure });
  }

  bulkPlanned(m) {
    if (!this.dialog || !this.plan) return;
    this.hardBulk = m.hard; this.sure = false; this.dialog.querySelector(".sr-strip")?.remove();
    const p = this.plan; p.replaceChildren(); this.go_.disabled = true;
    put(p, "p", "sr-big", m.records ? m.sentence : this.t("bulk_nothing"));
    if (m.riskiest.length) { put(p, "p", "sr-quiet", this.t("bulk_look")); const ul = put(p, "ul", "sr-risky"); for (const r of m.riskiest) { const li = put(ul, "li"); put(li, "span", "", r.title); put(li, "span", "sr-quiet", r.records); if (r.score !== null) put(li, "span", "sr-wnum", this.share(r.score)); } }
    if (m.records) {
      this.typed = this.input(p, `${this.t("bulk_type")}: ${this.number.format(m.records)}`, "text"); this.typed.inputMode = "numeric";
      this.typed.addEventListener("input", () => { this.go_.disabled = this.typed.value.trim() !== String(m.records); }); this.typed.focus();
    }
  }
}
