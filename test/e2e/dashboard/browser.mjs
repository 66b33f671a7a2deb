// SPDX-License-Identifier: Apache-2.0
// A browser at the dashboard: TAP, waiting, and what every test needs of the page.
import {execFileSync, spawnSync} from "node:child_process";
import {mkdirSync, readFileSync} from "node:fs";
import {chromium} from "playwright-core";

const flags = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];
export const PATIENCE = Number(process.env.PATIENCE || 90000); // machines may be slow
export const pictures = process.env.PICTURES;
mkdirSync(pictures, {recursive: true});

export const problems = []; // what the console and the page complained of
let expecting = 0; // refusals and broken connections that a test brings about
let count = 0,
    failed = 0;

export function kubectl(...words) {
    return execFileSync(process.env.KUBECTL, words, {encoding: "utf8", stdio: ["ignore", "pipe", "pipe"]}).trim();
}
export function apply(yaml) {
    const done = spawnSync(process.env.KUBECTL, ["apply", "-f", "-"], {input: yaml, encoding: "utf8"});
    if (done.status !== 0) throw new Error(done.stderr);
}
export function minikube(...words) {
    return execFileSync(process.env.MINIKUBE, [...words, "-p", process.env.PROFILE], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
    }).trim();
}
export function link() {
    return minikube("dashboard", "--url");
}
export async function until(what, condition, patience = PATIENCE) {
    const end = Date.now() + patience;
    for (let last; ;) {
        try {
            last = await condition();
            if (last) return last;
        } catch (error) {
            last = error.message;
        }
        if (Date.now() > end) throw new Error(`not within its time: ${what} (${last})`);
        await new Promise(resolve => setTimeout(resolve, 100));
    }
}
export function equals(have, want, what = "") {
    if (JSON.stringify(have) !== JSON.stringify(want))
        throw new Error(`${what}: have ${JSON.stringify(have)}, want ${JSON.stringify(want)}`);
}
export function check(condition, what) {
    if (!condition) throw new Error(what);
}
// Refusals that the test wants do not count as complaints of the console.
export async function whileExpecting(run) {
    expecting++;
    try {
        return await run();
    } finally {
        expecting--;
    }
}

const only = process.env.ONLY ? new RegExp(process.env.ONLY) : null;
let current = null;
export async function ok(name, run) {
    count++;
    if (only && !only.test(name)) return;
    const before = problems.length;
    try {
        await run();
        if (problems.length > before) throw new Error(`the console complains: ${problems.slice(before).join("; ")}`);
        console.log(`ok ${count} - ${name}`);
    } catch (error) {
        failed++;
        console.log(`not ok ${count} - ${name}`);
        console.log(String(error.stack || error).replace(/^/gm, "# "));
        if (current) await current.screenshot({path: `${pictures}/failed-${count}.png`}).catch(() => {});
    }
}
export function end() {
    console.log(`1..${count}`);
    process.exitCode = failed ? 1 : 0;
}

export async function open() {
    return chromium.launch({executablePath: `${process.env.BROWSER_MACHINE}/chromium`, args: flags, env: {...process.env, LANG: "C.UTF-8"}});
}
export async function newPage(browser, {phone = false, theme = "light"} = {}) {
    const context = await browser.newContext({
        ignoreHTTPSErrors: true,
        viewport: phone ? {width: 390, height: 800} : {width: 1440, height: 900},
        colorScheme: theme,
        permissions: ["clipboard-read", "clipboard-write"],
    });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    page.on("console", message => {
        if (message.type() === "error" && !expecting) problems.push(`${message.text()} ${message.location().url}`);
    });
    page.on("pageerror", error => problems.push(`uncaught: ${error.message}`));
    page.on("dialog", dialog => {
        problems.push(`a dialog: ${dialog.message()}`);
        dialog.accept();
    });
    current = page;
    return page;
}
export async function logIn(page) {
    const address = link();
    await page.goto(address);
    await page.waitForSelector("#main .page");
    return address.split("#")[0];
}
export function use(page) {
    current = page;
}
export async function visit(page, hash, selector) {
    await page.evaluate(to => {
        location.hash = to;
    }, hash);
    await page.waitForSelector(selector || "#main .page");
}
// A name in the table, by its link.
export function row(page, name) {
    return page.locator(".grid-body .grid-row", {has: page.locator(`.name a[title="${name}"]`)});
}
export async function axe(page) {
    if (!(await page.evaluate(() => !!window.axe)))
        await page.evaluate(`${readFileSync("node_modules/axe-core/axe.min.js", "utf8")}; undefined`);
    const found = await page.evaluate(() =>
        window.axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}),
    );
    // What axe has found is listed once for a rule and a page.
    return found.violations.map(
        one =>
            `${one.id}: ${one.nodes
                .slice(0, 3)
                .map(node => `${node.target.join(" ")} (${node.failureSummary.split("\n")[1] || ""})`)
                .join(", ")}`,
    );
}
