"""What the torch at hand has, by name: a test asks for what it needs, not for a number."""

from __future__ import annotations

import torch

_MAJOR, _MINOR = torch.__version__.split(".")[:2]
RELEASE = (int(_MAJOR), int(_MINOR))


def _from(major: int, minor: int) -> bool:
    return (major, minor) <= RELEASE


HAS_GEMM_BACKENDS = NAMES_ITS_KERNELS = _from(2, 1)
CONSUMER_TAKES_DTYPES = LOADS_DICTS = HAS_GRAPH_CACHE = NAMES_TEMPLATES = _from(2, 2)
HAS_FX_CACHE = HAS_TRACE = _from(2, 3)
STOCK_MIN_SMS = 68 if _from(2, 4) else 80
COPIES_CONFIG = CHECKS_BFLOAT16 = _from(2, 4)
READS_VARIABLES = _from(2, 5)
HAS_CONFIG_EARLY = RELEASE == (2, 5)
GATE_TAKES_DEVICE = _from(2, 6)
CONFIG_HAS_ENTRIES = FORCES_OPTIONS = _from(2, 6)
"""With a default apart from the value; before, the config is a dict of plain values."""
HAS_FEEDBACK = HAS_AOT_CACHE = HOOKS_GRAPHS = HAS_AOTI_PACKAGES = CAPTURES_MODELS = _from(2, 6)
COMPILES_IN_CHILDREN = HAS_ALIASES = KNOWS_TYPES_OF_OPTIONS = _from(2, 7)
HAS_STANDALONE_COMPILE = HAS_COMPILED_AUTOGRAD = _from(2, 8)
INTERPRETER_COUNTS = _from(2, 12)
"""Triton's interpreter runs loops with any numpy that torch takes."""
HAS_REGIONAL_INDUCTOR = _from(2, 10)
VALUES_PER_THREAD = _from(2, 12)
THREADS_KEEP_COPIES = TUNES_CUSTOM_OPERATORS = _from(2, 13)
OPTIONS_IMPLY_OTHERS = _from(2, 15)
