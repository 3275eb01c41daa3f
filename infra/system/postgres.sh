#!/bin/sh
# Makes the logins of the host, before anybody else may connect. Run by the image at its first start.
set -eu
psql -v ON_ERROR_STOP=1 -U postgres -d weather -v schema=dwd_weather -f /roles/postgres.sql
# By standard input: what stands on a command line, every process of the container can read.
psql -v ON_ERROR_STOP=1 -U postgres -d weather <<SQL
ALTER ROLE isobar PASSWORD '$ISOBAR_POSTGRES_PASSWORD';
ALTER ROLE isobar_metadata PASSWORD '$ISOBAR_METADATA_PASSWORD';
SQL
