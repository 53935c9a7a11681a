// The button of a click-to-call in a browser: what visitors see while phones ring, are answered and are put down.
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const { BUGLE_URL, SITE, CHROMIUM, SIPP, SHOTS, SALES, VISITOR_FIRST, BRIEF, THROTTLED, QUIET, STRANGE, OPEN, ANYBODY, PRIVATE } = process.env;
const problems = [];
const check = (ok, what) => {
  if (!ok) problems.push(what);
};
const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });

/** phone has a phone do something; the answer comes when it is done. */
async function phone(name, verb) {
  const answer = await fetch(`${SITE}/phones/${name}/${verb}`, { method: "POST", signal: AbortSignal.timeout(15_000) });
  if (!answer.ok) throw new Error(`${name}, ${verb}: ${await answer.text()}`);
}

/** open is a page with a button. Mistakes of the page are problems. */
async function open(name, address, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 720 }, locale: "en-US", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const expected = options.errors ?? /status of 4\d\d/;
  page.on("pageerror", (e) => check(false, `${name}: ${e.message}`));
  page.on("console", (m) => m.type() === "error" && !expected.test(m.text()) && check(false, `${name}: ${m.text()}`));
  page.on("request", (r) => r.url().includes("/v2/") && check(false, `${name} asks for ${r.url()}`));
  const answer = await page.goto(address);
  const b = { name, page, answer, posts: 0, input: page.getByLabel("Your phone number"), call: page.getByRole("button", { name: "Call me", exact: true }),
    hang: page.getByRole("button", { name: "Hang up" }), status: page.getByRole("status"), time: page.getByLabel("Call me back at") };
  page.on("request", (r) => r.method() === "POST" && b.posts++);
  await page.waitForSelector("bugle-call", { state: "attached" });
  await page.evaluate(() => {
    window.seen = [];
    const p = document.querySelector("bugle-call").shadowRoot.querySelector("p");
    new MutationObserver(() => window.seen.push(p.textContent)).observe(p, { childList: true, subtree: true, characterData: true });
  });
  b.says = async (text) => {
    try {
      await page.waitForFunction((text) => document.querySelector("bugle-call").shadowRoot.querySelector("p").textContent.includes(text), text, { timeout: 20_000 });
    } catch {
      check(false, `${name} says ${JSON.stringify(await b.status.textContent())}, not ${text}`);
    }
  };
  b.ask = async (contact) => {
    await b.input.fill(contact);
    await b.call.click();
  };
  b.saw = async (...want) => {
    const seen = await page.evaluate(() => window.seen.splice(0));
    check(seen.join("|") === want.join("|"), `${name} showed ${seen.join(" | ")}; want ${want.join(" | ")}`);
  };
  /** focused is the role and name of what has the focus. */
  b.focused = () => page.evaluate(() => {
    const e = document.querySelector("bugle-call").shadowRoot.activeElement;
    return e && (e.textContent || e.labels[0].textContent);
  });
  b.axe = async (when) => {
    await page.evaluate(axe);
    const { violations, passes } = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
    for (const v of violations) check(false, `${name}, ${when}: ${v.id}: ${v.nodes.map((n) => n.html + " " + n.failureSummary).join("; ")}`);
    check(passes.some((p) => p.id === "color-contrast") && passes.some((p) => p.id === "label" || p.id === "button-name"), `${name}, ${when}: axe saw nothing`);
  };
  b.close = () => context.close();
  return b;
}
const embedded = (id, query = "lang=en") => `${SITE}/pages/${id}?${query}`;
const own = (id, query = "") => `${BUGLE_URL}/c2c/${id}${query}`;
const ours = "Our phone is ringing…";
const yours = "Your phone is ringing. Please answer it.";

/** upTo brings a call to where both talk. */
async function upTo(first = "office", second = "visitor") {
  for (const name of [first, second]) {
    await phone(name, "incoming");
    await phone(name, "ring");
    await new Promise((done) => setTimeout(done, 300)); // for a visitor to see it
    await phone(name, "answer");
  }
}

async function talks() {
  const b = await open("embedded", embedded(SALES));
  check((await b.answer.headers())["content-security-policy"].includes("require-trusted-types-for"), "the page has no policy");
  await b.axe("idle");
  await b.input.fill("1002");
  await b.call.dblclick();
  await phone("office", "incoming");
  await phone("office", "ring");
  await b.says(ours);
  check(await b.page.evaluate(() => document.querySelector("bugle-call").dataset.state) === "ringing", "data-state");
  await b.axe("ringing");
  await phone("office", "answer");
  await phone("visitor", "incoming");
  await phone("visitor", "ring");
  await b.says(yours);
  await phone("visitor", "answer");
  await b.says("You are talking.");
  await phone("office", "hear");
  await phone("visitor", "hear");
  await b.axe("talking");
  await phone("visitor", "hangup");
  await b.says("The call has ended.");
  await phone("office", "over");
  check(b.posts === 1, `a double click asks ${b.posts} times`);
  await b.saw("Calling…", ours, "Calling…", yours, "You are talking.", "The call has ended.");
  check(await b.focused() === "Call me", `after the call the focus is on ${await b.focused()}`);
  check(!(await b.time.isVisible()), "a call back is offered after a call");

  await b.call.click(); // again: the office hangs up
  await upTo();
  await b.says("You are talking.");
  await phone("office", "hangup");
  await b.says("The call has ended.");
  await phone("visitor", "over");

  await b.call.click(); // and the page
  await upTo();
  await b.says("You are talking.");
  await b.hang.click();
  await b.says("The call has ended.");
  await phone("visitor", "over");
  await phone("office", "over");
  await b.close();
}

async function byKeyboard() {
  const b = await open("page by keyboard", own(VISITOR_FIRST));
  const { page } = b;
  await page.keyboard.press("Tab");
  check(await b.focused() === "Your phone number", `Tab leads to ${await b.focused()}`);
  await page.keyboard.press("Enter"); // without a number
  await b.says("Please enter a phone number");
  check(await b.input.getAttribute("aria-invalid") === "true", "what is wrong is not told");
  check(await b.focused() === "Your phone number", `after a mistake the focus is on ${await b.focused()}`);
  await page.keyboard.type("1002");
  await page.keyboard.press("Enter");
  await phone("visitor", "incoming");
  await phone("visitor", "ring");
  await b.says(yours);
  check(await b.focused() === "Hang up", `during the call the focus is on ${await b.focused()}`);
  await phone("visitor", "answer");
  await phone("office", "incoming");
  await phone("office", "ring");
  await b.says(ours);
  await new Promise((done) => setTimeout(done, 800)); // longer than a double click
  await page.keyboard.press("Enter");
  await b.says("The call has ended.");
  await phone("visitor", "over");
  await phone("office", "over");
  check(await b.focused() === "Call me", `afterwards the focus is on ${await b.focused()}`);
  check(!(await b.time.isVisible()), "a call back is offered to who hung up");
  const tree = await page.locator("body").ariaSnapshot();
  for (const part of ['heading "Support" [level=1]', 'region "Support"', 'textbox "Your phone number"', 'button "Call me"', "status: The call has ended."]) {
    check(tree.includes(part), `the accessibility tree has no ${part}:\n${tree}`);
  }
  await b.close();
}

async function callBack() {
  const b = await open("call back", own(BRIEF));
  await b.ask("1002");
  await phone("office", "incoming");
  await phone("office", "ring");
  await b.says("Nobody answered.");
  await phone("office", "over");
  check(await b.focused() === "Call me back at", `the focus is on ${await b.focused()}`);
  await b.axe("call back");
  await shots(b, "callback");
  const value = await b.time.inputValue();
  check(Math.abs(new Date(value) - Date.now() - 3600_000) < 120_000, `in an hour is ${value}`);
  await b.time.evaluate((e) => (e.value = "")); // nothing, then the past, then a day
  await b.page.getByRole("button", { name: "Plan the call" }).click();
  await b.says("Please choose a time");
  await b.time.fill("2020-01-01T10:00");
  await b.page.getByRole("button", { name: "Plan the call" }).click();
  await b.says("Please choose a time");
  const local = (ms) => new Date(ms - new Date().getTimezoneOffset() * 60_000).toISOString();
  await b.time.fill(local(Date.now() + 86_400_000).slice(0, 16));
  await b.page.keyboard.press("Enter");
  await b.says("We will call you: ");
  await b.axe("planned");
  await shots(b, "planned");
  await new Promise((done) => setTimeout(done, 800)); // longer than a double click
  await b.page.getByRole("button", { name: "Cancel" }).click();
  await b.says("The planned call is cancelled.");
  await b.ask("1002");
  await phone("office", "incoming");
  await phone("office", "reject");
  await b.says("Nobody answered.");
  await b.time.evaluate((e, value) => (e.value = value), local(Date.now() + 4000).slice(0, 19));
  await b.page.getByRole("button", { name: "Plan the call" }).click();
  await b.says("We will call you: ");
  await phone("office", "none");
  await upTo(); // by itself
  await b.says("You are talking.");
  await b.hang.click();
  await b.says("The call has ended.");
  await b.close();
}

async function refusals() {
  const refused = async (id, contact, words, more) => {
    const b = await open(`refused ${contact}`, own(id), more);
    await b.ask(contact);
    await b.says(words);
    check(await b.call.isVisible(), `${contact}: one cannot try again`);
    return b;
  };
  for (const [id, contact, words] of [[SALES, "2125550100", "This number cannot be called from here."], [ANYBODY, "2125550100", "This number cannot be called from here."],
    [ANYBODY, "911", "Emergency, premium and international"], [ANYBODY, "+9005550100", "Emergency, premium and international"],
    [ANYBODY, "+4930123456", "Emergency, premium and international"], [SALES, "my phone", "Please enter a phone number"]]) {
    const b = await refused(id, contact, words);
    check(await b.input.getAttribute("aria-invalid") === "true" && await b.focused() === "Your phone number", `${contact}: the focus is on ${await b.focused()}`);
    if (contact === "911") await b.axe("refused");
    await b.close();
  }
  const quiet = await refused(QUIET, "1002", "Nobody is called before ");
  check(await quiet.time.isVisible() && new Date(await quiet.time.inputValue()) > Date.now(), "in quiet hours no call back is offered");
  await quiet.page.getByRole("button", { name: "Plan the call" }).click(); // for when they end
  await quiet.says("We will call you: ");
  await quiet.close();
  const again = await refused(QUIET, "1002", "Nobody is called before ");
  await again.page.getByRole("button", { name: "Plan the call" }).click();
  await again.says("A call to this number is planned already");
  await again.close();
  const b = await open("throttled", own(THROTTLED));
  await b.ask("1002");
  await phone("office", "incoming");
  await phone("office", "reject");
  await b.says("Nobody answered.");
  await b.ask("1002");
  await b.says("Too many calls just now. Please try again in 60 minutes.");
  await b.close();
  // A browser does not let a page of another origin read why it is refused.
  const strange = await open("another origin", embedded(STRANGE), { errors: /CORS|ERR_FAILED/ });
  await strange.ask("1002");
  await strange.says("That did not work. Please try again.");
  await strange.close();
  await phone("office", "none");
}

async function limited() {
  const b = await open("limited", own(OPEN));
  await b.input.fill("1002");
  await b.page.evaluate(async (url) => {
    const post = () => fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ data: { contact: "1002" } }) });
    for (let i = 0; i < 300 && (await post()).status !== 429; i++);
    document.querySelector("bugle-call").shadowRoot.querySelector("button").click(); // before the next may be asked for
  }, own(OPEN) + "/connect");
  await b.says("Too many calls just now. Please try again in ");
  await b.close();
}

async function offline() {
  const b = await open("offline", own(SALES), { errors: /ERR_/ });
  const keys = [];
  await b.page.route("**/connect", async (route) => {
    keys.push(route.request().headers()["idempotency-key"]);
    if (keys.length === 1) {
      await route.fetch(); // the server has the request, the page no answer
      return route.abort();
    }
    return route.continue();
  });
  await b.ask("1002");
  await b.says("That did not work. Please try again.");
  await phone("office", "incoming");
  await b.call.click();
  await phone("office", "ring");
  await b.says(ours);
  check(keys.length === 2 && keys[0] === keys[1] && keys[0]?.length > 20, `keys ${keys}`);
  await phone("office", "none");
  await b.hang.click({ delay: 900 });
  await b.says("The call has ended.");
  await phone("office", "over");
  await b.close();
}

/** stranger: a SIP phone of another host, played by sipp. */
async function stranger() {
  const b = await open("sipp", embedded(SALES));
  await b.ask(SIPP);
  await phone("office", "incoming");
  await phone("office", "ring");
  await phone("office", "answer");
  await b.says("You are talking.");
  await phone("office", "hear"); // its own tone: sipp sends back what it hears
  await phone("office", "hangup");
  await b.says("The call has ended.");
  await b.close();
}

async function languages() {
  const labels = { en: ["Your phone number", "Call me"], es: ["Su número de teléfono", "Llámenme"], de: ["Ihre Telefonnummer", "Rufen Sie mich an"],
    fr: ["Votre numéro de téléphone", "Appelez-moi"] };
  const speaks = async (lang, b, button = labels[lang][1]) => {
    check(await b.page.getByLabel(labels[lang][0]).isVisible() && await b.page.getByRole("button", { name: button }).isVisible(), `${b.name} does not speak ${lang}`);
    await b.close();
  };
  for (const lang of Object.keys(labels)) {
    await speaks(lang, await open("page of " + lang, embedded(SALES, `lang=${lang}-XX`)));
    await speaks(lang, await open("own page in " + lang, own(SALES), { locale: lang }));
  }
  await speaks("fr", await open("navigator", embedded(SALES, "lang=it"), { locale: "fr-CA" }));
  await speaks("en", await open("no language", embedded(SALES, "lang=it"), { locale: "ja" }));
  await speaks("de", await open("data-lang", embedded(SALES, "lang=en&button=de&target=%23here&label=Jetzt+sprechen")), "Jetzt sprechen");
  const fr = await open("refused in French", own(ANYBODY), { locale: "fr" });
  await fr.page.getByLabel(labels.fr[0]).fill("911");
  await fr.page.keyboard.press("Enter");
  await fr.says("Urgences, numéros surtaxés");
  await fr.close();
  const words = readWords();
  for (const lang of Object.keys(labels)) {
    check(words[lang]?.length === words.names.length && words[lang].every((line) => line.trim()), `${lang}: ${words[lang]?.length} words of ${words.names.length}`);
    check(words[lang].every((line, i) => line.includes("$") === words.en[i].includes("$")), `${lang}: other places`);
  }
}

/** readWords are the words of the script. */
function readWords() {
  const names = eval("(" + source.match(/const names = (\([\s\S]*?\)\.split\(" "\))/)[1] + ")");
  const words = eval("(" + source.match(/const words = (\{[\s\S]*?`,\n\})/)[1] + ")");
  return { names, ...Object.fromEntries(Object.entries(words).map(([lang, text]) => [lang, text.split("\n")])) };
}

async function shots(b, name) {
  await b.page.screenshot({ path: `${SHOTS}/button-${name}.png` });
}

/** looks is pictures of both pages, and that nothing is cut off or moves. */
async function looks() {
  for (const [size, viewport] of [["phone", { width: 360, height: 740 }], ["desktop", { width: 1280, height: 720 }]]) {
    for (const colorScheme of ["light", "dark"]) {
      for (const [kind, address] of [["own", own(SALES)], ["embedded", embedded(SALES, `lang=en&scheme=${colorScheme}`)],
        ["themed", embedded(SALES, `lang=en&scheme=${colorScheme}&theme=1`)]]) {
        const name = `${kind}-${size}-${colorScheme}`;
        const b = await open(name, address, { viewport, colorScheme, reducedMotion: "reduce" });
        const wide = await b.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        check(wide <= 0, `${name} is ${wide} pixels too wide`);
        const style = await b.page.evaluate(() => {
          const root = document.querySelector("bugle-call").shadowRoot;
          const of = (query) => getComputedStyle(root.querySelector(query));
          return { size: of("button").fontSize, transform: of("button").textTransform, spacing: of("label").letterSpacing, color: of("button").backgroundColor,
            tall: root.querySelector("button").getBoundingClientRect().height, shown: of("section").display };
        });
        const want = kind === "themed" ? "20px rgb(20, 108, 46)" : kind === "own" && colorScheme === "dark" ? "16px rgb(140, 192, 255)" : "16px rgb(11, 92, 173)";
        check(`${style.size} ${style.color}` === want && style.transform === "none" && style.spacing === "normal" && style.tall >= 44 && style.shown === "block",
          `${name}: ${JSON.stringify(style)}`);
        if (kind !== "themed") await b.axe("looks");
        await b.input.focus();
        await shots(b, name);
        if (kind !== "themed") {
          await b.ask("1002");
          await phone("office", "incoming");
          await phone("office", "ring");
          await b.says(ours);
          const moving = await b.page.evaluate(() => document.getAnimations().length);
          check(moving === 0, `${name}: ${moving} animations for who wants none`);
          if (colorScheme === "dark") await b.axe("ringing");
          await shots(b, name + "-ringing");
          await phone("office", "reject");
          await b.says("Nobody answered.");
          if (colorScheme === "dark") await b.axe("unanswered");
          await shots(b, name + "-unanswered");
        }
        await b.close();
      }
    }
  }
}

async function hidden() {
  for (const address of [own(PRIVATE), own(PRIVATE) + ".js", own("0".repeat(32))]) {
    const answer = await fetch(address);
    check(answer.status === 404, `${address}: ${answer.status}`);
  }
}

const source = await (await fetch(own(SALES) + ".js")).text();
try {
  for (const part of [talks, byKeyboard, callBack, refusals, offline, stranger, languages, looks, hidden, limited]) {
    try {
      await part();
    } catch (e) {
      check(false, `${part.name}: ${e.stack}`);
    }
  }
} finally {
  await browser.close();
}
if (problems.length > 0) {
  console.log(problems.join("\n"));
  process.exitCode = 1;
} else {
  console.log("button: ok");
}
