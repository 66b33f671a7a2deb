#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What stands between a CSI driver and Kubernetes, in processes of their own, which reach the driver by its sockets alone.

  --role registrar   node-driver-registrar: asks the identity service who the driver is, and opens a socket in the kubelet's
                     plugin folder. What became of it is written to <folder>/registered.
  --role external    external-provisioner, -attacher and -resizer: claims, attachments and sizes become calls of the controller
                     service. Each object is looked at by itself, so a call that hangs holds up its own object only.
"""
import argparse
import json
import os
import re
import ssl
import sys
import threading
import urllib.error
import urllib.request
from concurrent import futures

import grpc
import wire

CORE, STORAGE = "/api/v1", "/apis/storage.k8s.io/v1"
FINALIZER = "external-provisioner.volume.kubernetes.io/finalizer"
PARAMETERS = "csi.storage.k8s.io/"
ACCESS_MODES = {"ReadWriteOnce": 1, "ReadOnlyMany": 3, "ReadWriteMany": 5, "ReadWriteOncePod": 6}


def await_driver(client):
    """Its name, once it is ready."""
    while not client.Probe().ready.value:
        threading.Event().wait(0.1)
    return client.GetPluginInfo().name


def registrar(options, pb):
    endpoint = os.path.join(options.folder, "node.sock")
    name = await_driver(wire.Client(endpoint, pb, 60))

    def call(method, request, _):
        if method == "GetInfo":
            return pb.PluginInfo(type="CSIPlugin", name=name, endpoint=endpoint, supported_versions=["1.9.0"])
        with open(os.path.join(options.folder, "registered.new"), "w") as file:
            file.write("yes" if request.plugin_registered else request.error)
        os.rename(file.name, os.path.join(options.folder, "registered"))
        return pb.Empty()

    path = os.path.join(options.kubelet_root, "plugins_registry", options.socket or name + "-reg.sock")
    wire.serve(path, pb, ["pluginregistration.Registration"], call).wait_for_termination()


class Gone(Exception):
    """The object, or the one that it was, is no longer there: the next look tells."""


class Api:
    def __init__(self, options):
        self.server = options.server
        self.tls = ssl.create_default_context(cafile=options.ca)
        self.tls.load_cert_chain(options.cert, options.key)

    def call(self, method, path, body=None):
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        request = urllib.request.Request(self.server + path, method=method, headers={"Content-Type": kind},
                                         data=None if body is None else json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, context=self.tls, timeout=20) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code in (404, 409):
                raise Gone(error.read()) from error
            raise

    def items(self, path):
        return self.call("GET", path)["items"]

    def set_finalizer(self, path, thing, finalizer, wanted):
        old = thing["metadata"].get("finalizers", [])
        new = [f for f in old if f != finalizer] + [finalizer] * wanted
        if sorted(new) != sorted(old):
            self.call("PATCH", path, {"metadata": {"finalizers": new, "resourceVersion": thing["metadata"]["resourceVersion"]}})


class External:
    def __init__(self, options, pb):
        self.pb, self.api = pb, Api(options)
        self.driver = wire.Client(os.path.join(options.folder, "controller.sock"), pb, 10)
        self.name = await_driver(wire.Client(os.path.join(options.folder, "controller.sock"), pb, 60))
        kinds = {c.service.type for c in self.driver.GetPluginCapabilities().capabilities}
        able = {c.rpc.type for c in self.driver.ControllerGetCapabilities().capabilities}
        if 1 not in kinds or not {1, 2, 9} <= able:
            sys.exit("the driver cannot create, attach and expand volumes")
        self.attacher = "external-attacher/" + re.sub("[^a-z0-9]", "-", self.name)
        self.pool, self.busy, self.lock = futures.ThreadPoolExecutor(32), set(), threading.Lock()

    # --- provisioner ---

    def capability(self, volume_mode, access_modes, fs_type):
        capability = self.pb.VolumeCapability
        kind = {"block": capability.BlockVolume()} if volume_mode == "Block" else {
            "mount": capability.MountVolume(fs_type=fs_type)}
        return capability(access_mode=capability.AccessMode(mode=ACCESS_MODES[access_modes[0]]), **kind)

    def topologies(self, selected):
        """Where the driver is, the chosen node first."""
        found = []
        for csi_node in self.api.items(STORAGE + "/csinodes"):
            keys = [d.get("topologyKeys") or [] for d in csi_node["spec"]["drivers"] if d["name"] == self.name]
            if keys:
                labels = self.api.call("GET", f"{CORE}/nodes/{csi_node['metadata']['name']}")["metadata"]["labels"]
                segments = [self.pb.Pair(key=k, value=labels[k]) for k in keys[0]]
                found.insert(0 if csi_node["metadata"]["name"] == selected else len(found), self.pb.Topology(segments=segments))
        return found

    def provision(self, claim):
        meta, spec = claim["metadata"], claim["spec"]
        storage_class = self.api.call("GET", f"{STORAGE}/storageclasses/{spec['storageClassName']}")
        selected = meta.get("annotations", {}).get("volume.kubernetes.io/selected-node")
        if storage_class["volumeBindingMode"] == "WaitForFirstConsumer" and not selected:
            return
        parameters = storage_class.get("parameters", {})
        topologies = self.topologies(selected)
        if not topologies:
            return # the driver is on no node yet
        size, name = spec["resources"]["requests"]["storage"], "pvc-" + meta["uid"]
        fs_type = parameters.get(PARAMETERS + "fstype", "xfs")
        made = self.driver.CreateVolume(self.pb.CreateRequest(
            name=name, capacity_range=self.pb.ExpandRequest.Range(required_bytes=bytes_of(size)),
            volume_capabilities=[self.capability(spec["volumeMode"], spec["accessModes"], fs_type)],
            parameters=[self.pb.Pair(key=k, value=v) for k, v in parameters.items() if not k.startswith(PARAMETERS)],
            accessibility_requirements=self.pb.Requirement(requisite=topologies, preferred=topologies))).volume
        csi = {"driver": self.name, "volumeHandle": made.volume_id, "volumeAttributes": wire.pairs(made.volume_context)}
        if spec["volumeMode"] != "Block" and fs_type != "none":
            csi["fsType"] = fs_type
        if PARAMETERS + "node-stage-secret-name" in parameters:
            csi["nodeStageSecretRef"] = {"name": parameters[PARAMETERS + "node-stage-secret-name"],
                                         "namespace": parameters[PARAMETERS + "node-stage-secret-namespace"]}
        self.api.call("POST", CORE + "/persistentvolumes", {
            "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": self.name}, "finalizers": [FINALIZER]},
            "spec": {"capacity": {"storage": str(made.capacity_bytes)}, "accessModes": spec["accessModes"], "csi": csi,
                     "volumeMode": spec["volumeMode"], "storageClassName": spec["storageClassName"],
                     "persistentVolumeReclaimPolicy": storage_class["reclaimPolicy"],
                     "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": meta["namespace"],
                                  "name": meta["name"], "uid": meta["uid"]},
                     "nodeAffinity": {"required": {"nodeSelectorTerms": [
                         {"matchExpressions": [{"key": k, "operator": "In", "values": [v]}
                                               for k, v in wire.pairs(topology.segments).items()]}
                         for topology in made.accessible_topology]}}}})

    def reclaim(self, volume):
        path = CORE + "/persistentvolumes/" + volume["metadata"]["name"]
        self.driver.DeleteVolume(self.pb.DeleteRequest(volume_id=volume["spec"]["csi"]["volumeHandle"]))
        if not volume["metadata"].get("deletionTimestamp"):
            self.api.call("DELETE", path)
        self.api.set_finalizer(path, self.api.call("GET", path), FINALIZER, False)

    # --- resizer ---

    def resize(self, claim, volume):
        path = f"{CORE}/namespaces/{claim['metadata']['namespace']}/persistentvolumeclaims/{claim['metadata']['name']}/status"
        spec = volume["spec"]
        grown = self.driver.ControllerExpandVolume(self.pb.GrowRequest(
            volume_id=spec["csi"]["volumeHandle"],
            capacity_range=self.pb.ExpandRequest.Range(required_bytes=bytes_of(claim["spec"]["resources"]["requests"]["storage"])),
            volume_capability=self.capability(spec["volumeMode"], spec["accessModes"], spec["csi"].get("fsType", ""))))
        wanted = claim["spec"]["resources"]["requests"]["storage"]
        if grown.node_expansion_required:
            self.api.call("PATCH", path, {"status": {"conditions": [{"type": "FileSystemResizePending", "status": "True"}]}})
        else:
            self.api.call("PATCH", path, {"status": {"capacity": {"storage": wanted}}})
        self.api.call("PATCH", CORE + "/persistentvolumes/" + volume["metadata"]["name"], {"spec": {"capacity": {"storage": wanted}}})

    # --- attacher ---

    def node_id(self, node):
        drivers = self.api.call("GET", f"{STORAGE}/csinodes/{node}")["spec"]["drivers"]
        return next(d["nodeID"] for d in drivers if d["name"] == self.name)

    def attach(self, attachment, volume):
        path = f"{STORAGE}/volumeattachments/{attachment['metadata']['name']}"
        volume_path = CORE + "/persistentvolumes/" + volume["metadata"]["name"]
        csi, spec = volume["spec"]["csi"], volume["spec"]
        if attachment["metadata"].get("deletionTimestamp"):
            self.driver.ControllerUnpublishVolume(self.pb.DetachRequest(
                volume_id=csi["volumeHandle"], node_id=self.node_id(attachment["spec"]["nodeName"])))
            self.api.set_finalizer(volume_path, volume, self.attacher, False)
            self.api.set_finalizer(path, attachment, self.attacher, False)
            return
        self.api.set_finalizer(volume_path, volume, self.attacher, True)
        self.api.set_finalizer(path, attachment, self.attacher, True)
        answer = self.driver.ControllerPublishVolume(self.pb.AttachRequest(
            volume_id=csi["volumeHandle"], node_id=self.node_id(attachment["spec"]["nodeName"]),
            volume_capability=self.capability(spec["volumeMode"], spec["accessModes"], csi.get("fsType", "")),
            volume_context=[self.pb.Pair(key=k, value=v) for k, v in csi.get("volumeAttributes", {}).items()]))
        self.api.call("PATCH", path + "/status",
                      {"status": {"attached": True, "attachmentMetadata": wire.pairs(answer.publish_context)}})

    # --- what there is to do ---

    def todo(self):
        """(key, function, arguments) for each object that is not as it should be."""
        volumes = {v["metadata"]["name"]: v for v in self.api.items(CORE + "/persistentvolumes")
                   if v["spec"].get("csi", {}).get("driver") == self.name}
        attachments = [a for a in self.api.items(STORAGE + "/volumeattachments") if a["spec"]["attacher"] == self.name]
        attached = {a["spec"]["source"]["persistentVolumeName"] for a in attachments}
        for claim in self.api.items(CORE + "/persistentvolumeclaims"):
            annotations, key = claim["metadata"].get("annotations", {}), "claim " + claim["metadata"]["uid"]
            if annotations.get("volume.kubernetes.io/storage-provisioner") != self.name:
                continue
            volume = volumes.get("pvc-" + claim["metadata"]["uid"])
            if not volume and not claim["metadata"].get("deletionTimestamp") and not claim["spec"].get("volumeName"):
                yield key, self.provision, (claim,)
            elif volume and claim["status"].get("phase") == "Bound" and bytes_of(
                    claim["spec"]["resources"]["requests"]["storage"]) > bytes_of(volume["spec"]["capacity"]["storage"]):
                yield key, self.resize, (claim, volume)
        for a in attachments:
            volume = volumes.get(a["spec"]["source"]["persistentVolumeName"])
            if volume and (a["metadata"].get("deletionTimestamp") or not a.get("status", {}).get("attached")):
                yield "attachment " + a["metadata"]["uid"], self.attach, (a, volume)
        for name, volume in volumes.items():
            if volume["status"].get("phase") == "Released" and name not in attached and \
                    volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete":
                yield "volume " + volume["metadata"]["uid"], self.reclaim, (volume,)

    def do(self, key, function, arguments):
        try:
            function(*arguments)
        except Gone:
            pass
        except (OSError, grpc.RpcError, KeyError, ValueError, StopIteration) as error:
            print(key, function.__name__, repr(error)[:500], file=sys.stderr, flush=True)
        finally:
            with self.lock:
                self.busy.discard(key)

    def work(self):
        pause = threading.Event()
        while True:
            try:
                for key, function, arguments in self.todo():
                    with self.lock:
                        if key in self.busy:
                            continue
                        self.busy.add(key)
                    self.pool.submit(self.do, key, function, arguments)
            except (OSError, Gone) as error:
                print("look:", repr(error), file=sys.stderr, flush=True)
            pause.wait(0.1)


def bytes_of(quantity):
    units = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
    return int(quantity[:-2]) * units[quantity[-2:]] if quantity[-2:] in units else int(quantity)


def main():
    roles = {"registrar": registrar, "external": lambda options, pb: External(options, pb).work()}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--role", choices=roles, required=True)
    parser.add_argument("--folder", required=True)
    for name in ("kubelet-root", "socket", "server", "ca", "cert", "key"):
        parser.add_argument("--" + name)
    options = parser.parse_args()
    roles[options.role](options, wire.Messages())


main()
