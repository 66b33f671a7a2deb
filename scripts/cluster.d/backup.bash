# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A backup is one sealed file: a snapshot of etcd, the authorities, and the cluster's settings. What the authorities sign is made
# anew where it is restored.
BACKUP_HELP='Writes the cluster'\''s objects and keys into one encrypted file.

Usage:
  coxswain backup --output FILE --key-file FILE
  coxswain backup --verify FILE --key-file FILE

Flags:
      --output string
        File to write; it must not be there yet.
      --key-file string
        File of the key, which is made when it is not there. Keep it elsewhere than the backup.
      --verify string
        Check a backup instead of writing one.'
RESTORE_HELP='Makes this machine the first master of the cluster in a backup.

Usage:
  coxswain restore FILE --key-file FILE [flags]

Flags:
      --key-file string
        File of the key that the backup was written with.
      --apiserver-advertise-address string
        Address that others reach this master at; by default the one of the default route.
      --control-plane-endpoint string
        Name (or address) and port for all masters; by default the one of the backup when that is a name, else this master.
      --node-name string
        Name of the node; by default the name of the machine.

The nodes of the cluster are in the backup, too: machines that join under their names take their places.'

snapshot() { ETCDCTL_API=3 etcdctl snapshot "$@" 2>/dev/null; }
snapshot_has() { snapshot status "$1" -w json | sed -n 's/.*"'"$2"'":\([0-9]*\).*/\1/p'; } # FILE FIELD
snapshot_is_whole() { [ "$(snapshot_has "$1" totalKey || :)" -gt 0 ] 2>/dev/null; } # FILE: etcd reads it, and it has keys
open_backup() { # FILE KEY-FILE FOLDER
        check_seal_key "$2"
        unseal "$2" "$1" "$3/tar"
        tar -C "$3" --no-same-owner --no-same-permissions -xf "$3/tar" snapshot cluster.yaml pki || fail "$1 is not a backup"
        rm "$3/tar"
        snapshot_is_whole "$3/snapshot" || fail "the snapshot of etcd in $1 is damaged"
}

command_backup() {
        local output='' key='' verify='' folder new
        HELP=$BACKUP_HELP
        take_flags "output=output key-file=key verify=verify" "$@"
        [ ${#words[@]} -eq 0 ] || fail "backup takes no argument"
        [ -n "$key" ] || fail "--key-file is missing"
        need_root
        . "$parts/pki.bash"
        . "$parts/control-plane.bash"
        . "$parts/seal.bash"
        folder=$(new_folder)
        if [ -z "$verify" ]; then
                [ -n "$output" ] || fail "--output is missing"
                [ ! -e "$output" ] || fail "$output is there already"
                [ -s "$pki/etcd/ca.key" ] || fail "this machine is no master. Run this command on one"
                [ -e "$key" ] || { new=$(mktemp "$key.XXXXXX") && new_seal_key >"$new" && mv -T "$new" "$key"; }
                check_seal_key "$key"
                say backup "Saving a snapshot of etcd"
                etcd snapshot save "$folder/snapshot" >/dev/null 2>"$folder/log" ||
                        fail "etcd gave no snapshot: $(tail -n 1 "$folder/log")"
                cp "$settings_file" "$folder/cluster.yaml"
                mkdir "$folder/pki"
                tar -C "$pki" -cf - "${shared_files[@]}" | tar -C "$folder/pki" -xf -
                tar -C "$folder" -cf "$folder/tar" snapshot cluster.yaml pki
                seal "$key" "$folder/tar" "$output"
                verify=$output
                mkdir "$folder/again"
                open_backup "$verify" "$key" "$folder/again"
                cmp -s "$folder/snapshot" "$folder/again/snapshot" || fail "$output does not hold what was written"
        else
                open_backup "$verify" "$key" "$folder"
        fi
        say backup "$verify is whole: $(snapshot_has "$folder/snapshot" totalKey) keys at revision $(
                snapshot_has "$folder/snapshot" revision)"
}

# The machines that the nodes were are gone, and none of them is a master.
forget_nodes() {
        local name
        k get nodes -o name | while IFS= read -r name; do
                k label "$name" node-role.kubernetes.io/control-plane- >/dev/null
                k patch "$name" --subresource=status -p '{"status": {"conditions": [{"type": "Ready", "status": "Unknown",
                        "reason": "NodeStatusUnknown", "message": "The cluster was restored, and nothing was heard of this node since."
                        }]}}' >/dev/null
        done
}
command_restore() {
        local own='' endpoint='' node='' key='' folder server token
        HELP=$RESTORE_HELP
        take_flags "key-file=key apiserver-advertise-address=own control-plane-endpoint=endpoint node-name=node" "$@"
        [ ${#words[@]} -eq 1 ] || fail "restore takes the file of a backup"
        [ -n "$key" ] || fail "--key-file is missing"
        need_root
        . "$parts/check.bash"
        . "$parts/pki.bash"
        . "$parts/node.bash"
        . "$parts/control-plane.bash"
        . "$parts/token.bash"
        . "$parts/seal.bash"
        . "$parts/addons.bash"
        own=${own:-$(own_address)} node=${node:-$(hostname | tr '[:upper:]' '[:lower:]')}
        check_address --apiserver-advertise-address "$own"
        check_name --node-name "$node"
        preflight master || fail "the machine is not ready for a cluster; nothing was changed"
        folder=$(new_folder)
        open_backup "${words[0]}" "$key" "$folder"
        mkdir -p -m 755 "$etc" "$pki" "$pki/etcd"
        install -m 644 "$folder/cluster.yaml" "$settings_file"
        if [ -z "$endpoint" ]; then
                endpoint=$(setting controlPlaneEndpoint)
                [[ ! ${endpoint%:*} =~ ^$address_form$ ]] || endpoint=$own:6443
        fi
        [[ $endpoint == *:* ]] || endpoint+=:6443
        check_endpoint --control-plane-endpoint "$endpoint"
        sed -i "s/^controlPlaneEndpoint: .*/controlPlaneEndpoint: $endpoint/" "$settings_file"
        check_settings
        tar -C "$folder/pki" -cf - "${shared_files[@]}" | tar -C "$pki" -xf -
        chmod 644 "$pki"/{ca,front-proxy-ca,etcd/ca}.crt
        make_authorities
        say etcd "Restoring the objects of the cluster"
        snapshot restore "$folder/snapshot" --name "$node" --data-dir "$etcd_data" \
                --initial-cluster "$node=https://$own:2380" --initial-advertise-peer-urls "https://$own:2380" \
                --initial-cluster-token "$(openssl rand -hex 8)" >/dev/null || fail "etcd cannot restore the snapshot"
        chown -R coxswain-etcd: "$etcd_data"
        server=$own:6443
        start_control_plane new "$node=https://$own:2380"
        publish_endpoint
        bring_rights "$etc/super-admin.conf" # the cluster may be of a version before
        drop_former_rights "$etc/super-admin.conf"
        forget_nodes
        each_row "$addons" forget_addon
        master_node
        until_true 240 "the control plane runs" control_plane_runs
        until_true 240 "the node is Ready" node_is_ready "$admin" "$node"
        token=$(new_token)
        create_token "$token" 24h "The token generated by 'coxswain restore'."
        printf '\nThe cluster is restored. Machines join it by:\n\n'
        join_command "$token"
}
