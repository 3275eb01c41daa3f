# shellcheck shell=bash
# Trino, one node that is coordinator and worker, over the Cassandra and the Postgres of the same folder. An old release, as it is
# the newest whose single jars can be had: for this machine only. Sourced by `services`.

trino_ports() { port_of "$1"; }

# PART: what Maven put there. Plugins come as archives, and are unpacked beside the server's own jars.
trino_unpack() {
  local plugin zip
  mkdir "$1/jars/plugin"
  for plugin in cassandra postgresql; do
    zip=$(echo "$1"/jars/trino-"$plugin"-*.zip)
    (cd "$1" && "$JDK/bin/jar" xf "$zip")
    mv "$1/$(basename "$zip" .zip)" "$1/jars/plugin/$plugin"
    rm "$zip"
  done
}

trino_start() {
  local home=$DIR/$1 jars
  jars=$(jars_of trino)
  rm -rf "$home/tmp" "${home:?}/etc"
  mkdir -p "$home/tmp" "$home/etc/catalog" "$home/data"
  trino_settings "$1" '' >"$home/etc/config.properties"
  trino_settings "$1" cassandra >"$home/etc/catalog/cassandra.properties"
  trino_settings "$1" postgresql >"$home/etc/catalog/postgresql.properties"
  spawn "$1" "$JDK/bin/java" "@$FILES/jvm.options" "@$FILES/trino/jvm.options" "-Djava.io.tmpdir=$home/tmp" \
    -Dnode.environment=isobar -Dnode.id=isobar -Dnode.bind-ip=127.0.0.1 -Dnode.internal-address=127.0.0.1 \
    "-Dnode.data-dir=$home/data" "-Dconfig=$home/etc/config.properties" "-Dcatalog.config-dir=$home/etc/catalog" \
    "-Dplugin.dir=$jars/plugin" -cp "$jars/*" io.trino.server.TrinoServer
}

# NAME FILE: the defaults of that file, and after them what `--set` says: the last value of a key counts.
trino_settings() {
  local line
  "trino_defaults${2:+_$2}" "$1"
  while IFS= read -r line; do
    [ -z "$line" ] || [ "$(trino_file "$line")" != "$2" ] || echo "$line"
  done < <(value trino.set)
}

# SETTING: the catalog that it belongs to, or nothing for the server's own.
trino_file() {
  case $1 in
    cassandra.*) echo cassandra ;;
    connection-* | postgresql.*) echo postgresql ;;
  esac
}

trino_defaults() {
  cat <<TEXT
coordinator=true
node-scheduler.include-coordinator=true
http-server.http.port=$(port_of "$1")
discovery.uri=http://127.0.0.1:$(port_of "$1")
query.max-memory=128MB
query.max-memory-per-node=128MB
memory.heap-headroom-per-node=64MB
web-ui.enabled=false
TEXT
}

trino_defaults_cassandra() {
  cat <<TEXT
connector.name=cassandra
cassandra.contact-points=127.0.0.1
cassandra.native-protocol-port=$(value cassandra.port)
cassandra.load-policy.use-dc-aware=true
cassandra.load-policy.dc-aware.local-dc=datacenter1
TEXT
}

trino_defaults_postgresql() {
  cat <<TEXT
connector.name=postgresql
connection-url=jdbc:postgresql://127.0.0.1:$(value postgres.port)/postgres
connection-user=analyst
TEXT
}

# NAME: for some seconds after it says that it has started, it has no node to run a query on.
trino_answers() {
  local answer next
  answer=$(curl -sf -m 10 --noproxy '*' -H 'X-Trino-User: isobar' -d 'SELECT 1' "http://127.0.0.1:$(port_of "$1")/v1/statement")
  while next=$(grep -oE '"nextUri":"[^"]+"' <<<"$answer"); do
    answer=$(curl -sf -m 10 --noproxy '*' "$(cut -d'"' -f4 <<<"$next")")
  done
  [[ $answer == *'"state":"FINISHED"'* ]]
}
