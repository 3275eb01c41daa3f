#!/bin/sh
# Who may do what in Kafka: a login for one application, which makes and uses its own topics and groups and those of its topics
# that others know by name, and no more. Needs an authorizer in the brokers' settings, and a login `isobar` made there. Run once by
# somebody who may give rights:
#
#   KAFKA_ACLS="kafka-acls.sh --bootstrap-server 10.0.0.4:9092 --command-config admin.properties" \
#     infra/roles/kafka.sh weather temperature others station-summary
#
# after the application's name its topics, as spin.toml declares them. A login of another name: ISOBAR_LOGIN.
set -eu
: "${KAFKA_ACLS:?is to be the command of kafka-acls with the address of a broker and the login of who runs it}"
application=${1:?is to be the name of the application, with its topics after it}
shift

allow() {
  # Unquoted: a command with its flags.
  # shellcheck disable=SC2086
  $KAFKA_ACLS --force --add --allow-principal "User:${ISOBAR_LOGIN:-isobar}" "$@"
}

# Its own topics, and who has which partition. Records of an outbox that are applied are deleted.
allow --resource-pattern-type prefixed --topic "$application." --operation Create --operation Read --operation Write \
  --operation Delete
allow --resource-pattern-type prefixed --group "$application." --operation Read
# Who opens a transaction under the name of another ends its transactions.
allow --resource-pattern-type prefixed --transactional-id "$application." --operation Write
# Readers that belong to no group.
allow --group isobar-reader --operation Read
topics=
for topic in "$@"; do topics="$topics --topic $topic"; done
# Unquoted: names of topics hold no spaces.
# shellcheck disable=SC2086
[ -z "$topics" ] || allow $topics --operation Create --operation Read --operation Write
