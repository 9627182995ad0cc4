# SPDX-License-Identifier: Apache-2.0
"""flexwatt monitors: what can be measured here, and of what cannot, why."""
import json
import os
import re

import pytest

from conftest import SOURCE


def test_the_table_names_machine_monitors_and_what_they_give(flexwatt):
    lines = flexwatt("monitors").stdout.splitlines()
    assert re.fullmatch(r".+, \d+ CPUs, (x86_64|aarch64|arm64)(, guest of \w+)?, Linux \S+", lines[0])
    assert re.match(r"joules of what is measured here: by (the model|counters)", lines[1])
    assert lines[2].split() == ["monitor", "works", "gives", "here"]
    rows = {found[1]: found[2] for line in lines[3:] if (found := re.match(r"  (\w+) +(yes|no) +\S", line))}
    assert rows["system"] == "yes" and {"model", "tdp"} <= set(rows)


def test_the_json_has_at_least_fifty_metrics_with_units(flexwatt):
    told = flexwatt.json("monitors")
    assert {monitor["monitor"] for monitor in told["monitors"]} >= {"system", "model", "tdp"}
    assert all(re.fullmatch(rf"{monitor['monitor']}/\d+", monitor["method"]) for monitor in told["monitors"])
    assert len(told["metrics"]) >= 50
    for name, metric in told["metrics"].items():
        assert metric["unit"], name
        assert metric["value"] is None or isinstance(metric["value"], str if metric["unit"] == "name" else (int, float)), name
    share = told["metrics"]["cpu_percent"]["value"]
    assert share is None or 0 <= share <= 100


def test_every_monitor_says_what_it_found_or_why_it_does_not_work(flexwatt):
    told = flexwatt.json("monitors")["monitors"]
    table = flexwatt("monitors").stdout
    for monitor in told:
        assert monitor["detail"], monitor["monitor"]
        assert re.search(rf"^  {monitor['monitor']} +{'yes' if monitor['works'] else 'no'} ", table, re.M)
        assert monitor["works"] or monitor["detail"] in table


def test_counters_of_energy_that_are_not_there_say_what_would_enable_them(flexwatt):
    told = {monitor["monitor"]: monitor for monitor in flexwatt.json("monitors")["monitors"]}
    for name in "rapl", "hwmon":
        monitor = told[name]
        assert monitor["gives"].startswith("energy (measured")
        if not monitor["works"]:
            assert "/sys/class/" in monitor["detail"] or "zone" in monitor["detail"] or "sensor" in monitor["detail"], monitor
    if not told["rapl"]["works"]:
        assert told["rapl"].get("hint"), told["rapl"]


def test_it_says_where_joules_will_come_from(flexwatt):
    told = flexwatt.json("monitors")
    measured = [counter["domain"] for counter in told["joules"]["counters"]]
    assert told["joules"]["package"] == ("measured" if "package" in measured else "modelled")
    assert told["machine"]["kernel"] == os.uname().release
    report = json.loads(flexwatt("measure", "--json", "--", "sleep", "0.5").stderr)
    assert {row["domain"] for row in report["energy"] if row["flags"].startswith("measured")} <= set(measured)


def test_the_page_on_energy_knows_every_monitor(flexwatt):
    page = (SOURCE / "docs/energy.md").read_text()
    for monitor in flexwatt.json("monitors")["monitors"]:
        assert f"| `{monitor['monitor']}` |" in page, monitor["monitor"]


def test_missing_tables_are_an_error_of_the_environment(flexwatt):
    flexwatt.env["FLEXWATT_DATA"] = str(flexwatt.directory / "nowhere")
    refused = flexwatt("monitors", status=3)
    assert refused.stdout == "" and "nowhere" in refused.stderr


@pytest.mark.parametrize("arguments", [["extra"], ["--unknown"]])
def test_wrong_usage(flexwatt, arguments):
    assert flexwatt("monitors", *arguments, status=2).stderr.startswith("error: ")
