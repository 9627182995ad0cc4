# SPDX-License-Identifier: Apache-2.0
"""The import paths of FlexExecutor, for functions that were written for it and where it is not installed.

StageContext is ours. What builds and runs its workflows can be named and put together, so that a file that holds functions and a
workflow can be imported; to run it is `flexwatt run`'s part, and says so.
"""
import importlib.machinery
import types

from .stage import StageContext


def _not_here(name):
    raise RuntimeError(f"{name} belongs to FlexExecutor: under flexwatt the workflow file says what runs (flexwatt run workflow.yaml)")


class _Part:
    """Something of a workflow's definition: keeps what it is given."""

    def __init__(self, *arguments, **settings):
        self.arguments, self.settings = arguments, settings

    def __rshift__(self, other):
        return other

    def __lshift__(self, other):
        return other

    def __rrshift__(self, other):
        return self

    def __rlshift__(self, other):
        return self

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        settings = self.__dict__.get("settings", {})
        return settings[name] if name in settings else lambda *arguments, **named: None


class DAG(_Part):
    """A workflow; see the workflow file."""


class Stage(_Part):
    """A stage; see the workflow file."""


class FlexData(_Part):
    """Objects; see `inputs` and `outputs` in the workflow file."""

    @property
    def id(self):
        return self.settings.get("custom_data_id") or (self.arguments[0] if self.arguments else self.settings.get("prefix"))


class Chunker(_Part):
    """A partitioning; see `range` in the workflow file."""


class StageConfig(_Part):
    """Resources of a stage; see `memory`, `cpus` and `workers` in the workflow file."""


class FunctionTimes(_Part):
    """What a stage took; flexwatt's record has it."""


class DAGExecutor(_Part):
    def execute(self, *arguments, **settings):
        _not_here("DAGExecutor.execute()")

    profile = train = predict = optimize = execute


class _Names:
    """An enumeration of which only the names matter."""

    def __init__(self, *names):
        for value, name in enumerate(names, 1):
            setattr(self, name, value)


StrategyEnum = _Names("SCATTER", "BROADCAST")
ChunkerTypeEnum = _Names("STATIC", "DYNAMIC")
PerfModelEnum = _Names("ANALYTIC", "GENETIC", "DISTRIBUTION", "MIXED")


class Scheduler(_Part):
    def schedule(self, *arguments, **settings):
        _not_here("Scheduler.schedule()")


def setup_logging(level=None, *arguments, **settings):
    import logging
    logger = logging.getLogger("flexecutor")
    if level is not None:
        logger.setLevel(level)
    return logger


def get_my_exec_path():
    import os
    return os.getcwd()


def flexorchestrator(*arguments, **settings):
    return lambda function: function


def chunking_static_csv(*arguments, **settings):
    _not_here("chunking_static_csv()")


def chunking_static_txt(*arguments, **settings):
    _not_here("chunking_static_txt()")


_CONTEXT = {"StageContext": StageContext}
_DATA = {"FlexData": FlexData, "FlexInput": FlexData, "FlexOutput": FlexData, "StrategyEnum": StrategyEnum}
_ENUMS = {"StrategyEnum": StrategyEnum, "ChunkerTypeEnum": ChunkerTypeEnum}
_CHUNKING = {"chunking_static_csv": chunking_static_csv, "chunking_static_txt": chunking_static_txt}
_CONFIG = {"StageConfig": StageConfig, "ResourceConfig": StageConfig}
_MODULES = {
    "flexecutor": {**_CONTEXT, "DAG": DAG, "Stage": Stage, "FlexData": FlexData, "DAGExecutor": DAGExecutor},
    "flexecutor.workflow": {},
    "flexecutor.workflow.stagecontext": _CONTEXT,
    "flexecutor.workflow.dag": {"DAG": DAG},
    "flexecutor.workflow.stage": {"Stage": Stage},
    "flexecutor.workflow.executor": {"DAGExecutor": DAGExecutor, **_CONFIG},
    "flexecutor.storage": {},
    "flexecutor.storage.storage": _DATA,
    "flexecutor.storage.chunker": {"Chunker": Chunker},
    "flexecutor.storage.chunking_strategies": _CHUNKING,
    "flexecutor.modelling": {},
    "flexecutor.modelling.perfmodel": {"PerfModelEnum": PerfModelEnum},
    "flexecutor.scheduling": {},
    "flexecutor.scheduling.scheduler": {"Scheduler": Scheduler},
    "flexecutor.scheduling.jolteon": {"Jolteon": Scheduler},
    "flexecutor.scheduling.caerus": {"Caerus": Scheduler},
    "flexecutor.scheduling.ditto": {"Ditto": Scheduler},
    "flexecutor.scheduling.orion": {"Orion": Scheduler},
    "flexecutor.utils": {"StorageContext": StageContext, "IOManager": StageContext, "setup_logging": setup_logging},
    "flexecutor.utils.dataclass": {**_CONFIG, "FunctionTimes": FunctionTimes},
    "flexecutor.utils.enums": _ENUMS,
    "flexecutor.utils.iomanager": {"IOManager": StageContext},
    "flexecutor.utils.storagecontext": {"StorageContext": StageContext},
    "flexecutor.utils.utils": {"flexorchestrator": flexorchestrator, "IOManager": StageContext, "setup_logging": setup_logging,
                               "get_my_exec_path": get_my_exec_path},
}


class _Loader:
    @staticmethod
    def create_module(spec):
        return types.ModuleType(spec.name, "FlexExecutor's names, served by flexwatt.")

    @staticmethod
    def exec_module(module):
        module.__dict__.update(_MODULES[module.__name__])


def find_spec(name):
    if name not in _MODULES:
        return None
    is_package = any(other.startswith(name + ".") for other in _MODULES)
    return importlib.machinery.ModuleSpec(name, _Loader, is_package=is_package)
