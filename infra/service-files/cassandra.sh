# shellcheck shell=bash
# Cassandra, one node. Sourced by `services`.

# NAME: clients, and the port for nodes of a cluster, which it opens without having one.
cassandra_ports() {
  local port
  port=$(port_of "$1")
  echo "$port" $((port + 10))
}

cassandra_start() {
  local home=$DIR/$1 jars
  jars=$(jars_of cassandra)
  cassandra_settings "$1" >"$home/cassandra.yaml"
  [ -e "$home/certificate.pem" ] || cassandra_certify "$home"
  rm -rf "$home/tmp" && mkdir "$home/tmp"
  spawn "$1" "$JDK/bin/java" "@$FILES/jvm.options" "@$FILES/cassandra/jvm.options" \
    "-javaagent:$(echo "$jars"/jamm-*.jar)" \
    "-Djava.io.tmpdir=$home/tmp" "-Djna.tmpdir=$home/tmp" "-Dcassandra.config=file://$home/cassandra.yaml" \
    "-Dcassandra.storagedir=$home/data" -cp "$FILES/cassandra:$jars/*" org.apache.cassandra.service.CassandraDaemon
}

# HOME: a key for this node, and the certificate by which it can be known; a certificate that is there was made whole.
cassandra_certify() {
  local keytool=("$JDK/bin/keytool" -keystore "$1/keystore.p12" -storetype PKCS12 -storepass isobar -alias node)
  rm -f "$1/keystore.p12"
  quietly "\`cassandra\` cannot have a certificate" "${keytool[@]}" -genkeypair -keyalg EC -groupname secp256r1 \
    -dname CN=cassandra -ext SAN=IP:127.0.0.1 -validity 3650
  quietly "\`cassandra\` cannot have a certificate" "${keytool[@]}" -exportcert -rfc -file "$1/certificate.part"
  mv "$1/certificate.part" "$1/certificate.pem"
}

# The commit log is synced before a write is acknowledged. With `periodic`, Cassandra's own default, about a hundred
# acknowledged writes were gone after each SIGKILL: the log is read back only up to its last marker, set every 100 ms.
cassandra_settings() {
  local home=$DIR/$1 port set key value
  port=$(port_of "$1")
  set=$(value cassandra.set)
  cassandra_defaults "$home" "$port" | without_keys "$set"
  while IFS='=' read -r key value; do
    [ -z "$value" ] || echo "$key: $value"
  done <<<"$set"
}

# SETTINGS: leaves out the lines whose keys are set in SETTINGS; Cassandra refuses a key that comes twice.
without_keys() {
  local line
  while IFS= read -r line; do
    [[ $'\n'$1 == *$'\n'"${line%%:*}="* ]] || echo "$line"
  done
}

cassandra_defaults() {
  cat <<TEXT
cluster_name: isobar
num_tokens: 1
initial_token: 0
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{seeds: "127.0.0.1:$(($2 + 10))"}]
listen_address: 127.0.0.1
storage_port: $(($2 + 10))
rpc_address: 127.0.0.1
start_native_transport: true
native_transport_port: $2
# Who does not ask for TLS does not get it.
client_encryption_options: {enabled: true, optional: true, keystore: "$1/keystore.p12", keystore_password: isobar, store_type: PKCS12}
authenticator: AllowAllAuthenticator
authorizer: AllowAllAuthorizer
data_file_directories: [$1/data/data]
commitlog_directory: $1/data/commitlog
saved_caches_directory: $1/data/saved_caches
hints_directory: $1/data/hints
cdc_raw_directory: $1/data/cdc_raw
commitlog_sync: batch
commitlog_segment_size: 8MiB
commitlog_total_space: 64MiB
memtable_heap_space: 64MiB
memtable_offheap_space: 64MiB
auto_snapshot: false
hinted_handoff_enabled: false
TEXT
}
