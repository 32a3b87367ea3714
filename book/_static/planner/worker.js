// A worker that runs the library's own files by MicroPython: one request in, one answer out, in order.

const HERE = new URL(".", import.meta.url);

const MARK = "\u0001"; // see bridge.py: numbers go as text, which float() reads exactly
const marked = (key, value) => (typeof value === "number" ? MARK + value : value);

async function fetched(name) {
  const response = await fetch(new URL(name, HERE));
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return response;
}

/** Everything is fetched at once: MicroPython's two files do not wait for one another, nor the library for them. */
async function start() {
  const [{ loadMicroPython }, wasm, library] = await Promise.all([
    import("./micropython.mjs"),
    fetched("micropython.wasm").then((response) => response.blob()),
    fetched("library.json").then((response) => response.json()),
  ]);
  const url = URL.createObjectURL(wasm);
  const python = await loadMicroPython({ url, heapsize: 32 * 1024 * 1024, pystack: 64 * 1024 });
  URL.revokeObjectURL(url);
  for (const folder of ["/site", "/site/distill_lib", "/site/distill_lib/scaling"]) {
    python.FS.mkdir(folder);
    if (folder !== "/site") python.FS.writeFile(`${folder}/__init__.py`, "");
  }
  for (const [name, text] of Object.entries(library)) python.FS.writeFile(`/site/${name}`, text);
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
