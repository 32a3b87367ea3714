// Every number that can be set: its label, unit, valid range, and how its slider runs.

import { count, exact, parse, power } from "./numbers.js";

const counted = { write: countOrExact, slide: "log" };
const plain = { write: exact, slide: null };

export const FIELDS = {
  N_S: {
    label: "Student size", symbol: "N_S", unit: "parameters without embeddings", example: "1.5B",
    low: 1e6, high: 1e14, start: 1e9, from: 1e7, to: 1e12, ...counted,
  },
  C: {
    label: "Compute", symbol: "C", unit: "FLOPs in all", example: "1e21",
    low: 1e12, high: 1e32, start: 1e21, from: 1e18, to: 1e27, write: exact, slide: "log",
  },
  days: {
    label: "Days", symbol: "", unit: "days on the hardware below", example: "14",
    low: 1e-3, high: 1e5, start: 14, from: 0.1, to: 1000, write: exact, slide: "log",
  },
  target_loss: {
    label: "Loss wanted", symbol: "L_S", unit: "nats per token", example: "2.2",
    low: 0.01, high: 20, start: 2.2, from: 1.4, to: 3.6, write: exact, slide: "linear",
  },
  D_S: {
    label: "Tokens at hand", symbol: "D_S", unit: "tokens, all used once", example: "20B",
    low: 1e6, high: 1e17, start: 2e10, from: 1e8, to: 1e15, ...counted,
  },
  students_sharing: {
    label: "Students who share the teacher", symbol: "", unit: "its training and its stored predictions", example: "1",
    low: 1, high: 1e12, start: 1, whole: true, ...plain,
  },
  inference_tokens: {
    label: "Tokens the student will serve", symbol: "", unit: "in its life, paid from the same compute", example: "1T, or 0",
    low: 0, high: 1e30, start: 0, write: countOrExact, slide: null,
  },
  max_D_S: {
    label: "Tokens there are", symbol: "", unit: "a cap on student tokens; empty for none", example: "500B",
    low: 1e6, high: 1e17, start: null, optional: true, write: countOrExact, slide: null,
  },
  max_D_T: {
    label: "Tokens a teacher can have", symbol: "", unit: "a cap on a teacher to be designed; empty for none", example: "500B",
    low: 1e6, high: 1e17, start: null, optional: true, write: countOrExact, slide: null,
  },
  accuracy: {
    label: "Accuracy of its losses", symbol: "", unit: "relative; what lies closer is too close to call; empty for the law's own", example: "1 %",
    low: 1e-5, high: 1, start: null, optional: true, write: percent, slide: null,
  },
  peak: {
    label: "Peak of one device", symbol: "", unit: "dense bf16 FLOP/s", example: "9.895e14",
    low: 1e9, high: 1e18, start: null, ...plain,
  },
  count: {
    label: "Devices", symbol: "", unit: "", example: "64", low: 1, high: 1e7, start: 64, whole: true, ...plain,
  },
  utilisation: {
    label: "Utilisation", symbol: "", unit: "part of the peak that is reached", example: "40 %",
    low: 0.001, high: 1, start: null, write: percent, slide: null,
  },
  price: {
    label: "Price", symbol: "", unit: "for one device and hour; empty for none", example: "2.50",
    low: 0, high: 1e6, start: null, optional: true, ...plain,
  },
};

/** Columns of the table of teachers. */
export const TEACHER_FIELDS = {
  N_T: { label: "Size N_T", example: "3B", low: 1e6, high: 1e17, optional: true, write: countOrExact },
  D_T: { label: "Tokens D_T", example: "100B", low: 1e6, high: 1e17, optional: true, write: countOrExact },
  L_T: { label: "Loss L_T", example: "2.1", low: 0.01, high: 100, optional: true, write: exact },
};

/** A share in percent, to the last digit. */
export function percent(value) {
  return `${exact(Number((100 * value).toPrecision(12)))} %`;
}

function countOrExact(value) {
  const short = value >= 1e3 ? count(value) : exact(value);
  return parse(short) === value ? short : exact(value);
}

/** What a text says for a field: {value}, or {problem} with the valid range. */
export function read(field, text) {
  if (text.trim() === "" && field.optional) return { value: null };
  const value = parse(text);
  const range = `${field.write(field.low)} to ${field.write(field.high)}`;
  if (Number.isNaN(value)) return { problem: `“${text}” is no number; give ${range}, such as ${field.example}.` };
  if (value < field.low || value > field.high) {
    return { problem: `${power(value)} is out of range; give ${range}, such as ${field.example}.` };
  }
  if (field.whole && !Number.isInteger(value)) return { problem: `Give a whole number, such as ${field.example}.` };
  return { value };
}

/** Where a value stands on a slider of a thousand steps, and the value of a step. */
export const STEPS = 1000;
export function toStep(field, value) {
  const [a, b, v] = field.slide === "log" ? [field.from, field.to, value].map(Math.log) : [field.from, field.to, value];
  return Math.round(Math.min(Math.max((v - a) / (b - a), 0), 1) * STEPS);
}
export function fromStep(field, step) {
  const part = step / STEPS;
  const value = field.slide === "log"
    ? field.from * (field.to / field.from) ** part
    : field.from + (field.to - field.from) * part;
  return Number(value.toPrecision(field.slide === "log" ? 3 : 4));
}
