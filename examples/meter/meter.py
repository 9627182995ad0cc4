# SPDX-License-Identifier: Apache-2.0
"""Measures a piece of its own work: PYTHONPATH=/usr/local/share/flexwatt/python python3 meter.py"""
import sys

import flexwatt

try:
    with flexwatt.Meter() as meter:
        total = sum(1 / i for i in range(1, 5_000_000))
except flexwatt.MeterError as error:
    sys.exit(f"meter: {error}")

print(f"sum {total:.3f}: {meter.seconds:.3f} s, {meter.cpu_seconds:.3f} s of CPU, "
      f"{meter.joules:.3f} J ({meter.joules_low:.3f} to {meter.joules_high:.3f}), "
      f"{'modelled' if meter.modelled else 'measured'} by {meter.source}")
for energy in meter.energies:
    print(f"  {energy.source} {energy.domain}: {energy.joules:.3f} J ({energy.flags})")
