#!/bin/sh
# Instructions of a chain of four adapters over those of the loop written by hand.
# One line per mode: name, ratio, greatest ratio allowed, instructions of each per piece.
# What start-up costs drops out: each is run over N passes and over 2N.
set -eu
cd "$(dirname "$0")/.."
passes=${1:-4}

bench=$(cargo bench --bench chain --no-run --message-format=json 2>/dev/null |
    sed -n 's/.*"name":"chain".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
[ -x "$bench" ] || { echo "callgrind.sh: cargo built no bench named chain" >&2; exit 2; }

instructions() { # way mode passes
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bench" "$@" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

per_passes() { # way mode
    once=$(instructions "$1" "$2" "$passes")
    twice=$(instructions "$1" "$2" $((2 * passes)))
    echo $((twice - once))
}

"$bench" | while IFS='	' read -r mode pieces _; do
    case $mode in
        read_8KiB) allowed=1.03 ;;
        read_512B) allowed=1.25 ;;
        *) allowed=1.50 ;;
    esac
    chain=$(per_passes chain "$mode")
    loop=$(per_passes loop "$mode")
    awk -v mode="$mode" -v allowed="$allowed" -v chain="$chain" -v loop="$loop" \
        -v pieces="$((passes * pieces))" 'BEGIN {
            ratio = chain / loop
            printf "%s\t%.3f\t%s\t%s\t%.1f\t%.1f\n", mode, ratio, allowed,
                ratio <= allowed ? "ok" : "MISSED", chain / pieces, loop / pieces
        }'
done
