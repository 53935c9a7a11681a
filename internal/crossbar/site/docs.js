// The documentation page: it shows /openapi.json, and asks nobody else for anything.
"use strict";

const verbs = ["get", "put", "post", "patch", "delete"];
const most = 60; // operations that a search shows

/** make builds an element; children are nodes or texts, so that nothing of the description is taken for HTML. */
function make(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === true) e.setAttribute(name, "");
    else if (value !== false && value !== undefined) e.setAttribute(name, value);
  }
  e.append(...children.flat().filter((c) => c !== undefined && c !== null));
  return e;
}

/** prose turns `code` of a text into code, and *what matters* into emphasis. */
function prose(text) {
  return String(text ?? "").split(/`([^`]+)`/).flatMap((part, i) => (i % 2 ? [make("code", {}, part)]
    : part.split(/\*([^*\s][^*]*)\*/).map((p, j) => (j % 2 ? make("em", {}, p) : p))));
}

/** paragraphs of a text are parted by empty lines. */
function paragraphs(text) {
  return String(text ?? "").split(/\n\s*\n/).filter((p) => p.trim()).map((p) => make("p", {}, prose(p)));
}

let api;
let operations = [];

function resolve(v) {
  for (let i = 0; v && v.$ref && i < 20; i++) {
    const { $ref, ...beside } = v;
    const found = $ref.slice(2).split("/").reduce((at, key) => at?.[key.replaceAll("~1", "/")], api);
    v = { ...found, ...beside };
  }
  return v ?? {};
}

function typeOf(schema) {
  schema = resolve(schema);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const options = schema.oneOf ?? schema.anyOf;
  if (options) return options.map(typeOf).join(" or ");
  let text = [schema.type ?? (schema.properties || schema.allOf ? "object" : "any")].flat().join(" or ");
  if (schema.items) text += " of " + typeOf(schema.items);
  if (schema.enum) text = schema.enum.map((v) => JSON.stringify(v)).join(" | ");
  const bound = (low, high, unit) => {
    if (schema[low] !== undefined && schema[high] !== undefined) text += `, ${schema[low]} to ${schema[high]}${unit}`;
    else if (schema[low] !== undefined) text += `, at least ${schema[low]}${unit}`;
    else if (schema[high] !== undefined) text += `, at most ${schema[high]}${unit}`;
  };
  bound("minimum", "maximum", "");
  bound("minLength", "maxLength", " characters");
  if (schema.pattern) text += ", " + schema.pattern;
  return text;
}

/** keys are the rows of a schema's table: its keys and theirs, in their order. */
function keys(schema, prefix, depth, seen) {
  const name = schema?.$ref;
  if (depth > 5 || (name && seen.includes(name))) return [];
  seen = name ? [...seen, name] : seen;
  schema = resolve(schema);
  const out = [];
  for (const part of schema.allOf ?? []) out.push(...keys(part, prefix, depth, seen));
  const row = (key, p, required) => {
    const full = resolve(p);
    out.push({ key: prefix + key, type: typeOf(p), about: full.description, otherwise: full.default, required });
    out.push(...keys(p, prefix + key + ".", depth + 1, seen));
    if (full.items) out.push(...keys(full.items, prefix + key + ".[].", depth + 1, seen));
  };
  for (const key of Object.keys(schema.properties ?? {}).sort()) {
    row(key, schema.properties[key], (schema.required ?? []).includes(key));
  }
  for (const [pattern, p] of Object.entries(schema.patternProperties ?? {})) row(`<${pattern}>`, p, false);
  if (schema.additionalProperties?.type || schema.additionalProperties?.$ref) row("<any>", schema.additionalProperties, false);
  return out;
}

function table(caption, heads, rows) {
  return make("div", { class: "table", tabindex: "0", role: "region", "aria-label": caption },
    make("table", {},
      make("thead", {}, make("tr", {}, heads.map((h) => make("th", { scope: "col" }, h)))),
      make("tbody", {}, rows.map(([first, ...cells]) =>
        make("tr", {}, make("th", { scope: "row" }, first), cells.map((c) => make("td", {}, c)))))));
}

function keyTable(caption, schema) {
  const rows = keys(schema, "", 0, []);
  if (rows.length === 0) return make("p", {}, typeOf(schema));
  return table(caption, ["key", "what it is", "type", "default"], rows.map((r) => [
    [make("code", {}, r.key), r.required ? make("span", { class: "needed" }, "required") : null],
    prose(r.about), r.type, r.otherwise === undefined ? "" : make("code", {}, JSON.stringify(r.otherwise))]));
}

function sample(text) {
  const button = make("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(pre);
      button.textContent = "Selected";
    }
  });
  const pre = make("pre", { tabindex: "0", role: "region", "aria-label": "Example" }, text);
  return make("div", { class: "sample" }, pre, button);
}

/** curl is a line for a shell that has the token in $token. */
function curl(op) {
  const lines = ["curl" + (op.verb === "get" ? "" : " -X " + op.verb.toUpperCase())];
  if (op.spec.security?.length !== 0) lines.push('-H "X-Auth-Token: $token"');
  const media = op.spec.requestBody?.content?.["application/json"];
  if (media) {
    const body = JSON.stringify(media.example ?? { data: {} });
    lines.push("-H 'Content-Type: application/json'", `-d '${body.replaceAll("'", "'\\''")}'`);
  } else if (op.spec.requestBody) {
    lines.push("-H 'Content-Type: audio/wav'", "--data-binary @file.wav");
  }
  const path = op.path.replace(/\{(\w+)\}/g, (_, name) => "$" + name);
  lines.push(`"${location.origin}${path}"`);
  return lines.join(" \\\n  ");
}

function parameters(op) {
  const shared = api.paths[op.path].parameters ?? [];
  return [...shared, ...(op.spec.parameters ?? [])].map(resolve);
}

function dataOf(schema) {
  schema = resolve(schema);
  if (schema.properties?.data) return schema.properties.data;
  return (schema.allOf ?? []).map(dataOf).find((s) => s);
}

function details(op) {
  const out = [make("h4", {}, "Try it"), sample(curl(op))];
  const params = parameters(op);
  if (params.length > 0) {
    out.push(make("h4", {}, "Parameters"), table("Parameters of " + op.spec.operationId, ["name", "what it is", "in", "type"],
      params.map((p) => [[make("code", {}, p.name), p.required ? make("span", { class: "needed" }, "required") : null],
        prose(p.description), p.in, typeOf(p.schema)])));
  }
  const media = op.spec.requestBody?.content?.["application/json"];
  const taken = media && dataOf(media.schema);
  if (taken) out.push(make("h4", {}, "data of the request"), keyTable("Request of " + op.spec.operationId, taken));
  const codes = Object.keys(op.spec.responses).sort();
  out.push(make("h4", {}, "Answers"), table("Answers of " + op.spec.operationId, ["status", "what it means", "media types"],
    codes.map((code) => {
      const r = resolve(op.spec.responses[code]);
      return [code, prose(r.description), Object.keys(r.content ?? {}).join(", ")];
    })));
  const good = codes.find((c) => c < "300");
  const given = good && dataOf(resolve(op.spec.responses[good]).content?.["application/json"]?.schema);
  if (given && typeOf(given) !== "any") {
    const list = resolve(given).items;
    out.push(make("h4", {}, list ? "data of the answer, each row" : "data of the answer"),
      keyTable("Answer of " + op.spec.operationId, list ?? given));
  }
  return out;
}

function operation(op, open) {
  const body = make("div", {});
  const e = make("details", { class: "operation", id: op.spec.operationId },
    make("summary", {}, make("span", { class: "verb " + op.verb }, op.verb.toUpperCase()),
      make("h3", { class: "path" }, op.path), make("span", { class: "what" }, op.spec.summary)), body);
  const fill = () => {
    if (e.open && body.childElementCount === 0) body.append(...details(op));
  };
  e.addEventListener("toggle", fill);
  if (open) {
    e.open = true;
    fill();
  }
  return e;
}

/** words of an operation, for the search; made once. */
function words(op) {
  op.words ??= [op.verb, op.path, op.spec.operationId, op.spec.summary, op.tag, ...parameters(op).map((p) => p.name),
    ...keys(dataOf(op.spec.requestBody?.content?.["application/json"]?.schema ?? {}), "", 0, []).map((r) => r.key + " " + (r.about ?? "")),
  ].join(" ").toLowerCase();
  return op.words;
}

function show(title, about, ops, opened) {
  const main = document.getElementById("main");
  main.replaceChildren(make("h2", {}, title), ...paragraphs(about),
    ...ops.map((op) => operation(op, op.spec.operationId === opened)));
  document.title = title + " - bugle API";
}

function route() {
  const hash = decodeURIComponent(location.hash.slice(1));
  if (hash === "main") return;
  const op = operations.find((o) => o.spec.operationId === hash);
  const tag = api.tags.find((t) => t.name === (op?.tag ?? hash));
  for (const a of document.querySelectorAll("#resources a")) {
    if (tag && a.hash === "#" + tag.name) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
  document.getElementById("search").value = "";
  document.getElementById("found").textContent = "";
  if (!tag) {
    show("The API", api.info.description, operations.filter((o) => o.tag.endsWith("_auth")));
    return;
  }
  show(tag.name, tag.description, operations.filter((o) => o.tag === tag.name), op?.spec.operationId);
  if (op) document.getElementById(hash).scrollIntoView();
  else scrollTo(0, 0);
  if (matchMedia("(max-width: 46rem)").matches) document.getElementById("menu").open = false;
}

function search() {
  const asked = document.getElementById("search").value.toLowerCase().split(/\s+/).filter((w) => w);
  if (asked.length === 0) {
    route();
    return;
  }
  const hits = operations.filter((op) => asked.every((w) => words(op).includes(w)));
  hits.sort((a, b) => asked.filter((w) => b.path.toLowerCase().includes(w)).length - asked.filter((w) => a.path.toLowerCase().includes(w)).length);
  document.getElementById("found").textContent = hits.length === 1 ? "1 operation" : `${hits.length} operations`;
  show("Search", hits.length > most ? `The first ${most} of ${hits.length}.` : hits.length ? "" : "Nothing has all these words.", hits.slice(0, most));
}

async function start() {
  const main = document.getElementById("main");
  try {
    const answer = await fetch("/openapi.json");
    if (!answer.ok) throw new Error(answer.status);
    api = await answer.json();
  } catch (e) {
    main.append(make("p", { role: "alert" }, `/openapi.json did not come: ${e.message}`));
    return;
  }
  for (const [path, item] of Object.entries(api.paths)) {
    for (const verb of verbs) {
      if (item[verb]) operations.push({ verb, path, spec: item[verb], tag: item[verb].tags[0] });
    }
  }
  document.getElementById("resources").append(
    ...api.tags.map((t) => make("li", {}, make("a", { href: "#" + t.name }, t.name))));
  if (matchMedia("(max-width: 46rem)").matches) document.getElementById("menu").open = false;
  document.getElementById("search").addEventListener("input", search);
  addEventListener("hashchange", route);
  addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      document.getElementById("search").focus();
    }
  });
  route();
}

start();
