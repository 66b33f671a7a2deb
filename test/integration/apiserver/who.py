#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asks a kube-apiserver everything in who.table as everybody, and tells who may do more, or less, than it says. TAP.
who.py FOLDER PORT: the control plane's folder (ca.crt, admin.crt, admin.key) and port."""
import base64
import http.client
import json
import os
import ssl
import subprocess
import sys

FOLDER, PORT = sys.argv[1], int(sys.argv[2])
TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "who.table")
RBAC = "rbac.authorization.k8s.io"
V1 = "/api/v1/namespaces/"
connections = {}


def ask(method, path, body=None, headers=None, certificate=True, patch="merge-patch"):
    for attempt in (1, 2):
        if certificate not in connections:
            context = ssl.create_default_context(cafile=FOLDER + "/ca.crt")
            if certificate:
                context.load_cert_chain(FOLDER + "/admin.crt", FOLDER + "/admin.key")
            connections[certificate] = http.client.HTTPSConnection("127.0.0.1", PORT, context=context, timeout=30)
        connection = connections[certificate]
        kind = f"application/{patch}+{'yaml' if patch == 'apply-patch' else 'json'}" if method == "PATCH" else "application/json"
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": kind, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (ConnectionError, http.client.HTTPException):
            connection.close()
            del connections[certificate]
            if attempt == 2:
                raise
    return None


def make(path, body):
    code, answer = ask("POST", path, body)
    assert code in (201, 409), (path, code, answer)
    return json.loads(answer)


def named(name, **more):
    return {"metadata": {"name": name}, **more}


def subject(name):
    kind = "Group" if name.startswith("system:bootstrappers") else "User"
    return {"kind": kind, "name": name, "apiGroup": RBAC}


def bind(namespace, user, role, kind="ClusterRole"):
    name = f"{user}-{role}".replace(":", "-")
    where = f"/apis/{RBAC}/v1/" + (f"namespaces/{namespace}/rolebindings" if namespace else "clusterrolebindings")
    make(where, named(name, roleRef={"kind": kind, "name": role, "apiGroup": RBAC}, subjects=[subject(user)]))


def csr(subject_text):
    key = FOLDER + "/admin.key"
    pem = subprocess.run(["openssl", "req", "-new", "-key", key, "-subj", subject_text], check=True,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return base64.b64encode(pem).decode()


def request(name, signer, subject_text):
    return named(name, spec={"signerName": signer, "request": csr(subject_text),
                             "usages": ["digital signature", "client auth"]})


CONTAINER = {"name": "c", "image": "i"}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [CONTAINER]}}
SELECTOR = {"matchLabels": {"a": "b"}}
MIRROR = {"kubernetes.io/config.mirror": "x"}


def pod(name, node, volumes):
    make(V1 + "a/pods", named(name, spec={"nodeName": node, "containers": [CONTAINER], "volumes": volumes}))
    return json.loads(ask("GET", V1 + "a/pods/" + name)[1])["metadata"]["uid"]


def set_up():
    for namespace in ("a", "b"):
        make("/api/v1/namespaces", named(namespace))
        make(V1 + namespace + "/serviceaccounts", named("default"))
        make(V1 + namespace + "/secrets", named("s1"))
    make("/api/v1/namespaces", named("kube-node-lease"))
    make(V1 + "a/serviceaccounts", named("plain"))
    make(V1 + "kube-system/serviceaccounts", named("replicaset-controller"))
    make(V1 + "a/secrets", named("other"))
    for name in ("c1", "mine", "other"):
        make(V1 + "a/configmaps", named(name))
    uids = {}
    for node in ("n1", "n2"):
        make("/api/v1/nodes", named(node))
        uids[node] = json.loads(ask("GET", "/api/v1/nodes/" + node)[1])["metadata"]["uid"]
    make("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", named("n1"))
    uids["on1"] = pod("on1", "n1", [{"name": "s", "secret": {"secretName": "s1"}},
                                    {"name": "c", "configMap": {"name": "c1"}},
                                    {"name": "p", "persistentVolumeClaim": {"claimName": "p1"}},
                                    {"name": "t", "projected": {"sources": [
                                        {"serviceAccountToken": {"path": "t", "audience": "asked"}}]}}])
    uids["on2"] = pod("on2", "n2", [])
    modes = {"accessModes": ["ReadWriteOnce"]}
    make(V1 + "a/persistentvolumeclaims", named("p1", spec={**modes, "volumeName": "v1",
                                                            "resources": {"requests": {"storage": "1Gi"}}}))
    make("/api/v1/persistentvolumes", named("v1", spec={
        **modes, "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"},
        "claimRef": {"namespace": "a", "name": "p1"}}))
    make("/apis/storage.k8s.io/v1/volumeattachments", named("on-n1", spec={
        "attacher": "d", "nodeName": "n1", "source": {"persistentVolumeName": "v1"}}))
    make("/apis/storage.k8s.io/v1/csinodes", named("n1", spec={"drivers": []}))
    make(V1 + "a/endpoints", named("e"))
    make(V1 + "a/services", named("s", spec={"ports": [{"port": 80}]}))
    make("/apis/apps/v1/namespaces/a/deployments", named("d", spec={"selector": SELECTOR, "template": TEMPLATE}))
    for name, signer in (("of-a", "example.com/a"), ("of-b", "example.com/b"),
                         ("of-client", "kubernetes.io/kube-apiserver-client")):
        make("/apis/certificates.k8s.io/v1/certificatesigningrequests", request(name, signer, "/CN=jane"))
    make(f"/apis/{RBAC}/v1/namespaces/a/roles", named("named", rules=[
        {"verbs": ["*"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mine"]}]))
    requests = ["certificatesigningrequests"]
    make(f"/apis/{RBAC}/v1/clusterroles", named("approver", rules=[
        {"verbs": ["get", "list", "watch"], "apiGroups": ["certificates.k8s.io"], "resources": requests},
        {"verbs": ["update", "patch"], "apiGroups": ["certificates.k8s.io"],
         "resources": ["certificatesigningrequests/approval", "certificatesigningrequests/status"]},
        {"verbs": ["approve"], "apiGroups": ["certificates.k8s.io"], "resources": ["signers"],
         "resourceNames": ["example.com/*"]},
        {"verbs": ["sign"], "apiGroups": ["certificates.k8s.io"], "resources": ["signers"],
         "resourceNames": ["example.com/a"]}]))
    for user, namespace, parts in (("view", "a", ["view"]), ("edit", "a", ["view", "edit"]),
                                   ("other", "b", ["view", "edit"]), ("admin", "a", ["view", "edit", "admin"])):
        for part in parts:  # no controller gathers them here
            bind(namespace, user, "system:aggregate-to-" + part)
    bind("a", "named", "named", "Role")
    bind(None, "approver", "approver")
    bind(None, "system:bootstrappers:joining", "system:node-bootstrapper")
    make(V1 + "kube-system/secrets", named("bootstrap-token-abcdef", type="bootstrap.kubernetes.io/token", stringData={
        "token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true",
        "auth-extra-groups": "system:bootstrappers:joining"}))
    return uids


def everybody():
    def user(name, group=None):
        headers = {"Impersonate-User": name}
        return {**headers, "Impersonate-Group": group} if group else headers
    token = make(V1 + "a/serviceaccounts/plain/token", {"spec": {}})["status"]["token"]
    people = {"root": ({}, True), "anon": ({}, False), "boot": ({"Authorization": "Bearer abcdef.0123456789abcdef"}, False),
              "sa": ({"Authorization": "Bearer " + token}, False),
              "ctl": (user("system:serviceaccount:kube-system:replicaset-controller"), True)}
    for node in ("n1", "n2"):
        people[node] = (user("system:node:" + node, "system:nodes"), True)
    for name in ("edit", "view", "other", "admin", "approver", "named"):
        people[name] = (user(name), True)
    return people


def bodies(uids):
    owner = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": uids["n1"]}
    controller = {"ownerReferences": [{**owner, "controller": True}], "name": "mirrored", "annotations": MIRROR}

    def mirror(**spec):
        return {"metadata": controller, "spec": {"nodeName": "n1", "containers": [CONTAINER], **spec}}

    def label(key, value="x"):
        return {"metadata": {"labels": {key: value}}}

    def token(name, kind="Pod", audiences=()):
        reference = {"apiVersion": "v1", "kind": kind, "name": name, "uid": uids[name]}
        return {"spec": {"boundObjectRef": reference, "audiences": list(audiences)}}

    def role_binding(role):
        return named("new", roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": role}, subjects=[subject("jane")])

    def condition(kind):
        return {"status": {"conditions": [{"type": kind, "status": "True"}]}}

    may = {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "a"}}
    workload = {"selector": SELECTOR, "template": TEMPLATE}
    client = "kubernetes.io/kube-apiserver-client"
    return {
        "pod": named("new", spec={"containers": [CONTAINER]}), "mirror": mirror(),
        "mirror-without-owner": {**mirror(), "metadata": named("mirrored")["metadata"] | {"annotations": MIRROR}},
        "mirror-with-account": mirror(serviceAccountName="default"),
        "mirror-with-secret": mirror(volumes=[{"name": "s", "secret": {"secretName": "other"}}]),
        "mirror-with-config": mirror(volumes=[{"name": "s", "configMap": {"name": "other"}}]),
        "label": label("foo"), "label-zone": label("topology.kubernetes.io/zone"),
        "label-restricted": label("node-restriction.kubernetes.io/x"), "label-like-node": label("xnode.kubernetes.io/x"),
        "label-role": label("node-role.kubernetes.io/control-plane"),
        "owner": {"metadata": {"ownerReferences": [owner]}}, "phase": {"status": {"phase": "Running"}},
        "taint": {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}},
        "conditions": condition("Ready"), "capacity": {"status": {"capacity": {"storage": "2Gi"}}},
        "eviction": {"apiVersion": "policy/v1", "kind": "Eviction"},
        "binding": {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "on1"},
                    "target": {"kind": "Node", "name": "n1"}},
        "ephemeral": {"spec": {"ephemeralContainers": [{**CONTAINER, "name": "e"}]}},
        "secret": named("new"), "config": named("new"), "mine": named("mine"), "other": named("other"),
        "applied": {"apiVersion": "v1", "kind": "ConfigMap", **named("absent")},
        "csinode": named("n1", spec={"drivers": []}), "class": named("new", provisioner="example.com/x"),
        "account": named("new"), "token": {"spec": {}}, "token-of-on1": token("on1"), "token-of-on2": token("on2"),
        "token-for-vault": token("on1", audiences=["vault"]), "token-for-asked": token("on1", audiences=["asked"]),
        "token-of-node": token("n1", "Node"), "node": named("n1"), "lease": named("n1"),
        "role-less": named("new", rules=[{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]),
        "role-more": named("new", rules=[{"verbs": ["get"], "apiGroups": [""], "resources": ["nodes"]}]),
        "role-gathering": named("new", aggregationRule={"clusterRoleSelectors": [{}]}),
        "binding-view": role_binding("system:aggregate-to-view"), "binding-masters": role_binding("cluster-admin"),
        "request": request("new", client, "/CN=jane"),
        "request-masters": request("new", client, "/O=system:masters/CN=jane"),
        "request-n1": request("new", "kubernetes.io/kube-apiserver-client-kubelet", "/O=system:nodes/CN=system:node:n1"),
        "approve": condition("Approved"), "fail": condition("Failed"), "sign": {"status": {"certificate": csr("/CN=x")}},
        "endpoints": named("new", subsets=[{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]),
        "slice": named("new", addressType="IPv4", endpoints=[{"addresses": ["10.0.0.1"]}]),
        "service": named("new", spec={"ports": [{"port": 80}]}), "deployment": named("new", spec=workload),
        "replicaset": named("new", spec=workload), "scale": {"spec": {"replicas": 2}},
        "revision": named("new", revision=1, data={}),
        "event": {"metadata": {"name": "new", "namespace": "a"}, "involvedObject": {"namespace": "a"}},
        "quota": named("new", spec={"hard": {"pods": "1"}}), "policy": named("new", spec={"podSelector": {}}),
        "budget": named("new", spec={"maxUnavailable": 1, "selector": SELECTOR}),
        "namespace": named("a"), "priority": named("new", value=1),
        "may-i": {"spec": may}, "what-may-i": {"spec": {"namespace": "a"}}, "nothing": {},
        "may-they": {"spec": {**may, "user": "jane"}}, "may-they-here": {"metadata": {"namespace": "a"},
                                                                        "spec": {**may, "user": "jane"}},
        "pod-of-n1": named("on1", spec={"nodeName": "n1", "containers": [CONTAINER]}), "node-n2": named(
            "n2", spec={"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]}),
        "account-plain": named("plain"), "who": {"spec": {"token": "none"}},
    }


def expand(path):
    """/a/pods → /api/v1/namespaces/a/pods, /a/apps/deployments → /apis/apps/v1/namespaces/a/…, /apps/… → /apis/apps/v1/…"""
    first, *rest = path[1:].split("/")
    groups = ("apps", "autoscaling", "batch", "policy")
    if first in ("a", "b", "kube-system", "kube-node-lease"):
        if "." in rest[0].split("?")[0] or rest[0] in groups:
            version = "v2" if rest[0] == "autoscaling" else "v1"
            return f"/apis/{rest[0]}/{version}/namespaces/{first}/" + "/".join(rest[1:])
        return V1 + path[1:]
    return f"/apis/{first}/v1/" + "/".join(rest) if (".k8s.io" in first or first in groups) else path


def main():
    uids = set_up()
    people, body_of = everybody(), bodies(uids)
    count = failed = asked = 0
    for line in open(TABLE, encoding="utf-8"):
        if line.startswith("#") or not line.strip():
            continue
        what, _, who = line.strip().rpartition(" :")
        method, path, *name = what.split()
        words = who.split()
        allowed = set(people) if "all" in words else set(words)
        code_of = next((int(word[1:]) for word in words if word.startswith("=")), None)
        allowed -= {word for word in words if word.startswith("=")}
        allowed -= {word[1:] for word in words if word.startswith("-")}
        assert allowed - {"all"} <= set(people), line
        path = expand(path)
        if method in ("POST", "PUT", "PATCH", "DELETE") and "proxy" not in path:
            path += ("&" if "?" in path else "?") + "dryRun=All"
        patch = "apply-patch" if "fieldManager" in path else "merge-patch"
        wrong = []
        for person, (headers, certificate) in people.items():
            code, answer = ask(method, path, body_of[name[0]] if name else None, headers, certificate, patch)
            asked += 1
            right = (code not in (401, 403)) == (person in allowed) and not (code == 400 and name)
            if not right or code_of and person in allowed and code != code_of:
                wrong.append(f"{person}: {code} {answer[:300].decode(errors='replace')}")
        count += 1
        failed += bool(wrong)
        print(f"{'not ' if wrong else ''}ok {count} - {what}", flush=True)
        for text in wrong:
            print("#   " + text.replace("\n", " "))
    print(f"# asked {asked} times\n1..{count}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
