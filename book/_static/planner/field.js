// One number to set: a text field with its unit, its message, and a slider where it has one.

import { h, symbol } from "./dom.js";
import { FIELDS, STEPS, fromStep, read, toStep } from "./fields.js";

/** Build a field; `changed(value)` hears valid values, `invalid()` that there is none. */
export function numberField(name, { changed, invalid }) {
  const field = FIELDS[name];
  const id = `pl-${name}`;
  const problem = h("p", { id: `${id}-problem`, class: "pl-problem" });
  const input = h("input", {
    id, type: "text", inputmode: "text", autocomplete: "off", spellcheck: "false",
    "aria-describedby": `${id}-unit ${id}-problem`,
    oninput: () => take(read(field, input.value), true),
    onchange: () => { if (input.getAttribute("aria-invalid") !== "true") show(current); },
  });
  let current = field.start;
  const slider = field.slide
    ? h("input", {
        type: "range", min: 0, max: STEPS, step: 1, "aria-label": `${field.label}, slider`,
        oninput: () => take({ value: fromStep(field, Number(slider.value)) }, false),
      })
    : null;

  function take({ value, problem: text }, typed) {
    say(text ?? "");
    if (text) return invalid();
    current = value;
    if (!typed) input.value = field.write(value);
    if (slider) {
      if (typed) slider.value = toStep(field, value);
      slider.setAttribute("aria-valuetext", `${field.write(value)} ${field.unit}`);
    }
    changed(value);
  }
  function say(text) {
    problem.textContent = text;
    input.setAttribute("aria-invalid", text ? "true" : "false");
  }
  function show(value) {
    current = value;
    input.value = value === null ? "" : field.write(value);
    if (slider && value !== null) {
      slider.value = toStep(field, value);
      slider.setAttribute("aria-valuetext", `${field.write(value)} ${field.unit}`);
    }
  }
  const element = h("div", { class: "pl-field", "data-field": name },
    h("div", { class: "pl-line" },
      h("label", { for: id }, field.label, " ", field.symbol ? symbol(field.symbol) : null), input),
    slider, h("p", { id: `${id}-unit`, class: "pl-unit", text: field.unit }), problem);
  return { element, show, say, input };
}

/** A group of which one is chosen, as radio buttons. */
export function choice(name, legend, options, changed, className = "pl-choice") {
  const inputs = {};
  const labels = Object.entries(options).map(([value, text]) => {
    inputs[value] = h("input", { type: "radio", name: `pl-${name}`, value, onchange: () => changed(value) });
    return h("label", {}, inputs[value], h("span", { text }));
  });
  const element = h("fieldset", { class: className }, h("legend", { text: legend }), h("div", {}, ...labels));
  return { element, show: (value) => { inputs[value].checked = true; } };
}
