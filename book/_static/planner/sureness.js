// How sure a plan is: once the question rests, it is asked of other laws, a few at a time.

const REST = 350; // milliseconds without a change
const TOGETHER = 8; // laws in one request, so that charts need not wait
const MOST = 400; // resamples asked, as many as the library asks

/** The laws that the library draws for the published one, from a table of coefficients. */
function unpacked(told, reading) {
  const law = (row) => {
    const many = told.supervised.length;
    const named = (names, values) => Object.fromEntries(names.map((name, i) => [name, values[i]]));
    return { ...named(told.distillation, row.slice(many)), supervised: named(told.supervised, row.slice(0, many)) };
  };
  return { drawn: told.drawn.map((row, i) => ({ ...law(row), B: told.B[reading][i] })), moved: told.moved[reading].map(([symbol, low, high]) => [symbol, law(low), law(high)]) };
}

/** Ask by an engine; `heard(found)` gets what is known so far, {} at first, and {none: true} where no spread can be known. */
export function buildSureness(engine, published, fetched, { heard, afterwards, fail }) {
  const others = {}; // by reading, unpacked once
  let turn = 0;
  let waiting;
  let kept = null; // whose laws the worker has: requests are answered in order

  async function lawsOf(state) {
    if (state.reading === "file") return { drawn: state.file.draws.slice(0, MOST), moved: null };
    return (others[state.reading] ??= unpacked(await fetched(), state.reading));
  }

  async function run(mine, question, state) {
    const { drawn, moved } = await lawsOf(state);
    const current = () => turn === mine;
    if (!current()) return;
    const whose = state.reading === "file" ? state.file : state.reading;
    if (kept !== whose) {
      kept = whose;
      await engine.ask({ action: "keep", laws: drawn });
    }
    const next = async (request) => (current() ? (await engine.ask(request)).result : undefined);
    await next({ action: "begin", question });
    const found = {};
    if (moved) {
      Object.assign(found, await next({ action: "hinges", moved, readings: Object.entries(published.laws) }));
      if (current()) heard(found);
    }
    for (let first = 0; first < drawn.length && current(); first += TOGETHER) await next({ action: "sample", first, last: first + TOGETHER });
    const spread = await next({ action: "sure", published: Boolean(moved) });
    if (!current()) return;
    heard({ ...found, ...(spread ?? { none: true }) });
    if (spread) afterwards(current);
  }

  /** Ask anew, with the budget in FLOPs; what was asked before is forgotten, and without a question that is all. */
  return function ask(question, state) {
    const mine = ++turn;
    clearTimeout(waiting);
    if (!question) return;
    const asksNobody = state.reading === "file" && !state.file.draws.length;
    heard(asksNobody ? { none: true } : {});
    if (!asksNobody) waiting = setTimeout(() => run(mine, question, state).catch(fail), REST);
  };
}
