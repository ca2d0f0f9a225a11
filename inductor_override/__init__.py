"""Your own SM threshold for TorchInductor's max-autotune GEMM gate.

    import inductor_override as io

    with io.override(min_sms=0):
        model = torch.compile(model, mode="max-autotune")
        model(x)

Importing this package imports neither torch nor wrapt.
"""

from __future__ import annotations

from inductor_override._api import disable, enable, options, override
from inductor_override._errors import NoEffectWarning, UnsupportedTorchError
from inductor_override._scope import Scope
from inductor_override._status import Status, status

__version__ = "0.1.0"

__all__ = [
    "NoEffectWarning",
    "Scope",
    "Status",
    "UnsupportedTorchError",
    "__version__",
    "disable",
    "enable",
    "options",
    "override",
    "status",
]
