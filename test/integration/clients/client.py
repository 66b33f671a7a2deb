# SPDX-License-Identifier: Apache-2.0
"""What a program with the Python client does: typed objects, watches, patches, pages, errors. Prints TAP."""
import sys
import time

from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException

config.load_kube_config(sys.argv[1])
core, apps, rbac, version = (client.CoreV1Api(), client.AppsV1Api(), client.RbacAuthorizationV1Api(),
                             client.VersionApi())
count = failed = 0


def check(name, condition):
    global count, failed
    count += 1
    failed += not condition
    print(f"{'ok' if condition else 'not ok'} {count} - {name}", flush=True)


def until(having, lister, *scope, seconds=20, **selectors):
    """Waits until what is listed is as wanted: looks once, and again after every event."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        found = lister(*scope, **selectors)
        if having(found.items):
            return True
        for _ in watch.Watch().stream(lister, *scope, resource_version=found.metadata.resource_version,
                                      timeout_seconds=int(left) + 1, **selectors):
            if having(lister(*scope, **selectors).items):
                return True
    return False


def names(items):
    return {item.metadata.name for item in items}


check("version", version.get_code().minor == "35")
check("namespaces", {"default", "kube-system"} <= names(core.list_namespace().items))
check("the default service account comes by itself", until(
    lambda accounts: "default" in names(accounts), core.list_namespaced_service_account, "default"))
core.create_namespaced_config_map("default", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="a", labels={"x": "y"}),
                                                               data={"k": "v"}))
core.patch_namespaced_config_map("a", "default", {"data": {"k": "w"}})
check("create, patch, read", core.read_namespaced_config_map("a", "default").data == {"k": "w"})
deployment = client.V1Deployment(
    metadata=client.V1ObjectMeta(name="web"),
    spec=client.V1DeploymentSpec(replicas=2, selector=client.V1LabelSelector(match_labels={"app": "web"}),
                                 template=client.V1PodTemplateSpec(
                                     metadata=client.V1ObjectMeta(labels={"app": "web"}),
                                     spec=client.V1PodSpec(containers=[client.V1Container(name="c", image="hello")]))))
apps.create_namespaced_deployment("default", deployment)
check("a deployment makes its pods", until(
    lambda pods: len(pods) == 2, core.list_namespaced_pod, "default", label_selector="app=web"))
while True:  # the controller writes the deployment's status meanwhile: a conflict is tried again, as everywhere
    scale = apps.read_namespaced_deployment_scale("web", "default")
    scale.spec.replicas = 3
    try:
        apps.replace_namespaced_deployment_scale("web", "default", scale)
        break
    except ApiException as e:
        if e.status != 409:
            raise
seen = set()
for event in watch.Watch().stream(core.list_namespaced_pod, "default", label_selector="app=web", timeout_seconds=60):
    seen.add(event["object"].metadata.name)
    if len(seen) == 3:
        break
check("a watch shows them", len(seen) == 3)
page = core.list_namespaced_pod("default", limit=2)
rest = core.list_namespaced_pod("default", limit=2, _continue=page.metadata._continue)
check("pages", len(page.items) == 2 and len(rest.items) == 1)
try:
    core.read_namespaced_secret("none", "default")
    check("an error is an error", False)
except ApiException as error:
    check("an error is an error", error.status == 404 and "NotFound" in error.body)
check("cluster roles", any(r.metadata.name == "cluster-admin" for r in rbac.list_cluster_role().items))
apps.delete_namespaced_deployment("web", "default", propagation_policy="Foreground")
check("deletion in the foreground takes the pods along", until(
    lambda deployments: not deployments, apps.list_namespaced_deployment, "default")
    and not core.list_namespaced_pod("default", label_selector="app=web").items)
core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name="team")))
core.create_namespaced_config_map("team", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="b")))
core.delete_namespace("team")
check("a namespace goes with all that is in it", until(
    lambda namespaces: "team" not in names(namespaces), core.list_namespace))
sys.exit(failed != 0)
