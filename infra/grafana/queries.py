"""Asks a Prometheus that watches over a host every query of the dashboard and of the alerts: each is understood, and each number that
it asks for is one that the host tells, with the labels by which that number is chosen and grouped."""

import json
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

# Words of PromQL, as Prometheus writes a query that it has understood: texts, spans of time, names, numbers, signs.
WORD = re.compile(r'"(?:\\.|[^"\\])*"|\[[^\]]*\]|[A-Za-z_:][\w:]*|\d[\w.]*|\S')
NAME = re.compile(r"[A-Za-z_:][\w:]*")
# They stand before names of labels in brackets.
GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
OPERATORS = {"and", "or", "unless", "atan2", "bool", "offset", "inf", "nan"}
# What Grafana fills in.
INTERVAL = ("$__rate_interval", "1m")
# Numbers that tell of stores, which a host with all tables in its data folder does not have.
OF_STORES = {"isobar_outbox_lag_records", "isobar_store_waiting"}


def get(base, path, **query):
    with urllib.request.urlopen(f"{base}/api/v1/{path}?{urllib.parse.urlencode(query, doseq=True)}", timeout=10) as answer:
        return json.load(answer)["data"]


def wait(base, seconds):
    """Until the host was asked, or that it does not answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if any(float(sample["value"][1]) == 1 for sample in get(base, "query", query="up")["result"]):
                return
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.5)
    sys.exit("the host was not reached: is its address right?")


def queries():
    """With where they stand."""
    with open("dashboard.json", encoding="utf-8") as file:
        for panel in json.load(file)["panels"]:
            for target in panel["targets"]:
                yield f"dashboard.json, {panel['title']}", target["expr"].replace(*INTERVAL)
    with open("alerts.yml", encoding="utf-8") as file:
        name = None
        for line in file:
            if found := re.match(r"\s*- alert: (\w+)", line):
                name = found[1]
            elif found := re.match(r"\s*expr: (.*)", line):
                yield f"alerts.yml, {name}", found[1].strip()


def selected(query):
    """The numbers that a query asks for, each with the labels by which it is chosen, and the labels by which the query groups."""
    words = WORD.findall(query)
    chosen, grouped, at = {}, set(), 0
    while at < len(words):
        word, after = words[at], words[at + 1] if at + 1 < len(words) else ""
        if word in GROUPING and after == "(":
            end = words.index(")", at)
            grouped.update(name for name in words[at + 2 : end] if name != ",")
            at = end
        # A name before a bracket or a grouping is that of a function.
        elif NAME.fullmatch(word) and word.lower() not in OPERATORS and after != "(" and after not in GROUPING:
            labels = chosen.setdefault(word, set())
            if after == "{":
                end = words.index("}", at)
                labels.update(name for name in words[at + 2 : end] if NAME.fullmatch(name))
                at = end
        at += 1
    return chosen, grouped


def faults(base, query):
    """What is wrong with a query, and which numbers it asks for that only a host with stores tells."""
    try:
        get(base, "query", query=query)
        chosen, grouped = selected(get(base, "format_query", query=query))
    except urllib.error.HTTPError as error:
        return [f"it is not understood: {json.load(error).get('error')}"], set()
    if not chosen:
        return ["it asks for no number"], set()
    wrong, untried = [], set()
    for number, labels in chosen.items():
        series = get(base, "series", **{"match[]": number})
        if not series and number in OF_STORES:
            untried.add(number)
        elif not series:
            wrong.append(f"the host does not tell `{number}`")
        elif missing := (labels | grouped).difference(set.intersection(*map(set, series))):
            wrong.append(f"`{number}` is told without {', '.join(sorted(missing))}")
    return wrong, untried


def main():
    base, seconds = sys.argv[1], float(sys.argv[2])
    wait(base, seconds)
    asked, wrong, untried = 0, [], set()
    for place, query in queries():
        asked += 1
        found, of_stores = faults(base, query)
        wrong += [f"{place}: `{query}`: {fault}" for fault in found]
        untried |= of_stores
    print(f"{asked} queries, {len(wrong)} wrong")
    if untried:
        print(f"NOT TRIED, as this host keeps no table in a store: {', '.join(sorted(untried))}", file=sys.stderr)
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    sys.exit(1 if wrong or not asked else 0)


if __name__ == "__main__":
    main()
