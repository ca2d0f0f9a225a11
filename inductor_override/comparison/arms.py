"""An arm: one way to compile the same thing."""

from __future__ import annotations

import ast
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from inductor_override.comparison.errors import ComparisonError
from inductor_override.request.names import OPTION

STOCK = "stock"
DEFAULT_ARMS = (STOCK, "min_sms=0")
PRECISIONS = ("highest", "high", "medium")
_FORM = "stock, or NAME=VALUE pairs with commas between them, such as min_sms=0,mode=max-autotune"


@dataclass(frozen=True)
class Arm:
    """What is particular to one arm; the rest is the same in all.

    Attributes:
        name: as the user wrote it.
        min_sms: the override's threshold; None compiles without the override.
        mode: of `torch.compile`; None takes the comparison's.
        precision: for `torch.set_float32_matmul_precision`; None leaves torch's.
        options: of `torch._inductor.config`.
    """

    name: str
    min_sms: int | None = None
    mode: str | None = None
    precision: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def same_as(self, other: Arm) -> bool:
        """Whether the two differ in nothing but their names."""
        mine, others = asdict(self), asdict(other)
        return {**mine, "name": ""} == {**others, "name": ""}

    @property
    def only_compiles(self) -> bool:
        """Whether all that the arm changes would be seen in the generated code."""
        return self.mode is None and self.precision is None

    @classmethod
    def parse(cls, text: str) -> Arm:
        """Read what `--arm` accepts. A value may contain commas: ATEN,TRITON.

        Raises:
            ComparisonError: another form. Names and values of options are not checked here: that
                takes torch.
        """
        name = text.strip()
        if name == STOCK:
            return cls(name)
        pairs: list[list[str]] = []
        for part in name.split(","):
            key, equals, value = part.partition("=")
            if equals and key.strip():
                pairs.append([key.strip(), value.strip()])
            elif pairs:
                pairs[-1][1] += f",{part.strip()}"
            else:
                raise ComparisonError(f"--arm {text!r} is not valid; allowed: {_FORM}")
        chosen: dict[str, Any] = {"options": {}}
        for key, value in pairs:
            if key.replace("-", "_") in ("min_sms", OPTION):
                chosen["min_sms"] = _threshold(value, text)
            elif key == "mode":
                chosen["mode"] = value
            elif key == "precision":
                if value not in PRECISIONS:
                    allowed = ", ".join(PRECISIONS)
                    raise ComparisonError(f"--arm {text!r}: precision must be one of {allowed}")
                chosen["precision"] = value
            else:
                chosen["options"][key] = _literal(value)
        return cls(name, **chosen)


def checked(arms: list[Arm]) -> list[Arm]:
    """Check options and modes against this environment's Inductor, which is imported for it.

    Raises:
        ComparisonError: fewer than two arms, or there is no such option or mode, or a value is of
            another kind; the message names the nearest.
    """
    if len(arms) < 2:
        raise ComparisonError("a comparison takes two arms or more; write --arm for each")
    import torch._inductor
    import torch._inductor.config as config

    from inductor_override.request.inductor_options import check_inductor_options, did_you_mean

    if not hasattr(torch._inductor, "list_mode_options"):
        raise ComparisonError(
            "compare needs torch 2.1 or later, for max-autotune without CUDA graphs; this is "
            f"torch {torch.__version__}"
        )
    modes, found = torch._inductor.list_mode_options(), []
    for arm in arms:
        if arm.mode is not None and arm.mode not in modes:
            raise ComparisonError(
                f"--arm {arm.name!r}: torch.compile has no mode {arm.mode!r}"
                f"{did_you_mean(arm.mode, modes)} (it has {', '.join(modes)})"
            )
        try:
            options = check_inductor_options(arm.options, config)
        except (TypeError, ValueError) as error:
            raise ComparisonError(f"--arm {arm.name!r}: {error}") from None
        found.append(replace(arm, options=options))
    return found


def _threshold(value: str, text: str) -> int:
    if not value.isascii() or not value.isdigit():
        raise ComparisonError(
            f"--arm {text!r}: min_sms must be a whole number from 0 on; got {value!r}"
        )
    return int(value)


def _literal(value: str) -> Any:
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return value
