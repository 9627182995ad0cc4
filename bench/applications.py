"""The applications against Python: Monte Carlo against the document's loop, numpy and the generator's own peak; Titanic on two
workers against scikit-learn on the same halves.

CPU is that of the function's process from its start, Python's too. Interleaved repetitions.
"""
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/tools"))
from invoke import Function, event  # noqa: E402
from results import result  # noqa: E402

AREA = "apps"
PACKAGES = ["scikit-learn==1.7.2", "pandas==2.3.3", "numpy==2.2.6"]
POINTS = 100_000_000

LOOP = """
import random, sys, time
count, inside = int(sys.argv[1]), 0
began = time.process_time()
for _ in range(count):
    x, y = random.random(), random.random()
    if x * x + y * y <= 1:
        inside += 1
print((time.process_time() - began) / count * 1e9)
"""
NUMPY = """
import sys, time
import numpy
count, batch, inside = int(sys.argv[1]), 100_000, 0
random = numpy.random.default_rng(42)
began = time.process_time()
for _ in range(count // batch):
    x, y = random.random(batch), random.random(batch)
    inside += int(numpy.count_nonzero(x * x + y * y <= 1))
print((time.process_time() - began) / count * 1e9)
"""
FOREST = """
import io, sys
import pandas
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
path, offset, length = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open(path, "rb") as file:
    header = file.readline()
    file.seek(offset)
    table = pandas.read_csv(io.BytesIO(header + file.read(length)))
table = table[["Pclass", "Sex", "Age", "SibSp", "Parch", "Fare", "Survived"]].dropna()
table = pandas.get_dummies(table, columns=["Sex"], drop_first=True)
label = table.pop("Survived")
rows, unseen, labels, true = train_test_split(table, label, test_size=0.2, random_state=42)
print(RandomForestClassifier(n_estimators=100, random_state=42).fit(rows, labels).score(unseen, true))
"""


def printed(command):
    return float(subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1])


def montecarlo(build, python, repetitions):
    example = build / "examples/montecarlo"
    ours, loop, array, counted, drawn = [], [], [], [], []
    for _ in range(repetitions):
        loop.append(printed([python, "-c", LOOP, 1_000_000]))
        array.append(printed([python, "-c", NUMPY, 10_000_000]))
        for what, times in (("inside", counted), ("drawn", drawn)):
            times.append(1e9 * printed([example / "montecarlo-tool", what, 42, 0, POINTS]) / POINTS)
        with tempfile.TemporaryDirectory() as directory, Function(example / "functions/bootstrap", "estimate") as function:
            function(event("estimate", ("none", []), "shares", directory, ".json", params={"points": POINTS}))
        ours.append(1e9 * function.cpu_seconds / POINTS)
    name = "Monte Carlo: a point on one core, with start and progress, of 100 million"
    return [result(AREA, f"{name}, against the document's loop", "ns", ours, peer=loop, at_least=100),
            result(AREA, f"{name}, against numpy", "ns", ours, peer=array, at_least=10),
            result(AREA, "Monte Carlo: a point, over the generator's own peak", "ns", counted, floor=drawn, at_most=2)]


def halves(path):
    """(offset, length) of both, cut where a record ends."""
    data = path.read_bytes()
    first, cut = data.index(b"\n") + 1, data.index(b"\n", len(data) // 2) + 1
    return data[:first - 1].decode(), [(first, cut - first), (cut, len(data) - cut)]


def titanic(build, python, repetitions):
    rows = 89_100 if repetitions == 1 else 891_000
    ours_s, peer_s, ours_mb, peer_mb = [], [], [], []
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([ROOT / "examples/titanic/make-data", "--rows", str(rows), "--directory", directory], check=True)
        path, = pathlib.Path(directory).glob("*.csv")
        header, parts = halves(path)
        for _ in range(1 if rows > 100_000 else repetitions):
            used = [0.0, 0.0, 0.0, 0.0]
            for task, (offset, length) in enumerate(parts):
                request = event("train", ("lists", []), "models", directory, ".ubj")
                request["task"] = task
                request["inputs"] = {"lists": [{"uri": f"file:{path}", "path": str(path), "bytes": path.stat().st_size,
                                                "offset": offset, "length": length, "header": header, "delimiter": ","}]}
                request["outputs"]["findings"] = {"directory": directory, "suffix": ".json"}
                with Function(build / "examples/titanic/functions/bootstrap", "train",
                              {"OMP_WAIT_POLICY": "PASSIVE", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "2048"}) as function:
                    function(request)
                seconds, peak_mb = peer_forest(python, path, offset, length)
                used = [used[0] + function.cpu_seconds, used[1] + seconds, used[2] + function.peak_mb, used[3] + peak_mb]
            for values, value in zip((ours_s, peer_s, ours_mb, peer_mb), used, strict=True):
                values.append(value)
    name = f"Titanic, {'60' if rows > 100_000 else '6'} MB on two workers, against scikit-learn"
    return [result(AREA, f"{name}: CPU", "s", ours_s, peer=peer_s, at_least=3),
            result(AREA, f"{name}: memory", "MB", ours_mb, peer=peer_mb, at_least=3)]


def peer_forest(python, *arguments):
    """CPU seconds and peak MB of a Python process of its own."""
    script = f"import resource\n{FOREST}\nused = resource.getrusage(resource.RUSAGE_SELF)\n" \
             "print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)"
    words = subprocess.run([python, "-c", script, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return float(words[-2]), float(words[-1])


def bench(build, repetitions):
    python = subprocess.run([ROOT / "scripts/venv", "sklearn", *PACKAGES], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    yield from montecarlo(build, python, repetitions)
    yield from titanic(build, python, repetitions)
