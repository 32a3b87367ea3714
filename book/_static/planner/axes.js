// The frame of a chart: scales, ticks, grid and labels, as SVG markup.

import { escape } from "./dom.js";
import { superscript } from "./numbers.js";

const STEPS = [1, 2, 5, 10];

/** Round places that divide a range into about so many parts. */
export function ticks(low, high, many) {
  const raw = (high - low) / many;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = STEPS.find((s) => s * size >= raw) * size;
  const places = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) places.push(Number((i * step).toPrecision(10)));
  return places;
}

/** A frame of a given size: x and y map values to places, `markup` draws what is behind the curves. */
export function frame({ width, height, x: [x0, x1], y: [y0, y1], logX = false, xLabel, yLabel }) {
  const box = { left: 52, right: width - 10, top: 12, bottom: height - 44 };
  const u = logX ? Math.log : (v) => v;
  const x = (v) => box.left + ((u(v) - u(x0)) / (u(x1) - u(x0))) * (box.right - box.left);
  const y = (v) => box.bottom - ((v - y0) / (y1 - y0)) * (box.bottom - box.top);
  const few = width < 420 ? 4 : 6;
  const xs = logX
    ? ticks(Math.log10(x0), Math.log10(x1), few).filter(Number.isInteger).map((e) => [10 ** e, superscript(e)])
    : ticks(x0, x1, few).map((v) => [v, String(v)]);
  const ys = ticks(y0, y1, 7).map((v) => [v, String(v).replace("-", "−")]);
  const parts = [
    ...xs.map(([v, text]) => `<line class="pl-grid" x1="${x(v)}" x2="${x(v)}" y1="${box.top}" y2="${box.bottom}"/>
      <text class="pl-tick" x="${x(v)}" y="${box.bottom + 17}" text-anchor="middle">${text}</text>`),
    ...ys.map(([v, text]) => `<line class="pl-grid" x1="${box.left}" x2="${box.right}" y1="${y(v)}" y2="${y(v)}"/>
      <text class="pl-tick" x="${box.left - 7}" y="${y(v) + 4}" text-anchor="end">${text}</text>`),
    `<text class="pl-label" x="${(box.left + box.right) / 2}" y="${height - 6}" text-anchor="middle">${escape(xLabel)}</text>`,
    `<text class="pl-label" transform="translate(13 ${(box.top + box.bottom) / 2}) rotate(-90)" text-anchor="middle">${escape(yLabel)}</text>`,
  ];
  return { x, y, box, markup: parts.join("") };
}

/** A line through points, broken where one is null; kept inside the frame by the clip of the chart. */
export function path(points, { x, y }) {
  let pen = "M";
  return points.map((point) => {
    if (!point || point[1] === null || !Number.isFinite(point[1])) { pen = "M"; return ""; }
    const step = `${pen}${x(point[0]).toFixed(2)} ${y(point[1]).toFixed(2)}`;
    pen = "L";
    return step;
  }).join("");
}

/** Put a chart together, with a clip for its curves and words for those who cannot see it. */
export function svg({ id, width, height, box, title, behind, inside, above = "" }) {
  return `<svg id="${id}" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(title)}" xmlns="http://www.w3.org/2000/svg">
    <clipPath id="${id}-clip"><rect x="${box.left}" y="${box.top}" width="${box.right - box.left}" height="${box.bottom - box.top}"/></clipPath>
    ${behind}<g clip-path="url(#${id}-clip)">${inside}</g>${above}</svg>`;
}
