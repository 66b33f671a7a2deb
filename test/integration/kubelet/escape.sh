#!/usr/bin/env bash
# Ways out of a container, tried inside of real pods: each attempt is a command that ends well when it got through, and says
# in which pods it may. Then what a pod may ask for its security: enforced, or refused with the reason.
. "$(dirname "$0")/lib.sh"
start_all
k() { "$bin/kubectl" --kubeconfig "$work/admin.conf" "$@"; }
box=$registry/busybox:1.35

# NAME|PODS WHERE IT MAY SUCCEED|COMMAND. What it would write is what is there, or nothing.
attempts=$(
        cat <<'END'
own-file|plain bare hostnet hostpid admin|echo x >/tmp/x
own-hosts|plain bare hostnet hostpid admin|echo "# x" >>/etc/hosts
own-message|plain bare hostnet hostpid admin nothing|echo x >/dev/termination-log
unfiltered|bare|! grep -q '^Seccomp:.2' /proc/self/status
more-privileges|plain bare hostnet hostpid admin|grep -q '^NoNewPrivs:.0' /proc/self/status
proc-sys||cat /proc/sys/vm/swappiness >/proc/sys/vm/swappiness
proc-sys-net||cat /proc/sys/net/ipv4/ip_forward >/proc/sys/net/ipv4/ip_forward
core-pattern||cat /proc/sys/kernel/core_pattern >/proc/sys/kernel/core_pattern
sysrq||: >>/proc/sysrq-trigger
irq||: >>/proc/irq/default_smp_affinity
kcore||[ -n "$(head -c 1 /proc/kcore)" ]
keys||[ -n "$(head -c 1 /proc/keys)" ]
timer-list||[ -n "$(head -c 1 /proc/timer_list)" ]
interrupts||[ -n "$(head -c 1 /proc/interrupts)" ]
firmware||[ -n "$(ls /sys/firmware)" ]
sys||for f in $(find /sys -type f -perm -200 2>/dev/null | head -n 300); do (: >>"$f") && exit; done; false
sys-folder||for d in /sys /sys/kernel /sys/fs /sys/fs/cgroup/*/; do mkdir "$d/escape" && exit; done; false
release-agent||for f in $(find /sys/fs/cgroup -name release_agent -o -name notify_on_release -o -name cgroup.procs); do (: >>"$f") && exit; done; false
devices-allow||for f in $(find /sys/fs/cgroup -name devices.allow); do echo a >"$f" && exit; done; false
dev-mem||head -c 1 /dev/mem
dev-kmsg||mknod /tmp/kmsg c 1 11 && head -c 1 /tmp/kmsg
dev-disk||for d in $(awk '$4 {print $1 ":" $2}' /proc/partitions); do mknod /tmp/disk$d b ${d%:*} ${d#*:} && head -c 1 /tmp/disk$d && exit; done; false
mount|admin|mkdir -p /tmp/m && mount -t tmpfs x /tmp/m
mount-proc||mkdir -p /tmp/p && mount -t proc x /tmp/p && echo 60 >/tmp/p/sys/vm/swappiness && false
new-user-namespace|bare admin|unshare -U true
new-network|admin|unshare -n true
init-root||[ -d /proc/1/root/proc ] && [ "$(readlink /proc/1/ns/mnt)" != "$(readlink /proc/self/ns/mnt)" ]
init-mounts||nsenter -t 1 -m true && [ "$(readlink /proc/1/ns/mnt)" != "$(readlink /proc/self/ns/mnt)" ]
clock||! date -s "$(date '+%Y-%m-%d %H:%M:%S')" 2>&1 | grep -q ermitted
hostname|admin|hostname "$(hostname)"
link-hosts||ln /etc/hosts /tmp/hosts
move-hosts||mv /etc/hosts /etc/moved
unlink-hosts||rm /etc/hosts
link-message||ln /dev/termination-log /dev/log2
unlink-message||rm /dev/termination-log
token||echo x >/var/run/secrets/kubernetes.io/serviceaccount/token
config-map||echo x >/cm/key
read-only||echo x >/ro/x
above-volume||for d in /v/.. /v/../.. /sub/.. /sub/../..; do [ -e "$d/secret-of-another" ] && exit; done; false
END
)
try='while IFS="|" read -r name pods command; do if (eval "$command") </dev/null >/dev/null 2>&1; then echo "$name through"; else echo "$name held"; fi; done </attempts/list; echo end; sleep 1000'
api POST /api/v1/namespaces/default/configmaps "$(python3 -c 'import json, sys
print(json.dumps({"metadata": {"name": "attempts"}, "data": {"list": sys.argv[1] + "\n"}}))' "$attempts")" >/dev/null

pod_yaml() { # NAME CONTEXT [POD FIELDS]
        cat <<-END
		---
		apiVersion: v1
		kind: Pod
		metadata: {name: $1}
		spec:
		  nodeName: n1
		  terminationGracePeriodSeconds: 0
		  ${3:-}
		  initContainers: [{name: i, image: "$box", command: [sh, -c, "mkdir /v/own; ln -s / /v/out; echo x >/v/secret-of-another"], volumeMounts: [{name: v, mountPath: /v}]}]
		  containers:
		  - name: c
		    image: "$box"
		    command: [sh, -c, '$try']
		    securityContext: $2
		    volumeMounts:
		    - {name: attempts, mountPath: /attempts}
		    - {name: attempts, mountPath: /cm}
		    - {name: ro, mountPath: /ro, readOnly: true}
		    - {name: v, mountPath: /sub, subPath: own}
		  volumes:
		  - {name: attempts, configMap: {name: attempts}}
		  - {name: v, emptyDir: {}}
		  - {name: ro, emptyDir: {}}
	END
}
default='seccompProfile: {type: RuntimeDefault}'
{
        pod_yaml plain "{$default}"
        pod_yaml bare "{}"
        pod_yaml hostnet "{$default}" "hostNetwork: true"
        pod_yaml hostpid "{$default}" "hostPID: true"
        pod_yaml admin "{$default, capabilities: {add: [SYS_ADMIN]}}"
        pod_yaml nothing "{$default, runAsUser: 1000, runAsNonRoot: true, allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}"
} >"$work/pods.yaml"
k create -f "$work/pods.yaml" >/dev/null
tried() { k logs "$1" -c c 2>/dev/null | grep -qx end; }
for pod in plain bare hostnet hostpid admin nothing; do
        until_true 60 tried "$pod"
        ok "$pod: all was tried" $? || k describe pod "$pod" | tail -n 5
        k logs "$pod" -c c >"$work/$pod.log"
        wrong=$(while IFS='|' read -r name pods _; do
                want=held
                case " $pods " in *" $pod "*) want=through ;; esac
                grep -qx "$name $want" "$work/$pod.log" || echo -n " $name"
        done <<<"$attempts")
        [ -z "$wrong" ]
        ok "$pod: each attempt ends as it should$wrong" $?
done

# What is asked of this node: POD|CONTEXT OF THE CONTAINER|FIELDS OF THE POD|REASON|MESSAGE
mkdir -p "$work/kubelet/seccomp/a"
echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}]}' >"$work/kubelet/seccomp/a/nofolder.json"
echo '{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/run/x"}' >"$work/kubelet/seccomp/bad.json"
ln -s /etc/passwd "$work/kubelet/seccomp/link.json"
asked=$(
        cat <<'END'
users|{}|hostUsers: false|CreateContainerConfigError|no user namespaces
noprofile|{seccompProfile: {type: Localhost, localhostProfile: none.json}}||CreateContainerError|cannot load seccomp profile
badprofile|{seccompProfile: {type: Localhost, localhostProfile: bad.json}}||CreateContainerError|is not supported here
linkprofile|{seccompProfile: {type: Localhost, localhostProfile: link.json}}||CreateContainerError|cannot load seccomp profile
selinux|{seLinuxOptions: {type: spc_t}}||CreateContainerConfigError|no SELinux labels
armor|{appArmorProfile: {type: Localhost, localhostProfile: no-such-profile}}||CreateContainerConfigError|Cannot enforce AppArmor
capability|{capabilities: {add: [NET_ADMINN]}}||CreateContainerConfigError|no capability
END
)
{
        while IFS='|' read -r name context fields _; do
                printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec:\n  nodeName: n1\n  terminationGracePeriodSeconds: 0\n  %s\n  containers: [{name: c, image: "%s", command: [sleep, "1000"], securityContext: %s}]\n' \
                        "$name" "$fields" "$box" "$context"
        done <<<"$asked"
        printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: profile}\nspec:\n  nodeName: n1\n  terminationGracePeriodSeconds: 0\n  containers: [{name: c, image: "%s", command: [sh, -c, "mkdir /tmp/x; echo end; sleep 1000"], securityContext: {seccompProfile: {type: Localhost, localhostProfile: a/nofolder.json}}}]\n' "$box"
} >"$work/asked.yaml"
k create -f "$work/asked.yaml" >/dev/null
waits() { is "$1" "[w['reason'] for w in [p['status']['containerStatuses'][0]['state']['waiting']] if '$3' in w['message']][0]" "$2"; }
while IFS='|' read -r name _ _ reason message; do
        until_true 60 waits "$name" "$reason" "$message"
        ok "$name: refused" $? || field "$name" "p['status']['containerStatuses'][0]['state']"
done <<<"$asked"
until_true 60 tried profile
k logs profile | grep -q "mkdir.*No space left"
ok "a profile of the node is enforced" $?
k delete pod --all --wait=false >/dev/null
until_true 60 nothing_left
ok "nothing is left" $?
stop "$kubelet_pid"
finish
