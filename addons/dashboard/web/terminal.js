// SPDX-License-Identifier: Apache-2.0
// Terminals in the containers of a pod: a shell, another command, or what the container runs itself. Several at once.
import xterm from "/assets/xterm.js";
import {Button, Component, Icon, h} from "/assets/ui.js";
import {kinds, may, objectPath, openSocket} from "/assets/api.js";

const SHELL = ["sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi"];

function loadStyle() {
    if (document.querySelector("link[href='/assets/xterm.css']")) return;
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = "/assets/xterm.css";
    document.head.append(link);
}

class Screen extends Component {
    shouldComponentUpdate() {
        return false;
    }
    componentDidMount() {
        loadStyle();
        const style = getComputedStyle(document.documentElement),
            colour = name => style.getPropertyValue(name).trim();
        this.terminal = new xterm({
            fontFamily: colour("--mono"),
            fontSize: 13,
            lineHeight: 1.2,
            cursorBlink: false,
            scrollback: 5000,
            screenReaderMode: false,
            experimentalCharAtlas: "none",
            theme: {
                background: "#14181f",
                foreground: "#e4e8ee",
                cursor: "#e4e8ee",
                selection: "rgba(120, 160, 255, 0.35)",
            },
        });
        this.terminal.open(this.base);
        this.terminal.attachCustomKeyEventHandler(event => this.onKey(event));
        this.terminal.on("data", data => this.send(0, data));
        this.observer = new ResizeObserver(() => this.fit());
        this.observer.observe(this.base);
        this.fit();
        this.connect();
        this.terminal.focus();
    }
    componentWillUnmount() {
        this.observer.disconnect();
        if (this.socket) this.socket.close();
        this.terminal.destroy();
    }
    // Ctrl-Shift-C and -V copy and paste; Ctrl-Shift-Escape leaves the terminal for the page.
    onKey(event) {
        if (event.type !== "keydown" || !event.ctrlKey || !event.shiftKey) return true;
        if (event.code === "KeyC") {
            if (this.terminal.hasSelection())
                navigator.clipboard.writeText(this.terminal.getSelection()).catch(() => {});
            event.preventDefault();
            return false;
        }
        if (event.code === "KeyV") return false; // the browser pastes
        if (event.key === "Escape") {
            this.terminal.blur();
            this.base.closest(".terminals").querySelector("button").focus();
            return false;
        }
        return true;
    }
    fit() {
        const {renderer} = this.terminal._core,
            {clientWidth, clientHeight} = this.base;
        const {actualCellWidth: width, actualCellHeight: height} = renderer.dimensions;
        if (!width || !height || !clientWidth) return;
        const columns = Math.max(2, Math.floor((clientWidth - 16) / width)),
            rows = Math.max(1, Math.floor((clientHeight - 8) / height));
        if (columns !== this.terminal.cols || rows !== this.terminal.rows) this.terminal.resize(columns, rows);
        this.tellSize();
    }
    tellSize() {
        this.send(4, JSON.stringify({Width: this.terminal.cols, Height: this.terminal.rows}));
    }
    send(channel, text) {
        if (!this.socket || this.socket.readyState !== WebSocket.OPEN) return;
        const bytes = new TextEncoder().encode(text),
            message = new Uint8Array(bytes.length + 1);
        message[0] = channel;
        message.set(bytes, 1);
        this.socket.send(message);
    }
    connect() {
        const {pod, container, command} = this.props,
            query = new URLSearchParams({container, stdin: "true", stdout: "true", tty: "true"});
        for (const word of command || []) query.append("command", word);
        const path = objectPath(
            kinds.byId.get("pods"),
            pod.metadata.namespace,
            pod.metadata.name,
            command ? "exec" : "attach",
        );
        const socket = (this.socket = openSocket(`${path}?${query}`, ["v5.channel.k8s.io", "v4.channel.k8s.io"]));
        // Bytes of a character may come in two messages.
        const decoders = [null, new TextDecoder(), new TextDecoder()];
        let opened = false,
            status = "";
        socket.binaryType = "arraybuffer";
        socket.onopen = () => {
            opened = true;
            this.tellSize();
            if (!command)
                this.terminal.write(
                    "\x1b[2mAttached. What the container's process writes from now on shows up here.\x1b[0m\r\n",
                );
        };
        socket.onmessage = ({data}) => {
            const bytes = new Uint8Array(data);
            if (decoders[bytes[0]]) this.terminal.write(decoders[bytes[0]].decode(bytes.subarray(1), {stream: true}));
            else if (bytes[0] === 3) status += new TextDecoder().decode(bytes.subarray(1));
        };
        socket.onclose = () => {
            let text = opened
                ? "The connection has ended."
                : "The terminal could not be opened: you may not, or the container does not run.";
            try {
                const answer = JSON.parse(status);
                text = answer.status === "Success" ? "The command has ended." : answer.message;
            } catch {
                /* there was none */
            }
            this.terminal.write(`\r\n\x1b[2m${text.replace(/[\x00-\x1f]/g, " ")}\x1b[0m\r\n`);
            this.props.onEnd();
        };
    }
    render() {
        return h("div", {class: "terminal-screen"});
    }
}

export default class Terminals extends Component {
    constructor(props) {
        super(props);
        const names = props.object.spec.containers.map(one => one.name);
        this.next = 1;
        this.state = {container: names[0], command: "", open: [], current: 0};
        if (
            props.object.status.phase === "Running" &&
            may("create", kinds.byId.get("pods"), props.object.metadata.namespace, {subresource: "exec"}) !== false
        )
            ((this.state.open = [this.make(names[0], SHELL, "shell")]), (this.state.current = 1));
    }
    make(container, command, name) {
        return {id: this.next++, container, command, name, ended: false};
    }
    add(command, name) {
        const one = this.make(this.state.container, command, name);
        this.setState({open: [...this.state.open, one], current: one.id});
    }
    close(one) {
        const open = this.state.open.filter(other => other !== one);
        this.setState({open, current: open.length ? open[open.length - 1].id : 0});
    }
    render({object}, {container, command, open, current}) {
        const pods = kinds.byId.get("pods"),
            {namespace} = object.metadata,
            names = [...object.spec.containers, ...(object.spec.ephemeralContainers || [])].map(one => one.name);
        const mayExec = may("create", pods, namespace, {subresource: "exec"}),
            mayAttach = may("create", pods, namespace, {subresource: "attach"});
        return h(
            "div",
            {class: "terminals"},
            h(
                "div",
                {class: "bar-tools"},
                names.length > 1 &&
                    h(
                        "label",
                        {class: "select"},
                        h("span", null, "Container"),
                        h(
                            "select",
                            {onChange: event => this.setState({container: event.target.value})},
                            names.map(name =>
                                h("option", {value: name, key: name, selected: name === container}, name),
                            ),
                        ),
                    ),
                h(Button, {
                    icon: "plus",
                    text: "New shell",
                    disabled: mayExec === false,
                    title: mayExec === false ? "You may not run commands in it" : null,
                    onClick: () => this.add(SHELL, "shell"),
                }),
                h(
                    "form",
                    {
                        class: "inline",
                        onSubmit: event => {
                            event.preventDefault();
                            const words = command.trim().split(/\s+/).filter(Boolean);
                            if (words.length) this.add(words, words[0]);
                        },
                    },
                    h("input", {
                        type: "text",
                        value: command,
                        placeholder: "Another command",
                        "aria-label": "Another command",
                        onInput: event => this.setState({command: event.target.value}),
                    }),
                    h(Button, {text: "Run", type: "submit", disabled: mayExec === false || !command.trim()}),
                ),
                h(Button, {
                    icon: "link",
                    text: "Attach",
                    disabled: mayAttach === false,
                    title: "To what the container runs itself",
                    onClick: () => this.add(null, "attached"),
                }),
                h("span", {class: "muted small"}, "Ctrl Shift C copies, Ctrl Shift Esc leaves the terminal"),
            ),
            open.length > 0 &&
                h(
                    "div",
                    {class: "terminal-tabs"},
                    open.map(one =>
                        h(
                            "span",
                            {class: `terminal-tab ${one.id === current ? "current" : ""}`, key: one.id},
                            h(
                                "button",
                                {
                                    type: "button",
                                    "aria-pressed": String(one.id === current),
                                    onClick: () => this.setState({current: one.id}),
                                },
                                h(Icon, {name: one.ended ? "done" : "terminal"}),
                                `${one.id}: ${one.name} in ${one.container}`,
                            ),
                            h(Button, {
                                icon: "close",
                                kind: "quiet",
                                small: true,
                                label: `Close terminal ${one.id}`,
                                onClick: () => this.close(one),
                            }),
                        ),
                    ),
                ),
            open.length === 0 &&
                h(
                    "p",
                    {class: "muted"},
                    object.status.phase === "Running"
                        ? "No terminal is open."
                        : "The pod does not run: there is nothing to open a terminal in.",
                ),
            h(
                "div",
                {class: "terminal-stack"},
                open.map(one =>
                    h(
                        "div",
                        {
                            key: one.id,
                            class: "terminal-holder",
                            hidden: one.id !== current,
                            style: {display: one.id === current ? "" : "none"},
                        },
                        h(Screen, {
                            pod: object,
                            container: one.container,
                            command: one.command,
                            onEnd: () => {
                                one.ended = true;
                                this.setState({});
                            },
                        }),
                    ),
                ),
            ),
        );
    }
}
