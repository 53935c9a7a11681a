// A browser at the API: a page of another origin that uses it, and the server's own documentation page.
import http from "node:http";
import { chromium } from "playwright-core";

const { BUGLE_URL, BUGLE_KEY, BUGLE_ACCOUNT, CHROMIUM, SHOTS } = process.env;
const problems = [];
const check = (ok, what) => {
  if (!ok) problems.push(what);
};

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
const page404 = (answer) => answer.writeHead(404).end();
const other = http.createServer((request, answer) => {
  if (request.url !== "/") return page404(answer);
  answer.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>another origin</title>");
});
await new Promise((resolve) => other.listen(0, "127.0.0.1", resolve));

try {
  await crossOrigin();
  await documentation({ width: 1280, height: 900 }, "desktop");
  await documentation({ width: 390, height: 844 }, "phone");
} finally {
  await browser.close();
  other.closeAllConnections();
  other.close();
}
if (problems.length > 0) {
  console.log(problems.join("\n"));
  process.exitCode = 1;
} else {
  console.log("browser: ok");
}

async function crossOrigin() {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${other.address().port}/`);
  const got = await page.evaluate(async ({ url, key, account }) => {
    const out = {};
    const login = await fetch(url + "/v2/api_auth", { method: "PUT", headers: { "content-type": "application/json" },
      body: JSON.stringify({ data: { api_key: key } }) });
    const token = (await login.json()).auth_token;
    const call = (method, path, data, headers) => fetch(`${url}/v2/accounts/${account}${path}`, { method,
      headers: { "X-Auth-Token": token, "content-type": "application/json", ...headers },
      body: data === undefined ? undefined : JSON.stringify({ data }) });
    const created = await call("PUT", "/menus", { name: "From a page" });
    out.created = created.status;
    out.location = created.headers.get("location");
    const etag = created.headers.get("etag");
    const id = (await created.json()).data.id;
    out.request = created.headers.get("x-request-id");
    out.edited = (await call("PATCH", "/menus/" + id, { name: "Again" }, { "if-match": etag })).status;
    out.stale = (await call("PATCH", "/menus/" + id, { name: "Lost" }, { "if-match": etag })).status;
    const read = await call("GET", "/menus/" + id);
    out.name = (await read.json()).data.name;
    out.unchanged = (await call("GET", "/menus/" + id, undefined, { "if-none-match": read.headers.get("etag") })).status;
    const bad = await call("PATCH", "/menus/" + id, { name: 7 });
    out.refused = [bad.status, (await bad.json()).message];
    const stranger = await fetch(`${url}/v2/accounts/${account}/menus`);
    out.stranger = [stranger.status, (await stranger.json()).message];
    out.deleted = (await call("DELETE", "/menus/" + id)).status;
    out.openapi = (await (await fetch(url + "/openapi.json")).json()).openapi;
    return out;
  }, { url: BUGLE_URL, key: BUGLE_KEY, account: BUGLE_ACCOUNT });
  const { location, request, ...rest } = got;
  check(location?.includes("/menus/") && request, `headers are not exposed: ${location} ${request}`);
  const want = { created: 201, edited: 200, stale: 412, name: "Again", unchanged: 304, refused: [400, "validation error"],
    stranger: [401, "invalid_credentials"], deleted: 200, openapi: "3.1.0" };
  for (const key of Object.keys(want)) {
    check(JSON.stringify(rest[key]) === JSON.stringify(want[key]), `${key}: ${JSON.stringify(rest[key])}, want ${JSON.stringify(want[key])}`);
  }
  await page.close();
}

async function documentation(viewport, name) {
  const page = await browser.newPage({ viewport });
  const say = (what) => check(false, `docs, ${name}: ${what}`);
  page.on("console", (m) => m.type() === "error" && say(m.text()));
  page.on("pageerror", (e) => say(e.message));
  page.on("request", (r) => !r.url().startsWith(BUGLE_URL) && !r.url().startsWith("data:") && say(`asks for ${r.url()}`));
  const answer = await page.goto(BUGLE_URL + "/docs");
  const policy = answer.headers()["content-security-policy"] ?? "";
  if (!policy.includes("default-src 'none'") || policy.includes("unsafe")) say(`policy ${policy}`);
  await page.waitForSelector("#resources li", { state: "attached" });
  await page.screenshot({ path: `${SHOTS}/${name}-start.png` });
  if (name === "phone") await page.click("#menu summary");
  await page.click('#resources a[href="#users"]');
  await page.click("#createUser summary");
  const line = await page.textContent("#createUser pre");
  if (!line.includes("curl -X PUT") || !line.includes("/v2/accounts/$account/users")) say(`curl: ${line}`);
  if ((await page.locator("#createUser td").count()) < 50) say("createUser shows no keys");
  await page.screenshot({ path: `${SHOTS}/${name}-users.png` });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (wide > 0) say(`${wide} pixels wider than the window`);
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("/");
  await page.keyboard.type("search_fields patch");
  const found = await page.textContent("#found");
  const first = await page.textContent("main .operation .path");
  if (found !== "1 operation" || !first.includes("/directories/{id}")) say(`search found ${found}, ${first}`);
  await page.keyboard.press("Tab");
  for (let i = 0; i < 60 && !(await page.evaluate(() => document.activeElement.tagName === "SUMMARY" && document.activeElement.closest("main"))); i++) {
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  if (!(await page.locator("main .operation[open]").count())) say("an operation cannot be opened with the keyboard");
  await page.screenshot({ path: `${SHOTS}/${name}-search.png` });
  const unnamed = await page.evaluate(() => [...document.querySelectorAll("input,button,a,summary")]
    .filter((e) => !(e.textContent.trim() || e.labels?.length || e.getAttribute("aria-label"))).length);
  if (unnamed) say(`${unnamed} controls have no name`);
  await page.goto(BUGLE_URL + "/docs#patchDevice");
  await page.waitForSelector("#patchDevice[open]");
  await page.close();
}
