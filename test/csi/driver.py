#!/usr/bin/python3
"""A small CSI driver for tests: each volume is a file behind a loop device.

It is all that a driver's pods are in a cluster: the node service and its registration with the kubelet, and, in the same
process, external provisioner, attacher and resizer.

How it misbehaves a file says, <folder>/mode, a JSON object of a call's name and one of "hang" (until the file says otherwise),
"lie" (it claims to have done what it has not) and "die". What it is asked is written to <folder>/calls.
"""
import argparse
import json
import os
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent import futures

import grpc

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def load_messages(folder):
    os.makedirs(folder, exist_ok=True)
    subprocess.run(["protoc", "-I", os.path.join(ROOT, "kubelet/csi"), "--python_out", folder, "csi.proto"], check=True)
    sys.path.insert(0, folder)
    import csi_pb2
    return csi_pb2


def run(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def pairs(items):
    return {p.key: p.value for p in items}


class Node:
    """The node service. Every call may be made again, whatever happened to the last."""

    def __init__(self, options, pb):
        self.o, self.pb = options, pb
        self.lock = threading.Lock()

    def image(self, handle):
        return os.path.join(self.o.folder, handle + ".img")

    def loop(self, handle, make=False):
        out = run("losetup", "-n", "-O", "NAME", "-j", self.image(handle))
        if not out and make:
            return run("losetup", "-f", "--show", self.image(handle))
        return out.split("\n")[0]

    def NodeGetInfo(self, _):
        return self.pb.NodeInfo(node_id="id-of-" + self.o.node, max_volumes_per_node=7, accessible_topology=self.pb.Topology(
            segments=[self.pb.Pair(key=f"topology.{self.o.name}/node", value=self.o.node)]))

    def NodeGetCapabilities(self, _):
        return self.pb.NodeCapabilities(capabilities=[
            self.pb.NodeCapabilities.Capability(rpc=self.pb.NodeCapabilities.Rpc(type=t)) for t in (1, 2, 3, 5)])

    def NodeStageVolume(self, r):
        device = self.loop(r.volume_id, make=True)
        if pairs(r.publish_context).get("attached") != "yes":
            raise RuntimeError("the volume is not attached")
        secret = pairs(r.secrets).get("key")
        if "secret" in pairs(r.volume_context) and secret != pairs(r.volume_context)["secret"]:
            raise RuntimeError("the secret is not the volume's")
        if r.volume_capability.HasField("block") or os.path.ismount(r.staging_target_path):
            return self.pb.Empty()
        kind = r.volume_capability.mount.fs_type or "xfs"
        if not run("blkid", "-p", "-s", "TYPE", "-o", "value", device, check=False):
            run("mkfs." + kind, "-q", device)
        run("mount", "-t", kind, "-o", ",".join(["rw", *r.volume_capability.mount.mount_flags]), device, r.staging_target_path)
        return self.pb.Empty()

    def NodeUnstageVolume(self, r):
        while os.path.ismount(r.staging_target_path):
            run("umount", r.staging_target_path)
        device = self.loop(r.volume_id)
        if device:
            run("losetup", "-d", device)
        return self.pb.Empty()

    def NodePublishVolume(self, r):
        context = pairs(r.volume_context)
        if r.volume_capability.HasField("block"):
            open(r.target_path, "a").close()
            if "/dev" not in run("findmnt", "-n", "-o", "SOURCE", r.target_path, check=False):
                run("mount", "--bind", self.loop(r.volume_id), r.target_path)
            return self.pb.Empty()
        os.makedirs(r.target_path, exist_ok=True)
        if not os.path.ismount(r.target_path):
            if context.get("csi.storage.k8s.io/ephemeral") == "true":
                run("mount", "-t", "tmpfs", "driver", r.target_path)
            else:
                run("mount", "--bind", *(["-o", "ro"] if r.readonly else []), r.staging_target_path, r.target_path)
        if context.get("csi.storage.k8s.io/ephemeral") == "true":
            with open(os.path.join(r.target_path, "context"), "w") as file:
                json.dump(context, file)
        return self.pb.Empty()

    def NodeUnpublishVolume(self, r):
        if run("findmnt", "-n", "-o", "TARGET", r.target_path, check=False):
            run("umount", r.target_path)
        if os.path.isdir(r.target_path):
            os.rmdir(r.target_path)
        elif os.path.exists(r.target_path):
            os.unlink(r.target_path)
        return self.pb.Empty()

    def NodeExpandVolume(self, r):
        run("losetup", "-c", self.loop(r.volume_id))
        if not r.volume_capability.HasField("block"):
            run("xfs_growfs", "-d", r.staging_target_path)
        return self.pb.ExpandResponse(capacity_bytes=os.path.getsize(self.image(r.volume_id)))

    def NodeGetVolumeStats(self, r):
        fs = os.statvfs(r.volume_path)
        usage = self.pb.StatsResponse.Usage
        return self.pb.StatsResponse(usage=[
            usage(available=fs.f_bavail * fs.f_frsize, total=fs.f_blocks * fs.f_frsize,
                  used=(fs.f_blocks - fs.f_bfree) * fs.f_frsize, unit=1),
            usage(available=fs.f_ffree, total=fs.f_files, used=fs.f_files - fs.f_ffree, unit=2)])

    def mode(self, name):
        try:
            with open(os.path.join(self.o.folder, "mode")) as file:
                return json.load(file).get(name)
        except (OSError, ValueError):
            return None

    def call(self, name, request, context):
        with open(os.path.join(self.o.folder, "calls"), "a") as file:
            print(name, getattr(request, "volume_id", ""), file=file)
        mode = self.mode(name)
        if mode == "die":
            os._exit(9)
        if mode == "lie":
            return self.pb.ExpandResponse() if name == "NodeExpandVolume" else self.pb.Empty()
        while self.mode(name) == "hang" and context.is_active():
            threading.Event().wait(0.1)
        try:
            with self.lock:
                return getattr(self, name)(request)
        except Exception as error:
            context.abort(grpc.StatusCode.INTERNAL, str(error))

    def service(self):
        requests = {"NodeStageVolume": "StageRequest", "NodeUnstageVolume": "UnstageRequest",
                    "NodePublishVolume": "PublishRequest", "NodeUnpublishVolume": "UnpublishRequest",
                    "NodeExpandVolume": "ExpandRequest", "NodeGetVolumeStats": "StatsRequest",
                    "NodeGetInfo": "Empty", "NodeGetCapabilities": "Empty"}

        def handler(name):
            return grpc.unary_unary_rpc_method_handler(lambda request, context: self.call(name, request, context),
                                                       getattr(self.pb, requests[name]).FromString,
                                                       lambda message: message.SerializeToString())
        return grpc.method_handlers_generic_handler("csi.v1.Node", {name: handler(name) for name in requests})


def serve(path, *handlers):
    if os.path.exists(path):
        os.unlink(path)
    server = grpc.server(futures.ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers(handlers)
    server.add_insecure_port("unix://" + path)
    server.start()
    return server


def registration(options, pb, endpoint):
    def status(request, _):
        with open(os.path.join(options.folder, "registered"), "w") as file:
            file.write("yes" if request.plugin_registered else request.error)
        return pb.Empty()

    info = pb.PluginInfo(type="CSIPlugin", name=options.name, endpoint=endpoint, supported_versions=["1.9.0"])
    out = lambda message: message.SerializeToString()
    return grpc.method_handlers_generic_handler("pluginregistration.Registration", {
        "GetInfo": grpc.unary_unary_rpc_method_handler(lambda _, __: info, pb.Empty.FromString, out),
        "NotifyRegistrationStatus": grpc.unary_unary_rpc_method_handler(status, pb.RegistrationStatus.FromString, out)})


class Controller:
    """External provisioner, attacher and resizer, one look after the other."""

    def __init__(self, options, node):
        self.o, self.node = options, node
        self.tls = ssl.create_default_context(cafile=options.ca)
        self.tls.load_cert_chain(options.cert, options.key)

    def api(self, method, path, body=None):
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        request = urllib.request.Request(self.o.server + path, method=method, headers={"Content-Type": kind},
                                         data=None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request, context=self.tls, timeout=20) as answer:
            return json.load(answer)

    def items(self, path):
        return self.api("GET", path)["items"]

    def provision(self, claim):
        meta, spec = claim["metadata"], claim["spec"]
        handle, name = "vol-" + meta["uid"], "pvc-" + meta["uid"]
        size = spec["resources"]["requests"]["storage"]
        with open(self.node.image(handle), "a") as file:
            file.truncate(bytes_of(size))
        key = f"topology.{self.o.name}/node"
        attributes = {"made": "here"}
        secret = meta.get("annotations", {}).get("test/secret")
        csi = {"driver": self.o.name, "volumeHandle": handle, "fsType": "xfs", "volumeAttributes": attributes}
        if secret:
            attributes["secret"] = "sesame"
            csi["nodeStageSecretRef"] = {"name": secret, "namespace": meta["namespace"]}
        self.api("POST", "/api/v1/persistentvolumes", {
            "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": self.o.name}},
            "spec": {"capacity": {"storage": size}, "accessModes": spec["accessModes"], "csi": csi,
                     "volumeMode": spec.get("volumeMode", "Filesystem"), "storageClassName": spec.get("storageClassName", ""),
                     "persistentVolumeReclaimPolicy": "Delete",
                     "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": meta["namespace"],
                                  "name": meta["name"], "uid": meta["uid"]},
                     "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                         {"key": key, "operator": "In", "values": [self.o.node]}]}]}}}})

    def claims(self, volumes):
        """Provisions and resizes."""
        for claim in self.items("/api/v1/persistentvolumeclaims"):
            meta = claim["metadata"]
            if meta.get("annotations", {}).get("volume.kubernetes.io/storage-provisioner") != self.o.name:
                continue
            path = f"/api/v1/namespaces/{meta['namespace']}/persistentvolumeclaims/{meta['name']}"
            volume = volumes.get("pvc-" + meta["uid"])
            if not volume:
                self.provision(claim)
            elif claim["status"].get("phase") == "Bound":
                self.resize(claim, volume, path)

    def resize(self, claim, volume, path):
        wanted = claim["spec"]["resources"]["requests"]["storage"]
        if bytes_of(wanted) <= bytes_of(volume["spec"]["capacity"]["storage"]):
            return
        os.truncate(self.node.image(volume["spec"]["csi"]["volumeHandle"]), bytes_of(wanted))
        self.api("PATCH", path + "/status", {"status": {"conditions": [{"type": "FileSystemResizePending", "status": "True"}]}})
        self.api("PATCH", "/api/v1/persistentvolumes/" + volume["metadata"]["name"], {"spec": {"capacity": {"storage": wanted}}})

    def reclaim(self, volumes, attached):
        live = {c["metadata"]["uid"] for c in self.items("/api/v1/persistentvolumeclaims")}
        for name, volume in volumes.items():
            if volume["spec"]["claimRef"]["uid"] not in live and name not in attached:
                if os.path.exists(self.node.image(volume["spec"]["csi"]["volumeHandle"])):
                    os.unlink(self.node.image(volume["spec"]["csi"]["volumeHandle"]))
                self.api("PATCH", "/api/v1/persistentvolumes/" + name, {"metadata": {"finalizers": None}})
                if not volume["metadata"].get("deletionTimestamp"):
                    self.api("DELETE", "/api/v1/persistentvolumes/" + name)

    def attach(self, attachments):
        for a in attachments:
            path = "/apis/storage.k8s.io/v1/volumeattachments/" + a["metadata"]["name"]
            if a["metadata"].get("deletionTimestamp"):
                self.api("PATCH", path, {"metadata": {"finalizers": None}})
            elif not a.get("status", {}).get("attached") and self.node.mode("attach") != "hang":
                self.api("PATCH", path + "/status", {"status": {"attached": True, "attachmentMetadata": {"attached": "yes"}}})

    def look(self):
        volumes = {v["metadata"]["name"]: v for v in self.items("/api/v1/persistentvolumes")
                   if v["spec"].get("csi", {}).get("driver") == self.o.name}
        attachments = [a for a in self.items("/apis/storage.k8s.io/v1/volumeattachments")
                       if a["spec"]["attacher"] == self.o.name]
        self.claims(volumes)
        self.attach(attachments)
        self.reclaim(volumes, {a["spec"]["source"]["persistentVolumeName"] for a in attachments})

    def work(self):
        pause = threading.Event()
        while True:
            try:
                self.look()
            except (OSError, urllib.error.HTTPError, KeyError, ValueError) as error:
                print("look:", error, getattr(error, "read", lambda: b"")()[:300], file=sys.stderr, flush=True)
            pause.wait(0.1)


def bytes_of(quantity):
    units = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
    return int(quantity[:-2]) * units[quantity[-2:]] if quantity[-2:] in units else int(quantity)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("name", "folder", "node", "kubelet-root", "server", "ca", "cert", "key"):
        parser.add_argument("--" + name, required=True)
    options = parser.parse_args()
    pb = load_messages(os.path.join(options.folder, "messages"))
    node = Node(options, pb)
    endpoint = os.path.join(options.folder, "csi.sock")
    servers = [serve(endpoint, node.service()),
               serve(os.path.join(options.kubelet_root, "plugins_registry", options.name + "-reg.sock"),
                     registration(options, pb, endpoint))]
    Controller(options, node).work()
    del servers


main()
