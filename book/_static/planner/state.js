// What the page was asked: one plain object, and its way into the address and back.

import { FIELDS, TEACHER_FIELDS, read } from "./fields.js";
import { exact } from "./numbers.js";

export const SCENARIOS = {
  best_case: "Nothing: its predictions are stored",
  teacher_inference: "Its predictions",
  teacher_pretraining: "Its training",
  teacher_pretraining_inference: "Its training and its predictions",
};
export const GOALS = { C: "Compute", days: "Hardware", target_loss: "Loss", D_S: "Tokens" };
export const READINGS = { reconciled: "Published, reconciled", printed: "Published, as printed", file: "My own fit" };

/** The usual question: the first H100 and what training gets of it are as the library has them. */
export function fresh(published) {
  const state = { goal: "C", scenario: "teacher_inference", given: false, teachers: [], reading: "reconciled", file: null };
  for (const [name, field] of Object.entries(FIELDS)) state[name] = field.start;
  state.peak = published.devices.H100.peak;
  state.utilisation = published.utilisation;
  return state;
}

/** The state as the part of an address after #: only what differs from the fresh one. */
export function toHash(state, published) {
  const start = fresh(published);
  const parts = new URLSearchParams();
  for (const name of ["goal", "scenario", "reading"]) if (state[name] !== start[name]) parts.set(name, state[name]);
  for (const name of Object.keys(FIELDS)) {
    if (state[name] !== start[name]) parts.set(name, state[name] === null ? "" : exact(state[name]));
  }
  const rows = state.teachers.map((row) => row.map((value) => (value === null ? "" : exact(value))).join("_"));
  if (state.given) parts.set("teachers", rows.join("~"));
  if (state.reading === "file" && state.file) {
    const { name, law, ranges, accuracy, resamples } = state.file; // the resamples themselves are too long
    parts.set("law", JSON.stringify({ name, law, ranges, accuracy, resamples }));
  }
  return parts.toString();
}

/** The state of an address; what is wrong in it keeps its fresh value and is named. */
export function fromHash(hash, published) {
  const state = fresh(published);
  const wrong = [];
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  const one = (name, allowed) => {
    const value = parts.get(name);
    if (value === null) return;
    if (value in allowed) state[name] = value;
    else wrong.push(name);
  };
  one("goal", GOALS);
  one("scenario", SCENARIOS);
  one("reading", READINGS);
  for (const [name, field] of Object.entries(FIELDS)) {
    if (!parts.has(name)) continue;
    const { value, problem } = read(field, parts.get(name));
    if (problem) wrong.push(name);
    else state[name] = value;
  }
  if (parts.has("teachers")) {
    state.given = true;
    const columns = Object.values(TEACHER_FIELDS);
    for (const text of parts.get("teachers").split("~").filter(Boolean)) {
      const cells = text.split("_").map((cell, i) => (columns[i] ? read(columns[i], cell) : { problem: "too many" }));
      if (cells.length === 3 && cells.every((cell) => !cell.problem)) state.teachers.push(cells.map((cell) => cell.value));
      else wrong.push("teachers");
    }
    state.given = state.teachers.length > 0;
  }
  if (state.reading === "file") {
    try {
      state.file = JSON.parse(parts.get("law"));
    } catch {
      state.file = null;
    }
    if (!state.file || typeof state.file !== "object") {
      state.reading = "reconciled";
      wrong.push("law");
    }
  }
  return { state, wrong };
}

/** How well a law tells losses: what its fit says of itself, or what the paper states of its own. */
export function ownAccuracy(state, published) {
  return (state.reading === "file" ? state.file.accuracy : null) ?? published.accuracy;
}

/** The question as the library's file takes it. */
export function question(state, published) {
  const own = state.reading === "file";
  return {
    N_S: state.N_S,
    C: state.goal === "C" ? state.C : null,
    target_loss: state.goal === "target_loss" ? state.target_loss : null,
    D_S: state.goal === "D_S" ? state.D_S : null,
    max_D_S: state.goal === "D_S" ? null : state.max_D_S,
    max_D_T: state.given ? null : state.max_D_T,
    scenario: state.scenario,
    deltas: null,
    teachers: state.given ? state.teachers : null,
    students_sharing: state.students_sharing,
    inference_tokens: state.inference_tokens,
    context: published.context,
    vocabulary: published.vocabulary,
    law: own ? state.file.law : published.laws[state.reading],
    ranges: own ? state.file.ranges : published.ranges,
    accuracy: state.accuracy ?? ownAccuracy(state, published),
  };
}
