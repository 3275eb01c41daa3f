# shellcheck shell=bash
# Postgres from the system's packages. Sourced by `services`.

# The folder of its programs: of the version that made the data, else of the newest.
find_postgres() {
  local made initdb installed
  made=$(cat "$DIR/postgres/data/PG_VERSION" 2>/dev/null || true)
  mapfile -t installed < <(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -rV)
  for initdb in "/usr/lib/postgresql/$made/bin/initdb" "${installed[@]}" "$(command -v initdb || true)"; do
    [ -x "$initdb" ] || continue
    dirname "$(readlink -f "$initdb")"
    return
  done
  return 1
}

check_postgres() {
  PG_BIN=$(find_postgres) || MISSING+=("initdb (apt-get install postgresql)")
  [ "$(id -u)" != 0 ] || command -v setpriv >/dev/null || MISSING+=("setpriv (apt-get install util-linux)")
}

postgres_ports() { port_of "$1"; }

postgres_start() {
  local home=$DIR/$1 user as key_value settings=()
  as=(env "HOME=$home")
  if [ "$(id -u)" = 0 ]; then
    # It refuses to run as root.
    user=$(id -un postgres 2>/dev/null || echo nobody)
    chown "$user" "$home"
    as=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups "${as[@]}")
  fi
  postgres_data "$home" "${as[@]}"
  end_backends "$home/data"
  while IFS= read -r key_value; do
    [ -z "$key_value" ] || settings+=(-c "$key_value")
  done < <(value postgres.set)
  # No socket beside the port: its path would have to be shorter than that of many a folder.
  spawn "$1" "${as[@]}" "$PG_BIN/postgres" -D "$home/data" -p "$(port_of "$1")" -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories= "${settings[@]}"
}

# HOME AS…: makes the data, which appear whole or not at all, unless they are there.
postgres_data() {
  local home=$1
  shift
  [ ! -d "$home/data" ] || return 0
  rm -rf "$home/new"
  if ! "$@" test -w "$home"; then
    complain "the user that Postgres runs as cannot reach \`$home\`" "choose a folder that it can with \`--dir\`"
    return 1
  fi
  quietly "\`initdb\` failed" \
    "$@" "$PG_BIN/initdb" -D "$home/new" -U postgres -A trust -E UTF8 --no-locale --no-sync --no-instructions
  mv "$home/new" "$home/data"
}

# DATA: backends outlive a killed server until they notice, and a new server refuses to start beside them, or beside a
# process that got the old one's number. Only for data whose server does not run.
end_backends() {
  local process left=1 deadline=$((SECONDS + STOP_SECONDS))
  while [ $left = 1 ]; do
    if [ $SECONDS -ge $deadline ]; then
      complain "processes of the former server of \`$1\` cannot be killed"
      return 1
    fi
    left=0
    for process in /proc/[0-9]*; do
      [[ $process/cwd -ef $1 && $(cat "$process/comm" 2>/dev/null) = postgres ]] || continue
      left=1
      kill -s KILL "${process#/proc/}" 2>/dev/null || true
    done
    [ $left = 0 ] || sleep 0.05
  done
  rm -f "$1/postmaster.pid"
}
