// SPDX-License-Identifier: Apache-2.0
// New objects: from YAML, from a file, or from a form that writes the YAML. The server may try them first.
import {Button, Chip, Icon, View, h, openDialog, toast} from "/assets/ui.js";
import {kindOf, kinds, listPath, request, rights} from "/assets/api.js";
import {go} from "/assets/state.js";
import {Form} from "/assets/dialogs.js";
import {toYaml} from "/assets/yaml.js";
import {Field, Problem, STRICT, parse} from "/assets/editor.js";

const templates = {
    "deployments.apps": namespace => `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: ${namespace}
spec:
  replicas: 2
  selector:
    matchLabels:
      app: web
  template:
    metadata:
      labels:
        app: web
    spec:
      containers:
      - name: web
        image: nginx:stable
        ports:
        - containerPort: 80
`,
    services: namespace => `apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: ${namespace}
spec:
  selector:
    app: web
  ports:
  - port: 80
    targetPort: 80
`,
    configmaps: namespace => `apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  namespace: ${namespace}
data:
  key: value
`,
    secrets: namespace => `apiVersion: v1
kind: Secret
metadata:
  name: credentials
  namespace: ${namespace}
type: Opaque
stringData:
  password: change-me
`,
    "cronjobs.batch": namespace => `apiVersion: batch/v1
kind: CronJob
metadata:
  name: hello
  namespace: ${namespace}
spec:
  schedule: "*/5 * * * *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: OnFailure
          containers:
          - name: hello
            image: busybox:stable
            command:
            - date
`,
    namespaces: () => `apiVersion: v1
kind: Namespace
metadata:
  name: team
`,
};
function template(kind, namespace) {
    const make = kind && templates[kind.id];
    return make
        ? make(namespace || "default")
        : kind
          ? `apiVersion: ${kind.apiVersion}\nkind: ${kind.kind}\nmetadata:\n  name: \n${kind.namespaced ? `  namespace: ${namespace || "default"}\n` : ""}`
          : "";
}

// A form that writes the YAML of a Deployment, and of a Service before it.
function written({name, namespace, image, replicas, port, exposed}) {
    const labels = {app: name},
        container = {name, image, ...(port ? {ports: [{containerPort: Number(port)}]} : {})};
    const objects = [
        {
            apiVersion: "apps/v1",
            kind: "Deployment",
            metadata: {name, namespace},
            spec: {
                replicas: Number(replicas),
                selector: {matchLabels: labels},
                template: {metadata: {labels}, spec: {containers: [container]}},
            },
        },
    ];
    if (port && exposed)
        objects.push({
            apiVersion: "v1",
            kind: "Service",
            metadata: {name, namespace},
            spec: {selector: labels, ports: [{port: Number(port), targetPort: Number(port)}]},
        });
    return objects.map(toYaml).join("---\n");
}
function NewWorkload({namespace, onText}) {
    const number = (text, least, most) => /^\d+$/.test(text) && Number(text) >= least && Number(text) <= most;
    return h(Form, {
        title: "Run an image",
        submit: "Write the YAML",
        initial: {name: "", image: "", replicas: "1", port: "", namespace, exposed: true},
        run: async state => {
            const values = {name: "", image: "", replicas: "1", port: "", namespace, exposed: true, ...state};
            if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(values.name))
                throw new Error("Name: small letters, digits and hyphens, 63 at most.");
            if (!values.image.trim()) throw new Error("Image: say which.");
            if (!number(values.replicas, 0, 100000)) throw new Error("Replicas: a whole number is needed.");
            if (values.port && !number(values.port, 1, 65535)) throw new Error("Port: a number from 1 to 65535.");
            onText(written({...values, image: values.image.trim()}));
        },
        body: (values, set) =>
            h(
                "div",
                null,
                [
                    ["name", "Name", "web"],
                    ["image", "Image", "nginx:stable"],
                    ["namespace", "Namespace", "default"],
                    ["replicas", "Replicas", "1"],
                    ["port", "Port that it listens on", "none"],
                ].map(([key, text, placeholder]) =>
                    h(
                        "label",
                        {class: "field", key},
                        h("span", null, text),
                        h("input", {
                            type: "text",
                            value: values[key],
                            placeholder,
                            autocomplete: "off",
                            onInput: event => set({[key]: event.target.value}),
                        }),
                    ),
                ),
                h(
                    "label",
                    {class: "check"},
                    h("input", {
                        type: "checkbox",
                        checked: values.exposed,
                        onClick: event => set({exposed: event.target.checked}),
                    }),
                    h("span", null, "With a Service for the port"),
                ),
            ),
    });
}

export class Page extends View {
    constructor(props) {
        super(props);
        this.state = {text: template(kinds.byId.get(props.kindId), props.namespace), results: null};
    }
    watched() {
        return [rights];
    }
    kindNow() {
        const apiVersion = /^apiVersion:\s*(\S+)/m.exec(this.state.text),
            kind = /^kind:\s*(\S+)/m.exec(this.state.text);
        return apiVersion && kind ? kindOf(apiVersion[1], kind[1]) : null;
    }
    // The objects of the text, each with where it goes.
    async plan() {
        const documents = (await parse(this.state.text)).flatMap(one =>
            one.kind === "List" && Array.isArray(one.items) ? one.items : [one],
        );
        if (!documents.length) throw new Error("There is no object in the text.");
        return documents.map((object, i) => {
            const where = documents.length > 1 ? `Object ${i + 1}: ` : "";
            if (!object || typeof object !== "object" || !object.apiVersion || !object.kind)
                throw new Error(`${where}apiVersion and kind are needed.`);
            const kind = kindOf(object.apiVersion, object.kind);
            if (!kind || kind.apiVersion !== object.apiVersion)
                throw new Error(`${where}the server has no ${object.kind} of ${object.apiVersion}.`);
            if (!object.metadata || (!object.metadata.name && !object.metadata.generateName))
                throw new Error(`${where}metadata.name is needed.`);
            if (kind.namespaced && !object.metadata.namespace)
                object.metadata.namespace = this.props.namespace || "default";
            return {object, kind, path: listPath(kind, object.metadata.namespace)};
        });
    }
    async run(dry) {
        this.setState({busy: true, error: null, results: null});
        try {
            const results = [];
            for (const item of await this.plan()) {
                const query = `${STRICT}${dry ? "&dryRun=All" : ""}`;
                try {
                    const made = await request(`${item.path}?${query}`, {method: "POST", body: item.object});
                    results.push({...item, made});
                } catch (error) {
                    results.push({...item, error});
                }
            }
            const failed = results.some(one => one.error);
            this.setState({busy: false, results, dry, done: !dry && !failed});
            if (!dry && !failed) {
                toast(
                    results.length === 1
                        ? `${results[0].made.metadata.name} is created`
                        : `${results.length} objects are created`,
                );
                if (results.length === 1)
                    go([
                        "object",
                        results[0].kind.id,
                        results[0].kind.namespaced ? results[0].made.metadata.namespace : "-",
                        results[0].made.metadata.name,
                    ]);
            }
        } catch (error) {
            this.setState({busy: false, error});
        }
    }
    async choose(file) {
        if (!file) return;
        if (file.size > 3 << 20) this.setState({error: new Error("The file is larger than 3 MiB.")});
        else this.setState({text: await file.text(), error: null, results: null});
    }
    render({namespace, kindId}, {text, error, busy, results, dry}) {
        const creatable = Object.keys(templates)
            .map(id => kinds.byId.get(id))
            .filter(Boolean);
        return h(
            "div",
            {class: "page fill"},
            h(
                "header",
                {class: "page-head"},
                h("div", {class: "page-title"}, h("h1", null, "Create")),
                h(
                    "div",
                    {class: "page-tools"},
                    h(
                        "label",
                        {class: "select"},
                        h("span", null, "Begin with"),
                        h(
                            "select",
                            {
                                onChange: event =>
                                    this.setState({
                                        text: template(kinds.byId.get(event.target.value), namespace),
                                        results: null,
                                        error: null,
                                    }),
                            },
                            h("option", {value: ""}, "nothing"),
                            creatable.map(kind =>
                                h("option", {value: kind.id, key: kind.id, selected: kind.id === kindId}, kind.kind),
                            ),
                        ),
                    ),
                    h(Button, {
                        icon: "edit",
                        text: "Form…",
                        onClick: () =>
                            openDialog(() =>
                                h(NewWorkload, {
                                    namespace: namespace || "default",
                                    onText: written => this.setState({text: written, results: null, error: null}),
                                }),
                            ),
                    }),
                    h(
                        "label",
                        {class: "button file-button"},
                        h(Icon, {name: "download"}),
                        h("span", null, "From a file"),
                        h("input", {
                            type: "file",
                            accept: ".yaml,.yml,.json",
                            class: "visually-hidden",
                            onChange: event => this.choose(event.target.files[0]),
                        }),
                    ),
                    h(Button, {
                        text: "Try it",
                        disabled: busy || !text.trim(),
                        title: "The server checks it, and keeps nothing",
                        onClick: () => this.run(true),
                    }),
                    h(Button, {
                        text: busy ? "Working…" : "Create",
                        kind: "primary",
                        disabled: busy || !text.trim(),
                        onClick: () => this.run(false),
                    }),
                ),
            ),
            error && h(Problem, {error}),
            results &&
                h(
                    "ul",
                    {class: "results", role: "status"},
                    results.map(one =>
                        h(
                            "li",
                            null,
                            one.error
                                ? h(Chip, {level: "bad", text: "Refused"})
                                : h(Chip, {level: "ok", text: dry ? "Would be created" : "Created"}),
                            h(
                                "span",
                                null,
                                `${one.kind.kind} ${one.object.metadata.name || one.object.metadata.generateName}`,
                            ),
                            one.error && h("p", null, one.error.message),
                        ),
                    ),
                ),
            h(Field, {
                kind: this.kindNow(),
                text,
                label: "YAML of the new objects",
                onChange: value => this.setState({text: value, results: null}),
                onSave: () => this.run(true),
            }),
        );
    }
}
