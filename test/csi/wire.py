# SPDX-License-Identifier: Apache-2.0
"""gRPC over unix sockets for the test driver and its sidecars: the services with their messages, servers and clients."""
import os
import subprocess
import sys
import tempfile
from concurrent import futures

import grpc

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

# service -> method -> names of the messages that go and come
SERVICES = {
    "csi.v1.Identity": {
        "GetPluginInfo": ("Empty", "IdentityInfo"), "GetPluginCapabilities": ("Empty", "PluginCapabilities"),
        "Probe": ("Empty", "ProbeResponse")},
    "csi.v1.Controller": {
        "CreateVolume": ("CreateRequest", "CreateResponse"), "DeleteVolume": ("DeleteRequest", "Empty"),
        "ControllerPublishVolume": ("AttachRequest", "AttachResponse"), "ControllerUnpublishVolume": ("DetachRequest", "Empty"),
        "ControllerExpandVolume": ("GrowRequest", "GrowResponse"), "ControllerGetCapabilities": ("Empty", "NodeCapabilities")},
    "csi.v1.Node": {
        "NodeStageVolume": ("StageRequest", "Empty"), "NodeUnstageVolume": ("UnstageRequest", "Empty"),
        "NodePublishVolume": ("PublishRequest", "Empty"), "NodeUnpublishVolume": ("UnpublishRequest", "Empty"),
        "NodeExpandVolume": ("ExpandRequest", "ExpandResponse"), "NodeGetVolumeStats": ("StatsRequest", "StatsResponse"),
        "NodeGetInfo": ("Empty", "NodeInfo"), "NodeGetCapabilities": ("Empty", "NodeCapabilities")},
    "pluginregistration.Registration": {
        "GetInfo": ("Empty", "PluginInfo"), "NotifyRegistrationStatus": ("RegistrationStatus", "Empty")},
}


class Messages:
    """The messages by name, generated anew in each process: whoever is killed leaves nothing half-written to the others."""

    def __init__(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["protoc", "-I", os.path.join(ROOT, "kubelet/csi"), "-I", HERE, "--python_out", folder, "csi.proto",
                            "controller.proto"], check=True)
            sys.path.insert(0, folder)
            import controller_pb2
            import csi_pb2
            sys.path.remove(folder)
        self.modules = (csi_pb2, controller_pb2)

    def __getattr__(self, name):
        for module in self.modules:
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(name)


def pairs(items):
    return {p.key: p.value for p in items}


def serve(path, pb, services, call):
    """Serves whole services; call(name, request, context) answers."""
    def handler(name, asks):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: call(name, request, context),
                                                   getattr(pb, asks).FromString, lambda message: message.SerializeToString())

    if os.path.exists(path):
        os.unlink(path)
    server = grpc.server(futures.ThreadPoolExecutor(32))
    server.add_generic_rpc_handlers([
        grpc.method_handlers_generic_handler(service, {m: handler(m, asks) for m, (asks, _) in SERVICES[service].items()})
        for service in services])
    server.add_insecure_port("unix://" + path)
    server.start()
    return server


class Client:
    """client.CreateVolume(request) and so on; errors are grpc.RpcError. Connects again when the server was away."""

    def __init__(self, path, pb, timeout):
        self.pb, self.timeout = pb, timeout
        self.channel = grpc.insecure_channel("unix://" + path, options=[
            ("grpc.min_reconnect_backoff_ms", 100), ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 500), ("grpc.use_local_subchannel_pool", 1)])

    def __getattr__(self, name):
        for service, methods in SERVICES.items():
            if name in methods:
                answer = getattr(self.pb, methods[name][1])
                method = self.channel.unary_unary(f"/{service}/{name}", lambda m: m.SerializeToString(), answer.FromString)
                return lambda request=None: method(request or self.pb.Empty(), timeout=self.timeout, wait_for_ready=True)
        raise AttributeError(name)
