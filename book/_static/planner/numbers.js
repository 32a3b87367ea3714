// Numbers as people write them: "1.5B", "3e21", "20 T", "40 %" in, and back out.

const UNITS = { k: 1e3, m: 1e6, b: 1e9, g: 1e9, t: 1e12, p: 1e15 };

/** The number that a text says, or NaN. Commas and spaces group digits; a unit letter may follow. */
export function parse(text) {
  const plain = text.trim().replace(/[\s,_]/g, "");
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)([kmbgtp%]?)$/i.exec(plain);
  if (!match) return NaN;
  const unit = match[2].toLowerCase();
  return unit === "%" ? Number(match[1]) / 100 : Number(match[1]) * (UNITS[unit] ?? 1);
}

const digits = (value, many = 3) => String(Number(value.toPrecision(many)));

/** A count with a unit letter: 1.5B. Read back by `parse` it is the same to three digits. */
export function count(value) {
  if (value === null || !Number.isFinite(value)) return "unlimited";
  for (const [letter, size] of [["P", 1e15], ["T", 1e12], ["B", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (value >= 0.9995 * size && value < 999.5 * size) return digits(value / size) + letter;
  }
  return power(value);
}

/** A number in three digits, as a power of ten where it is large: 1e21, 0.25. */
export function power(value) {
  if (value === null || !Number.isFinite(value)) return "unlimited";
  if (value !== 0 && (Math.abs(value) >= 1e5 || Math.abs(value) < 1e-3)) {
    return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
  }
  return digits(value);
}

/** A number as text that loses nothing, short where it can be: for fields, links and Python. */
export function exact(value) {
  const short = power(value);
  return Number(short) === value ? short : String(value).replace("e+", "e");
}

/** Days, or hours and years where those read better. */
export function days(value) {
  if (value === null || !Number.isFinite(value)) return "unlimited";
  if (value < 2) return `${digits(24 * value)} hours`;
  if (value < 1000) return `${digits(value)} days`;
  return `${count(value / 365.25)} years`;
}

/** The superscript form of a power of ten, for axes. */
export function superscript(exponent) {
  return "10" + [...String(exponent)].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c])).join("");
}
