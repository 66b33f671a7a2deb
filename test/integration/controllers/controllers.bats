#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The controller manager against real etcd and our API server, seen through kubectl. Nodes are fakes: the tests play the
# scheduler and the kubelets.

load ../../lib/plane

setup_file() {
        plane_begin
        plane_manage --cluster-cidr 10.1.0.0/16 --allocate-node-cidrs \
                --root-ca-file "$CP/ca.crt" --node-monitor-grace-period 4s \
                --node-monitor-period 1s --cluster-signing-cert-file "$CP/ca.crt" --cluster-signing-key-file "$CP/ca.key"
}

# deployment NAME IMAGE REPLICAS
deployment() {
        cat <<EOF
apiVersion: apps/v1
kind: Deployment
metadata: {name: $1, labels: {app: $1}}
spec:
  replicas: $3
  selector: {matchLabels: {app: $1}}
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  template:
    metadata: {labels: {app: $1}}
    spec:
      containers: [{name: c, image: $2, ports: [{name: http, containerPort: 8080}]}]
EOF
}

# Makes every pending pod of the label run and be ready.
run_pods() {
        local pod
        for pod in $(k get pods -l app="$1" --field-selector status.phase=Pending -o name); do
                k patch "$pod" --subresource=status --type=merge -p '{"status":{"phase":"Running","podIP":"10.1.7.'$((RANDOM % 250 + 1))'",
                  "podIPs":[{"ip":"10.1.7.'$((RANDOM % 250 + 1))'"}],"conditions":[{"type":"Ready","status":"True",
                  "lastTransitionTime":"2026-01-01T00:00:00Z"}]}}' >/dev/null || true
        done
}

# rolled_out NAME REPLICAS: plays the kubelet until the Deployment says that it is complete.
rolled_out() {
        run_pods "$1"
        [ "$(k get deployment "$1" -o jsonpath='{.status.updatedReplicas} {.status.availableReplicas} {.status.replicas}')" = "$2 $2 $2" ] &&
                [ "$(k get deployment "$1" -o jsonpath='{.status.observedGeneration}')" = "$(k get deployment "$1" -o jsonpath='{.metadata.generation}')" ]
}

count() {
        k get "$@" -o name 2>/dev/null | wc -l
}

@test "every namespace gets its service account and the cluster's authority" {
        printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: n1}\n' | k apply -f -
        wait_for k -n n1 get serviceaccount default
        wait_for k -n n1 get configmap kube-root-ca.crt
        [ "$(k -n n1 get configmap kube-root-ca.crt -o jsonpath='{.data.ca\.crt}')" = "$(cat "$CP/ca.crt")" ]
}

@test "a deployment makes its pods, follows its size and rolls out images, with a revision each" {
        deployment web v1 3 | k apply -f -
        wait_for rolled_out web 3
        [ "$(count pods -l app=web)" = 3 ]
        deployment web v1 5 | k apply -f -
        wait_for rolled_out web 5
        deployment web v2 2 | k apply -f -
        wait_for rolled_out web 2
        wait_for is 2 count pods -l app=web
        [ "$(k get pods -l app=web -o jsonpath='{.items[*].spec.containers[0].image}')" = "v2 v2" ]
        [ "$(k get deployment web -o jsonpath='{.metadata.annotations.deployment\.kubernetes\.io/revision}')" = 2 ]
        [ "$(count rs -l app=web)" = 2 ]
        k rollout status deployment/web --timeout 60s
        deployment web v1 2 | k apply -f -
        wait_for rolled_out web 2
        [ "$(count rs -l app=web)" = 2 ]
        [ "$(k get deployment web -o jsonpath='{.metadata.annotations.deployment\.kubernetes\.io/revision}')" = 3 ]
}

@test "a deleted pod is replaced" {
        local pod
        pod=$(k get pods -l app=web -o name | head -1)
        k delete "$pod" --grace-period=0 --force
        wait_for is 2 count pods -l app=web
        [ -z "$(k get "$pod" -o name --ignore-not-found)" ]
        wait_for rolled_out web 2
}

@test "a service shows its pods" {
        k apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
EOF
        slice_ready() { k get endpointslices -l kubernetes.io/service-name=web -o jsonpath='{.items[*].endpoints[*].conditions.ready}'; }
        wait_for is "true true" slice_ready
        [ "$(k get endpointslices -l kubernetes.io/service-name=web -o jsonpath='{.items[0].ports[0].port}')" = 8080 ]
        wait_for is 2 bash -c "$(declare -f k); k get endpoints web -o jsonpath='{.subsets[0].addresses[*].ip}' | wc -w"
}

@test "endpoints that somebody writes for a service without a selector are mirrored to slices" {
        k apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {ports: [{name: http, port: 80}, {name: admin, port: 81}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: outside, labels: {team: a}, annotations: {note: b}}
subsets:
- {addresses: [{ip: 192.0.2.1, hostname: one}, {ip: "2001:db8::1"}], notReadyAddresses: [{ip: 192.0.2.2}], ports: [{name: http, port: 8080}]}
- {addresses: [{ip: 192.0.2.3}], ports: [{name: admin, port: 9090}]}
EOF
        mirrored() { k get endpointslices -l kubernetes.io/service-name=outside,endpointslice.kubernetes.io/managed-by=endpointslicemirroring-controller.k8s.io "$@"; }
        lines() { mirrored -o jsonpath='{range .items[*]}{.addressType}:{.ports[0].name}={.ports[0].port}{range .endpoints[*]}/{.addresses[0]},{.hostname},{.conditions.ready}{end}{"\n"}{end}' | sort | xargs; }
        wait_for is "IPv4:admin=9090/192.0.2.3,,true IPv4:http=8080/192.0.2.1,one,true/192.0.2.2,,false IPv6:http=8080/2001:db8::1,,true" lines
        [ "$(mirrored -o jsonpath='{.items[0].metadata.labels.team} {.items[0].metadata.annotations.note} {.items[0].metadata.ownerReferences[0].kind} {.items[0].metadata.generateName}')" = "a b Endpoints outside-" ]
        [ "$(mirrored -o jsonpath='{.items[*].metadata.annotations}' | grep -c last-applied)" = 0 ]
        k patch endpoints outside --type=merge -p '{"subsets":[{"addresses":[{"ip":"192.0.2.4"}],"ports":[{"name":"http","port":8080}]}]}'
        wait_for is "IPv4:http=8080/192.0.2.4,,true" lines
        k label endpoints outside endpointslice.kubernetes.io/skip-mirror=true
        wait_for is "" lines
        k label endpoints outside endpointslice.kubernetes.io/skip-mirror-
        wait_for is "IPv4:http=8080/192.0.2.4,,true" lines
        k delete endpointslices -l kubernetes.io/service-name=outside
        wait_for is "IPv4:http=8080/192.0.2.4,,true" lines
        k delete endpoints outside
        wait_for is "" lines
        k delete service outside
}

@test "deleting a deployment takes everything along; orphaned and foreground deletion do as they say" {
        k delete deployment web
        wait_for is 0 count rs -l app=web
        for pod in $(k get pods -l app=web -o name); do k delete "$pod" --grace-period=0 --force; done
        wait_for is 0 count pods -l app=web
        deployment orphan v1 1 | k apply -f -
        wait_for is 1 count pods -l app=orphan
        k delete deployment orphan --cascade=orphan
        [ "$(count rs -l app=orphan)" = 1 ]
        wait_for is "" k get rs -l app=orphan -o jsonpath='{.items[*].metadata.ownerReferences}'
        k delete rs -l app=orphan --cascade=foreground --wait=false
        gone() { for p in $(k get pods -l app=orphan -o name); do k delete "$p" --grace-period=0 --force; done; [ "$(count rs -l app=orphan)" = 0 ]; }
        wait_for gone
        k delete service web
        wait_for is 0 count endpointslices -l kubernetes.io/service-name=web
}

@test "nodes get their ranges; a silent node is tainted and its pods leave" {
        for node in m1 m2; do
                printf 'apiVersion: v1\nkind: Node\nmetadata: {name: %s}\n' $node | k apply -f -
                k patch node $node --subresource=status --type=merge -p '{"status":{"conditions":[{"type":"Ready","status":"True","lastHeartbeatTime":"2026-01-01T00:00:00Z","lastTransitionTime":"2026-01-01T00:00:00Z","reason":"KubeletReady"}]}}'
        done
        wait_for k get node m1 -o jsonpath='{.spec.podCIDR}'
        ranges() { k get nodes -o jsonpath='{.items[*].spec.podCIDR}' | tr ' ' '\n' | sort -u | grep -c '^10\.1\..*/24$'; }
        wait_for is 2 ranges
        k apply -f - <<EOF
apiVersion: v1
kind: Pod
metadata: {name: stays}
spec:
  nodeName: m1
  tolerations: [{operator: Exists}]
  containers: [{name: c, image: v1}]
---
apiVersion: v1
kind: Pod
metadata: {name: leaves}
spec:
  nodeName: m1
  tolerations: [{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 1}]
  containers: [{name: c, image: v1}]
EOF
        # m2 goes on; or nobody would be given up.
        beat() { k patch node m2 --subresource=status --type=merge -p '{"status":{"conditions":[{"type":"Ready","status":"True","lastHeartbeatTime":"2026-01-01T00:'$((RANDOM % 50 + 10))':'$((RANDOM % 50 + 10))'Z","lastTransitionTime":"2026-01-01T00:00:00Z","reason":"KubeletReady"}]}}' >/dev/null; }
        unknown() { beat; [ "$(k get node m1 -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}')" = Unknown ]; }
        wait_for unknown
        wait_for is Unknown k get node m1 -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}'
        tainted() { k get node m1 -o jsonpath='{.spec.taints[*].key}' | grep -q node.kubernetes.io/unreachable; }
        wait_for tainted
        leaving() { beat; [ -n "$(k get pod leaves -o jsonpath='{.metadata.deletionTimestamp}' --ignore-not-found)" ] || [ -z "$(k get pod leaves -o name --ignore-not-found)" ]; }
        wait_for leaving
        [ -z "$(k get pod stays -o jsonpath='{.metadata.deletionTimestamp}')" ]
        # When the last node falls silent as well, nobody is given up any more.
        nobody() { ! k get node m1 -o jsonpath='{.spec.taints[*].effect}' | grep -q NoExecute; }
        wait_for nobody
        registered() { k get events -A --field-selector involvedObject.kind=Node -o jsonpath='{.items[*].reason}' | grep -q RegisteredNode; }
        wait_for registered
        k delete pod stays leaves --force --grace-period=0
}

@test "a pod whose label changes is let go and replaced, and taken back" {
        deployment label v1 2 | k apply -f -
        wait_for is 2 count pods -l app=label
        local pod
        pod=$(k get pods -l app=label -o name | head -1)
        k label "$pod" app=other --overwrite
        wait_for is 2 count pods -l app=label
        wait_for is "" k get "$pod" -o jsonpath='{.metadata.ownerReferences[*].name}'
        k label "$pod" app=label --overwrite
        alive() { [ "$(k get pods -l app=label -o jsonpath='{range .items[*]}{.metadata.deletionTimestamp}{"\n"}{end}' | grep -c '^$')" = 2 ]; }
        wait_for alive
        owned() { ! k get pods -l app=label -o jsonpath='{range .items[*]}{.metadata.ownerReferences[0].name}{"\n"}{end}' | grep -q '^$'; }
        wait_for owned
        # What ends is counted until it has ended.
        pod=$(k get pods -l app=label -o name | head -1)
        k patch "$pod" --type=merge -p '{"metadata":{"finalizers":["example.com/hold"]}}'
        k delete "$pod" --force --grace-period=0 --wait=false
        wait_for is 1 k get deployment label -o jsonpath='{.status.terminatingReplicas}'
        k patch "$pod" --type=merge -p '{"metadata":{"finalizers":null}}'
        wait_for is 0 k get deployment label -o jsonpath='{.status.terminatingReplicas}'
        k delete deployment label
}

@test "old replica sets go beyond the history limit" {
        deployment old v1 0 | k apply -f -
        k patch deployment old -p '{"spec":{"revisionHistoryLimit":1}}'
        for image in v2 v3 v4; do
                k set image deployment/old c=$image
                k rollout status deployment/old --timeout 60s
        done
        wait_for is 2 count rs -l app=old
        is "v3 v4" bash -c "$(declare -f k); k get rs -l app=old -o jsonpath='{range .items[*]}{.spec.template.spec.containers[0].image}{\"\\n\"}{end}' | sort | xargs"
        k delete deployment old
}

@test "owners that own each other go, and what is not in a namespace outlives owners in one" {
        for name in a b; do k create configmap cycle-$name; done
        uid() { k get "$1" "$2" -o jsonpath='{.metadata.uid}'; }
        own() { k patch "$1" "$2" --type=merge -p '{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"'"$3"'","uid":"'"$4"'","blockOwnerDeletion":true}]}}'; }
        own configmap cycle-a cycle-b "$(uid configmap cycle-b)"
        own configmap cycle-b cycle-a "$(uid configmap cycle-a)"
        k delete configmap cycle-a --cascade=foreground --wait=false
        wait_for is 0 bash -c "$(declare -f k); k get configmaps -o name | grep -c cycle-"
        k create clusterrole outlives --verb=get --resource=pods
        k create configmap falls
        own clusterrole outlives falls 5c3c8d5c-0000-4000-8000-000000000001
        own configmap falls nobody 5c3c8d5c-0000-4000-8000-000000000001
        fallen() { ! k get configmap falls; }
        wait_for fallen
        k get clusterrole outlives
        k delete clusterrole outlives
}

@test "a namespace is emptied and goes" {
        printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: some}\ndata: {a: b}\n' | k -n n1 apply -f -
        deployment inner v1 2 | k -n n1 apply -f -
        wait_for is 2 count -n n1 pods
        k patch -n n1 pod "$(k -n n1 get pods -o jsonpath='{.items[0].metadata.name}')" --type=merge -p '{"metadata":{"finalizers":["example.com/hold"]}}'
        k delete namespace n1 --wait=false
        # The pods go first; what holds them up is named.
        why() { k get namespace n1 -o jsonpath='{.status.conditions[?(@.type=="'"$1"'")].message}'; }
        for p in $(k -n n1 get pods -o name); do k -n n1 delete "$p" --grace-period=0 --force --wait=false --ignore-not-found; done
        wait_for is "Some resources are remaining: pods. has 1 resource instances" why NamespaceContentRemaining
        [ "$(why NamespaceFinalizersRemaining)" = "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances" ]
        k -n n1 get configmap some
        k -n n1 patch "$(k -n n1 get pods -o name)" --type=merge -p '{"metadata":{"finalizers":null}}'
        emptied() { for p in $(k -n n1 get pods -o name 2>/dev/null); do k -n n1 delete "$p" --grace-period=0 --force; done; ! k get namespace n1; }
        wait_for emptied
}

@test "a node's certificate request is signed when approved" {
        openssl ecparam -name prime256v1 -genkey -noout -out "$CP/n.key"
        openssl req -new -key "$CP/n.key" -subj /O=system:nodes/CN=system:node:m9 -out "$CP/n.csr"
        k apply -f - <<EOF
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: m9}
spec:
  request: $(base64 -w0 "$CP/n.csr")
  signerName: kubernetes.io/kube-apiserver-client-kubelet
  usages: [digital signature, client auth]
EOF
        wait_for is Approved k get csr m9 -o jsonpath='{.status.conditions[0].type}'
        signed() { k get csr m9 -o jsonpath='{.status.certificate}' | base64 -d | openssl verify -CAfile "$CP/ca.crt"; }
        wait_for signed
}

@test "the controllers did all that with nothing but the bootstrap roles" {
        run forbidden
        echo "$output"
        [ -z "$output" ]
}

@test "every controller is an account of its own" {
        k -n kube-system get serviceaccounts replicaset-controller deployment-controller node-controller generic-garbage-collector
        # An account that is deleted comes back, and a token of the old one is replaced.
        k -n kube-system delete serviceaccount replicaset-controller
        deployment again v1 2 | k apply -f -
        wait_for is 2 count pods -l app=again
        wait_for k -n kube-system get serviceaccount replicaset-controller
        k delete deployment again
}

@test "killed in the middle, the API server and the controllers take up where they were" {
        deployment crash v1 150 | k apply -f -
        kill -9 "$(cat "$CP/apiserver.pid")"
        apiserver_start "$CP" "$(cat "$CP/port")"
        wait_for is 150 count pods -l app=crash
        deployment crash v1 40 | k apply -f -
        kill -9 "$(cat "$CP/kube-controller-manager.pid")"
        component_start "$CP" kube-controller-manager
        left() { [ "$(k get pods -l app=crash -o jsonpath='{range .items[*]}{.metadata.deletionTimestamp}{"\n"}{end}' | grep -c '^$')" = 40 ]; }
        wait_for left
        wait_for is 40 k get deployment crash -o jsonpath='{.status.replicas}'
}
