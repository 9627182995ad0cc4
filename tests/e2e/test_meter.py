# SPDX-License-Identifier: Apache-2.0
"""The embeddable meter, from an installed tree: the examples in C and Python, and what the binding promises."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from conftest import BUILD, DEADLINE_S, SOURCE
from energy_machine import known_machine

pytestmark = pytest.mark.alone

EXAMPLES = SOURCE / "examples/meter"
LINE = re.compile(r"sum [\d.]+: ([\d.]+) s, ([\d.]+) s of CPU, ([\d.]+) J \(([\d.]+) to ([\d.]+)\), (modelled|measured) by (\S+)")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The tree as `make install` makes it, below a directory of its own."""
    if not shutil.which("meson") or not shutil.which("pkg-config"):
        pytest.skip("meson or pkg-config is not installed")
    top = tmp_path_factory.mktemp("installed")
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", top], check=True, stdout=subprocess.DEVNULL,
                   timeout=DEADLINE_S)
    yield top
    shutil.rmtree(top)


@pytest.fixture
def library(installed):
    return next(installed.rglob("libflexwatt.so.0"))


def with_sanitizer_of(library):
    """A library with the address sanitizer in it wants the sanitizer's own first; what an interpreter leaks is its own affair."""
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0:exitcode=99"}
    needed = subprocess.run(["ldd", library], check=True, capture_output=True, text=True).stdout
    found = re.findall(r"(/\S*/lib[au]+san\.so\S*)", needed)
    if found:
        environment["LD_PRELOAD"] = " ".join(found)
    return environment


@pytest.fixture
def environment(installed, library):
    return {**with_sanitizer_of(library), "LD_LIBRARY_PATH": str(library.parent), "FLEXWATT_DATA": str(next(installed.rglob("share/flexwatt"))),
            "PYTHONPATH": str(next(installed.rglob("flexwatt/python"))),
            "PKG_CONFIG_LIBDIR": str(library.parent / "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": str(installed)}


def python(environment, script, status=0):
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == status, done.stderr
    return done.stdout


def check_line(text):
    seconds, cpu, joules, low, high = map(float, LINE.match(text).groups()[:5])
    assert seconds > 0 and 0 < cpu < seconds * 1.1 + 0.05 and low <= joules <= high and joules > 0


def test_only_the_meter_is_seen_from_outside(library):
    seen = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    names = {line.split()[-1] for line in seen.splitlines()} - {"_init", "_fini"}
    assert names == {"fw_meter_start", "fw_meter_read", "fw_meter_energies", "fw_meter_stop", "fw_meter_version"}


def test_the_example_of_the_build_tree_runs(flexwatt):
    done = subprocess.run([BUILD / "examples/meter/meter"], env=flexwatt.env, check=True, capture_output=True, text=True, timeout=DEADLINE_S)
    check_line(done.stdout)


@pytest.mark.parametrize("compiler, language", [("cc", "c"), ("c++", "c++")])
def test_the_example_in_c_builds_against_the_installed_tree(tmp_path, environment, compiler, language):
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    plain = {name: value for name, value in environment.items() if name != "LD_PRELOAD"}
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "flexwatt"], env=plain, check=True, capture_output=True, text=True).stdout.split()
    assert "-lflexwatt" in flags
    sanitized = ["-fsanitize=address,undefined"] if "LD_PRELOAD" in environment else []
    subprocess.run([compiler, "-x", language, "-Wall", "-Wextra", "-Werror", *sanitized, EXAMPLES / "meter.c", "-x", "none", *flags, "-o", tmp_path / "meter"],
                   env=plain, check=True, timeout=DEADLINE_S)
    done = subprocess.run([tmp_path / "meter"], env={**plain, "ASAN_OPTIONS": "detect_leaks=1:exitcode=99"}, check=True, capture_output=True,
                          text=True, timeout=DEADLINE_S)
    check_line(done.stdout)
    assert "g CO2e" in done.stdout


def test_the_example_in_python_runs_from_the_installed_tree(environment):
    done = subprocess.run([sys.executable, EXAMPLES / "meter.py"], env=environment, check=True, capture_output=True, text=True, timeout=DEADLINE_S)
    check_line(done.stdout)
    assert re.search(r"^  \w+ package: [\d.]+ J \((measured|modelled)", done.stdout, re.M)


def test_children_are_counted_and_idle_power_follows_the_cpus(environment):
    output = python(environment, """
import flexwatt, subprocess, sys
burn = "import time; end = time.monotonic() + 0.4\\nwhile time.monotonic() < end: pass"
with flexwatt.Meter(cpus=1) as one:
    subprocess.run([sys.executable, "-S", "-c", burn], check=True)
with flexwatt.Meter(cpus=0.25) as quarter:
    import time; time.sleep(0.4)
print(one.cpu_seconds, one.joules_idle / one.seconds, quarter.joules_idle / quarter.seconds, one.figures.methods)
""").split()
    assert float(output[0]) > 0.05 and "system/" in output[3]
    assert float(output[2]) < float(output[1]) * 0.6


def test_counters_make_it_measured(environment, tmp_path):
    with known_machine(tmp_path / "machine", floor=10, core=20) as machine:
        output = python({**environment, "FLEXWATT_COUNTERS_ROOT": str(machine.root)}, """
import flexwatt, time
with flexwatt.Meter() as meter:
    end = time.monotonic() + 1
    while time.monotonic() < end: pass
print(meter.modelled, meter.source, meter.joules_dynamic > 0, meter.joules_low <= meter.joules <= meter.joules_high, meter.watts)
""").split()
    assert output[0] == "False" and "rapl" in output[1] and output[2:4] == ["True", "True"]
    assert float(output[4]) < (10 + 20 * os.cpu_count()) * 1.1


def test_what_is_told_is_listed_once_and_told_by_the_meter_too(environment):
    text = (SOURCE / "sdk/python/flexwatt/meter.py").read_text()
    for name in ("cpu_seconds", "memory_peak_mb", "embodied_gco2e", "idle_j", "dynamic_j"):
        assert len(re.findall(rf"\b{name}\b", text)) == 1, name
    python(environment, """
import dataclasses, flexwatt
meter = flexwatt.Meter()
try:
    meter.joules
except AttributeError as error:
    assert "not been read yet" in str(error)
else:
    raise AssertionError
figures = meter.start().stop()
for field in dataclasses.fields(flexwatt.Figures):
    value = getattr(figures, field.name)
    assert type(value).__name__ == field.type and (getattr(meter, field.name) == value or value != value), field
assert all(type(getattr(one, field.name)).__name__ == field.type for one in meter.energies for field in dataclasses.fields(one))
""")


def test_a_meter_can_be_read_while_it_runs_and_started_again(environment):
    python(environment, """
import flexwatt, time
meter = flexwatt.Meter().start()
time.sleep(0.05)
first = meter.read()
time.sleep(0.05)
last = meter.stop()
assert 0.04 < first.seconds < last.seconds and first.joules < last.joules, (first, last)
assert last.joules == meter.joules and last.watts > 0 and meter.energies
try:
    meter.read()
except flexwatt.MeterError as error:
    assert "does not run" in str(error)
else:
    raise AssertionError
again = meter.start().stop()
assert again.seconds < last.seconds
""")


@pytest.mark.parametrize("options, said", [("pid=4194304", "no process 4194304"), ("region='mars-1'", "mars-1"), ("cpus=-1", "no number of CPUs"),
                                           ("pid=-5", "no process -5")])
def test_what_cannot_be_metered_is_said(environment, options, said):
    output = python(environment, f"""
import flexwatt
try:
    flexwatt.Meter({options}).start()
except flexwatt.MeterError as error:
    print(error)
""")
    assert said in output


def test_a_process_that_has_ended_is_not_lost(environment):
    """Waited for and gone, and a zombie: what it used was seen while it ran."""
    output = python(environment, """
import flexwatt, subprocess, sys
burn = "import time\\nwhile time.process_time() < 0.8: pass"
for waited in True, False:
    process = subprocess.Popen([sys.executable, "-S", "-c", burn])
    meter = flexwatt.Meter(pid=process.pid).start()
    if waited:
        process.wait()
    else:
        import os
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    figures = meter.stop()
    print(figures.cpu_seconds, figures.memory_peak_mb, figures.joules, figures.joules_low <= figures.joules <= figures.joules_high, len(meter.energies))
    process.wait()
""").split()
    for words in (output[:5], output[5:]):
        cpu_s, memory_mb, joules = map(float, words[:3])
        assert 0.3 < cpu_s < 0.95 and memory_mb > 1 and joules > 0 and words[3] == "True" and int(words[4]) > 0


def test_figures_after_the_end_do_not_change(environment):
    python(environment, """
import flexwatt, subprocess
process = subprocess.Popen(["sleep", "0.3"])
meter = flexwatt.Meter(pid=process.pid).start()
process.wait()
figures = [repr(meter.read()), repr(meter.read()), repr(meter.stop())]
assert len(set(figures)) == 1, figures
""")


def test_the_capabilities_of_the_host_stay_its_own(environment):
    """A user with an ambient capability, as a service manager gives it."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv")
    script = ("import flexwatt\ndef sets(): return [l for l in open('/proc/self/status') if l.startswith('Cap')]\n"
              "before = sets()\nflexwatt.Meter().start().stop()\nassert sets() == before\nprint(before[2].split()[1])")
    done = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
                           shutil.which("python3", path="/usr/bin"), "-c", script], env=environment, capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout, 16) & 4


def test_a_meter_whose_options_are_wrong_leaves_no_second_error(environment):
    done = subprocess.run([sys.executable, "-c", "import flexwatt\ntry: flexwatt.Meter(region=5)\nexcept AttributeError: print('told')"],
                          env=environment, capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.stdout == "told\n" and done.stderr == ""


def test_a_fork_does_not_hang_on_the_parents_meter(environment):
    output = python(environment, """
import flexwatt, os
meter = flexwatt.Meter().start()
pid = os.fork()
if pid == 0:
    try:
        meter.stop()
    except flexwatt.MeterError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(pid, 0)
print(meter.stop().seconds > 0)
""")
    assert "before fork()" in output and output.endswith("True\n")


def test_an_error_within_the_block_stays_its_own(environment):
    output = python(environment, """
import flexwatt
try:
    with flexwatt.Meter() as meter:
        raise KeyError("mine")
except KeyError as error:
    print(error, meter.figures)
""")
    assert output == "'mine' None\n"


@pytest.fixture
def sources(tmp_path):
    """A tree of sources that has been built, and the environment of one who has set nothing but the module's path."""
    shutil.copytree(SOURCE / "sdk/python/flexwatt", tmp_path / "sdk/python/flexwatt", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(SOURCE / "data", tmp_path / "data")
    library = tmp_path / "build/release/src/library/libflexwatt.so.0"
    library.parent.mkdir(parents=True)
    shutil.copy(BUILD / "src/library/libflexwatt.so.0", library)
    environment = {**with_sanitizer_of(library), "PYTHONPATH": str(tmp_path / "sdk/python")}
    for variable in "LD_LIBRARY_PATH", "FLEXWATT_DATA", "FLEXWATT_LIBRARY":
        environment.pop(variable, None)
    return tmp_path, environment


def test_the_example_runs_from_the_sources_with_the_path_of_the_module_alone(sources):
    done = subprocess.run([sys.executable, EXAMPLES / "meter.py"], env=sources[1], check=True, capture_output=True, text=True, timeout=DEADLINE_S)
    check_line(done.stdout)


@pytest.mark.parametrize("missing, names", [("build", ["FLEXWATT_LIBRARY", "FLEXWATT_DATA", "make"]), ("data", ["FLEXWATT_DATA"])])
def test_what_the_example_lacks_is_one_error(sources, missing, names):
    shutil.rmtree(sources[0] / missing)
    if missing == "data" and pathlib.Path("/usr/local/share/flexwatt/prices.csv").exists():
        pytest.skip("flexwatt is installed: its tables are found")
    done = subprocess.run([sys.executable, EXAMPLES / "meter.py"], env=sources[1], capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 1 and done.stderr.startswith("meter: ") and "Traceback" not in done.stderr
    assert all(name in done.stderr for name in names), done.stderr


def test_a_missing_library_is_said_with_the_remedy(environment):
    environment = {**environment, "FLEXWATT_LIBRARY": "/nowhere/libflexwatt.so"}
    assert "set FLEXWATT_LIBRARY" in python(environment, "import flexwatt\ntry: flexwatt.Meter().start()\nexcept flexwatt.MeterError as e: print(e)")
