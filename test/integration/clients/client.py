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


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


check("version", version.get_code().minor == "35")
check("namespaces", {"default", "kube-system"} <= {n.metadata.name for n in core.list_namespace().items})
check("the default service account comes by itself", until(
    lambda: any(a.metadata.name == "default" for a in core.list_namespaced_service_account("default").items)))
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
    lambda: len(core.list_namespaced_pod("default", label_selector="app=web").items) == 2))
scale = apps.read_namespaced_deployment_scale("web", "default")
scale.spec.replicas = 3
apps.replace_namespaced_deployment_scale("web", "default", scale)
seen = set()
for event in watch.Watch().stream(core.list_namespaced_pod, "default", label_selector="app=web", timeout_seconds=10):
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
    lambda: not core.list_namespaced_pod("default", label_selector="app=web").items
    and not apps.list_namespaced_deployment("default").items))
core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name="team")))
core.create_namespaced_config_map("team", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="b")))
core.delete_namespace("team")
check("a namespace goes with all that is in it", until(
    lambda: "team" not in {n.metadata.name for n in core.list_namespace().items}))
sys.exit(failed != 0)
