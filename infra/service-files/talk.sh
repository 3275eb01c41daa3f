# shellcheck shell=bash
# What is said to a person, all of it on stderr. Sourced by `services`.

say() { echo "$*" >&2; }

# MESSAGE [HINT [LINES]]: in one piece, since several services may fail at the same time.
complain() {
  local text="error: $1"
  [ -z "${3-}" ] || text+=$'\n    '${3//$'\n'/$'\n    '}
  [ -z "${2-}" ] || text+=$'\n'"  hint: $2"
  say "$text"
}

misuse() {
  complain "$1" "see \`infra/services --help\`"
  exit 2
}

# WHAT COMMAND…: silent unless it fails.
quietly() {
  local what=$1 output
  shift
  if ! output=$("$@" 2>&1); then
    complain "$what; the end of what was said:" '' "$(tail -n 15 <<<"$output")"
    return 1
  fi
}

# Seconds since EPOCHREALTIME was START, as 1.2
seconds_since() {
  local tenths=$(((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}) / 100000))
  echo "$((tenths / 10)).$((tenths % 10))"
}
