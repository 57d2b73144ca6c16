#!/bin/sh
# Has Go print the rows of benches/poll: see benches/poll_go/main.go.
set -eu
cd "$(dirname "$0")"
command -v go > /dev/null || { echo "poll_go.sh: NOT RUN: go is missing" >&2; exit 77; }
exec go run poll_go/main.go "$@"
