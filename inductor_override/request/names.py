"""The names by which the package is known to torch and to the environment."""

from __future__ import annotations

from typing import Final

OPTION: Final = "max_autotune_gemm_min_sms"
"""The option that the package adds to `torch._inductor.config`."""

ENV_OPTION: Final = "TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS"
"""Sets the option for the whole process: an integer, -1 (torch decides) or more."""

ENV_DISABLE: Final = "INDUCTOR_OVERRIDE_DISABLE"
"""`1` makes every entry of the package a no-op."""

ENV_SETTINGS: Final = "INDUCTOR_OVERRIDE_SETTINGS"
"""Further options of Inductor's config as a JSON object: how `run --set` reaches its children."""

ENV_REPORT: Final = "INDUCTOR_OVERRIDE_REPORT"
"""Where each process reports at its end what it tuned: a file, or `-` for its standard error."""

ENV_REPORT_BY: Final = "INDUCTOR_OVERRIDE_REPORT_BY"
"""The process that `run --report` became: this one reports also where it compiled nothing."""

ENV_COMPILE_MODE: Final = "TORCHINDUCTOR_FX_COMPILE_MODE"
"""torch's own: with SUBPROCESS in it (from 2.7 on) Inductor lowers graphs in a child process."""

TORCH_DECIDES: Final = -1
"""The option's default: the gate asks torch's own function."""

CONFIG: Final = "torch._inductor.config"
UTILS: Final = "torch._inductor.utils"
COMPILE_FX: Final = "torch._inductor.compile_fx"
