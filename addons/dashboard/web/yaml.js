// SPDX-License-Identifier: Apache-2.0
// Objects as YAML text, differences between texts, and merges of them. (YAML is read by the server: POST /yaml.)
import {h} from "/assets/ui.js";

const plain = /^[A-Za-z_/][\w./@-]*( [\w./@-]+)*$/;
const special = /^(y|n|yes|no|on|off|true|false|null|~|\.inf|\.nan)$/i;

// As JSON has it, but for characters that YAML takes for ends of lines, or not at all.
function quoted(text) {
    return JSON.stringify(text).replace(
        /[\x7f-\xa0\u2028\u2029\ufeff]/g,
        character => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
}
function scalar(value) {
    if (typeof value !== "string") return String(value);
    return plain.test(value) && !special.test(value) ? value : quoted(value);
}
function key(text) {
    return /^[A-Za-z_][\w./-]*$/.test(text) && !special.test(text) ? text : quoted(text);
}
// A block scalar shows lines as lines; it cannot hold everything.
function block(text, indent) {
    if (
        !text.includes("\n") ||
        /[^\n\t\x20-\x7e\u00a1-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]/.test(text) ||
        /^[ \n]/.test(text) ||
        /^\t/m.test(text) ||
        /[ \t]\n|[ \t]$/.test(text)
    )
        return null;
    const end = text.endsWith("\n\n") ? "+" : text.endsWith("\n") ? "" : "-";
    const lines = (end === "-" ? text : text.slice(0, -1)).split("\n");
    return `|${end}\n${lines.map(line => (line ? indent + line : "")).join("\n")}`;
}
function write(value, indent, lines, lead) {
    for (const [name, member] of Object.entries(value)) {
        const start = `${lead ?? indent}${key(name)}:`;
        lead = null;
        if (member && typeof member === "object") {
            const empty = Array.isArray(member) ? !member.length : !Object.keys(member).length;
            if (empty) lines.push(`${start} ${Array.isArray(member) ? "[]" : "{}"}`);
            else {
                lines.push(start);
                if (Array.isArray(member)) member.forEach(item => writeItem(item, indent, lines));
                else write(member, `${indent}  `, lines, null);
            }
        } else {
            lines.push(`${start} ${(typeof member === "string" && block(member, `${indent}  `)) || scalar(member)}`);
        }
    }
}
function writeItem(item, indent, lines) {
    if (item && typeof item === "object") {
        const empty = Array.isArray(item) ? !item.length : !Object.keys(item).length;
        if (empty) lines.push(`${indent}- ${Array.isArray(item) ? "[]" : "{}"}`);
        else if (Array.isArray(item)) {
            lines.push(`${indent}-`);
            item.forEach(inner => writeItem(inner, `${indent}  `, lines));
        } else write(item, `${indent}  `, lines, `${indent}- `);
    } else {
        lines.push(`${indent}- ${(typeof item === "string" && block(item, `${indent}  `)) || scalar(item)}`);
    }
}
export function toYaml(object) {
    const lines = [];
    write(object, "", lines, null);
    return lines.join("\n") + "\n";
}

// The object as people edit it: without what only the server writes for itself.
export function forPeople(object, {status = false} = {}) {
    const copy = structuredClone(object);
    if (copy.metadata) delete copy.metadata.managedFields;
    if (!status) delete copy.status;
    const {apiVersion, kind, metadata: {name, namespace, labels, annotations, ...others} = {}, ...rest} = copy;
    const metadata = Object.fromEntries(
        Object.entries({name, namespace, labels, annotations, ...others}).filter(([, value]) => value !== undefined),
    );
    return {apiVersion, kind, metadata, ...rest};
}

// --- lines that two texts have in common: Myers' algorithm, within bounds ---
function common(a, b) {
    let start = 0,
        endA = a.length,
        endB = b.length;
    while (start < endA && start < endB && a[start] === b[start]) start++;
    while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) {
        endA--;
        endB--;
    }
    const pairs = [];
    for (let i = 0; i < start; i++) pairs.push([i, i]);
    const n = endA - start,
        m = endB - start,
        most = Math.min(n + m, 1500),
        trace = [];
    let v = new Map([[1, 0]]),
        found = false;
    for (let d = 0; d <= most && !found; d++) {
        trace.push(new Map(v));
        for (let k = -d; k <= d; k += 2) {
            let x =
                k === -d || (k !== d && (v.get(k - 1) ?? -1) < (v.get(k + 1) ?? -1)) ? v.get(k + 1) : v.get(k - 1) + 1;
            let y = x - k;
            while (x < n && y < m && a[start + x] === b[start + y]) {
                x++;
                y++;
            }
            v.set(k, x);
            if (x >= n && y >= m) {
                found = true;
                break;
            }
        }
    }
    const middle = [];
    if (found) {
        let x = n,
            y = m;
        for (let d = trace.length - 1; d >= 0 && (x > 0 || y > 0); d--) {
            const before = trace[d],
                k = x - y;
            const from = k === -d || (k !== d && (before.get(k - 1) ?? -1) < (before.get(k + 1) ?? -1)) ? k + 1 : k - 1;
            const fromX = d ? before.get(from) : 0,
                fromY = d ? fromX - from : 0;
            while (x > fromX && y > fromY) {
                x--;
                y--;
                middle.push([start + x, start + y]);
            }
            x = fromX;
            y = fromY;
        }
        middle.reverse();
    }
    pairs.push(...middle);
    for (let i = 0; endA + i < a.length; i++) pairs.push([endA + i, endB + i]);
    return pairs;
}

// Rows of {sign: " " | "-" | "+", text}.
export function diffLines(before, after) {
    const a = before.split("\n"),
        b = after.split("\n"),
        rows = [];
    let i = 0,
        j = 0;
    for (const [x, y] of [...common(a, b), [a.length, b.length]]) {
        while (i < x) rows.push({sign: "-", text: a[i++]});
        while (j < y) rows.push({sign: "+", text: b[j++]});
        if (x < a.length) {
            rows.push({sign: " ", text: a[x]});
            i++;
            j++;
        }
    }
    return rows;
}
// Both changes to a text in one; where both change the same lines differently there are marks, and conflicts counts them.
export function merge(base, mine, theirs) {
    const o = base.split("\n"),
        a = mine.split("\n"),
        b = theirs.split("\n");
    const inA = new Map(common(o, a)),
        inB = new Map(common(o, b)),
        out = [];
    let i = 0,
        x = 0,
        y = 0,
        conflicts = 0;
    while (i <= o.length) {
        let next = i;
        while (next < o.length && !(inA.has(next) && inB.has(next))) next++;
        const toA = next < o.length ? inA.get(next) : a.length,
            toB = next < o.length ? inB.get(next) : b.length;
        const was = o.slice(i, next).join("\n"),
            ours = a.slice(x, toA),
            other = b.slice(y, toB);
        if (ours.join("\n") === other.join("\n") || (other.join("\n") === was && other.length === next - i))
            out.push(...ours);
        else if (ours.join("\n") === was && ours.length === next - i) out.push(...other);
        else {
            conflicts++;
            out.push("<<<<<<< yours", ...ours, "=======", ...other, ">>>>>>> the server's");
        }
        if (next < o.length) out.push(o[next]);
        i = next + 1;
        x = toA + 1;
        y = toB + 1;
    }
    return {text: out.join("\n"), conflicts};
}

export function Diff({before, after, label}) {
    const rows = diffLines(before.replace(/\n$/, ""), after.replace(/\n$/, "")),
        near = 3;
    const changed = rows.map((row, i) => (row.sign !== " " ? i : -1)).filter(i => i >= 0);
    if (!changed.length) return h("p", {class: "muted"}, "There is no difference.");
    const shown = [];
    let gap = false;
    rows.forEach((row, i) => {
        if (changed.some(at => Math.abs(at - i) <= near)) {
            shown.push(row);
            gap = false;
        } else if (!gap) {
            shown.push({sign: "…", text: ""});
            gap = true;
        }
    });
    return h(
        "div",
        {class: "diff", role: "figure", "aria-label": label || "Difference", tabIndex: 0},
        shown.map(row =>
            h(
                "div",
                {class: `diff-line ${{"+": "plus", "-": "minus", "…": "gap"}[row.sign] || ""}`},
                h("span", {class: "sign", "aria-label": {"+": "added", "-": "removed"}[row.sign] || null}, row.sign),
                h("span", null, row.text),
            ),
        ),
    );
}

// YAML with its keys told apart from values.
export function Highlighted({text}) {
    return h(
        "pre",
        {class: "code", tabIndex: 0, "aria-label": "YAML"},
        text.split("\n").map((line, i) => {
            const match = /^(\s*(?:- )*)([^\s:#"][^:]*|"(?:[^"\\]|\\.)*")(:)( .*)?$/.exec(line);
            return h(
                "span",
                {class: "code-line", key: i},
                match
                    ? [
                          match[1],
                          h("span", {class: "code-key"}, match[2]),
                          ":",
                          match[4] && h("span", {class: "code-value"}, match[4]),
                      ]
                    : line,
                "\n",
            );
        }),
    );
}
