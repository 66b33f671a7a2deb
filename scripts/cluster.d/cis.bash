# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The controls are rows of cis.table; what they are judged by are the functions below. Each says 0: well, 102: a person has to
# judge, 103: it does not apply, anything else: not so; and in `why` what was found. What runs is looked at, not what it was to be started with.
shopt -s lastpipe # the last command of a pipe says why
HELP='Looks at this machine, and on a master at the cluster, by the CIS Kubernetes Benchmark; changes nothing. The exit status is 1 when
something fails.

Usage:
  coxswain cis [flags]

Flags:
      --json
        Print one JSON document.
      --no-remediations
        Leave the remedies out.'

# --- what there is ---

running_args() { # UNIT: a word a line, of the process that runs
        local pid
        pid=$(systemctl show -P MainPID "$1" 2>/dev/null) && [ "${pid:-0}" != 0 ] && tr '\0' '\n' <"/proc/$pid/cmdline"
}
declare -A seen_args=()
arg() { # UNIT FLAG: its value into `value`, "true" when it has none; false when it is not given
        local word next=''
        [ -n "${seen_args[$1]+x}" ] || seen_args[$1]=$(running_args "$1" || :)
        [ -n "${seen_args[$1]}" ] || { why="$1 does not run" && return 1; }
        value=''
        local found=1
        while IFS= read -r word; do
                case $word in
                "--$2="*) value=${word#*=} found=0 next='' ;;
                "--$2") value=true found=0 next=1 ;;
                --*) next='' ;;
                *) [ -z "$next" ] || value=$word next='' ;;
                esac
        done <<<"${seen_args[$1]}"
        [ $found = 0 ] || why="$1 has no --$2"
        return $found
}
runs() { # UNIT
        [ -n "${seen_args[$1]+x}" ] || seen_args[$1]=$(running_args "$1" || :)
        why="$1 does not run"
        [ -n "${seen_args[$1]}" ]
}

has() { # UNIT FLAG...: all are given
        local flag
        for flag in "${@:2}"; do arg "$1" "$flag" && [ -n "$value" ] || return 1; done
}
lacks() { runs "$1" && why="--$2 is given" && ! arg "$1" "$2"; } # UNIT FLAG
is() { # UNIT FLAG VALUE DEFAULT
        runs "$1" || return 1
        arg "$1" "$2" || value=$4
        why="--$2 is $value"
        [ "$value" = "$3" ]
}
listed() { # UNIT FLAG WORD: among what commas separate
        arg "$1" "$2" && why="--$2 is $value" && [[ ",$value," == *",$3,"* ]]
}
holds() { listed "$@"; }
without() { # UNIT FLAG WORD [DEFAULT]: not among them
        runs "$1" || return 1
        if ! arg "$1" "$2"; then
                why="--$2 is not given"
                [ "${4:-}" != "$3" ]
        else
                ! listed "$@"
        fi
}
least() { # UNIT FLAG NUMBER
        arg "$1" "$2" && why="--$2 is $value" && [[ $value =~ ^[0-9]{1,9}$ ]] && [ "$value" -ge "$3" ]
}
most() { # UNIT FLAG NUMBER: more than none, and no more than this
        arg "$1" "$2" && why="--$2 is $value" && [[ $value =~ ^[1-9][0-9]{0,8}$ ]] && [ "$value" -le "$3" ]
}

# --- files ---

each_file() { # FUNCTION WORD FILE...: of those that are there; none is no failure
        local file any=''
        for file in "${@:3}"; do
                [ -e "$file" ] || continue
                any=1
                "$1" "$2" "$file" || return 1
        done
        why=
        [ -n "$any" ] || { why="there is no such file" && return 103; }
}
mode() { each_file mode_of "$@"; } # MODE[,MODE] FILE...: no more than this; the second is for what packages bring
mode_of() {
        local have most=${1%,*}
        [[ $2 != */kubelet.service ]] || most=${1#*,}
        have=$(stat -L -c %a "$2")
        why="$2 has the mode $have"
        [ $((0$have & ~0$most & 07777)) = 0 ]
}
owner() { each_file owner_of "$@"; } # USER:GROUP[,GROUP...] FILE...
owner_of() {
        local have
        have=$(stat -L -c %U:%G "$2")
        why="$2 is of $have"
        [ "${have%:*}" = "${1%%:*}" ] && [[ ",${1#*:}," == *",${have#*:},"* ]]
}
# 600 as the benchmark has it, where root is who reads. A unit that does not run as root has a group that nobody else is in.
private() { each_file private_to - "$@"; } # FILE...
private_to() {
        local have group most=0600
        have=$(stat -L -c %a "$2") group=$(stat -L -c %G "$2")
        why="$2 has the mode $have, and is of the group $group"
        ! own_group "$group" || most=0640
        [ $((0$have & ~most & 07777)) = 0 ]
}
own_group() { # GROUP: of a unit
        case $1 in
        coxswain-sa) [ -z "$(members_of "$1" | grep -vxE 'kube-apiserver|kube-controller-manager')" ] ;;
        kube-apiserver | kube-controller-manager | cloud-controller-manager | kube-scheduler | coxswain-etcd) [ -z "$(members_of "$1")" ] ;;
        *) false ;;
        esac
}
members_of() { getent group "$1" | cut -d: -f4 | tr ',' '\n' | grep . || :; }
other_files() { # FILE OTHER: not the same authority
        [ -s "$1" ] && [ -s "$2" ] || { why="$1 or $2 is missing" && return 1; }
        why="$1 is $2"
        ! cmp -s "$1" "$2"
}

# --- what is configured ---

# FILE PATH: a member of a YAML document, however it is written, by way of what kubectl makes of it.
yaml_value() {
        local folder
        folder=$(new_folder)
        { printf 'metadata: {name: x}\n' && cat "$1"; } >"$folder/object.yaml" 2>/dev/null
        printf 'resources: [object.yaml]\n' >"$folder/kustomization.yaml"
        kubectl kustomize "$folder" 2>/dev/null | awk -v path="$2" '
                {
                        match($0, /^ */)
                        depth = RLENGTH / 2 + 1
                        key = $0
                        sub(/^ */, "", key)
                        if (key ~ /^- /) next
                        value = key
                        sub(/:.*/, "", key)
                        sub(/^[^:]*: ?/, "", value)
                        keys[depth] = key
                        here = keys[1]
                        for (i = 2; i <= depth; i++) here = here "." keys[i]
                        if (here == path) { gsub(/^"|"$/, "", value); print value; exit }
                }'
}
kubelet_value() { # FIELD FLAG DEFAULT
        runs kubelet || return 1
        local file=$kubelet_root/config.yaml
        ! arg kubelet "$2" || return 0
        ! arg kubelet config || file=$value
        value=$(yaml_value "$file" "$1")
        value=${value:-$3}
}
kubelet_is() { # FIELD FLAG VALUE DEFAULT
        kubelet_value "$1" "$2" "$4" || return 1
        why="$1 is $value"
        [ "$value" = "$3" ]
}
kubelet_not() { # FIELD FLAG VALUE DEFAULT; - is nothing
        kubelet_value "$1" "$2" "$4" || return 1
        why="$1 is $value"
        [ "$value" != "$3" ]
}
kubelet_named() {
        arg kubelet hostname-override || return 0
        why="the node is $value, the machine $(hostname | tr '[:upper:]' '[:lower:]')"
        [ "$value" = "$(hostname | tr '[:upper:]' '[:lower:]')" ]
}
kubelet_serves() { kubelet_is serverTLSBootstrap rotate-server-certificates true false || kubelet_not tlsCertFile tls-cert-file - -; }
proxy_metrics() {
        runs kube-proxy || return 1
        if arg kube-proxy metrics-bind-address; then
                why="--metrics-bind-address is $value"
                [[ $value == 127.* || $value == "[::1]"* ]]
        else
                has kube-proxy client-ca-file
        fi
}
seals_by() { # PROVIDER...
        arg kube-apiserver encryption-provider-config || return 1
        local first
        first=$(sed -n 's/^ *- *\([a-z]*\): *\({.*\)\{0,1\}$/\1/p' "$value" | grep -vx name | grep -vx resources | head -n 1)
        why="what is written is sealed by ${first:-nothing}"
        [[ " $* " == *" ${first:-nothing} "* ]]
}
policy_file() {
        arg kube-apiserver audit-policy-file || return 1
        why="$value says nothing"
        grep -Eq 'level: *"?(Metadata|Request)' "$value" 2>/dev/null
}
policy_tells() { # RESOURCE...
        arg kube-apiserver audit-policy-file || return 1
        local word
        for word; do
                why="the policy does not name $word"
                grep -Eq "(^|[^a-z/])$word([^a-z/]|\$)" "$value" || return 1
        done
}
# Tries what must not be taken: an old protocol, and ciphers without forward secrecy or authentication of what is encrypted.
strong_tls() { # PORT
        local said
        why="nothing answers at port $1"
        said=$(hello "$1" -tls1_2) || return 1
        why="port $1 takes an old version of TLS"
        ! said=$(hello "$1" -tls1_1 -cipher ALL:@SECLEVEL=0) || return 1
        why="port $1 takes weak ciphers"
        ! said=$(hello "$1" -tls1_2 -cipher 'kRSA:AES128-SHA:AES256-SHA:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES256-SHA:3DES:@SECLEVEL=0')
}
hello() { timeout 10 openssl s_client -connect "${own:-127.0.0.1}:$1" "${@:2}" </dev/null 2>/dev/null | grep -E 'Cipher is [A-Z]' | grep -v 'Cipher is (NONE)'; }

# --- what a person has to judge, and what does not apply ---

judge() { why=$* && return 102; }
applies_not() { why=$* && return 103; }

# --- the cluster ---

few() { # names of what was found go to `why`
        why=$(sort -u | head -n 5 | paste -sd' ')
        [ -z "$why" ]
}
only_admins() {
        k get clusterrolebindings -o 'jsonpath={range .items[?(@.roleRef.name=="cluster-admin")]}{.metadata.name}{"\n"}{end}' |
                { grep -vxE 'cluster-admin|kubeadm:cluster-admins' || :; } | few
}
# Roles that are not the system's own and allow one of the verbs for one of the resources (* is a wildcard itself).
no_roles() { # RESOURCE[,RESOURCE] VERB...
        local rule='{range .rules[*]}{.resources}{" "}{.verbs}{";"}{end}'
        {
                k get clusterroles -o "jsonpath={range .items[*]}{.metadata.name}{\" \"}$rule{\"\\n\"}{end}"
                k get roles -A -o "jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}{\" \"}$rule{\"\\n\"}{end}"
        } | { grep -vE '^((kube-system|kube-public|loadbalancer-system)/|system:|kubeadm:|coxswain:|(cluster-admin|admin|edit|view) )' || :; } |
                awk -v resources="$1" -v verbs="${*:2}" '
                        {
                                name = $1
                                sub(/^[^ ]* /, "")
                                n = split($0, rules, ";")
                                split(resources, r, ",")
                                m = split(verbs, v, " ")
                                for (i = 1; i < n; i++)
                                        for (j in r)
                                                for (l = 1; l <= m; l++) {
                                                        split(rules[i], parts, "] ")
                                                        resource = index(parts[1], "\"" r[j] "\"") || index(parts[1], "\"*\"") || r[j] == "*"
                                                        if (resource && index(parts[2], "\"" v[l] "\"")) print name
                                                }
                        }' | few
}
no_defaults() {
        local each='{range .items[*]}{.metadata.name}{range .subjects[*]}{" "}{.kind}/{.name}{end}{"\n"}{end}'
        { k get clusterrolebindings -o "jsonpath=$each" && k get rolebindings -A -o "jsonpath=$each"; } |
                awk '/ ServiceAccount\/default( |$)/ {print $1}' | few
}
own_pods='{range .items[*]}{.metadata.namespace}/{.metadata.name}'
others() { grep -v '^kube-system/' || :; }
in_all_containers() { # JSONPATH: of .spec.containers, or of what else; for init and ephemeral containers, too
        local list
        [[ $1 == *.spec.containers\[* ]] || { printf %s "$1" && return; }
        for list in containers initContainers ephemeralContainers; do printf '%s{" "}' "${1//.spec.containers\[/.spec.$list[}"; done
}
no_pods() { # JSONPATH [VALUE]: no pod outside of kube-system has this there
        local path=${1//_/ }
        [[ $path != "{range "* ]] || path+='{" "}{end}'
        path=$(in_all_containers "$path")
        k get pods -A -o "jsonpath=$own_pods{\" \"}$path{\"\\n\"}{end}" | others |
                awk -v wanted="${2:-}" 'NF > 1 && (wanted == "" || index($0 " ", " " wanted " ")) {print $1}' | few
}
# What a container does not say, its pod may have said for all.
all_containers() { # JSONPATH VALUE...: each outside of kube-system has one of these values there
        k get pods -A -o "jsonpath=$own_pods{\" \"}p${1/#{./{.spec.}$(in_all_containers "{range .spec.containers[*]}{\" \"}x$1{end}"){\"\\n\"}{end}" | others |
                awk -v wanted="${*:2}" '
                        {
                                n = split(wanted, w, " ")
                                for (i = 3; i <= NF; i++) {
                                        said = $i == "x" ? $2 : $i
                                        good = 0
                                        for (j = 1; j <= n; j++) if (index(said, w[j])) good = 1
                                        if (!good) print $1
                                }
                        }' | few
}
no_tokens() {
        k get pods -A -o "jsonpath=$own_pods{\" \"}{.spec.automountServiceAccountToken}{\"\\n\"}{end}" | others |
                awk '$2 != "false" {print $1}' | few
}
all_namespaces_have() { # RESOURCE
        local with
        with=$(k get "$1" -A -o 'jsonpath={range .items[*]}{.metadata.namespace}{"\n"}{end}')
        k get namespaces -o 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}' | { grep -vE '^kube-|-system$' || :; } |
                { grep -vxF "${with:-/}" || :; } | few
}
empty_default() {
        k get pods -n default -o 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}' | few
}

# --- the report ---

quoted() { # TEXT: as JSON
        local text=${1//\\/\\\\}
        text=${text//\"/\\\"}
        printf '"%s"' "$(tr -d '\000-\037' <<<"$text")"
}
filled() { # TEXT: with the folders
        local text=${1//@etc@/$etc}
        text=${text//@pki@/$pki} text=${text//@kubelet@/$kubelet_root} text=${text//@unit@/$unit_folder}
        printf %s "${text//@etcd@/$etcd_data}"
}
judge_control() { # ID HOW TEXT TEST REMEDY
        local r=0 why='' value='' words state
        # File names may be patterns; nothing else of the table is.
        read -ra words <<<"$(filled "$4")"
        case ${words[0]} in mode | owner | private) words=($(filled "$4")) ;; esac
        "${words[@]}" || r=$?
        case $r in
        0) state=PASS why='' ;;
        102) state=WARN ;;
        103) state=N/A ;;
        *) if [ "$2" = manual ]; then state=WARN; else state=FAIL; fi ;;
        esac
        total[$state]=$((total[$state] + 1))
        if [ -n "$json" ]; then
                controls+="${controls:+,}{\"test_number\":$(quoted "$1"),\"test_desc\":$(quoted "$3"),\"type\":$(quoted "$2"),\"status\":\"$state\""
                controls+=",\"reason\":$(quoted "$why"),\"remediation\":$(quoted "$(filled "$5")")}"
                return
        fi
        printf '[%s] %s %s (%s)%s\n' "$state" "$1" "$3" "$2" "${why:+: $why}"
        [[ $state != FAIL && $state != WARN ]] || remedies+="$1 $(filled "$5")"$'\n'
}
# What is about masters is passed over on a worker, headings among it.
judge_all() {
        local id on how text test remedy cell
        while IFS='|' read -r id on how text test remedy; do
                for cell in id on how text test remedy; do read -r "${cell?}" <<<"${!cell}"; done
                case $id in
                '' | '#'*) ;;
                '= '*) [ -n "$json" ] || { [ -z "$master" ] && [[ $id != '= 4'* ]]; } || printf '[INFO] %s %s\n' "${id#= }" "$on" ;;
                *) [ -z "$master" ] && [ "$on" = master ] || judge_control "$id" "$how" "$text" "$test" "$remedy" </dev/null ;;
                esac
        done <"$parts/cis.table"
}

command_cis() {
        local json='' short='' master='' controls='' remedies='' own node server unit_folder=/usr/lib/systemd/system
        local -A total=([PASS]=0 [FAIL]=0 [WARN]=0 [N/A]=0)
        take_flags "json!=json no-remediations!=short" "$@"
        [ ${#words[@]} -eq 0 ] || fail "cis takes no argument"
        need_root
        need_cluster
        . "$parts/node.bash"
        known_node
        [ ! -s /etc/default/kube-apiserver ] || master=1
        judge_all
        if [ -n "$json" ]; then
                printf '{"version":"cis-1.11","node":%s,"master":%s,"controls":[%s],"totals":{"pass":%d,"fail":%d,"warn":%d,"not_applicable":%d}}\n' \
                        "$(quoted "$node")" "$([ -n "$master" ] && echo true || echo false)" "$controls" "${total[PASS]}" "${total[FAIL]}" "${total[WARN]}" "${total[N/A]}"
        else
                [ -n "$short" ] || [ -z "$remedies" ] || printf '\n== Remediations ==\n%s' "$remedies"
                printf '\n== Summary ==\n%d checks PASS\n%d checks FAIL\n%d checks WARN\n%d checks N/A\n' "${total[PASS]}" "${total[FAIL]}" \
                        "${total[WARN]}" "${total[N/A]}"
        fi
        [ "${total[FAIL]}" = 0 ]
}
