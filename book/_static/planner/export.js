// Taking a plan along: a link, a Python call, a command, JSON, a picture.

import { escape } from "./dom.js";
import { exact } from "./numbers.js";

const DRAWN = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-family", "font-weight"];

/** The budget in FLOPs, also where it was given in days; null where there is none. */
const budgetOf = (state, question, plan) => question.C ?? (state.goal === "days" ? plan.budget : null);

/** The same question as a call of the library, with what a fit of one's own says of its reach. */
export function pythonCall(state, question, plan, found) {
  const words = [`N_S=${exact(question.N_S)}`];
  const C = budgetOf(state, question, plan);
  if (C !== null) words.push(`C=${exact(C)}`);
  for (const name of ["target_loss", "D_S", "max_D_S", "max_D_T"]) if (question[name] !== null) words.push(`${name}=${exact(question[name])}`);
  words.push(`scenario="${question.scenario}"`);
  if (question.teachers) {
    const row = (numbers) => (numbers[0] === null ? exact(numbers[2]) : `(${numbers.filter((value) => value !== null).map(exact).join(", ")})`);
    words.push(`teachers=[${question.teachers.map(row).join(", ")}]`);
  }
  if (question.students_sharing !== 1) words.push(`students_sharing=${exact(question.students_sharing)}`);
  if (question.inference_tokens) words.push(`inference_tokens=${exact(question.inference_tokens)}`);
  if (state.reading === "printed") words.push('law=dl.published_law("printed")');
  const lines = [];
  if (state.reading === "file") {
    lines.push(`fit = dl.load_fit(${JSON.stringify(state.file.name)})`);
    words.push("law=fit.law", "fitted_range=fit.reach.fitted_range");
    if (state.accuracy === null) words.push("accuracy=fit.reach.mean_error");
  }
  if (state.accuracy !== null) words.push(`accuracy=${exact(state.accuracy)}`);
  lines.push(`plan = dl.plan(${words.join(", ")})`, "print(plan)");
  const own = state.reading === "file";
  const alone = found?.none && (!own || state.file.draws.length); // no other law has an answer
  if (!own && !alone) lines.push("print(plan.uncertainty())");
  if (own && !alone && state.file.resamples) lines.push("print(plan.uncertainty(fit.draws))");
  return `import distill_lib as dl\n\n${lines.join("\n")}\n`;
}

const quoted = (text) => (/^[\w.-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** Teachers as the command line reads them; null where one table cannot hold them. */
function teacherFile(rows) {
  const alone = rows.filter((row) => row[0] === null).length;
  if (alone && alone < rows.length) return null;
  const cells = (row) => (alone ? row.slice(2) : row).map((value) => (value === null ? "" : exact(value))).join(",");
  return ["cat > teachers.csv <<'END'", alone ? "L_T" : "N_T,D_T,L_T", ...rows.map(cells), "END", ""].join("\n");
}

/** The same question as a command for a shell; null where the command line cannot ask it. */
export function commandLine(state, question, plan) {
  const C = budgetOf(state, question, plan);
  if (C === null && question.target_loss === null) return null; // tokens alone
  const words = ["distill-lib plan", `--student ${exact(question.N_S)}`];
  const fleet = state.device ? `${state.count}x${state.device}` : null;
  const plainDays = state.goal === "days" && fleet && /^\d+(\.\d+)?$/.test(String(state.days));
  if (plainDays) words.push(`--budget ${fleet}x${state.days}d`);
  else words.push(C === null ? `--target ${exact(question.target_loss)}` : `--budget ${exact(C)}`);
  if (fleet && !plainDays) words.push(`--gpus ${fleet}`);
  if (fleet) words.push(`--utilisation ${state.utilisation}`);
  words.push(`--scenario ${question.scenario}`);
  let before = "";
  if (question.teachers) {
    before = teacherFile(question.teachers);
    if (before === null) return null;
    words.push("--teachers teachers.csv");
  }
  if (question.max_D_S !== null) words.push(`--tokens ${exact(question.max_D_S)}`);
  if (question.max_D_T !== null) words.push(`--max-teacher-tokens ${exact(question.max_D_T)}`);
  if (question.students_sharing !== 1) words.push(`--students ${exact(question.students_sharing)}`);
  if (question.inference_tokens) words.push(`--inference-tokens ${exact(question.inference_tokens)}`);
  if (state.reading === "printed") words.push("--reading printed");
  if (state.reading === "file") words.push(`--law ${quoted(state.file.name)}`);
  if (state.accuracy !== null) words.push(`--accuracy ${state.accuracy}`);
  return `${before}${words.join(" ")}\n`;
}

/** Hand the reader a file. */
export function download(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** A chart as markup that needs no style sheet. */
function standalone(chart) {
  const copy = chart.cloneNode(true);
  const from = [chart, ...chart.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((element, i) => {
    const style = getComputedStyle(from[i]);
    element.setAttribute("style", DRAWN.map((name) => `${name}:${style.getPropertyValue(name)}`).join(";"));
  });
  return copy;
}

function broken(text, longest) {
  const lines = [""];
  for (const word of text.split(" ")) {
    if (lines.at(-1).length + word.length > longest) lines.push("");
    lines[lines.length - 1] += (lines.at(-1) ? " " : "") + word;
  }
  return lines;
}

/** Verdict and charts as one PNG, twice the size on screen. */
export async function picture(charts, key, title, text, colours) {
  const width = Math.max(...charts.map((chart) => chart.width.baseVal.value)) + 32;
  const lines = broken(text, Math.floor(width / 8));
  let y = 58 + 20 * lines.length;
  const style = `font-family:system-ui,sans-serif;fill:${colours.text}`;
  const parts = [`<text x="16" y="30" style="${style};font-size:16px;font-weight:600">${escape(title)}</text>`,
    ...lines.map((line, i) => `<text x="16" y="${54 + 20 * i}" style="${style};font-size:14px">${escape(line)}</text>`)];
  let x = 16;
  for (const item of key) { // the legend, in as many lines as it takes
    const words = item.textContent;
    if (x + 60 + 7.5 * words.length > width) [x, y] = [16, y + 20];
    const mark = standalone(item.querySelector("svg"));
    mark.setAttribute("x", x);
    mark.setAttribute("y", y - mark.height.baseVal.value / 2);
    parts.push(new XMLSerializer().serializeToString(mark), `<text x="${x + 28}" y="${y + 4}" style="${style};font-size:13px">${escape(words)}</text>`);
    x += 60 + 7.5 * words.length;
  }
  y += 18;
  for (const chart of charts) {
    const copy = standalone(chart);
    copy.setAttribute("x", 16);
    copy.setAttribute("y", y);
    parts.push(new XMLSerializer().serializeToString(copy));
    y += chart.height.baseVal.value + 12;
  }
  const markup = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y}"><rect width="100%" height="100%" fill="${colours.page}"/>${parts.join("")}</svg>`;
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(markup)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = 2 * width;
  canvas.height = 2 * y;
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/png"));
}
