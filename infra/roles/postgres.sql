-- Who may do what in Postgres: a login for the tables and one for the sensitive table alone. Each makes its own tables and owns
-- them, so that neither reads the other's. Run once as a superuser, in the database of isobar.toml:
--
--   psql -d weather -v schema=dwd_weather -f infra/roles/postgres.sql
--   psql -d weather -c '\password isobar' -c '\password isobar_metadata'
--
-- In isobar.toml: `user = "isobar"` in [stores.postgres], `user = "isobar_metadata"` in [stores.postgres.connections.metadata].
\set ON_ERROR_STOP on
\if :{?schema}
\else
  \set schema dwd_weather
\endif
CREATE ROLE isobar LOGIN;
CREATE ROLE isobar_metadata LOGIN;
CREATE SCHEMA IF NOT EXISTS :"schema";
REVOKE ALL ON SCHEMA :"schema" FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA :"schema" TO isobar, isobar_metadata;
