#!/bin/sh
# System calls per round trip, counted by strace(1): the server's, for one connection and for 64,
# each given the time to wait. One line each: connections, who, calls per round trip, and which.
# What start-up costs drops out: each is run over N rounds and over 2N.
set -eu
cd "$(dirname "$0")/.."
rounds=${1:-200}

command -v strace > /dev/null || { echo "poll_syscalls.sh: NOT RUN: strace is missing" >&2; exit 77; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

bench=$(cargo bench --bench poll --no-run --message-format=json 2>/dev/null |
    sed -n 's/.*"name":"poll".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
[ -x "$bench" ] || { echo "poll_syscalls.sh: cargo built no bench named poll" >&2; exit 2; }
if command -v go > /dev/null; then
    go build -o "$scratch/go" benches/poll_go/main.go
else
    echo "poll_syscalls.sh: NOT RUN for Go: go is missing" >&2
fi

count() { # program who connections rounds
    strace -f -qq -c -U name,calls -o "$scratch/$4" "$1" trips "$2" "$3" "$4"
}

# What the client does, no server does: readv, writev and clock_nanosleep.
per_trip() { # program who connections
    count "$1" "$2" "$3" "$rounds"
    count "$1" "$2" "$3" $((2 * rounds))
    awk -v who="$2" -v connections="$3" -v trips=$((rounds * $3)) '
        $2 !~ /^[0-9]+$/ || $1 ~ /^(total|readv|writev|clock_nanosleep)$/ { next }
        FNR == NR { once[$1] = $2; next }
        { each = ($2 - once[$1]) / trips; all += each; if (each >= 0.01) which = which sprintf(" %s %.2f", $1, each) }
        END { printf "%s\t%s\t%.2f\t%s\n", connections, who, all, substr(which, 2) }
    ' "$scratch/$rounds" "$scratch/$((2 * rounds))"
}

for connections in 1 64; do
    for who in plain plain-deadline local local-deadline polling mio std; do
        per_trip "$bench" $who $connections
    done
    [ ! -x "$scratch/go" ] || per_trip "$scratch/go" go $connections
done
