#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A small CSI driver for tests: each volume is a file behind a loop device.

It is what a driver's author writes, in two processes: the plugin on a node and the plugin beside the controllers. Each serves
the identity service and its own over a socket, <folder>/node.sock and <folder>/controller.sock, knows nothing of Kubernetes,
and keeps nothing but files: <volume>.img and, while a volume is attached, <volume>.attached. Who calls them: sidecar.py.

How it misbehaves a file says, <folder>/mode, a JSON object of a call's name and one of "hang" (until the file says otherwise),
"lie" (it claims to have done what it has not), "fail" and "die". What it is asked is written to <folder>/calls.
"""
import argparse
import json
import os
import subprocess
import threading

import grpc
import wire
from wire import pairs


def run(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def node_id(node):
    return "id-of-" + node


class Refused(Exception):
    """An error with a code of its own."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class Plugin:
    """What both have: the identity service, and the ways to misbehave. Every call may be made again, whatever happened to the
    last."""
    services = ()

    def __init__(self, options, pb):
        self.o, self.pb = options, pb
        self.lock = threading.Lock()

    def image(self, handle):
        return os.path.join(self.o.folder, handle + ".img")

    def attached_to(self, handle):
        try:
            with open(os.path.join(self.o.folder, handle + ".attached")) as file:
                return file.read()
        except FileNotFoundError:
            return None

    def GetPluginInfo(self, _):
        return self.pb.IdentityInfo(name=self.o.name, vendor_version="1")

    def GetPluginCapabilities(self, _):
        capability, service = self.pb.PluginCapabilities.Capability, self.pb.PluginCapabilities.Service
        return self.pb.PluginCapabilities(capabilities=[
            capability(service=service(type=1)), capability(service=service(type=2)),
            capability(volume_expansion=self.pb.PluginCapabilities.Expansion(type=1))])

    def Probe(self, _):
        return self.pb.ProbeResponse(ready=self.pb.ProbeResponse.Bool(value=True))

    def mode(self, name):
        try:
            with open(os.path.join(self.o.folder, "mode")) as file:
                return json.load(file).get(name)
        except (OSError, ValueError):
            return None

    def lie(self, name):
        return {answer: getattr(self.pb, answer)() for methods in wire.SERVICES.values()
                for method, (_, answer) in methods.items() if method == name}.popitem()[1]

    def call(self, name, request, context):
        with open(os.path.join(self.o.folder, "calls"), "a") as file:
            print(name, getattr(request, "volume_id", "") or getattr(request, "name", ""), file=file)
        mode = self.mode(name)
        if mode == "die":
            os._exit(9)
        if mode == "lie":
            return self.lie(name)
        if mode == "fail":
            context.abort(grpc.StatusCode.INTERNAL, "told to fail")
        while self.mode(name) == "hang" and context.is_active():
            threading.Event().wait(0.1)
        try:
            with self.lock:
                return getattr(self, name)(request)
        except Refused as error:
            context.abort(error.code, str(error))
        except Exception as error:
            context.abort(grpc.StatusCode.INTERNAL, str(error))


class Node(Plugin):
    services = ("csi.v1.Identity", "csi.v1.Node")

    def loop(self, handle, make=False):
        out = run("losetup", "-n", "-O", "NAME", "-j", self.image(handle))
        if not out and make:
            return run("losetup", "-f", "--show", self.image(handle))
        return out.split("\n")[0]

    def NodeGetInfo(self, _):
        return self.pb.NodeInfo(node_id=node_id(self.o.node), max_volumes_per_node=7, accessible_topology=self.pb.Topology(
            segments=[self.pb.Pair(key=f"topology.{self.o.name}/node", value=self.o.node)]))

    def NodeGetCapabilities(self, _):
        return self.pb.NodeCapabilities(capabilities=[
            self.pb.NodeCapabilities.Capability(rpc=self.pb.NodeCapabilities.Rpc(type=t)) for t in (1, 2, 3, 5)])

    def NodeStageVolume(self, r):
        device = self.loop(r.volume_id, make=True)
        if pairs(r.publish_context).get("attached") != self.o.node or self.attached_to(r.volume_id) != node_id(self.o.node):
            raise RuntimeError("the volume is not attached to this node")
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


class Controller(Plugin):
    services = ("csi.v1.Identity", "csi.v1.Controller")

    def ControllerGetCapabilities(self, _):
        return self.pb.NodeCapabilities(capabilities=[
            self.pb.NodeCapabilities.Capability(rpc=self.pb.NodeCapabilities.Rpc(type=t)) for t in (1, 2, 9)])

    def CreateVolume(self, r):
        handle, size = "vol-" + r.name, r.capacity_range.required_bytes
        if os.path.exists(self.image(handle)) and os.path.getsize(self.image(handle)) != size:
            raise Refused(grpc.StatusCode.ALREADY_EXISTS, "the volume is there with another size")
        with open(self.image(handle) + ".new", "w") as file:
            file.truncate(size)
        if not os.path.exists(self.image(handle)):
            os.rename(self.image(handle) + ".new", self.image(handle))
        else:
            os.unlink(self.image(handle) + ".new")
        context = {"made": "here", **pairs(r.parameters)}
        return self.pb.CreateResponse(volume=self.pb.Volume(
            capacity_bytes=size, volume_id=handle, volume_context=[self.pb.Pair(key=k, value=v) for k, v in context.items()],
            accessible_topology=[r.accessibility_requirements.preferred[0]]))

    def DeleteVolume(self, r):
        if self.attached_to(r.volume_id):
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "the volume is attached")
        if os.path.exists(self.image(r.volume_id)):
            os.unlink(self.image(r.volume_id))
        return self.pb.Empty()

    def ControllerPublishVolume(self, r):
        if not os.path.exists(self.image(r.volume_id)):
            raise Refused(grpc.StatusCode.NOT_FOUND, "there is no such volume")
        if self.attached_to(r.volume_id) not in (None, r.node_id):
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "the volume is attached to another node")
        path = os.path.join(self.o.folder, r.volume_id + ".attached")
        with open(path + ".new", "w") as file:
            file.write(r.node_id)
        os.rename(path + ".new", path)
        return self.pb.AttachResponse(publish_context=[self.pb.Pair(key="attached", value=r.node_id[len(node_id("")):])])

    def ControllerUnpublishVolume(self, r):
        if run("losetup", "-n", "-O", "NAME", "-j", self.image(r.volume_id)):
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "the volume is in use on the node")
        if self.attached_to(r.volume_id) == r.node_id:
            os.unlink(os.path.join(self.o.folder, r.volume_id + ".attached"))
        return self.pb.Empty()

    def ControllerExpandVolume(self, r):
        size = max(os.path.getsize(self.image(r.volume_id)), r.capacity_range.required_bytes)
        os.truncate(self.image(r.volume_id), size)
        return self.pb.GrowResponse(capacity_bytes=size, node_expansion_required=True)


def main():
    plugins = {"node": Node, "controller": Controller}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--service", choices=plugins, required=True)
    for name in ("name", "folder", "node"):
        parser.add_argument("--" + name, required=True)
    options = parser.parse_args()
    plugin = plugins[options.service](options, wire.Messages())
    server = wire.serve(os.path.join(options.folder, options.service + ".sock"), plugin.pb, plugin.services, plugin.call)
    server.wait_for_termination()


main()
