#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes Ingresses with a Service and an endpoint each, then measures how long it takes from a change to its effect.

ingress.py SERVER FOLDER ADDRESS PORT PROXY COUNT: the API server, the folder with admin.crt, admin.key and ca.crt, the endpoints'
address and port, the proxy's port, how many Ingresses.
"""
import http.client
import json
import ssl
import statistics
import sys
import time
import urllib.parse

SERVER, FOLDER, ADDRESS, PORT, PROXY, COUNT = sys.argv[1:7]
NETWORKING = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
SERVICES = "/api/v1/namespaces/default/services"
context = ssl.create_default_context(cafile=f"{FOLDER}/ca.crt")
context.load_cert_chain(f"{FOLDER}/admin.crt", f"{FOLDER}/admin.key")
api = http.client.HTTPSConnection(urllib.parse.urlparse(SERVER).netloc, context=context)
proxy = http.client.HTTPConnection("127.0.0.1", int(PROXY))


def call(method, path, body=None):
    api.request(method, path, json.dumps(body) if body else None,
                {"Content-Type": "application/merge-patch+json" if method == "PATCH" else "application/json"})
    answer = api.getresponse()
    text = answer.read()
    if answer.status >= 300:
        sys.exit(f"{method} {path}: {answer.status} {text[:300]}")


def service(name):
    call("POST", SERVICES, {"metadata": {"name": name}, "spec": {"ports": [{"name": "web", "port": 80}]}})
    call("POST", SLICES, {"metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}}, "addressType": "IPv4",
                          "ports": [{"name": "web", "port": int(PORT)}], "endpoints": [{"addresses": [ADDRESS]}]})


def ingress(name, host, target):
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": target, "port": {"number": 80}}}}
    return {"metadata": {"name": name}, "spec": {"ingressClassName": "haproxy", "rules": [{"host": host, "http": {"paths": [path]}}]}}


def status(host):
    try:
        proxy.request("GET", "/", headers={"Host": host})
        answer = proxy.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException):
        proxy.close()
        return 0


def until(host, wanted):
    end = time.monotonic() + 120
    while status(host) != wanted:
        if time.monotonic() > end:
            sys.exit(f"{host} does not answer {wanted}")


def measure(name, samples, change):
    """`change(i)` changes something and returns the host and the status that tell when it is done."""
    taken = []
    for i in range(samples):
        begin = time.monotonic()
        until(*change(i))
        taken.append((time.monotonic() - begin) * 1000)
    print(f"{name}: {statistics.median(taken):.0f} ms, {max(taken):.0f} ms at most, of {samples}", flush=True)


def create(i):
    call("POST", NETWORKING, ingress(f"new-{i}", f"new{i}.example.com", "s1"))
    return f"new{i}.example.com", 200


def create_with_service(i):
    service(f"own-{i}")
    call("POST", NETWORKING, ingress(f"own-{i}", f"own{i}.example.com", f"own-{i}"))
    return f"own{i}.example.com", 200


def delete(i):
    call("DELETE", f"{NETWORKING}/new-{i}")
    return f"new{i}.example.com", 404


def endpoint(i):
    ready = i % 2 == 1
    call("PATCH", f"{SLICES}/s3", {"endpoints": [{"addresses": [ADDRESS], "conditions": {"ready": ready, "serving": ready}}]})
    return "h3.example.com", 200 if ready else 503


def main():
    begin = time.monotonic()
    for i in range(int(COUNT)):
        service(f"s{i}")
        call("POST", NETWORKING, ingress(f"i{i}", f"h{i}.example.com", f"s{i}"))
    until(f"h{int(COUNT) - 1}.example.com", 200)
    print(f"{COUNT} Ingresses with their Services are made and served: {time.monotonic() - begin:.1f} s", flush=True)
    measure("a new Ingress, from its request to its route's first answer (goal: 200 ms)", 50, create)
    measure("a new Ingress with a new Service (goal: 200 ms)", 20, create_with_service)
    measure("an Ingress is deleted", 50, delete)
    measure("an endpoint goes or comes", 40, endpoint)


main()
