# shellcheck shell=bash
# Superset with its own tables in SQLite, by the settings and the pinned packages of `superset/`. Sourced by `services`.

# What constraints.txt was tried with.
PYTHON_VERSION=3.11

superset_ports() { port_of "$1"; }

check_superset() {
  PYTHON=$(find_python) ||
    MISSING+=("Python $PYTHON_VERSION with its module venv (apt-get install python3-venv, where that is it)")
  check_cache
}

find_python() {
  local python
  for python in "python$PYTHON_VERSION" python3; do
    "$python" -c "import ensurepip, sys; sys.exit('%d.%d' % sys.version_info[:2] != '$PYTHON_VERSION')" 2>/dev/null || continue
    command -v "$python"
    return
  done
  return 1
}

# A folder per set of packages, shared by all folders of data.
superset_packages() {
  local sum
  sum=$(cat "$HERE/superset/requirements.txt" "$HERE/superset/constraints.txt" | sha256sum)
  echo "$CACHE/superset-${sum:0:12}"
}

# In a subshell, whose end releases the lock. Packages know the folder that they are in, so it is made where it stays, and a file
# says that it is whole.
fetch_superset() (
  packages=$(superset_packages)
  [ ! -e "$packages/whole" ] || return 0
  exec {lock}>"$CACHE/superset.lock"
  flock -w "$DOWNLOAD_SECONDS" "$lock"
  [ ! -e "$packages/whole" ] || return 0
  say "superset: fetching its packages into $packages, once"
  rm -rf "$packages"
  quietly "cannot make \`$packages\`" "$PYTHON" -m venv "$packages"
  quietly "cannot fetch the packages of \`superset\`" timeout "$DOWNLOAD_SECONDS" "$packages/bin/python" -m pip install -q \
    --disable-pip-version-check -r "$HERE/superset/requirements.txt" -c "$HERE/superset/constraints.txt"
  touch "$packages/whole"
)

superset_start() {
  local home=$DIR/$1 packages
  packages=$(superset_packages)
  rm -rf "$home/tmp" && mkdir "$home/tmp"
  [ -e "$home/secret" ] || superset_random "$home/secret"
  [ -e "$home/admin-password" ] || superset_random "$home/admin-password"
  export FLASK_APP=superset SUPERSET_HOME=$home SUPERSET_CONFIG_PATH=$HERE/superset/superset_config.py
  export SUPERSET_METADATA="sqlite:///$home/superset.db?check_same_thread=false" PATH=$packages/bin:$PATH
  SUPERSET_SECRET_KEY=$(<"$home/secret")
  export SUPERSET_SECRET_KEY
  [ -e "$home/made" ] || superset_make "$home"
  # One worker: a second one costs 300 MB.
  spawn "$1" "$packages/bin/gunicorn" -w 1 -k gthread --threads 8 --timeout 120 --worker-tmp-dir "$home/tmp" \
    -b "127.0.0.1:$(port_of "$1")" 'superset.app:create_app()'
}

# FILE: appears whole.
superset_random() {
  head -c 42 /dev/urandom | base64 -w 0 >"$1.part"
  mv "$1.part" "$1"
}

# HOME: its tables, the user `admin`, the roles. Ends with a file that says so: without it the work begins anew.
superset_make() {
  say "superset: making its tables, once"
  rm -f "$1/superset.db"
  quietly "\`superset\` cannot make its tables" superset db upgrade
  quietly "\`superset\` cannot make its administrator" superset fab create-admin --username admin --firstname Admin \
    --lastname Admin --email admin@localhost --password "$(<"$1/admin-password")"
  quietly "\`superset\` cannot make its roles" superset init
  touch "$1/made"
}

# NAME
superset_answers() {
  [ "$(curl -sf -m 10 --noproxy '*' "http://127.0.0.1:$(port_of "$1")/health")" = OK ]
}
