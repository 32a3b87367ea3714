// Loss along the teacher's loss: the capacity gap, with the best teacher, the plan's, and the supervised student.

import { frame, path, svg } from "./axes.js";

/** The teacher losses to draw over. */
export function teacherRange(plan, E) {
  const low = E + 0.03;
  const high = Math.max((plan.L_supervised ?? plan.L_S) + 0.9, plan.L_T + 0.3);
  return Array.from({ length: 81 }, (_, i) => low + ((high - low) * i) / 80);
}

export function teacherChart({ width, teachers, gap, plan }) {
  const height = Math.round(Math.min(width * 0.62, 380));
  const points = teachers.map((L_T, i) => [L_T, gap.losses[i]]);
  const [best, least] = gap.best;
  const supervised = plan.L_supervised;
  const values = [least, plan.L_S, supervised ?? plan.L_S];
  const spread = Math.max(0.25, 1.6 * (Math.max(...values) - Math.min(...values)));
  const axes = frame({
    width, height, x: [teachers[0], teachers.at(-1)], y: [Math.min(...values) - 0.35 * spread, Math.max(...values) + 0.8 * spread],
    xLabel: "teacher loss (nats/token)", yLabel: "student loss (nats/token)",
  });
  const ends = [teachers[0], teachers.at(-1)];
  const level = supervised === null ? "" :
    `<path class="pl-curve pl-supervised" d="${path(ends.map((v) => [v, supervised]), axes)}"/>
     <text class="pl-note" x="${axes.box.right - 6}" y="${axes.y(supervised) - 6}" text-anchor="end">supervised, same means</text>`;
  const inside = `<path class="pl-same" d="${path(ends.map((v) => [v, v]), axes)}"/>${level}
    <path class="pl-curve pl-own pl-${plan.scenario}" d="${path(points, axes)}"/>
    <path class="pl-best" d="M${axes.x(best)} ${axes.y(least) - 7}l6 7l-6 7l-6 -7Z"/>
    <circle class="pl-plan" cx="${axes.x(plan.L_T)}" cy="${axes.y(plan.L_S)}" r="6"/>`;
  return svg({
    id: "pl-chart-teacher", width, height, box: axes.box, behind: axes.markup, inside,
    title: `Student loss along the teacher's loss at the plan's tokens. A teacher of ${best.toFixed(2)} nats is best; a better one hurts.`,
  });
}
