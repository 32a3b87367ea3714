// Loss along compute: the four scenarios, supervised training, the crossover and the plan.

import { frame, path, svg } from "./axes.js";
import { power } from "./numbers.js";

export const NAMES = {
  best_case: "stored predictions",
  teacher_inference: "predictions paid",
  teacher_pretraining: "training paid",
  teacher_pretraining_inference: "both paid",
};

/** Draw what is known so far; `gain` draws the difference to supervised training instead of the loss. */
export function computeChart({ width, budgets, curves, band: bands, scenario, plan, gain }) {
  const height = Math.round(Math.min(width * 0.62, 380));
  const own = curves[scenario];
  const value = (point) => (gain ? point[1] - point[0] : point[0]);
  const all = Object.values(curves).flatMap((curve) => curve.points.filter(Boolean));
  if (!own || !all.length) return "";
  const seen = all.flatMap((point) => (gain ? [value(point), 0] : [point[0], point[1]])).filter((v) => v !== null);
  let low = Math.min(...seen);
  let high = Math.max(...seen);
  if (gain) low = Math.max(low, -0.6 * high, -0.25);
  const room = 0.05 * (high - low || 0.1);
  const axes = frame({
    width, height, logX: true, x: [budgets[0], budgets.at(-1)], y: [low - room, high + room],
    xLabel: "compute C (FLOPs)", yLabel: gain ? "gain over supervised (nats/token)" : "student loss (nats/token)",
  });
  const along = (curve) => curve.points.map((point, i) => point && [budgets[i], value(point)]);
  const edges = (bands ?? []).map((point, i) => {
    const ends = point && point[gain ? 1 : 0];
    return ends && ends[0] !== null ? [budgets[i], ...ends] : null;
  }).filter(Boolean);
  const band = edges.length > 1
    ? `<path class="pl-band pl-${scenario}" d="${path(edges.map((e) => [e[0], e[2]]), axes)}${path([...edges].reverse().map((e) => [e[0], e[1]]), axes).replace("M", "L")}Z"/>`
    : "";
  const supervised = gain ? budgets.map((C) => [C, 0]) : own.points.map((point, i) => point && [budgets[i], point[1]]);
  const lines = Object.entries(curves).sort(([name]) => (name === scenario ? 1 : -1))
    .map(([name, curve]) => `<path class="pl-curve pl-${name}${name === scenario ? " pl-own" : ""}" d="${path(along(curve), axes)}"/>`);
  const marks = [];
  let words = "";
  if (own.crossing) {
    const [C, L] = own.crossing;
    const [cx, cy] = [axes.x(C), axes.y(gain ? 0 : L)];
    marks.push(`<path class="pl-cross" d="M${cx} ${axes.box.top}V${axes.box.bottom}"/><circle class="pl-cross-dot" cx="${cx}" cy="${cy}" r="4"/>`);
    const left = cx - axes.box.left > axes.box.right - cx;
    marks.push(`<text class="pl-note" x="${cx + (left ? -7 : 7)}" y="${axes.box.top + 12}" text-anchor="${left ? "end" : "start"}">supervised from ${power(C)}</text>`);
    words = ` Supervised training leads from ${power(C)} FLOPs.`;
  }
  if (plan && plan.C) {
    const [px, py] = [axes.x(plan.C), axes.y(gain ? plan.L_supervised - plan.L_S : plan.L_S)];
    marks.push(`<circle class="pl-plan" cx="${px}" cy="${py}" r="6"/>`);
  }
  return svg({
    id: "pl-chart-compute", width, height, box: axes.box, behind: axes.markup,
    inside: `${band}<path class="pl-curve pl-supervised" d="${path(supervised, axes)}"/>${lines.join("")}${marks.join("")}`,
    title: `Student loss along compute for the four scenarios and for supervised training, ${NAMES[scenario]} in front.${words}`,
  });
}
