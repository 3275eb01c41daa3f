"""What may be seen by whom: asked of Superset's API, of SQL Lab and of both databases. A refusal counts only for the reason that
is expected of it."""

import secrets

import psycopg2
import requests
from cassandra import Unauthorized

from api import Refused, Superset
from stores import cassandra, postgres

USERS = {
    "viewer": ["Gamma", "Weather"],
    "analyst": ["Gamma", "sql_lab", "Weather", "Weather SQL"],
    "trusted": ["Gamma", "Weather", "Weather sensitive"],
}


def make_users(admin):
    roles = {role["name"]: role["id"] for role in admin.all("security/roles/")}
    passwords = {name: secrets.token_urlsafe() for name in USERS}
    for name, wanted in USERS.items():
        user = {
            "username": name, "first_name": name, "last_name": name, "email": f"{name}@localhost", "active": True,
            "password": passwords[name], "roles": [roles[role] for role in wanted],
        }
        admin.ask("POST", "security/users/", json=user)
    return passwords


def refused(what, reasons, ask, kinds=(Refused,)):
    """`reasons`: words one of which the refusal has to say."""
    try:
        answer = ask()
    except kinds as error:
        told = " ".join(str(error).split())
        assert any(reason in told for reason in reasons), f"{what} is refused, but by: {told}"
        print(f"refused: {what}: {told[:200]}")
    else:
        raise AssertionError(f"{what} is not refused: {str(answer)[:300]}")


def sql(superset, database, statement, tries=5):
    """Superset notes how a question to Trino gets on in the session that another thread writes its end to, so that now and then
    one stumbles over itself; that is no answer."""
    query = {"database_id": database, "sql": statement, "runAsync": False, "queryLimit": 10}
    try:
        return superset.ask("POST", "sqllab/execute/", json=query)["data"]
    except Refused as error:
        if tries == 1 or "no further SQL can be emitted" not in str(error):
            raise
        return sql(superset, database, statement, tries - 1)


def question(dataset, **query):
    return {"datasource": {"id": dataset, "type": "table"}, "queries": [{"row_limit": 10, **query}]}


def check(url, admin, ports, secret):
    passwords = make_users(admin)
    databases = {database["database_name"]: database["id"] for database in admin.all("database/")}
    datasets = {dataset["table_name"]: dataset["id"] for dataset in admin.all("dataset/")}
    charts = {chart["slice_name"]: chart["id"] for chart in admin.all("chart/")}
    users = {name: Superset(url, name, password) for name, password in passwords.items()}
    check_viewer(users["viewer"], databases, datasets, charts)
    check_analyst(users["analyst"], databases)
    rows = users["trusted"].ask("GET", f"chart/{charts['Stations']}/data/?force=true")["result"][0]["data"]
    assert rows and all(row["station_name"] for row in rows), rows
    print(f"allowed: {len(rows)} names of stations to who has the role for them")
    refused("SQL Lab to who has no role for it", ["403"], lambda: sql(users["trusted"], 1, "SELECT 1"))
    for path in ("dashboard/weather", "chart/", "dataset/"):
        answer = requests.get(f"{url}/api/v1/{path}", headers={"Accept": "application/json"}, timeout=30)
        hidden = answer.status_code in (401, 403, 404) or answer.json()["count"] == 0
        assert hidden, f"{path} without signing in: {answer.text[:300]}"
        print(f"refused: {path} without signing in: {answer.status_code}")
    check_postgres(ports["postgres"], secret)
    check_cassandra(ports["cassandra"], secret["analyst"])
    return passwords


def check_viewer(viewer, databases, datasets, charts):
    seen = {chart["slice_name"] for chart in viewer.all("chart/")}
    assert seen == charts.keys() - {"Stations"}, seen
    for title in seen:
        assert viewer.ask("GET", f"chart/{charts[title]}/data/?force=true")["result"][0]["data"], title
    print(f"allowed: data of {len(seen)} charts to a viewer")
    names = {dataset["table_name"] for dataset in viewer.all("dataset/")}
    assert names == datasets.keys() - {"meta_data_sensitive"}, names
    public, sensitive = datasets["meta_data"], datasets["meta_data_sensitive"]
    gone = ["403", "404"]
    names_of_stations = {"columns": ["station_name"], "metrics": []}
    hidden = {"expressionType": "SQL", "sqlExpression": "(SELECT max(station_name) FROM dwd_weather.meta_data)", "label": "x"}

    def data(dataset, **query):
        return lambda: viewer.ask("POST", "chart/data", json=question(dataset, **query))

    refused("the sensitive dashboard", gone, lambda: viewer.ask("GET", "dashboard/stations"))
    refused("the sensitive chart", gone, lambda: viewer.ask("GET", f"chart/{charts['Stations']}"))
    refused("the sensitive chart's data", gone, lambda: viewer.ask("GET", f"chart/{charts['Stations']}/data/"))
    refused("the sensitive dataset", gone, lambda: viewer.ask("GET", f"dataset/{sensitive}"))
    refused("data of the sensitive dataset", ["403"], data(sensitive, **names_of_stations))
    refused("a sensitive column of the public dataset", ["400"], data(public, **names_of_stations))
    refused("a sensitive column in a formula", ["Custom SQL", "subquer", "permission denied"], data(public, metrics=[hidden]))
    for name, number in databases.items():
        refused(f"SQL Lab on {name}", ["403"], lambda number=number: sql(viewer, number, "SELECT 1"))


def check_analyst(analyst, databases):
    public, sensitive, trino = (
        databases[f"Weather {name}"] for name in ("Postgres", "Postgres sensitive", "Cassandra")
    )
    joined = """
        SELECT year, count(*) AS stations, max(max_temperature) AS highest
        FROM cassandra.dwd_weather.yearly_data_temp JOIN postgresql.analysts.meta_data USING (station_id) GROUP BY year"""
    for what, database, statement in (
        ("a view in Postgres", public, "SELECT count(*) AS stations FROM analysts.meta_data"),
        ("both stores joined by Trino", trino, joined),
    ):
        rows = sql(analyst, database, statement)
        assert rows, what
        print(f"allowed: SQL Lab to an analyst, {what}: {rows[0]}")
    denied = ["permission denied"]
    for statement in (
        "SELECT station_name FROM analysts_sensitive.meta_data_sensitive",
        "SELECT station_name FROM dwd_weather.meta_data",
        "SELECT station_name FROM dwd_weather.station_metadata",
    ):
        refused(f"SQL Lab, {statement}", denied, lambda s=statement: sql(analyst, public, s))
    refused("SQL Lab on the sensitive database", ["was not found"], lambda: sql(analyst, sensitive, "SELECT 1"))
    for statement, reasons in (
        ("SELECT station_name FROM postgresql.analysts_sensitive.meta_data_sensitive", denied),
        ("SELECT station_name FROM postgresql.dwd_weather.meta_data", denied),
        ("SELECT * FROM cassandra.dwd_weather.isobar_fence", ["no SELECT permission"]),
    ):
        refused(f"SQL Lab, {statement}", reasons, lambda s=statement: sql(analyst, trino, s))


def check_postgres(port, secret):
    failures, denied = (psycopg2.Error,), ["permission denied"]
    for login, statement in (
        ("analyst", "SELECT station_name FROM analysts_sensitive.meta_data_sensitive"),
        ("analyst", "SELECT station_name FROM dwd_weather.meta_data"),
        ("analyst", "UPDATE analysts.meta_data SET entry_count = 0"),
        ("analyst", "CREATE TABLE analysts.mine (a int)"),
        ("analyst_sensitive", "SELECT station_name FROM dwd_weather.station_metadata"),
        ("analyst_sensitive", "DELETE FROM analysts_sensitive.meta_data_sensitive"),
    ):
        with postgres(port, login, secret[login]) as connection, connection.cursor() as cursor:
            refused(f"Postgres to {login}, {statement}", denied, lambda c=cursor, s=statement: c.execute(s), failures)
    for login in ("analyst", "analyst_sensitive"):
        wrong = f"Postgres to {login} with another password"
        refused(wrong, ["password authentication failed"], lambda u=login: postgres(port, u, "other"), failures)


def check_cassandra(port, password):
    with cassandra(port, "analyst", password) as session:
        for statement in (
            "SELECT * FROM dwd_weather.isobar_fence",
            "DELETE FROM dwd_weather.yearly_data_temp WHERE station_id = '00000' AND year = 2000",
            "CREATE TABLE dwd_weather.mine (a int PRIMARY KEY)",
        ):
            what = f"Cassandra to analyst, {statement}"
            refused(what, ["permission"], lambda s=statement: session.execute(s), (Unauthorized,))
