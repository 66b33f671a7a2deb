// SPDX-License-Identifier: Apache-2.0
// Small drawings: a bar of parts, a gauge, and a line over time against what was asked for and what is allowed.
import {h} from "/assets/ui.js";

export function cpuText(cores) {
    return cores >= 10
        ? `${cores.toFixed(0)} cores`
        : cores >= 1
          ? `${cores.toFixed(1)} cores`
          : `${Math.round(cores * 1000)}m`;
}
export function bytesText(bytes) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let at = 0;
    while (bytes >= 1024 && at < units.length - 1) {
        bytes /= 1024;
        at++;
    }
    return `${bytes >= 100 || at === 0 ? bytes.toFixed(0) : bytes.toFixed(1)} ${units[at]}`;
}

// parts: [{level, count, text}]
export function Parts({parts, label}) {
    const all = parts.reduce((sum, part) => sum + part.count, 0) || 1;
    return h(
        "div",
        {
            class: "parts",
            role: "img",
            "aria-label": `${label}: ${
                parts
                    .filter(part => part.count)
                    .map(part => `${part.count} ${part.text}`)
                    .join(", ") || "none"
            }`,
        },
        parts
            .filter(part => part.count)
            .map(part => h("span", {class: `part part-${part.level}`, style: {width: `${(part.count / all) * 100}%`}})),
    );
}

export function Gauge({value, of, label, text}) {
    const share = of > 0 ? Math.min(1, value / of) : 0,
        level = share > 0.9 ? "bad" : share > 0.75 ? "warn" : "ok";
    return h(
        "div",
        {class: "gauge"},
        h("div", {class: "gauge-head"}, h("span", null, label), h("span", {class: "gauge-text"}, text)),
        h(
            "div",
            {
                class: "gauge-bar",
                role: "meter",
                "aria-valuenow": String(Math.round(share * 100)),
                "aria-valuemin": "0",
                "aria-valuemax": "100",
                "aria-label": `${label}: ${text}`,
            },
            h("span", {class: `part part-${level === "ok" ? "accent" : level}`, style: {width: `${share * 100}%`}}),
        ),
    );
}

// points: [{at, value}], marks: [{value, text}] as dashed lines.
export function Sparkline({points, marks = [], format, label}) {
    const width = 300,
        height = 72,
        shown = marks.filter(mark => mark.value > 0);
    const top = Math.max(...points.map(point => point.value), ...shown.map(mark => mark.value), 1e-9) * 1.1;
    const from = points.length ? points[0].at : 0,
        span = Math.max(1, points.length ? points[points.length - 1].at - from : 1);
    const x = at => (points.length < 2 ? width : ((at - from) / span) * width),
        y = value => height - (value / top) * height;
    const line = points
        .map((point, i) => `${i ? "L" : "M"}${x(point.at).toFixed(1)} ${y(point.value).toFixed(1)}`)
        .join("");
    const last = points[points.length - 1];
    return h(
        "figure",
        {class: "spark"},
        h("figcaption", null, h("span", null, label), h("strong", null, last ? format(last.value) : "–")),
        h(
            "svg",
            {
                viewBox: `0 0 ${width} ${height}`,
                preserveAspectRatio: "none",
                role: "img",
                "aria-label": `${label}: ${last ? `now ${format(last.value)}` : "no figures yet"}${shown.map(mark => `, ${mark.text} ${format(mark.value)}`).join("")}`,
            },
            points.length > 1 && h("path", {class: "spark-area", d: `${line}L${width} ${height}L0 ${height}Z`}),
            points.length > 1 && h("path", {class: "spark-line", d: line}),
            shown.map(mark =>
                h("path", {class: `spark-mark spark-${mark.text}`, d: `M0 ${y(mark.value).toFixed(1)}H${width}`}),
            ),
        ),
        h(
            "div",
            {class: "spark-legend"},
            shown.map(mark => h("span", {class: `legend legend-${mark.text}`}, `${mark.text} ${format(mark.value)}`)),
            !shown.length && h("span", null, "no request or limit"),
        ),
    );
}
