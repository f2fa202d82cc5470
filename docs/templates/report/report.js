"use strict";
/* The tables, and what the page's other scripts share (REPORT). Text from a model, a prompt or the registry is inserted as text
   nodes, never as markup. */
(() => {
  const PAGE_ROWS = 50;
  const byId = (id) => document.getElementById(id);
  const DATA = JSON.parse(byId("data").textContent);
  const answersOf = new Map();
  /* Question -> its answers as JSON, once they are unpacked (null: not yet), and why they cannot be. */
  let answerTexts = null;
  let answersFailed = "";
  let part = null;

  /* The text in an element: base64 of gzip. */
  function unpacked(element) {
    const letters = atob(element.textContent);
    const bytes = new Uint8Array(letters.length);
    for (let at = 0; at < letters.length; at += 1) bytes[at] = letters.charCodeAt(at);
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  }

  async function unpackAnswers() {
    try {
      answerTexts = await Promise.all(DATA.questions.map((_, at) => unpacked(byId(`answers-${at}`))));
    } catch (error) {
      answersFailed = `The answers cannot be unpacked by this browser (${error.message}). The links lead to the cells.`;
    }
    compare();
    document.documentElement.dataset.answers = String(Math.round(performance.now()));
  }

  /* The answers come after this script in the file. */
  const answersReady = new Promise((done) => {
    document.addEventListener("DOMContentLoaded", () => done(DATA.parts.length ? unpackAnswers() : undefined));
  });

  /* --- small parts --- */

  function element(name, properties = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key === "class") made.className = value;
      else if (key.startsWith("aria-") || key === "scope" || key === "role" || key === "for") made.setAttribute(key, value);
      else made[key] = value;
    }
    made.append(...children);
    return made;
  }

  function options(select, pairs, chosen) {
    select.replaceChildren(...pairs.map(([value, words]) => element("option", { value: String(value) }, visible(words))));
    if (chosen !== undefined) select.value = String(chosen);
  }

  /* Invisible characters that change what is shown: controls, direction marks, lone surrogates. */
  const INVISIBLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
  const codePoint = (character) => `U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

  /* One line of text in which invisible characters are named. */
  function visible(text) {
    return String(text).replace(/\r\n/g, "\n").replace(INVISIBLE, (found) => `⟨${codePoint(found)}⟩`);
  }

  /* Text as nodes; invisible characters become boxes with their names. */
  function textNodes(text) {
    const nodes = [];
    const shown = text.replace(/\r\n/g, "\n");
    let from = 0;
    for (const found of shown.matchAll(INVISIBLE)) {
      if (found.index > from) nodes.push(document.createTextNode(shown.slice(from, found.index)));
      nodes.push(element("span", { class: "invisible" }, codePoint(found[0])));
      from = found.index + found[0].length;
    }
    if (from < shown.length) nodes.push(document.createTextNode(shown.slice(from)));
    return nodes;
  }

  const number = (value, digits = 1) => (value === null || value === undefined ? "–" : value.toFixed(digits));
  const percent = (value) => (value === null || value === undefined ? "–" : `${Math.round(100 * value)} %`);

  function estimate(value, digits = 1, unit = "", scale = 1) {
    if (!value) return "–";
    const [point, low, high, n] = value;
    const inside = low === null || high === null ? `n=${n}` : `${(scale * low).toFixed(digits)}–${(scale * high).toFixed(digits)}`;
    return `${(scale * point).toFixed(digits)}${unit} (${inside})`;
  }

  function bar(value) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const draw = (name, attributes) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, of] of Object.entries(attributes)) made.setAttribute(key, of);
      svg.append(made);
    };
    svg.setAttribute("class", "bar");
    svg.setAttribute("viewBox", "0 0 100 8");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    draw("rect", { class: "track", x: 0, y: 2.5, width: 100, height: 3 });
    draw("rect", { class: "interval", x: 100 * value[1], y: 2.5, width: Math.max(1, 100 * (value[2] - value[1])), height: 3 });
    draw("circle", { cx: 100 * value[0], cy: 4, r: 3.5 });
    return svg;
  }

  /* --- a table: sorted by its headers, shown page by page --- */

  class PagedTable {
    /* columns: {name, words, value(row) for sorting, cell(row) -> node or text, number, header}; pageRows: rows of a page */
    constructor(place, caption, columns, pageRows = PAGE_ROWS) {
      this.pageRows = pageRows;
      this.columns = columns;
      this.rows = [];
      this.page = 0;
      this.sorted = null;
      this.status = element("span", { role: "status" });
      this.body = element("tbody");
      this.headers = columns.map((column) => this.header(column));
      const table = element("table", {}, element("caption", {}, caption), element("thead", {}, element("tr", {}, ...this.headers)), this.body);
      this.previous = element("button", { type: "button", onclick: () => this.turn(-1) }, "Previous rows");
      this.next = element("button", { type: "button", onclick: () => this.turn(1) }, "Next rows");
      const pager = element("div", { class: "pager" }, this.previous, this.next, this.status);
      place.replaceChildren(pager, element("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": caption }, table));
    }

    header(column) {
      const cell = element("th", { scope: "col", class: column.number ? "number" : "" });
      if (!column.value) {
        cell.append(column.words);
        return cell;
      }
      cell.setAttribute("aria-sort", "none");
      cell.append(element("button", { type: "button", onclick: () => this.sort(column) }, column.words));
      return cell;
    }

    sort(column) {
      const same = this.sorted && this.sorted.column === column;
      this.sorted = { column, down: same ? !this.sorted.down : Boolean(column.number) };
      this.order();
    }

    show(rows) {
      this.rows = rows;
      this.order();
    }

    order() {
      this.shown = [...this.rows];
      if (this.sorted) {
        const { column, down } = this.sorted;
        const keyed = this.shown.map((row) => [column.value(row), row]);
        const missing = (key) => key === null || key === undefined || key === "";
        keyed.sort(([a], [b]) => {
          if (missing(a) || missing(b)) return missing(a) - missing(b);
          const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
          return down ? -order : order;
        });
        this.shown = keyed.map(([, row]) => row);
      }
      this.columns.forEach((column, at) => {
        if (!column.value) return;
        const direction = this.sorted && this.sorted.column === column ? (this.sorted.down ? "descending" : "ascending") : "none";
        this.headers[at].setAttribute("aria-sort", direction);
      });
      this.page = 0;
      this.draw();
    }

    turn(by) {
      this.page += by;
      this.draw();
      /* A disabled button loses the focus. */
      if (this.next.disabled) this.previous.focus();
      else if (this.previous.disabled) this.next.focus();
    }

    draw() {
      const from = this.page * this.pageRows;
      const rows = this.shown.slice(from, from + this.pageRows);
      this.body.replaceChildren(...rows.map((row) => this.line(row)));
      const total = this.shown.length;
      this.status.textContent = total ? `rows ${from + 1} to ${from + rows.length} of ${total}` : "no rows";
      this.previous.disabled = this.page === 0;
      this.next.disabled = from + this.pageRows >= total;
      this.previous.hidden = this.next.hidden = total <= this.pageRows;
    }

    line(row) {
      return element("tr", {}, ...this.columns.map((column) => {
        const cell = element(column.header ? "th" : "td", { class: column.number ? "number" : "" });
        if (column.header) cell.setAttribute("scope", "row");
        const made = column.cell(row);
        cell.append(...(Array.isArray(made) ? made : [made]));
        return cell;
      }));
    }
  }

  /* --- what is shown --- */

  const nameOf = (c) => `${c.model} ${c.mode}`;
  /* A value of a column: a list, {names, at} (different values and their indices), or one value that all have. */
  const valueAt = (held, at) => (Array.isArray(held) ? held[at] : held !== null && typeof held === "object" ? held.names[held.at[at]] : held);
  const column = (c, name, at) => valueAt(c.cells[name], at);
  const questionOf = (cell) => DATA.questions[column(cell.of, "question", cell.at)];
  const fileOf = (cell) => {
    const asked = questionOf(cell);
    return `${cell.of.folder}/${asked.suite}/${asked.id}.${column(cell.of, "digest", cell.at)}.json`;
  };

  function answersTo(question) {
    if (!answersOf.has(question)) answersOf.set(question, JSON.parse(answerTexts[question]));
    return answersOf.get(question);
  }

  const answerOf = (cell) => answersTo(column(cell.of, "question", cell.at))[column(cell.of, "answer", cell.at)];

  function cellsOf(setup) {
    return Array.from({ length: setup.cells.count }, (_, at) => ({ of: setup, at }));
  }

  const code = (text) => element("span", { class: "code" }, visible(text));

  function speedCell(c) {
    return element("span", { class: c.struck ? "struck" : "", title: c.struck ? visible(c.struck) : "" }, estimate(c.decode));
  }

  function positionsOf(c) {
    const known = (share) => share !== null;
    return c.positions.some(known) ? c.positions.map((share) => (known(share) ? Math.round(100 * share) : "–")).join(" / ") : "–";
  }

  function notesOf(c) {
    const found = [];
    if (c.failed) found.push(`${c.failed} failed`);
    if (c.early) found.push(`${c.early} ended early`);
    if (c.coverage < 1) found.push(`${percent(c.coverage)} of the criteria scored`);
    if (c.struck) found.push(`impossible: ${c.struck}`);
    else if (c.note) found.push(`not ranked: ${c.note}`);
    if (c.leave) found.push(`† recurrent, speculates because the registry allows it: ${c.leave}`);
    return found.join("; ");
  }

  const setupTable = new PagedTable(byId("setup-table"), "All setups; click a header to sort by it", [
    { words: "model", header: true, value: (c) => c.model, cell: (c) => element("a", { class: "code", href: `#setup=${encodeURIComponent(`${c.model}/${c.mode}`)}`, "aria-label": visible(`setup ${nameOf(c)}`) }, visible(c.model)) },
    { words: "quant", value: (c) => c.quant, cell: (c) => visible(c.quant) },
    { words: "mode", value: (c) => c.mode, cell: (c) => (c.leave ? [code(c.mode), "†"] : code(c.mode)) },
    { words: "answers", cell: (c) => element("button", { type: "button", "aria-label": visible(`show answers of ${nameOf(c)}`), onclick: () => showAnswersOf(c) }, "show") },
    { words: "roles", value: (c) => c.roles.join(", "), cell: (c) => visible(c.roles.join(", ")) },
    { words: "passes", number: true, value: (c) => c.rate && c.rate[0],
      cell: (c) => (c.rate ? [`${c.passed}/${c.scored}: ${estimate(c.rate, 0, " %", 100)}`, bar(c.rate)] : "unscored") },
    { words: "decode t/s", number: true, value: (c) => c.decode && c.decode[0], cell: speedCell },
    { words: "TTFT s", number: true, value: (c) => c.ttft && c.ttft[0], cell: (c) => estimate(c.ttft, 2) },
    { words: "speed-up", number: true, value: (c) => c.up && c.up[0],
      cell: (c) => element("span", { class: c.struck ? "struck" : "" }, estimate(c.up, 2, "x")) },
    { words: "certificate", value: (c) => c.certificate, cell: (c) => element("span", { class: ["lossy", "differs"].includes(c.certificate) ? "bad" : "" }, c.certificate || "–") },
    { words: "accepted", number: true, value: (c) => c.acceptance && c.acceptance[0], cell: (c) => estimate(c.acceptance, 0, " %", 100) },
    { words: `accepted at position ${DATA.positions.join(" / ")}, %`, number: true, value: (c) => c.positions[0], cell: positionsOf },
    { words: "note", value: notesOf, cell: (c) => visible(notesOf(c)) || "–" },
  ]);

  const stateOf = (cell) => {
    const status = column(cell.of, "status", cell.at);
    return status !== "ok" ? status : column(cell.of, "certificate", cell.at) || "ok";
  };

  const picks = new WeakMap();

  function pickButton(cell, side) {
    const asked = questionOf(cell);
    const words = visible(`${nameOf(cell.of)}, ${asked.suite} ${asked.id}: show as ${side.toUpperCase()}`);
    const made = element("button", { type: "button", "aria-label": words, onclick: () => sides[side].choose(cell) }, side.toUpperCase());
    picks.set(made, { side, cell });
    press(made);
    return made;
  }

  /* Mark the button whose answer is shown on its side. */
  function press(button) {
    const { side, cell } = picks.get(button);
    const shown = sides[side].cell;
    button.setAttribute("aria-pressed", String(Boolean(shown && shown.of === cell.of && shown.at === cell.at)));
  }

  const answerColumns = [
    { words: "model", value: (x) => x.of.model, cell: (x) => code(x.of.model) },
    { words: "mode", value: (x) => x.of.mode, cell: (x) => code(x.of.mode) },
    { words: "question", header: true, value: (x) => `${questionOf(x).suite}/${questionOf(x).id}`, cell: (x) => code(`${questionOf(x).suite}/${questionOf(x).id}`) },
    { words: "tier", number: true, value: (x) => questionOf(x).tier, cell: (x) => String(questionOf(x).tier ?? "–") },
    { words: "score", number: true, value: (x) => column(x.of, "score", x.at), cell: (x) => String(column(x.of, "score", x.at) ?? "unscored") },
    { words: "weight scored", number: true, value: (x) => column(x.of, "coverage", x.at), cell: (x) => percent(column(x.of, "coverage", x.at)) },
    { words: "decode t/s", number: true, value: (x) => column(x.of, "decode", x.at), cell: (x) => number(column(x.of, "decode", x.at)) },
    { words: "TTFT s", number: true, value: (x) => column(x.of, "ttft", x.at), cell: (x) => number(column(x.of, "ttft", x.at), 2) },
    { words: "tokens", number: true, value: (x) => column(x.of, "tokens", x.at), cell: (x) => String(column(x.of, "tokens", x.at) ?? "–") },
    { words: "state", value: stateOf, cell: (x) => element("span", { class: ["ok", "exact", "numeric tie"].includes(stateOf(x)) ? "" : "bad" }, stateOf(x)) },
    { words: "side by side", cell: (x) => [pickButton(x, "a"), " ", pickButton(x, "b")] },
  ];
  const answerTable = new PagedTable(byId("answer-table"), "All answers; A and B select the two that are compared", answerColumns);

  /* --- side by side --- */

  class Side {
    constructor(name) {
      this.name = name;
      this.cell = null;
      this.setup = byId(`${name}-setup`);
      this.answer = byId(`${name}-cell`);
      this.setup.onchange = () => this.changeSetup(Number(this.setup.value));
      this.answer.onchange = () => this.choose({ of: this.cell.of, at: Number(this.answer.value) });
    }

    fill() {
      options(this.setup, part.setups.map((c, at) => [at, nameOf(c)]));
    }

    changeSetup(at) {
      const wanted = part.setups[at];
      const asked = this.cell ? column(this.cell.of, "question", this.cell.at) : null;
      const same = cellsOf(wanted).find((cell) => column(wanted, "question", cell.at) === asked);
      this.choose(same || { of: wanted, at: 0 });
    }

    choose(cell) {
      const changed = !this.cell || this.cell.of !== cell.of;
      this.cell = cell;
      this.setup.value = String(part.setups.indexOf(cell.of));
      if (changed) {
        options(this.answer, cellsOf(cell.of).map((x) => {
          const asked = questionOf(x);
          const repeat = column(x.of, "repeat", x.at);
          return [x.at, `${asked.suite}/${asked.id}${repeat ? ` (repeat ${repeat})` : ""}`];
        }));
      }
      this.answer.value = String(cell.at);
      compare();
    }
  }

  const sides = { a: new Side("a"), b: new Side("b") };

  function facts(side, cell) {
    const [, reason, error, symptoms, scores] = answerOf(cell);
    const token = column(cell.of, "token", cell.at);
    const gap = column(cell.of, "gap", cell.at);
    const certificate = column(cell.of, "certificate", cell.at);
    /* The gap says nothing of a token that was drawn. */
    const margin = certificate === "differs" ? "" : `, gap ${gap === null ? "≥ 1" : gap.toFixed(3)} logits`;
    const verdict = certificate && token !== null ? `${certificate}: token ${token} differs from the base's${margin}` : certificate;
    const pairs = [
      ["score", `${column(cell.of, "score", cell.at) ?? "unscored"} (${percent(column(cell.of, "coverage", cell.at))} of the criteria's weight)`],
      ["scorers", Object.entries(scores).map(([name, value]) => `${name} ${value}`).join(", ")],
      ["reason", reason],
      ["status", [column(cell.of, "status", cell.at), column(cell.of, "finish", cell.at)].filter(Boolean).join(", ")],
      ["error", error],
      ["symptoms", symptoms],
      ["certificate", verdict],
      ["speed", `${number(column(cell.of, "decode", cell.at))} t/s, first token after ${number(column(cell.of, "ttft", cell.at), 2)} s, ${column(cell.of, "tokens", cell.at) ?? "–"} tokens`],
    ];
    const file = fileOf(cell);
    const link = element("a", { class: "code", href: `../../../${file.split("/").map(encodeURIComponent).join("/")}` }, visible(file));
    const lines = pairs.filter(([, value]) => value).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, ...textNodes(value))]);
    byId(`${side}-facts`).replaceChildren(...lines, element("dt", {}, "cell"), element("dd", {}, link));
  }

  /* Index of the first difference, never inside a surrogate pair; -1 for equal texts. */
  function firstDifference(a, b) {
    const least = Math.min(a.length, b.length);
    let at = 0;
    while (at < least && a[at] === b[at]) at += 1;
    if (at === a.length && at === b.length) return -1;
    return at > 0 && /[\ud800-\udbff]/.test(a[at - 1]) && /[\udc00-\udfff]/.test((a[at] || "") + (b[at] || "")) ? at - 1 : at;
  }

  function showText(side, text, at) {
    const place = byId(`${side}-text`);
    if (at < 0) {
      place.replaceChildren(...textNodes(text));
      return;
    }
    const word = /^\s*\S*/.exec(text.slice(at))[0] || "";
    const marked = element("mark", {}, ...(word ? textNodes(word) : ["(ends here)"]));
    place.replaceChildren(...textNodes(text.slice(0, at)), marked, ...textNodes(text.slice(at + word.length)));
  }

  function toDifference() {
    for (const side of ["a", "b"]) {
      const place = byId(`${side}-text`);
      const found = place.querySelector("mark");
      if (found) place.scrollTop = found.offsetTop - place.offsetTop - place.clientHeight / 3;
    }
  }

  /* Who is called after two answers are compared. */
  const comparisons = [];

  /* Both answers in one text: what only A has, and what only B has. */
  function showWords(comparable, left, right) {
    const place = byId("word-diff");
    if (!comparable || left === right) {
      place.textContent = comparable ? "The answers are the same." : "Two different answers to one question are compared here, word by word.";
      return;
    }
    const pieces = wordDiff(left, right);
    const kinds = { same: "span", removed: "del", added: "ins" };
    place.replaceChildren(...(pieces ? pieces.map(([kind, text]) => element(kinds[kind], {}, ...textNodes(text))) : ["The answers are too different and too long to be compared word by word."]));
  }

  function compare() {
    const { a, b } = sides;
    if (!a.cell || !b.cell) return;
    if (!answerTexts) {
      byId("difference").textContent = answersFailed || "Unpacking the answers …";
      return;
    }
    const [left, right] = [answerOf(a.cell)[0], answerOf(b.cell)[0]];
    const [asked, other] = [questionOf(a.cell), questionOf(b.cell)];
    const at = firstDifference(left, right);
    const same = a.cell.of === b.cell.of && a.cell.at === b.cell.at;
    const line = at < 0 ? 0 : left.slice(0, at).split("\n").length;
    const words = same ? "Both sides show the same cell." : at < 0 ? "The answers are the same, character by character."
      : `The answers first differ at character ${at + 1}, line ${line}.`;
    byId("difference").textContent = asked === other ? words : `These are answers to two different questions. ${words}`;
    byId("prompt").replaceChildren(...textNodes(asked === other ? asked.prompt : `A: ${asked.prompt}\n\nB: ${other.prompt}`));
    for (const [side, text, cell] of [["a", left, a.cell], ["b", right, b.cell]]) {
      facts(side, cell);
      showText(side, text, at);
    }
    byId("to-difference").disabled = at < 0;
    for (const button of document.querySelectorAll("#answer-table td button, #setup-answers td button")) press(button);
    toDifference();
    showWords(asked === other && !same, left, right);
    for (const listener of comparisons) listener();
  }

  function step(by) {
    const { a, b } = sides;
    const count = a.cell.of.cells.count;
    const next = { of: a.cell.of, at: (a.cell.at + by + count) % count };
    const asked = column(next.of, "question", next.at);
    const repeat = column(next.of, "repeat", next.at);
    const there = cellsOf(b.cell.of).filter((cell) => column(cell.of, "question", cell.at) === asked);
    const partner = there.find((cell) => column(cell.of, "repeat", cell.at) === repeat) || there[0];
    if (partner) b.cell = partner;
    a.choose(next);
    b.choose(b.cell);
  }

  /* --- filters --- */

  const has = (words, wanted) => wanted.toLowerCase().split(/\s+/).every((word) => words.toLowerCase().includes(word));

  /* The setups that the tables are narrowed to (null: all), and who is called after another part is shown. */
  let kept = null;
  const isKept = (c) => !kept || kept.has(c);
  const listeners = [];

  function narrow(setups) {
    kept = setups;
    showNarrowed();
    filterSetups();
    showWorkloads();
  }

  function showNarrowed() {
    for (const place of document.querySelectorAll(".narrowed")) place.textContent = kept ? "Only the setups that are selected in the chart are shown." : "";
  }

  function showWorkloads() {
    workloads.show(part.setups.filter((c) => isKept(c) && Object.keys(c.workloads).length));
  }

  function filterSetups() {
    const words = byId("setup-filter").value;
    const role = byId("role-filter").value;
    const kind = byId("kind-filter").value;
    setupTable.show(part.setups.filter((c) =>
      isKept(c) && has(nameOf(c), words) && (!role || c.roles.includes(role)) && (!kind || (kind === "speed") === c.speculative)));
  }

  function filterAnswers() {
    const at = byId("answer-setup").value;
    const suite = byId("answer-suite").value;
    const score = byId("answer-score").value;
    const state = byId("answer-state").value;
    const words = byId("answer-filter").value;
    const within = at === "" ? part.setups : [part.setups[Number(at)]];
    answerTable.show(within.flatMap(cellsOf).filter((cell) => {
      const asked = questionOf(cell);
      return (!suite || asked.suite === suite) && (!score || String(column(cell.of, "score", cell.at) ?? "unscored") === score)
        && (!state || stateOf(cell) === state) && (!words || has(`${asked.suite}/${asked.id}`, words));
    }));
  }

  function showAnswersOf(c) {
    byId("answer-setup").value = String(part.setups.indexOf(c));
    filterAnswers();
    byId("answer-setup").focus();
    byId("answers").scrollIntoView();
  }

  function later(action) {
    let waiting = 0;
    return () => {
      clearTimeout(waiting);
      waiting = setTimeout(action, 120);
    };
  }

  /* --- roles --- */

  const rolesTable = () => new PagedTable(byId("roles-table"), "The setup with the best pass rate on the role's suites, in its fastest proved mode", [
    { words: "role", header: true, value: (r) => r.role, cell: (r) => code(r.role) },
    { words: "run", cell: (r) => (r.way === null ? "–" : code(nameOf(part.setups[r.way]))) },
    { words: "passes on its suites", number: true, value: (r) => r.rate && r.rate[0], cell: (r) => estimate(r.rate, 0, " %", 100) },
    { words: "decode t/s", number: true, value: (r) => r.way !== null && part.setups[r.way].decode[0], cell: (r) => (r.way === null ? "–" : speedCell(part.setups[r.way])) },
    { words: "candidates", number: true, value: (r) => r.candidates, cell: (r) => String(r.candidates) },
    { words: "not significantly worse", cell: (r) => visible(r.tied.map((at) => nameOf(part.setups[at])).join(", ")) || "–" },
    { words: "suites", cell: (r) => visible(r.suites.join(", ")) },
  ]);

  /* --- workloads --- */

  /* A speculative setup's speed-up, another one's decode speed, over all workloads or on one. */
  const figureOf = (c, on) => (c.speculative ? on.up : on.decode);

  function figureCell(c, on) {
    if (!on) return "–";
    const shown = c.speculative ? estimate(on.up, 2, "x") : `${estimate(on.decode)} t/s`;
    return element("span", { class: on.struck ? "struck" : "", title: on.struck ? visible(on.struck) : "" }, shown);
  }

  function workloadColumn(words, on) {
    const value = (c) => on(c) && figureOf(c, on(c)) && figureOf(c, on(c))[0];
    return { words, number: true, value, cell: (c) => figureCell(c, on(c)) };
  }

  let workloads = null;
  const workloadTable = () => new PagedTable(byId("workload-table"), "Decode speed without speculation, speed-up with it; medians over questions", [
    { words: "model", header: true, value: (c) => c.model, cell: (c) => code(c.model) },
    { words: "mode", value: (c) => c.mode, cell: (c) => (c.leave ? [code(c.mode), "†"] : code(c.mode)) },
    workloadColumn("all workloads", (c) => c),
    ...part.workloads.map((name) => workloadColumn(visible(name.replaceAll("_", " ")), (c) => c.workloads[name])),
    { words: "ended early", number: true, value: (c) => c.early, cell: (c) => String(c.early) },
  ]);

  /* --- fidelity --- */

  /* Divergences span several powers of ten: three digits each. */
  function nats(value) {
    if (!value) return "–";
    const [point, low, high, n] = value;
    const short = (x) => String(Number(x.toPrecision(3)));
    return `${short(point)} (${low === null || high === null ? `n=${n}` : `${short(low)}–${short(high)}`})`;
  }

  const pointOf = (name) => (f) => f[name] && f[name][0];
  const fidelityTable = () => new PagedTable(byId("fidelity-table"), "Divergence from the reference's next-token distributions, in nats per token", [
    { words: "model", header: true, value: (f) => f.model, cell: (f) => code(f.model) },
    { words: "quant", value: (f) => f.quant, cell: (f) => visible(f.quant) },
    { words: "mode", value: (f) => f.mode, cell: (f) => code(f.mode) },
    { words: "reference", value: (f) => f.reference, cell: (f) => code(f.reference) },
    { words: "GB", number: true, value: (f) => f.bytes, cell: (f) => number(f.bytes / 1e9, 2) },
    { words: "decode t/s", number: true, value: pointOf("decode"), cell: (f) => estimate(f.decode) },
    { words: "KL", number: true, value: pointOf("kl"), cell: (f) => nats(f.kl) },
    { words: "KL of answers", number: true, value: pointOf("answers"), cell: (f) => nats(f.answers) },
    { words: "95 % of tokens below", number: true, value: pointOf("upper"), cell: (f) => nats(f.upper) },
    { words: "same first choice", number: true, value: pointOf("first"), cell: (f) => estimate(f.first, 1, " %", 100) },
    { words: "perplexity, times", number: true, value: pointOf("perplexity"), cell: (f) => nats(f.perplexity) },
    { words: "passes", number: true, value: pointOf("rate"), cell: (f) => (f.rate ? estimate(f.rate, 0, " %", 100) : "–") },
    { words: "note", value: (f) => f.verdict, cell: (f) => visible([f.failed ? `${f.failed} failed` : "", f.verdict].filter(Boolean).join("; ")) || "–" },
  ]);

  /* --- start --- */

  function firstPair() {
    for (const wanted of ["lossy", "differs", "numeric tie", ""]) {
      for (const c of part.setups.filter((x) => x.speculative)) {
        const base = part.setups.find((x) => x.model === c.model && x.mode === c.row);
        const found = cellsOf(c).find((cell) => (wanted ? column(c, "certificate", cell.at) === wanted : true));
        const partner = found && base && cellsOf(base).find((cell) => column(base, "question", cell.at) === column(c, "question", found.at));
        if (partner) return [partner, found];
      }
    }
    const cells = part.setups.slice(0, 2).flatMap((c) => cellsOf(c).slice(0, 1));
    return [cells[0], cells[1] || cells[0]];
  }

  function showPart(at) {
    part = DATA.parts[at];
    const unique = (values) => [...new Set(values)].sort();
    const setups = part.setups.map((c, place) => [place, nameOf(c)]);
    const cells = part.setups.flatMap(cellsOf);
    const all = ["", "all"];
    options(byId("role-filter"), [all, ...unique(part.setups.flatMap((c) => c.roles)).map((x) => [x, x])]);
    options(byId("answer-setup"), [all, ...setups]);
    options(byId("answer-suite"), [all, ...unique(cells.map((cell) => questionOf(cell).suite)).map((x) => [x, x])]);
    options(byId("answer-score"), [all, ...["0", "1", "2", "3", "unscored"].map((x) => [x, x])]);
    options(byId("answer-state"), [all, ...unique(cells.map(stateOf)).map((x) => [x, x])]);
    for (const pictures of document.querySelectorAll(".pictures")) pictures.hidden = pictures.dataset.part !== String(at);
    rolesTable().show(part.roles);
    kept = null;
    showNarrowed();
    workloads = workloadTable();
    showWorkloads();
    fidelityTable().show(part.fidelity);
    byId("fidelity").hidden = byId("to-fidelity").hidden = !part.fidelity.length;
    filterSetups();
    for (const side of Object.values(sides)) {
      side.cell = null;
      side.fill();
    }
    const [left, right] = firstPair();
    sides.a.choose(left);
    sides.b.choose(right);
    filterAnswers();
    for (const listener of listeners) listener(part);
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.documentElement.dataset.ready = String(Math.round(performance.now()));
  });
  if (!DATA.parts.length) {
    byId("roles-table").textContent = "No cells have been measured yet.";
    return;
  }
  options(byId("part"), DATA.parts.map((x, at) => [at, x.name]));
  byId("part").onchange = () => showPart(Number(byId("part").value));
  byId("setup-filter").oninput = later(filterSetups);
  byId("answer-filter").oninput = later(filterAnswers);
  for (const id of ["role-filter", "kind-filter"]) byId(id).onchange = filterSetups;
  for (const id of ["answer-setup", "answer-suite", "answer-score", "answer-state"]) byId(id).onchange = filterAnswers;
  byId("previous-question").onclick = () => step(-1);
  byId("next-question").onclick = () => step(1);
  byId("swap").onclick = () => {
    const [left, right] = [sides.b.cell, sides.a.cell];
    sides.a.choose(left);
    sides.b.choose(right);
  };
  byId("to-difference").onclick = toDifference;
  showPart(0);
  globalThis.REPORT = {
    DATA, PagedTable, answerColumns, answersReady, answersTo, byId, cellsOf, code, column, comparisons, questionOf, sides, element, estimate, later, listeners, nameOf, narrow, number, options, percent, showPart, speedCell, textNodes,
    valueAt, visible, shownPart: () => part,
  };
})();
