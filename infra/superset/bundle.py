"""The bundle: read from its folder, and packed into the archive that Superset imports, the same bytes each time."""

import io
import json
import zipfile
from pathlib import Path

import yaml

from queries import queries

FOLDER = Path(__file__).resolve().parent / "bundle"
KINDS = ("databases", "datasets", "charts", "dashboards")
VERSION = "1.0.0"
# The zip format's first day: no archive is newer than another.
DATE = (1980, 1, 1, 0, 0, 0)


def read():
    """Kind and file name to what the file says."""
    return {
        kind: {path.stem: yaml.safe_load(path.read_text()) for path in sorted((FOLDER / kind).glob("*.yaml"))}
        for kind in KINDS
    }


def password_path(name):
    """Where Superset looks for the password of a database of the archive."""
    return f"databases/{name}.yaml"


def archive(parts, addresses):
    """`addresses`: what stands for `{postgres}` and `{trino}` in the databases' addresses."""
    files = {"metadata.yaml": (FOLDER / "metadata.yaml").read_text()}
    complete = {
        "databases": lambda database: {
            **database,
            "sqlalchemy_uri": database["sqlalchemy_uri"].format(**addresses),
            "extra": {},
        },
        "datasets": dataset,
        "charts": chart,
        "dashboards": dict,
    }
    for kind in KINDS:
        for name, part in parts[kind].items():
            whole = {"version": VERSION, **complete[kind](part)}
            files[f"{kind}/{name}.yaml"] = yaml.safe_dump(whole, allow_unicode=True, sort_keys=False)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, text in files.items():
            zipped.writestr(zipfile.ZipInfo(f"weather/{name}", DATE), text)
    return packed.getvalue()


def dataset(part):
    columns = [
        {"is_dttm": is_time(column), "groupby": True, "filterable": True, **column} for column in part["columns"]
    ]
    return {"catalog": None, "metrics": [], **part, "columns": columns}


def is_time(column):
    return column["type"].startswith(("DATE", "TIMESTAMP"))


def chart(part):
    params = {"viz_type": part["viz_type"], **part["params"]}
    context = {
        # The dataset is known by its uuid; Superset puts its own number here.
        "datasource": {"id": 0, "type": "table"},
        "force": False,
        "queries": queries(part["viz_type"], part["params"]),
        "form_data": params,
        "result_format": "json",
        "result_type": "full",
    }
    return {**part, "params": params, "query_context": json.dumps(context)}
