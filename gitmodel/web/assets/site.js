// Filters, sorts, chooses columns, compares versions and copies commands. Every page can be read without it.
"use strict";
(() => {
const all = (query, inside = document) => [...inside.querySelectorAll(query)];
const one = (query, inside = document) => inside.querySelector(query);
const { root, model } = document.body.dataset;

// Create an element. Text is always a text node.
function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) if (value !== null && value !== false) made.setAttribute(key, value);
  made.append(...children.filter(child => child !== null));
  return made;
}
function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// The state is in the fragment, so that it can be sent as a link and works without a server.
const state = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
function keep(changes) {
  for (const [key, value] of Object.entries(changes)) value ? state.set(key, value) : state.delete(key);
  const text = String(state).replaceAll("%2C", ",");
  if (text || location.hash.includes("=")) location.replace("#" + text);
}

// Numbers as Python shows them: whole numbers exactly, others with four digits.
function shown(value) {
  if (typeof value !== "number" || Number.isInteger(value)) return String(value ?? "");
  const size = Math.abs(value);
  return size >= 9999.5 && size < 1e15 ? value.toFixed(0) : String(Number(value.toPrecision(4)));
}

for (const button of navigator.clipboard ? all(".copier") : []) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    const label = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = label; }, 1500);
  });
}

// Make the head cells of a table buttons that sort it. *sort* is called with a column and true for descending order.
function sortable(table, sort) {
  for (const head of all("thead th[data-sort]", table)) {
    if (one("button", head)) continue;
    const button = el("button", { type: "button" }, head.textContent);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending"
        || (!head.hasAttribute("aria-sort") && head.dataset.sort === "number");
      all("th[aria-sort]", table).forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      sort(head, down);
    });
  }
}
// Compare two values; those that are missing come last in both directions.
function order(a, b, down) {
  const [noA, noB] = [a === null || a === "", b === null || b === ""];
  if (noA || noB) return noA - noB;
  const found = typeof a === "number" ? a - b : a < b ? -1 : a > b ? 1 : 0;
  return down ? -found : found;
}
function sortRows(table, head, down) {
  const place = head.cellIndex, numeric = head.dataset.sort === "number";
  const value = row => {
    const cell = row.cells[place], text = cell.dataset.value ?? cell.textContent.trim();
    return numeric && text !== "" ? Number(text) : text.toLowerCase();
  };
  const rows = all("tbody tr", table).map(row => [value(row), row]);
  rows.sort(([a], [b]) => order(a, b, down));
  one("tbody", table).append(...rows.map(([, row]) => row));
}
for (const table of all("table.sortable:not(#versions)")) sortable(table, (head, down) => sortRows(table, head, down));

// A filter of the rows of a table: words that must all be in a row, and tags that it must have.
function filterRows(form) {
  const table = document.getElementById(form.dataset.filters), query = form.elements.q;
  const rows = all("tbody tr", table).map(row => [row, row.textContent.toLowerCase(), (row.dataset.tags || "").split("\n")]);
  const boxes = all("input[name=tag]", form);
  query.value = state.get("q") || "";
  const chosen = new Set((state.get("tag") || "").split(",").map(decodeURIComponent));
  boxes.forEach(box => { box.checked = chosen.has(box.value); });
  function filter() {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean), tags = boxes.filter(box => box.checked).map(box => box.value);
    let count = 0;
    for (const [row, text, has] of rows) {
      row.hidden = !(words.every(word => text.includes(word)) && tags.every(tag => has.includes(tag)));
      count += !row.hidden;
    }
    one(".count", form).textContent = count === rows.length ? "" : `${count} of ${rows.length} shown`;
    keep({ q: query.value, tag: tags.map(encodeURIComponent).join(",") });
  }
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", event => event.preventDefault());
  if (query.value || chosen.size) filter();
}
all("form[data-filters]").forEach(filterRows);

// The data file of the model, as a script, because pages from a folder cannot fetch files.
let loading = null;
function load() {
  loading ??= new Promise((done, fail) => {
    window.gitmodelData = done;
    const script = el("script", { src: `${root}data/${model}.js` });
    script.addEventListener("error", () => fail(new Error("the data file cannot be loaded")));
    document.head.append(script);
  }).then(data => {
    data.at = new Map(data.numbers.map((number, place) => [number, place]));
    data.held = number => [data.stage[number], ...(data.aliases[number] || []), ...(data.pending[number] || []).map(name => `${name} pending`)].filter(Boolean);
    const failed = new Set(data.failed);
    data.rows = data.numbers.map((number, place) => ({
      number, place, name: data.names[number] || "", created: data.created[place], description: data.description[place],
      tags: data.tags[place].map(tag => data.tagset[tag]), held: data.held(number), stage: data.stage[number], failed: failed.has(number),
    }));
    for (const row of data.rows) row.text = [row.number, row.name, row.description, ...row.tags, ...row.held].join(" ").toLowerCase();
    const pages = data.pages && new Set(data.pages);
    data.link = number => pages && !pages.has(number) ? null : `${root}m/${model}/v/${number}.html`;
    return data;
  });
  return loading;
}
const linked = (to, text) => to ? el("a", { href: to }, text) : text;
function pills(row) {
  const kind = name => name.endsWith(" pending") ? "pending" : name === "archived" ? "plain" : name === row.stage ? "in-force" : "alias";
  const found = row.held.map(name => el("span", { class: `pill ${kind(name)}` }, name));
  if (row.failed) found.push(el("span", { class: "pill forged" }, "failed"));
  return found.flatMap(pill => [pill, " "]);
}

const table = document.getElementById("versions"), tools = one("form.versions");
if (table && tools) {
  const MOST = 100, chosen = new Set((state.get("select") || "").split(",").filter(Boolean).map(Number));
  let columns = all("th[data-key]", table).map(head => head.dataset.key), most = MOST, sorted = null;
  const compare = one("a.compare", tools), more = one("button.more");

  function choose(number, is) {
    is ? chosen.add(number) : chosen.delete(number);
    const ready = chosen.size >= 2 && chosen.size <= 5, list = [...chosen].sort((a, b) => a - b).join(",");
    ready ? compare.href = `compare.html#v=${list}` : compare.removeAttribute("href");
    compare.setAttribute("aria-disabled", !ready);
    compare.textContent = ready ? `Compare ${chosen.size} versions` : chosen.size > 5 ? "Compare at most 5" : "Select 2 to 5 to compare";
    keep({ select: list });
  }
  function box(number) {
    const input = el("input", { type: "checkbox", "aria-label": `Select version ${number}` });
    input.checked = chosen.has(number);
    input.addEventListener("change", () => choose(number, input.checked));
    return el("td", { class: "box", "data-label": "Select" }, input);
  }
  function drawHead() {
    const row = one("thead tr", table), after = row.cells[2];
    all("th[data-key]", row).forEach(head => head.remove());
    columns.forEach(key => row.insertBefore(el("th", { scope: "col", class: "num", "data-sort": "number", "data-key": key }, key), one("th.after", row)));
    sortable(table, sort);
  }
  function drawRow(data, row) {
    return el("tr", { "data-number": row.number }, box(row.number),
      el("th", { scope: "row", class: "num" }, linked(data.link(row.number), String(row.number)), row.name ? el("span", { class: "under" }, row.name) : null),
      el("td", { "data-label": "Stage" }, ...pills(row)),
      ...columns.map(key => el("td", { class: "num", "data-label": key }, shown(data.metrics[key]?.[row.place] ?? null))),
      el("td", { "data-label": "Description" }, row.description, ...row.tags.flatMap(tag => [" ", el("span", { class: "tag" }, tag)])),
      el("td", { "data-label": "Created" }, el("time", { datetime: row.created }, row.created.slice(0, 10))));
  }
  // Words must be in the row; accuracy>0.9 compares a number.
  function matcher(data, text) {
    const tests = text.toLowerCase().split(/\s+/).filter(Boolean).map(word => {
      const [, key, sign, value] = word.match(/^([\w.]+)(>=|<=|>|<|=)(-?[\d.e]+)$/) || [];
      const name = key && Object.keys(data.metrics).find(name => name.toLowerCase() === key);
      if (!name) return row => row.text.includes(word);
      const limit = Number(value), numbers = data.metrics[name];
      const test = { ">": a => a > limit, "<": a => a < limit, ">=": a => a >= limit, "<=": a => a <= limit, "=": a => a === limit }[sign];
      return row => numbers[row.place] !== null && test(numbers[row.place]);
    });
    return row => tests.every(test => test(row));
  }
  function draw(data) {
    const query = tools.elements.q.value, found = data.rows.filter(matcher(data, query));
    if (sorted) {
      const { key, down } = sorted, numbers = data.metrics[key];
      const value = numbers ? row => numbers[row.place] : row => row[key];
      found.sort((a, b) => order(value(a), value(b), down));
    }
    one("tbody", table).replaceChildren(...found.slice(0, most).map(row => drawRow(data, row)));
    const count = Math.min(most, found.length).toLocaleString("en");
    one("caption", table).textContent = found.length === data.rows.length && count === found.length.toLocaleString("en") ? `${count} versions` : `${count} of ${found.length.toLocaleString("en")} versions${query ? " that match" : ""}`;
    more.hidden = found.length <= most;
    keep({ q: query, sort: sorted && (sorted.down ? "-" : "") + sorted.key, columns: columnsChanged ? columns.join(",") : "" });
  }
  let columnsChanged = false;
  const redraw = () => load().then(draw);
  function sort(head, down) {
    sorted = { key: head.dataset.key || head.dataset.field, down };
    redraw();
  }
  const boxes = all("input[name=column]", tools);
  boxes.forEach(input => input.addEventListener("change", () => {
    columns = boxes.filter(each => each.checked).map(each => each.value);
    columnsChanged = true;
    drawHead();
    redraw();
  }));
  one("thead tr", table).prepend(el("th", { scope: "col", class: "box" }, el("span", { class: "unseen" }, "Select")));
  all("tbody tr", table).forEach(row => row.prepend(box(Number(row.dataset.number))));
  sortable(table, sort);
  tools.hidden = false;
  tools.elements.q.addEventListener("input", () => { most = MOST; redraw(); });
  tools.addEventListener("submit", event => event.preventDefault());
  more.addEventListener("click", () => { most += MOST; redraw(); });
  more.hidden = Number(table.dataset.total) <= all("tbody tr", table).length;
  if (state.get("columns")) {
    columns = state.get("columns").split(",");
    columnsChanged = true;
    boxes.forEach(input => { input.checked = columns.includes(input.value); });
    drawHead();
  }
  const by = state.get("sort");
  if (by) {
    const key = by.replace(/^-/, ""), head = all("thead th[data-sort]", table).find(each => (each.dataset.key || each.dataset.field) === key);
    sorted = { key, down: by.startsWith("-") };
    head?.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
  }
  tools.elements.q.value = state.get("q") || "";
  choose(0, false);
  if (state.get("q") || by || columnsChanged) redraw();
}

// The chart of another number, drawn as the page shows the first one.
const figure = document.getElementById("chart"), key = document.getElementById("key");
if (key) {
  key.parentElement.hidden = false;
  const change = () => { keep({ key: key.value }); load().then(drawChart); };
  key.addEventListener("change", change);
  if (state.get("key")) {
    key.value = state.get("key");
    change();
  }
}
function drawChart(data) {
  const values = data.metrics[key.value];
  if (!values) return;
  const points = data.rows.map(row => [row.number, values[row.place]]).filter(([, value]) => value !== null).reverse();
  const width = Math.min(Math.max(figure.clientWidth, 320), 1152), [left, right, top, bottom] = [64, width - 10, 48, 210];
  const from = points[0][0], to = points.at(-1)[0];
  let low = Infinity, high = -Infinity;
  for (const [, value] of points) { low = Math.min(low, value); high = Math.max(high, value); }
  const at = (value, from, to, start, end) => start + (end - start) * (to > from ? (value - from) / (to - from) : .5);
  const x = number => at(number, from, to, left, right), y = value => at(value, low, high, bottom, top);
  const text = (content, x, y, anchor, kind = "axis") => svg("text", { x, y, "text-anchor": anchor, "font-size": 11, class: kind }, content);
  const lineOf = (d, kind) => svg("path", { class: kind, fill: "none", stroke: "currentColor", d });
  const title = `${key.value} over versions`;
  const drawing = svg("svg", { class: "drawing line-chart", viewBox: `0 0 ${width} 250`, width, height: 250, role: "img", fill: "currentColor", "font-family": "system-ui, sans-serif" }, svg("title", {}, title), text(key.value, 4, 14, "start", "name"));
  for (const value of new Set([low, (low + high) / 2, high])) drawing.append(lineOf(`M${left - 6} ${y(value)}H${width}`, "grid"), text(shown(value), left - 10, y(value) + 4, "end"));
  for (const number of new Set([from, to])) drawing.append(text(number, x(number), bottom + 20, "middle"));
  // Of the points in each two pixels, the smallest and the largest are enough.
  const columns = new Map();
  for (const point of points) {
    const column = Math.floor(x(point[0]) / 2), [least, most] = columns.get(column) || [point, point];
    columns.set(column, [point[1] < least[1] ? point : least, point[1] > most[1] ? point : most]);
  }
  const kept = [...columns.values()].flatMap(([a, b]) => a === b ? [a] : a[0] < b[0] ? [a, b] : [b, a]);
  drawing.append(lineOf("M" + kept.map(([n, v]) => `${x(n).toFixed(1)} ${y(v).toFixed(1)}`).join("L"), "line"));
  for (const [n, v] of points.length <= 60 ? points : []) drawing.append(svg("g", { class: "dot" }, svg("title", {}, `version ${n}: ${shown(v)}`), svg("circle", { cx: x(n), cy: y(v), r: 2.5 })));
  for (const [number, name] of Object.entries(data.stage)) {
    const value = values[data.at.get(Number(number))], place = x(number);
    if (name !== "archived" && value != null) drawing.append(svg("g", { class: "mark" }, lineOf(`M${place} 26V${bottom}`, "grid"), svg("path", { d: `M${place} ${y(value)}m0-6l6 6l-6 6l-6-6z` }), text(`${name} ${number}`, place - 4, 34, place > 120 ? "end" : "start")));
  }
  figure.replaceChildren(drawing, el("figcaption", {}, `${points.length.toLocaleString("en")} versions: smallest ${shown(low)}, largest ${shown(high)}, last ${shown(points.at(-1)[1])}.`));
  document.getElementById("chart-title").textContent = title;
}

// The comparison of the versions that the fragment names; "production" means the version in this stage.
const comparison = document.getElementById("comparison");
if (comparison) {
  const only = one("input[name=only]");
  only.addEventListener("change", () => { keep({ only: only.checked ? "yes" : "" }); });
  addEventListener("hashchange", () => location.reload());
  load().then(async data => {
    const byStage = name => Number(Object.keys(data.stage).find(number => data.stage[number] === name) || Object.keys(data.aliases).find(number => data.aliases[number].includes(name)));
    const wanted = (state.get("v") || "").split(",").filter(Boolean).map(word => /^\d+$/.test(word) ? Number(word) : byStage(word));
    const numbers = [...new Set(wanted)].filter(number => data.at.has(number)).slice(0, 5);
    if (numbers.length < 2) { one(".hint").hidden = false; return; }
    // A server or a host of pages also has the JSON twin of each version, with all values.
    const twins = location.protocol === "file:" ? [] : await Promise.all(numbers.map(number => fetch(`v/${number}.json`).then(found => found.ok ? found.json() : null, () => null)));
    drawComparison(data, numbers, twins);
  });
  function rowsOf(data, number, twin) {
    const row = data.rows[data.at.get(number)], found = new Map();
    const add = (kind, name, value) => { if (value !== null && value !== undefined && value !== "") found.set(`${kind}\n${name}`, value); };
    add("version", "stage", row.held.join(", "));
    add("version", "created", row.created.slice(0, 10));
    add("version", "tags", row.tags.join(", "));
    add("version", "description", row.description);
    if (!twin) {
      add("code", "commit", data.code[row.place]);
      for (const [key, values] of Object.entries(data.metrics)) add("metadata", key, values[row.place]);
      return found;
    }
    for (const [key, value] of twin.metadata) add("metadata", key, typeof value === "object" ? JSON.stringify(value) : value);
    for (const [key, value] of twin.parameters) add("parameter", key, typeof value === "object" ? JSON.stringify(value) : value);
    for (const each of twin.artifacts) add(each.kind, each.name, each.digest.slice(7, 17));
    add("code", "commit", twin.code?.commit.slice(0, 10));
    add("packages", "installed", twin.packages?.slice(7, 17));
    return found;
  }
  function drawComparison(data, numbers, twins) {
    const columns = numbers.map((number, place) => rowsOf(data, number, twins[place]));
    const names = [...new Set(columns.flatMap(column => [...column.keys()]))];
    const rows = names.map(name => ({ name, values: columns.map(column => column.get(name) ?? null) }));
    rows.forEach(row => { row.same = row.values.every(value => value === row.values[0]); });
    rows.sort((a, b) => a.same - b.same);
    const body = el("tbody");
    for (const { name, values, same } of rows) {
      const [kind, key] = name.split("\n"), numeric = values.filter(value => typeof value === "number");
      const low = Math.min(0, ...numeric), high = Math.max(...numeric, 0);
      body.append(el("tr", { class: same ? "same" : "differs" }, el("th", { scope: "row" }, key, kind === "version" || kind === "metadata" ? null : el("span", { class: "under" }, kind)),
        ...values.map((value, place) => {
          const cell = el("td", { "data-label": `Version ${numbers[place]}` }, value === null ? el("span", { class: "none" }, "none") : el("span", {}, typeof value === "number" ? shown(value) : String(value)));
          if (typeof value === "number" && numeric.length > 1 && !same && high > low) {
            cell.append(svg("svg", { class: "bar-of", viewBox: "0 0 100 4", width: 100, height: 4, preserveAspectRatio: "none", "aria-hidden": "true" },
              svg("rect", { class: "back", width: 100, height: 4 }), svg("rect", { x: 100 * (Math.min(value, 0) - low) / (high - low), width: Math.max(100 * Math.abs(value) / (high - low), 1), height: 4 })));
          }
          return cell;
        })));
    }
    const head = el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "What"), ...numbers.map(number => el("th", { scope: "col" }, linked(data.link(number), `Version ${number}`)))));
    const differing = rows.filter(row => !row.same).length;
    comparison.replaceChildren(el("caption", {}, `${differing} of ${rows.length} values differ; differences are first`), head, body);
    comparison.hidden = false;
    only.checked = state.get("only") === "yes";
    const hide = () => all("tr.same", body).forEach(row => { row.hidden = only.checked; });
    only.addEventListener("change", hide);
    only.closest("form").hidden = false;
    hide();
    document.title = `${model} ${numbers.join(", ")} compared`;
  }
}
})();
