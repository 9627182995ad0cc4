"""Results of benchmarks: how one is made from repetitions, the table, results.json.

A result is {area, name, value, unit, floor, peer, ratio, goal, met, n, spread}. `value`, `floor` (what the machine allows,
measured in the same run) and `peer` (what others need) are medians in `unit`; `spread` is half the interquartile range of the
value; `ratio` is the median of the ratios pair by pair: value / floor, or peer / value; `goal` is text, `met` true, false or null.
"""
import json
import statistics


def half_range(values):
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2


def number(value):
    if value is None:
        return ""
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 10 else 3
    return f"{value:,.{digits}f}"


def result(area, name, unit, values, floor=None, peer=None, at_most=None, at_least=None, of_ratio=True):
    """`floor` or `peer` has one value for each of `values`. The goal is one of at_most and at_least, of the ratio or of the value."""
    value, ratio = statistics.median(values), None
    if floor:
        ratio = statistics.median(mine / its for mine, its in zip(values, floor, strict=True))
    elif peer:
        ratio = statistics.median(its / mine for mine, its in zip(values, peer, strict=True))
    judged, unit_of_goal = (ratio, "×") if of_ratio and ratio is not None else (value, " " + unit)
    goal = met = None
    if at_most is not None:
        goal, met = f"≤ {number(at_most) if at_most >= 10 else f'{at_most:g}'}{unit_of_goal}", judged <= at_most
    elif at_least is not None:
        goal, met = f"≥ {number(at_least) if at_least >= 10 else f'{at_least:g}'}{unit_of_goal}", judged >= at_least
    return {"area": area, "name": name, "value": value, "unit": unit, "floor": statistics.median(floor) if floor else None,
            "peer": statistics.median(peer) if peer else None, "ratio": ratio, "goal": goal, "met": met, "n": len(values),
            "spread": half_range(values), "missed_by": None if met is not False else missed_by(judged, at_most, at_least)}


def missed_by(judged, at_most, at_least):
    bound = at_most if at_most is not None else at_least
    return abs(judged - bound) / bound if bound else judged


def verdict(row):
    if row["met"] is None:
        return ""
    return "yes" if row["met"] else f"NO, by {100 * row['missed_by']:.0f} %"


HEADINGS = ["", "value", "", "unit", "floor", "peer", "ratio", "goal", "met"]
LEFT = {0, 2, 3, 7, 8}


def cells(row):
    return [row["name"], number(row["value"]), f"± {number(row['spread'])}" if row["n"] > 1 else "", row["unit"],
            number(row["floor"]), number(row["peer"]), f"{row['ratio']:.2f}×" if row["ratio"] else "", row["goal"] or "",
            verdict(row)]


def table(rows):
    lines = [HEADINGS] + [cells(row) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
    for line in lines:
        yield "  ".join(text.ljust(width) if i in LEFT else text.rjust(width)
                        for i, (text, width) in enumerate(zip(line, widths, strict=True))).rstrip()


def write(path, rows):
    keys = ["area", "name", "value", "unit", "floor", "peer", "ratio", "goal", "met", "n", "spread"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([{key: row[key] for key in keys} for row in rows], indent=1, ensure_ascii=False) + "\n",
                    encoding="utf-8")
