#!/usr/bin/env bash
# CPU time of relay(1) between two TCP connections beside that of socat -b 131072, in rounds that take turns.
# relay.sh [ROUNDS [MIB [BYTES]]], which come in writes of so many BYTES: a line for each round, and the median ratio beside the greatest allowed.
# What feeds and drains them is of processes of their own, whose time does not count.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-7} mib=${2:-1024} bytes=${3:-1048576}
readonly ALLOWED=0.5

command -v socat > /dev/null || { echo "relay.sh: NOT RUN: socat is missing" >&2; exit 77; }
relay=$(cargo build --release --example relay --message-format=json 2> /dev/null |
    sed -n 's/.*"name":"relay".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
[[ -x $relay ]] || { echo "relay.sh: cargo built no relay" >&2; exit 2; }
port=$((20000 + RANDOM % 10000))
said=$(mktemp)
trap 'rm -f "$said"' EXIT

# passes COMMAND...: how many seconds of CPU it takes for the bytes from port to port + 1.
passes() {
    local drain feed TIMEFORMAT='%U %S' taken
    socat -u -b 1048576 "tcp-listen:$((port + 1)),bind=127.0.0.1,reuseaddr" open:/dev/null &
    drain=$!
    # It may take a while until somebody listens.
    socat -u -b "$bytes" "open:/dev/zero,readbytes=$((mib << 20))" \
        "tcp:127.0.0.1:$port,retry=200,interval=0.05" &
    feed=$!
    until ss -Hltn "sport = :$((port + 1))" | grep -q .; do sleep 0.05; done
    taken=$({ time "$@" 2> "$said"; } 2>&1)
    wait "$feed" "$drain"
    awk -v taken="$taken" 'BEGIN { split(taken, of, " "); printf "%.3f", of[1] + of[2] }'
}

ratios=()
printf 'round\trelay s/GiB\tsocat s/GiB\tratio\n'
for ((round = 1; round <= rounds; round++)); do
    ours=$(passes "$relay" -v "tcp-listen:127.0.0.1:$port" "tcp:127.0.0.1:$((port + 1))")
    grep -q ": $((mib << 20)) bytes forth" "$said" || { cat "$said" >&2; exit 1; }
    port=$((port + 2))
    theirs=$(passes socat -b 131072 "tcp-listen:$port,bind=127.0.0.1,reuseaddr" \
        "tcp:127.0.0.1:$((port + 1))")
    port=$((port + 2))
    row=$(awk -v ours="$ours" -v theirs="$theirs" -v gib="$mib" 'BEGIN {
        gib /= 1024
        printf "%.3f\t%.3f\t%.3f", ours / gib, theirs / gib, ours / theirs
    }')
    printf '%d\t%s\n' "$round" "$row"
    ratios+=("${row##*	}")
done
median=$(printf '%s\n' "${ratios[@]}" | sort -n | sed -n "$(((rounds + 1) / 2))p")
awk -v median="$median" -v allowed="$ALLOWED" 'BEGIN {
    verdict = median <= allowed ? "ok" : "MISSED"
    printf "median\t%s\t%s\t%s\n", median, allowed, verdict
    exit verdict != "ok"
}'
