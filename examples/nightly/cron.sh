#!/bin/sh
# Run nightly.sh from cron, one at a time, with a log for each night. It prints only errors, which cron sends by mail.
#
#     cron.sh STAGE [OPTION OF git model propose]...
#
# Exit codes are those of nightly.sh. 75: another training still runs on this machine.
set -eu
logs=${NIGHTLY_LOGS:-${XDG_STATE_HOME:-$HOME/.local/state}/nightly}
mkdir -p "$logs"
exec 9> "$logs/lock"
if ! flock --nonblock 9; then
  echo "nightly: another training still runs; see $logs" >&2
  exit 75
fi
find "$logs" -name '*.log' -mtime +30 -delete
log=$logs/$(date -u +%Y-%m-%dT%H%M%SZ).log
code=0
sh "$(dirname "$0")/nightly.sh" "$@" > "$log" 2>&1 9>&- || code=$?
if test "$code" != 0; then
  echo "nightly: exit code $code; the end of $log:" >&2
  tail -n 20 "$log" >&2
fi
exit "$code"
