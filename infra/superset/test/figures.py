"""What each chart has to show, computed from the tables' rows alone, held against what Superset's API says it shows: every
figure, of all stations and then of one as the dashboard's filter chooses it."""

import json
import math
from datetime import UTC, datetime
from statistics import fmean

import bundle

METADATA = ["station_id", "min_date", "max_date", "entry_count", "min_temperature", "max_temperature"]
SENSITIVE = ["icao_code", "station_name", "station_height", "latitude", "longitude", "state"]


def milliseconds(moment):
    """As the API writes dates and timestamps."""
    if not isinstance(moment, datetime):
        moment = datetime.fromisoformat(str(moment)).replace(tzinfo=UTC)
    return moment.timestamp() * 1000


def cell(value):
    return milliseconds(value) if hasattr(value, "isoformat") else value


def listed(columns):
    return lambda rows: {(row["station_id"], column): cell(row[column]) for row in rows for column in columns}


def by_day(series):
    """`series`: a column by its label; a line for each station."""
    return lambda rows: {
        (milliseconds(row["measurement_date"]), f"{label}, {row['station_id']}"): row[column]
        for row in rows for label, column in series.items()
    }


def means_by_day(series):
    """The mean of the stations that have one."""
    def expected(rows):
        found = {}
        for row in rows:
            for label, column in series.items():
                if row[column] is not None:
                    found.setdefault((milliseconds(row["measurement_date"]), label), []).append(row[column])
        return {key: fmean(values) for key, values in found.items()}
    return expected


def by_year(series):
    return lambda rows: {
        (row["station_id"], row["year"], label): row[column] for row in rows for label, column in series.items()
    }


# By the chart's title: its table, and what its rows come to.
EXPECTED = {
    "MetaData": ("meta_data", listed(METADATA)),
    "Stations": ("meta_data", listed(METADATA + SENSITIVE)),
    "Yearly Aggregations": (
        "yearly_data_temp",
        by_year({"Mean, °C": "mean_temp", "Standard deviation, K": "mean_deviation", "Lowest quality": "quality"}),
    ),
    "Mean Day Temperature": ("daily_temp_data", by_day({"Mean": "mean_temp"})),
    "Pressure": ("daily_othe_data", by_day({"Highest": "max_pressure", "Lowest": "min_pressure"})),
    "Mean Humidity and Dewpoint": (
        "daily_othe_data", means_by_day({"Humidity, %": "mean_humidity", "Dew point, °C": "mean_dewpoint"}),
    ),
    "Maximum Temperature": ("meta_data", lambda rows: {"Maximum": max(row["max_temperature"] for row in rows)}),
    "Minimum Temperature": ("meta_data", lambda rows: {"Minimum": min(row["min_temperature"] for row in rows)}),
    "Above 20 °C": ("overall_temp", lambda rows: {"Days": sum(row["max_temperature"] > 20 for row in rows)}),
    "Below 0 °C": ("overall_temp", lambda rows: {"Days": sum(row["min_temperature"] < 0 for row in rows)}),
}


def shown(viz_type, rows):
    """The figures of an answer, by the same names as above."""
    if viz_type == "table":
        return {(row["station_id"], column): value for row in rows for column, value in row.items()}
    if viz_type == "pivot_table_v2":
        return {
            (row["station_id"], row["year"], column): value
            for row in rows for column, value in row.items() if column not in ("station_id", "year")
        }
    if viz_type in ("gauge_chart", "big_number_total"):
        return dict(rows[0])
    return {
        (row["measurement_date"], column): value
        for row in rows for column, value in row.items() if column != "measurement_date"
    }


def without_gaps(figures):
    return {key: value for key, value in figures.items() if value is not None}


def equal(left, right):
    if isinstance(left, float) and isinstance(right, (int, float)):
        return math.isclose(left, right, rel_tol=1e-12)
    return left == right


def compare(title, told, expected):
    told, expected = without_gaps(told), without_gaps(expected)
    wrong = [key for key in told.keys() | expected.keys() if not equal(expected.get(key), told.get(key))]
    if wrong or not expected:
        samples = {key: (expected.get(key), told.get(key)) for key in sorted(wrong, key=str)[:5]}
        raise AssertionError(f"{title}: {len(wrong)} of {len(expected)} figures differ (table, chart): {samples}")
    return len(expected)


def ask(superset, chart, station=None):
    """The chart's own question through the API; for one station, as the page asks it for the filter."""
    if station is None:
        answers = superset.ask("GET", f"chart/{chart['id']}/data/?force=true")["result"]
    else:
        context = json.loads(superset.ask("GET", f"chart/{chart['id']}")["result"]["query_context"])
        for query in context["queries"]:
            query["filters"].append({"col": "station_id", "op": "IN", "val": [station]})
        answers = superset.ask("POST", "chart/data", json={**context, "force": True})["result"]
    figures = {}
    for answer in answers:
        assert not answer["rejected_filters"], f"{chart['slice_name']} ignores {answer['rejected_filters']}"
        figures |= shown(chart["viz_type"], answer["data"])
    return figures


def check(superset, tables):
    """All charts that the bundle has and this user may see; the number of figures is printed."""
    station = min(row["station_id"] for row in tables["meta_data"])
    charts = {chart["slice_name"]: chart for chart in superset.all("chart/")}
    assert charts.keys() == EXPECTED.keys(), f"charts are {sorted(charts)}"
    assert len(charts) == len(bundle.read()["charts"])
    for title, (table, expected) in EXPECTED.items():
        of_one = [row for row in tables[table] if row["station_id"] == station]
        everything = compare(title, ask(superset, charts[title]), expected(tables[table]))
        filtered = compare(title, ask(superset, charts[title], station), expected(of_one))
        example = dict(list(without_gaps(expected(of_one)).items())[-1:])
        print(f"{title}: {everything} figures of all stations and {filtered} of {station} are the table's, as {example}")
