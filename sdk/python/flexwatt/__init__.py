# SPDX-License-Identifier: Apache-2.0
"""flexwatt for Python programs: a meter of seconds, joules and CO2e.

    import flexwatt

    with flexwatt.Meter() as meter:
        work()
    print(meter.joules, meter.joules_low, meter.joules_high, meter.source)
"""
from .meter import Energy, Figures, Meter, MeterError

__all__ = ["Energy", "Figures", "Meter", "MeterError"]
