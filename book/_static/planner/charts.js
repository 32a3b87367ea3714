// The two charts and the worker that feeds them: the answer never waits for them.

import { h } from "./dom.js";
import { computeChart, NAMES } from "./compute_chart.js";
import { teacherChart, teacherRange } from "./teacher_chart.js";
import { SCENARIOS } from "./state.js";

const POINTS = 33;
const BANDS = 3; // points of the band in one request

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
  const known = new Map(); // curves and bands by the question they answer
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
  async function show(plan, question) {
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
      return [name, { action: "curve", question: about, budgets }];
    });
    shown.band = known.get(JSON.stringify(["bands", asked[0][1].question, budgets]));
    shown.own = asked[0][1];
    for (const [name, curve] of asked) {
      const mark = JSON.stringify([curve.question, budgets]);
      if (!known.has(mark)) {
        const told = await engine.ask(curve);
        if (told.result) remember(mark, told.result);
      }
      if (turn !== show.turn) return;
      if (known.has(mark)) curves[name] = known.get(mark);
      draw();
    }
  }
  function remember(mark, value) {
    known.set(mark, value);
    if (known.size > 40) known.delete(known.keys().next().value);
  }

  /** Draw the band of the curve in front, from the laws that the worker has, as long as it is wanted. */
  async function showBand(wanted) {
    const { own, budgets } = shown ?? {};
    if (!own || shown.band) return;
    const points = [];
    for (let first = 0; first < budgets.length; first += BANDS) {
      const told = await engine.ask({ ...own, action: "bands", budgets: budgets.slice(first, first + BANDS) });
      if (!wanted()) return;
      points.push(...told.result);
    }
    remember(JSON.stringify(["bands", own.question, budgets]), points);
    if (shown.own === own) shown.band = points;
    draw();
  }
  new ResizeObserver(() => draw()).observe(compute);
  return { element, show: (...all) => show(...all).catch(fail), showBand: (wanted) => showBand(wanted).catch(fail), pictures: () => [...element.querySelectorAll(".pl-chart > svg")], key: () => [...key.children] };
}
