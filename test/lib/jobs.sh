# SPDX-License-Identifier: Apache-2.0
# For tests of Jobs and CronJobs, sourced by bash after control-plane.sh. The test plays the kubelets.

# job NAME SPEC [TEMPLATE]: SPEC and TEMPLATE are flow mappings' insides, with a comma at the end.
job() {
        k create -f - <<YAML
apiVersion: batch/v1
kind: Job
metadata: {name: $1}
spec: {${2:-} template: {${3:-} spec: {restartPolicy: ${RESTART:-Never}, containers: [{name: c, image: i}]}}}
YAML
}

# pods JOB [SELECTOR...]: the names of its pods, one a line.
pods() {
        local job=$1
        shift
        k get pods -l job-name="$job" "$@" -o jsonpath='{range .items[*]}{.metadata.name}{"\n"}{end}'
}

# active JOB: how many of its pods run or wait.
active() {
        k get pods -l job-name="$1" -o jsonpath='{range .items[?(@.status.phase!="Succeeded")]}{.status.phase}{.metadata.deletionTimestamp}{"\n"}{end}' |
                grep -cE '^(Pending|Running)$'
}

# end POD PHASE [EXIT CODE]
end() {
        k patch pod "$1" --subresource=status --type=merge -p '{"status":{"phase":"'"$2"'","containerStatuses":[{"name":"c","image":"i",
          "imageID":"","ready":false,"restartCount":0,"state":{"terminated":{"exitCode":'"${3:-0}"',"finishedAt":"2026-01-01T00:00:00Z"}}}]}}' >/dev/null
}

# end_some JOB PHASE COUNT: ends so many of the active pods.
end_some() {
        local pod
        for pod in $(pods "$1" --field-selector status.phase=Pending | head -n "$3"); do end "$pod" "$2"; done
}

at_least() { [ "$("${@:2}")" -ge "$1" ]; } # at_least NUMBER command…
not() { ! "$@"; } # "!" alone fails no test
# has CONDITION JOB [REASON]
has() { is "True${3:+ $3}" of "job/$2" '{.status.conditions[?(@.type=="'"$1"'")].status}'"${3:+ {.status.conditions[?(@.type==\"$1\")].reason\}}"; }
counts() { of "job/$1" '{.status.active}/{.status.succeeded}/{.status.failed}/{.status.terminating}'; }
events() { k get events --field-selector involvedObject.name="$1" -o jsonpath='{range .items[*]}{.type} {.reason}: {.message}{"\n"}{end}'; }
told() { events "$1" | grep -qxF "$2"; } # told OBJECT "Type Reason: message"
gone() { [ -z "$(k get "$@" --ignore-not-found -o name)" ]; }
holds() { k get pods -l job-name="$1" -o yaml | grep -c batch.kubernetes.io/job-tracking; } # how many finalizers there are
number() { "$@" | grep -c .; } # number COMMAND...: of lines
