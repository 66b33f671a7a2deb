#!/usr/bin/env bash
# Each helper of the kubelet (runc, conmon, the network plugins, the pause process) and the kubelet itself is killed (-9) at one
# exact place: the tools that the kubelet runs are wrapped, and a wrapper that finds its fault in $work/faults commits it
# once. Each time the pod comes up all the same, and nothing is left when it is gone.
. "$(dirname "$0")/lib.sh"
ready='[c["status"] for c in p["status"]["conditions"] if c["type"] == "Ready"][0]'
first='p["status"]["containerStatuses"][0]'
state=$work/kubelet/state
mkdir -p "$work/tools/cni" "$work/faults"

# wrap NAME FILE: the tool with its fault, which is named by what the tool is called for: create, ADD, DEL
wrap() {
        cat >"$2" <<END
#!/bin/bash
real=$3
case "\${CNI_COMMAND:-} \$* " in *" create "*) verb=create ;; ADD*) verb=ADD ;; DEL*) verb=DEL ;; *) exec \$real "\$@" ;; esac
mv "$work/faults/$1.\$verb" "$work/faults/taken.\$\$" 2>/dev/null || exec \$real "\$@"
case \$(cat "$work/faults/taken.\$\$") in
before) kill -9 \$\$ ;;
after) \$real "\$@"; kill -9 \$\$ ;;
parent) # in the middle of the tool's work, which goes on two seconds later
        (exec -a "\$0" \$real "\$@") &
        until [ -d "$state/runc/\${!#}" ]; do :; done
        kill -STOP \$!
        kill -9 \$PPID
        sleep 2
        touch "$work/faults/went-on"
        kill -CONT \$!
        wait ;;
kubelet) kill -9 \$(cat "$work/kubelet.pid"); touch "$work/faults/killed"; sleep 3; touch "$work/faults/went-on"; exec \$real "\$@" ;;
esac
END
        chmod +x "$2"
}
wrap runc "$work/tools/runc" "$(command -v runc)"
for plugin in bridge host-local portmap loopback; do wrap "$plugin" "$work/tools/cni/$plugin" "/usr/lib/cni/$plugin"; done
kubelet_flags="--runc $work/tools/runc --cni-bin-dir $work/tools/cni"
start_all
node_up() { echo "$kubelet_pid" >"$work/kubelet.pid"; }
node_up

fault() { echo "$2" >"$work/faults/$1"; } # fault TOOL.VERB HOW
committed() { [ ! -e "$work/faults/$1" ]; }
make_pod() { # make_pod NAME EXTRA-SPEC [COMMAND]
        api POST /api/v1/namespaces/default/pods '{"metadata":{"name":"'"$1"'"},"spec":{"nodeName":"n1","terminationGracePeriodSeconds":1'"$2"',
 "containers":[{"name":"c","image":"'"$registry"'/busybox:1.35","command":'"${3:-[\"sleep\",\"1000\"]}"'}]}}' >/dev/null
}
delete() { api DELETE "/api/v1/namespaces/default/pods/$1" >/dev/null; }
gone_without_leak() {
        delete "$1"
        until_true 60 eval "! pod $1" && until_true 30 no_leaks && return
        leaks | sed 's/^/# left: /'
        return 1
}
restart_kubelet() {
        kill -9 "$kubelet_pid" 2>/dev/null
        wait "$kubelet_pid" 2>/dev/null
        start_kubelet
        node_up
}

make_pod first ''
until_true 60 is first "$ready" True
gone_without_leak first
ok "a pod comes and goes through the wrappers" $?

n=0
while read -r where how what; do
        n=$((n + 1))
        rm -f "$work"/faults/*
        for one in ${where//,/ }; do fault "$one" "$how"; done
        make_pod "p$n" ',"shareProcessNamespace":true'
        if [ "$how" = kubelet ]; then
                until_true 60 test -e "$work/faults/killed"
                restart_kubelet
        fi
        until_true 60 is "p$n" "$ready" True
        up=$?
        # What was cut loose had its chance to go on.
        case $how in parent | kubelet) until_true 5 test -e "$work/faults/went-on" ;; esac
        for one in ${where//,/ }; do committed "$one" || up=1; done
        ok "$what: the pod comes up" $up
        gone_without_leak "p$n"
        ok "$what: nothing is left" $?
done <<END
runc.create before runc killed at once
runc.create after runc killed with its init waiting to be started
runc.create parent conmon killed while runc works
runc.create kubelet the kubelet killed while runc works
bridge.ADD before a network plugin killed at once
bridge.ADD after a network plugin killed with its work done
bridge.ADD,bridge.DEL before a network plugin killed twice, for a sandbox and its removal
host-local.ADD after the address plugin killed with its work done
host-local.ADD kubelet the kubelet killed while the address plugin works
END

rm -f "$work"/faults/*
make_pod ended ''
until_true 60 is ended "$ready" True
fault bridge.DEL before
delete ended
until_true 60 eval '! pod ended' && until_true 30 no_leaks && committed bridge.DEL
ok "a network plugin killed while the pod ends: it ends all the same" $?

make_pod run '' && until_true 60 is run "$ready" True
uid=$(field run 'p["metadata"]["uid"]')
container() { field run "$first[\"containerID\"].split('//')[1]"; }
id1=$(container)
kill -9 "$(cat "$state/containers/$id1/conmon.pid")"
# Exits of other containers must not keep the kubelet from looking: each of these is an event.
until_true 60 eval 'echo 0 >"$state/exits/other"; is run "$first[\"restartCount\"]" 1' && until_true 60 is run "$ready" True
ok "a container that has lost its monitor is started again" $?
rm -f "$state/exits/other"
until_true 30 no_leaks "$uid"
ok "and nothing of it is left but the run before" $?
gone_without_leak run

make_pod pid ',"shareProcessNamespace":true' && until_true 60 is pid "$ready" True
pause=$(cut -d' ' -f1 "$state"/sandboxes/*/pause.pid)
kill -9 "$pause"
back() { [ "$(cut -d' ' -f1 "$state"/sandboxes/*/pause.pid)" != "$pause" ] && is pid "$ready" True; }
until_true 90 back
ok "a pod whose pause process is killed gets a new sandbox" $?
gone_without_leak pid
ok "and leaves nothing" $?

# A kubelet killed just after it let a container run, before its record says so, and the container has ended since.
make_pod once ',"restartPolicy":"Never"' '["sh","-c","sleep 2; exit 3"]'
until_true 60 is once 'p["status"].get("phase")' Running
kill -9 "$kubelet_pid"
wait "$kubelet_pid" 2>/dev/null
id1=$(basename "$state"/containers/*)
until_true 30 test -s "$state/exits/$id1"
rm "$state/exits/$id1"
until_true 30 eval '! kill -0 "$(cat "$state/containers/$id1/conmon.pid")"'
sed -i 's/"status": *1/"status":0/' "$state/containers/$id1/container.json" "$work/kubelet/containers/$id1/container.json"
# and beside it what runc, conmon and host-local leave when they are killed at the wrong moment
mkdir "$state/runc/$(printf '%064d' 1)"
echo 0 >"$state/exits/$(printf '%064d' 2)"
: >"$state/cni/networks/cbr0/10.250.1.99"
start_kubelet
node_up
until_true 60 is once 'p["status"].get("phase")' Failed && is once "$first[\"restartCount\"]" 0 &&
        [ "$(basename "$state"/containers/*)" = "$id1" ]
ok "a container that ran is not run a second time" $?
gone_without_leak once
ok "leftovers of tools without a record are removed" $?
stop "$kubelet_pid"
finish
