# shellcheck shell=bash
# The folder of data: which is ours, what is kept in it, who works in it. Sourced by `services`.
#
#   DIR/NAME/                  data and config of one process; NAME is `kafka-2`, `cassandra`, …
#   DIR/NAME.pid .log .lock    of the same; outside of NAME/, which the user `postgres` may own
#   DIR/SERVICE.port .brokers .set .cluster   what it was made with

# Paths are part of Java's class paths and of config files, which have no common way to quote them.
check_path() {
  [[ $1 =~ ^[A-Za-z0-9/._+@-]+$ ]] && return
  complain "\`$1\` has characters that Java's class path or Kafka's settings give a meaning" "$2"
  exit 2
}

check_folder() {
  check_path "$DIR" "choose another folder with \`--dir\`"
  if [ -e "$DIR" ] && [ ! -f "$DIR/$MARKER" ] && [ -n "$(ls -A "$DIR")" ]; then
    complain "\`$DIR\` was not made by this script" "choose a new or empty folder with \`--dir\`"
    exit 2
  fi
  # Not even root's: it would leave files in it that the owner cannot change.
  if [ -e "$DIR/$MARKER" ] && [ ! -O "$DIR/$MARKER" ]; then
    complain "\`$DIR\` belongs to the user \`$(stat -c %U "$DIR/$MARKER")\`" "run this as that user"
    exit 2
  fi
}

claim_folder() {
  if ! mkdir -p "$DIR" || ! touch "$DIR/$MARKER"; then
    complain "\`$DIR\` cannot be written" "choose another folder with \`--dir\`"
    exit 2
  fi
  # Others may pass through, not look in: Postgres runs as another user when this script is run by root.
  chmod 711 "$DIR"
  umask 077
}

# KEY: what the folder was made with, else the option, else the default.
value() { cat "$DIR/$1" 2>/dev/null || echo "${OPTION[$1]-${DEFAULT[$1]}}"; }

# Options that differ from what is kept count only when nothing is at stake.
keep_options() {
  local key service
  for key in "${!DEFAULT[@]}"; do
    service=${key%.*}
    [[ " ${SERVICES[*]} " == *" $service "* ]] || continue
    [ ! -e "$DIR/$key" ] || [ "${OPTION[$key]-$(value "$key")}" != "$(value "$key")" ] || continue
    if [ "$key" = kafka.brokers ] && [ -e "$DIR/$key" ]; then
      complain "\`$DIR\` was made with $(value "$key") broker(s)" \
        "\`infra/services wipe kafka --dir $DIR\` removes them"
      exit 1
    elif runs "$service"; then
      complain "\`$service\` runs with another $(what_is "$key")" "\`infra/services down $service --dir $DIR\` first"
      exit 1
    fi
    echo "${OPTION[$key]-${DEFAULT[$key]}}" >"$DIR/$key"
  done
}

what_is() { [ "${1##*.}" = set ] && echo "\`--set\`" || echo "port"; }

# One run at a time starts or stops a process: a second waits here. The processes themselves do not inherit the locks.
lock_names() {
  local name lock
  LOCKS=()
  for name in "${NAMES[@]}"; do
    while :; do
      if [ "$VERB" = up ]; then claim_folder; fi
      [ -d "$DIR" ] || return 0
      exec {lock}>>"$DIR/$name.lock"
      if ! flock -w "$LOCK_SECONDS" "$lock"; then
        complain "another run has been at work on \`$name\` for $LOCK_SECONDS seconds"
        exit 1
      fi
      # A `wipe` may have removed the file while this run waited for it.
      [ ! "/proc/self/fd/$lock" -ef "$DIR/$name.lock" ] || break
      exec {lock}>&-
    done
    LOCKS+=("$lock")
  done
}

remove_data() {
  local name service
  [ -d "$DIR" ] || return 0
  for name in "${NAMES[@]}"; do
    rm -rf "${DIR:?}/$name" "$DIR/$name".{pid,log,log.1}
  done
  for service in "${SERVICES[@]}"; do
    compgen -G "$DIR/$service*/" >/dev/null || rm -f "$DIR/$service".{port,brokers,set,cluster}
  done
  # Locks and marker go last, and only when no service is left.
  if ! compgen -G "$DIR/*/" >/dev/null; then
    rm -f "$DIR"/*.lock "$DIR/$MARKER"
    rmdir "$DIR" || say "left \`$DIR\`, which holds other files"
  fi
}
