// SPDX-License-Identifier: Apache-2.0
// Logging in: by a token, by a kubeconfig, or by the code of a link that is good once. When a session ends, this comes over
// the page, which stays as it was.
import {Button, Component, Icon, h} from "/assets/ui.js";
import {logIn, session} from "/assets/api.js";

export class Login extends Component {
    constructor(props) {
        super(props);
        this.state = {way: "token", token: "", kubeconfig: "", error: props.error || null, busy: false};
    }
    componentDidMount() {
        if (this.props.code) this.send({code: this.props.code});
        else if (this.input) this.input.focus();
    }
    async send(credentials) {
        this.setState({busy: true, error: null});
        try {
            await logIn(credentials);
            if (this.props.after) this.props.after();
        } catch (error) {
            this.setState({error, busy: false});
            if (this.props.code) this.props.failed(error);
        }
    }
    submit() {
        const {way, token, kubeconfig} = this.state;
        const text = way === "token" ? token.trim() : kubeconfig;
        if (!text.trim())
            this.setState({
                error: new Error(
                    way === "token" ? "Paste a token first." : "Paste a kubeconfig, or choose a file, first.",
                ),
            });
        else this.send(way === "token" ? {token: text} : {kubeconfig: text});
    }
    async choose(file) {
        if (!file) return;
        if (file.size > 262144) this.setState({error: new Error("The file is too large for a kubeconfig.")});
        else this.setState({kubeconfig: await file.text(), error: null});
    }
    render({over}, {way, token, kubeconfig, error, busy}) {
        const choice = (id, text) =>
            h(
                "button",
                {
                    type: "button",
                    role: "radio",
                    "aria-checked": String(way === id),
                    onClick: () => this.setState({way: id, error: null}),
                },
                text,
            );
        return h(
            "div",
            {
                class: `login ${over ? "login-over" : ""}`,
                role: over ? "dialog" : null,
                "aria-modal": over ? "true" : null,
                "aria-label": over ? "Log in again" : null,
            },
            h(
                over ? "div" : "main",
                {class: "login-main"},
                h(
                    "form",
                    {
                        class: "login-card",
                        onSubmit: event => {
                            event.preventDefault();
                            this.submit();
                        },
                    },
                    h("img", {src: "/assets/logo.svg", alt: "", width: 40, height: 40}),
                    h("h1", null, over ? "Log in again" : "Log in to the cluster"),
                    h(
                        "p",
                        {class: "muted"},
                        over
                            ? `The session${session.user ? ` of ${session.user}` : ""} has ended. What you were doing is kept.`
                            : "The dashboard has no rights of its own. It sees and does what you may.",
                    ),
                    h(
                        "div",
                        {class: "segments", role: "radiogroup", "aria-label": "Way to log in"},
                        choice("token", "Token"),
                        choice("kubeconfig", "Kubeconfig"),
                    ),
                    way === "token"
                        ? h(
                              "label",
                              {class: "field"},
                              h("span", null, "Token"),
                              h("input", {
                                  type: "password",
                                  autocomplete: "off",
                                  spellcheck: false,
                                  value: token,
                                  ref: element => {
                                      this.input = element;
                                  },
                                  onInput: event => this.setState({token: event.target.value}),
                              }),
                              h("span", {class: "hint"}, "For example: ", h("code", null, "kubectl create token NAME")),
                          )
                        : h(
                              "div",
                              {class: "field"},
                              h(
                                  "label",
                                  null,
                                  h("span", null, "Kubeconfig"),
                                  h("textarea", {
                                      rows: 7,
                                      spellcheck: false,
                                      value: kubeconfig,
                                      placeholder: "apiVersion: v1\nkind: Config\n…",
                                      onInput: event => this.setState({kubeconfig: event.target.value}),
                                  }),
                              ),
                              h(
                                  "label",
                                  {class: "file"},
                                  h("span", null, "Or a file: "),
                                  h("input", {type: "file", onChange: event => this.choose(event.target.files[0])}),
                              ),
                              h(
                                  "span",
                                  {class: "hint"},
                                  "With the token, or certificate and key, of its current context inside: ",
                                  h("code", null, "kubectl config view --flatten --minify --raw"),
                              ),
                          ),
                    error &&
                        h(
                            "div",
                            {class: "notice bad", role: "alert"},
                            h(Icon, {name: "bad"}),
                            h("span", null, error.message),
                        ),
                    h(Button, {text: busy ? "Logging in…" : "Log in", kind: "primary", type: "submit", disabled: busy}),
                    h(
                        "p",
                        {class: "muted small"},
                        "On the machine of a minikube cluster ",
                        h("code", null, "minikube dashboard"),
                        " opens a link that logs in by itself.",
                    ),
                ),
            ),
        );
    }
}
