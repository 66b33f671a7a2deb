#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Quotas and limits: two API servers charge, the controller counts. Nodes are fakes: the tests play the kubelet.

load ../../lib/plane

setup_file() {
        plane_begin
        export OTHER=$(free_port)
        apiserver_second
        plane_manage --root-ca-file "$CP/ca.crt"
}

# Another apiserver over the same etcd, whose port is $OTHER.
apiserver_second() {
        cp "$CP/apiserver.pid" "$CP/first.pid"
        apiserver_start "$CP" "$OTHER"
        mv "$CP/apiserver.pid" "$CP/second.pid"
        mv "$CP/first.pid" "$CP/apiserver.pid"
        cat "$CP/second.pid" >>"$CP/pids"
        wait_for curl -sf --cacert "$CP/ca.crt" "https://127.0.0.1:$OTHER/readyz"
}

setup() {
        NS=q$BATS_TEST_NUMBER
        k create namespace "$NS" >/dev/null
        wait_for n get serviceaccount default
        wait_for n get configmap kube-root-ca.crt
}

teardown() { # a test may have stopped it
        kill -CONT "$(cat "$CP/kube-controller-manager.pid")" 2>/dev/null || :
}

n() { k -n "$NS" "$@"; }

# used QUOTA: "a=1 b=2" of its status, sorted.
used() { n get resourcequota "$1" -o go-template='{{range $k, $v := .status.used}}{{$k}}={{$v}} {{end}}' | sed 's/ $//'; }

# quota NAME HARD [MORE OF THE SPEC]
quota() {
        n apply -f - <<YAML
apiVersion: v1
kind: ResourceQuota
metadata: {name: $1}
spec: {hard: $2${3:+, $3}}
YAML
}

# pod NAME [MORE OF THE SPEC] [RESOURCES]
pod() {
        n apply -f - <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec: {containers: [{name: c, image: i, resources: ${3:-{\}}}]${2:+, $2}}
YAML
}

# refused WORDS command…: it fails, and says so.
refused() {
        local words=$1
        shift
        run "$@"
        [ "$status" -ne 0 ]
        [[ "$output" == *"$words"* ]] || { echo "got: $output"; return 1; }
}

remove() { n delete "$@" --grace-period=0 --force >/dev/null 2>&1; }

@test "a quota says at once what is used, follows its limits, and counts what was there before it" {
        n create secret generic before
        quota a '{secrets: "5", count/secrets: "5", pods: "2", services: "3", count/deployments.apps: "1"}'
        wait_for is "count/deployments.apps=0 count/secrets=1 pods=0 secrets=1 services=0" used a
        n patch resourcequota a --type=merge -p '{"spec":{"hard":{"pods":null,"configmaps":"3"}}}'
        wait_for is "configmaps=1 count/deployments.apps=0 count/secrets=1 secrets=1 services=0" used a
        [ "$(n get resourcequota a -o jsonpath='{.status.hard.configmaps}')" = 3 ]
}

@test "the life of a pod, a service, a claim, a secret and objects of other kinds is captured" {
        quota a '{pods: "3", requests.cpu: "1", limits.memory: 1Gi, requests.example.com/dongle: "3", services: "2", services.loadbalancers: "1", services.nodeports: "2",
          persistentvolumeclaims: "2", requests.storage: 3Gi, gold.storageclass.storage.k8s.io/requests.storage: 1Gi, count/replicasets.apps: "1", replicationcontrollers: "1"}'
        wait_for is 12 bash -c "$(declare -f k n); NS=$NS; n get resourcequota a -o go-template='{{len .status.used}}'"
        refused "failed quota: a: must specify limits.memory for: c; requests.cpu for: c" pod bare
        pod one "" '{requests: {cpu: 600m, example.com/dongle: "2"}, limits: {memory: 512Mi, example.com/dongle: "2"}}'
        is "600m 512Mi 1 2" n get resourcequota a -o jsonpath='{.status.used.requests\.cpu} {.status.used.limits\.memory} {.status.used.pods} {.status.used.requests\.example\.com/dongle}'
        refused 'pods "two" is forbidden: exceeded quota: a, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1' \
                pod two "" '{requests: {cpu: 600m}, limits: {memory: 1Mi}}'
        refused 'exceeded quota: a, requested: requests.example.com/dongle=2, used: requests.example.com/dongle=2, limited: requests.example.com/dongle=3' \
                pod two "" '{requests: {cpu: 1m, example.com/dongle: "2"}, limits: {memory: 1Mi, example.com/dongle: "2"}}'
        n patch pod one --type=merge -p '{"metadata":{"labels":{"a":"b"}}}'
        remove pod one
        wait_for is "0 0 0" n get resourcequota a -o jsonpath='{.status.used.requests\.cpu} {.status.used.limits\.memory} {.status.used.pods}'

        n create service loadbalancer lb --tcp=80:80
        refused "exceeded quota: a, requested: services.loadbalancers=1, used: services.loadbalancers=1, limited: services.loadbalancers=1" \
                n create service loadbalancer lb2 --tcp=80:80
        refused "requested: services.nodeports=2, used: services.nodeports=1, limited: services.nodeports=2" \
                n create service nodeport np --tcp=80:80 --tcp=81:81
        is "1 1 1" n get resourcequota a -o jsonpath='{.status.used.services} {.status.used.services\.loadbalancers} {.status.used.services\.nodeports}'
        n patch service lb -p '{"spec":{"type":"ClusterIP"}}'
        wait_for is "1 0 0" n get resourcequota a -o jsonpath='{.status.used.services} {.status.used.services\.loadbalancers} {.status.used.services\.nodeports}'
        n delete service lb
        wait_for is 0 n get resourcequota a -o jsonpath='{.status.used.services}'

        claim() { printf 'apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: %s}\nspec: {storageClassName: %s, accessModes: [ReadWriteOnce], resources: {requests: {storage: %s}}}\n' "$1" "$2" "$3" | n apply -f -; }
        claim big gold 1Gi
        refused "requested: gold.storageclass.storage.k8s.io/requests.storage=1Gi, used: gold.storageclass.storage.k8s.io/requests.storage=1Gi" claim more gold 1Gi
        claim silver silver 2Gi
        is "2 3Gi 1Gi" n get resourcequota a -o jsonpath='{.status.used.persistentvolumeclaims} {.status.used.requests\.storage} {.status.used.gold\.storageclass\.storage\.k8s\.io/requests\.storage}'
        remove persistentvolumeclaim big
        wait_for is "1 2Gi 0" n get resourcequota a -o jsonpath='{.status.used.persistentvolumeclaims} {.status.used.requests\.storage} {.status.used.gold\.storageclass\.storage\.k8s\.io/requests\.storage}'

        printf 'apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: r}\nspec: {replicas: 0, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}\n' | n apply -f -
        is 1 n get resourcequota a -o jsonpath='{.status.used.count/replicasets\.apps}'
        n delete replicaset r
        wait_for is 0 n get resourcequota a -o jsonpath='{.status.used.count/replicasets\.apps}'

        rc() { printf 'apiVersion: v1\nkind: ReplicationController\nmetadata: {name: %s}\nspec: {replicas: 0, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}\n' "$1" | n apply -f -; }
        rc one
        refused "exceeded quota: a, requested: replicationcontrollers=1, used: replicationcontrollers=1, limited: replicationcontrollers=1" rc two
        n delete replicationcontroller one
        wait_for is 0 n get resourcequota a -o jsonpath='{.status.used.replicationcontrollers}'
}

@test "pods that have ended use nothing but their place" {
        quota a '{pods: "1", count/pods: "2"}'
        wait_for is "count/pods=0 pods=0" used a
        pod one
        refused "exceeded quota: a, requested: pods=1, used: pods=1, limited: pods=1" pod two
        n patch pod one --subresource=status --type=merge -p '{"status":{"phase":"Succeeded"}}'
        wait_for is "count/pods=1 pods=0" used a
        pod two
        refused "exceeded quota: a, requested: count/pods=1,pods=1, used: count/pods=2,pods=1, limited: count/pods=2,pods=1" pod three
}

@test "scopes: terminating, best effort, priority classes, affinity across namespaces" {
        quota ends '{pods: "5"}' 'scopes: [Terminating]'
        quota lasts '{pods: "5"}' 'scopes: [NotTerminating]'
        quota best '{pods: "5"}' 'scopes: [BestEffort]'
        quota better '{pods: "5"}' 'scopes: [NotBestEffort]'
        quota class '{pods: "1"}' 'scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: In, values: [quota-high]}]}'
        quota across '{pods: "0"}' 'scopeSelector: {matchExpressions: [{scopeName: CrossNamespacePodAffinity, operator: Exists}]}'
        for name in ends lasts best better class across; do wait_for is pods=0 used $name; done
        k create priorityclass quota-high --value=10
        pod a 'activeDeadlineSeconds: 100'
        pod b "" '{requests: {cpu: 1m}}'
        [ "$(used ends) $(used lasts) $(used best) $(used better) $(used class)" = "pods=1 pods=1 pods=1 pods=1 pods=0" ]
        pod c 'priorityClassName: quota-high'
        refused "exceeded quota: class" pod d 'priorityClassName: quota-high'
        refused "exceeded quota: across" pod e 'affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: z, namespaces: [x], labelSelector: {matchLabels: {a: b}}}]}}'
        remove pod a c
        wait_for is "pods=0" used ends
        wait_for is "pods=0" used class
}

@test "the status can be written and the quota watched, as the conformance tests do" {
        quota a '{cpu: "500m", memory: 512Mi}'
        wait_for is "cpu=0 memory=0" used a
        n patch resourcequota a --subresource=status --type=merge -p '{"status":{"hard":{"cpu":"1","memory":"1Gi"},"used":{"cpu":"0","memory":"0"}}}'
        wait_for is 500m n get resourcequota a -o jsonpath='{.status.hard.cpu}' # the controller's word is the last
        n delete resourcequotas --all
        pod free
}

@test "dry runs, refused and failed creations cost nothing" {
        quota a '{configmaps: "4"}'
        wait_for is configmaps=1 used a
        n create configmap x
        n create configmap y --dry-run=server
        refused "already exists" n create configmap x
        is configmaps=2 used a
        n delete configmap x
        wait_for is configmaps=1 used a
        n create configmap x
        refused "exceeded quota" bash -c "$(declare -f k n); NS=$NS; n create configmap z1 && n create configmap z2 && n create configmap z3 --dry-run=server"
}

@test "sixteen clients of two servers get exactly what fits, and again what has become free" {
        quota a '{secrets: "40"}'
        quota b '{count/secrets: "60"}'
        wait_for is secrets=0 used a
        wait_for is count/secrets=0 used b
        post() {
                local port=$(cat "$CP/port")
                [ $(($1 % 2)) = 0 ] || port=$OTHER
                curl -s -o /dev/null -w '%{http_code}\n' --cacert "$CP/ca.crt" --cert "$CP/admin.crt" --key "$CP/admin.key" \
                        -H 'Content-Type: application/json' -d '{"metadata":{"name":"s'"$1"'"}}' "https://127.0.0.1:$port/api/v1/namespaces/$NS/secrets"
        }
        export -f post
        export NS
        # made FROM TO: how often which answer came
        made() { seq "$1" "$2" | xargs -P 16 -I{} bash -c 'post {}' | sort | uniq -c | xargs; }
        local codes
        codes=$(made 1 120)
        echo "$codes"
        [ "$codes" = "40 201 80 403" ]
        [ "$(n get secrets -o name | wc -l)" = 40 ]
        is secrets=40 used a
        is count/secrets=40 used b
        n get secrets -o name | head -10 | xargs -n 5 -P 2 bash -c "$(declare -f k n); n delete \"\$@\"" _
        wait_for is secrets=30 used a
        wait_for is count/secrets=30 used b
        codes=$(made 200 260)
        [ "$codes" = "10 201 51 403" ]
        [ "$(n get secrets -o name | wc -l)" = 40 ]
}

@test "what is made while a quota is counted for the first time is counted" {
        make() { for i in $(seq 60); do n create configmap "m$1-$i" >/dev/null 2>&1 || :; done; }
        local pids=()
        for i in 1 2 3 4; do make $i 3>&- & pids+=($!); done
        quota a '{configmaps: "100"}'
        wait "${pids[@]}"
        settled() { [ "$(used a)" = "configmaps=$(n get configmaps -o name | wc -l)" ]; }
        wait_for settled
}

@test "an API server that is killed in the middle has charged what it has written, and nothing else" {
        quota a '{secrets: "1000"}'
        wait_for is secrets=0 used a
        kill -STOP "$(cat "$CP/kube-controller-manager.pid")" # nobody counts again
        local folder=$CP port=$OTHER i clients
        storm() { # by the second server
                seq "$1" "$2" | xargs -P 8 -I{} curl -s -o /dev/null --cacert "$folder/ca.crt" --cert "$folder/admin.crt" --key "$folder/admin.key" \
                        -H 'Content-Type: application/json' -d '{"metadata":{"name":"k{}"}}' "https://127.0.0.1:$port/api/v1/namespaces/$NS/secrets" || :
        }
        some() { [ "$(n get secrets -o name | wc -l)" -ge "$1" ]; }
        for i in 1 2 3; do
                storm $((i * 1000)) $((i * 1000 + 200)) 3>&- &
                clients=$!
                wait_for some $((i * 15))
                kill -9 "$(cat "$CP/second.pid")"
                wait "$clients"
                apiserver_second
        done
        echo "$(used a) of $(n get secrets -o name | wc -l)"
        [ "$(used a)" = "secrets=$(n get secrets -o name | wc -l)" ]
        kill -CONT "$(cat "$CP/kube-controller-manager.pid")"
}

@test "limits complete containers and bound them and claims" {
        n apply -f - <<YAML
apiVersion: v1
kind: LimitRange
metadata: {name: l}
spec:
  limits:
  - {type: Container, min: {cpu: 50m}, max: {cpu: 500m, memory: 500Mi}, default: {cpu: 500m, memory: 500Mi}, defaultRequest: {cpu: 100m, memory: 200Mi}}
  - {type: PersistentVolumeClaim, min: {storage: 1Gi}, max: {storage: 2Gi}}
YAML
        quota a '{requests.cpu: "1"}'
        wait_for is requests.cpu=0 used a
        pod defaulted
        is "100m 200Mi 500m 500Mi" n get pod defaulted -o jsonpath='{.spec.containers[0].resources.requests.cpu} {.spec.containers[0].resources.requests.memory} {.spec.containers[0].resources.limits.cpu} {.spec.containers[0].resources.limits.memory}'
        is requests.cpu=100m used a # the quota sees the defaults
        pod partial "" '{requests: {cpu: 70m}}'
        is "70m 500m" n get pod partial -o jsonpath='{.spec.containers[0].resources.requests.cpu} {.spec.containers[0].resources.limits.cpu}'
        refused 'pods "small" is forbidden: minimum cpu usage per Container is 50m, but request is 10m' pod small "" '{requests: {cpu: 10m}}'
        refused 'maximum cpu usage per Container is 500m, but limit is 600m' pod large "" '{limits: {cpu: 600m}}'
        n patch limitrange l --type=json -p '[{"op":"replace","path":"/spec/limits/0/min/cpu","value":"10m"}]'
        pod small "" '{requests: {cpu: 10m}}'
        n delete limitrange l
        pod large "" '{requests: {cpu: 700m}}'
}

@test "the controller did all that with nothing but its role" {
        run forbidden
        [ -z "$output" ]
}
