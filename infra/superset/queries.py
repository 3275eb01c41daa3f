"""What a chart asks of its dataset, from what it shows: the `query_context` that Superset's page would keep beside `params`.

Only the kinds of charts of this bundle. What is no query here cannot be fetched through the API, and is an error.
"""

import json


def queries(viz_type, params):
    return KINDS[viz_type](params)


def table(params):
    order = [json.loads(pair) for pair in params["order_by_cols"]]
    return [_query(columns=params["all_columns"], orderby=order, row_limit=params["row_limit"])]


def pivot(params):
    columns = params["groupbyColumns"] + params["groupbyRows"]
    return [_query(columns=columns, metrics=params["metrics"], row_limit=params["row_limit"])]


def figure(params):
    query = _query(columns=params.get("groupby", []), metrics=[params["metric"]])
    return [{**query, "filters": _filters(params.get("adhoc_filters", []))}]


def lines(params):
    return [_series(params, "")]


def mixed(params):
    return [_series(params, ""), _series(params, "_b")]


def _series(params, suffix):
    axis, metrics, groups = params["x_axis"], params["metrics" + suffix], params["groupby" + suffix]
    base = {
        "timeGrain": params["time_grain_sqla"],
        "columnType": "BASE_AXIS",
        "sqlExpression": axis,
        "label": axis,
        "expressionType": "SQL",
    }
    means = {metric["label"]: {"operator": "mean"} for metric in metrics}
    pivot_options = {"index": [axis], "columns": groups, "aggregates": means, "drop_missing_columns": False}
    return {
        **_query(columns=[base, *groups], metrics=metrics, row_limit=params["row_limit" + suffix]),
        "series_columns": groups,
        "filters": _filters(params["adhoc_filters" + suffix]),
        "orderby": [[metrics[0], False]],
        "post_processing": [{"operation": "pivot", "options": pivot_options}, {"operation": "flatten"}],
    }


def _query(**parts):
    return {"filters": [], "orderby": [], **parts}


def _filters(adhoc):
    return [{"col": f["subject"], "op": f["operator"], "val": f["comparator"]} for f in adhoc]


KINDS = {
    "table": table,
    "pivot_table_v2": pivot,
    "gauge_chart": figure,
    "big_number_total": figure,
    "echarts_timeseries_line": lines,
    "mixed_timeseries": mixed,
}
