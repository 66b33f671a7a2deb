#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# cloud-controller-manager with the provider for bare machines, against real etcd and our API server: which Service gets
# which address, and what becomes of machines. Nobody announces anything here (announce.bats does).

load ../../lib/plane

NS=loadbalancer-system

setup_file() {
        plane_begin
        sed 's#@BALANCERS@#10.9.0.0/29#' "$BATS_TEST_DIRNAME/../../../addons/loadbalancer/addon.yaml" | k apply -f -
        k create namespace shop
        start_cloud
}

start_cloud() {
        component_start "$CP" cloud-controller-manager --cloud-provider=bare --use-service-account-credentials \
                --node-monitor-period 1s
}
stop_cloud() { # [SIGNAL]
        local pid=$(cat "$CP/cloud-controller-manager.pid")
        kill "${1:--TERM}" "$pid"
        wait_for _gone "$pid"
}
teardown_file() {
        stop_cloud
        plane_end
}
teardown() {
        [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$CP/cloud-controller-manager.log"
        k delete services --all >/dev/null
        k -n shop delete services --all >/dev/null
        k delete nodes --all >/dev/null
}

config() { k -n $NS create configmap cloud-provider-bare --from-file=pools=/dev/stdin --dry-run=client -o yaml | k replace -f -; }
# service [NAMESPACE/]NAME [LINE of the metadata]; a line of the spec comes from $SPEC
service() {
        local namespace=default name=$1
        [[ $1 != */* ]] || { namespace=${1%/*}; name=${1#*/}; }
        k apply -f - <<EOF
apiVersion: v1
kind: Service
metadata:
  name: $name
  namespace: $namespace
  $2
spec:
  type: LoadBalancer
  selector: {app: a}
  ports: [{name: p, port: ${PORT:-80}, protocol: ${PROTOCOL:-TCP}}]
  $SPEC
EOF
}
addresses() { k -n "${2:-default}" get service "$1" -o jsonpath='{.status.loadBalancer.ingress[*].ip}'; }
gets() { wait_for is "$2" addresses "$1" "${3:-default}"; } # gets SERVICE ADDRESS [NAMESPACE]
complains() { # complains OBJECT TEXT: an event about the object says so
        local object=$1 text=$2
        said() {
                k get events -A --field-selector involvedObject.name="$object" \
                        -o jsonpath='{range .items[*]}{.reason}: {.message}{"\n"}{end}' | grep -qF "$text"
        }
        wait_for said
}
leases() { k -n $NS get leases -o jsonpath='{.items[*].metadata.name}'; }
SHARED='annotations: {metallb.io/allow-shared-ip: k}'

@test "a Service gets an address at once, in upstream's words, and gives it back" {
        service a
        gets a 10.9.0.1
        [ "$(of service/a '{.status.loadBalancer.ingress[0].ipMode} {.metadata.finalizers[0]}')" = "VIP service.kubernetes.io/load-balancer-cleanup" ]
        service b
        gets b 10.9.0.2
        [ "$(leases)" = "lb-10.9.0.1 lb-10.9.0.2" ]
        k delete service a
        complains a "EnsuringLoadBalancer: Ensuring load balancer"
        complains a "EnsuredLoadBalancer: Ensured load balancer"
        complains a "DeletingLoadBalancer: Deleting load balancer"
        complains a "DeletedLoadBalancer: Deleted load balancer"
        [ "$(leases)" = lb-10.9.0.2 ]
        k patch service b --type=merge -p '{"spec":{"type":"ClusterIP"}}'
        wait_for is "" of service/b '{.metadata.finalizers}{.status.loadBalancer.ingress}'
        [ "$(leases)" = "" ]
}

@test "pools by namespace, class and labels; those that only serve who asks; a particular address" {
        config <<EOF
- {name: shop, addresses: [10.9.1.1-10.9.1.2], namespaces: [shop]}
- {name: front, addresses: [10.9.2.7], selector: {matchLabels: {tier: front}}}
- {name: fast, addresses: [10.9.3.0/30], classes: [example.com/fast]}
- {name: spare, addresses: [10.9.4.1], autoAssign: false}
- {name: all, addresses: [10.9.0.0/29]}
EOF
        service shop/a
        gets a 10.9.1.1 shop
        service front 'labels: {tier: front}'
        gets front 10.9.2.7
        SPEC='loadBalancerClass: example.com/fast' service fast
        gets fast 10.9.3.1
        SPEC='loadBalancerClass: example.com/other' service other
        service plain
        gets plain 10.9.0.1
        service spare 'annotations: {metallb.io/address-pool: spare}'
        gets spare 10.9.4.1
        SPEC='loadBalancerIP: 10.9.0.5' service field
        gets field 10.9.0.5
        service noted 'annotations: {metallb.io/loadBalancerIPs: 10.9.0.6}'
        gets noted 10.9.0.6
        SPEC='loadBalancerIP: 10.9.1.2' service outside
        complains outside "SyncLoadBalancerFailed: Error syncing load balancer: failed to ensure load balancer: the address 10.9.1.2 is in no pool that serves the Service"
        SPEC='loadBalancerIP: 10.9.0.5' service second
        complains second "the address 10.9.0.5 is taken by Service default/field"
        SPEC='loadBalancerIP: 10.9.0.4' service both 'annotations: {metallb.io/loadBalancerIPs: 10.9.0.4}'
        complains both "exclude each other"
        [ "$(addresses outside)$(addresses second)$(addresses both)$(addresses other)" = "" ]
        [ "$(of service/other '{.metadata.finalizers}')" = "" ] # somebody else's
        k delete service field                                  # who waits for its address gets it
        gets second 10.9.0.5
        k patch service second --type=merge -p '{"spec":{"loadBalancerIP":"10.9.0.3"}}' # and moves when it asks for another
        gets second 10.9.0.3
}

@test "an address is shared by those who say so, have other ports, and the same pods where that matters" {
        config <<<'- {name: two, addresses: [10.9.0.1-10.9.0.2]}'
        service a "$SHARED"
        gets a 10.9.0.1
        PORT=81 service b "$SHARED"
        gets b 10.9.0.1
        PROTOCOL=UDP service c "$SHARED"
        gets c 10.9.0.1
        service d "$SHARED" # the port of a
        gets d 10.9.0.2
        PORT=82 service e
        complains e "no IPv4 address is left for the Service in the pools of ConfigMap $NS/cloud-provider-bare"
        PORT=83 SPEC='externalTrafficPolicy: Local' service f "$SHARED"
        complains f "no IPv4 address is left"
        k delete service e a b c d
        some() { [[ $(addresses f) == 10.9.0.[12] ]]; }
        wait_for some
}

@test "an address is nobody's twice, whatever is killed and when" {
        config <<<'- {name: all, addresses: [10.9.0.0/26]}'
        local i
        for i in $(seq 40); do
                service s$i >/dev/null
                [ $((i % 5)) != 0 ] || k delete service s$((i - 1)) --wait=false >/dev/null
                [ $((i % 6)) != 0 ] || { stop_cloud -KILL && start_cloud; }
        done
        all_have() {
                k get services -o json | jq -e '[.items[] | select(.spec.type == "LoadBalancer")] | length > 0 and all(.[]; .status.loadBalancer.ingress[0].ip)'
        }
        wait_for all_have
        [ "$(k get services -o json | jq -r '.items[].status.loadBalancer.ingress[]?.ip' | sort | uniq -d)" = "" ]
        # What is written down is what is shown, and nothing is left of those that have gone.
        shown() { k get services -o json | jq -r '.items[].status.loadBalancer.ingress[]?.ip' | sort; }
        written() { k -n $NS get leases -o json | jq -r '.items[].metadata.annotations["loadbalancer.coxswain.dev/address"]' | sort; }
        same() { diff <(shown) <(written); }
        wait_for same
}

@test "an address stays over restarts, and a Lease that somebody deletes comes back" {
        config <<<'- {name: all, addresses: [10.9.0.0/29]}'
        SPEC='loadBalancerIP: 10.9.0.4' service a
        gets a 10.9.0.4
        k patch service a --type=merge -p '{"spec":{"loadBalancerIP":null}}'
        stop_cloud -KILL
        start_cloud
        service b
        gets b 10.9.0.1
        [ "$(addresses a)" = 10.9.0.4 ]
        k -n $NS delete lease lb-10.9.0.4
        wait_for k -n $NS get lease lb-10.9.0.4
        # One whose finalizer was taken off while nobody looked gives its address back, too.
        stop_cloud -KILL
        k patch service a --type=merge -p '{"metadata":{"finalizers":null}}'
        k delete service a
        start_cloud
        wait_for is lb-10.9.0.1 leases
}

@test "a configuration that is wrong is said, and what held before holds on" {
        config <<<'- {name: all, addresses: [10.9.0.0/29]}'
        service a
        gets a 10.9.0.1
        config <<<'- {name: all, addresses: [10.9.1.0/29], namespace: shop}'
        complains cloud-provider-bare 'InvalidConfiguration: data.pools[0]: unknown member "namespace"'
        service b
        gets b 10.9.0.2
        config <<<'- {name: all, addresses: [10.9.1.0/29]}'
        moved() { [[ $(addresses a) == 10.9.1.[12] ]]; }
        wait_for moved # its address is in no pool any more
        k -n $NS delete configmap cloud-provider-bare
        wait_for is "" addresses a
        complains a "it is not there, so there are no addresses to give"
        k -n $NS create configmap cloud-provider-bare --from-literal=pools='[{name: all, addresses: [10.9.0.0/29]}]'
        back() { [[ $(addresses a) == 10.9.0.[12] ]]; }
        wait_for back
}

node() { # node NAME READY [LINE of the spec]
        k create -f - <<EOF
apiVersion: v1
kind: Node
metadata: {name: $1, annotations: {alpha.kubernetes.io/provided-node-ip: 10.0.0.9}}
spec: {$3}
status: {conditions: [{type: Ready, status: "$2"}]}
EOF
}
cloud_taints() { of node/$1 '{.spec.taints[*].key}' | xargs -n1 | grep cloudprovider || true; }
initialized() { echo "$(of node/$1 '{.spec.providerID}') $(cloud_taints $1)"; }
machines() {
        k -n $NS patch configmap cloud-provider-bare --type=merge -p "$(jq -Rs '{data: {machines: .}}')"
}

@test "nodes get what is known of their machines; those whose machines have gone are removed" {
        local taint='taints: [{key: node.cloudprovider.kubernetes.io/uninitialized, value: "true", effect: NoSchedule}]'
        node plain True "$taint"
        wait_for is "bare://plain " initialized plain
        is "10.0.0.9 plain" of node/plain '{.status.addresses[*].address}'
        machines <<EOF
- {name: plain}
- name: big
  providerID: bare://rack1/7
  addresses: {internal: [10.0.0.7], external: [198.51.100.7]}
  zone: rack1
  region: cellar
  type: large
- {name: idle, shutdown: true}
EOF
        node big True "$taint"
        wait_for is "bare://rack1/7 " initialized big
        is "InternalIP=10.0.0.7 ExternalIP=198.51.100.7 Hostname=big " of node/big '{range .status.addresses[*]}{.type}={.address} {end}'
        is "rack1 cellar large" of node/big '{.metadata.labels.topology\.kubernetes\.io/zone} {.metadata.labels.topology\.kubernetes\.io/region} {.metadata.labels.node\.kubernetes\.io/instance-type}'
        node idle False ''
        wait_for is node.cloudprovider.kubernetes.io/shutdown cloud_taints idle
        k patch node idle --subresource=status --type=merge -p '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}'
        wait_for is "" cloud_taints idle
        node gone True '' # not listed, but well
        node lost False ''
        wait_for is "" k get node lost --ignore-not-found -o name
        k get node gone
        complains lost "DeletingNode: Deleting node lost because it does not exist in the cloud provider"
        k -n $NS patch configmap cloud-provider-bare --type=json -p '[{"op":"remove","path":"/data/machines"}]'
}

@test "of two only the leader gives out addresses; when it is killed the other does" {
        local i port first
        config <<<'- {name: all, addresses: [10.9.0.0/29]}'
        stop_cloud
        port=$(free_port)
        for i in 0 1; do
                "$BIN/cloud-controller-manager" --kubeconfig "$CP/cloud-controller-manager.kubeconfig" --cloud-provider=bare \
                        --use-service-account-credentials --bind-address 127.0.0.1 --secure-port $((port + i)) --client-ca-file "$CP/ca.crt" \
                        --leader-elect-lease-duration 4s --leader-elect-renew-deadline 3s --leader-elect-retry-period 500ms \
                        >>"$CP/leader-$i.log" 2>&1 3>&- &
                echo $! >"$CP/leader-$i.pid"
                wait_for curl -sfk https://127.0.0.1:$((port + i))/healthz
        done
        service a
        gets a 10.9.0.1
        [ "$(curl -sk -o "$CP/answer" -w '%{http_code}' https://127.0.0.1:$port/metrics)" = 403 ] # not everybody's
        curl -sfk --cert "$CP/admin.crt" --key "$CP/admin.key" https://127.0.0.1:$port/metrics >"$CP/answer"
        first=0
        grep -q "Controllers run" "$CP/leader-0.log" || first=1
        ! grep -q "Controllers run" "$CP/leader-$((1 - first)).log"
        kill -KILL "$(cat "$CP/leader-$first.pid")"
        service b
        gets b 10.9.0.2
        [ "$(addresses a)" = 10.9.0.1 ]
        _end "$(cat "$CP/leader-$((1 - first)).pid")" 10
        ! grep 'forbidden: User' "$CP"/leader-?.log
        start_cloud
}

@test "what means nothing here is refused, with the reason" {
        refuses() { # TEXT FLAG...
                run "$BIN/cloud-controller-manager" "${@:2}"
                [ "$status" = 1 ] && [[ $output == *"$1"* ]]
        }
        refuses "--cloud-provider is missing" --kubeconfig x
        refuses '"aws" is not known' --cloud-provider=aws
        refuses "--configure-cloud-routes: no provider makes routes" --cloud-provider=bare --configure-cloud-routes
        refuses "providers read ConfigMaps" --cloud-provider=bare --cloud-config=x
        refuses "unknown flag: --nonsense" --cloud-provider=bare --nonsense
}

@test "nobody was told that it may not do what it does" {
        ! grep 'forbidden: User' "$CP/cloud-controller-manager.log"
}
