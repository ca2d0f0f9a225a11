"""What the options accept, as click callbacks.

Each refusal is one line that names the option, the value, and what is allowed.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

import click

from inductor_override import catalogue
from inductor_override.cli.errors import CannotError
from inductor_override.workload.problem import DTYPE_ALIASES, DTYPES

# Beyond any GEMM of a model; far beyond, torch cannot count a fake tensor's bytes.
LARGEST_SIDE = 1 << 20
_UNITS = {"s": 1, "m": 60, "h": 3600}


def gpus(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[catalogue.Gpu, ...]:
    """GPUs of the catalogue, by their names."""
    return tuple(_gpu(param, name) for name in value)


def _gpu(param: click.Parameter, name: str) -> catalogue.Gpu:
    try:
        return catalogue.find(name)
    except catalogue.UnknownGpuError as error:
        raise CannotError(
            f"{param.opts[0]}: {error} (all: inductor-override gpus; any other by --sms, "
            "--capability and --shared-memory)"
        ) from None


def gpus_by_numbers(
    named: tuple[catalogue.Gpu, ...],
    sms: int | None,
    capability: str | None,
    shared_memory: int | None,
) -> list[catalogue.Gpu]:
    """The GPUs of `--gpu`, with the given numbers in place of their own.

    Without `--gpu` a new one of these numbers; none if there are no numbers either.
    """
    if sms is None and capability is None and shared_memory is None:
        return list(named)
    if not named:
        return [_by_numbers(None, sms, capability, shared_memory)]
    return [_by_numbers(each, sms, capability, shared_memory) for each in named]


def _by_numbers(
    named: catalogue.Gpu | None, sms: int | None, capability: str | None, shared_memory: int | None
) -> catalogue.Gpu:
    numbers = named.compute_capability if named else None
    if capability is not None:
        match = re.fullmatch(r"(\d{1,2})\.(\d)", capability, re.ASCII)
        numbers = (int(match[1]), int(match[2])) if match else None
        if numbers not in catalogue.SHARED_MEMORY_OPTIN:
            known = ", ".join(f"{a}.{b}" for a, b in sorted(catalogue.SHARED_MEMORY_OPTIN))
            raise CannotError(f"--capability {capability!r} is not valid; allowed: {known}")
    if numbers is None:
        raise CannotError("--capability X.Y is missing: a GPU without --gpu NAME needs it")
    count = sms if sms is not None else named.sms if named else None
    if count is None:
        raise CannotError("--sms N is missing: a GPU without --gpu NAME needs it")
    if shared_memory is None:
        own = named is not None and capability is None
        shared_memory = (
            named.shared_memory_optin
            if named is not None and own
            else catalogue.SHARED_MEMORY_OPTIN[numbers]
        )
    name = f"{named.name} with other numbers" if named else "GPU of these numbers"
    return catalogue.Gpu(name, count, numbers, shared_memory, "given")


def shapes(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[tuple[int, int, int], ...]:
    """The sizes (m, k, n) of products, each from "MxKxN"."""
    return tuple(_shape(param, each) for each in value)


def _shape(param: click.Parameter, value: str) -> tuple[int, int, int]:
    match = re.fullmatch(r"(\d{1,7})x(\d{1,7})x(\d{1,7})", value, re.ASCII | re.IGNORECASE)
    sides = [int(side) for side in match.groups()] if match else []
    if not sides or not all(1 <= side <= LARGEST_SIDE for side in sides):
        allowed = f"MxKxN, such as 1024x1024x1024, each from 1 to {LARGEST_SIDE}"
        _refuse(param, value, allowed)
    m, k, n = sides
    return m, k, n


def dtype(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A dtype that Inductor has GEMM templates for, by torch's name or a usual short one."""
    if value is None:
        return None
    name = value.lower().removeprefix("torch.")
    name = DTYPE_ALIASES.get(name, name)
    if name not in DTYPES:
        _refuse(param, value, ", ".join(DTYPES))
    return name


def settings(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[str, Any]:
    """Further Inductor options."""
    from inductor_override.cli.settings import checked_settings

    return checked_settings(value)


def model(where: str, inputs: tuple[str, ...]) -> tuple[Any, list[Any]]:
    """What `--module` names, and the tensors of `--input`."""
    from inductor_override.workload.inputs import parse_input
    from inductor_override.workload.model import load

    return load(where), [parse_input(each) for each in inputs]


def min_sms(ctx: click.Context, param: click.Parameter, value: str) -> int:
    """A number of SMs; 0 asks for none."""
    if not re.fullmatch(r"\d{1,9}", value, re.ASCII):
        _refuse(param, value, "a whole number from 0 to 999999999")
    return int(value)


def budget(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Seconds, from 90s, 10m or 2h."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,5})([smh])", value, re.ASCII)
    if match is None or not int(match[1]):
        _refuse(param, value, "such as 90s, 10m or 2h")
    return int(match[1]) * _UNITS[match[2]]


def effect(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """A fraction, from 1% or 1."""
    match = re.fullmatch(r"(\d{1,2}(?:\.\d{1,3})?)%?", value, re.ASCII)
    if match is None or not 0 < float(match[1]) <= 50:
        _refuse(param, value, "such as 1%, up to 50%")
    return float(match[1]) / 100


def _refuse(param: click.Parameter, value: str, allowed: str) -> NoReturn:
    raise CannotError(f"{param.opts[0]} {value!r} is not valid; allowed: {allowed}")
