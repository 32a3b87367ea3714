// The two charts and the worker that feeds them: the answer never waits for them.

import { h } from "./dom.js";
import { computeChart, NAMES } from "./compute_chart.js";
import { teacherChart, teacherRange } from "./teacher_chart.js";
import { SCENARIOS } from "./state.js";

const POINTS = 33;

/** Budgets from a token for each parameter to ten thousand, widened to whole powers around the plan's. */
function budgetsFor(question, C) {
  const perToken = 6 * question.N_S;
  let low = Math.log10(perToken * question.N_S);
  let high = low + 4.5;
  if (C) [low, high] = [Math.min(low, Math.floor(Math.log10(C))), Math.max(high, Math.ceil(Math.log10(C)))];
  return Array.from({ length: POINTS }, (_, i) => 10 ** (low + ((high - low) * i) / (POINTS - 1)));
}

export function buildCharts(engine, fail) {
  const gain = h("input", { type: "checkbox", id: "pl-gain", onchange: draw });
  const compute = h("div", { class: "pl-chart" });
  const teacher = h("div", { class: "pl-chart" });
  const key = h("ul", { class: "pl-legend" }, ...Object.keys(SCENARIOS).map((name) => swatch(`pl-curve pl-${name}`, NAMES[name])), swatch("pl-curve pl-supervised", "supervised"), dot("pl-plan", "this plan"));
  const element = h("div", { class: "pl-charts" },
    h("section", { "aria-label": "Loss along compute" }, h("h3", { text: "More compute or less" }), compute, key,
      h("label", { class: "pl-check", for: "pl-gain" }, gain, h("span", { text: "Draw the gain over supervised training" }))),
    h("section", { "aria-label": "Loss along the teacher" }, h("h3", { text: "A better teacher or a worse one" }), teacher,
      h("p", { class: "pl-unit", text: "At the plan's tokens, whatever the teacher costs. Left of the diamond the teacher is better and the student worse: the capacity gap. On the dotted line the student would equal its teacher." })));
  const known = new Map(); // curves by the question they answer
  let shown = null;
  let gapShown = null;

  function swatch(className, text) {
    return h("li", {}, line(className), text);
  }
  function line(className) {
    const holder = h("span", { class: "pl-swatch", "aria-hidden": "true" });
    holder.innerHTML = `<svg width="22" height="10"><path class="${className}" d="M0 5H22"/></svg>`;
    return holder;
  }
  function dot(className, text) {
    const holder = h("span", { class: "pl-swatch", "aria-hidden": "true" });
    holder.innerHTML = `<svg width="14" height="14"><circle class="${className}" cx="7" cy="7" r="5"/></svg>`;
    return h("li", {}, holder, text);
  }
  const size = (holder) => Math.max(280, Math.round(holder.clientWidth));

  function draw() {
    if (shown) compute.innerHTML = computeChart({ ...shown, width: size(compute), gain: gain.checked });
    if (gapShown) teacher.innerHTML = teacherChart({ ...gapShown, width: size(teacher) });
  }

  /** Draw what surrounds a plan; later calls overtake earlier ones. */
  async function show(plan, question, band) {
    const turn = (show.turn = (show.turn ?? 0) + 1);
    const teachers = teacherRange(plan, question.law.supervised.E);
    const request = { action: "gap", law: question.law, N_S: plan.N_S, D_S: plan.D_S, teachers };
    const found = await engine.latest("gap", request);
    if (turn !== show.turn || !found?.result) return;
    gapShown = { teachers, gap: found.result, plan };
    const budgets = budgetsFor(question, plan.C);
    const curves = {};
    shown = { budgets, curves, scenario: question.scenario, plan };
    const names = Object.keys(SCENARIOS).sort((a, b) => (a === question.scenario ? -1 : b === question.scenario ? 1 : 0));
    const asked = names.map((name) => {
      const about = { ...question, scenario: name, C: null, target_loss: null, D_S: null };
      return [name, { action: "curve", question: about, budgets, banded: name === question.scenario, ...band }];
    });
    for (const [name, curve] of asked) {
      const mark = JSON.stringify([curve.question, budgets, curve.banded]);
      if (!known.has(mark)) {
        const told = await engine.ask(curve);
        if (told.result) known.set(mark, told.result);
        if (known.size > 40) known.delete(known.keys().next().value);
      }
      if (turn !== show.turn) return;
      if (known.has(mark)) curves[name] = known.get(mark);
      draw();
    }
  }
  new ResizeObserver(() => draw()).observe(compute);
  return { element, show: (...all) => show(...all).catch(fail), pictures: () => [...element.querySelectorAll(".pl-chart > svg")], key: () => [...key.children] };
}
