// A worker that runs the library's own files by MicroPython: one request in, one answer out, in order.

import { loadMicroPython } from "./micropython.mjs";

const HERE = new URL(".", import.meta.url);
const FILES = ["formulas", "wording", "answers", "sketches", "law_files"].map((name) => `distill_lib/scaling/${name}.py`);

const MARK = "\u0001"; // see bridge.py: numbers go as text, which float() reads exactly
const marked = (key, value) => (typeof value === "number" ? MARK + value : value);

async function text(name) {
  const response = await fetch(new URL(name, HERE));
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return response.text();
}

async function start() {
  const [python, bridge, ...sources] = await Promise.all([
    loadMicroPython({ heapsize: 32 * 1024 * 1024, pystack: 64 * 1024 }),
    text("bridge.py"),
    ...FILES.map(text),
  ]);
  for (const folder of ["/site", "/site/distill_lib", "/site/distill_lib/scaling"]) {
    python.FS.mkdir(folder);
    if (folder !== "/site") python.FS.writeFile(`${folder}/__init__.py`, "");
  }
  FILES.forEach((name, i) => python.FS.writeFile(`/site/${name}`, sources[i]));
  python.FS.writeFile("/site/bridge.py", bridge);
  python.runPython("import sys\nsys.path.append('/site')\n");
  return python.pyimport("bridge").handle;
}

const ready = start();
self.onmessage = async ({ data: { id, request } }) => {
  try {
    const handle = await ready;
    self.postMessage({ id, ...JSON.parse(handle(JSON.stringify(request, marked))) });
  } catch (error) {
    self.postMessage({ id, failure: String(error.message ?? error) });
  }
};
