// The planner: the form asks, one worker answers, another draws. All mathematics is the library's own Python.

import { buildCharts } from "./charts.js";
import { h } from "./dom.js";
import { Engine } from "./engine.js";
import { commandLine, download, picture, pythonCall } from "./export.js";
import { buildForm } from "./form.js";
import { buildResults } from "./results.js";
import { fromHash, question, toHash } from "./state.js";

const LAW_FORMAT = "distill-lib law 1";
const MOST = 400; // resamples asked, as many as the library asks
const TOGETHER = 10; // of them in one request, so that the charts need not wait

/** Build the planner into its place in the page, and give the first answer. */
export async function start(root, answers, fetched) {
  const published = await (await fetched).json();
  const drawing = new Engine({ later: true });
  const results = buildResults();
  const charts = buildCharts(drawing, fail);
  let now = null; // what is shown: {state, plan, asked}
  let written;

  const form = buildForm(published, {
    changed: (state) => (state ? answer(state) : results.refuse("Mend the marked field for a plan.")),
    readFile: (file) => file.text().then((text) => {
      let content = null;
      try { content = JSON.parse(text); } catch { /* the library says that it is no JSON */ }
      return checkedLaw(content, file.name);
    }),
  });

  async function checkedLaw(content, name) {
    const { result, problem } = await answers.ask({ action: "law", content, name });
    if (problem) throw new Error(problem);
    return { name, ...result };
  }

  async function answer(current) {
    const state = { ...current }; // the form goes on changing its own
    const asked = question(state, published);
    const request = {
      action: "plan", question: asked, days: state.goal === "days" ? state.days : null,
      hardware: { peak: state.peak, count: state.count, utilisation: state.utilisation },
    };
    const begun = performance.now();
    const told = await answers.latest("plan", request).catch(fail);
    if (!told) return; // a newer question is on its way
    form.blame(told.problem);
    clearTimeout(written);
    written = setTimeout(() => history.replaceState(null, "", `#${toHash(state, published)}`), 300);
    root.dataset.milliseconds = (performance.now() - begun).toFixed(1);
    if (!root.dataset.ready) performance.mark("planner: first answer");
    root.dataset.ready = "true"; // for whoever waits for it
    if (told.problem) {
      now = null;
      results.refuse(told.problem);
      return;
    }
    const plan = told.result;
    now = { state, plan, asked };
    command.hidden = commandLine(state, asked, plan) === null;
    results.show(plan, state, published);
    const own = state.reading === "file";
    const measured = state.given && (plan.N_T === null || state.teachers.some((row) => row[0] === plan.N_T && row[1] === plan.D_T && row[2] === plan.L_T));
    const band = { measured, draws: own ? state.file.draws.slice(0, MOST) : null, intervals: own ? null : published.intervals[state.reading] };
    charts.show(plan, asked, band);
    const sure = await (own ? underResamples : firstOrder)(plan, asked, band).catch(fail);
    if (now?.plan !== plan || sure === undefined) return;
    results.showBand(sure, state, plan);
    now.band = sure;
  }

  /** The band of a plan of the published law, from the intervals of its coefficients. */
  async function firstOrder(plan, asked, band) {
    const { words, storage, shares, ...rest } = plan;
    const told = await drawing.latest("band", { action: "band", question: asked, plan: { ...rest, warnings: null }, ...band });
    return told?.result;
  }

  /** How far the plans under the resamples of a fit lie apart: a few at a time, and no longer than they are wanted. */
  async function underResamples(plan, asked, { draws }) {
    if (!draws.length) return null;
    results.showBand(undefined, now.state, plan);
    const question = { ...asked, C: asked.C ?? (now.state.goal === "days" ? plan.budget : null) };
    const found = [];
    for (let i = 0; i < draws.length; i += TOGETHER) {
      const told = await drawing.latest("sample", { action: "sample", question, draws: draws.slice(i, i + TOGETHER) });
      if (!told || now?.plan !== plan) return undefined;
      found.push(...told.result);
    }
    return (await drawing.ask({ action: "spread", found, outcome: plan.outcome })).result;
  }

  function fail(error) {
    root.dataset.failed = String(error.message ?? error);
    results.refuse(`The planner stopped: ${error.message ?? error}. The table and the command below answer the same.`);
    return null;
  }

  const done = h("span", { class: "pl-done", role: "status" });
  const tell = (text) => { done.textContent = text; setTimeout(() => { done.textContent = ""; }, 4000); };
  async function copy(text, what) {
    try {
      await navigator.clipboard.writeText(text);
      tell(`${what} copied.`);
    } catch {
      shown.value = text;
      shown.hidden = false;
      shown.select();
      tell(`Copy the ${what.toLowerCase()} from the box.`);
    }
  }
  const shown = h("textarea", { class: "pl-copy", readonly: true, rows: 4, hidden: true, "aria-label": "Text to copy" });
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
  const button = (text, act) => h("button", { type: "button", class: "pl-button", text, onclick: () => { if (now) act(now); } });
  const command = button("Copy command", ({ state, asked, plan }) => copy(commandLine(state, asked, plan), "Command"));
  const actions = h("div", { class: "pl-actions", role: "group", "aria-label": "Take the plan along" },
    button("Copy link", ({ state }) => copy(`${location.href.split("#")[0]}#${toHash(state, published)}`, "Link")),
    button("Copy Python", ({ state, asked, plan }) => copy(pythonCall(state, asked, plan), "Call")),
    command,
    button("Download JSON", ({ asked, plan, band }) => {
      const { words, storage, ...numbers } = plan;
      download("plan.json", new Blob([JSON.stringify({ question: asked, plan: numbers, band }, null, 2) + "\n"], { type: "application/json" }));
    }),
    button("Download PNG", ({ plan }) => picture(charts.pictures(), charts.key(), "Plan your distillation", plan.verdict, {
      page: colour("--pst-color-background"), text: colour("--pst-color-text-base"),
    }).then((blob) => download("plan.png", blob), fail)), done, shown);

  root.replaceChildren(results.live, form.element, results.brief, h("div", { class: "pl-answer" }, results.element, charts.element, actions));

  const fit = () => form.element.classList.toggle("pl-fits", form.element.offsetHeight < window.innerHeight - 80);
  new ResizeObserver(fit).observe(form.element);
  window.addEventListener("resize", fit);

  async function restore() {
    const { state, wrong } = fromHash(location.hash, published);
    if (state.reading === "file") {
      try {
        state.file = await checkedLaw({ format: LAW_FORMAT, kind: "distillation", law: state.file.law, fitted_range: state.file.ranges, mean_error: state.file.accuracy ?? null, draws: [] }, String(state.file.name));
      } catch {
        Object.assign(state, { reading: "reconciled", file: null });
        wrong.push("law");
      }
    }
    form.show(state);
    if (wrong.length) tell(`The link held something unreadable (${wrong.join(", ")}); the usual value stands there.`);
    await answer(state);
  }
  window.addEventListener("hashchange", restore);
  await restore();
}
