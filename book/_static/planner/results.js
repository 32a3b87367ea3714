// The answer in words and numbers: verdict, how sure it is, the comparison, the teacher, where the compute goes.

import { h } from "./dom.js";
import { percent } from "./fields.js";
import { days } from "./numbers.js";

const SHARES = {
  student_training: "student training",
  teacher_logits: "teacher's predictions",
  teacher_pretraining: "teacher training",
  student_inference: "serving the student",
};

const KINDS = { distil: "distil", supervised: "supervised", "too close to call": "close" };
const money = (value) => (Number.isFinite(value) ? Math.round(value).toLocaleString("en") : "unlimited");

export function buildResults() {
  const line = (className) => h("p", { class: className });
  const verdict = line("pl-verdict");
  const accuracy = line("pl-sure pl-accuracy");
  const sure = line("pl-sure pl-sure-verdict");
  const losses = line("pl-sure pl-sure-losses");
  const hangs = line("pl-sure pl-sure-sensitivity");
  const readings = line("pl-sure pl-sure-readings");
  const meaning = line("pl-sure pl-sure-meaning");
  const intervals = h("table", { class: "pl-intervals" });
  const title = h("summary");
  const allIntervals = h("details", { class: "pl-sure" }, title, intervals);
  const robust = h("div", { class: "pl-robust" }, sure, losses, hangs, readings, meaning, allIntervals);
  const live = h("p", { class: "pl-live", role: "status", "aria-live": "polite" });
  const marks = h("ul", { class: "pl-outside", "aria-label": "Outside the fitted range" });
  const table = h("table", { class: "pl-compare" });
  const bar = h("div", { class: "pl-bar", role: "img" });
  const legend = h("ul", { class: "pl-legend" });
  const storage = line("pl-unit");
  const card = h("section", { class: "pl-card", "aria-label": "The plan", tabindex: -1 }, verdict, accuracy, robust, marks);
  const outcome = h("strong");
  const short = h("span");
  const brief = h("button", { type: "button", class: "pl-brief", onclick: () => {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    card.scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
    card.focus({ preventScroll: true });
  } }, h("span", { class: "pl-brief-words" }, outcome, " ", short), h("span", { class: "pl-brief-way", text: "Plan ↓" }));
  const body = h("div", { class: "pl-body" }, table, h("h3", { text: "Where the compute goes" }), bar, legend, storage);
  const element = h("div", { class: "pl-results" }, card, body);
  const stale = (is) => element.parentElement?.classList.toggle("pl-stale", is);
  let speaking;
  let spoken = "";

  function say(text) {
    if (text === spoken) return;
    spoken = text;
    clearTimeout(speaking);
    speaking = setTimeout(() => { live.textContent = text; }, 500); // a slider in motion is not read out
  }

  function show(plan, state, published) {
    stale(false);
    const [, head, rest] = /^(Distil|Train supervised|Too close to call)(.*)$/.exec(plan.verdict);
    verdict.replaceChildren(h("strong", { text: head }), rest);
    card.dataset.kind = brief.dataset.kind = KINDS[plan.outcome];
    outcome.textContent = head;
    short.textContent = plan.goal === "target" ? `${plan.words.C} FLOPs, supervised ${plan.words.C_supervised}` : `${plan.words.L_S} nats, supervised ${plan.words.L_supervised}`;
    accuracy.textContent = `The law is taken to be right to ${percent(Number(plan.accuracy.toPrecision(3)))} of a loss, ${(plan.accuracy * plan.L_S).toFixed(3)} nats here.`;
    say(`${plan.verdict} Student loss ${plan.words.L_S} nats per token.`);
    marks.replaceChildren(...plan.warnings.map((text) => h("li", { text })));
    marks.hidden = !plan.warnings.length;
    const words = plan.words;
    const bound = plan.D_T !== null && plan.D_T > 0.99 * published.bound;
    const row = (name, a, b) => h("tr", {}, h("th", { scope: "row", text: name }), h("td", { text: a }), h("td", { text: b }));
    const both = (name, write, a, b) => row(name, write(a), b === null ? "out of reach" : write(b));
    const perDay = 24 * state.count * (state.price ?? 0);
    table.replaceChildren(
      h("thead", {}, h("tr", {}, h("td"), h("th", { scope: "col", text: "Distilled" }), h("th", { scope: "col", text: "Supervised" }))),
      h("tbody", {},
        row("Loss L_S (nats/token)", words.L_S, words.L_supervised),
        row("Tokens D_S", words.D_S, words.D_supervised),
        row("Compute C (FLOPs)", words.C, words.C_supervised),
        both("Training on the hardware", days, plan.days, plan.days_supervised),
        ...(state.price === null ? [] : [both("Price", money, plan.days * perDay, plan.days_supervised === null ? null : plan.days_supervised * perDay)]),
        ...(plan.teacher === null || state.teachers.length < 2 ? [] : [row("Best of yours", `teacher ${plan.teacher + 1} of ${state.teachers.length}`, "")]),
        row("Teacher size N_T", words.N_T, ""),
        row("Teacher tokens D_T", bound ? "as many as there are" : words.D_T, ""),
        row("Teacher loss L_T", words.L_T, "")));
    const parts = Object.entries(SHARES).filter(([name]) => plan.shares[name] > 0);
    bar.replaceChildren(...parts.map(([name]) => h("span", { class: `pl-part pl-part-${name}`, style: `flex-grow:${plan.shares[name]}` })));
    const portion = (name) => `${(100 * plan.shares[name]).toFixed(1)} %`;
    bar.setAttribute("aria-label", parts.map(([name, text]) => `${text} ${portion(name)}`).join(", "));
    legend.replaceChildren(...parts.map(([name, text]) => h("li", {}, h("span", { class: `pl-key pl-part-${name}`, "aria-hidden": "true" }), `${text} ${portion(name)}`)));
    storage.textContent = `Keeping the teacher's predictions for these tokens takes ${plan.storage.some} for the 128 largest of each, ${plan.storage.all} for all (two bytes a value).`;
  }

  /** Why there are no intervals. */
  function whyNot({ reading, file }) {
    if (reading !== "file" || file.draws.length) return "Hardly any of the laws asked has an answer to this question, so there are no intervals.";
    if (!file.resamples) return "Your file holds no resamples, so there are no intervals (distill-lib fit --bootstrap makes them).";
    return `The link brought the law of ${file.name} without its ${file.resamples} resamples, so there are no intervals; open the file itself for them.`;
  }

  /** Say how sure the plan is in the library's words, as far as it is known so far. */
  function showSureness(found, state, published) {
    const own = state.reading === "file";
    const done = Boolean(found.verdict || found.none);
    robust.hidden = false;
    robust.setAttribute("aria-busy", String(!done));
    // What is asked anew keeps its place, unseen, so that nothing jumps while a slider moves.
    const write = (part, text) => {
      part.classList.toggle("pl-waits", text === undefined && !done);
      if (text !== undefined) part.textContent = text;
      if (text !== undefined || done) part.hidden = !text;
    };
    const many = own ? state.file.draws.length : published.many;
    sure.textContent = found.verdict ?? (found.none ? whyNot(state) : `Asking ${many} laws ${own ? "resampled from your runs" : "drawn from the published intervals"} …`);
    const loss = found.table?.find(([name]) => name.startsWith("student loss"));
    write(losses, found.table && (loss ? `${loss[0][0].toUpperCase()}${loss[0].slice(1)}: ${loss[2]} to ${loss[3]}.` : ""));
    write(hangs, found.sensitivity);
    write(readings, own ? "" : found.readings);
    write(meaning, found.verdict && [found.without_words, own ? published.meaning.draws : published.meaning.published].filter(Boolean).join(" "));
    allIntervals.classList.toggle("pl-waits", !done);
    if (done) allIntervals.hidden = !found.table;
    if (!found.table) return;
    title.textContent = `All numbers under these ${many} laws, ${own ? "resampled from your runs" : "drawn from the published intervals"}`;
    const [head, ...rows] = found.table;
    const cells = (row, tag, scope) => row.slice(1).map((text) => h(tag, { scope, text }));
    intervals.replaceChildren(
      h("thead", {}, h("tr", {}, h("td"), ...cells(head, "th", "col"))),
      h("tbody", {}, ...rows.map((row) => h("tr", {}, h("th", { scope: "row", text: row[0] }), ...cells(row, "td", null)))));
    say(`${sure.textContent} ${readings.textContent}`);
  }

  function refuse(text) {
    stale(true);
    verdict.textContent = text;
    card.dataset.kind = brief.dataset.kind = "none";
    outcome.textContent = "No plan";
    short.textContent = "yet: what is wrong stands by the field or below.";
    accuracy.textContent = sure.textContent = "";
    robust.hidden = true;
    marks.hidden = true;
    say(text);
  }
  return { element, live, brief, show, showSureness, refuse };
}
