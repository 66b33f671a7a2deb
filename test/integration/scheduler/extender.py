# SPDX-License-Identifier: Apache-2.0
# Two scheduler extenders: one that knows the nodes by name (/names), one that is sent them whole (/nodes), and one that
# always fails (/broken). They refuse nodes labelled taken=yes, prefer those labelled best=yes, spare pods labelled spare=yes,
# and bind through the API server. What they were asked goes to a file, a line each.
#
#   extender.py PORT JOURNAL KUBECTL KUBECONFIG
import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, journal, kubectl, kubeconfig = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]


def run(*words, stdin=None):
    return subprocess.run([kubectl, "--kubeconfig", kubeconfig, *words], input=stdin, capture_output=True, text=True)


def labels_of(args):
    if args.get("NodeNames") is not None:
        nodes = json.loads(run("get", "nodes", "-o", "json").stdout)["items"]
        return {n["metadata"]["name"]: n["metadata"].get("labels", {}) for n in nodes
                if n["metadata"]["name"] in args["NodeNames"]}
    return {n["metadata"]["name"]: n["metadata"].get("labels", {}) for n in args["Nodes"]["items"]}


def filter(args):
    labels = labels_of(args)
    good = [name for name in labels if labels[name].get("taken") != "yes"]
    answer = {"failedNodes": {name: "is taken" for name in labels if name not in good}}
    if args.get("NodeNames") is not None:
        answer["nodenames"] = good
    else:
        answer["nodes"] = {"items": [n for n in args["Nodes"]["items"] if n["metadata"]["name"] in good]}
    return answer


def prioritize(args):
    labels = labels_of(args)
    return [{"Host": name, "Score": 10 if labels[name].get("best") == "yes" else 0} for name in labels]


def preempt(args):
    answer = {}
    for node, victims in args["NodeNameToVictims"].items():
        if not any(p["metadata"].get("labels", {}).get("spare") == "yes" for p in victims["Pods"]):
            answer[node] = {"Pods": [{"UID": p["metadata"]["uid"]} for p in victims["Pods"]]}
    return {"NodeNameToMetaVictims": answer}


def bind(args):
    binding = {"apiVersion": "v1", "kind": "Binding", "target": {"kind": "Node", "name": args["Node"]},
               "metadata": {"name": args["PodName"], "namespace": args["PodNamespace"], "uid": args["PodUID"]}}
    path = "/api/v1/namespaces/%s/pods/%s/binding" % (args["PodNamespace"], args["PodName"])
    done = run("create", "--raw", path, "-f", "-", stdin=json.dumps(binding))
    return {"Error": done.stderr if done.returncode else ""}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        args = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        _, who, verb = self.path.split("/")
        pod = args.get("PodName") or args["Pod"]["metadata"]["name"]
        with open(journal, "a") as file:
            file.write("%s %s %s\n" % (who, verb, pod))
        code, answer = 200, {}
        if who == "broken":
            code = 500
        else:
            answer = {"filter": filter, "prioritize": prioritize, "preempt": preempt, "bind": bind}[verb](args)
        body = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
