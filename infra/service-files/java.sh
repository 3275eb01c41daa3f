# shellcheck shell=bash
# What Kafka, Cassandra and Trino have in common: a JDK, and jars from Maven. Sourced by `services`.

# Tried with 17. Cassandra 5.0 needs Java's security manager, which Java 24 no longer has.
JDK_LOWEST=17 JDK_HIGHEST=23

uses_java() { [[ $1 = kafka || $1 = cassandra || $1 = trino ]]; }

# The first full JDK of a fitting version; its `release` file says which it is without starting it.
find_jdk() {
  local home version javac
  javac=$(readlink -f "$(command -v javac || true)")
  for home in "${JAVA_HOME-}" "${javac%/bin/javac}" /usr/lib/jvm/*; do
    [[ -x $home/bin/java && -x $home/bin/javac && -r $home/release ]] || continue
    version=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$home/release")
    [[ $version -ge $JDK_LOWEST && $version -le $JDK_HIGHEST ]] || continue
    echo "$home"
    return
  done
  return 1
}

# SERVICE: a folder per pom, shared by all folders of data, so that another version is another folder.
jars_of() {
  local sum
  sum=$(sha256sum <"$FILES/$1/pom.xml")
  echo "$CACHE/$1-${sum:0:12}"
}

fetch_jars() {
  local service pid failed=0 pids=()
  for service in "${SERVICES[@]}"; do
    if uses_java "$service" && [ ! -d "$(jars_of "$service")" ]; then
      (download "$service" "$(jars_of "$service")") &
      pids+=($!)
    fi
  done
  for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
  return $failed
}

# SERVICE FOLDER: in a subshell, whose end releases the lock. The folder appears whole or not at all. Maven's own
# repository is not used: two Mavens at once may spoil it, and a user such as `nobody` has none.
download() {
  local lock part=$2.part
  exec {lock}>"$CACHE/$1.lock"
  flock -w "$DOWNLOAD_SECONDS" "$lock"
  [ ! -d "$2" ] || return 0
  say "$1: fetching its jars into $2, once"
  rm -rf "$part"
  mkdir -p "$part"
  if ! quietly "cannot fetch the jars of \`$1\`" maven "$1" "$part"; then
    rm -rf "$part"
    return 1
  fi
  ! declare -F "$1_unpack" >/dev/null || "$1_unpack" "$part"
  mv -T "$part/jars" "$2"
  rm -rf "$part"
}

maven() {
  JAVA_HOME=$JDK timeout "$DOWNLOAD_SECONDS" mvn -q -B -ntp --strict-checksums -f "$FILES/$1/pom.xml" \
    "-Dmaven.repo.local=$2/repository" "-DoutputDirectory=$2/jars" -DincludeScope=runtime \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies
}

# Says all that is missing at once, before anything is started.
check_needs() {
  local service
  MISSING=()
  [ -r /proc/self/stat ] || MISSING+=("Linux's /proc: elsewhere use infra/compose.yaml")
  for tool in flock setsid; do
    command -v $tool >/dev/null || MISSING+=("$tool (apt-get install util-linux)")
  done
  for service in "${SERVICES[@]}"; do
    if uses_java "$service"; then check_java "$service"; else "check_$service"; fi
    [[ $service != trino && $service != superset ]] || command -v curl >/dev/null || MISSING+=("curl (apt-get install curl)")
  done
  [ ${#MISSING[@]} -gt 0 ] || return 0
  complain "cannot start; this is missing:"
  printf '  - %s\n' "${MISSING[@]}" | sort -u >&2
  exit 2
}

check_java() {
  JDK=$(find_jdk) ||
    MISSING+=("a full JDK of Java $JDK_LOWEST to $JDK_HIGHEST (apt-get install openjdk-17-jdk-headless)")
  [ ! -d "$(jars_of "$1")" ] || return 0
  command -v mvn >/dev/null || MISSING+=("mvn, to fetch the jars (apt-get install maven)")
  check_cache
}

check_cache() {
  mkdir -p "$CACHE" 2>/dev/null && [ -w "$CACHE" ] ||
    MISSING+=("a folder for what is fetched: \`$CACHE\` cannot be written (set XDG_CACHE_HOME)")
  check_path "$CACHE" "set XDG_CACHE_HOME"
}
