# shellcheck shell=bash
# Kafka in KRaft mode, each process both broker and controller. Sourced by `services`.

# NAME: controllers are ten ports above the brokers.
kafka_ports() {
  local port
  port=$(port_of "$1")
  echo "$port" $((port + 10))
}

kafka_start() {
  local home=$DIR/$1 jars
  jars=$(jars_of kafka)
  kafka_settings "$1" >"$home/server.properties"
  [ -e "$home/formatted" ] || kafka_format "$1"
  rm -rf "$home/tmp" && mkdir "$home/tmp"
  spawn "$1" "$JDK/bin/java" "@$FILES/jvm.options" -Xms128m -Xmx384m "-Djava.io.tmpdir=$home/tmp" \
    -cp "$FILES/kafka:$jars/*" kafka.Kafka "$home/server.properties"
}

# Ends with a file that says so: without it the work was cut short and begins anew.
kafka_format() {
  local home=$DIR/$1
  rm -rf "$home/data"
  quietly "\`$1\` cannot format its folder" \
    "$JDK/bin/java" -Xmx128m -XX:TieredStopAtLevel=1 -XX:-UsePerfData -cp "$FILES/kafka:$(jars_of kafka)/*" \
    kafka.tools.StorageTool format -t "$(kafka_cluster)" -c "$home/server.properties"
  touch "$home/formatted"
}

# The id that all brokers of this folder share: 16 random bytes. A link appears whole, and only the first one counts.
kafka_cluster() {
  local new
  if [ ! -e "$DIR/kafka.cluster" ]; then
    new=$(mktemp "$DIR/kafka.cluster.XXXXXX")
    # Never a `-` first: the tool would take it for an option.
    echo "i$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d =)" | head -c 22 >"$new"
    ln "$new" "$DIR/kafka.cluster" 2>/dev/null || true
    rm "$new"
  fi
  cat "$DIR/kafka.cluster"
}

kafka_settings() {
  local number=${1##*-} brokers port voter voters='' replicas insync=1
  [[ $number =~ ^[0-9]$ ]] || number=1
  brokers=$(value kafka.brokers)
  replicas=$((brokers < 3 ? brokers : 3))
  [ $replicas -lt 3 ] || insync=2
  port=$(port_of "$1")
  for ((voter = 1; voter <= brokers; voter++)); do
    voters+=,$voter@127.0.0.1:$((port - number + voter + 10))
  done
  cat <<TEXT
process.roles=broker,controller
node.id=$number
controller.quorum.voters=${voters#,}
listeners=CLIENTS://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 10))
advertised.listeners=CLIENTS://127.0.0.1:$port
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENTS
controller.listener.names=CONTROLLER
log.dirs=$DIR/$1/data
default.replication.factor=$replicas
min.insync.replicas=$insync
offsets.topic.replication.factor=$replicas
transaction.state.log.replication.factor=$replicas
transaction.state.log.min.isr=$insync
share.coordinator.state.topic.replication.factor=$replicas
share.coordinator.state.topic.min.isr=$insync
# Tests create many topics and groups on a small machine, and none of them wants to wait for others to join.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
# A broker that was killed cannot register again before its session is over, by default after nine seconds.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
auto.create.topics.enable=false
log.cleaner.dedupe.buffer.size=2097152
$(value kafka.set)
TEXT
}
