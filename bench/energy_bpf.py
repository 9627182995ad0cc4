"""What the BPF programs cost: at each context switch, and for each reading of all accounts."""
import json
import subprocess
import sys

from results import result

AREA = "energy"
WAKE_UPS = 20000
WORKERS = 100
CANNOT = 77


def bench(build, full):
    rows = []
    for _ in range(10 if full else 3):
        done = subprocess.run([build / "bench" / "bpf_switch", str(WAKE_UPS), str(WORKERS)], capture_output=True, text=True,
                              timeout=120, check=False)
        if done.returncode == CANNOT:
            print(f"  energy: no BPF here: {done.stderr.strip()}", file=sys.stderr)
            return
        done.check_returncode()
        rows.append(json.loads(done.stdout))
    yield result(AREA, "BPF cost per context switch", "ns", [row["switch_ns"] for row in rows], at_most=200)
    yield result(AREA, f"reading the work of {WORKERS} workers", "µs", [row["reading_ns"] / 1000 for row in rows])
