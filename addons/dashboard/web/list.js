// SPDX-License-Identifier: Apache-2.0
// The table of a kind, with the server's own columns. Only the rows that can be seen are in the page, however many there are.
import {Age, Button, Chip, Component, Empty, Failure, Icon, Loading, View, h} from "/assets/ui.js";
import {kinds, may, rights} from "/assets/api.js";
import {go, href, objectHref, route, setQuery, settings, setting, setSetting} from "/assets/state.js";
import {liveList} from "/assets/live.js";
import {levelOfFraction, levelOfWord, quantity} from "/assets/why.js";
import {bulkActions} from "/assets/actions.js";

const ROW = 38,
    PHONE_ROW = 64,
    OVERSCAN = 8;

// --- filters: words that all have to be there; key=value are labels; status:word looks at the status only ---
export function parseFilter(text) {
    const words = [],
        labels = [],
        states = [];
    for (const word of text.trim().split(/\s+/).filter(Boolean)) {
        if (/^[\w./-]+(=|!=)[\w./-]*$/.test(word)) labels.push(word);
        else if (/^status:/i.test(word)) states.push(word.slice(7).toLowerCase());
        else words.push(word.toLowerCase());
    }
    return {words, labels, states};
}
function hasLabel(labels, wanted) {
    const [, key, operator, value] = /^([^=!]+)(!?=)(.*)$/.exec(wanted);
    return (labels && labels[key] === value) === (operator === "=");
}

function comparable(column, row, index) {
    const value = row.cells[index];
    if (isAge(column)) return -Date.parse(row.object.metadata.creationTimestamp) || 0;
    if (typeof value === "number") return value;
    const text = String(value ?? "");
    if (/^\d+\/\d+$/.test(text)) return Number(text.split("/")[0]) / (Number(text.split("/")[1]) || 1);
    if (/^\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti|n)?$/.test(text)) return quantity(text);
    if (/^\d+ \(/.test(text)) return parseInt(text, 10);
    return text.toLowerCase();
}
function compare(a, b) {
    if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : 0;
    return typeof a === "number" ? -1 : 1;
}
function isAge(column) {
    return column.name === "Age";
}
function isState(column) {
    return ["Status", "Phase", "Type", "Available", "Ready", "Suspend"].includes(column.name);
}

// The width of each column, in characters, from what is in it.
function widths(columns, rows) {
    const step = Math.max(1, Math.floor(rows.length / 200));
    return columns.map((column, i) => {
        let most = column.name.length + 2;
        for (let at = 0; at < rows.length; at += step) {
            const length = isAge(column)
                ? 6
                : String(rows[at].cells[i] ?? "").length + (levelOfWord(String(rows[at].cells[i])) ? 4 : 0);
            if (length > most) most = length;
        }
        return Math.min(most, column.name === "Name" ? 60 : 36);
    });
}

function Cell({column, value, row, kind, isName}) {
    if (isName) {
        const {namespace, name} = row.object.metadata;
        return h("a", {href: objectHref(kind, namespace, name), tabIndex: -1, title: name}, name);
    }
    if (isAge(column)) return h(Age, {time: row.object.metadata.creationTimestamp});
    const text = value === null || value === undefined || value === "" ? "–" : String(value);
    const level = isState(column) && levelOfWord(text);
    if ((level && level !== "ok") || (level && column.name === "Status")) return h(Chip, {level, text, title: text});
    const fraction = levelOfFraction(text);
    if (fraction && !row.cells.some(cell => ["done", "wait"].includes(levelOfWord(cell))))
        return h(
            "span",
            {class: `fraction text-${fraction}`, title: `${text}: fewer than wanted`},
            h(Icon, {name: fraction}),
            text,
        );
    return h("span", {title: text}, text);
}

class Rows extends Component {
    constructor(props) {
        super(props);
        this.onScroll = () => {
            const first = Math.floor(this.element.scrollTop / this.height());
            if (first !== this.state.first) this.setState({first});
        };
        this.state = {first: 0, focus: 0, room: 900};
    }
    height() {
        return this.props.phone ? PHONE_ROW : ROW;
    }
    componentDidMount() {
        this.observer = new ResizeObserver(() => this.setState({room: this.element.clientHeight}));
        this.observer.observe(this.element);
        this.props.handle(this);
    }
    componentWillUnmount() {
        this.observer.disconnect();
    }
    focusRow(index) {
        const last = this.props.rows.length - 1,
            to = Math.max(0, Math.min(index, last)),
            height = this.height(),
            {element} = this;
        const top = to * height,
            head = ROW;
        if (top < element.scrollTop) element.scrollTop = top;
        else if (top + height > element.scrollTop + element.clientHeight - head)
            element.scrollTop = top + height - element.clientHeight + head;
        this.setState({focus: to, first: Math.floor(element.scrollTop / height)}, () => {
            const row = element.querySelector(`[data-index="${to}"]`);
            if (row) row.focus();
        });
    }
    onKey(event) {
        if (event.target.tagName === "INPUT" && event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
        const {focus} = this.state,
            page = Math.max(1, Math.floor(this.state.room / this.height()) - 2);
        const to = {
            ArrowDown: focus + 1,
            j: focus + 1,
            ArrowUp: focus - 1,
            k: focus - 1,
            PageDown: focus + page,
            PageUp: focus - page,
            Home: 0,
            End: Infinity,
        }[event.key];
        const row = this.props.rows[focus];
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        if (to !== undefined) this.focusRow(to);
        else if (event.key === "Enter" && row && event.target.dataset.index !== undefined) this.props.open(row);
        else if ((event.key === "x" || event.key === " ") && row) this.props.select(row);
        else return;
        event.preventDefault();
        event.stopPropagation();
    }
    render(
        {columns, rows, kind, phone, template, sort, onSort, selected, select, open, selectAll, label},
        {first, focus, room},
    ) {
        const height = this.height(),
            from = Math.max(0, Math.min(first, rows.length - 1) - OVERSCAN),
            to = Math.min(rows.length, first + Math.ceil(room / height) + OVERSCAN);
        const focused = Math.min(focus, rows.length - 1);
        const nameAt = Math.max(
            0,
            columns.findIndex(column => column.name === "Name"),
        );
        const visible = rows.slice(from, to);
        const all = rows.length > 0 && rows.every(row => selected.has(row.object.metadata.uid));
        return h(
            "div",
            {
                class: `grid ${phone ? "phone" : ""}`,
                role: "grid",
                "aria-rowcount": String(rows.length + 1),
                "aria-colcount": String(columns.length + 1),
                "aria-label": label,
                "aria-multiselectable": "true",
                onScroll: this.onScroll,
                ref: element => {
                    this.element = element;
                },
                onKeyDown: event => this.onKey(event),
            },
            h(
                "div",
                {
                    class: "grid-row grid-head",
                    role: "row",
                    "aria-rowindex": "1",
                    style: {gridTemplateColumns: template.columns, minWidth: template.width},
                },
                h(
                    "span",
                    {role: "columnheader", class: "cell check"},
                    h("input", {
                        type: "checkbox",
                        "aria-label": "Select all rows",
                        checked: all,
                        onClick: selectAll,
                        tabIndex: rows.length ? 0 : -1,
                    }),
                ),
                columns.map(column => {
                    const at = sort.name === column.name;
                    return h(
                        "span",
                        {
                            role: "columnheader",
                            class: "cell",
                            "aria-sort": at ? (sort.down ? "descending" : "ascending") : "none",
                            title: column.description || null,
                        },
                        h(
                            "button",
                            {type: "button", class: "sort", onClick: () => onSort(column)},
                            h("span", null, column.name),
                            at && h(Icon, {name: sort.down ? "down" : "up"}),
                        ),
                    );
                }),
            ),
            h(
                "div",
                {
                    class: "grid-body",
                    role: "rowgroup",
                    style: {height: `${rows.length * height}px`, minWidth: template.width},
                },
                visible.map((row, i) => {
                    const index = from + i,
                        {uid, name} = row.object.metadata,
                        chosen = selected.has(uid);
                    return h(
                        "div",
                        {
                            key: uid,
                            class: `grid-row ${chosen ? "chosen" : ""}`,
                            role: "row",
                            "aria-rowindex": String(index + 2),
                            "aria-selected": String(chosen),
                            "data-index": String(index),
                            tabIndex: index === focused ? 0 : -1,
                            style: {
                                gridTemplateColumns: template.columns,
                                transform: `translateY(${index * height}px)`,
                            },
                            onFocus: () => {
                                if (this.state.focus !== index) this.setState({focus: index});
                            },
                            onClick: event => {
                                if (!event.target.closest("a, input, button") && !getSelection().toString()) open(row);
                            },
                        },
                        h(
                            "span",
                            {role: "gridcell", class: "cell check"},
                            h("input", {
                                type: "checkbox",
                                "aria-label": `Select ${name}`,
                                checked: chosen,
                                tabIndex: -1,
                                onClick: () => select(row),
                            }),
                        ),
                        columns.map((column, at) =>
                            h(
                                "span",
                                {
                                    role: "gridcell",
                                    class: `cell ${at === nameAt ? "name" : ""} cell-${column.name.toLowerCase().replace(/[^a-z]+/g, "-")}`,
                                },
                                h(Cell, {column, value: row.cells[column.index], row, kind, isName: at === nameAt}),
                            ),
                        ),
                    );
                }),
            ),
        );
    }
}

const phoneQuery = matchMedia("(max-width: 640px)");

export class ListPage extends View {
    constructor(props) {
        super(props);
        this.state = {selected: new Set(), phone: phoneQuery.matches};
        this.onPhone = () => this.setState({phone: phoneQuery.matches});
        this.onSlash = event => {
            if (
                event.key !== "/" ||
                event.ctrlKey ||
                event.metaKey ||
                event.target.closest("input, textarea, select, dialog, .xterm")
            )
                return;
            event.preventDefault();
            this.input.focus();
            this.input.select();
        };
    }
    dependsOn({kind, namespace}) {
        return `${kind.id} ${namespace}`;
    }
    watched({kind, namespace}) {
        this.list = liveList(kind, namespace, {form: "table"});
        this.setState({selected: new Set()});
        return [this.list, route.changed, settings.changed, rights];
    }
    componentDidMount() {
        phoneQuery.addEventListener("change", this.onPhone);
        document.addEventListener("keydown", this.onSlash);
    }
    componentWillUnmount() {
        super.componentWillUnmount();
        phoneQuery.removeEventListener("change", this.onPhone);
        document.removeEventListener("keydown", this.onSlash);
    }
    // The columns that are shown: the server's, its further ones (priority above 0) when asked for, and the namespace.
    columns() {
        const wide = setting("wide", false);
        const columns = (this.list.columns || [])
            .map((column, index) => ({...column, index, name: column.name === "Created At" ? "Age" : column.name}))
            .filter(column => !column.priority || wide);
        if (this.props.kind.namespaced && !this.props.namespace)
            columns.splice(1, 0, {name: "Namespace", index: -1, type: "string"});
        return this.state.phone ? this.phoneColumns(columns) : columns;
    }
    phoneColumns(columns) {
        const state =
            columns.find(column => column.name === "Status") ||
            columns.find(isState) ||
            columns.find(column => column.index > 0 && !isAge(column));
        return columns.filter(
            column =>
                column.name === "Name" || column.name === "Namespace" || column === state || column.name === "Age",
        );
    }
    rows(columns) {
        const {list} = this,
            query = route.query.get("q") || "",
            sortText = route.query.get("sort") || "";
        const key = `${list.id} ${list.stamp} ${list.rows.size} ${query} ${sortText} ${columns.map(column => column.name)}`;
        if (this.cache && this.cacheKey === key) return this.cache;
        const filter = parseFilter(query),
            names = this.list.columns || [];
        const stateAt = names.findIndex(column => column.name === "Status" || column.name === "Phase");
        let rows = list.items.filter(row => {
            if (!filter.words.length && !filter.labels.length && !filter.states.length) return true;
            const metadata = row.object.metadata,
                text = `${metadata.namespace || ""} ${row.cells.join(" ")}`.toLowerCase();
            return (
                filter.words.every(word => text.includes(word)) &&
                filter.labels.every(one => hasLabel(metadata.labels, one)) &&
                filter.states.every(word =>
                    String(stateAt < 0 ? "" : row.cells[stateAt])
                        .toLowerCase()
                        .includes(word),
                )
            );
        });
        const down = sortText.startsWith("-"),
            name = sortText.replace(/^-/, "") || "Name";
        const column = columns.find(one => one.name === name);
        if (column) {
            const keyed = rows.map(row => [
                column.index < 0 ? row.object.metadata.namespace : comparable(column, row, column.index),
                row,
            ]);
            keyed.sort(
                ([a, x], [b, y]) =>
                    (down ? compare(b, a) : compare(a, b)) || compare(x.object.metadata.name, y.object.metadata.name),
            );
            rows = keyed.map(([, row]) => row);
        }
        this.cacheKey = key;
        return (this.cache = rows);
    }
    select(row) {
        const selected = new Set(this.state.selected),
            {uid} = row.object.metadata;
        if (!selected.delete(uid)) selected.add(uid);
        this.setState({selected});
    }
    onSort(column) {
        const now = route.query.get("sort") || "Name";
        setQuery({sort: now === column.name ? `-${column.name}` : column.name === "Name" ? "" : column.name});
    }
    template(columns, rows) {
        if (this.state.phone) return {};
        const sizes = widths(
            columns.map(column => column),
            rows.map(row => ({
                ...row,
                cells: columns.map(column =>
                    column.index < 0 ? row.object.metadata.namespace : row.cells[column.index],
                ),
            })),
        );
        const least = columns.map(
            (column, i) => Math.round(Math.min(sizes[i], column.name === "Name" ? 40 : 26) * 7.6) + 18,
        );
        return {
            columns: `36px ${columns.map((column, i) => `minmax(${least[i]}px, ${i === 0 ? Math.max(2 * least[i], 300) : least[i]}fr)`).join(" ")}`,
            width: `${least.reduce((sum, one) => sum + one, 52)}px`,
        };
    }
    render({kind, namespace}, {selected, phone}) {
        const {list} = this,
            query = route.query.get("q") || "",
            sortText = route.query.get("sort") || "Name";
        const columns = this.columns(),
            rows = list.columns ? this.rows(columns) : [];
        const chosen = rows.filter(row => selected.has(row.object.metadata.uid));
        const withNamespace = rows; // cells of the namespace come from metadata
        const canCreate = kind.verbs.includes("create") && may("create", kind, namespace || "default");
        return h(
            "div",
            {class: "page list-page"},
            h(
                "header",
                {class: "page-head"},
                h(
                    "div",
                    {class: "page-title"},
                    h("h1", null, title(kind)),
                    h(
                        "span",
                        {class: "count", "aria-live": "polite"},
                        list.state === "loading" && !list.rows.size
                            ? ""
                            : query
                              ? `${rows.length} of ${list.rows.size}`
                              : String(list.rows.size),
                    ),
                    list.state === "lost" &&
                        h(Chip, {
                            level: "warn",
                            text: "Not live",
                            title: list.error ? list.error.message : "The connection was lost; trying again.",
                        }),
                ),
                h(
                    "div",
                    {class: "page-tools"},
                    h(
                        "label",
                        {class: "filter"},
                        h(Icon, {name: "search"}),
                        h("input", {
                            type: "search",
                            value: query,
                            placeholder: "text, app=web, status:pending",
                            "aria-label": "Filter rows; press slash to come here",
                            ref: element => {
                                this.input = element;
                            },
                            onInput: event => setQuery({q: event.target.value}),
                            onKeyDown: event => {
                                if (event.key === "Escape") {
                                    setQuery({q: ""});
                                    event.target.blur();
                                } else if (event.key === "Enter" || event.key === "ArrowDown") {
                                    event.preventDefault();
                                    if (this.grid && rows.length) this.grid.focusRow(0);
                                }
                            },
                        }),
                        h("kbd", null, "/"),
                    ),
                    !phone &&
                        (list.columns || []).some(column => column.priority) &&
                        h(Button, {
                            icon: "eye",
                            text: "More columns",
                            kind: "quiet",
                            pressed: setting("wide", false),
                            onClick: () => setSetting("wide", !setting("wide", false)),
                        }),
                    canCreate &&
                        h(Button, {icon: "plus", text: "Create", onClick: () => go(["create"], {kind: kind.id})}),
                ),
            ),
            chosen.length > 0 &&
                h(
                    "div",
                    {class: "selection", role: "toolbar", "aria-label": "Selected rows"},
                    h("span", null, `${chosen.length} selected`),
                    bulkActions(
                        kind,
                        chosen.map(row => row.object),
                        () => this.setState({selected: new Set()}),
                    ),
                    h(Button, {text: "Clear", kind: "quiet", onClick: () => this.setState({selected: new Set()})}),
                ),
            list.state === "failed" && list.error.code !== 401
                ? h(Failure, {error: list.error, what: `list ${title(kind)}`, retry: () => list.retry()})
                : !list.columns || (list.state === "loading" && !list.rows.size)
                  ? list.state === "lost"
                      ? h(Failure, {error: list.error, retry: () => list.retry()})
                      : h(Loading, {text: `Loading ${title(kind)}…`})
                  : !rows.length
                    ? h(
                          Empty,
                          {
                              title: query ? "Nothing matches the filter" : `There are no ${title(kind)} here`,
                              icon: query ? "search" : "list",
                          },
                          query
                              ? h(Button, {text: "Clear the filter", onClick: () => setQuery({q: ""})})
                              : namespace
                                ? h("a", {href: href(["list", kind.id], {ns: ""})}, "Look in all namespaces")
                                : "What is created shows up here by itself.",
                      )
                    : h(Rows, {
                          columns,
                          rows: withNamespace.map(row => decorate(row, columns)),
                          kind,
                          phone,
                          template: this.template(columns, rows),
                          sort: {name: sortText.replace(/^-/, ""), down: sortText.startsWith("-")},
                          onSort: column => this.onSort(column),
                          selected,
                          select: row => this.select(row),
                          label: title(kind),
                          selectAll: () =>
                              this.setState({
                                  selected:
                                      chosen.length === rows.length
                                          ? new Set()
                                          : new Set(rows.map(row => row.object.metadata.uid)),
                              }),
                          open: row =>
                              go(
                                  [
                                      "object",
                                      kind.id,
                                      kind.namespaced ? row.object.metadata.namespace : "-",
                                      row.object.metadata.name,
                                  ],
                                  {ns: namespace},
                              ),
                          handle: grid => {
                              this.grid = grid;
                          },
                      }),
        );
    }
}
// The cell of the namespace is at -1, which no array has.
function decorate(row, columns) {
    if (!columns.some(column => column.index === -1)) return row;
    if (!row.shown) {
        row.shown = {object: row.object, cells: [...row.cells]};
        row.shown.cells[-1] = row.object.metadata.namespace;
    }
    return row.shown;
}

// The kind in the plural: "NetworkPolicies".
export function title({kind}) {
    if (/(Endpoints|Metrics)$/.test(kind)) return kind;
    return /(s|x|ch)$/.test(kind) ? `${kind}es` : /[^aeiou]y$/.test(kind) ? `${kind.slice(0, -1)}ies` : `${kind}s`;
}

export class AllKinds extends View {
    watched() {
        return [kinds.changed];
    }
    render(props, {q = ""}) {
        const wanted = q.toLowerCase(),
            groups = new Map();
        for (const kind of kinds.all) {
            if (
                !kind.verbs.includes("list") ||
                (wanted && !`${kind.kind} ${kind.id} ${kind.shortNames}`.toLowerCase().includes(wanted))
            )
                continue;
            const name = kind.group || "core";
            groups.set(name, [...(groups.get(name) || []), kind]);
        }
        return h(
            "div",
            {class: "page"},
            h(
                "header",
                {class: "page-head"},
                h("div", {class: "page-title"}, h("h1", null, "All kinds")),
                h(
                    "div",
                    {class: "page-tools"},
                    h(
                        "label",
                        {class: "filter"},
                        h(Icon, {name: "search"}),
                        h("input", {
                            type: "search",
                            value: q,
                            placeholder: "Filter kinds",
                            "aria-label": "Filter kinds",
                            onInput: event => this.setState({q: event.target.value}),
                        }),
                    ),
                ),
            ),
            h(
                "div",
                {class: "kind-groups"},
                [...groups].map(([name, members]) =>
                    h(
                        "section",
                        {class: "card", key: name},
                        h("h2", null, name),
                        h(
                            "ul",
                            null,
                            members.map(kind =>
                                h(
                                    "li",
                                    null,
                                    h("a", {href: href(["list", kind.id])}, title(kind)),
                                    h("span", {class: "muted"}, kind.version),
                                ),
                            ),
                        ),
                    ),
                ),
            ),
        );
    }
}
