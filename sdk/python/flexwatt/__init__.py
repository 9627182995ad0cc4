# SPDX-License-Identifier: Apache-2.0
"""flexwatt for Python: the context of a stage's function, and a meter of seconds, joules and CO2e for any program.

    from flexwatt import StageContext

    def count(ctx: StageContext) -> int:
        ...

    import flexwatt

    with flexwatt.Meter() as meter:
        work()
    print(meter.joules, meter.joules_low, meter.joules_high, meter.source)
"""
from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .meter import Energy, Figures, Meter, MeterError
    from .stage import FunctionError, InputObject, StageContext

__all__ = ["Energy", "Figures", "FunctionError", "InputObject", "Meter", "MeterError", "StageContext"]


def __getattr__(name: str) -> object:
    """Each part is loaded when it is first asked for: a function has no meter to load, a metered program no stage."""
    if name not in __all__:
        raise AttributeError(f"module 'flexwatt' has no attribute {name!r}")
    if name in ("FunctionError", "InputObject", "StageContext"):
        from . import stage as part
    else:
        from . import meter as part  # type: ignore[no-redef]
    return getattr(part, name)
