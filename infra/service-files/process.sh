# shellcheck shell=bash
# Starting, watching and stopping one process, whichever service it is. Sourced by `services`.

# What a service logs when it is ready, and the signal by which it stops in good order.
declare -A READY_LINE=(
  [kafka]='Kafka Server started'
  [cassandra]='Starting listening for CQL clients'
  [postgres]='database system is ready to accept connections'
  [trino]='SERVER STARTED'
  [superset]='Listening at: http'
)
declare -A STOP_SIGNAL=([kafka]=TERM [cassandra]=TERM [postgres]=INT [trino]=TERM [superset]=TERM)

# PID: when it was started, in ticks since boot. Both together name a process for as long as the machine is up.
born() {
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  # The program's name, in brackets, may hold anything. Behind it: the state, as 18th the threads, as 20th the start.
  read -ra stat <<<"${stat##*) }"
  # A killed process is a zombie at once, but holds its ports until the last of its threads is gone.
  [[ ${stat[0]} != Z || ${stat[17]} -gt 1 ]] && echo "${stat[19]}"
}

alive() { [ "$(born "$1")" = "$2" ]; }

# NAME: its process id, if it runs and is the one that was started for this folder.
pid_of() {
  local pid start
  { read -r pid start _ <"$DIR/$1.pid"; } 2>/dev/null && alive "$pid" "$start" || return 1
  grep -qzF -- "$DIR/$1/" "/proc/$pid/cmdline" 2>/dev/null && echo "$pid"
}

# SERVICE: whether any of its processes runs.
runs() {
  local name
  for name in $(names_of "$1"); do
    ! pid_of "$name" >/dev/null || return 0
  done
  return 1
}

# NAME
state_of() {
  if ! pid_of "$1" >/dev/null; then
    echo stopped
  elif listens "$(port_of "$1")"; then
    echo running
  else
    echo starting
  fi
}

# PORT: whether anything listens there. Asked of the kernel: a frozen process may never answer a connection.
listens() {
  local port
  printf -v port %04X "$1"
  grep -qsE ":$port [0-9A-F]+:0000 0A " /proc/net/tcp /proc/net/tcp6
}

check_ports() {
  local name port free=true seen=' '
  for name in "${NAMES[@]}"; do
    ! pid_of "$name" >/dev/null || continue
    await_exit "$name"
    for port in $("$(service_of "$name")_ports" "$name"); do
      if listens "$port" || [[ $seen == *" $port "* ]]; then
        complain "port $port, which \`$name\` needs, is taken" "choose another with \`--$(service_of "$name")-port\`"
        free=false
      fi
      seen+="$port "
    done
  done
  $free
}

# NAME
start() {
  local begun=$EPOCHREALTIME
  if [ "$(state_of "$1")" = running ]; then
    say "$1: runs already, process $(pid_of "$1")"
    return
  fi
  # One that an interrupted run has started is waited for.
  if ! pid_of "$1" >/dev/null; then
    mkdir -p "$DIR/$1"
    "$(service_of "$1")_start" "$1"
  fi
  if ! await_ready "$1"; then
    KILL=true
    stop_if_running "$1"
    return 1
  fi
  say "$1: ready after $(seconds_since "$begun") s, process $(pid_of "$1")"
}

# NAME COMMAND…: in a session of its own, so that no signal meant for this script or its terminal reaches it. The log
# goes on where it was; the third number written down is where the new process's part of it begins.
spawn() {
  local name=$1 log=$DIR/$1.log lock size
  shift
  size=$(stat -c %s "$log" 2>/dev/null || echo 0)
  if [ "$size" -gt "$LOG_BYTES" ]; then
    mv "$log" "$log.1"
    size=0
  fi
  (
    for lock in "${LOCKS[@]}"; do exec {lock}>&-; done
    cd "$DIR/$name" && exec setsid "$@"
  ) </dev/null >>"$log" 2>&1 &
  echo "$! $(born $!) $size" >"$DIR/$name.pid"
  # Its end is none of the shell's business, which would report it.
  disown
}

# NAME
await_ready() {
  local pid start size deadline=$((SECONDS + READY_SECONDS))
  read -r pid start size <"$DIR/$1.pid"
  until is_ready "$1" "$size"; do
    if ! alive "$pid" "$start"; then
      show_log "$1" "ended while it started"
      return 1
    elif [ $SECONDS -ge $deadline ]; then
      show_log "$1" "was not ready after $READY_SECONDS seconds"
      return 1
    fi
    sleep 0.1
  done
}

# NAME SIZE: it says so behind the first SIZE bytes of its log, it listens (Cassandra speaks a little too early), and it
# answers, where there is a question that others than its log can be asked.
is_ready() {
  local asked
  asked=$(service_of "$1")_answers
  tail -c "+$(($2 + 1))" "$DIR/$1.log" | grep -F -- "${READY_LINE[$(service_of "$1")]}" >/dev/null &&
    listens "$(port_of "$1")" &&
    { ! declare -F "$asked" >/dev/null || "$asked" "$1"; }
}

# NAME WHY
show_log() {
  complain "\`$1\` $2; the end of its log:" "all of it is in \`$DIR/$1.log\`" "$(tail -n 15 "$DIR/$1.log")"
}

# NAME
stop() {
  local begun=$EPOCHREALTIME pid start signal=KILL
  if ! pid=$(pid_of "$1"); then
    say "$1: does not run"
    return
  fi
  start=$(born "$pid") || return 0
  $KILL || signal=${STOP_SIGNAL[$(service_of "$1")]}
  # A frozen process takes no signal but SIGKILL before it is woken.
  kill -s "$signal" "$pid" || true
  kill -s CONT "$pid" 2>/dev/null || true
  if ! await_end "$pid" "$start" "$STOP_SECONDS"; then
    say "$1: did not stop within $STOP_SECONDS seconds, killed"
    kill -s KILL "$pid" || true
    await_end "$pid" "$start" "$STOP_SECONDS" || { complain "\`$1\`, process $pid, cannot be killed" && return 1; }
  fi
  [ "$1" != postgres ] || end_backends "$DIR/postgres/data"
  rm -f "$DIR/$1.pid"
  say "$1: stopped after $(seconds_since "$begun") s"
}

stop_if_running() { ! pid_of "$1" >/dev/null || stop "$1"; }

# NAME: does not run, but what killed it may not have waited until it was gone.
await_exit() {
  local pid start
  { read -r pid start _ <"$DIR/$1.pid"; } 2>/dev/null || return 0
  await_end "$pid" "$start" "$STOP_SECONDS"
}

# PID START SECONDS
await_end() {
  local deadline=$((SECONDS + $3))
  while alive "$1" "$2"; do
    [ $SECONDS -lt $deadline ] || return 1
    sleep 0.05
  done
}
