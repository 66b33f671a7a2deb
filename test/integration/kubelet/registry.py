#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A registry that behaves badly on purpose, one way a repository: registry.py ADDRESS PORT BUSYBOX

token    wants a Bearer token, which its token server gives to user:secret and which is good for one request
broken   ends each blob's first answer half way, and goes on from a Range
norange  the same, but ignores the Range
index    a manifest list whose entry for this machine is one of several
zstd     a layer compressed with zstd
plain    a layer that is not compressed
twice    the same layer twice
redirect sends to another server for its blobs, which must not see the credentials
device   a layer with a device file, which nobody can use
lies     a blob that is not what its digest says
diff     a layer that is not the one of the configuration
claims   another layer under the configuration, and so the id, of the image "plain"
fewer    fewer layers than the configuration has
nosize   a layer without a size
endless  a blob that never ends
cut      a blob that always ends too early
loop     a manifest list whose entry is itself a list
both     an image that is a manifest list too
document a manifest of 5 MiB
deep     a folder nested beyond what a path may be long
short    a layer that is longer than its descriptor says
many     100,000 layers
dotdot, absolute, link, hardlink, whiteout, sparse: layers that try to leave the root, or to be huge
mirrored only answers below /mirror/v2
"""
import base64, gzip, hashlib, http.server, io, json, platform, subprocess, sys, tarfile, threading

address, port, busybox = sys.argv[1], int(sys.argv[2]), open(sys.argv[3], "rb").read()
machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
blobs, manifests, seen, tokens, lock = {}, {}, set(), set(), threading.Lock()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def put(data):
    blobs[digest(data)] = data
    return data


def tar(*entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, content, mode in entries:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, mode
            if kind == tarfile.REGTYPE:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                info.linkname = content or ""
                archive.addfile(info)
    return out.getvalue()


def file(name, text, mode=0o644):
    return (name, tarfile.REGTYPE, text.encode() if isinstance(text, str) else text, mode)


base = tar(file("bin/busybox", busybox, 0o755), ("bin/sh", tarfile.SYMTYPE, "busybox", 0o777),
           ("bin/cat", tarfile.SYMTYPE, "busybox", 0o777), ("bin/sleep", tarfile.SYMTYPE, "busybox", 0o777),
           ("bin/ls", tarfile.SYMTYPE, "busybox", 0o777))


def unpacked(layer):
    command = {b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd"}.get(layer[:2])
    return subprocess.run([command, "-dc"], input=layer, stdout=subprocess.PIPE, check=True).stdout if command else layer


def config_of(layers):
    return put(json.dumps({"os": "linux", "architecture": machine,
                           "rootfs": {"type": "layers", "diff_ids": [digest(unpacked(l)) for l in layers]},
                           "config": {"Cmd": ["/bin/sh", "-c", "cat /hello /abs/hello /dev-of-image; ls -l / /in; sleep 1000"],
                                      "Env": ["PATH=/bin"]}}).encode())


def image(name, layers, sizes=None, config=None, **more):
    for layer in layers:
        put(layer)
    config = config or config_of(layers[:600])
    kind = "application/vnd.oci.image."
    body = json.dumps({"schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
                       "config": {"mediaType": kind + "config.v1+json", "digest": digest(config), "size": len(config)},
                       "layers": [{"mediaType": kind + "layer.v1.tar+gzip", "digest": digest(l), "size": size}
                                  for l, size in zip(layers, sizes or [len(l) for l in layers])], **more}).encode()
    manifests[name, "v1"] = manifests[name, digest(body)] = (kind + "manifest.v1+json", body)
    return digest(body), len(body)


def hello(name):
    return tar(file("hello", "hello " + name + "\n"))


small = gzip.compress(base)
for name in "token", "broken", "norange", "mirrored":
    image(name, [small, gzip.compress(hello(name) + b"\0" * 300000)])
image("plain", [base, hello("plain")])
image("zstd", [subprocess.run(["zstd", "-q", "-c"], input=base, stdout=subprocess.PIPE, check=True).stdout, hello("zstd")])
image("twice", [small, hello("twice"), tar(), hello("twice"), tar()])
image("lies", [small, hello("lies")])
blobs[digest(hello("lies"))] = hello("lier")
image("short", [small, hello("short")], [len(small), 700])
name, size = image("index", [small, hello("index")])
listed = json.dumps({"schemaVersion": 2, "manifests": [
    {"digest": digest(b"no"), "size": 2, "platform": {"os": "windows", "architecture": machine}},
    {"digest": digest(b"no"), "size": 2, "platform": {"os": "linux", "architecture": "other"}},
    {"digest": name, "size": size, "platform": {"os": "linux", "architecture": machine}}]}).encode()
manifests["index", "v1"] = ("application/vnd.docker.distribution.manifest.list.v2+json", listed)
own = {"digest": name, "size": size, "platform": {"os": "linux", "architecture": machine}}
image("both", [small, hello("both")], manifests=[own])
image("document", [small, hello("document")], annotations={"x": "y" * (5 << 20)})
manifests["loop", digest(listed)] = manifests["index", "v1"]
again = json.dumps({"schemaVersion": 2, "manifests": [dict(own, digest=digest(listed), size=len(listed))]}).encode()
manifests["loop", "v1"] = ("application/vnd.oci.image.index.v1+json", again)
image("diff", [small, hello("diff")], config=config_of([small, hello("other")]))
image("claims", [small, hello("claims")], config=config_of([base, hello("plain")]))
image("fewer", [small], config=config_of([small, hello("fewer")]))
image("nosize", [small, hello("nosize")], [len(small), None])
for name in "redirect", "endless", "cut":
    image(name, [gzip.compress(base, 1), hello(name)])
device = tarfile.TarInfo("dev-of-image")
device.type, device.mode, device.devmajor, device.devminor = tarfile.CHRTYPE, 0o666, 1, 11  # /dev/kmsg
image("device", [small, hello("device"), device.tobuf() + b"\0" * 1024])
image("deep", [small, tar(file("d/" * 3000 + "f", "x"))])
image("many", [small] + [b""] * 100000)
image("dotdot", [small, tar(file("../../../../../../../../../../../../tmp/escaped", "x"))])
image("absolute", [small, hello("absolute"), tar(file("/abs/hello", "inside\n"))])
image("link", [small, tar(("in", tarfile.SYMTYPE, "/tmp", 0o777), file("in/escaped", "x"))])
image("hardlink", [small, tar(("in", tarfile.LNKTYPE, "../../../../../../../../../etc/shadow", 0o644))])
image("whiteout", [small, hello("whiteout"), tar(file(".wh..", ""), file(".wh...", ""), file("a/.wh...", ""))])
huge = tarfile.TarInfo("huge")
huge.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 60), "GNU.sparse.name": "huge"}
huge.size = 512
image("sparse", [small, huge.tobuf(tarfile.PAX_FORMAT) + b"0\n".ljust(512, b"\0") + b"\0" * 1024])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *unused):
        pass

    def answer(self, code, body=b"", kind="application/json", **headers):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def first(self, key):
        with lock:
            new = key not in seen
            seen.add(key)
            return new

    def do_GET(self):
        path = self.path
        if path.startswith("/token"):
            good = self.headers.get("Authorization") == "Basic " + base64.b64encode(b"user:secret").decode()
            if not good or "scope=repository%3Atoken%3Apull" not in path or "service=test" not in path:
                return self.answer(401)
            token = "t%d" % len(seen)
            self.first(token)
            tokens.add(token)
            return self.answer(200, json.dumps({"token": token}).encode())
        if path.startswith("/elsewhere/"):
            seen_here = [self.headers.get("Authorization"), self.headers.get("Cookie")]
            if any(seen_here):
                print("credentials went elsewhere:", seen_here, flush=True)
            return self.answer(200, blobs[path[len("/elsewhere/"):]])
        mirror = path.startswith("/mirror/v2/")
        parts = path[len("/mirror"):].split("/") if mirror else path.split("/")
        if len(parts) != 5 or parts[1] != "v2" or (parts[2] == "mirrored") != mirror:
            return self.answer(404)
        repository, what, reference = parts[2:]
        if repository == "token":
            token = self.headers.get("Authorization", "").replace("Bearer ", "")
            if token not in tokens:
                return self.answer(401, WWW_Authenticate='Bearer realm="http://%s:%d/token",service="test",scope="repository:token:pull"' % (address, port))
            tokens.discard(token)
        if what == "manifests":
            kind, body = manifests.get((repository, reference), (None, None))
            return self.answer(200, body, kind) if body else self.answer(404)
        body = blobs.get(reference)
        if body is None:
            return self.answer(404)
        if repository in ("broken", "norange") and self.first(repository + reference):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:len(body) // 2])
            self.close_connection = True
            return None
        if repository == "redirect":
            if not self.headers.get("Authorization"):
                return self.answer(401, WWW_Authenticate='Basic realm="x"')
            return self.answer(307, Location="http://%s:%d/elsewhere/%s" % (address, port + 1, reference))
        if repository in ("endless", "cut") and body != configs.get(repository):
            self.send_response(200)
            if repository == "cut":
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.close_connection = True
            try:
                self.wfile.write(body[:100])
                while repository == "endless":
                    self.wfile.write(b"\0" * 65536)
            except OSError:
                pass
            return None
        start = self.headers.get("Range")
        if start and repository != "norange":
            at = int(start[len("bytes="):-1])
            return self.answer(206, body[at:], Content_Range="bytes %d-%d/%d" % (at, len(body) - 1, len(body)))
        return self.answer(200, body)


configs = {name: blobs[json.loads(body)["config"]["digest"]] for (name, tag), (_, body) in manifests.items()
           if name in ("endless", "cut")}
threading.Thread(target=http.server.ThreadingHTTPServer((address, port + 1), Handler).serve_forever, daemon=True).start()
http.server.ThreadingHTTPServer((address, port), Handler).serve_forever()
