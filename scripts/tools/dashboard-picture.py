#!/usr/bin/python3
"""Draws panels of manifests/monitoring/dashboard.json as a PNG, from the responses of a Prometheus.

dashboard-picture.py PROMETHEUS START END FILE: an address, seconds since 1970, and the picture's path. Requires
Debian's python3-matplotlib. scripts/monitoring-test.sh --picture calls it.
"""
import datetime
import json
import pathlib
import re
import sys
import urllib.parse
import urllib.request

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plot

TITLES = [
    "Volumes by state", "Conditions by reason", "Unhealthy claims", "Outages", "Share of unhealthy volumes",
    "Probe latency", "Sweep age and duration", "Report queue", "API requests by code", "Leader", "Ready",
    "Storage of the nodes",
]
COLORS = {"healthy": "#56a64b", "unhealthy": "#e02f44", "stale": "#ff780a", "unknown": "#8e8e8e"}
# Grafana's names.
MAPPING_COLORS = {"green": "#56a64b", "red": "#e02f44", "text": "#c7c7c7"}


def series(prometheus, expression, start, end):
    expression = re.sub(r"\$(cluster|job|driver)\b", ".*", expression).replace("$__rate_interval", "20s")
    query = urllib.parse.urlencode({"query": expression, "start": start, "end": end, "step": 1})
    with urllib.request.urlopen(f"{prometheus}/api/v1/query_range?{query}", timeout=30) as response:
        return json.load(response)["data"]["result"]


def legend(target, metric):
    text = re.sub(r"\{\{(\w+)\}\}", lambda match: metric.get(match[1], ""), target.get("legendFormat", ""))
    return text.replace("127.0.0.1:", ":").replace("/csi.v1.Controller/", "").replace(".csi.example.com", "")


def grid(result, start, end):
    """One row a series, one value a second, NaN where there is none."""
    rows = []
    for one in result:
        values = {int(time): float(value) for time, value in one["values"]}
        rows.append([values.get(second, float("nan")) for second in range(start, end + 1)])
    return rows


def draw(axes, panel, prometheus, start, end):
    seconds = range(0, end - start + 1)
    axes.set_title(panel["title"], loc="left", fontsize=9, fontweight="bold")
    kind = panel["type"]
    results = [(target, series(prometheus, target["expr"], start, end)) for target in panel["targets"]]
    if kind == "timeseries":
        stacked = panel["fieldConfig"]["defaults"]["custom"].get("stacking")
        names, rows = [], []
        for target, result in results:
            names += [legend(target, one["metric"]) for one in result]
            rows += grid(result, start, end)
        if stacked:
            rows = [[0 if value != value else value for value in row] for row in rows]
            states = [name.split()[-1] for name in names]
            colors = [COLORS[state] for state in states] if COLORS.keys() >= set(states) else None
            axes.stackplot(seconds, rows, labels=names, colors=colors, alpha=0.8, step="post")
        else:
            for name, row in zip(names, rows):
                axes.step(seconds, row, label=name, linewidth=1, where="post")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=5.5, loc="upper left", ncol=2, framealpha=0.6)
    elif kind == "heatmap":
        result = sorted(results[0][1], key=lambda one: float(one["metric"]["le"]))
        rows = [[0 if value != value else value for value in row] for row in grid(result, start, end)]
        cumulative = [[0] * len(seconds)] + rows
        cells = [[max(high - low, 0) for low, high in zip(*pair)] for pair in zip(cumulative, rows)]
        axes.imshow(cells, aspect="auto", origin="lower", cmap="Oranges", extent=(0, len(seconds), 0, len(cells)))
        axes.set_yticks(range(1, len(cells) + 1), [one["metric"]["le"] + " s" for one in result], fontsize=5.5)
    elif kind == "state-timeline":
        target, result = results[0]
        mappings = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
        for number, row in enumerate(grid(result, start, end)):
            for value, mapping in mappings.items():
                spans = [(s, 1) for s, v in enumerate(row) if v == int(value)]
                axes.broken_barh(spans, (number + 0.1, 0.8), color=MAPPING_COLORS[mapping["color"]])
        names = [legend(target, one["metric"]) for one in result]
        axes.set_yticks([number + 0.5 for number in range(len(names))], names, fontsize=6)
        colors = (f'{mapping["color"].replace("text", "grey")}: {mapping["text"]}' for mapping in mappings.values())
        axes.set_title(", ".join(colors), loc="right", fontsize=6)
    elif kind == "table":
        # The claims at the last time at which there were two.
        result = results[0][1]
        last = max(int(time) for one in result[:2] for time, _ in one["values"])
        rows = []
        for one in result:
            value = {int(time): value for time, value in one["values"]}.get(last)
            if value is not None:
                since = datetime.datetime.fromtimestamp(float(value) / 1000, datetime.timezone.utc)
                labels = [one["metric"][k] for k in ("namespace", "persistentvolumeclaim", "status", "reason")]
                rows.append(labels + [since.strftime("%H:%M:%S UTC")])
        columns = ["namespace", "claim", "status", "reason", "since"]
        cells = axes.table(cellText=rows, colLabels=columns, loc="upper left", cellLoc="left", edges="horizontal")
        cells.auto_set_font_size(False)
        cells.set_fontsize(6.5)
        cells.auto_set_column_width(range(len(columns)))
        axes.set_title(f"at {last - start} s", loc="right", fontsize=6)
        axes.axis("off")
        return
    axes.set_xlim(0, len(seconds))
    axes.tick_params(labelsize=6)
    axes.set_xlabel("seconds", fontsize=6)


def main():
    prometheus, start, end, file = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    path = pathlib.Path(__file__).resolve().parents[2] / "manifests/monitoring/dashboard.json"
    panels = {panel["title"]: panel for panel in reversed(json.loads(path.read_text())["panels"])}
    figure, axes = plot.subplots(4, 3, figsize=(15, 11.5), constrained_layout=True)
    for title, place in zip(TITLES, axes.flat):
        draw(place, panels[title], prometheus, start, end)
    figure.savefig(file, dpi=85, pil_kwargs={"optimize": True})


main()
