"""Your own SM threshold for TorchInductor's max-autotune GEMM gate.

    import inductor_override as io

    with io.override(min_sms=0):
        model = torch.compile(model, mode="max-autotune")
        model(x)

Importing this package imports neither torch nor wrapt, and its own modules only when they are
used: torch imports it in every process (see `autoload`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inductor_override.api import disable, enable, options, override, report
    from inductor_override.comparison import compare
    from inductor_override.errors import NoEffectWarning, UnsupportedTorchError
    from inductor_override.explanation import explain
    from inductor_override.scope import Scope
    from inductor_override.status_report import Status, status
    from inductor_override.tuning_report import TuningReport

__version__ = "0.1.0"

__all__ = [
    "NoEffectWarning",
    "Scope",
    "Status",
    "TuningReport",
    "UnsupportedTorchError",
    "__version__",
    "compare",
    "disable",
    "enable",
    "explain",
    "options",
    "override",
    "report",
    "status",
]

_DEFINED_IN = {
    "api": ("disable", "enable", "options", "override", "report"),
    "comparison": ("compare",),
    "explanation": ("explain",),
    "errors": ("NoEffectWarning", "UnsupportedTorchError"),
    "scope": ("Scope",),
    "status_report": ("Status", "status"),
    "tuning_report": ("TuningReport",),
}


def __getattr__(name: str) -> Any:
    for module, names in _DEFINED_IN.items():
        if name in names:
            value = getattr(import_module(f"{__name__}.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
