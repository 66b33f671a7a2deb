// SPDX-License-Identifier: Apache-2.0
// The page of one object: how it is and why, what it is made of, what it belongs to, its events; its YAML, logs, terminal.
import {Age, Button, Chip, Command, Component, Empty, Failure, Icon, Loading, Menu, Tabs, View, h} from "/assets/ui.js";
import {kindOf, kinds, may, rights} from "/assets/api.js";
import {href, objectHref, setQuery} from "/assets/state.js";
import {liveList, liveObject} from "/assets/live.js";
import {explain, stateOf, worst} from "/assets/why.js";
import {actionsOf} from "/assets/actions.js";
import {Annotations, Facts, Labels, factsOf, portForward, some} from "/assets/facts.js";
import {Conditions, Containers, Data, Events, NodePods, Rollout, Usage} from "/assets/details.js";
import {Related} from "/assets/related.js";
import {Editor} from "/assets/editor.js";
import {title} from "/assets/list.js";
import {current} from "/assets/palette.js";

export class Page extends View {
    constructor(props) {
        super(props);
        this.onKey = event => {
            if (
                event.defaultPrevented ||
                event.ctrlKey ||
                event.metaKey ||
                event.altKey ||
                event.target.closest("input, textarea, select, dialog, [role=menu], .xterm")
            )
                return;
            const action = this.actions().find(one => one.keys === event.key && !one.disabled);
            if (!action) return;
            event.preventDefault();
            action.run();
        };
    }
    dependsOn({kind, namespace, name}) {
        return `${kind.id} ${namespace} ${name}`;
    }
    watched({kind, namespace, name}) {
        this.last = null;
        this.list = liveObject(kind, namespace, name);
        return [this.list, rights];
    }
    componentDidMount() {
        document.addEventListener("keydown", this.onKey);
        current.actions = () => this.actions();
    }
    componentWillUnmount() {
        super.componentWillUnmount();
        document.removeEventListener("keydown", this.onKey);
        current.actions = () => [];
    }
    object() {
        const found = this.list.items[0];
        if (found) this.last = {...found, apiVersion: this.props.kind.apiVersion, kind: this.props.kind.kind};
        return this.last;
    }
    actions() {
        const object = this.object();
        return object && this.list.items.length ? actionsOf(this.props.kind, object) : [];
    }
    render({kind, namespace, name, tab}) {
        const {list} = this,
            object = this.object();
        if (list.state === "failed" && !object)
            return h(Failure, {error: list.error, what: `see ${kind.kind} ${name}`, retry: () => list.retry()});
        if (!object)
            return list.state === "loading"
                ? h(Loading)
                : list.state === "lost"
                  ? h(Failure, {error: list.error, retry: () => list.retry()})
                  : h(
                        Empty,
                        {
                            title: `There is no ${kind.kind} ${name}${namespace ? ` in ${namespace}` : ""}`,
                            icon: "search",
                        },
                        h("a", {href: href(["list", kind.id])}, `All ${title(kind)}`),
                    );
        const gone = list.state === "live" && !list.items.length,
            state = stateOf(object),
            actions = this.actions();
        const tabs = [
            {id: "", text: "Overview", icon: "info"},
            {id: "yaml", text: "YAML", icon: "edit"},
            actions.some(one => one.id === "logs") && {id: "logs", text: "Logs", icon: "text"},
            kind.kind === "Pod" && {id: "terminal", text: "Terminal", icon: "terminal"},
        ].filter(Boolean);
        const main = ["logs", "scale", "restart", "cordon", "trigger"]
            .map(id => actions.find(action => action.id === id))
            .filter(Boolean)
            .slice(0, 3);
        const shown = tabs.some(one => one.id === tab) ? tab : "";
        return h(
            "div",
            {class: `page object-page ${shown === "logs" || shown === "terminal" ? "fill" : ""}`},
            h(
                "nav",
                {class: "crumbs", "aria-label": "Where this is"},
                h("a", {href: href(["list", kind.id])}, title(kind)),
                kind.namespaced && [
                    h(Icon, {name: "chevron"}),
                    h("a", {href: href(["list", kind.id], {ns: namespace})}, namespace),
                ],
            ),
            h(
                "header",
                {class: "page-head"},
                h(
                    "div",
                    {class: "page-title"},
                    h("h1", {title: name}, name),
                    gone ? h(Chip, {level: "bad", text: "Deleted"}) : state && h(Chip, state),
                    list.state === "lost" && h(Chip, {level: "warn", text: "Not live"}),
                ),
                h(
                    "div",
                    {class: "page-tools"},
                    main.map(action =>
                        h(Button, {
                            icon: action.icon,
                            text: action.text,
                            disabled: action.disabled,
                            title: action.why,
                            onClick: action.run,
                            key: action.id,
                        }),
                    ),
                    actions.length > 0 && h(Menu, {text: "Actions", label: "Actions", items: actions}),
                ),
            ),
            h(Tabs, {tabs, current: shown, onChange: id => setQuery({tab: id}), label: "Views of the object"}),
            h(
                "div",
                {
                    class: "tab-panel",
                    id: "tab-panel",
                    role: "tabpanel",
                    "aria-labelledby": `tab-${shown}`,
                    tabIndex: -1,
                },
                shown === "yaml"
                    ? h(Editor, {kind, object, key: "yaml"})
                    : shown === "logs"
                      ? h(LateView, {
                            file: "/assets/logs.js",
                            props: {kind, object},
                            key: `logs ${object.metadata.uid}`,
                        })
                      : shown === "terminal"
                        ? h(LateView, {
                              file: "/assets/terminal.js",
                              props: {kind, object},
                              key: `terminal ${object.metadata.uid}`,
                          })
                        : h(About, {kind, object}),
            ),
        );
    }
}
class LateView extends Component {
    componentDidMount() {
        import(this.props.file).then(
            module => this.setState({module}),
            error => this.setState({error}),
        );
    }
    render({props}, {module, error}) {
        return error ? h(Failure, {error}) : module ? h(module.default, props) : h(Loading);
    }
}

class About extends View {
    watched() {
        return [
            kinds.byId.get("nodes") && may("list", kinds.byId.get("nodes"))
                ? liveList(kinds.byId.get("nodes"), "")
                : null,
        ].filter(Boolean);
    }
    render({kind, object}) {
        const {metadata} = object,
            found = explain(object),
            level = worst(found),
            make = factsOf[kind.kind];
        const forward = ["Service", "Pod"].includes(kind.kind) && portForward(kind, object);
        return h(
            "div",
            {class: "about"},
            found.length > 0 &&
                h(
                    "section",
                    {class: `why why-${level}`, "aria-label": "Why"},
                    found.map(one =>
                        h(
                            "div",
                            {class: "why-one"},
                            h(Icon, {name: one.level === "ok" ? "done" : one.level}),
                            h(
                                "div",
                                null,
                                h("p", null, h("strong", null, `${one.title}.`)),
                                one.detail && h("p", null, one.detail),
                                one.command && h(Command, {text: one.command}),
                            ),
                        ),
                    ),
                ),
            h(
                "div",
                {class: "columns"},
                h(
                    "div",
                    {class: "grow stack"},
                    h(
                        "section",
                        {class: "card", "aria-labelledby": "facts"},
                        h("h2", {id: "facts"}, "At a glance"),
                        h(Facts, {
                            rows: [
                                ...(make ? make(object) : []),
                                [
                                    "Age",
                                    h(
                                        "span",
                                        null,
                                        h(Age, {time: metadata.creationTimestamp}),
                                        h(
                                            "span",
                                            {class: "muted"},
                                            ` · since ${new Date(metadata.creationTimestamp).toLocaleString()}`,
                                        ),
                                    ),
                                ],
                                [
                                    "Owner",
                                    metadata.ownerReferences &&
                                        h(
                                            "span",
                                            {class: "links"},
                                            metadata.ownerReferences.map(owner => {
                                                const of = kindOf(owner.apiVersion, owner.kind);
                                                return of
                                                    ? h(
                                                          "a",
                                                          {href: objectHref(of, metadata.namespace, owner.name)},
                                                          `${owner.kind} ${owner.name}`,
                                                      )
                                                    : `${owner.kind} ${owner.name}`;
                                            }),
                                        ),
                                ],
                                ["Labels", some(metadata.labels) && h(Labels, {labels: metadata.labels})],
                                [
                                    "Annotations",
                                    some(metadata.annotations) && h(Annotations, {annotations: metadata.annotations}),
                                ],
                                ["Finalizers", (metadata.finalizers || []).join(", ")],
                                ["Reach it", forward && h(Command, {text: forward})],
                            ],
                        }),
                    ),
                    kind.kind === "Pod" && h(Containers, {object}),
                    kind.kind === "Node" && h(NodePods, {object}),
                    h(Related, {kind, object}),
                    kind.kind === "Deployment" && h(Rollout, {object}),
                    (kind.kind === "ConfigMap" || kind.kind === "Secret") &&
                        h(Data, {object, secret: kind.kind === "Secret"}),
                    h(Conditions, {object}),
                ),
                h(
                    "div",
                    {class: "side stack"},
                    (kind.kind === "Pod" || kind.kind === "Node") && h(Usage, {kind, object}),
                    h(Events, {kind, object}),
                ),
            ),
        );
    }
}
