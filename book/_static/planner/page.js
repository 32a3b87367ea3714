// The planner: the form asks, one worker answers, another draws. All mathematics is the library's own Python.

import { buildCharts } from "./charts.js";
import { h } from "./dom.js";
import { Engine } from "./engine.js";
import { commandLine, download, picture, pythonCall } from "./export.js";
import { buildForm } from "./form.js";
import { buildResults } from "./results.js";
import { fromHash, question, toHash } from "./state.js";
import { buildSureness } from "./sureness.js";

const LAW_FORMAT = "distill-lib law 1";

/** Build the planner into its place in the page, and give the first answer. */
export async function start(root, answers, fetched) {
  const published = await (await fetched).json();
  const drawing = new Engine({ later: true });
  const results = buildResults();
  const charts = buildCharts(drawing, fail);
  let now = null; // what is shown: {state, plan, asked}
  let written;
  let others; // the laws that the published one may just as well be: fetched once the first answer stands
  const fetchOthers = () => (others ??= fetch(new URL("laws.json", import.meta.url)).then((response) => response.json()));
  const askHowSure = buildSureness(drawing, published, fetchOthers, {
    heard: (found) => { if (now) { now.found = found; results.showSureness(found, now.state, published); } },
    afterwards: charts.showBand,
    fail,
  });

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
    return { name, ...result, resamples: result.draws.length };
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
      askHowSure(null, state);
      results.refuse(told.problem);
      return;
    }
    const plan = told.result;
    now = { state, plan, asked };
    command.hidden = commandLine(state, asked, plan) === null;
    results.show(plan, state, published);
    note.textContent = linkNote(state);
    note.hidden = !note.textContent;
    charts.show(plan, asked);
    askHowSure({ ...asked, C: asked.C ?? (state.goal === "days" ? plan.budget : null) }, state);
    fetchOthers().catch(() => { others = undefined; }); // asked again when they are needed
  }

  /** What a link leaves behind: resamples are too long for an address. */
  function linkNote({ reading, file }) {
    if (reading !== "file" || !file.resamples) return "";
    return file.draws.length
      ? `A link takes your law along, but not its ${file.resamples} resamples: whoever opens it sees this plan without intervals. For those, send ${file.name} too.`
      : "";
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
  const note = h("p", { id: "pl-link-note", class: "pl-unit pl-note-line", hidden: true });
  const actions = h("div", { class: "pl-actions", role: "group", "aria-label": "Take the plan along" },
    button("Copy link", ({ state }) => copy(`${location.href.split("#")[0]}#${toHash(state, published)}`, "Link")),
    button("Copy Python", ({ state, asked, plan, found }) => copy(pythonCall(state, asked, plan, found), "Call")),
    command,
    button("Download JSON", ({ asked, plan, found }) => {
      const { words, storage, ...numbers } = plan;
      const { table, ...uncertainty } = found ?? {}; // all but its numbers in words
      download("plan.json", new Blob([JSON.stringify({ question: asked, plan: numbers, uncertainty }, null, 2) + "\n"], { type: "application/json" }));
    }),
    button("Download PNG", ({ plan }) => picture(charts.pictures(), charts.key(), "Plan your distillation", plan.verdict, {
      page: colour("--pst-color-background"), text: colour("--pst-color-text-base"),
    }).then((blob) => download("plan.png", blob), fail)), done, note, shown);

  root.replaceChildren(results.live, form.element, results.brief, h("div", { class: "pl-answer" }, results.element, charts.element, actions));

  const fit = () => form.element.classList.toggle("pl-fits", form.element.offsetHeight < window.innerHeight - 80);
  new ResizeObserver(fit).observe(form.element);
  window.addEventListener("resize", fit);

  async function restore() {
    const { state, wrong } = fromHash(location.hash, published);
    if (state.reading === "file") {
      try {
        const resamples = Number.isInteger(state.file.resamples) ? state.file.resamples : 0; // they stayed where the link is from
        state.file = await checkedLaw({ format: LAW_FORMAT, kind: "distillation", law: state.file.law, fitted_range: state.file.ranges, mean_error: state.file.accuracy ?? null, draws: [] }, String(state.file.name));
        state.file.resamples = resamples;
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
