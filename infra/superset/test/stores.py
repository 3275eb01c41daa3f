"""Both stores as they are, read and asked past Superset and Trino."""

import time
from contextlib import closing, contextmanager

import psycopg2
import psycopg2.extras
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster, NoHostAvailable

SECONDS = 60


@contextmanager
def cassandra(port, user, password):
    cluster = Cluster(["127.0.0.1"], port=port, auth_provider=PlainTextAuthProvider(user, password))
    try:
        session = patiently(cluster.connect)
        session.default_timeout = SECONDS
        yield session
    finally:
        cluster.shutdown()


def patiently(connect):
    """Cassandra makes its first login some time after it takes connections."""
    give_up = time.monotonic() + SECONDS
    while True:
        try:
            return connect()
        except NoHostAvailable:
            if time.monotonic() > give_up:
                raise
            time.sleep(1)


def postgres(port, user, password):
    address = {"host": "127.0.0.1", "port": port, "dbname": "postgres"}
    connection = psycopg2.connect(**address, user=user, password=password)
    connection.autocommit = True
    return closing(connection)


def run_cql(session, path, password):
    """A file of statements, with a password in the place of the one to be changed."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("--")]
    for statement in "\n".join(lines).split(";"):
        if statement.strip():
            session.execute(statement.replace("change me", password))


def tables(session, connection):
    """The tables of the application that charts show, each a list of rows by column."""
    read = {}
    for name in ("daily_temp_data", "daily_othe_data", "yearly_data_temp"):
        read[name] = [row._asdict() for row in session.execute(f"SELECT * FROM dwd_weather.{name}")]
    with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
        for name in ("overall_temp", "meta_data"):
            cursor.execute(f"SELECT * FROM dwd_weather.{name}")
            read[name] = [dict(row) for row in cursor.fetchall()]
    return read
