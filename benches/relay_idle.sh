#!/usr/bin/env bash
# What each idle connection through relay(1) costs it: memory with page tables, and descriptors.
# relay_idle.sh [CONNECTIONS]: each sends a line through to echo(1) and back, and then falls silent.
set -euo pipefail
cd "$(dirname "$0")/.."
connections=${1:-4000}
readonly ALLOWED=12 # KiB

ulimit -n "$(ulimit -H -n)"
((connections + 100 < $(ulimit -n))) || { echo "relay_idle.sh: NOT RUN: too few descriptors" >&2; exit 77; }
tool() {
    cargo build --release --example "$1" --message-format=json 2> /dev/null |
        sed -n 's/.*"name":"'"$1"'".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1
}
relay=$(tool relay) echo=$(tool echo)
[[ -x $relay && -x $echo ]] || { echo "relay_idle.sh: cargo built no relay and echo" >&2; exit 2; }

exec {served}< <(exec "$echo" -T 3600 0)
serves=$!
read -r -u "$served" target
exec {said}< <(exec "$relay" -v tcp-listen:127.0.0.1:0,fork "tcp:127.0.0.1:${target##*:}" 2>&1)
relays=$!
trap 'kill "$serves" "$relays"' EXIT
read -r -u "$said" listening

clients=()
# talks FROM TO: connections, each of which is used once.
talks() {
    local i client answer
    for ((i = $1; i < $2; i++)); do
        exec {client}<> "/dev/tcp/127.0.0.1/${listening##*:}"
        clients+=("$client")
        printf 'word %d\n' "$i" >&"$client"
        read -r -u "$client" answer
        [[ $answer == "word $i" ]] || { echo "relay_idle.sh: $answer" >&2; exit 1; }
    done
}
memory() { # KiB
    awk '/^VmRSS:|^VmPTE:/ { sum += $2 } END { print sum }' "/proc/$relays/status"
}
descriptors() { # [TARGET]: all, or those of one kind
    find "/proc/$relays/fd" -lname "${1:-*}" | wc -l
}

# Workers, pools and what is allocated once are there before.
talks 0 10
small=$(memory) few=$(descriptors)
talks 10 $((10 + connections))
large=$(memory) many=$(descriptors)
awk -v n="$connections" -v kib=$((large - small)) -v fds=$((many - few)) -v allowed="$ALLOWED" \
    -v pipes="$(descriptors 'pipe:*')" 'BEGIN {
        verdict = kib / n <= allowed && fds / n <= 2.01 && pipes < 40 ? "ok" : "MISSED"
        printf "connections\t%d\nKiB each\t%.2f\t%d\ndescriptors each\t%.2f\t2\npipe ends in all\t%d\t40\n%s\n",
            n, kib / n, allowed, fds / n, pipes, verdict
        exit verdict != "ok"
    }'
