// SPDX-License-Identifier: Apache-2.0
// Logs of a pod, or of all pods of an owner in one stream. Lines are put into the page as they come, some thousands at most.
import {Button, Chip, Component, Empty, Icon, View, h, toast} from "/assets/ui.js";
import {kinds, objectPath, request, stream} from "/assets/api.js";
import {liveList} from "/assets/live.js";
import {pieces, plainText} from "/assets/ansi.js";

const LINES = 5000,
    STREAMS = 20,
    COLOURS = 8;

// The pods whose logs an object's are.
function selectorOf(object) {
    if (object.kind === "Job") return `batch.kubernetes.io/job-name=${object.metadata.name}`;
    const selector = object.spec.selector || {};
    return [
        ...Object.entries(selector.matchLabels || {}).map(([key, value]) => `${key}=${value}`),
        ...(selector.matchExpressions || []).map(
            ({key, operator, values}) =>
                ({
                    In: `${key} in (${(values || []).join(",")})`,
                    NotIn: `${key} notin (${(values || []).join(",")})`,
                    Exists: key,
                    DoesNotExist: `!${key}`,
                })[operator],
        ),
    ].join(",");
}

// What is written as it comes, outside of the components: they would look at every line each time.
class Screen extends Component {
    shouldComponentUpdate() {
        return false;
    }
    componentDidMount() {
        this.props.handle(this);
    }
    clear() {
        this.base.textContent = "";
        this.tail = new Map();
    }
    atEnd() {
        return this.base.scrollHeight - this.base.scrollTop - this.base.clientHeight < 40;
    }
    make({source, colour, text, stamp}, search) {
        const line = document.createElement("div");
        line.className = "log-line";
        if (source) {
            const name = document.createElement("span");
            name.className = `log-source log-colour-${colour}`;
            name.textContent = source;
            line.append(name);
        }
        if (stamp) {
            const time = document.createElement("span");
            time.className = "log-time";
            time.textContent = stamp;
            line.append(time);
        }
        const body = document.createElement("span");
        body.className = "log-text";
        for (const piece of pieces(text)) {
            const span = document.createElement("span");
            span.textContent = piece.text;
            if (piece.style.color) span.className = `ansi-${piece.style.color}`;
            if (piece.style.bold) span.classList.add("ansi-bold");
            body.append(span);
        }
        line.append(body);
        line.hidden = !!search && !line.textContent.toLowerCase().includes(search);
        return line;
    }
    add(lines, search, follow) {
        const fragment = document.createDocumentFragment();
        for (const line of lines.slice(-LINES)) fragment.append(this.make(line, search));
        this.base.append(fragment);
        for (let over = this.base.childElementCount - LINES; over > 0; over--) this.base.firstElementChild.remove();
        if (follow) this.base.scrollTop = this.base.scrollHeight;
    }
    search(text) {
        let found = 0;
        for (const line of this.base.children) {
            line.hidden = !!text && !line.textContent.toLowerCase().includes(text);
            if (!line.hidden) found++;
        }
        return found;
    }
    render() {
        return h("div", {class: "log-screen", role: "log", tabIndex: 0, "aria-label": "Log", "aria-live": "off"});
    }
}

export default class Logs extends View {
    constructor(props) {
        super(props);
        this.state = {
            container: "",
            follow: true,
            previous: false,
            wrap: true,
            times: false,
            since: "",
            search: "",
            states: {},
        };
        this.streams = new Map(); // by pod and container: what ends it
        this.pending = [];
    }
    dependsOn({object}) {
        return object.metadata.uid;
    }
    watched({kind, object}) {
        this.pods =
            kind.kind === "Pod"
                ? null
                : liveList(kinds.byId.get("pods"), object.metadata.namespace, {label: selectorOf(object)});
        return this.pods
            ? [
                  {
                      subscribe: () =>
                          this.pods.subscribe(() => {
                              this.follow();
                              this.setState({});
                          }),
                  },
              ]
            : [];
    }
    componentDidMount() {
        this.timer = setInterval(() => this.flush(), 100);
        this.follow();
    }
    componentWillUnmount() {
        super.componentWillUnmount();
        clearInterval(this.timer);
        this.stop();
    }
    stop() {
        for (const end of this.streams.values()) end();
        this.streams.clear();
        this.pending = [];
    }
    restart(changes) {
        this.setState(changes, () => {
            this.stop();
            if (this.screen) this.screen.clear();
            this.setState({states: {}});
            this.follow();
        });
    }
    list() {
        return this.pods ? this.pods.items : [this.props.object];
    }
    containers() {
        const names = new Set();
        for (const pod of this.list())
            for (const one of [
                ...(pod.spec.containers || []),
                ...(pod.spec.initContainers || []),
                ...(pod.spec.ephemeralContainers || []),
            ])
                names.add(one.name);
        return [...names];
    }
    sources() {
        const found = [];
        for (const pod of this.list().slice(0, STREAMS)) {
            const names = this.state.container ? [this.state.container] : pod.spec.containers.map(one => one.name);
            for (const name of names)
                if (
                    [
                        ...(pod.spec.containers || []),
                        ...(pod.spec.initContainers || []),
                        ...(pod.spec.ephemeralContainers || []),
                    ].some(one => one.name === name)
                )
                    found.push({pod, container: name});
        }
        return found.slice(0, STREAMS);
    }
    path({pod, container}, more) {
        const {previous, since} = this.state,
            query = new URLSearchParams({container, timestamps: "true", ...more});
        if (previous) query.set("previous", "true");
        if (since) query.set("sinceSeconds", since);
        return `${objectPath(kinds.byId.get("pods"), pod.metadata.namespace, pod.metadata.name, "log")}?${query}`;
    }
    // Opens what is not open yet; a pod that comes later joins.
    follow() {
        const sources = this.sources(),
            several = sources.length > 1;
        sources.forEach((source, index) => {
            const key = `${source.pod.metadata.uid} ${source.container}`;
            if (this.streams.has(key)) return;
            this.open(key, source, several || this.pods, index % COLOURS, {
                tailLines: String(Math.max(50, Math.floor(2000 / sources.length))),
            });
        });
    }
    open(key, source, several, colour, more) {
        let rest = "",
            last = more.sinceTime || "";
        const name = several
            ? `${source.pod.metadata.name}${this.state.container || source.pod.spec.containers.length < 2 ? "" : `/${source.container}`}`
            : "";
        const state = text => this.setState({states: {...this.state.states, [key]: text}});
        this.streams.set(
            key,
            stream(
                this.path(source, {...more, ...(this.state.follow && !this.state.previous ? {follow: "true"} : {})}),
                "text",
                {
                    onOpen: () => state(null),
                    onText: text => {
                        const lines = (rest + text).split("\n");
                        rest = lines.pop().slice(-65536);
                        for (const line of lines) {
                            const space = line.indexOf(" "),
                                stamp = line.slice(0, space);
                            if (last && stamp <= last && more.sinceTime) continue; // was shown before the connection broke
                            last = stamp;
                            this.pending.push({source: name, colour, stamp, text: line.slice(space + 1)});
                        }
                    },
                    onEnd: error => {
                        if (error && error.code) return state({level: "bad", text: error.message});
                        if (!error) return state({level: "done", text: "ended"});
                        state({level: "warn", text: "connection lost, trying again"});
                        this.streams.set(key, () => clearTimeout(timer));
                        const timer = setTimeout(
                            () => this.open(key, source, several, colour, last ? {sinceTime: last} : more),
                            2000,
                        );
                    },
                },
            ),
        );
    }
    flush() {
        if (!this.pending.length || !this.screen) return;
        const lines = this.pending.sort((a, b) => (a.stamp < b.stamp ? -1 : a.stamp > b.stamp ? 1 : 0)),
            follow = this.state.follow && this.screen.atEnd();
        this.pending = [];
        this.screen.add(lines, this.state.search.toLowerCase(), follow);
        if (!this.state.any) this.setState({any: true});
    }
    async download() {
        try {
            const texts = [];
            for (const source of this.sources())
                texts.push(
                    `${this.sources().length > 1 ? `# ${source.pod.metadata.name} ${source.container}\n` : ""}${(await request(this.path(source, {limitBytes: String(64 << 20)}), {accept: "*/*", raw: true})).split("\n").map(plainText).join("\n")}`,
                );
            const link = document.createElement("a");
            link.href = URL.createObjectURL(new Blob(texts, {type: "text/plain"}));
            link.download = `${this.props.object.metadata.name}.log`;
            link.click();
            setTimeout(() => URL.revokeObjectURL(link.href), 60000);
        } catch (error) {
            toast(error.message, "bad");
        }
    }
    render({object}, {container, follow, previous, wrap, times, since, search, states, any, found}) {
        const containers = this.containers(),
            problems = Object.entries(states).filter(([, state]) => state && state.level !== "done"),
            pods = this.list();
        const check = (text, checked, change) =>
            h(
                "label",
                {class: "check"},
                h("input", {type: "checkbox", checked, onClick: event => change(event.target.checked)}),
                h("span", null, text),
            );
        return h(
            "div",
            {class: `logs ${wrap ? "wrap" : ""} ${times ? "times" : ""}`},
            h(
                "div",
                {class: "bar-tools"},
                containers.length > 1 &&
                    h(
                        "label",
                        {class: "select"},
                        h("span", null, "Container"),
                        h(
                            "select",
                            {onChange: event => this.restart({container: event.target.value})},
                            h("option", {value: ""}, "all"),
                            containers.map(name =>
                                h("option", {value: name, key: name, selected: name === container}, name),
                            ),
                        ),
                    ),
                h(
                    "label",
                    {class: "select"},
                    h("span", null, "Since"),
                    h(
                        "select",
                        {onChange: event => this.restart({since: event.target.value})},
                        [
                            ["", "the last lines"],
                            ["300", "5 minutes"],
                            ["3600", "an hour"],
                            ["86400", "a day"],
                        ].map(([value, text]) => h("option", {value, selected: value === since}, text)),
                    ),
                ),
                h(
                    "label",
                    {class: "filter"},
                    h(Icon, {name: "search"}),
                    h("input", {
                        type: "search",
                        value: search,
                        placeholder: "Search",
                        "aria-label": "Show lines with",
                        onInput: event =>
                            this.setState({
                                search: event.target.value,
                                found: this.screen.search(event.target.value.toLowerCase()),
                            }),
                    }),
                ),
                search && found !== undefined && h("span", {class: "muted", role: "status"}, `${found} lines`),
                check("Follow", follow, value => this.restart({follow: value})),
                check("Previous run", previous, value => this.restart({previous: value})),
                check("Wrap", wrap, value => this.setState({wrap: value})),
                check("Times", times, value => this.setState({times: value})),
                h(Button, {icon: "download", text: "Download", onClick: () => this.download()}),
            ),
            pods.length > STREAMS &&
                h(
                    "div",
                    {class: "notice"},
                    h(Icon, {name: "info"}),
                    h("span", null, `${STREAMS} of ${pods.length} pods are shown.`),
                ),
            problems.length > 0 &&
                h(
                    "ul",
                    {class: "results"},
                    problems.slice(0, 4).map(([key, state]) =>
                        h(
                            "li",
                            {key},
                            h(Chip, {
                                level: state.level,
                                text: (pods.find(pod => key.startsWith(pod.metadata.uid)) || object).metadata.name,
                            }),
                            h("span", null, state.text),
                        ),
                    ),
                ),
            !pods.length
                ? h(
                      Empty,
                      {title: "It has no pods", icon: "text"},
                      "Their logs show up here as soon as there are some.",
                  )
                : null,
            h(
                "div",
                {class: "log-frame"},
                h(Screen, {
                    handle: screen => {
                        this.screen = screen;
                        screen.tail = new Map();
                    },
                }),
                !any &&
                    pods.length > 0 &&
                    !problems.length &&
                    h(
                        "p",
                        {class: "log-none"},
                        previous ? "The previous run wrote nothing." : "Nothing has been written yet.",
                    ),
            ),
        );
    }
}
