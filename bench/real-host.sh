#!/usr/bin/env bash
# The loop against a real product: changes one attribute of the descriptor of an Atlassian SDK
# project a few times and prints how long each took until it was proved. Start the product first
# (atlas-run), and build once (atlas-package).
#
#   bench/real-host.sh PROJECT [URL] [RUNS]
#
# The descriptor is put back at the end; the app stays installed. Please send us what it prints,
# with the product, its version and that of its UPM.
set -euo pipefail

project=${1:?usage: bench/real-host.sh PROJECT [URL] [RUNS]}
url=${2:-http://localhost:2990/jira}
runs=${3:-10}
upm_dev=${UPM_DEV:-upm-dev}

descriptor=$(find "$project" -path '*/src/main/resources/atlassian-plugin.xml' -not -path '*/target/*' | head -n 1)
[ -n "$descriptor" ] || { echo "no src/main/resources/atlassian-plugin.xml in $project" >&2; exit 2; }
work=$(mktemp -d)
cp "$descriptor" "$work/before"
: >"$work/events"
serve=
finish() {
  cp "$work/before" "$descriptor"
  if [ -n "$serve" ]; then kill -INT "$serve" 2>/dev/null || true; wait "$serve" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap finish EXIT

"$upm_dev" serve "$project" --json --port 0 --target "$url" >"$work/events" 2>"$work/errors" &
serve=$!

# Waits until the given revision has come to an end, and prints that event.
ended() {
  local end=$((SECONDS + 320))
  while [ "$SECONDS" -lt "$end" ]; do
    if grep '"type": *"target"' "$work/events" | grep "\"revision\": *\"$1\"" \
      | grep -E '"state": *"(confirmed|unconfirmed|refused|rejected|restart-needed)"' | tail -n 1 >"$work/last" \
      && [ -s "$work/last" ]; then
      cat "$work/last"
      return
    fi
    kill -0 "$serve" 2>/dev/null || { cat "$work/errors" "$work/events" >&2; exit 1; }
    sleep 0.1
  done
  echo "no end for $1 within 320 s" >&2
  tail -n 5 "$work/events" >&2
  exit 1
}

state() { sed -E 's/.*"state": *"([^"]+)".*/\1/' <<<"$1"; }
millis() { sed -E 's/.*"ms": *([0-9]+).*/\1/' <<<"$1"; }

event=$(ended r1)
printf '%-4s %-15s %8s ms\n' r1 "$(state "$event")" "$(millis "$event")"
for run in $(seq "$runs"); do
  # A description that changes is a revision that changes nothing else.
  sed -E "0,/<\/description>/s|<\/description>| $run</description>|" "$work/before" >"$descriptor"
  event=$(ended "r$((run + 1))")
  printf '%-4s %-15s %8s ms\n' "r$((run + 1))" "$(state "$event")" "$(millis "$event")"
done
