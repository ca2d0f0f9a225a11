"""The public functions: one scope, the whole process, one model."""

from __future__ import annotations

from typing import Any

from inductor_override._installation import installation
from inductor_override._names import CONFIG, ENV_OPTION, OPTION, TORCH_DECIDES, log
from inductor_override._notices import say_once
from inductor_override._option import (
    EnvironmentValue,
    check_inductor_options,
    check_min_sms,
    did_you_mean,
    read_environment,
    switched_off,
)
from inductor_override._scope import Scope


def override(min_sms: int = 0, *, isolate: bool = False, **inductor_config: Any) -> Scope:
    """A scope in which the SM threshold of Inductor's GEMM autotuning is yours.

    Use it with `with`, or as a decorator of a function or a coroutine function. It can be nested,
    entered again, and left in any order; what it changed is put back exactly, the hook on
    `torch._inductor.utils.is_big_gpu` included, when the last scope of the process has ended.

    What is compiled in the scope keeps its code after it. What was compiled before keeps its own:
    open the scope around the first call of the compiled function.

    Until torch 2.11 Inductor's options are process-wide, and so is an open scope. From 2.12 on
    they are per thread (and per asyncio task).

    Args:
        min_sms: 0 lets every GPU through, N lets a GPU through that has at least N SMs.
        isolate: reset Dynamo on entry and when the scope is left, so that nothing compiled
            outside is used inside and nothing compiled inside is used after. For A/B experiments.
        **inductor_config: other options of `torch._inductor.config` for the same scope.

    Raises:
        TypeError, ValueError: `min_sms` is not an int >= 0, `isolate` is no bool, or there is no
            such option, or its value is of another kind than the present one (a text for a bool).
        UnsupportedTorchError: on entry, if this torch has another shape than any known.

    Warns:
        NoEffectWarning: on exit, if no graph was compiled in the scope.
    """
    values = {OPTION: check_min_sms(min_sms)}
    if not isinstance(isolate, bool):
        raise TypeError(f"isolate must be True or False; got {isolate!r}")
    if inductor_config:  # only then is Inductor imported before the scope is entered
        values |= check_inductor_options(inductor_config, _config())
    return Scope(values, isolate=isolate)


def enable(min_sms: int | None = None) -> None:
    """Set the threshold for the whole process, all threads, until `disable`.

    Args:
        min_sms: as for `override`. None makes the option available (to `config.patch`, to
            `torch.compile(options=)`), takes back the number of an earlier `enable` and leaves the
            decision to the environment variable if it is set, else to torch.

    Raises:
        TypeError, ValueError: `min_sms` is not an int >= 0.
        UnsupportedTorchError: this torch has another shape than any known. Nothing changed.
    """
    found = read_environment() if min_sms is None else EnvironmentValue(check_min_sms(min_sms))
    value = found.value
    if found.problem:
        say_once(found.problem)
    if switched_off():
        log.info("enable() does nothing: INDUCTOR_OVERRIDE_DISABLE=1")
        return
    installation.hold("enable")
    if value is not None or not installation.holders["environment"]:
        installation.set_base(TORCH_DECIDES if value is None else value)
    _say_if_shadowed(value)


def disable() -> None:
    """Take back `enable`, `options`, the environment variable and `run --set`.

    Open scopes stay in force.

    With no scope open, torch is as it was: `is_big_gpu` is the object that it was, the config has
    the options that it had.
    """
    installation.let_go_of_all_but_scopes()


def options(mode: str | None = None, *, min_sms: int = 0, **inductor_config: Any) -> dict[str, Any]:
    """Options for one model: `torch.compile(model, options=options(mode="max-autotune"))`.

    `torch.compile` takes either `mode` or `options`; this gives the options of a mode, the
    threshold, and further options in one dict. The threshold holds for forward and backward of
    that model and for nothing else. The option is made available until `disable`.

    Args:
        mode: a mode of `torch.compile`, such as "max-autotune".
        min_sms: as for `override`.
        **inductor_config: other options of `torch._inductor.config`.

    Raises:
        TypeError, ValueError: `min_sms` is not an int >= 0, or there is no such mode or option,
            or an option's value is of another kind than the present one.
        UnsupportedTorchError: this torch has another shape than any known. Nothing changed.
    """
    value = check_min_sms(min_sms)
    further = check_inductor_options(inductor_config, _config())
    chosen = {**_options_of_mode(mode), **further}
    if switched_off():
        log.info("options() leaves %s out: INDUCTOR_OVERRIDE_DISABLE=1", OPTION)
        return chosen
    installation.hold("options")
    if not _autotunes(chosen):
        say_once(
            f"options(mode={mode!r}, min_sms={value}) does not switch max-autotune on, and the "
            "config has it off: unless you add it to the dict, nothing asks the gate. Use "
            "options(mode='max-autotune'), or add max_autotune_gemm=True"
        )
    return {**chosen, OPTION: value}


def _config() -> Any:
    import importlib

    return importlib.import_module(CONFIG)


def _options_of_mode(mode: str | None) -> dict[str, Any]:
    if mode is None:
        return {}
    import torch._inductor

    if hasattr(torch._inductor, "list_mode_options"):  # from 2.1 on
        known = torch._inductor.list_mode_options()
    else:
        known = {
            name: torch._TorchCompileInductorWrapper(name, None, None).config
            for name in ("default", "reduce-overhead", "max-autotune")
        }
    if not isinstance(mode, str):
        raise TypeError(
            f"mode must be one of {', '.join(map(repr, known))}; got {mode!r} "
            f"({type(mode).__name__})"
        )
    if mode not in known:
        raise ValueError(
            f"torch.compile has no mode {mode!r}{did_you_mean(mode, known)} "
            f"(it has {', '.join(map(repr, known))})"
        )
    return dict(known[mode])


def _autotunes(chosen: dict[str, Any]) -> bool:
    config = _config()
    return any(
        chosen.get(name, getattr(config, name, False))
        for name in ("max_autotune", "max_autotune_gemm")  # the second from 2.1 on
    )


def _say_if_shadowed(value: int | None) -> None:
    store, scopes = installation.store, installation.scopes
    if value is None or store is None or scopes is None or scopes.here():
        return
    ruling = store.read(OPTION)
    if ruling != value:
        log.warning(
            "enable(min_sms=%s): here torch._inductor.config.%s was assigned %s, which rules over "
            "the process-wide value (and over %s)",
            value,
            OPTION,
            ruling,
            ENV_OPTION,
        )
