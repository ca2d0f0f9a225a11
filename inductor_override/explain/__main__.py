"""The process with the simulated GPU: lowers twice, without and with the override.

Reads one JSON object from standard input and writes one to standard output.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import inductor_override
from inductor_override.catalogue import Gpu
from inductor_override.simulation import (
    SimulationError,
    UnknownTorchError,
    gate_is_open,
    gate_threshold,
    install_gpu,
    lower,
)


def reply_to(request: dict[str, Any]) -> dict[str, Any]:
    """Both lowerings, each with what the gate said."""
    gpu = request["gpu"]
    install_gpu(Gpu(**{**gpu, "compute_capability": tuple(gpu["compute_capability"])}))
    _check_torch()
    min_sms: int = request["min_sms"]
    stock = {
        "lowering": lower(**request["lower"]).to_dict(),
        "open": gate_is_open(),
        "required_sms": gate_threshold(),
        "consulted": None,
    }
    with inductor_override.override(min_sms=min_sms) as scope:
        override: dict[str, Any] = {"lowering": lower(**request["lower"]).to_dict()}
        override["consulted"] = scope.consulted
        override["open"] = gate_is_open()
        override["required_sms"] = min_sms
    return {"stock": stock, "override": override}


def _check_torch() -> None:
    """Raises UnknownTorchError. Before torch alone is asked: it would fail on its own terms."""
    try:
        inductor_override.enable()
    except inductor_override.UnsupportedTorchError as error:
        raise UnknownTorchError(str(error)) from None
    inductor_override.disable()


def main() -> None:
    # Whatever prints from here on does not end up in the answer.
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        reply = reply_to(json.load(sys.stdin))
    except SimulationError as error:
        reply = {"error": type(error).__name__, "message": str(error)}
    with answer:
        json.dump(reply, answer)


if __name__ == "__main__":
    main()
