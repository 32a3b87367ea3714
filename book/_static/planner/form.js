// The question: all fields in their groups. It keeps the state and says when it changed.

import { h } from "./dom.js";
import { choice, numberField } from "./field.js";
import { percent } from "./fields.js";
import { GOALS, READINGS, SCENARIOS, ownAccuracy } from "./state.js";
import { teacherTable } from "./teachers.js";

/** Build the form; `changed(state)` hears every valid state, `readFile(file)` gives a law or throws. */
export function buildForm(published, { changed, readFile }) {
  let state;
  const wrong = new Set();
  const fields = {};
  const tell = () => { if (!wrong.size) changed(state); };
  const number = (name) => {
    fields[name] = numberField(name, {
      changed: (value) => { state[name] = value; wrong.delete(name); tell(); },
      invalid: () => { wrong.add(name); changed(null); },
    });
    return fields[name].element;
  };

  const goal = choice("goal", "What is given?", GOALS, (value) => { state.goal = value; arrange(); tell(); }, "pl-choice pl-tabs");
  const scenario = choice("scenario", "What of the teacher is paid for?", SCENARIOS, (value) => { state.scenario = value; tell(); });
  const given = choice("given", "Which teacher?", { best: "The best", given: "One I have" }, (value) => {
    state.given = value === "given";
    arrange();
    if (state.given) teachers.tell();
    else { wrong.delete("teachers"); tell(); }
  }, "pl-choice pl-tabs");
  const teachers = teacherTable({
    changed: (rows) => { state.teachers = rows; wrong.delete("teachers"); tell(); },
    invalid: () => { wrong.add("teachers"); changed(null); },
  });

  const source = h("p", { id: "pl-device-source", class: "pl-unit" });
  const device = h("select", { id: "pl-device", "aria-describedby": "pl-device-source", onchange: () => {
    if (device.value) { state.peak = published.devices[device.value].peak; fields.peak.show(state.peak); fields.peak.say(""); wrong.delete("peak"); }
    nameSource();
    tell();
  } }, ...Object.keys(published.devices).map((name) => h("option", { value: name, text: name })), h("option", { value: "", text: "Another" }));
  const hardware = h("details", { class: "pl-more" }, h("summary", { text: "Hardware and price" }),
    h("div", { class: "pl-field" }, h("div", { class: "pl-line" }, h("label", { for: "pl-device", text: "Device" }), device), source),
    number("peak"), number("count"), number("utilisation"), number("price"));
  fields.peak.input.addEventListener("input", nameDevice);
  function nameSource() {
    state.device = device.value;
    const [sheet, address] = (published.devices[device.value]?.source ?? "Type its peak below.").split(", https://");
    source.textContent = address ? `Peak by ${sheet.trim()} (${address}).` : sheet;
  }
  function nameDevice() {
    const known = published.devices[device.value]; // H100 and H200 have one peak
    if (known?.peak !== state.peak) device.value = Object.keys(published.devices).find((name) => published.devices[name].peak === state.peak) ?? "";
    nameSource();
  }

  const reading = choice("reading", "Which law?", READINGS, (value) => {
    if (value === "file" && !state.file) {
      fileProblem.textContent = "Choose a file that distill-lib fit --distillation --save wrote.";
      wrong.add("law");
      file.focus();
      return changed(null);
    }
    state.reading = value;
    wrong.delete("law");
    nameAccuracy();
    fileProblem.textContent = "";
    tell();
  });
  const fileProblem = h("p", { id: "pl-law-problem", class: "pl-problem" });
  const fileName = h("p", { class: "pl-unit" });
  const file = h("input", { id: "pl-law", type: "file", accept: ".json,application/json", "aria-describedby": "pl-law-problem", onchange: async () => {
    if (!file.files.length) return;
    try {
      state.file = await readFile(file.files[0]);
    } catch (error) {
      fileProblem.textContent = error.message;
      file.setAttribute("aria-invalid", "true");
      return;
    }
    file.setAttribute("aria-invalid", "false");
    fileProblem.textContent = "";
    wrong.delete("law");
    state.reading = "file";
    show(state);
    tell();
  } });
  const law = h("details", { class: "pl-more" }, h("summary", { text: "The law" }), reading.element,
    h("div", { class: "pl-field", "data-field": "law" }, h("label", { for: "pl-law", text: "A fit of yours (.json)" }), file, fileName, fileProblem),
    number("accuracy"));
  function nameAccuracy() {
    fields.accuracy.input.placeholder = percent(Number(ownAccuracy(state, published).toPrecision(3)));
  }

  const more = h("details", { class: "pl-more" }, h("summary", { text: "Sharing, serving, data" }),
    number("students_sharing"), number("inference_tokens"), number("max_D_S"), number("max_D_T"));

  const element = h("form", { class: "pl-form", novalidate: true, "aria-label": "Your question", onsubmit: (event) => event.preventDefault() },
    number("N_S"), goal.element, number("C"), number("days"), number("target_loss"), number("D_S"),
    scenario.element, given.element, teachers.element, more, hardware, law);

  function arrange() {
    const hide = (name, is) => { // what is wrong in a field that is not asked does not matter
      fields[name].element.hidden = is;
      if (is && wrong.delete(name)) { fields[name].say(""); fields[name].show(state[name]); }
    };
    for (const name of Object.keys(GOALS)) hide(name, name !== state.goal);
    hide("max_D_S", state.goal === "D_S");
    hide("max_D_T", state.given);
    teachers.element.hidden = !state.given;
    if (state.goal === "days") hardware.open = true;
  }
  function show(next) {
    state = next;
    for (const [name, field] of Object.entries(fields)) field.show(state[name]);
    goal.show(state.goal);
    scenario.show(state.scenario);
    given.show(state.given ? "given" : "best");
    reading.show(state.reading);
    teachers.show(state.teachers);
    fileName.textContent = state.file ? `${state.file.name}: ${state.file.draws.length || "no"} resamples${!state.file.draws.length && state.file.resamples ? " came with the link" : ""}` : "";
    if (state.reading === "file" || state.accuracy !== null) law.open = true;
    nameAccuracy();
    if (state.students_sharing !== 1 || state.inference_tokens || state.max_D_S !== null || state.max_D_T !== null) more.open = true;
    nameDevice();
    arrange();
  }

  /** Put what the library said by the field it names; without a name it stays with the verdict. */
  function blame(text) {
    for (const field of Object.values(fields)) if (field.input.getAttribute("aria-invalid") === "true" && !wrong.size) field.say("");
    teachers.say("");
    if (!text) return;
    const name = /^(\w+)/.exec(text)[1];
    if (name === "teachers" || text.startsWith("no given teacher")) teachers.say(text);
    else if (name === "C") fields[state.goal].say(text);
    else if (fields[name]) fields[name].say(text);
  }
  return { element, show, blame };
}
