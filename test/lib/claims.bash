# SPDX-License-Identifier: Apache-2.0
# For bats files of pods with claims, beside lib/plane.

pod() { # NAME CLAIM [further lines of the spec]
        k create -f - <<EOF
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  automountServiceAccountToken: false
  containers: [{name: c, image: x}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: $2}}]
$(printf '%s\n' "${@:3}" | sed 's/^/  /')
EOF
}
on() { is "$2" of "pod/$1" '{.spec.nodeName}'; } # POD NODE
