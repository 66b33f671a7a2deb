// SPDX-License-Identifier: Apache-2.0
// The YAML of an object. Nothing is saved before the server has tried it and its answer was shown as a difference. A change that
// somebody else made meanwhile is merged, or shown where it cannot be.
import {Button, Chip, Component, Copy, Icon, View, h, toast} from "/assets/ui.js";
import {loadSchema, may, objectPath, request, rights} from "/assets/api.js";
import {Diff, Highlighted, forPeople, merge, toYaml} from "/assets/yaml.js";
import {complete, pathAt} from "/assets/schema.js";

export const STRICT = "fieldValidation=Strict";

// The documents of a text, by the server: there is no other reader of YAML here.
export async function parse(text) {
    const documents = await request("/yaml", {method: "POST", body: text, type: "application/yaml"});
    return documents.filter(one => one !== null);
}

// --- the field: a plain text area, so that the browser's own keys, undo and readers work; lines, keys and completion beside ---
export class Field extends Component {
    constructor(props) {
        super(props);
        this.state = {options: [], at: 0, doc: null};
    }
    componentDidMount() {
        this.look();
    }
    insert(text, from = this.area.selectionStart, to = this.area.selectionEnd) {
        this.area.focus();
        this.area.setSelectionRange(from, to);
        // The browser's own undo knows of what is inserted this way.
        if (!document.execCommand("insertText", false, text)) {
            this.area.setRangeText(text, from, to, "end");
            this.props.onChange(this.area.value);
        }
    }
    // What may stand where the cursor is, and what it means.
    async look(open) {
        const {kind} = this.props,
            {value, selectionStart} = this.area,
            spot = pathAt(value, selectionStart),
            mine = (this.round = {});
        if (!kind) return;
        try {
            const found = complete(await loadSchema(kind), kind, spot);
            if (mine !== this.round) return;
            this.setState({
                doc: found.doc,
                options: open || this.state.options.length ? found.options : [],
                at: 0,
                spot,
            });
        } catch {
            /* without documentation, then */
        }
    }
    choose(option) {
        const {spot} = this.state;
        this.setState({options: []});
        this.insert(option.text.slice(0) + (option.suffix || ""), spot.from, spot.to);
    }
    onKey(event) {
        const {options, at} = this.state,
            {area} = this;
        if (options.length) {
            const to = {ArrowDown: at + 1, ArrowUp: at - 1}[event.key];
            if (to !== undefined) {
                event.preventDefault();
                this.setState({at: (to + options.length) % options.length});
                return;
            }
            if (event.key === "Enter") {
                event.preventDefault();
                this.choose(options[at]);
                return;
            }
            if (event.key === "Escape") {
                event.preventDefault();
                event.stopPropagation();
                this.setState({options: []});
                return;
            }
        }
        if (event.key === " " && event.ctrlKey) {
            event.preventDefault();
            this.look(true);
        } else if (event.key === "s" && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            if (this.props.onSave) this.props.onSave();
        } else if (event.key === "Enter") {
            event.preventDefault();
            const line = area.value.slice(0, area.selectionStart).split("\n").pop();
            const indent = /^\s*/.exec(line)[0] + (/^\s*- /.test(line) ? "  " : "") + (/:\s*$/.test(line) ? "  " : "");
            this.insert(`\n${indent}`);
        }
    }
    render({text, onChange, label, readOnly}, {options, at, doc}) {
        const lines = text.split("\n").length;
        return h(
            "div",
            {class: "editor"},
            h(
                "div",
                {class: "editor-field"},
                h(
                    "div",
                    {
                        class: "editor-lines",
                        "aria-hidden": "true",
                        ref: element => {
                            this.gutter = element;
                        },
                    },
                    Array.from({length: lines}, (_, i) => h("span", null, String(i + 1))),
                ),
                h("textarea", {
                    class: "editor-text",
                    spellcheck: false,
                    autocapitalize: "off",
                    autocomplete: "off",
                    wrap: "off",
                    "aria-label": label,
                    readOnly,
                    value: text,
                    ref: element => {
                        this.area = element;
                    },
                    onInput: event => {
                        onChange(event.target.value);
                        this.look(/[\w]/.test(event.data || "") && this.state.options.length > 0);
                    },
                    onKeyDown: event => this.onKey(event),
                    onKeyUp: event => {
                        if (/^Arrow|^Page|^Home|^End/.test(event.key) && !options.length) this.look();
                    },
                    onClick: () => {
                        this.setState({options: []});
                        this.look();
                    },
                    onScroll: event => {
                        this.gutter.scrollTop = event.target.scrollTop;
                    },
                }),
            ),
            h(
                "aside",
                {class: "editor-help", "aria-live": "polite"},
                options.length
                    ? h(
                          "ul",
                          {class: "options", role: "listbox", "aria-label": "What may stand here"},
                          options.slice(0, 60).map((option, i) =>
                              h(
                                  "li",
                                  {
                                      role: "option",
                                      "aria-selected": String(i === at),
                                      onMouseDown: event => {
                                          event.preventDefault();
                                          this.choose(option);
                                      },
                                  },
                                  h("code", null, option.text),
                                  option.type && h("span", {class: "muted"}, option.type),
                                  i === at && option.doc && h("p", null, option.doc),
                              ),
                          ),
                      )
                    : doc
                      ? h(
                            "div",
                            {class: "doc"},
                            h(
                                "p",
                                null,
                                h("code", null, doc.name),
                                doc.type && h("span", {class: "muted"}, ` ${doc.type}`),
                            ),
                            h("p", null, doc.text || "There is no documentation of it."),
                            doc.values && h("p", {class: "muted"}, `One of: ${doc.values.join(", ")}`),
                        )
                      : h("p", {class: "muted"}, "Place the cursor on a field to read what it means."),
                h(
                    "p",
                    {class: "muted small"},
                    h("kbd", null, "Ctrl"),
                    " ",
                    h("kbd", null, "Space"),
                    " offers what may stand here.",
                ),
            ),
        );
    }
}

export function Problem({error}) {
    const causes = (error.details && error.details.causes) || [];
    return h(
        "div",
        {class: "notice bad", role: "alert"},
        h(Icon, {name: "bad"}),
        h(
            "div",
            null,
            h("p", null, error.message),
            causes.length > 1 &&
                h(
                    "ul",
                    null,
                    causes.map(cause => h("li", null, h("code", null, cause.field), ` ${cause.message}`)),
                ),
        ),
    );
}

// --- an object that there is ---
// States: reading; editing; reviewing (what the server made of it, beside what there is).
export class Editor extends View {
    constructor(props) {
        super(props);
        const text = toYaml(forPeople(props.object));
        this.state = {mode: "read", base: props.object, baseText: text, text, full: false};
        this.onLeave = event => {
            if (this.changed()) event.preventDefault();
        };
    }
    watched() {
        return [rights];
    }
    componentDidMount() {
        addEventListener("beforeunload", this.onLeave);
    }
    componentWillUnmount() {
        super.componentWillUnmount();
        removeEventListener("beforeunload", this.onLeave);
    }
    changed() {
        return this.state.mode !== "read" && this.state.text !== this.state.baseText;
    }
    begin() {
        const text = toYaml(forPeople(this.props.object));
        this.setState({mode: "edit", base: this.props.object, baseText: text, text, error: null, conflict: null});
    }
    path(query) {
        const {kind, object} = this.props;
        return `${objectPath(kind, object.metadata.namespace, object.metadata.name)}?${query}`;
    }
    async body() {
        const documents = await parse(this.state.text),
            {base} = this.state;
        if (documents.length !== 1 || typeof documents[0] !== "object" || Array.isArray(documents[0]))
            throw new Error("One YAML document is needed here.");
        const body = documents[0];
        if (
            !body.metadata ||
            body.metadata.name !== base.metadata.name ||
            (body.metadata.namespace || "") !== (base.metadata.namespace || "")
        )
            throw new Error(
                "metadata.name and metadata.namespace cannot be changed: that would be another object. Create it instead.",
            );
        body.metadata.resourceVersion = base.metadata.resourceVersion;
        return body;
    }
    async review() {
        this.setState({busy: true, error: null});
        try {
            const body = await this.body();
            const answer = await request(this.path(`dryRun=All&${STRICT}`), {method: "PUT", body});
            this.setState({
                busy: false,
                mode: "review",
                before: toYaml(forPeople(this.state.base)),
                after: toYaml(forPeople(answer)),
            });
        } catch (error) {
            if (error.code === 409) await this.meet();
            else this.setState({busy: false, error});
        }
    }
    async save() {
        this.setState({busy: true, error: null});
        try {
            const body = await this.body();
            await request(this.path(STRICT), {method: "PUT", body});
            this.setState({busy: false, mode: "read"});
            toast(`${body.metadata.name} is saved`);
        } catch (error) {
            if (error.code === 409) await this.meet();
            else this.setState({busy: false, mode: "edit", error});
        }
    }
    // Somebody was faster: both changes in one text, from what they both began with.
    async meet() {
        try {
            const {kind, object} = this.props;
            const now = {
                ...(await request(objectPath(kind, object.metadata.namespace, object.metadata.name))),
                apiVersion: kind.apiVersion,
                kind: kind.kind,
            };
            const theirs = toYaml(forPeople(now)),
                strip = text => text.replace(/^  (resourceVersion|generation): .*\n/gm, "");
            const {text, conflicts} = merge(strip(this.state.baseText), strip(this.state.text), strip(theirs));
            this.setState({
                busy: false,
                mode: "edit",
                base: now,
                baseText: theirs,
                text,
                error: null,
                conflict: conflicts || "merged",
            });
        } catch (error) {
            this.setState({busy: false, mode: "edit", error});
        }
    }
    render({kind, object}, {mode, text, error, busy, before, after, conflict, full}) {
        const shown = toYaml(forPeople(object, {status: full})),
            mayEdit = may("update", kind, object.metadata.namespace, {name: object.metadata.name});
        const marked = /^(<<<<<<<|=======|>>>>>>>)/m.test(text);
        if (mode === "read")
            return h(
                "div",
                {class: "yaml-view"},
                h(
                    "div",
                    {class: "bar-tools"},
                    h(Button, {
                        icon: "edit",
                        text: "Edit",
                        kind: "primary",
                        disabled: mayEdit === false || !kind.verbs.includes("update"),
                        title: mayEdit === false ? "You may not change it" : null,
                        onClick: () => this.begin(),
                    }),
                    h(
                        "label",
                        {class: "check"},
                        h("input", {type: "checkbox", checked: full, onClick: () => this.setState({full: !full})}),
                        h("span", null, "With its status"),
                    ),
                    h(Copy, {text: shown, label: "Copy the YAML"}),
                ),
                kind.kind === "Secret" ? h(Veiled, {text: shown}) : h(Highlighted, {text: shown}),
            );
        return h(
            "div",
            {class: "yaml-view"},
            h(
                "div",
                {class: "bar-tools"},
                mode === "edit"
                    ? h(Button, {
                          text: busy ? "The server tries it…" : "Review the change",
                          kind: "primary",
                          disabled: busy || marked || !this.changed(),
                          onClick: () => this.review(),
                      })
                    : [
                          h(Button, {
                              text: busy ? "Saving…" : "Save",
                              kind: "primary",
                              disabled: busy,
                              autofocus: true,
                              onClick: () => this.save(),
                          }),
                          h(Button, {text: "Back to the text", onClick: () => this.setState({mode: "edit"})}),
                      ],
                h(Button, {text: "Discard", onClick: () => this.setState({mode: "read", error: null, conflict: null})}),
                mode === "review" && h(Chip, {level: "ok", text: "The server takes it"}),
            ),
            error && h(Problem, {error}),
            conflict &&
                mode === "edit" &&
                h(
                    "div",
                    {class: `notice ${conflict === "merged" ? "" : "bad"}`, role: "alert"},
                    h(Icon, {name: conflict === "merged" ? "info" : "warn"}),
                    h(
                        "span",
                        null,
                        conflict === "merged"
                            ? "Somebody else changed it meanwhile. Their changes are in the text below, beside yours; look at it, and review again."
                            : "Somebody else changed the same lines meanwhile. Both versions are in the text between <<<<<<< and >>>>>>>; leave what is right, and review again.",
                    ),
                ),
            mode === "edit"
                ? h(Field, {
                      kind,
                      text,
                      label: `YAML of ${object.metadata.name}`,
                      onChange: value => this.setState({text: value}),
                      onSave: () => {
                          if (this.changed() && !marked) this.review();
                      },
                  })
                : h(
                      "div",
                      null,
                      h("p", {class: "muted"}, "This is what the server would make of it:"),
                      h(Diff, {before, after}),
                  ),
        );
    }
}
// The values of a Secret stay veiled in its YAML, too.
class Veiled extends Component {
    render({text}, {open}) {
        let inside = false;
        const veiled = text
            .split("\n")
            .map(line => {
                if (/^\S/.test(line)) inside = /^(data|stringData):/.test(line);
                return inside && /^ +\S+:/.test(line) ? line.replace(/: .*/, ": ••••••••") : line;
            })
            .join("\n");
        return h(
            "div",
            null,
            h(
                "p",
                null,
                h(Button, {
                    icon: open ? "lock" : "eye",
                    text: open ? "Veil the values" : "Show the values",
                    small: true,
                    onClick: () => this.setState({open: !open}),
                }),
            ),
            h(Highlighted, {text: open ? text : veiled}),
        );
    }
}
