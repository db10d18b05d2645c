// The pictures by themselves, as a notebook shows them. Stands after common.js. Left to others: what is drawn (Python).

export default {
  render({ model, el }) {
    const words = model.get("words") || {}, root = put(el, "section", "sr sr-pictures");
    root.lang = words.lang || "en"; root.setAttribute("aria-label", words.pictures); keepKeys(root);
    const shown = new Pictures(root, words, model.get("names") || [], (which, about) => model.send({ type: "picture", which, about }));
    const hear = (m) => { if (m.type === "picture") shown.hear(m); };
    model.on("msg:custom", hear);
    const first = (model.get("names") || [])[0]; if (first) shown.show(first);
    return () => model.off?.("msg:custom", hear);
  },
};
