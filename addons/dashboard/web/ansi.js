// SPDX-License-Identifier: Apache-2.0
// Lines of logs: colours are kept, everything else that a terminal would obey is dropped. Pieces are {text, style}, and texts
// only ever become text nodes.

// CSI, OSC and the like (with their content), single escapes, and control characters but the tab.
const sequence =
    /\x1b\[([0-9;]*)m|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?|[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;
// Characters that turn text around, so that it reads otherwise than it is.
const turning = /[\u202a-\u202e\u2066-\u2069\u200e\u200f]/g;
const names = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

function apply(style, codes) {
    const all = codes === "" ? [0] : codes.split(";").map(Number);
    for (let i = 0; i < all.length; i++) {
        const code = all[i];
        if (code === 0) style = {};
        else if (code === 1) style = {...style, bold: true};
        else if (code === 22) style = {...style, bold: false};
        else if (code >= 30 && code <= 37) style = {...style, color: names[code - 30]};
        else if (code >= 90 && code <= 97) style = {...style, color: names[code - 90]};
        else if (code === 39) style = {...style, color: null};
        else if (code === 38 || code === 48) i += all[i + 1] === 5 ? 2 : all[i + 1] === 2 ? 4 : 0;
    }
    return style;
}
export function pieces(line) {
    const found = [];
    let style = {},
        at = 0;
    const push = text => {
        if (text) found.push({text: text.replace(turning, "\ufffd"), style});
    };
    for (const match of line.matchAll(sequence)) {
        push(line.slice(at, match.index));
        if (match[1] !== undefined) style = apply(style, match[1]);
        at = match.index + match[0].length;
    }
    push(line.slice(at));
    return found;
}
export function plainText(line) {
    return pieces(line)
        .map(piece => piece.text)
        .join("");
}
