// SPDX-License-Identifier: Apache-2.0
// What people do with the dashboard, in a real browser before a real cluster, by mouse and by keyboard.
import {execFileSync} from "node:child_process";
import {existsSync, readFileSync} from "node:fs";
import {request as httpsRequest, Agent} from "node:https";
import {
    apply,
    axe,
    check,
    end,
    equals,
    kubectl,
    link,
    logIn,
    minikube,
    newPage,
    ok,
    open,
    pictures,
    row,
    until,
    use,
    visit,
    whileExpecting,
} from "./browser.mjs";

const browser = await open();
let page = await newPage(browser),
    base = "";

const shown = (text, where = page) => where.getByText(text).first().waitFor();
const object = (kind, name, tab = "") =>
    visit(page, `#/object/${kind}/shop/${name}${tab ? `?tab=${tab}` : ""}`, `h1[title="${name}"]`);
const click = name => page.getByRole("button", {name, exact: true}).first().click();
const field = () => page.locator("textarea.editor-text");

// --- log in ---
await ok("a link of minikube logs in, once", async () => {
    const address = link();
    await page.goto(address);
    await page.waitForSelector(".overview");
    check(!page.url().includes("code="), "the code stays in the address");
    base = address.split("#")[0];
    const other = await newPage(browser);
    await whileExpecting(async () => {
        await other.goto(address);
        await other.getByText("the link has been used").waitFor();
    });
    await other.context().close();
    use(page);
});
await ok("a token and a kubeconfig log in, and what is wrong with them is said", async () => {
    const other = await newPage(browser);
    await other.goto(base);
    await other.getByLabel("Token").fill("nonsense");
    await whileExpecting(async () => {
        await other.keyboard.press("Enter");
        await other.getByText("does not accept these credentials").waitFor();
    });
    equals(await other.getByLabel("Token").inputValue(), "nonsense", "the input is lost");
    await other.getByLabel("Token").fill(kubectl("create", "token", "default", "-n", "shop"));
    await whileExpecting(async () => {
        // who may do nothing is refused a lot
        await other.keyboard.press("Enter");
        await other.waitForSelector(".overview");
        await other.getByText("Nothing can be seen here").waitFor();
        await other.getByRole("button", {name: "Logged in as system:serviceaccount:shop:default"}).click();
        await other.getByRole("menuitem", {name: "Log out"}).click();
        await other.getByRole("radio", {name: "Kubeconfig"}).click();
    });
    await other.locator("textarea").fill(kubectl("config", "view", "--flatten", "--minify", "--raw"));
    await other.getByRole("button", {name: "Log in", exact: true}).click();
    await other.waitForSelector(".overview");
    await other.context().close();
    use(page);
});

// --- find ---
await ok("the overview says what is not well, with its reason in plain words", async () => {
    await visit(page, "#/", ".overview");
    await shown("ends soon after every start");
    await shown("No node can take the pod");
    await shown(/things need attention/);
    await page.locator(".finding code", {hasText: "--previous"}).first().waitFor();
});
await ok("every kind that the server serves has its table", async () => {
    await visit(page, "#/kinds", ".kind-groups a");
    const links = (
        await page.locator(".kind-groups a").evaluateAll(all => all.map(one => one.getAttribute("href")))
    ).filter(one => !one.includes("componentstatuses")); // listed, but not served
    check(links.length > 40, `${links.length} kinds`);
    for (const address of links) await visit(page, address, ".list-page .grid, .list-page .state-title");
    equals(await page.locator("[role=alert]").count(), 0, "alerts");
});
await ok("kinds that come and go while the page is open show up", async () => {
    await visit(page, "#/kinds", ".kind-groups a");
    const kind = page.getByRole("link", {name: "PodMetrics", exact: true});
    await kind.first().waitFor();
    minikube("addons", "disable", "metrics-server");
    await kind.first().waitFor({state: "detached"});
    minikube("addons", "enable", "metrics-server");
    await kind.first().click();
    await page.locator(".grid-body .grid-row").first().waitFor();
});
await ok("tables are live, are sorted and filtered, and their addresses can be sent on", async () => {
    await visit(page, "#/list/configmaps?ns=shop", ".grid-body");
    kubectl("create", "configmap", "newborn", "-n", "shop");
    await row(page, "newborn").waitFor();
    kubectl("delete", "configmap", "newborn", "-n", "shop");
    await row(page, "newborn").waitFor({state: "detached"});
    await visit(page, "#/list/pods?ns=shop", ".grid-body");
    await page.getByLabel("Filter rows").fill("app=web");
    await until("only pods of web", async () => (await page.locator(".grid-body .grid-row").count()) === 3);
    check(page.url().includes("q=app%3Dweb"), page.url());
    await page.getByLabel("Filter rows").fill("status:pending");
    await until(
        "only what waits",
        async () => (await page.locator(".grid-body .name").allTextContents()).join() === "huge",
    );
    await page.getByLabel("Filter rows").fill("");
    await page.getByRole("button", {name: "Name"}).click();
    await until("it is turned round", async () => {
        const names = await page.locator(".grid-body .name").allTextContents();
        return names.length > 5 && names.join() === [...names].sort().reverse().join();
    });
    const other = await page.context().newPage();
    await other.goto(page.url());
    await other.locator("[aria-sort=descending]").waitFor();
    await other.close();
});
await ok("all of that goes by keyboard", async () => {
    await visit(page, "#/", ".overview");
    await page.keyboard.press("g");
    await page.keyboard.press("p");
    await page.waitForSelector(".grid-body");
    await page.keyboard.press("/");
    await page.keyboard.type("chatty");
    await until("one row", async () => (await page.locator(".grid-body .grid-row").count()) === 1);
    await page.keyboard.press("Enter");
    await page.keyboard.press("Enter");
    await page.waitForSelector('h1[title="chatty"]');
    await page.keyboard.press("Control+k");
    await page.keyboard.type("deployment shop web");
    await page.locator("[role=option][aria-selected=true]", {hasText: "web"}).waitFor();
    await page.keyboard.press("Enter");
    await page.waitForSelector('h1[title="web"]');
    await page.keyboard.press("?");
    await page.getByRole("heading", {name: "Keyboard"}).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("heading", {name: "Keyboard"}).waitFor({state: "detached"});
});

// --- understand ---
await ok("a pod that crashes is explained on its page, with the command that says the same", async () => {
    await object(
        "pods",
        kubectl("get", "pods", "-n", "shop", "-l", "app=payments", "-o", "jsonpath={.items[0].metadata.name}"),
    );
    await page.locator(".why", {hasText: "exit code 3"}).waitFor();
    await page.locator(".why code", {hasText: "kubectl logs"}).waitFor();
    await page.locator("#conditions").waitFor();
    await page.locator(".event-list .chip", {hasText: "BackOff"}).first().waitFor();
});
await ok("what belongs together is drawn together", async () => {
    const names = async () => page.locator(".graph-node .graph-kind").allTextContents();
    await object("deployments.apps", "web");
    await until("its ReplicaSet and pods", async () => (await names()).join() === "Deployment,ReplicaSet,Pod,Pod,Pod");
    await object("services", "web");
    await until("ingress, slices and pods", async () => {
        const all = await names();
        return (
            all.includes("Ingress") && all.includes("EndpointSlice") && all.filter(one => one === "Pod").length === 3
        );
    });
    await object("persistentvolumeclaims", "data-db-0");
    await until("pod and volume", async () => {
        const all = await names();
        return all.includes("Pod") && all.includes("PersistentVolume");
    });
});
await ok("the map has nodes with their load, and lights the pods of a service", async () => {
    await visit(page, "#/map", ".map-node .pod");
    equals((await page.locator(".map-node .icon-done").count()) >= 2, true, "two nodes");
    await page.locator(".map-node .gauge").first().waitFor();
    await page.locator(".map-services a", {hasText: "web"}).first().hover();
    await until("three pods", async () => (await page.locator(".pod.lit").count()) === 3);
});
await ok("load is drawn against requests and limits", async () => {
    await object(
        "pods",
        kubectl("get", "pods", "-n", "shop", "-l", "app=web", "-o", "jsonpath={.items[0].metadata.name}"),
    );
    await page.locator(".spark").first().waitFor();
    await page.locator(".legend-limit").first().waitFor();
});

// --- act ---
await ok("scaling: by key, with the input kept when it is wrong", async () => {
    await object("deployments.apps", "web");
    await page.locator(".button", {hasText: "Scale"}).waitFor();
    await page.keyboard.press("s");
    await page.getByLabel("Replicas").fill("2");
    await page.keyboard.press("Enter");
    await until(
        "two replicas",
        () => kubectl("get", "deployment", "web", "-n", "shop", "-o", "jsonpath={.spec.replicas}") === "2",
    );
    await shown("2 ready, 2 up to date, of 2");
});
await ok("restart, pause, resume", async () => {
    await click("Restart");
    await until("a new template", () =>
        kubectl(
            "get",
            "deployment",
            "web",
            "-n",
            "shop",
            "-o",
            "jsonpath={.spec.template.metadata.annotations}",
        ).includes("restartedAt"),
    );
    for (const [item, wanted] of [
        ["Pause rollout", "true"],
        ["Resume rollout", ""],
    ]) {
        await page.getByRole("button", {name: "Actions", exact: true}).click();
        await page.getByRole("menuitem", {name: item}).click();
        await until(
            item,
            () =>
                kubectl("get", "deployment", "web", "-n", "shop", "-o", "jsonpath={.spec.paused}").replace(
                    "false",
                    "",
                ) === wanted,
        );
        await page.getByRole("heading", {name: wanted ? "web" : "web", exact: true}).waitFor();
        await until(
            "the page knows",
            async () => (await page.locator(".why", {hasText: "paused"}).count()) === (wanted ? 1 : 0),
        );
    }
});
await ok("undo shows the difference first, and goes back", async () => {
    kubectl("set", "image", "deployment/web", "hello=hello:v2", "-n", "shop");
    kubectl("rollout", "status", "deployment/web", "-n", "shop");
    await until("the revisions", async () => (await page.locator(".revisions li").count()) >= 3);
    await page.keyboard.press("u");
    await page.locator(".diff-line.minus", {hasText: "hello:v2"}).waitFor();
    await page.locator(".diff-line.plus", {hasText: "hello:v1"}).waitFor();
    await page.getByRole("button", {name: /Go back to revision/}).click();
    await until(
        "the old image",
        () =>
            kubectl(
                "get",
                "deployment",
                "web",
                "-n",
                "shop",
                "-o",
                "jsonpath={.spec.template.spec.containers[0].image}",
            ) === "hello:v1",
    );
});
await ok("YAML: the server tries it, the difference is shown, then it is saved", async () => {
    await object("configmaps", "settings", "yaml");
    await click("Edit");
    const text = await field().inputValue();
    await field().fill(text.replace("colour: blue", "colour: green"));
    await page.keyboard.press("Control+s");
    await page.locator(".diff-line.plus", {hasText: "green"}).waitFor();
    equals(
        kubectl("get", "configmap", "settings", "-n", "shop", "-o", "jsonpath={.data.colour}"),
        "blue",
        "before it is saved",
    );
    await click("Save");
    await until(
        "it is saved",
        () => kubectl("get", "configmap", "settings", "-n", "shop", "-o", "jsonpath={.data.colour}") === "green",
    );
});
await ok("YAML: what the server refuses is told, and stays in the field", async () => {
    await object("deployments.apps", "web", "yaml");
    await click("Edit");
    const wrong = (await field().inputValue()).replace(/^  replicas: .*/m, "  replicas: many\n  nonsense: 1");
    await field().fill(wrong);
    await whileExpecting(async () => {
        await click("Review the change");
        await page.locator(".notice.bad").waitFor();
    });
    equals(await field().inputValue(), wrong, "the text");
    await field().fill("a: [");
    await whileExpecting(async () => {
        await click("Review the change");
        await page.locator(".notice.bad", {hasText: "line"}).waitFor();
    });
    await click("Discard");
});
await ok("YAML: changes of others are merged, or shown where they cannot be", async () => {
    await object("configmaps", "settings", "yaml");
    await click("Edit");
    await field().fill((await field().inputValue()).replace("colour: green", "colour: red"));
    kubectl("label", "configmap", "settings", "-n", "shop", "by=other");
    await whileExpecting(async () => {
        await click("Review the change");
        await shown("Their changes are in the text below");
    });
    check(
        /by: other/.test(await field().inputValue()) && /colour: red/.test(await field().inputValue()),
        await field().inputValue(),
    );
    kubectl("patch", "configmap", "settings", "-n", "shop", "-p", '{"data":{"colour":"yellow"}}');
    await whileExpecting(async () => {
        await click("Review the change");
        await shown("Somebody else changed the same lines");
    });
    const both = await field().inputValue();
    check(/<<<<<<<[^]*colour: red[^]*=======[^]*colour: yellow[^]*>>>>>>>/.test(both), both);
    check(
        await page.getByRole("button", {name: "Review the change"}).isDisabled(),
        "it can be saved with the marks in it",
    );
    await field().fill(both.replace(/<<<<<<<.*\n([^]*?)=======\n[^]*?>>>>>>>.*\n/, "$1"));
    await click("Review the change");
    await click("Save");
    await until(
        "mine won",
        () =>
            kubectl(
                "get",
                "configmap",
                "settings",
                "-n",
                "shop",
                "-o",
                "jsonpath={.data.colour} {.metadata.labels.by}",
            ) === "red other",
    );
});
await ok("what is written as YAML is read back the same", async () => {
    const texts = [
        "",
        " ",
        "a",
        "a b",
        " a",
        "a ",
        "yes",
        "NO",
        "y",
        "null",
        "~",
        "true",
        "1",
        "1.0",
        "1e3",
        "0x1f",
        "0b1",
        "012",
        "0o7",
        "1_000",
        "1:30",
        ".5",
        "+1",
        "-1",
        "-",
        "?",
        ":",
        "a:",
        "a: b",
        "a:b",
        ":a",
        "#a",
        "a #b",
        "a#b",
        "- a",
        "[]",
        "{}",
        "[a",
        "{a: b}",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "|",
        ">",
        "=",
        "<<",
        "'a'",
        '"a"',
        "a'b",
        "a\\b",
        "2001-01-01",
        "2001-01-01T00:00:00Z",
        ".inf",
        ".NaN",
        "---",
        "...",
        "--- a",
        "a\n",
        "a\nb",
        "a\nb\n",
        "a\n\nb\n\n",
        "\na",
        "\n",
        "\n\n",
        " a\nb",
        "a\n b\n",
        "a \nb",
        "a\t",
        "\ta\nb",
        "a\r\nb",
        "\u001b[0m",
        "\u0085",
        "\u00a0",
        "\u2028a\nb",
        "\ufeffa",
        "ä\nö\n",
        "😀",
        "😀\nb\n",
        "a\n#b\n",
        "a\n---\nb",
        "x".repeat(900),
        "/a/b",
        "a@b.c",
        "kubectl get pods --all",
        "a.b/c-d_e",
    ];
    const wrong = await page.evaluate(async all => {
        const [{toYaml}, {request}] = await Promise.all([import("/assets/yaml.js"), import("/assets/api.js")]);
        const objects = [
            ...all.map(text => ({
                value: text,
                list: [text, [text, text], {[`k${text}`]: text, z: {y: text}}],
                object: {[text]: 1, more: {[text]: text}},
            })),
            {
                a: [],
                b: {},
                c: [[], {}],
                d: [[1, [2, {e: 3}]]],
                f: null,
                g: -1.5,
                h: [null, false],
                i: [{j: []}, {k: {}}],
            },
        ];
        const found = [];
        for (const object of objects) {
            const text = toYaml(object),
                back = await request("/yaml", {method: "POST", body: text, type: "application/yaml"}).catch(error => [
                    error.message,
                ]);
            const order = value =>
                Array.isArray(value)
                    ? value.map(order)
                    : value && typeof value === "object"
                      ? Object.fromEntries(
                            Object.entries(value)
                                .sort(([x], [y]) => (x < y ? -1 : 1))
                                .map(([name, member]) => [name, order(member)]),
                        )
                      : value;
            if (JSON.stringify(order(back)) !== JSON.stringify(order([object])))
                found.push(`${JSON.stringify(object.value)}: ${JSON.stringify(back).slice(0, 200)}`);
        }
        return found;
    }, texts);
    equals(wrong, [], "read back");
});
await ok("YAML: what is being typed stays when the object is made anew", async () => {
    kubectl("create", "configmap", "again", "-n", "shop", "--from-literal=a=1");
    await object("configmaps", "again", "yaml");
    await click("Edit");
    const text = (await field().inputValue()).replace('a: "1"', 'a: "mine"');
    await field().fill(text);
    kubectl("delete", "configmap", "again", "-n", "shop");
    await page.locator(".page-title .chip", {hasText: "Deleted"}).waitFor();
    kubectl("create", "configmap", "again", "-n", "shop", "--from-literal=a=1");
    await page.locator(".page-title .chip", {hasText: "Deleted"}).waitFor({state: "detached"});
    equals(await field().inputValue(), text, "the text");
});
await ok("the editor offers fields, and says what they mean", async () => {
    await visit(page, "#/create?kind=deployments.apps&ns=shop", "textarea.editor-text");
    const text = await field().inputValue();
    await field().evaluate(
        (area, at) => {
            area.focus();
            area.setSelectionRange(at, at);
        },
        text.indexOf("replicas") + 3,
    );
    await page.keyboard.press("ArrowRight");
    await page.locator(".doc", {hasText: "spec.replicas"}).waitFor();
    await field().evaluate((area, at) => {
        area.focus();
        area.setSelectionRange(at, at);
    }, text.indexOf("\n        image:"));
    await page.keyboard.press("Enter"); // which indents
    await page.keyboard.type("imagePull");
    await page.keyboard.press("Control+Space");
    await page.locator(".options li", {hasText: "imagePullPolicy"}).waitFor();
    await page.keyboard.press("Enter");
    check((await field().inputValue()).includes("\n        imagePullPolicy: "), await field().inputValue());
    await field().fill(text);
});
await ok("create: tried first, then made, several at once", async () => {
    await visit(page, "#/create?ns=shop", "textarea.editor-text");
    await field().fill(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: made-1}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: Wrong}\n",
    );
    await whileExpecting(async () => {
        await click("Try it");
        await page.locator(".results .chip", {hasText: "Refused"}).waitFor();
    });
    await page.locator(".results .chip", {hasText: "Would be created"}).waitFor();
    equals(kubectl("get", "configmaps", "-n", "shop", "-o", "name").includes("made-1"), false, "nothing is made yet");
    await field().fill(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: made-1}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: made-2}\n",
    );
    await click("Create");
    await until(
        "both",
        () => kubectl("get", "configmaps", "-n", "shop", "-o", "name").match(/made-[12]/g).length === 2,
    );
});
await ok("create: a form writes the YAML", async () => {
    await visit(page, "#/create?ns=shop", "textarea.editor-text");
    await click("Form…");
    await page.locator("dialog").getByLabel("Name", {exact: true}).fill("formed");
    await page.locator("dialog").getByLabel("Image").fill("hello:v1");
    await page.locator("dialog").getByLabel("Port that it listens on").fill("nonsense");
    await page.keyboard.press("Enter");
    await page.locator("dialog [role=alert]", {hasText: "Port"}).waitFor();
    await page.locator("dialog").getByLabel("Port that it listens on").fill("8080");
    await page.keyboard.press("Enter");
    await until("the text is there", async () =>
        /kind: Deployment[^]*---[^]*kind: Service/.test(await field().inputValue()),
    );
    await click("Create");
    await until(
        "it serves",
        () =>
            kubectl("get", "endpoints", "formed", "-n", "shop", "-o", "jsonpath={.subsets[0].addresses[0].ip}") !== "",
    );
    kubectl("delete", "deployment,service", "formed", "-n", "shop");
});
await ok("delete shows what goes along", async () => {
    await object("jobs.batch", "report");
    await page.locator(".graph-node", {hasText: "Pod"}).first().waitFor();
    await page.keyboard.press("d");
    await shown("object that it owns goes along");
    await page.locator("dialog").getByRole("button", {name: "Delete", exact: true}).click();
    await until("it is gone", () => !kubectl("get", "jobs,pods", "-n", "shop", "-o", "name").includes("report"));
});
await ok("several rows are deleted together", async () => {
    await visit(page, "#/list/configmaps?ns=shop&q=made", ".grid-body");
    await page.getByLabel("Select all rows").click();
    await page.locator(".selection").getByRole("button", {name: "Delete…"}).click();
    await page.locator("dialog").getByRole("button", {name: "Delete", exact: true}).click();
    await shown("Nothing matches the filter");
});
await ok("logs follow, of all pods of an owner in one stream, with hostile codes made harmless", async () => {
    await object("pods", "chatty", "logs");
    await page.locator(".log-line .ansi-red", {hasText: "line"}).first().waitFor();
    const first = await page.locator(".log-line").first().textContent();
    check(first.includes("<script>alert(1)</script>") && !first.includes("owned") && !first.includes("\u001b"), first);
    const before = await page.locator(".log-line").count();
    await until("it goes on", async () => (await page.locator(".log-line").count()) > before);
    await page.getByLabel("Show lines with").fill("line 1 ");
    await until("one line", async () => (await page.locator(".log-line:visible").count()) === 1);
    await object("deployments.apps", "payments", "logs");
    await page.locator(".log-source", {hasText: "payments-"}).first().waitFor();
    await page.getByLabel("Previous run").click();
    await page.locator(".log-line", {hasText: "the bank refuses"}).first().waitFor();
});
await ok("terminals: typed, resized, several", async () => {
    await object("pods", "chatty", "terminal");
    await page.locator(".xterm").waitFor();
    const inPod = file => kubectl("exec", "-n", "shop", "chatty", "--", "cat", file);
    // A shell takes what is typed once it is there.
    await until("the command ran", async () => {
        await page.locator(".xterm-helper-textarea").first().focus();
        await page.keyboard.type("stty size > /tmp/size\n");
        return /^\d+ \d+$/.test(inPod("/tmp/size"));
    });
    const size = inPod("/tmp/size").split(" ").map(Number);
    check(size[1] > 100, `columns: ${size}`);
    await page.setViewportSize({width: 1000, height: 700});
    await until("it is smaller", async () => {
        await page.keyboard.type("stty size > /tmp/size\n");
        return Number(inPod("/tmp/size").split(" ")[1]) < size[1];
    });
    await page.setViewportSize({width: 1440, height: 900});
    await click("New shell");
    await until("a second one", async () => (await page.locator(".terminal-tab").count()) === 2);
    await page.evaluate(() => navigator.clipboard.writeText("echo pasted > /tmp/pasted\n"));
    await until("it is pasted", async () => {
        await page.locator(".terminal-holder:visible .xterm-helper-textarea").focus();
        await page.keyboard.press("Control+Shift+V");
        await page.keyboard.press("Enter");
        return inPod("/tmp/pasted") === "pasted";
    });
});
const curl = ["curl", "-sf", "--max-time", "5"];
const output = (command, ...words) => {
    try {
        return execFileSync(command, words, {encoding: "utf8"});
    } catch {
        return "";
    }
};
const answers = address => output(`${process.env.BROWSER_MACHINE}/in-browser`, ...curl, address);
const answersTheHost = address => output(...curl, address);
await ok("a port of a pod gets a link, for this address alone, until it is closed or the pod goes", async () => {
    const pod = kubectl("get", "pods", "-n", "shop", "-l", "app=web", "-o", "name").split("\n")[0].slice(4);
    await object("pods", pod);
    await page.getByRole("button", {name: "Make a link to port 8080"}).click();
    const link = page.locator(".port a");
    await link.waitFor();
    const address = await link.getAttribute("href");
    equals(new URL(address).hostname, new URL(base).hostname, address);
    for (let i = 0; i < 3; i++) check(answers(address).includes(`Hello from ${pod}`), "no answer");
    const [other] = await Promise.all([page.context().waitForEvent("page"), link.click()]);
    await other.getByText(`Hello from ${pod}`).waitFor();
    await other.close();
    equals(answersTheHost(address), "", "another address is let in");
    await page.reload();
    await page.locator(".port a").waitFor(); // the server knows it
    await page.screenshot({path: `${pictures}/port-light.png`});
    await page.getByRole("button", {name: "Close the link to port 8080"}).click();
    await until("it is closed", () => answers(address) === "");
    await page.getByRole("button", {name: "Make a link to port 8080"}).click();
    await link.waitFor();
    const again = await link.getAttribute("href");
    check(answers(again).includes(pod), "no answer");
    kubectl("delete", "pod", "-n", "shop", pod, "--wait=false");
    await until("it closes with the pod", () => answers(again) === "");
});
await ok("nodes: cordon, and drain with what it would evict", async () => {
    const name = kubectl("get", "nodes", "-o", "jsonpath={.items[1].metadata.name}");
    await visit(page, `#/object/nodes/-/${name}`, `h1[title="${name}"]`);
    await click("Cordon");
    await until(
        "it is cordoned",
        () => kubectl("get", "node", name, "-o", "jsonpath={.spec.unschedulable}") === "true",
    );
    await page.getByRole("button", {name: "Actions", exact: true}).click();
    await page.getByRole("menuitem", {name: "Drain…"}).click();
    await page.getByRole("heading", {name: /^Stay/}).waitFor();
    if (await page.getByLabel("Delete those that belong to nobody").count())
        await page.getByLabel("Delete those that belong to nobody").click();
    await page.locator("dialog").getByRole("button", {name: "Drain", exact: true}).click();
    await until(
        "only the DaemonSet's pod is left",
        () =>
            kubectl(
                "get",
                "pods",
                "-n",
                "shop",
                "--field-selector",
                `spec.nodeName=${name}`,
                "-o",
                "jsonpath={.items[*].metadata.labels.app}",
            ) === "agent",
    );
    await page.locator("dialog").waitFor({state: "detached"});
    await click("Uncordon");
    await until(
        "it takes pods again",
        () => kubectl("get", "node", name, "-o", "jsonpath={.spec.unschedulable}") === "",
    );
    apply(readFileSync("sample.yaml", "utf8")); // pods that belonged to nobody are gone
    await until(
        "they are back",
        () => kubectl("get", "pod", "chatty", "-n", "shop", "-o", "jsonpath={.status.phase}") === "Running",
    );
});

// --- trust ---
await ok("secrets are veiled until they are asked for", async () => {
    await object("secrets", "credentials");
    await page.locator(".veil").first().waitFor();
    check(!(await page.content()).includes("unveiled-only-when-asked"), "it is in the page");
    await page.getByRole("button", {name: "Show password"}).click();
    await shown("unveiled-only-when-asked");
    await object("secrets", "credentials", "yaml");
    await page.locator(".code", {hasText: "••••"}).waitFor();
    check(
        !(await page.content()).includes(Buffer.from("unveiled-only-when-asked").toString("base64")),
        "it is in the YAML",
    );
});
await ok("hostile texts stay texts", async () => {
    await object("configmaps", "settings");
    await shown("<img src=x onerror=alert(1)>");
    await shown("<script>alert(1)</script>");
    equals(await page.locator("#app img[src='x'], #app script").count(), 0, "elements");
});
await ok("an object where a text belongs is no element, and .. is no name", async () => {
    const [made, error] = await page.evaluate(async () => {
        const [{h, render}, {request}] = await Promise.all([import("/assets/ui.js"), import("/assets/api.js")]);
        const evil = {nodeName: "b", attributes: {title: "owned"}, children: []},
            into = document.createElement("div");
        render(h("p", null, evil, [h("i", null, "mine"), [evil]]), into);
        const answer = await request("/api/v1/namespaces/shop/pods/..").catch(failure => failure);
        return [`${into.querySelectorAll("b").length} ${into.querySelectorAll("i").length}`, answer.code];
    });
    equals(made, "0 1", "elements");
    equals(error, 400, "the request");
});
await ok("what the user may not do is shown as such", async () => {
    kubectl("create", "rolebinding", "viewer", "-n", "shop", "--clusterrole=view", "--serviceaccount=shop:default");
    const other = await newPage(browser);
    await other.goto(base);
    await other.getByLabel("Token").fill(kubectl("create", "token", "default", "-n", "shop"));
    await other.keyboard.press("Enter");
    await whileExpecting(async () => {
        await other.getByText("You may not list").waitFor();
        await other.getByPlaceholder("Namespace").fill("shop");
        await other.keyboard.press("Enter");
        await other.getByText("No node can take the pod").first().waitFor();
        await visit(other, "#/list/secrets?ns=shop", ".state-title");
        await other.getByText("You may not list Secrets").waitFor();
        await visit(other, "#/object/deployments.apps/shop/web", 'h1[title="web"]');
        await until("restarting is not offered", () => other.getByRole("button", {name: "Restart"}).isDisabled());
        await other.getByRole("button", {name: "Actions", exact: true}).click();
        await until("nor is deleting", () => other.getByRole("menuitem", {name: "Delete…"}).isDisabled());
    });
    await other.context().close();
    use(page);
});
await ok("a slow server is told", async () => {
    await visit(page, "#/", ".overview");
    await page.route("**/api/v1/**", async route => {
        await new Promise(resolve => setTimeout(resolve, 4000));
        await route.continue().catch(() => {});
    });
    await visit(page, "#/list/endpoints?ns=shop", ".list-page");
    await page.getByText("The server is slow to answer").waitFor();
    await page.unroute("**/api/v1/**");
    await page.locator(".connection.ok").waitFor();
    await page.locator(".grid-body").waitFor();
});
await ok("a killed API server is told and survived: the table goes on", async () => {
    await visit(page, "#/list/configmaps?ns=shop", ".grid-body");
    await whileExpecting(async () => {
        process.kill(
            Number(readFileSync(`${process.env.PROFILE_FOLDER}/run/kube-apiserver.pid`, "utf8").split(" ")[0]),
            "SIGKILL",
        );
        await page.getByText("Connection lost, trying again").waitFor();
        await until("the server is back", () => kubectl("get", "--raw", "/readyz") === "ok");
        await page.locator(".connection.ok").waitFor();
        kubectl("create", "configmap", "after", "-n", "shop");
        await row(page, "after").waitFor();
    });
});
await ok("a session that ends is told, and nothing that was typed is lost", async () => {
    await object("configmaps", "after", "yaml");
    await click("Edit");
    const text = `${(await field().inputValue()).replace(/^metadata:/m, "data:\n  kept: words\nmetadata:")}`;
    await field().fill(text);
    await whileExpecting(async () => {
        process.kill(
            Number(
                readFileSync(`${process.env.PROFILE_FOLDER}/run/dashboard-${process.env.PROFILE}.pid`, "utf8").split(
                    " ",
                )[0],
            ),
            "SIGKILL",
        );
        await page.getByText("The session of minikube-user has ended").waitFor();
        await page.getByRole("radio", {name: "Kubeconfig"}).click();
        await page.locator(".login-over textarea").fill(kubectl("config", "view", "--flatten", "--minify", "--raw"));
        await page.locator(".login-over").getByRole("button", {name: "Log in", exact: true}).click();
        await page.locator(".login-over").waitFor({state: "detached"});
    });
    equals(await field().inputValue(), text, "the text");
    await click("Review the change");
    await click("Save");
    await until(
        "it is saved",
        () => kubectl("get", "configmap", "after", "-n", "shop", "-o", "jsonpath={.data.kept}") === "words",
    );
});

// --- looks ---
const views = [
    ["overview", "#/", ".finding"],
    ["pods", "#/list/pods", ".grid-body .grid-row"],
    ["deployment", "#/object/deployments.apps/shop/web", ".graph-node"],
    ["crashing", null, ".why"],
    ["yaml", "#/object/deployments.apps/shop/web?tab=yaml", ".code"],
    ["logs", "#/object/pods/shop/chatty?tab=logs", ".log-line"],
    ["terminal", "#/object/pods/shop/chatty?tab=terminal", ".xterm"],
    ["map", "#/map", ".pod"],
    ["create", "#/create?kind=deployments.apps", "textarea.editor-text"],
    ["kinds", "#/kinds", ".kind-groups a"],
    ["secret", "#/object/secrets/shop/credentials", ".veil"],
];
for (const theme of ["light", "dark"])
    await ok(`ten views in ${theme} colours: pictures, and axe finds nothing`, async () => {
        const other = await newPage(browser, {theme}),
            found = [];
        await other.goto(base);
        await other.screenshot({path: `${pictures}/login-${theme}.png`});
        found.push(...(await axe(other)).map(text => `login: ${text}`));
        await logIn(other);
        const crashing = kubectl(
            "get",
            "pods",
            "-n",
            "shop",
            "-l",
            "app=payments",
            "-o",
            "jsonpath={.items[0].metadata.name}",
        );
        for (const [name, address, selector] of views) {
            await visit(other, address || `#/object/pods/shop/${crashing}`, selector);
            await other.evaluate(() =>
                document.fonts.ready.then(
                    () => new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve))),
                ),
            );
            await other.waitForLoadState("networkidle");
            found.push(...(await axe(other)).map(text => `${name}: ${text}`));
            await other.screenshot({path: `${pictures}/${name}-${theme}.png`});
        }
        await visit(other, "#/object/deployments.apps/shop/web", 'h1[title="web"]');
        await other.keyboard.press("Control+k");
        await other.locator(".palette li").first().waitFor();
        found.push(...(await axe(other)).map(text => `palette: ${text}`));
        await other.screenshot({path: `${pictures}/palette-${theme}.png`});
        await other.context().close();
        use(page);
        equals(found, [], "axe");
    });
await ok("a phone shows it all without scrolling sideways", async () => {
    const other = await newPage(browser, {phone: true}),
        found = [];
    await logIn(other);
    for (const [name, address, selector] of views.filter(([, where]) => where)) {
        await visit(other, address, selector);
        const wide = await other.evaluate(
            () =>
                Math.max(document.documentElement.scrollWidth, document.getElementById("main").scrollWidth) -
                innerWidth,
        );
        if (wide > 0) found.push(`${name} is ${wide} pixels too wide`);
        found.push(...(await axe(other)).map(text => `${name}: ${text}`));
        await other.screenshot({path: `${pictures}/${name}-phone.png`});
    }
    await other.getByRole("button", {name: "Navigation"}).click();
    await other.getByRole("link", {name: "Services", exact: true}).click();
    await other.locator(".grid-body").waitFor();
    await other.context().close();
    use(page);
    equals(found, [], "on a phone");
});

// --- much ---
function makePods(count) {
    const config = JSON.parse(kubectl("config", "view", "--flatten", "--minify", "--raw", "-o", "json")),
        decode = text => Buffer.from(text, "base64");
    const {server} = config.clusters[0].cluster,
        user = config.users[0].user;
    const agent = new Agent({
        keepAlive: true,
        maxSockets: 32,
        ca: decode(config.clusters[0].cluster["certificate-authority-data"]),
        cert: decode(user["client-certificate-data"]),
        key: decode(user["client-key-data"]),
    });
    const make = i =>
        new Promise((resolve, reject) => {
            const body = JSON.stringify({
                apiVersion: "v1",
                kind: "Pod",
                metadata: {
                    name: `pod-${String(i).padStart(5, "0")}`,
                    namespace: "many",
                    labels: {shard: String(i % 10)},
                },
                spec: {
                    automountServiceAccountToken: false,
                    schedulingGates: [{name: "example.com/hold"}],
                    containers: [{name: "c", image: "hello:v1"}],
                },
            });
            const call = httpsRequest(
                `${server}/api/v1/namespaces/many/pods`,
                {
                    method: "POST",
                    agent,
                    headers: {"Content-Type": "application/json", "Content-Length": Buffer.byteLength(body)},
                },
                answer => {
                    answer.resume();
                    answer.on("end", () =>
                        [201, 409].includes(answer.statusCode)
                            ? resolve()
                            : reject(new Error(`HTTP ${answer.statusCode}`)),
                    );
                },
            );
            call.on("error", reject);
            call.end(body);
        });
    let next = 0;
    return Promise.all(
        Array.from({length: 32}, async () => {
            while (next < count) await make(next++);
        }),
    ).finally(() => agent.destroy());
}
await ok("10,000 pods are listed, scrolled and filtered, with few rows in the page", async () => {
    kubectl("create", "namespace", "many");
    kubectl("create", "serviceaccount", "default", "-n", "many", "--dry-run=client");
    await until("the account is there", () => kubectl("get", "serviceaccount", "default", "-n", "many"));
    await makePods(10000);
    await visit(page, "#/list/pods?ns=many", ".grid-body");
    await until("all are there", async () => (await page.locator(".count").textContent()) === "10000");
    check((await page.locator(".grid-row").count()) < 100, "rows in the page");
    await page.locator(".grid-body .grid-row").first().focus();
    await page.keyboard.press("End");
    await row(page, "pod-09999").waitFor();
    await page.locator(".grid").evaluate(element => {
        element.scrollTop = element.scrollHeight / 2;
    });
    await row(page, "pod-05000").waitFor();
    await page.getByLabel("Filter rows").fill("pod-0777");
    await until("ten", async () => (await page.locator(".grid-body .grid-row").count()) === 10);
    await page.screenshot({path: `${pictures}/many-light.png`});
    await visit(page, "#/?ns=many", ".finding-more");
    await visit(page, "#/map?ns=many", ".pod");
});

// --- figures ---
const paint = [];
for (let i = 0; i < 5; i++) {
    const other = await newPage(browser);
    await other.goto(base);
    await other.waitForSelector(".login-card");
    paint.push(await other.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime));
    await other.context().close();
}
console.log(`# first paint: ${paint.map(Math.round).join(", ")} ms`);
console.log(
    `# resident memory of the server: ${execFileSync("sed", ["-n", "s/VmRSS:\\s*//p", `/proc/${readFileSync(`${process.env.PROFILE_FOLDER}/run/dashboard-${process.env.PROFILE}.pid`, "utf8").split(" ")[0]}/status`], {encoding: "utf8"}).trim()}`,
);
await ok("the page is small", async () => {
    const sizes = execFileSync("sh", ["-c", `cat "$0"/*.gz | wc -c`, process.env.ASSETS], {encoding: "utf8"});
    console.log(`# compressed: ${sizes.trim()} bytes`);
    check(Number(sizes) < 400000, sizes);
});
await browser.close(); // or its pages would complain that nobody answers them
await ok("the addon goes as it came", async () => {
    minikube("addons", "disable", "dashboard");
    await until("its process has ended", () => !existsSync(`${process.env.PROFILE_FOLDER}/run/dashboard.sock`));
    await until("its namespace has gone", () => !kubectl("get", "namespaces", "-o", "name").includes("dashboard"));
});
end();
