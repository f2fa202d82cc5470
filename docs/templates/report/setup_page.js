"use strict";
/* One setup: its commands, its record, its answers. The first screen opens it, by the fragment's `setup`. */
(() => {
  const page = globalThis.REPORT;
  if (!page) return;
  const { DATA, PagedTable, byId, element, estimate, nameOf, percent, visible } = page;
  const TABLE_ROWS = 10;
  const SECTIONS = ["guards", "settings", "effective"];
  let shown = null;

  page.commandBox = (command, words) => {
    const box = element("pre", { class: "command", tabIndex: 0, role: "region", "aria-label": words }, visible(command));
    const copy = element("button", { type: "button", "aria-label": `Copy: ${words}` }, "Copy");
    copy.onclick = () => {
      getSelection().selectAllChildren(box);
      /* Where the browser forbids it, the command is selected, so that a key copies it. */
      if (navigator.clipboard) navigator.clipboard.writeText(command).then(() => { copy.textContent = "Copied"; }, () => {});
    };
    return [box, copy];
  };

  function rows(indices) {
    return indices.map((at) => {
      const [name, value] = DATA.lines[at];
      return element("tr", {}, element("th", { scope: "row" }, visible(name)), element("td", { class: "value" }, ...page.textNodes(value)));
    });
  }

  function figures(c) {
    const pairs = [
      ["passes", c.rate ? `${c.passed}/${c.scored}: ${estimate(c.rate, 0, " %", 100)}` : "unscored"],
      ["decodes", c.decode ? `${estimate(c.decode)} t/s${c.struck ? ` (impossible: ${c.struck})` : ""}` : "–"],
      ["first token", c.ttft ? `${estimate(c.ttft, 2)} s` : "–"],
      ["speed-up", c.up ? estimate(c.up, 2, "x") : ""],
      ["accepted", c.acceptance ? estimate(c.acceptance, 0, " %", 100) : ""],
      ["quant", c.quant],
      ["roles", c.roles.join(", ")],
      ["cells", `${c.cells.count} of ${c.planned}, ${percent(c.coverage)} of the criteria scored`],
    ];
    return pairs.filter(([, value]) => value).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, visible(value))]);
  }

  /* The answers of a setup that was opened; the last column puts one on a side of the comparison. */
  function answers(c) {
    const table = new PagedTable(byId("setup-answers"), visible(`Answers of ${nameOf(c)}; A and B select the two that are compared`), page.answerColumns.filter((x) => !["model", "mode"].includes(x.words)), TABLE_ROWS);
    table.show(page.cellsOf(c));
  }

  /* Show a setup by its place, or none (null). */
  page.showSetup = (at) => {
    const part = page.shownPart();
    const c = at === null ? null : part.setups[at];
    byId("setup").hidden = c === null;
    if (c === shown) return;
    shown = c;
    if (c === null) return;
    const { first } = part;
    byId("setup-title").textContent = visible(`Setup ${nameOf(c)}`);
    const argv = c.record.effective.map((line) => DATA.lines[line]).find(([name]) => name === "argv");
    const commands = [
      ["Prints llama-server's command line", first.command[at]],
      ["Measures what is missing", first.measure[at]],
      ...(argv ? [["The server's command line as it was measured", argv[1]]] : []),
    ];
    byId("setup-commands").replaceChildren(...commands.flatMap(([words, command]) => [element("p", { class: "small" }, words), ...page.commandBox(command, words)]));
    byId("setup-figures").replaceChildren(...figures(c));
    for (const name of SECTIONS) byId(`setup-${name}`).replaceChildren(...rows(c.record[name]));
    answers(c);
  };
})();
