# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
TOKEN_HELP='Creates, lists and deletes tokens to join with.

Usage:
  coxswain token create [TOKEN] [flags]
  coxswain token list
  coxswain token delete TOKEN-ID...

Flags:
      --ttl duration
        How long the token is good for; by default 24h. 0s: for ever.
      --description string
        What it is for.
      --print-join-command
        Print the whole command to join with instead of the token.
      --certificate-key string
        With --print-join-command: the command for masters; the key is what "coxswain certs upload" printed.'

new_token() { local bytes; bytes=$(openssl rand -hex 11) && printf '%s.%s' "${bytes:0:6}" "${bytes:6:16}"; }

create_token() { # TOKEN TTL DESCRIPTION
        local seconds expires=''
        seconds=$(seconds_of --ttl "$2")
        [ "$seconds" = 0 ] || expires="expiration: \"$(date -u -d "$seconds seconds" +%Y-%m-%dT%H:%M:%SZ)\""
        k create -f - >/dev/null <<YAML
apiVersion: v1
kind: Secret
type: bootstrap.kubernetes.io/token
metadata: {name: bootstrap-token-${1%.*}, namespace: kube-system}
data: {description: "$(printf %s "$3" | base64 -w0)"}
stringData:
  token-id: "${1%.*}"
  token-secret: "${1#*.}"
  usage-bootstrap-authentication: "true"
  usage-bootstrap-signing: "true"
  auth-extra-groups: system:bootstrappers:kubeadm:default-node-token
  $expires
YAML
}
join_command() { # TOKEN [CERTIFICATE-KEY]
        printf 'coxswain join %s --token %s \\\n\t--discovery-token-ca-cert-hash %s' \
                "$(setting controlPlaneEndpoint)" "$1" "$(ca_pin "$pki/ca.crt")"
        [ -z "${2:-}" ] || printf ' \\\n\t--control-plane --certificate-key %s' "$2"
        printf '\n'
}

text_of() { base64 -d <<<"$1" | tr -cd '[:print:]'; } # of data of a Secret
list_tokens() {
        local id secret expires authenticates signs usages description groups left
        local fields='{.data.token-id} {.data.token-secret} {.data.expiration}.'
        fields+=' {.data.usage-bootstrap-authentication}. {.data.usage-bootstrap-signing}.'
        fields+=' {.data.description}. {.data.auth-extra-groups}.'
        printf '%-25s%-10s%-22s%-27s%-56s%s\n' TOKEN TTL EXPIRES USAGES DESCRIPTION 'EXTRA GROUPS'
        k get secrets -n kube-system --field-selector type=bootstrap.kubernetes.io/token \
                -o "jsonpath={range .items[*]}$fields{'\n'}{end}" |
                while read -r id secret expires authenticates signs description groups; do
                        expires=$(text_of "${expires%.}")
                        left='<forever>'
                        [[ ! $expires =~ ^[0-9T:Z.+-]+$ ]] || left=$((($(date -d "$expires" +%s) - $(date +%s)) / 3600))h
                        usages=
                        [ "$(text_of "${authenticates%.}")" != true ] || usages=authentication
                        [ "$(text_of "${signs%.}")" != true ] || usages+=${usages:+,}signing
                        printf '%-25s%-10s%-22s%-27s%-56s%s\n' "$(text_of "$id").$(text_of "$secret")" "$left" \
                                "${expires:-<never>}" "${usages:-<none>}" "$(text_of "${description%.}")" "$(text_of "${groups%.}")"
                done
}

command_token() {
        local ttl=24h description='' print='' key='' word
        HELP=$TOKEN_HELP
        take_flags "ttl=ttl description=description print-join-command!=print certificate-key=key" "$@"
        need_root
        . "$parts/pki.bash"
        [ -s "$admin" ] || fail "$admin is missing. Run this command on a master"
        case ${words[0]:-} in
        create)
                [ ${#words[@]} -le 2 ] || fail "token create takes one token at most"
                word=${words[1]:-$(new_token)}
                check_token TOKEN "$word"
                [ -z "$key" ] || check_form --certificate-key "$key" '[0-9a-f]{64}' "a key of 64 hexadecimal digits"
                create_token "$word" "$ttl" "$description"
                if [ -n "$print" ]; then join_command "$word" "$key"; else printf '%s\n' "$word"; fi
                ;;
        list) list_tokens ;;
        delete)
                [ ${#words[@]} -gt 1 ] || fail "token delete needs the id of a token: its first six letters"
                for word in "${words[@]:1}"; do
                        check_form TOKEN-ID "${word%%.*}" '[a-z0-9]{6}' "the id of a token"
                        k delete secret -n kube-system "bootstrap-token-${word%%.*}" >/dev/null
                        printf 'bootstrap token "%s" deleted\n' "${word%%.*}"
                done
                ;;
        *) fail "token create, token list or token delete" ;;
        esac
}
