// Taking a plan along: a link, a Python call, JSON, a picture.

import { escape } from "./dom.js";
import { exact } from "./numbers.js";

const DRAWN = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-family", "font-weight"];

/** The same question as a call of the library. */
export function pythonCall(state, question, budget) {
  const number = (value) => exact(value);
  const words = [`N_S=${number(question.N_S)}`];
  const C = question.C ?? (state.goal === "days" ? budget : null);
  if (C !== null) words.push(`C=${number(C)}`);
  for (const name of ["target_loss", "D_S", "max_D_S"]) if (question[name] !== null) words.push(`${name}=${number(question[name])}`);
  words.push(`scenario="${question.scenario}"`);
  if (question.teachers) {
    const row = ([N, D, L]) => (N === null ? number(L) : L === null ? `(${number(N)}, ${number(D)})` : `(${number(N)}, ${number(D)}, ${number(L)})`);
    words.push(`teachers=[${question.teachers.map(row).join(", ")}]`);
  }
  if (question.students_sharing !== 1) words.push(`students_sharing=${number(question.students_sharing)}`);
  if (question.inference_tokens) words.push(`inference_tokens=${number(question.inference_tokens)}`);
  const lines = ["import distill_lib as dl"];
  if (state.reading === "printed") words.push('law=dl.published_law("printed")');
  if (state.reading === "file") {
    lines.push("from distill_lib.scaling.saved import load_law");
    words.push(`law=load_law(${JSON.stringify(state.file.name)})`);
  }
  return `${lines.join("\n")}\n\nprint(dl.plan(${words.join(", ")}))\n`;
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
