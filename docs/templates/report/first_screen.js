"use strict";
/* The first screen: what a role should run, and the chart of quality against speed. Its state is in the URL's fragment.
   The order of a role's candidates comes from the data (first_screen.py); this script only takes those that fit the filters. */
(() => {
  const page = globalThis.REPORT;
  if (!page) return;
  const { DATA, PagedTable, byId, code, element, estimate, nameOf, options, visible } = page;
  const PALETTE = ["#2f7ed8", "#c4501b", "#2a8f5b", "#9457c9", "#a8790b", "#d0457d", "#2b8c9e", "#7d6b2f", "#5a6fd6", "#7a7f87"];
  const TABLE_ROWS = 10;
  /* Filter -> its element. Their values, the picked setups and the box are the state of the first screen. */
  const FILTERS = { role: "choice-role", family: "choice-family", quant: "choice-quant", workload: "choice-workload", least: "choice-least", wait: "choice-wait" };
  const filters = Object.fromEntries(Object.entries(FILTERS).map(([name, id]) => [name, byId(id)]));
  const picked = new Set();
  let box = null;
  let part = page.shownPart();
  let first = part.first;
  let view = null;
  let drawing = 0;
  let drawn = [];
  /* The setup whose record is shown (null: none), and the two answers that are compared at first. */
  let opened = null;
  let firstPair = [];

  const value = (name) => filters[name].value;
  const unique = (values) => [...new Set(values)].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const idOf = (at) => `${part.setups[at].model}/${part.setups[at].mode}`;
  const isDrawn = (at) => page.valueAt(first.drawn, at);
  const roleNow = () => first.roles.find((x) => x.role === value("role")) || null;

  /* Decode speed of a setup, on the chosen workload where there is one; null if it is unknown or impossible. */
  function speedOf(at) {
    const c = part.setups[at];
    const on = value("workload") ? c.workloads[value("workload")] : c;
    return on && !on.struck ? on.decode : null;
  }

  function fits(at) {
    const c = part.setups[at];
    const [least, wait] = [Number(value("least")), Number(value("wait"))];
    const speed = speedOf(at);
    return (!value("family") || first.family[at] === value("family")) && (!value("quant") || c.quant === value("quant"))
      && (!(least > 0) || Boolean(speed && speed[0] >= least)) && (!(wait > 0) || Boolean(c.ttft && c.ttft[0] <= wait));
  }

  /* The setups that the filters leave: {at, rate, speed, why it is not drawn}. A mode that gives its row's answers has its pass rate. */
  function found() {
    const role = roleNow();
    const rates = new Map(role ? role.candidates.map(([row, , rate]) => [row, rate]) : []);
    const unranked = new Map(role ? role.unranked : []);
    return part.setups.map((c, at) => {
      const row = first.row[at];
      const rate = role ? rates.get(row) || null : part.setups[row].rate;
      const own = c.speculative && !isDrawn(at) ? null : rate;
      return { at, rate: own, speed: speedOf(at), why: unranked.get(row) || noteOf(c, at) };
    }).filter((x) => fits(x.at) && (!role || part.setups[x.at].roles.includes(role.role)));
  }

  function noteOf(c, at) {
    if (c.struck) return `impossible: ${c.struck}`;
    if (c.speculative && !isDrawn(at)) return "its answers are not proved to be its base's";
    return c.note ? `not ranked: ${c.note}` : "";
  }

  /* --- what to run --- */

  /* The chosen role's candidates that fit the filters, the best first. */
  function candidates() {
    const role = roleNow();
    if (!role) return [];
    return role.candidates.map(([row, way, rate, tied, ways]) => ({ row, way: ways[value("workload")] ?? way, rate, tied })).filter((x) => fits(x.way));
  }

  function line(words, ...content) {
    return [element("dt", {}, words), element("dd", {}, ...content)];
  }

  const many = (count, words) => `${count} ${words}${count === 1 ? "" : "s"}`;

  function reasons(role, left) {
    const [best] = left;
    const all = left.length === role.candidates.length;
    const said = left.length === 1 ? "the only candidate" : `the highest pass rate of ${many(left.length, "candidate")}`;
    const why = [all ? said : `${said} that fit${left.length === 1 ? "s" : ""} the filters (of ${role.candidates.length})`];
    const tied = left.filter((x) => x !== best && x.tied).map((x) => nameOf(part.setups[x.row]));
    if (best.row === role.candidates[0][0] && tied.length) {
      const named = tied.slice(0, 3).join(", ");
      why.push(`not significantly above ${named}${tied.length > 3 ? ` and ${tied.length - 3} more` : ""}`);
    }
    const way = part.setups[best.way];
    const up = value("workload") ? (way.workloads[value("workload")] || {}).up : way.up;
    if (best.way !== best.row && up) why.push(`the same answers as ${part.setups[best.row].mode} at ${estimate(up, 2, "x")} its speed`);
    return why;
  }

  function advise() {
    const place = byId("choice-advice");
    const role = roleNow();
    if (!role) {
      place.replaceChildren(element("p", {}, "Choose a role to see what it should run."));
      return;
    }
    const left = candidates();
    if (!left.length || left[0].rate[0] === 0) {
      const why = left.length ? `none of ${many(left.length, "candidate")} passes a question`
        : role.candidates.length ? `none of its ${many(role.candidates.length, "candidate")} fits the filters`
          : role.unranked.length ? `no setup is ranked; ${nameOf(part.setups[role.unranked[0][0]])}: ${role.unranked[0][1]}` : "it has no candidate";
      place.replaceChildren(element("p", {}, "Nothing is recommended for ", code(role.role), ` on ${visible(part.name)}: ${visible(why)}.`));
      return;
    }
    const best = left[0];
    const way = part.setups[best.way];
    const on = value("workload") ? ` on ${visible(value("workload").replaceAll("_", " "))}` : "";
    place.replaceChildren(
      element("p", { class: "answer" }, "For ", code(role.role), ` on ${visible(part.name)}, run `, element("strong", { id: "choice-run" }, visible(nameOf(way))), "."),
      element("dl", {},
        ...line("passes", `${estimate(best.rate, 0, " %", 100)} on ${visible(role.suites.join(", "))}`),
        ...line("decodes", `${estimate(speedOf(best.way))} t/s${on}`),
        ...line("first token", `${estimate(way.ttft, 2)} s`),
        ...line("why", visible(reasons(role, left).join("; ")))),
      ...page.commandBox(first.command[best.way], "Command to run it"),
      element("p", { class: "small" }, "It prints llama-server's command line", first.active ? "." : ", once ", ...(first.active ? [] : [code(`hardware: ${first.hardware}`), " is in config.yaml."])),
    );
  }

  /* --- selection --- */

  const inBox = (x) => box && x.speed && x.rate && x.speed[0] >= box[0] && x.speed[0] <= box[1] && x.rate[0] >= box[2] && x.rate[0] <= box[3];

  function selection() {
    return new Set([...picked, ...drawn.filter(inBox).map((x) => x.at)]);
  }

  const table = new PagedTable(byId("choice-table"), "The setups that fit the filters; select some to narrow the tables of this page", [
    { words: "setup", header: true, value: (x) => nameOf(part.setups[x.at]), cell: (x) => setupLink(x.at) },
    { words: "select", cell: (x) => pickButton(x.at) },
    { words: "family", value: (x) => first.family[x.at], cell: (x) => visible(first.family[x.at]) },
    { words: "quant", value: (x) => part.setups[x.at].quant, cell: (x) => visible(part.setups[x.at].quant) },
    { words: "passes", number: true, value: (x) => x.rate && x.rate[0], cell: (x) => estimate(x.rate, 0, " %", 100) },
    { words: "decode t/s", number: true, value: (x) => x.speed && x.speed[0], cell: (x) => estimate(x.speed) },
    { words: "TTFT s", number: true, value: (x) => part.setups[x.at].ttft && part.setups[x.at].ttft[0], cell: (x) => estimate(part.setups[x.at].ttft, 2) },
    { words: "note", value: (x) => x.why, cell: (x) => visible(x.why) || "–" },
  ], TABLE_ROWS);

  function setupLink(at) {
    const c = part.setups[at];
    return element("a", { class: "code", href: `#${new URLSearchParams({ setup: idOf(at) })}`, "aria-label": visible(`setup ${nameOf(c)}`) }, visible(nameOf(c)));
  }

  function pickButton(at) {
    const made = element("button", { type: "button", "aria-pressed": String(selection().has(at)), "aria-label": visible(`select ${nameOf(part.setups[at])}`) }, "select");
    made.dataset.at = String(at);
    made.onclick = () => pick(at);
    return made;
  }

  function pick(at) {
    if (picked.has(at)) picked.delete(at);
    else picked.add(at);
    showSelection();
  }

  const narrowTables = page.later(() => {
    const chosen = selection();
    page.narrow(chosen.size ? new Set([...chosen].map((at) => part.setups[at])) : null);
  });

  /* Show what is selected: in the chart, on the buttons, in words; then narrow the tables. */
  function showSelection() {
    const chosen = selection();
    for (const button of byId("choice-table").querySelectorAll("button[data-at]")) {
      button.setAttribute("aria-pressed", String(chosen.has(Number(button.dataset.at))));
    }
    showOpened();
    byId("choice-selection").textContent = chosen.size ? `${many(chosen.size, "setup")} selected: the tables of setups and workloads show no other.` : "No setup is selected.";
    byId("choice-clear").disabled = !chosen.size && !box;
    if (view) view.signal("chosen", [...chosen]).runAsync();
    narrowTables();
    writeFragment();
  }

  /* --- one setup --- */

  function open(at) {
    opened = at;
    page.showSetup(at);
    showOpened();
    writeFragment();
    const place = byId(at === null ? "choose-title" : "setup-title");
    place.focus();
    place.scrollIntoView();
  }

  function showOpened() {
    const chosen = opened !== null && selection().has(opened);
    byId("setup-select").textContent = chosen ? "Take it out of the selection" : "Select it";
    byId("setup-select").setAttribute("aria-pressed", String(chosen));
  }

  /* An answer's name in a link: setup, question, repeat. */
  function cellName(cell) {
    const asked = page.questionOf(cell);
    return `${cell.of.model}/${cell.of.mode} ${asked.suite}/${asked.id} ${page.column(cell.of, "repeat", cell.at)}`;
  }

  function cellNamed(name) {
    const c = part.setups.find((one) => name.startsWith(`${one.model}/${one.mode} `));
    return c && page.cellsOf(c).find((cell) => cellName(cell) === name);
  }

  /* --- the chart --- */

  const ends = (pair) => [...pair].sort((a, b) => a - b);

  /* Mark the points that no other one beats in both speed and quality. */
  function markFront(points) {
    let best = -1;
    for (const point of [...points].sort((a, b) => b.speed - a.speed || b.rate - a.rate)) {
      point.front = point.rate > best;
      best = Math.max(best, point.rate);
    }
  }

  function pointsOf(rows, best) {
    const points = rows.filter((x) => x.rate && x.speed && x.speed[0] > 0 && isDrawn(x.at)).map((x) => ({
      at: x.at, speed: x.speed[0], slow: x.speed[1] ?? x.speed[0], fast: x.speed[2] ?? x.speed[0],
      rate: x.rate[0], low: x.rate[1] ?? x.rate[0], high: x.rate[2] ?? x.rate[0],
      family: visible(first.family[x.at]), kind: part.setups[x.at].speculative ? "speculative" : part.setups[x.at].note ? "not ranked" : "its own answers",
      best: best !== undefined && x.at === best,
    }));
    markFront(points);
    return points;
  }

  function chartSpec(points, colours) {
    const shown = (name) => `datum.best || indexof(chosen, datum.${name}) >= 0`;
    const x = { field: "speed", type: "quantitative", scale: { type: "log", nice: true }, axis: { title: `decode t/s${value("workload") ? ` on ${value("workload").replaceAll("_", " ")}` : ""}`, tickCount: 6, labelOverlap: true, format: "~r" } };
    const y = { field: "rate", type: "quantitative", scale: { domain: [0, 1] }, axis: { title: roleNow() ? "passes on the role's suites" : "passes", format: ".0%" } };
    const rule = (from, to, channel) => ({
      mark: { type: "rule", color: colours.line, strokeWidth: 1.5 }, transform: [{ filter: shown("at") }],
      encoding: channel === "x" ? { x: { ...x, field: from }, x2: { field: to }, y } : { x, y: { ...y, field: from }, y2: { field: to } },
    });
    const families = unique(first.family).map(visible);
    const columns = Math.max(1, Math.floor(byId("choice-chart").clientWidth / 150));
    return {
      description: `Chart: pass rate against decode speed of ${many(points.length, "setup")}. The table below has the same figures.`,
      width: "container", height: 320, autosize: { type: "fit", contains: "padding" }, background: "transparent",
      padding: 4,
      data: { name: "points", values: points },
      params: [{ name: "chosen", value: [...selection()] }],
      layer: [
        { mark: { type: "line", color: colours.line, interpolate: "step-before", strokeDash: [4, 3] }, transform: [{ filter: "datum.front" }], encoding: { x, y, order: { field: "speed" } } },
        rule("slow", "fast", "x"),
        rule("low", "high", "y"),
        {
          params: [{ name: "box", select: { type: "interval", mark: { fill: colours.ink, fillOpacity: 0.08, stroke: colours.ink } }, ...(box ? { value: { x: [box[0], box[1]], y: [box[2], box[3]] } } : {}) }],
          mark: { type: "point", filled: true, opacity: 0.9, cursor: "pointer", tooltip: { content: "data" } },
          encoding: {
            x, y,
            color: { field: "family", type: "nominal", scale: { domain: families, range: families.map((_, at) => PALETTE[at % PALETTE.length]) }, legend: { title: "family", orient: "bottom", columns, labelLimit: 120 } },
            shape: { field: "kind", type: "nominal", scale: { domain: ["its own answers", "speculative", "not ranked"], range: ["circle", "diamond", "cross"] }, legend: { title: "answers", orient: "bottom", columns } },
            size: { condition: { test: "datum.best", value: 260 }, value: 80 },
            stroke: { condition: { test: shown("at"), value: colours.ink }, value: null },
            opacity: { condition: { test: "length(chosen) == 0 || indexof(chosen, datum.at) >= 0", value: 0.95 }, value: 0.25 },
          },
        },
      ],
      config: {
        aria: false, font: getComputedStyle(document.body).fontFamily, view: { stroke: colours.line },
        axis: { labelColor: colours.ink, titleColor: colours.ink, gridColor: colours.soft, domainColor: colours.line, tickColor: colours.line, labelFontSize: 12, titleFontSize: 12 },
        legend: { labelColor: colours.ink, titleColor: colours.ink, labelFontSize: 12, titleFontSize: 12, symbolStrokeColor: colours.ink, layout: { bottom: { anchor: "start", direction: "vertical" } } },
      },
    };
  }

  function coloursNow() {
    const style = getComputedStyle(document.documentElement);
    return Object.fromEntries(["ink", "line", "soft"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }

  function showTip(handler, event, item, words) {
    const tip = byId("choice-tip");
    const at = words && item && item.datum ? item.datum.at : undefined;
    tip.hidden = at === undefined;
    if (tip.hidden) return;
    const c = part.setups[at];
    const x = drawn.find((one) => one.at === at);
    tip.replaceChildren(
      element("strong", {}, visible(nameOf(c))),
      element("dl", {}, ...line("passes", estimate(x.rate, 0, " %", 100)), ...line("decodes", `${estimate(x.speed)} t/s`), ...line("first token", `${estimate(c.ttft, 2)} s`),
        ...(c.up ? line("speed-up", estimate(c.up, 2, "x")) : []), ...line("quant", visible(c.quant)), ...line("roles", visible(c.roles.join(", ")) || "–")));
    const frame = byId("choice-figure").getBoundingClientRect();
    const left = Math.min(event.clientX - frame.left + 14, frame.width - tip.offsetWidth - 4);
    tip.style.left = `${Math.max(0, left)}px`;
    tip.style.top = `${event.clientY - frame.top + 14}px`;
  }

  function draw(rows, best) {
    const now = drawing += 1;
    if (view) view.finalize();
    const points = pointsOf(rows, best);
    const compiled = vegaLite.compile(chartSpec(points, coloursNow())).spec;
    /* Expressions are interpreted: the page's policy forbids eval. */
    view = new vega.View(vega.parse(compiled, null, { ast: true }), {
      renderer: "svg", container: byId("choice-chart"), hover: true, expr: vega.expressionInterpreter, tooltip: showTip,
    });
    /* Later: a signal's listener runs inside the chart's own update, which may not be started again from there. */
    view.addSignalListener("box", (name, found) => setTimeout(() => {
      if (now !== drawing) return;
      box = found && found.speed && found.rate ? [...ends(found.speed), ...ends(found.rate)] : null;
      showSelection();
    }));
    view.addEventListener("click", (event, item) => {
      if (item && item.datum && item.datum.at !== undefined) pick(item.datum.at);
    });
    /* One picture with a name for a screen reader; the table below it has the figures. */
    view.runAsync().then(() => {
      byId("choice-chart").setAttribute("role", "img");
      byId("choice-chart").querySelector("svg").setAttribute("aria-hidden", "true");
    });
  }

  /* --- state: read from the filters or the fragment, shown, written back --- */

  function refresh() {
    drawn = found();
    const left = candidates();
    const chosen = selection();
    const mine = (x) => chosen.has(x.at);
    const rank = new Map(left.map((x, place) => [x.way, place]));
    const order = (x) => rank.get(x.at) ?? left.length;
    table.show([...drawn].sort((a, b) => mine(b) - mine(a) || order(a) - order(b)));
    advise();
    draw(drawn, left.length ? left[0].way : undefined);
    showSelection();
  }

  const defaultRole = () => (first.roles.find((x) => x.candidates.length) || { role: "" }).role;

  function reset() {
    for (const filter of Object.values(filters)) filter.value = "";
    filters.role.value = defaultRole();
    picked.clear();
    box = null;
  }

  let section = "";
  let quiet = false;

  /* The state as a fragment: what is not at its default. */
  function fragment() {
    const said = new URLSearchParams();
    if (part !== DATA.parts[0]) said.set("part", first.slug);
    for (const name of Object.keys(filters)) {
      if (value(name) !== (name === "role" ? defaultRole() : "")) said.set(name, value(name));
    }
    for (const at of picked) said.append("pick", idOf(at));
    if (box) said.set("box", box.map((end) => Number(end.toPrecision(4))).join(","));
    if (opened !== null) said.set("setup", idOf(opened));
    for (const [at, name] of ["a", "b"].entries()) {
      const { cell } = page.sides[name];
      if (cell && cellName(cell) !== firstPair[at]) said.set(name, cellName(cell));
    }
    if (section) said.set("at", section);
    return said.toString();
  }

  function writeFragment() {
    if (quiet) return;
    const said = fragment();
    const now = location.hash.slice(1);
    if (said !== now) history.replaceState(null, "", said ? `#${said}` : location.pathname + location.search);
  }

  /* Take the state from the fragment. What it names and this page does not have is left out. */
  function readFragment() {
    const hash = location.hash.slice(1);
    if (hash && !hash.includes("=")) {
      /* A link to a section of this page: the browser has gone there. The state stays as it is. */
      section = hash;
      writeFragment();
      return;
    }
    const said = new URLSearchParams(hash);
    quiet = true;
    const wanted = DATA.parts.findIndex((x) => x.first.slug === said.get("part"));
    const shown = Math.max(0, wanted);
    if (DATA.parts[shown] !== part) {
      byId("part").value = String(shown);
      page.showPart(shown);
    }
    reset();
    for (const [name, filter] of Object.entries(filters)) {
      const text = said.get(name);
      const known = filter.options ? [...filter.options].some((x) => x.value === text) : Number(text) > 0;
      if (text !== null && known) filter.value = text;
    }
    const names = new Map(part.setups.map((_, at) => [idOf(at), at]));
    for (const name of said.getAll("pick")) if (names.has(name)) picked.add(names.get(name));
    const sides = (said.get("box") || "").split(",").map(Number);
    box = sides.length === 4 && sides.every(Number.isFinite) ? sides : null;
    section = byId(said.get("at") || "") ? said.get("at") : "";
    opened = names.get(said.get("setup")) ?? null;
    page.showSetup(opened);
    for (const name of ["a", "b"]) {
      const cell = cellNamed(said.get(name) || "");
      if (cell) page.sides[name].choose(cell);
    }
    quiet = false;
    refresh();
    if (opened !== null && !section) byId("setup").scrollIntoView();
    if (section) byId(section).scrollIntoView();
  }

  function showPart(shown) {
    part = shown;
    first = part.first;
    const all = ["", "all"];
    const pairs = (values) => [all, ...unique(values).map((x) => [x, x])];
    options(filters.role, [all, ...first.roles.map((x) => [x.role, x.role])]);
    options(filters.family, pairs(first.family));
    options(filters.quant, pairs(part.setups.map((c) => c.quant)));
    options(filters.workload, [["", "all answers"], ...part.workloads.map((x) => [x, x.replaceAll("_", " ")])]);
    reset();
    opened = null;
    page.showSetup(null);
    firstPair = ["a", "b"].map((name) => cellName(page.sides[name].cell));
    if (!quiet) refresh();
  }

  byId("choice").hidden = false;
  for (const name of ["role", "family", "quant", "workload"]) filters[name].onchange = refresh;
  for (const name of ["least", "wait"]) filters[name].oninput = page.later(refresh);
  byId("choice-reset").onclick = () => {
    reset();
    refresh();
  };
  byId("choice-clear").onclick = () => {
    picked.clear();
    box = null;
    refresh();
  };
  byId("setup-close").onclick = () => open(null);
  byId("setup-select").onclick = () => pick(opened);
  /* A link to a setup keeps the rest of the state; opened in a new tab, it shows the setup alone. */
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element && event.target.closest('a[href^="#setup="]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const wanted = new URLSearchParams(link.getAttribute("href").slice(1)).get("setup");
    const at = part.setups.findIndex((_, place) => idOf(place) === wanted);
    if (at >= 0) open(at);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") byId("choice-tip").hidden = true;
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
  addEventListener("hashchange", readFragment);
  page.listeners.push(showPart);
  page.comparisons.push(writeFragment);
  quiet = true;
  showPart(part);
  quiet = false;
  readFragment();
  if (location.hash && !location.hash.includes("=")) refresh();
})();
