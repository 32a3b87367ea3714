// The table of teachers at hand: rows of N_T, D_T and L_T, each cell checked as it is typed.

import { h } from "./dom.js";
import { TEACHER_FIELDS, read } from "./fields.js";

const COLUMNS = Object.entries(TEACHER_FIELDS);
const FIRST = [[3e9, 1e11, null]];

/** Build the table; `changed(rows)` hears valid rows, `invalid()` that a cell is wrong. */
export function teacherTable({ changed, invalid }) {
  const body = h("tbody");
  const problem = h("p", { id: "pl-teachers-problem", class: "pl-problem" });
  const add = h("button", { type: "button", class: "pl-button", text: "Add a teacher", onclick: () => {
    addRow([null, null, null]).querySelector("input").focus();
    tell();
  } });

  function addRow(values) {
    const cells = COLUMNS.map(([name, field], i) => {
      const input = h("input", {
        type: "text", autocomplete: "off", spellcheck: "false", "data-column": name, placeholder: field.example,
        "aria-describedby": "pl-teachers-problem", oninput: tell,
      });
      input.value = values[i] === null ? "" : field.write(values[i]);
      return h("td", {}, input);
    });
    const remove = h("button", { type: "button", class: "pl-button pl-remove", text: "×", onclick: () => {
      const next = row.nextElementSibling ?? row.previousElementSibling;
      row.remove();
      number();
      (next?.querySelector("input") ?? add).focus();
      tell();
    } });
    const row = h("tr", {}, ...cells, h("td", {}, remove));
    body.append(row);
    number();
    return row;
  }
  function number() {
    [...body.rows].forEach((row, r) => {
      COLUMNS.forEach(([, field], i) => row.querySelectorAll("input")[i].setAttribute("aria-label", `Teacher ${r + 1}, ${field.label}`));
      row.querySelector("button").setAttribute("aria-label", `Remove teacher ${r + 1}`);
    });
  }
  function tell() {
    say("");
    let first = "";
    const rows = [...body.rows].map((row) => [...row.querySelectorAll("input")].map((input, i) => {
      const { value, problem: text } = read(COLUMNS[i][1], input.value);
      input.setAttribute("aria-invalid", text ? "true" : "false");
      if (text && !first) first = `${input.getAttribute("aria-label")}: ${text}`;
      return value ?? null;
    }));
    if (!first && rows.length === 0) first = "The table is empty; add a teacher, or let the best one be designed.";
    if (first) {
      say(first);
      return invalid();
    }
    changed(rows);
  }
  function say(text) {
    problem.textContent = text;
    const row = /^teachers\[(\d+)\]/.exec(text);
    [...body.rows].forEach((line, i) => line.classList.toggle("pl-wrong", Boolean(row) && Number(row[1]) === i));
  }
  function show(rows) {
    body.replaceChildren();
    (rows.length ? rows : FIRST).forEach(addRow);
  }
  const head = h("tr", {}, ...COLUMNS.map(([, field]) => h("th", { scope: "col", text: field.label })), h("td"));
  const element = h("div", { class: "pl-teachers", "data-field": "teachers" },
    h("table", {}, h("caption", { text: "A loss alone will do where nobody pays for the teacher; without a loss the law supplies it." }), h("thead", {}, head), body),
    add, problem);
  return { element, show, say, tell };
}
