// SPDX-License-Identifier: Apache-2.0
// The ports of a container, and links to them: the dashboard's server opens a port of its own that leads to the pod.
import {Button, Component, Signal, h, toast} from "/assets/ui.js";
import {kinds, may, request} from "/assets/api.js";

// The session's open ports, as the server has them; null until it was asked.
let open = null;
const changed = new Signal();
async function load() {
    open = await request("/forwards");
    changed.emit();
}
async function change(method, path, body) {
    try {
        await request(path, {method, body});
    } catch (error) {
        toast(`The port cannot be changed: ${error.message}`, "bad");
    }
    await load().catch(() => {});
}

export class Ports extends Component {
    constructor(props) {
        super(props);
        this.state = {busy: null};
        this.end = changed.subscribe(() => this.setState({}));
        load().catch(() => {});
    }
    componentWillUnmount() {
        this.end();
    }
    async act(port, ...call) {
        this.setState({busy: port});
        await change(...call);
        this.setState({busy: null});
    }
    one({object, allowed}, port, busy) {
        const {name: pod, namespace} = object.metadata,
            number = port.containerPort,
            name = `${port.name ? `${port.name} ` : ""}${number}/${port.protocol}`,
            found = (open || []).find(
                one => one.namespace === namespace && one.pod === pod && one.port === number,
            );
        const link = found && `http://${location.hostname}:${found.at}`;
        return h(
            "span",
            {key: name, class: "port"},
            name,
            found && h("a", {href: link, target: "_blank", rel: "noopener noreferrer"}, link),
            found &&
                h(Button, {
                    text: "Close",
                    label: `Close the link to port ${number}`,
                    small: true,
                    kind: "quiet",
                    disabled: busy === number,
                    onClick: () => this.act(number, "DELETE", `/forwards?at=${found.at}`),
                }),
            !found &&
                allowed &&
                port.protocol === "TCP" &&
                h(Button, {
                    text: "Link",
                    label: `Make a link to port ${number}`,
                    title: "Open a port of the dashboard's server that leads here, for your address alone",
                    small: true,
                    kind: "quiet",
                    disabled: busy === number || open === null,
                    onClick: () => this.act(number, "POST", "/forwards", {namespace, pod, port: number}),
                }),
        );
    }
    render({object, ports}, {busy}) {
        const running = object.status && object.status.phase === "Running",
            allowed =
                running &&
                may("create", kinds.byId.get("pods"), object.metadata.namespace, {subresource: "portforward"});
        return h(
            "span",
            {class: "links"},
            ports.map(port => this.one({object, allowed}, port, busy)),
        );
    }
}
