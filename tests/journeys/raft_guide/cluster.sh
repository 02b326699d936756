#!/usr/bin/env bash
# Sets up the four servers of the guide "HA cluster with integrated storage" in this directory:
# vault_1 keeps the transit key that opens the others, vault_2 to vault_4 make the cluster.
# usage: cluster.sh create network|config, setup|start|stop NAME, status, clean
# Needs `vault` and jq on the PATH.
set -euo pipefail

cd "${DEMO_HOME:-$(dirname "$0")}"
DEMO_HOME=$PWD
names="vault_1 vault_2 vault_3 vault_4"

say() { echo "[$1] ${*:2}"; }
address() { echo "http://127.0.0.${1#vault_}:8200"; }
pid_of() { [ -f "$1.pid" ] && alive "$(<"$1.pid")" && cat "$1.pid"; }

# A process that has ended counts as gone, whether or not somebody took note of that.
alive() { kill -0 "$1" 2>/dev/null && ! grep -qs '^State:.Z' "/proc/$1/status"; }

# Run the vault command line against one of them.
at() { VAULT_ADDR=$(address "$1") vault "${@:2}"; }

# Linux answers on all of 127.0.0.0/8; other systems must be told of each address.
create_network() {
    local name ip
    for name in vault_2 vault_3 vault_4; do
        ip=127.0.0.${name#vault_}
        say $name "Enabling local loopback on $ip"
        [ "$(uname)" = Linux ] || sudo ifconfig lo0 alias "$ip"
    done
}

listener() {
    cat <<END
listener "tcp" {
  address = "127.0.0.$1:8200"
  cluster_address = "127.0.0.$1:8201"
  tls_disable = true
}
disable_mlock = true
END
}

create_config() {
    local name number file
    for name in $names; do
        number=${name#vault_} file=$DEMO_HOME/config-$name.hcl
        say "$name" "Creating configuration"
        echo "  - creating $file"
        if [ "$name" = vault_1 ]; then
            { echo 'storage "inmem" {}'; listener 1; } >"$file"
            continue
        fi
        echo "  - creating $DEMO_HOME/raft-$name"
        mkdir -p "raft-$name"
        {
            cat <<END
storage "raft" {
  path    = "$DEMO_HOME/raft-$name/"
  node_id = "$name"
}
END
            listener "$number"
            cat <<END
seal "transit" {
  address            = "http://127.0.0.1:8200"
  # token is read from VAULT_TOKEN env
  # token              = ""
  disable_renewal    = "false"

  // Key configuration
  key_name           = "unseal_key"
  mount_path         = "transit/"
}
cluster_addr = "http://127.0.0.$number:8201"
END
        } >"$file"
    done
}

# Start one and wait until it answers.
start() {
    local name=$1 token='' try
    [ "$name" = vault_1 ] || token=$(<root_token-vault_1)
    [ "$name" = vault_1 ] ||
        echo "Using [vault_1] root token ($token) to retrieve transit key for auto-unseal"
    say "$name" "starting Vault server @ $(address "$name")"
    VAULT_TOKEN=$token VAULT_ADDR=http://127.0.0.1:8200 setsid vault server -log-level=trace \
        -config="config-$name.hcl" >>"$name.log" 2>&1 </dev/null &
    echo $! >"$name.pid"
    for try in $(seq 200); do
        curl -s -o /dev/null "$(address "$name")/v1/sys/seal-status" && return
        pid_of "$name" >/dev/null || { tail -n 5 "$name.log" >&2; return 1; }
        sleep 0.05
    done
    say "$name" "does not answer" >&2
    return 1
}

stop() {
    local pid
    if ! pid=$(pid_of "$1"); then
        echo "Found 0 Vault service(s) matching that name"
        return
    fi
    echo "Found 1 Vault service(s) matching that name"
    say "$1" "stopping"
    kill "$pid"
    while alive "$pid"; do sleep 0.05; done
    rm -f "$1.pid"
}

# Wait until one of them is active.
wait_active() {
    local try
    for try in $(seq 300); do
        curl -sf -o /dev/null "$(address "$1")/v1/sys/health" && return
        sleep 0.05
    done
    say "$1" "is not active" >&2
    return 1
}

setup_1() {
    local answer
    start vault_1
    say vault_1 "initializing and capturing the unseal key and root token"
    answer=$(at vault_1 operator init -format=json -key-shares=1 -key-threshold=1)
    jq -r '.unseal_keys_b64[0]' <<<"$answer" >unseal_key-vault_1
    jq -r .root_token <<<"$answer" >root_token-vault_1
    say vault_1 "Unseal key: $(<unseal_key-vault_1)"
    say vault_1 "Root token: $(<root_token-vault_1)"
    say vault_1 "unsealing and logging in"
    at vault_1 operator unseal "$(<unseal_key-vault_1)"
    at vault_1 login "$(<root_token-vault_1)"
    say vault_1 "enabling the transit secrets engine and storing key to enable remaining nodes to join the cluster"
    at vault_1 secrets enable transit
    at vault_1 write -f transit/keys/unseal_key
}

setup_2() {
    local answer
    start vault_2
    say vault_2 "initializing and capturing the recovery key and root token"
    answer=$(at vault_2 operator init -format=json -recovery-shares=1 -recovery-threshold=1)
    jq -r '.recovery_keys_b64[0]' <<<"$answer" >recovery_key-vault_2
    jq -r .root_token <<<"$answer" >root_token-vault_2
    say vault_2 "Recovery key: $(<recovery_key-vault_2)"
    say vault_2 "Root token: $(<root_token-vault_2)"
    say vault_2 "waiting to join Vault cluster"
    wait_active vault_2
    say vault_2 "logging in and enabling the KV secrets engine"
    at vault_2 login "$(<root_token-vault_2)"
    at vault_2 secrets enable -path=kv kv-v2
    say vault_2 "storing secret 'kv/apikey' to demonstrate snapshot and recovery methods"
    at vault_2 kv put kv/apikey webapp=ABB39KKPTWOR832JGNLS02
    at vault_2 kv get kv/apikey
}

status() {
    local name running=''
    for name in $names; do
        pid_of "$name" >/dev/null && running="$running $name"
    done
    echo "Found $(wc -w <<<"$running") Vault services"
    for name in $running; do
        echo
        say "$name" "status"
        at "$name" status || true # 2: sealed
    done
}

clean() {
    local name file
    status | sed -n 1p
    for name in $names; do
        stop "$name" >/dev/null
    done
    for name in vault_2 vault_3 vault_4; do
        echo "Removing local loopback address: 127.0.0.${name#vault_}"
        [ "$(uname)" = Linux ] || sudo ifconfig lo0 -alias "127.0.0.${name#vault_}"
    done
    for file in config-vault_?.hcl raft-vault_? *_key-vault_? root_token-vault_? vault_?.log \
        demo.snapshot; do
        [ -e "$file" ] || continue
        echo "Removing $DEMO_HOME/$file"
        rm -r "${DEMO_HOME:?}/$file"
    done
    echo "Clean complete"
}

case "${1:-} ${2:-}" in
"create network") create_network ;;
"create config") create_config ;;
"setup vault_1") setup_1 ;;
"setup vault_2") setup_2 ;;
"setup vault_3" | "setup vault_4") start "$2" ;;
"start vault_"[1-4]) start "$2" ;;
"stop vault_"[1-4]) stop "$2" ;;
"status ") status ;;
"clean ") clean ;;
*)
    sed -n 's/^# usage: /usage: /p' "$0" >&2
    exit 2
    ;;
esac
