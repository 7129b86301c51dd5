// Filters, sorts, chooses columns, compares versions and copies commands. Every page can be read without it.
"use strict";
(() => {
const all = (query, inside = document) => [...inside.querySelectorAll(query)];
const one = (query, inside = document) => inside.querySelector(query);
const { root, model } = document.body.dataset;

// Create an element: h("td.num", {"data-label": "loss"}, "0.1"). Text is always a text node.
const SVG = ["svg", "g", "path", "text", "title", "circle", "rect"];
function h(kind, ...children) {
  const [tag, ...classes] = kind.split("."), given = children[0]?.constructor === Object ? children.shift() : {};
  const made = SVG.includes(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  if (classes.length) made.setAttribute("class", classes.join(" "));
  for (const [key, value] of Object.entries(given)) made.setAttribute(key, value);
  made.append(...children.filter(Boolean));
  return made;
}
const on = (target, event, act) => target.addEventListener(event, act);
const linked = (to, text) => to ? h("a", { href: to }, text) : text;
const under = text => text && h("span.under", text);

// The state is in the fragment, so that it can be sent as a link and works without a server.
const state = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
function keep(changes) {
  for (const [key, value] of Object.entries(changes)) value ? state.set(key, value) : state.delete(key);
  if (`${state}` || location.hash.includes("=")) location.replace("#" + `${state}`.replaceAll("%2C", ","));
}

// Numbers as Python shows them: whole numbers exactly, others with four digits.
function shown(value) {
  if (typeof value !== "number" || Number.isInteger(value)) return String(value ?? "");
  const size = Math.abs(value);
  return size >= 9999.5 && size < 1e15 ? value.toFixed(0) : `${+value.toPrecision(4)}`;
}
const many = count => count.toLocaleString("en");

for (const code of navigator.clipboard ? all(".copy code") : []) {
  const button = h("button.copier", "Copy");
  code.after(button);
  on(button, "click", async () => {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  });
}

// Make the head cells of a table buttons that sort it: *sort* gets a cell, and true for descending order.
function sortable(table, sort) {
  for (const head of all("thead th[data-sort]", table)) {
    if (one("button", head)) continue;
    const button = h("button", head.textContent);
    head.replaceChildren(button);
    on(button, "click", () => {
      const now = head.getAttribute("aria-sort"), down = now ? now === "ascending" : head.dataset.sort === "number";
      all("th[aria-sort]", table).forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      sort(head, down);
    });
  }
}
// Sort by value; items without one come last in both directions.
function sorted(items, value, down) {
  const pairs = items.map(item => [value(item), item]), none = value => value === null || value === "";
  pairs.sort(([a], [b]) => none(a) || none(b) ? none(a) - none(b) : (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1));
  return pairs.map(([, item]) => item);
}
for (const table of all("table.sortable:not(#versions)")) sortable(table, (head, down) => {
  const value = row => {
    const cell = row.cells[head.cellIndex], text = cell.dataset.value ?? cell.textContent.trim();
    return head.dataset.sort === "number" && text ? +text : text.toLowerCase();
  };
  one("tbody", table).append(...sorted(all("tbody tr", table), value, down));
});

// A filter of the rows of a table: words and tags that a row must have, its stage, and a time in which it held.
function filterRows(form) {
  const table = one(`#${form.dataset.filters}`), fields = [...form.elements].filter(field => field.name);
  const rows = all("tbody tr", table).map(row => [row, row.textContent.toLowerCase(), (row.dataset.tags || "").split("\n")]);
  const tests = {
    q: (value, row, text) => value.toLowerCase().split(/\s+/).every(word => text.includes(word)),
    tag: (value, row, text, tags) => tags.includes(value),
    stage: (value, row) => row.dataset.stage === value,
    from: (value, row) => !row.dataset.until || row.dataset.until >= value,
    to: (value, row) => row.dataset.when <= value,
  };
  for (const field of fields) field.type === "checkbox" ? field.checked = state.getAll(field.name).includes(field.value) : field.value = state.get(field.name) || "";
  function filter() {
    const set = fields.filter(field => field.type === "checkbox" ? field.checked : field.value);
    let count = 0;
    for (const [row, text, tags] of rows) {
      row.hidden = !set.every(field => tests[field.name](field.value, row, text, tags));
      count += !row.hidden;
    }
    one(".count", form).textContent = count === rows.length ? "" : `${count} of ${rows.length} shown`;
    fields.forEach(field => state.delete(field.name));
    set.forEach(field => state.append(field.name, field.value));
    keep({});
  }
  form.hidden = false;
  on(form, "input", filter);
  filter();
}
all("form[data-filters]").forEach(filterRows);
on(document, "submit", event => event.target.matches(".tools") && event.preventDefault());

// The data file of a model, as a script, because pages from a folder cannot fetch files.
const loading = {}, waiting = {};
window.gitmodelData = data => waiting[data.model](data);
function load(of = model) {
  return loading[of] ??= new Promise((done, fail) => {
    waiting[of] = done;
    const script = h("script", { src: `${root}data/${of}.js` });
    on(script, "error", fail);
    document.head.append(script);
  }).then(data => {
    const failed = new Set(data.failed), pages = data.pages && new Set(data.pages);
    data.rows = data.numbers.map((number, place) => {
      const held = [data.stage[number], ...(data.aliases[number] || []), ...(data.pending[number] || []).map(name => `${name} pending`)].filter(Boolean);
      const row = { model: of, number, place, held, stage: data.stage[number] || "none", name: data.names[number] || "", created: data.created[place], description: data.description[place], tags: data.tags[place].map(tag => data.tagset[tag]), failed: failed.has(number) };
      row.text = [of, number, row.name, row.description, ...row.tags, ...held].join(" ").toLowerCase();
      row.page = pages && !pages.has(number) ? "" : `${root}m/${of}/v/${number}.html`;
      return row;
    });
    return data;
  });
}
const cell = (label, ...content) => h("td", { "data-label": label }, ...content);
// The cells that the tables of versions of one model and of all models share.
function pillsOf(row) {
  const kind = name => name.endsWith(" pending") ? "pending" : name === "archived" ? "plain" : name === row.stage ? "in-force" : "alias";
  const pills = row.held.map(name => h(`span.pill.${kind(name)}`, name));
  if (row.failed) pills.push(h("span.pill.forged", "failed"));
  return h("td", ...pills.flatMap(pill => [pill, " "]));
}
const heading = (kind, row, text) => h(kind, { scope: "row" }, linked(row.page, text), under(row.name));
const about = row => [cell("Description", row.description, ...row.tags.flatMap(tag => [" ", h("span.tag", tag)])),
  h("td", h("time", { datetime: row.created }, row.created.slice(0, 10)))];

// Return a test of rows. Words must be in the row. accuracy>0.9, stage == "staging" and "weekly" in tags compare values.
function matcher(data, text) {
  const tests = [...text.replaceAll("&&", " ").replace(/\s*([<>!=]=|[<>=])\s*/g, "$1").matchAll(/"([^"]+)" in tags|([\w.-]+)([<>!=]=|[<>=])("[^"]*"|\S+)|\S+/g)].map(([word, tag, path, sign, literal]) => {
    if (tag) return row => row.tags.includes(tag);
    if (!path) return row => row.text.includes(word.toLowerCase());
    const key = path.replace(/^metadata\./, ""), values = data.metrics[key], limit = literal[0] === '"' ? literal.slice(1, -1) : +literal;
    return row => {
      const value = values ? values[row.place] : row[key];
      return typeof value === typeof limit && (sign === "!=" ? value !== limit : value === limit ? sign.includes("=") : sign[0] === (value > limit ? ">" : value < limit && "<"));
    };
  });
  return row => tests.every(test => test(row));
}

const table = one("#versions"), tools = one("form.versions");
if (table && tools) {
  const MOST = 100, chosen = new Set((state.get("select") || "").split(",").filter(Boolean).map(Number));
  const compare = one("a.compare", tools), more = one(".more"), query = tools.elements.q, boxes = all("input[name=column]", tools);
  let columns = all("th[data-key]", table).map(head => head.dataset.key), most = MOST, by = state.get("sort") || "";

  function choose(number, is) {
    is ? chosen.add(number) : chosen.delete(number);
    const size = chosen.size, ready = size >= 2 && size <= 5, list = [...chosen].sort((a, b) => a - b).join(",");
    ready ? compare.href = `compare.html#v=${list}` : compare.removeAttribute("href");
    compare.setAttribute("aria-disabled", !ready);
    compare.textContent = ready ? `Compare ${size} versions` : "Select 2 to 5 to compare";
    keep({ select: list });
  }
  function box(number) {
    const input = h("input", { type: "checkbox", "aria-label": `Select version ${number}` });
    input.checked = chosen.has(number);
    on(input, "change", () => choose(number, input.checked));
    return h("td.box", { "data-label": "Select" }, input);
  }
  function setColumns(keys) {
    const row = one("thead tr", table);
    columns = keys;
    all("th[data-key]", row).forEach(head => head.remove());
    for (const key of keys) row.insertBefore(h("th.num", { scope: "col", "data-sort": "number", "data-key": key }, key), one(".after", row));
    boxes.forEach(input => { input.checked = keys.includes(input.value); });
    sortable(table, sort);
  }
  const drawRow = (data, row) => h("tr", box(row.number),
    heading("th.num", row, `${row.number}`), pillsOf(row),
    ...columns.map(key => h("td.num", { "data-label": key }, shown(data.metrics[key]?.[row.place]))), ...about(row));
  async function draw() {
    const data = await load(), key = by.replace(/^-/, ""), numbers = data.metrics[key];
    let found = data.rows.filter(matcher(data, query.value));
    if (by) found = sorted(found, row => numbers ? numbers[row.place] : row[key], by[0] === "-");
    one("tbody", table).replaceChildren(...found.slice(0, most).map(row => drawRow(data, row)));
    one("caption", table).textContent = `${many(Math.min(most, found.length))} of ${many(found.length)} versions${query.value && " that match"}`;
    more.hidden = found.length <= most;
    keep({ q: query.value, sort: by });
  }
  function sort(head, down) {
    by = (down ? "-" : "") + (head.dataset.key || head.dataset.field);
    draw();
  }
  boxes.forEach(input => on(input, "change", () => {
    setColumns(boxes.filter(each => each.checked).map(each => each.value));
    keep({ columns: columns.join(",") });
    draw();
  }));
  one("thead tr", table).prepend(h("td.box"));
  all("tbody tr", table).forEach(row => row.prepend(box(parseInt(row.textContent))));
  tools.hidden = false;
  query.value = state.get("q") || "";
  on(query, "input", () => { most = MOST; draw(); });
  on(more, "click", () => { most += MOST; draw(); });
  more.hidden = table.dataset.total <= MOST;
  setColumns(state.get("columns")?.split(",") || columns);
  all("thead th[data-sort]", table).find(each => by.endsWith(each.dataset.key || each.dataset.field))?.setAttribute("aria-sort", by[0] === "-" ? "descending" : "ascending");
  choose(0, false);
  if (query.value || by || state.get("columns")) draw();
}

// The search in a site without a server, which reads the data files of all models.
const found = one("#found");
if (found && !found.dataset.answered) {
  const query = new URLSearchParams(location.search).get("q") || "";
  one("input[name=q]").value = query;
  if (query) Promise.all(all("a[data-of]").map(each => load(each.dataset.of))).then(files => {
    const rows = files.flatMap(data => data.rows.filter(matcher(data, query)).map(row => [row, data.metrics]));
    one("tbody", found).replaceChildren(...rows.slice(0, 200).map(([row, metrics]) => h("tr", heading("th", row, `${row.model}@${row.number}`), pillsOf(row),
      cell("Numbers", ...Object.keys(metrics).filter(key => query.includes(key)).map(key => h("span.under", `${key} ${shown(metrics[key][row.place])}`))), ...about(row))));
    one("caption", found).textContent = `Found: ${many(rows.length)}`;
    one(".hint").hidden = rows.length;
    found.hidden = false;
  });
}

// The chart of another number, drawn as the page shows the first one.
const figure = one("#chart"), key = one("#key");
if (key) {
  const change = async () => { keep({ key: key.value }); drawChart(await load()); };
  key.parentElement.hidden = false;
  on(key, "change", change);
  if (state.get("key")) {
    key.value = state.get("key");
    change();
  }
}
function drawChart(data) {
  const values = data.metrics[key.value];
  if (!values) return;
  const points = data.rows.map(row => [row.number, values[row.place]]).filter(([, value]) => value !== null).reverse();
  const width = Math.min(figure.clientWidth, 1152), [left, right, top, bottom] = [64, width - 10, 48, 200];
  const from = points[0][0], to = points.at(-1)[0], limits = data.limits[key.value] || [];
  const ordered = [...points, ...limits].map(([, value]) => value).sort((a, b) => a - b), low = ordered[0], high = ordered.at(-1);
  const scale = (from, to, start, end) => value => start + (end - start) * (to > from ? (value - from) / (to - from) : .5);
  const x = scale(from, to, left, right), y = scale(low, high, bottom, top);
  const text = (content, x, y, anchor) => h("text.axis", { x, y, "text-anchor": anchor }, content);
  const line = (kind, d) => h(`path.${kind}`, { d, fill: "none", stroke: "currentColor" });
  const title = `${key.value} over versions`;
  const drawing = h("svg.drawing.line-chart", { viewBox: `0 0 ${width} 240`, width, height: 240, role: "img", fill: "currentColor" }, h("title", title));
  for (const value of new Set([low, (low + high) / 2, high])) drawing.append(line("grid", `M${left - 6} ${y(value)}H${width}`), text(shown(value), left - 10, y(value) + 4, "end"));
  for (const number of new Set([from, to])) drawing.append(text(number, x(number), bottom + 20, "middle"));
  for (const [label, limit] of limits) drawing.append(h("path.limit", { d: `M${left - 6} ${y(limit)}H${width}`, stroke: "currentColor", "stroke-dasharray": "6 3" }), text(label, left, y(limit) + (limit < high ? -4 : 12), "start"));
  drawing.append(line("line", "M" + points.map(([n, v]) => `${x(n)} ${y(v)}`).join("L")));
  for (const [n, v] of points.length <= 60 ? points : []) drawing.append(h("g.dot", h("title", `version ${n}: ${shown(v)}`), h("circle", { cx: x(n), cy: y(v), r: 2.5 })));
  for (const { number, stage, place } of data.rows) {
    const value = values[place], at = x(number);
    if (!["none", "archived"].includes(stage) && value !== null) drawing.append(h("g.mark", line("rule", `M${at} 26V${bottom}`), h("path", { d: `M${at} ${y(value)}m0-6l6 6l-6 6l-6-6z` }), text(`${stage} ${number}`, at - 4, 34, at > 120 ? "end" : "start")));
  }
  figure.replaceChildren(drawing, h("figcaption", `${many(points.length)} versions, last ${shown(points.at(-1)[1])}.`));
  one("#chart-title").textContent = title;
}

// The comparison of the versions that the fragment names; "production" means the version in this stage.
const comparison = one("#comparison");
if (comparison) {
  on(window, "hashchange", () => { if (new URLSearchParams(location.hash.slice(1)).get("v") !== state.get("v")) location.reload(); });
  load().then(async data => {
    const find = word => data.rows.find(row => row.number == word || row.held.includes(word)), rows = [...new Set((state.get("v") || "").split(",").map(find).filter(Boolean))].slice(0, 5);
    one(".hint").hidden = rows.length > 1;
    if (rows.length < 2) return;
    // A server or a host of pages also has the JSON twin of each version, with all values.
    const twin = row => fetch(row.page.replace(/html$/, "json")).then(found => found.json()).catch(() => null);
    drawComparison(rows, await Promise.all(rows.map(row => location.protocol === "file:" || !row.page ? null : twin(row))), data);
  });
}
function valuesOf(row, twin, data) {
  const found = new Map(), plain = value => value !== null && typeof value === "object" ? JSON.stringify(value) : value, add = (kind, name, value) => { if ((value ?? "") !== "") found.set(`${kind}\n${name}`, plain(value)); };
  add("", "stage", row.held.join(", "));
  add("", "created", row.created.slice(0, 10));
  add("", "tags", row.tags.join(", "));
  add("", "description", row.description);
  add("code", "commit", data.code[row.place]);
  if (!twin) for (const [key, values] of Object.entries(data.metrics)) add("", key, values[row.place]);
  for (const [key, value] of twin?.metadata || []) add("", key, value);
  for (const [key, value] of twin?.parameters || []) add("parameter", key, value);
  for (const each of twin?.artifacts || []) add(each.kind, each.name, each.digest.slice(7, 17));
  if (twin) add("packages", "installed", twin.packages.slice(7, 17));
  return found;
}
function drawComparison(rows, twins, data) {
  const columns = rows.map((row, place) => valuesOf(row, twins[place], data)), names = [...new Set(columns.flatMap(column => [...column.keys()]))];
  const lines = names.map(name => columns.map(column => column.get(name) ?? null)).map((values, place) => [names[place].split("\n"), values, values.every(value => value === values[0])]);
  const body = h("tbody"), only = one("input[name=only]");
  for (const [[kind, name], values, same] of sorted(lines, line => +line[2])) {
    const numbers = values.filter(value => typeof value === "number"), low = Math.min(0, ...numbers), size = Math.max(0, ...numbers) - low;
    const bar = value => h("svg.bar-of", { viewBox: "0 0 100 4", width: 100, height: 4, "aria-hidden": "true" }, h("rect", { x: 100 * (Math.min(value, 0) - low) / size, width: Math.max(100 * Math.abs(value) / size, 1), height: 4 }));
    body.append(h(same ? "tr.same" : "tr", h("th", { scope: "row" }, name, under(kind)), ...values.map((value, place) =>
      cell(`Version ${rows[place].number}`, value === null ? h("span.none", "none") : shown(value), typeof value === "number" && numbers.length > 1 && size && !same ? bar(value) : null))));
  }
  comparison.replaceChildren(h("caption", `${lines.filter(line => !line[2]).length} of ${lines.length} values differ`),
    h("thead", h("tr", h("th", { scope: "col" }, "What"), ...rows.map(row => h("th", { scope: "col" }, linked(row.page, `Version ${row.number}`))))), body);
  only.checked = state.has("only");
  const hide = () => { keep({ only: only.checked ? "yes" : "" }); all(".same", body).forEach(row => { row.hidden = only.checked; }); };
  on(only, "change", hide);
  hide();
  comparison.hidden = only.form.hidden = false;
}
})();
