// Making elements in few words.

/** An element with attributes (on… are listeners, text is its text) and children. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "text") element.textContent = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Text that is safe inside markup. */
export const escape = (text) =>
  String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

/** A symbol such as N_S with its subscript. */
export function symbol(name) {
  const [letter, below] = name.split("_");
  return h("span", { class: "pl-symbol", "aria-hidden": "true" }, h("i", { text: letter }), below ? h("sub", { text: below }) : null);
}
