-- What analysts see in Postgres: views, and no table. `analyst` sees those without sensitive columns, `analyst_sensitive` the other
-- ones, too. Run once as a superuser, in the database of isobar.toml, when `isobar up` has made the tables:
--
--   psql -d weather -v schema=dwd_weather -f infra/roles/analysts.sql
--   psql -d weather -c '\password analyst' -c '\password analyst_sensitive'
--
-- A column that spin.toml adds later is seen by nobody until it is added here.
\set ON_ERROR_STOP on
\if :{?schema}
\else
  \set schema dwd_weather
\endif
BEGIN;
-- Nobody's question may hold up the pipeline's rows for long.
CREATE ROLE analyst LOGIN CONNECTION LIMIT 20;
ALTER ROLE analyst SET statement_timeout = '60s';
CREATE ROLE analyst_sensitive LOGIN CONNECTION LIMIT 20;
ALTER ROLE analyst_sensitive SET statement_timeout = '60s';

CREATE SCHEMA analysts;
CREATE VIEW analysts.overall_temp AS
  SELECT station_id, measurement_date, min_temperature, max_temperature
  FROM :"schema".overall_temp;
CREATE VIEW analysts.meta_data AS
  SELECT station_id, max_date, min_date, entry_count, min_temperature, max_temperature
  FROM :"schema".meta_data;

CREATE SCHEMA analysts_sensitive;
CREATE VIEW analysts_sensitive.meta_data_sensitive AS
  SELECT station_id, max_date, min_date, entry_count, min_temperature, max_temperature,
    icao_code, station_name, station_height, latitude, longitude, state
  FROM :"schema".meta_data;

-- A view reads with the rights of who made it, so that nothing is to be given on the tables themselves.
GRANT USAGE ON SCHEMA analysts TO analyst, analyst_sensitive;
GRANT SELECT ON ALL TABLES IN SCHEMA analysts TO analyst, analyst_sensitive;
GRANT USAGE ON SCHEMA analysts_sensitive TO analyst_sensitive;
GRANT SELECT ON ALL TABLES IN SCHEMA analysts_sensitive TO analyst_sensitive;
COMMIT;
