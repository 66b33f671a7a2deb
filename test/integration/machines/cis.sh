#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `coxswain cis` on a faked machine: files below a folder, and processes and a cluster that are functions. What is as init and join make
# it passes; whatever is broken is seen, by its number. Prints TAP.
set -u
top=$(cd "$(dirname "$0")/../../.." && pwd)
. "$top/test/lib/tap.sh"
work=$(mktemp -d /tmp/coxswain-cis.XXXXXX)
trap 'rm -rf "$work"' EXIT
PATH=${BIN:-$top/build/release/bin}:$PATH

# The tool with its parts at hand. Of units run what the table of arguments says; the cluster is empty.
cat >"$work/tool" <<'BASH'
set -euo pipefail
umask 077
parts=$top/scripts/cluster.d
. "$parts/lib.bash"; . "$parts/pki.bash"; . "$parts/node.bash"; . "$parts/control-plane.bash"; . "$parts/cis.bash"
etc=$work/etc pki=$etc/pki kubelet_root=$work/kubelet etcd_data=$work/etcd settings_file=$etc/cluster.yaml own=192.0.2.1 node=$(hostname | tr '[:upper:]' '[:lower:]')
declare -A changed=()
change() { changed[$1]=$2; } # UNIT FLAG[=VALUE]: it runs with this, or without the flag
running_args() {
        local args dns to=${changed[$1]-}
        fill_args "$1"
        printf '%s\n' "$1"
        printf '%s\n' "${args[@]}" | { grep -vE "^--${to%%=*}(=|\$)" || :; }
        [[ $to != *=* ]] || printf '%s\n' "--$to"
}
k() { :; }
hello() { [[ $* == "${1:-} -tls1_2" ]]; }
controls= remedies= json=${json-} master=${master-1} unit_folder=$work
declare -A total=([PASS]=0 [FAIL]=0 [WARN]=0 [N/A]=0)
# Files of other places are not there, or not ours to change.
filled() { local text=${1//@etc@/$etc}; text=${text//@pki@/$pki} text=${text//@kubelet@/$kubelet_root} text=${text//@unit@/$work} text=${text//\/etc\/default/$work/default}; text=${text//\/etc\/cni/$work/cni}; printf %s "${text//@etcd@/$etcd_data}"; }
BASH
machine() { # COMMANDS
        top=$top work=$work bash -c '. "$work/tool"; eval "$1"' bash "$1"
}
make_machine() { # as it was made first
        rm -rf "$work"/{etc,kubelet,etcd,default,cni,kubelet.service}
        if [ -d "$work/made" ]; then
                cp -a "$work/made/." "$work"
                return
        fi
        mkdir -p "$work"/etc/pki/etcd "$work"/{kubelet,default,cni/net.d} && mkdir -m 700 "$work/etcd" && : >"$work/kubelet.service" &&
                printf 'certificateValidityPeriod: 24h\nnetworking:\n  dnsDomain: cluster.local\n  podSubnet: 10.244.0.0/16\n  serviceSubnet: 10.96.0.0/12\n' >"$work/etc/cluster.yaml"
        machine '
                readable_by() { chmod 600 "${@:2}"; }
                make_authorities >/dev/null; bring_audit_policy
                each_row "$etcd_certificates" issue; each_row "$certificates" issue; server=$own:6443; each_row "$kubeconfigs" issue_kubeconfig
                kubelet_config >"$kubelet_root/config.yaml"; : >"$etc/kubelet.conf"; : >"$etc/kube-proxy.conf"
                for unit in "${master_units[@]}" "${node_units[@]}"; do : >"$work/default/$unit"; done' >/dev/null && chmod 644 "$work/kubelet.service" && sed -i 's/^kind: KubeletConfiguration/&\nport: 10250/' "$work/kubelet/config.yaml" &&
                mkdir "$work/made" && cp -a "$work"/{etc,kubelet,etcd,default,cni,kubelet.service} "$work/made"
}
report() { machine "${1:-:}; judge_all; printf '%s\n' \"\$remedies\""; }
as_made() { # as init makes it, but that nothing is a coxswain-etcd's here
        report "etcd_data=$work/no" >"$work/report" && ! grep -F '[FAIL]' "$work/report"
}

t_made() {
        make_machine && as_made || return 1
        local id
        for id in 1.1.1 1.1.13 1.1.15 1.1.19 1.1.21 1.2.6 1.2.16 1.2.19 1.2.28 1.2.29 1.3.1 1.4.2 2.2 2.7 3.2.1 3.2.2 4.1.9 4.2.1 4.2.2 4.2.3 4.2.4 4.2.9 4.2.13 4.2.14 4.3.1 5.1.1 5.6.2; do
                grep -q "^\[PASS\] $id " "$work/report" || { grep " $id " "$work/report"; return 1; }
        done
        grep -q '^\[INFO\] 1.2 kube-apiserver$' "$work/report" && grep -q '^\[WARN\] 1.2.1 ' "$work/report" && grep -q '^\[N/A\] 4.2.5 .*: streams' "$work/report" && grep -q '^1.2.1 Joining reads' "$work/report"
}
ok "what init makes passes, and what a person has to judge is a warning" t_made
t_whole() { # every control once, none without a remedy
        local n
        n=$(grep -cE '^[1-5]\.' "$top/scripts/cluster.d/cis.table")
        equals "$(grep -cE '^\[(PASS|FAIL|WARN|N/A)\]' "$work/report")" "$n" && equals "$(grep -E '^[1-5]\.' "$top/scripts/cluster.d/cis.table" | cut -d' ' -f1 | sort | uniq -d)" '' &&
                equals "$(grep -E '^[1-5]\.' "$top/scripts/cluster.d/cis.table" | grep -vcE '^([^|]+\| ){5}[^|]+$')" 0
}
ok "every control is told of, once" t_whole
t_worker() {
        master='' machine judge_all >"$work/worker" && ! grep -E '\] [1235]\.' "$work/worker" && grep -q '^\[PASS\] 4.2.1 ' "$work/worker"
}
ok "a worker is asked for what is about nodes" t_worker

# What is broken, and what says so: ID | COMMANDS on the machine | REASON
broken='
1.1.1 | chmod 644 $work/default/kube-apiserver | kube-apiserver has the mode 644
1.1.13 | chmod 640 $etc/super-admin.conf | super-admin.conf has the mode 640
1.1.14 | chown daemon $etc/admin.conf | admin.conf is of daemon:root
1.1.15 | chmod 644 $etc/scheduler.conf | has the mode 644
1.1.21 | chmod 640 $pki/apiserver.key | apiserver.key has the mode 640, and is of the group root
1.1.21 | chmod 644 $pki/etcd/peer.key | peer.key has the mode 644
1.2.6 | change kube-apiserver authorization-mode=Node,RBAC,AlwaysAllow | AlwaysAllow
1.2.6 | change kube-apiserver authorization-mode | --authorization-mode is not given
1.2.7 | change kube-apiserver authorization-mode=RBAC | --authorization-mode is RBAC
1.2.2 | change kube-apiserver token-auth-file=/x | --token-auth-file is given
1.2.14 | change kube-apiserver disable-admission-plugins=A,NodeRestriction | NodeRestriction
1.2.16 | change kube-apiserver audit-policy-file | kube-apiserver has no --audit-policy-file
1.2.17 | change kube-apiserver audit-log-maxage=29 | --audit-log-maxage is 29
1.2.18 | change kube-apiserver audit-log-maxbackup=x | --audit-log-maxbackup is x
1.2.28 | sed -i s/secretbox/aesgcm/ $pki/encryption.yaml | sealed by aesgcm
1.2.29 | hello() { :; } | takes an old version of TLS
1.2.29 | hello() { [[ $* != *tls1_1* ]]; } | takes weak ciphers
1.2.29 | hello() { false; } | nothing answers at port 6443
1.3.2 | change kube-controller-manager profiling=true | --profiling is true
1.3.7 | change kube-controller-manager bind-address=0.0.0.0 | --bind-address is 0.0.0.0
1.4.2 | change kube-scheduler bind-address | --bind-address is 0.0.0.0
2.2 | change coxswain-etcd client-cert-auth=false | --client-cert-auth is false
2.5 | change coxswain-etcd peer-client-cert-auth | --peer-client-cert-auth is false
2.7 | cp $pki/ca.crt $pki/etcd/ca.crt | etcd/ca.crt is
3.2.1 | printf "rules:\n- level: None\n" >$etc/audit-policy.yaml | says nothing
3.2.1 | rm $etc/audit-policy.yaml | says nothing
4.1.9 | chmod 644 $kubelet_root/config.yaml | config.yaml has the mode 644
4.1.1 | chmod 666 $work/kubelet.service | kubelet.service has the mode 666
4.2.1 | sed -i "s/anonymous: {enabled: false}/anonymous: {enabled: true}/" $kubelet_root/config.yaml | authentication.anonymous.enabled is true
4.2.1 | change kubelet anonymous-auth=true | authentication.anonymous.enabled is true
4.2.2 | sed -i "s/mode: Webhook/mode: \"AlwaysAllow\"/" $kubelet_root/config.yaml | authorization.mode is AlwaysAllow
4.2.3 | sed -i /x509/d $kubelet_root/config.yaml | authentication.x509.clientCAFile is -
4.2.4 | sed -i "s/readOnlyPort: 0/readOnlyPort: 10255/" $kubelet_root/config.yaml | readOnlyPort is 10255
4.2.13 | sed -i /podPidsLimit/d $kubelet_root/config.yaml | podPidsLimit is -1
4.2.14 | sed -i /seccompDefault/d $kubelet_root/config.yaml | seccompDefault is false
4.3.1 | change kube-proxy metrics-bind-address=0.0.0.0:10249 | --metrics-bind-address is 0.0.0.0:10249
1.2.21 | running_args() { :; } | kube-apiserver does not run
'
t_broken() {
        local id commands reason
        while IFS='|' read -r id commands reason; do
                [ -n "$id" ] || continue
                id=${id% } reason=${reason# }
                make_machine && report "$commands" >"$work/report" </dev/null || { echo "$id: $commands: the report breaks off"; return 1; }
                grep -F "[FAIL] $id " "$work/report" | grep -qF -- "$reason" && grep -q "^$id [^ ]" "$work/report" || { echo "not seen: $id, by $commands: $(grep " $id " "$work/report")"; return 1; }
        done <<<"$broken"
}
ok "what is broken fails, with its reason and remedy" t_broken
t_found() { # in the cluster: names are told, and it is a person who judges
        make_machine || return 1
        report 'k() { case "$*" in "get clusterrolebindings"*cluster-admin*) printf "%s\n" cluster-admin kubeadm:cluster-admins everybody ;; "get pods"*hostPID*) printf "%s\n" "a/one true" "b/two" "kube-system/three true" ;;
                "get clusterroles"*) printf "%s\n" "edit [\"secrets\"] [\"get\"];" "mine [\"pods\"] [\"get\"];[\"secrets\",\"x\"] [\"list\"];" "any [\"*\"] [\"*\"];" ;; esac; }' >"$work/report" &&
                grep -q '^\[WARN\] 5.1.1 .*: everybody$' "$work/report" && grep -q '^\[WARN\] 5.2.3 .*: a/one$' "$work/report" && grep -q '^\[WARN\] 5.1.2 .*: any mine$' "$work/report" &&
                grep -q '^\[WARN\] 5.1.3 .*: any$' "$work/report" && grep -q '^\[WARN\] 5.1.4 .*: any$' "$work/report" && grep -q '^\[PASS\] 5.2.4 ' "$work/report"
}
ok "what is found in the cluster is named" t_found
t_policy() { # is on unless somebody has turned it off
        make_machine && report >"$work/report" && grep -q '^\[PASS\] 5.2.1 ' "$work/report" && make_machine && report 'change kube-apiserver disable-admission-plugins=PodSecurity' >"$work/report" &&
                grep -q '^\[WARN\] 5.2.1 .*: --disable-admission-plugins is PodSecurity$' "$work/report" && grep -q '^5.2.1 remove PodSecurity from ' "$work/report"
}
ok "namespaces can say what pods may ask for" t_policy
t_json() {
        json=1 machine 'etcd_data=$work/no; judge_all; printf "[%s]" "$controls"' | jq -e 'length > 100 and all(.[]; has("test_number") and has("remediation")) and (map(select(.test_number == "1.2.16"))[0].status == "PASS")' >/dev/null
}
ok "as JSON" t_json
t_args() { # an upgrade adds what is new, and leaves what somebody has changed
        mkdir -p "$work/default"
        printf '# Written by coxswain.\nARGS="--secure-port=7443 --authorization-mode RBAC"\n' >"$work/default/kube-apiserver"
        machine "$(declare -f); $(sed -n '/^add_args/,/^}/p' "$top/scripts/cluster.d/lib.bash" | sed "s#/etc/default#$work/default#g"); add_args kube-apiserver; add_args kube-apiserver" &&
                grep -q '^ARGS="--secure-port=7443 --authorization-mode RBAC .*--audit-log-maxage=30.*"$' "$work/default/kube-apiserver" &&
                equals "$(grep -o -- '--secure-port\|--authorization-mode\|--audit-log-path' "$work/default/kube-apiserver" | sort | uniq -c | tr -s ' ' | paste -sd,)" ' 1 --audit-log-path, 1 --authorization-mode, 1 --secure-port'
}
ok "an upgrade brings new arguments, and leaves the others" t_args
tap_end
