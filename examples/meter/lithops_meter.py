# SPDX-License-Identifier: Apache-2.0
"""Each call of a Lithops map with its own joules: PYTHONPATH=/usr/local/share/flexwatt/python python3 lithops_meter.py

The calls share the machine, so that each has its part of the idle power: all CPUs / number of calls at once.
"""
import os
import sys

import lithops

CALLS = 2


def work(numbers):
    import flexwatt

    with flexwatt.Meter(cpus=os.cpu_count() / CALLS) as meter:
        total = sum(1 / i for i in range(1, numbers))
    return {"sum": total, "seconds": meter.seconds, "joules": meter.joules, "low": meter.joules_low, "high": meter.joules_high,
            "source": meter.source}


if __name__ == "__main__":
    config = {"lithops": {"backend": "localhost", "storage": "localhost", "telemetry": False}, "localhost": {"runtime": sys.executable, "worker_processes": CALLS}}
    with lithops.FunctionExecutor(config=config, log_level="ERROR") as executor:
        executor.map(work, [2_000_000, 4_000_000])
        for call, found in enumerate(executor.get_result()):
            print(f"call {call}: sum {found['sum']:.3f}, {found['seconds']:.3f} s, {found['joules']:.3f} J "
                  f"({found['low']:.3f} to {found['high']:.3f}) by {found['source']}")
