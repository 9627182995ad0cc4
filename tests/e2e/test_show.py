# SPDX-License-Identifier: Apache-2.0
"""flexwatt show: exact text, with figures that change from run to run made alike."""
import re
import sqlite3
import textwrap

import pytest

WORKFLOW = """
    name: talk
    storage: ./data
    function: {package: ./functions}
    defaults: {memory: 256, retries: 0}
    stages:
      say: {handler: chatter, workers: 2, params: {lines: 2}}
      make: {handler: make, workers: 1, after: [say], outputs: {out: {suffix: .txt}}}
      never: {handler: noop, workers: 1, when: {result: say.none, op: "==", value: 1}}
"""
ROWS = {"make": "N  N J  N  N g  N g  N g", "say": "–  –  –  N g  N g  –"}
UNITS = r"(?:ns|µs|ms|s|min|h|kB|MB|GB|B|µJ|mJ|J|kJ|µg|mg|g|kg)"


def alike(text):
    """Numbers become N, their widths and signs of padding go."""
    text = re.sub(r"\d{8}-\d{6}-\w{3}", "RUN", text)
    text = re.sub(r"\$[\d.]+", "$N", text)
    text = re.sub(rf"[\d.,]+ ({UNITS})\b", r"N \1", text)
    text = re.sub(r"N [nµum]?(?:s|J)\b", lambda found: "N s" if found[0].endswith("s") else "N J", text)
    text = re.sub(r"N [µm]?g\b", "N g", text)
    text = re.sub(r"\([\d.]+–[\d.]+\)", "(N–N)", text)
    text = re.sub(r"\b\d+ %", "N %", text)
    return re.sub(r"[ \t]{2,}", "  ", text)


@pytest.fixture
def run(flexwatt, functions):
    flexwatt.workflow(WORKFLOW)
    return flexwatt.json("run", "workflow.yaml")["run"]


def test_the_summary(flexwatt, run):
    tail = run.rsplit("-", 1)[1]
    shown = flexwatt("show", run)
    assert shown.stderr == ""
    assert alike(shown.stdout) == textwrap.dedent(f"""\
        talk · run RUN · local · ok · 3 tasks · outputs in {flexwatt.data}/runs/RUN
          stage  tasks  time  cold  read  compute  write  cpu  peak  energy  cost  carbon
          say  2/2  N s  N s  N %  N %  N %  N s  N MB  N J (N–N) m  $N  N g
          make  1/1  N s  –  N %  N %  N %  N s  N MB  N J (N–N) m  $N  N g
          never  0/0  skipped  –  –  –  –  –  –  –  –  –
          total  3/3  N s  N s  N %  N %  N %  N s  N MB  N J (N–N) m  $N  N g
          makespan N s for N s of work in 3 invocations
          m = modelled, low–high: no energy counters were read (flexwatt monitors says why).
          Cost of this run as if on Lambda, x86_64, prices of 2026-09, eu-central-1. Carbon: location-based grid of eu-central-1, operational + embodied.
          flexwatt show {tail} · flexwatt show {tail} --task STAGE/0 --logs
    """)


def test_a_unique_tail_of_the_id_is_enough(flexwatt, run):
    assert flexwatt("show", run.rsplit("-", 1)[1]).stdout == flexwatt("show", run).stdout


def test_every_known_field_of_a_task_with_its_group(flexwatt, run):
    shown = flexwatt("show", run, "--task", "make/0").stdout
    lines = shown.splitlines()
    assert lines[0] == "make/0 attempt 1: ok"
    assert [line.strip() for line in lines if re.match(r"  \w+$", line)] == [
        "identity", "outcome", "times", "resources", "money", "carbon", "energy"]
    record, = flexwatt.records(run, "make/0")
    fields = dict(re.findall(r"^    (\w+) +(.+)$", shown.split("  energy\n")[0], re.M))
    for name, value in fields.items():
        assert record[name] is not None and str(value) == (
            value if isinstance(record[name], str) else f"{record[name]:.9g}" if isinstance(record[name], float)
            else str(record[name])), name
    scalars = {name for name, value in record.items() if value is not None and not isinstance(value, (list, dict))}
    assert scalars == set(fields), "what is known is shown, what is null is not"
    assert re.search(r"^    model +\S+ [mµ]?J \(\S+–\S+\) package, modelled ok, method model/1$", shown, re.M)


def test_joules_of_a_cycle_and_of_an_instruction_stand_where_they_were_counted(flexwatt, run):
    per_count = r"^    per (cycle|instruction) +([\d.]+) nJ, by (\w+)$"
    assert not re.search(per_count, flexwatt("show", run, "--task", "make/0").stdout, re.M)
    with sqlite3.connect(flexwatt.store) as store:  # as if this machine counted them
        table, = (name for name, in store.execute("select name from sqlite_schema where type = 'table'") if name.startswith("invocation"))
        store.execute(f"update {table} set cycles = 2000000, instructions = 4000000")
    record, = flexwatt.records(run, "make/0")
    joules = sum(energy["joules"] for energy in record["energy"] if energy["source"] == "model")
    found = re.findall(per_count, flexwatt("show", run, "--task", "make/0").stdout, re.M)
    assert [(name, source) for name, _, source in found] == [("cycle", "model"), ("instruction", "model")]
    assert float(found[0][1]) == pytest.approx(joules / 2e6 * 1e9, rel=0.01)
    assert float(found[1][1]) == pytest.approx(joules / 4e6 * 1e9, rel=0.01)


def test_logs_of_all_tasks_and_of_one(flexwatt, run):
    logs = flexwatt("show", run, "--logs").stdout
    assert re.findall(r"^== .*$", logs, re.M) == ["== say/0 attempt 1: ok", "== say/1 attempt 1: ok", "== make/0 attempt 1: ok"]
    one = flexwatt("show", run, "--task", "say/1", "--logs").stdout
    request = flexwatt.records(run, "say/1")[0]["request_id"]
    without = [line for line in one.splitlines() if "REPORT" not in line and "Init" not in line]
    assert without == ["== say/1 attempt 1: ok", f"START RequestId: {request} Version: $LATEST", "line 0", "line 1",
                       f"END RequestId: {request}"]
    assert one in logs


def test_the_graph_is_the_one_that_ran(flexwatt, run):
    before = flexwatt("check", "workflow.yaml", "--graph", "text").stdout
    flexwatt.workflow("name: other\nstorage: ./data\nstages: {}\n")
    assert flexwatt("show", run, "--graph", "text").stdout == before
    assert flexwatt("show", run, "--graph", "dot").stdout.startswith('digraph "talk"')


def test_the_json_has_every_figure_of_the_table(flexwatt, run):
    shown = flexwatt.json("show", run)
    assert shown["run"] == run and shown["state"] == "ok" and shown["makespan_ms"] > 0
    assert [stage["stage"] for stage in shown["stages"]] == ["say", "make", "never"]
    for stage in (*shown["stages"][:2], shown["total"]):
        assert stage["joules_low"] <= stage["joules"] <= stage["joules_high"] and stage["energy_basis"] == "modelled"
        for figure in ("time_ms", "work_ms", "cpu_ms", "memory_peak_mb", "total_usd", "gco2e"):
            assert stage[figure] > 0, figure
    assert shown["stages"][2]["joules"] is None, "what was not measured is null, not 0"
    assert shown["total"]["total_usd"] == pytest.approx(sum(r["total_usd"] for r in flexwatt.records(run)))


def test_the_energy_of_the_stages_most_joules_first(flexwatt, run):
    shown = flexwatt("show", run, "--energy").stdout
    stages = sorted(flexwatt.json("show", run)["stages"], key=lambda stage: stage["energy_rank"])
    assert [stage["energy_rank"] for stage in stages] == [1, 2, 3] and stages[2]["stage"] == "never"
    assert stages[0]["joules"] >= stages[1]["joules"]
    text = re.sub(r"(?<=  )[\d.e-]+(?=  )", "N", re.sub(r" +[\d.]+ W\b", "  N W", alike(shown)))
    assert text == textwrap.dedent(f"""\
        talk · run RUN · energy, most first
          stage  energy  share  average  peak  units  per unit  units/J  operational  embodied  SCI per unit
          {stages[0]["stage"]}  N J (N–N) m  N %  N W  N W  {ROWS[stages[0]["stage"]]}
          {stages[1]["stage"]}  N J (N–N) m  N %  N W  N W  {ROWS[stages[1]["stage"]]}
          never  –  –  –  –  –  –  –  –  –  –
          total  N J (N–N) m  N %  N W  N W  {ROWS["make"]}
          m = modelled, low–high: no energy counters were read (flexwatt monitors says why).
          average: joules over the time of the stage; peak: the most at once, from the averages of its invocations.
          SCI = (E x I + M) / R: operational (energy x PUE x grid) + embodied, per unit of work.
          Grid of eu-central-1: N g/kWh, average, 2024; PUE 1.35. Units are the function's own, else its output objects.
    """)


def test_the_figures_of_energy_agree_with_each_other(flexwatt, run):
    for stage in [flexwatt.json("show", run)["total"], *flexwatt.json("show", run)["stages"][:2]]:
        assert stage["average_w"] == pytest.approx(stage["joules"] / stage["time_ms"] * 1000)
        assert stage["peak_w"] > 0
        assert stage["gco2e"] == pytest.approx(stage["operational_gco2e"] + stage["embodied_gco2e"])
        if stage["units"]:
            assert stage["joules_per_unit"] == pytest.approx(stage["joules"] / stage["units"])
            assert stage["units_per_joule"] == pytest.approx(stage["units"] / stage["joules"])
            assert stage["sci_gco2e_per_unit"] == pytest.approx(stage["gco2e"] / stage["units"])
        else:
            assert stage["joules_per_unit"] is None and stage["sci_gco2e_per_unit"] is None


def test_runs_against_each_other_the_least_joules_per_unit_score_100(flexwatt, run):
    other = flexwatt.json("run", "workflow.yaml")["run"]
    runs = flexwatt.json("show", run, other, "--energy")["runs"]
    assert [one["run"] for one in runs] == [run, other]
    least = min(one["total"]["joules_per_unit"] for one in runs)
    assert [one["efficiency_score"] for one in runs] == [pytest.approx(100 * least / one["total"]["joules_per_unit"]) for one in runs]
    assert max(one["efficiency_score"] for one in runs) == pytest.approx(100)
    lines = flexwatt("show", run, other, "--energy").stdout.splitlines()
    assert lines[0].split() == ["run", "workflow", "time", "energy", "average", "units", "per", "unit", "score", "SCI", "per", "unit"]
    for line, one in zip(lines[1:3], runs):
        assert line.split()[:2] == [one["run"], "talk"] and f"{one['efficiency_score']:.3g}" in line.split()
    assert "--energy" in flexwatt("show", run, other, status=2).stderr


@pytest.mark.parametrize("arguments, status, message", [
    (["zzzzzz"], 2, "no run 'zzzzzz'"),
    (["2"], 2, "'2' may be any of several runs"),
    (["{run}", "--task", "say/x"], 2, "--task 'say/x' is not a task"),
    (["{run}", "--task", "say/9"], 2, "has no invocation of say/9"),
    (["{run}", "--task", "nobody"], 2, "has no invocation of nobody"),
    (["{run}", "--graph", "png"], 2, "png"),
])
def test_what_is_not_there_is_told(flexwatt, run, arguments, status, message):
    if arguments == ["2"]:
        flexwatt("run", "workflow.yaml")
    refused = flexwatt("show", *[argument.format(run=run) for argument in arguments], status=status)
    assert refused.stdout == "" and message in refused.stderr and refused.stderr.startswith("error: ")
    assert "\n  hint: " in refused.stderr


def test_before_the_first_run(flexwatt):
    refused = flexwatt("show", "abc", status=3).stderr
    assert "no run has been made yet" in refused and not flexwatt.store.exists()


def test_our_lines_stand_by_themselves_where_a_function_ends_without_a_newline(flexwatt):
    flexwatt.workflow("""
        name: unended
        storage: ./data
        defaults: {memory: 128}
        stages:
          short: {function: {command: [printf, "no newline"]}}
          long: {function: {command: [sh, -c, "head -c 5000000 /dev/zero | tr '\\\\0' x"]}, memory: 512}
    """)
    run = flexwatt.json("run", "workflow.yaml")["run"]
    for stage, end in ("short", "no newline"), ("long", "x" * 1000):
        shown = flexwatt("show", run, "--task", f"{stage}/0", "--logs").stdout
        request = flexwatt.records(run, f"{stage}/0")[0]["request_id"]
        assert f"{end}\nEND RequestId: {request}\nREPORT RequestId: {request}\t" in shown
        log, = (flexwatt.store.parent / "logs" / run).glob(f"{stage}-*.log")
        assert log.read_text() == shown.split("\n", 1)[1]
