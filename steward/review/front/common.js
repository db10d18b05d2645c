// What the fronts share: text into the page, and pictures. Stands before panel.js, pictures.js and sign.js in one module.
//
// Values reach the page through textContent alone (see `put`), in drawings as well: never as markup, attribute, address or
// style. Only numbers computed in Python become geometry. Left to others: what is drawn (steward/review/pictures).

function put(parent, tag, cls, text) {
  const node = document.createElement(tag);
  if (cls) node.className = cls;
  if (text !== undefined && text !== null) plain(node, String(text));
  if (parent) parent.append(node);
  return node;
}

// Control characters, direction marks and invisible characters become visible chips; everything else is text.
const ODD = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\ufff9-\ufffb]/;
function plain(node, text) {
  if (!ODD.test(text)) { node.append(document.createTextNode(text)); return; }
  let run = "";
  for (const char of text) {
    if (ODD.test(char)) {
      if (run) node.append(document.createTextNode(run));
      run = "";
      const chip = document.createElement("span");
      chip.className = "sr-chip";
      chip.textContent = oddName(char);
      node.append(chip);
    } else run += char;
  }
  if (run) node.append(document.createTextNode(run));
}
function oddName(char) { return "U+" + char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0"); }

function focusable(node) { node.setAttribute("data-lm-suppress-shortcuts", "true"); return node; }

function keepKeys(root) { // unmodified keys never leave: a notebook would take "a" as "insert a cell"
  for (const kind of ["keydown", "keyup", "keypress"]) root.addEventListener(kind, (e) => { if (!e.ctrlKey && !e.metaKey && !e.altKey) e.stopPropagation(); });
}

function makeButton(parent, cls, text, key, act) {
  const b = focusable(put(parent, "button", "sr-button " + cls)); b.type = "button";
  put(b, "span", "", text);
  if (key) { const k = put(b, "kbd", "", key); k.setAttribute("aria-hidden", "true"); b.setAttribute("aria-keyshortcuts", key); }
  b.addEventListener("click", act);
  return b;
}

// ---------------------------------------------------------------- pictures

const SVG = "http://www.w3.org/2000/svg";
let drawn = 0;

function shape(parent, name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, String(v));
  parent.append(node);
  return node;
}
const TONES = new Set(["ink", "soft", "rule", "bed", "paper", "accent", "warm", "hot", "ok"]), ANCHORS = new Set(["start", "middle", "end"]);
function visible(text) { return [...String(text)].map((c) => (ODD.test(c) ? oddName(c) : c)).join(""); }

function paintScene(parent, scene, words) {
  const key = "pic" + ++drawn, n = Number, tone = (m) => (TONES.has(m.tone) ? m.tone : "ink");
  const figure = put(parent, "figure", "sr-picture"); figure.setAttribute("aria-label", visible(scene.title));
  const svg = shape(figure, "svg", { class: "sr-svg", viewBox: `0 0 ${n(scene.w)} ${n(scene.h)}`, role: "img" });
  svg.setAttribute("aria-label", visible(scene.title + ". " + scene.text));
  svg.style.maxWidth = n(scene.w) + "px";
  const defs = shape(svg, "defs", {});
  for (const t of new Set(scene.marks.filter((m) => m.fill === "hatch").map(tone))) {
    const p = shape(defs, "pattern", { id: `${key}-${t}`, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
    shape(p, "rect", { width: 6, height: 6, class: "sr-fill-" + t, opacity: 0.22 }); shape(p, "rect", { width: 2.4, height: 6, class: "sr-fill-" + t });
  }
  for (const m of scene.marks) {
    if (m.k === "r") {
      const r = shape(svg, "rect", { x: n(m.x), y: n(m.y), width: n(m.w), height: n(m.h), rx: n(m.r), opacity: n(m.o) });
      if (m.fill === "hatch") r.setAttribute("fill", `url(#${key}-${tone(m)})`); else r.setAttribute("class", (m.fill === "none" ? "sr-line-" : "sr-fill-") + tone(m));
      if (m.says) shape(r, "title", {}).textContent = visible(m.says);
    } else if (m.k === "l") {
      const l = shape(svg, "polyline", { points: m.p.map(([x, y]) => `${n(x)},${n(y)}`).join(" "), class: "sr-line-" + tone(m), "stroke-width": n(m.w) });
      if (m.dash) l.setAttribute("stroke-dasharray", "4 3");
    } else if (m.k === "t") {
      const t = shape(svg, "text", { x: n(m.x), y: n(m.y), "font-size": n(m.size), "text-anchor": ANCHORS.has(m.a) ? m.a : "start", class: "sr-fill-" + tone(m) });
      if (m.b) t.setAttribute("font-weight", "600");
      t.textContent = visible(m.t);
    }
  }
  put(figure, "figcaption", "sr-quiet", scene.text);
  const more = put(figure, "details", "sr-numbers"); focusable(put(more, "summary", "", words.as_table ?? "As a table"));
  const wrap = put(more, "div", "sr-scroll"); focusable(wrap).tabIndex = 0; wrap.setAttribute("role", "region"); wrap.setAttribute("aria-label", visible(scene.title));
  const table = put(wrap, "table", "sr-table sr-plain"), head = put(put(table, "thead"), "tr");
  for (const c of scene.table.columns) put(head, "th", "", c).scope = "col";
  const body = put(table, "tbody");
  for (const row of scene.table.rows) { const tr = put(body, "tr"); row.forEach((v, i) => { const cell = put(tr, i ? "td" : "th", "", v); if (!i) cell.scope = "row"; }); }
  return { figure, svg };
}

// The threshold over a distribution: a slider for the keyboard, the same by dragging in the drawing.
function paintCuts(parent, painted, scene, cuts, words) {
  const plot = scene.plot, x = (bar) => Number(plot.x) + (Number(plot.w) * bar) / Number(plot.bars);
  const line = shape(painted.svg, "polyline", { class: "sr-line-ink sr-cutline", "stroke-width": 2 });
  const grip = shape(painted.svg, "rect", { class: "sr-fill-ink sr-grip", width: 14, height: 14, rx: 7, y: Number(plot.top) - 14 });
  const box = put(null, "div", "sr-cut"); painted.figure.insertBefore(box, painted.svg.nextSibling);
  const label = put(box, "label", "sr-label"); put(label, "span", "", words.cut);
  const slider = focusable(put(label, "input", "sr-range")); slider.type = "range"; slider.min = 0; slider.max = Number(plot.bars); slider.step = 1; slider.value = Number(plot.start);
  const list = put(box, "dl", "sr-readings"), said = {};
  for (const name of ["cut", "cut_precision", "cut_decided", "cut_pairs", "cut_above", "cut_below"]) { const d = put(list, "div"); put(d, "dt", "", words[name]); said[name] = put(d, "dd"); }
  const show = () => {
    const at = Number(slider.value), c = cuts[at];
    line.setAttribute("points", `${x(at)},${Number(plot.top) - 4} ${x(at)},${Number(plot.base) + 4}`); grip.setAttribute("x", x(at) - 7);
    for (const [name, value] of [["cut", `${c.threshold} · ${c.bits}`], ["cut_precision", c.precision], ["cut_decided", c.decided], ["cut_pairs", c.pairs], ["cut_above", c.above], ["cut_below", c.below]]) said[name].textContent = value;
    slider.setAttribute("aria-valuetext", `${c.threshold}. ${words.cut_precision}: ${c.precision}. ${words.cut_below}: ${c.below}`);
  };
  slider.addEventListener("input", show);
  const drag = (e) => {
    const box = painted.svg.getBoundingClientRect(), at = ((e.clientX - box.left) / box.width) * Number(scene.w);
    slider.value = Math.round(((at - Number(plot.x)) / Number(plot.w)) * Number(plot.bars)); show();
  };
  painted.svg.classList.add("sr-drag");
  painted.svg.addEventListener("pointerdown", (e) => { painted.svg.setPointerCapture(e.pointerId); drag(e); slider.focus({ preventScroll: true }); e.preventDefault(); });
  painted.svg.addEventListener("pointermove", (e) => { if (painted.svg.hasPointerCapture(e.pointerId)) drag(e); });
  show();
}

// Pictures to choose from; `ask(which, about)` sends the wish, `hear` paints the answer.
class Pictures {
  constructor(parent, words, names, ask) {
    this.words = words; this.names = names; this.ask = ask;
    this.tabs = put(parent, "div", "sr-tabs sr-picks"); this.tabs.setAttribute("role", "group"); this.tabs.setAttribute("aria-label", words.pictures);
    this.about = put(parent, "div", "sr-about"); this.place = put(parent, "div", "sr-gallery"); this.place.setAttribute("aria-live", "polite");
    for (const name of names) makeButton(this.tabs, "sr-tab", words["picture_" + name], "", () => this.show(name)).dataset.name = name;
  }
  show(name, about) {
    this.name = name; this.about.replaceChildren();
    for (const b of this.tabs.children) b.setAttribute("aria-pressed", String(b.dataset.name === name));
    this.place.replaceChildren(); put(this.place, "p", "sr-quiet", this.words.loading);
    this.ask(name, about);
  }
  hear(m) {
    if (m.which !== this.name) return;
    this.place.replaceChildren(); this.about.replaceChildren();
    if (m.choices && m.choices.length > 1) {
      const pick = focusable(put(this.about, "select", "sr-select")); pick.setAttribute("aria-label", this.words["picture_" + m.which]);
      for (const [value, text] of m.choices) { const o = put(pick, "option", "", text); o.value = value; }
      pick.value = m.chosen; pick.addEventListener("change", () => { this.chosen = true; this.place.replaceChildren(); this.ask(this.name, pick.value); });
      if (this.chosen) { this.chosen = false; pick.focus(); }
    }
    if (!m.scene) { put(this.place, "p", "sr-quiet", m.sentence); return; }
    const painted = paintScene(this.place, m.scene, this.words);
    if (m.cuts) paintCuts(this.place, painted, m.scene, m.cuts, this.words);
  }
}
