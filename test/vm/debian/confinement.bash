# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Part of debian.sh: AppArmor as Debian ships it, and the filter of system calls.
confined() { # NAME SECURITY-CONTEXT
        k apply -f - <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: hello:v1
    imagePullPolicy: Never
    command: [/bin/sh, -c, "sleep 1000000"]
    securityContext: $2
YAML
}
label_is() { equals "$(k exec "$1" -- cat /proc/self/attr/current)" "$2" && equals "$(on worker-1 sh -c "cat /proc/\$(head -n 1 $(container_group "$1")/cgroup.procs)/attr/current")" "$2"; } # POD LABEL
unconfined() { if on worker-1 grep -q '^runc ' /sys/kernel/security/apparmor/profiles; then echo "runc (unconfined)"; else echo unconfined; fi; } # as what runc is
t_default() { # also of who asks for nothing; and it is no mere label
        on worker-1 grep -qx 'coxswain-default (enforce)' /sys/kernel/security/apparmor/profiles && confined default '{appArmorProfile: {type: RuntimeDefault}, capabilities: {add: [SYS_ADMIN]}}' &&
                confined nothing '{capabilities: {add: [SYS_ADMIN]}}' && confined unconfined '{appArmorProfile: {type: Unconfined}, seccompProfile: {type: Unconfined}, capabilities: {add: [SYS_ADMIN]}}' || return 1
        for pod in default nothing unconfined; do waits_for condition=Ready $pod || return 1; done
        label_is default "coxswain-default (enforce)" && label_is nothing "coxswain-default (enforce)" && label_is unconfined "$(unconfined)" || return 1
        ! k exec default -- busybox mount -t tmpfs none /etc 2>/dev/null && ! k exec nothing -- busybox mount -t tmpfs none /etc 2>/dev/null && k exec unconfined -- busybox mount -t tmpfs none /etc
}
ok "the default profile confines, and Unconfined does not" t_default
t_localhost() {
        on worker-1 sh -c 'printf "profile coxswain-test flags=(attach_disconnected) {\n file,\n network,\n capability,\n signal,\n deny /etc/passwd r,\n}\n" | apparmor_parser -r' &&
                confined localhost '{appArmorProfile: {type: Localhost, localhostProfile: coxswain-test}}' && confined absent '{appArmorProfile: {type: Localhost, localhostProfile: not-there}}' &&
                waits_for condition=Ready localhost && label_is localhost "coxswain-test (enforce)" && ! k exec localhost -- cat /etc/passwd 2>/dev/null &&
                until_true "$(patience 30)" refused absent
}
refused() { k get pod "$1" -o 'jsonpath={.status.containerStatuses[0].state.waiting}' | grep -q 'CreateContainerConfigError\|CreateContainerError' && k get pod "$1" -o 'jsonpath={.status.containerStatuses[0].state.waiting.message}' | grep -q 'profile "not-there" is not loaded'; }
ok "a Localhost profile confines, and one that is not loaded is refused" t_localhost
t_seccomp() {
        confined filtered '{seccompProfile: {type: RuntimeDefault}}' && waits_for condition=Ready filtered && k exec filtered -- busybox grep -qE '^Seccomp:[[:space:]]*2$' /proc/self/status &&
                k exec unconfined -- busybox grep -qE '^Seccomp:[[:space:]]*0$' /proc/self/status
}
ok "the default filter of system calls is on who asks for it" t_seccomp
t_deleted() { k delete pod default nothing unconfined localhost absent filtered --timeout="$(patience 60)s"; } # by its own signal: peers are allowed that
ok "confined pods can be ended" t_deleted
