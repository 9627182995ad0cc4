# SPDX-License-Identifier: Apache-2.0
"""The binding of libflexwatt's meter (include/flexwatt/flexwatt.h), by ctypes: nothing is compiled.

The library is $FLEXWATT_LIBRARY, else the one beside this installation or built from these sources by make, else what the
dynamic linker finds. What is not known is NaN.
"""
from __future__ import annotations

import ctypes
import os
import pathlib
import threading
from dataclasses import dataclass, fields
from types import TracebackType
from typing import Any

_NAME = "libflexwatt.so.0"
_ERROR_SIZE = 512


class MeterError(RuntimeError):
    """What the meter could not do, and what would help."""


@dataclass(frozen=True)
class Figures:
    """What was found between start and stop, or so far."""

    seconds: float
    cpu_seconds: float
    memory_peak_mb: float
    joules: float
    joules_low: float
    joules_high: float
    joules_dynamic: float
    joules_idle: float
    watts: float
    operational_gco2e: float
    embodied_gco2e: float
    modelled: bool
    source: str
    methods: str


@dataclass(frozen=True)
class Energy:
    """One figure by source and domain; domains may hold each other."""

    source: str
    domain: str
    flags: str
    joules: float
    low: float
    high: float
    dynamic_j: float
    idle_j: float


class _Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("pid", ctypes.c_int64), ("cpus", ctypes.c_double), ("region", ctypes.c_char_p)]


_TEXT_SIZES = {"source": 32, "domain": 16, "flags": 64, "methods": 256}


def _structure(kind: type) -> list[tuple[str, type]]:
    """The members in C of what a class of figures lists, in its order."""
    known: dict[str, type] = {"float": ctypes.c_double, "bool": ctypes.c_int}
    return [("size", ctypes.c_size_t), *((one.name, known.get(str(one.type)) or ctypes.c_char * _TEXT_SIZES[one.name]) for one in fields(kind))]


def _values(kind: type, structure: ctypes.Structure) -> dict[str, Any]:
    convert: dict[str, Any] = {"float": float, "bool": bool, "str": bytes.decode}
    return {one.name: convert[str(one.type)](getattr(structure, one.name)) for one in fields(kind)}


class _Figures(ctypes.Structure):
    _fields_ = _structure(Figures)


class _Energy(ctypes.Structure):
    _fields_ = _structure(Energy)


_library: ctypes.CDLL | None = None
_loading = threading.Lock()


def _candidates() -> list[str]:
    named = os.environ.get("FLEXWATT_LIBRARY")
    if named:
        return [named]
    beside = []
    for prefix in list(pathlib.Path(__file__).resolve().parents)[4:5]:  # PREFIX/share/flexwatt/python/flexwatt/meter.py
        beside = sorted(prefix.glob(f"lib*/{_NAME}")) + sorted(prefix.glob(f"lib/*/{_NAME}"))
    for sources in list(pathlib.Path(__file__).resolve().parents)[3:4]:  # SOURCES/sdk/python/flexwatt/meter.py, built by make
        beside += sorted(sources.glob(f"build/release/src/library/{_NAME}"))
    return [*map(str, beside), _NAME]


def _load() -> ctypes.CDLL:
    global _library
    with _loading:
        if _library is not None:
            return _library
        reasons = []
        for name in _candidates():
            try:
                library = ctypes.CDLL(name)
                break
            except OSError as error:
                reasons.append(str(error))
        else:
            raise MeterError(f"libflexwatt is not there ({'; '.join(reasons)}): install flexwatt, or build it "
                             f"by make, or set FLEXWATT_LIBRARY to its {_NAME} and FLEXWATT_DATA to the directory data of its sources")
        meter, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
        library.fw_meter_start.argtypes = [ctypes.POINTER(_Options), ctypes.POINTER(meter), text, size]
        library.fw_meter_read.argtypes = [meter, ctypes.POINTER(_Figures), text, size]
        library.fw_meter_energies.argtypes = [meter, ctypes.POINTER(_Energy), size]
        library.fw_meter_energies.restype = size
        library.fw_meter_stop.argtypes = [meter, ctypes.POINTER(_Figures), text, size]
        library.fw_meter_version.restype = text
        _library = library
        return library


class Meter:
    """Meters this process and its children, or those of `pid`, from start() to stop() or within a `with` block.

    `cpus`: CPUs whose idle power is its own (default: all that it may use; N workers that share a machine: all / N). `region`: whose
    grid counts. After stop() its figures are attributes: joules, joules_low, joules_high, seconds, watts, source, … (Figures).
    """

    def __init__(self, pid: int | None = None, cpus: float | None = None, region: str | None = None) -> None:
        self._meter = ctypes.c_void_p()  # first: __del__ needs it whatever the options are
        self._options = _Options(ctypes.sizeof(_Options), pid or 0, cpus or 0.0, region.encode() if region else None)
        self.figures: Figures | None = None
        self.energies: list[Energy] = []

    def start(self) -> Meter:
        if self._meter:
            raise MeterError("the meter runs already")
        error = ctypes.create_string_buffer(_ERROR_SIZE)
        if _load().fw_meter_start(ctypes.byref(self._options), ctypes.byref(self._meter), error, _ERROR_SIZE) != 0:
            raise MeterError(error.value.decode(errors="replace"))
        return self

    def read(self) -> Figures:
        """The figures so far; the meter runs on."""
        if not self._meter:
            raise MeterError("the meter does not run")
        figures, error = _Figures(ctypes.sizeof(_Figures)), ctypes.create_string_buffer(_ERROR_SIZE)
        if _load().fw_meter_read(self._meter, ctypes.byref(figures), error, _ERROR_SIZE) != 0:
            raise MeterError(error.value.decode(errors="replace"))
        self._take(figures)
        assert self.figures is not None
        return self.figures

    def stop(self) -> Figures:
        """The last figures. The meter may be started again."""
        try:
            figures = self.read()
        finally:
            self._free()
        return figures

    def _free(self) -> None:
        meter, self._meter = self._meter, ctypes.c_void_p()
        if meter:
            _load().fw_meter_stop(meter, None, None, 0)

    def _take(self, figures: _Figures) -> None:
        self.figures = Figures(**_values(Figures, figures))
        count = _load().fw_meter_energies(self._meter, None, 0)
        found = (_Energy * count)(*(_Energy(ctypes.sizeof(_Energy)) for _ in range(count)))
        _load().fw_meter_energies(self._meter, found, count)
        self.energies = [Energy(**_values(Energy, one)) for one in found]

    def __getattr__(self, name: str) -> Any:
        """The figures are attributes of the meter as well, once there are any."""
        figures = self.__dict__.get("figures")
        if figures is None or name.startswith("_"):
            raise AttributeError(f"the meter has no {name}, or has not been read yet")
        return getattr(figures, name)

    def __enter__(self) -> Meter:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.stop()
        else:
            self._free()  # what failed keeps its own error

    def __del__(self) -> None:
        if self._meter and _library is not None:
            self._free()
