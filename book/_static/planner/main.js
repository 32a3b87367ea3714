// The beginning. Python starts in a worker that the head of the page made, while the rest of the planner still loads.

import { Engine } from "./engine.js";

/** An element of the page, as soon as it is parsed: this script waits for no other. */
async function parsed(id) {
  let found;
  while (!(found = document.getElementById(id))) await new Promise((done) => setTimeout(done, 5));
  return found;
}

if (typeof WebAssembly === "object" && typeof Worker === "function") {
  const answers = new Engine({ worker: window.plannerWorker });
  const fetched = fetch(new URL("published.json", import.meta.url));
  const page = import("./page.js");
  const [root, without] = [await parsed("planner"), await parsed("planner-without")];
  const show = (works) => { root.hidden = !works; without.hidden = works; };
  show(true);
  page.then(({ start }) => start(root, answers, fetched)).catch((error) => {
    show(false);
    console.error(error);
  });
}
