#!/usr/bin/env bash
# httpd(1) beside nginx with sendfile, over the loopback, in rounds that take turns: a large file, how fast it comes and
# what CPU time it takes, and small files, what CPU time a request takes.
# httpd.sh [ROUNDS [MIB [SECONDS]]], so many MIB of a file, SECONDS of requests for small ones: a line for each round, and
# the median ratios beside the bounds. What the clients take does not count.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-5} mib=${2:-1024} seconds=${3:-3}
# A file is fetched so often, and there are so many small ones of so many bytes.
readonly TIMES=3 FILES=10000 BYTES=4096
# Our speed is to be no less of nginx's, our CPU time no more.
readonly SPEED=0.95 LARGE=1.1 SMALL=1.2

for program in nginx wrk; do
    command -v "$program" > /dev/null || { echo "httpd.sh: NOT RUN: $program is missing" >&2; exit 77; }
done
httpd=$(cargo build --profile dist --features http --example httpd --message-format=json 2> /dev/null |
    sed -n 's/.*"name":"httpd".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
[[ -x $httpd ]] || { echo "httpd.sh: cargo built no httpd" >&2; exit 2; }
port=$((20000 + RANDOM % 10000))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -m 755 "$work/site"
chmod 755 "$work"
head -c "$((mib << 20))" /dev/zero > "$work/site/large"
for ((i = 0; i < FILES; i++)); do head -c "$BYTES" /dev/zero > "$work/site/$i.txt"; done
cat > "$work/small.lua" << END
local n = 0
function request()
    n = (n + 1) % $FILES
    return wrk.format(nil, "/" .. n .. ".txt")
end
END

# configured: nginx's configuration, for \$port.
configured() {
    cat > "$work/nginx.conf" << END
daemon off;
worker_processes 2;
pid $work/nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    client_body_temp_path $work/body;
    proxy_temp_path $work/proxy;
    fastcgi_temp_path $work/fastcgi;
    uwsgi_temp_path $work/uwsgi;
    scgi_temp_path $work/scgi;
    types { text/plain txt; }
    server { listen 127.0.0.1:$port reuseport; root $work/site; }
}
END
}

# shellcheck disable=SC2317 # serving calls it
# fetched: how many seconds the large file takes, fetched TIMES.
fetched() {
    local began ended i
    began=$(date +%s.%N)
    for ((i = 0; i < TIMES; i++)); do
        exec 3<> "/dev/tcp/127.0.0.1/$port"
        printf 'GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
        dd bs=1M of=/dev/null <&3 2> "$work/said"
        exec 3>&-
        awk -v least="$((mib << 20))" '/ bytes/ { found = $1 > least } END { exit !found }' "$work/said"
    done
    ended=$(date +%s.%N)
    awk -v began="$began" -v ended="$ended" 'BEGIN { printf "%.3f", ended - began }'
}

# shellcheck disable=SC2317 # serving calls it
# asked: how many requests for small files were answered.
asked() {
    wrk -t1 -c16 "-d${seconds}s" -s "$work/small.lua" "http://127.0.0.1:$port" > "$work/said"
    if grep -E 'Socket errors|Non-2xx' "$work/said" >&2; then exit 1; fi
    awk '/requests in/ { print $1 }' "$work/said"
}

# serving LOAD COMMAND...: what LOAD says of the server that COMMAND starts, and the seconds of CPU that it took.
serving() {
    local load=$1 server TIMEFORMAT='%U %S' result
    shift
    { time "$@" 2> /dev/null; } 2> "$work/taken" &
    server=$!
    until ss -Hltn "sport = :$port" | grep -q .; do sleep 0.05; done
    result=$("$load")
    kill -TERM "$(pgrep -P "$server")"
    wait "$server" || true
    awk -v result="$result" '{ printf "%s %.3f", result, $1 + $2 }' "$work/taken"
}

# served LOAD WHO: as serving, for one of the two.
served() {
    port=$((port + 1))
    case $2 in
        ours) serving "$1" "$httpd" -l "127.0.0.1:$port" -d "$work/site" -w 2 ;;
        nginx) configured && serving "$1" nginx -c "$work/nginx.conf" ;;
    esac
}

printf 'round\tGiB/s\tnginx\tratio\tCPU s/GiB\tnginx\tratio\tCPU ms/1k small\tnginx\tratio\n'
for ((round = 1; round <= rounds; round++)); do
    declare -A large small
    # Neither is always the first.
    if ((round % 2)); then order="ours nginx"; else order="nginx ours"; fi
    for who in $order; do
        # Not in a subshell, where the port would not move on.
        served fetched "$who" > "$work/row"
        large[$who]=$(< "$work/row")
        served asked "$who" > "$work/row"
        small[$who]=$(< "$work/row")
    done
    awk -v round="$round" -v gib="$((mib * TIMES))" -v ours="${large[ours]} ${small[ours]}" \
        -v nginx="${large[nginx]} ${small[nginx]}" 'BEGIN {
        gib /= 1024
        split(ours, o, " ")
        split(nginx, n, " ")
        printf "%d\t%.2f\t%.2f\t%.3f", round, gib / o[1], gib / n[1], n[1] / o[1]
        printf "\t%.4f\t%.4f\t%.3f", o[2] / gib, n[2] / gib, o[2] / n[2]
        printf "\t%.2f\t%.2f\t%.3f\n", 1e6 * o[4] / o[3], 1e6 * n[4] / n[3], (o[4] / o[3]) / (n[4] / n[3])
    }' | tee -a "$work/rows"
done

# median COLUMN NAME SIGN BOUND
median() {
    cut -f "$1" "$work/rows" | sort -n | sed -n "$(((rounds + 1) / 2))p" |
        awk -v name="$2" -v sign="$3" -v bound="$4" '{
        met = sign == ">=" ? $1 >= bound : $1 <= bound
        printf "median\t%s\t%s\t%s %s\t%s\n", name, $1, sign, bound, met ? "ok" : "MISSED"
        exit !met
    }'
}
missed=0
median 4 'speed' '>=' "$SPEED" || missed=1
median 7 'CPU per GiB' '<=' "$LARGE" || missed=1
median 10 'CPU per small file' '<=' "$SMALL" || missed=1
exit "$missed"
