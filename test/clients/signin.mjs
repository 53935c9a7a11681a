// The sign-in page of the RingCentral API in a browser, with and without scripts: what it says to whom, and that it leads back.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const { BUGLE_URL, BACK, CHROMIUM, CLIENT_ID } = process.env;
const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const verifier = "v".repeat(64);
const query = new URLSearchParams({ response_type: "code", client_id: CLIENT_ID, redirect_uri: BACK, state: "it's me & you",
  code_challenge: createHash("sha256").update(verifier).digest("base64url"), code_challenge_method: "S256" });
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });

for (const javaScriptEnabled of [false, true]) {
  const context = await browser.newContext({ javaScriptEnabled, bypassCSP: false });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const errors = [];
  page.on("console", (m) => m.type() === "error" && !/status of 400/.test(m.text()) && errors.push(m.text()));
  await page.goto(`${BUGLE_URL}/restapi/oauth/authorize?${query}`);
  if (javaScriptEnabled) {
    const look = await browser.newContext({ bypassCSP: true });
    const seen = await look.newPage();
    await seen.goto(page.url());
    await seen.evaluate(axe);
    const { violations, passes } = await seen.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
    assert.deepEqual(violations.map((v) => v.id + ": " + v.nodes.map((n) => n.html).join()), []);
    assert.ok(passes.some((p) => p.id === "color-contrast") && passes.some((p) => p.id === "label"));
    await look.close();
  }
  await page.getByLabel("E-mail").fill("ann.signin@example.com");
  await page.getByLabel("Password").fill("wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor();
  assert.equal(await page.getByLabel("E-mail").inputValue(), "ann.signin@example.com");
  await page.getByLabel("Password").fill("correct horse");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(BACK + "**");
  const back = new URL(page.url()).searchParams;
  assert.equal(back.get("state"), "it's me & you");
  assert.deepEqual(errors, []);
  const answer = await fetch(`${BUGLE_URL}/restapi/oauth/token`, { method: "POST", body: new URLSearchParams({ grant_type: "authorization_code",
    code: back.get("code"), redirect_uri: BACK, client_id: CLIENT_ID, code_verifier: verifier }) });
  assert.equal(answer.status, 200, await answer.text());
  await context.close();
}
await browser.close();
console.log("sign-in: ok");
