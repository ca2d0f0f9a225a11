"""The public functions: one scope, the whole process, one model."""

from __future__ import annotations

import importlib
from typing import Any

from inductor_override.install import on_import
from inductor_override.install.installation import installation
from inductor_override.messages import say, say_once
from inductor_override.request.environment import read_environment, switch_problem, switched_off
from inductor_override.request.inductor_options import (
    check_for_torch_compile,
    check_inductor_options,
    did_you_mean,
)
from inductor_override.request.min_sms import check_min_sms
from inductor_override.request.names import CONFIG, ENV_DISABLE, ENV_OPTION, OPTION, TORCH_DECIDES
from inductor_override.scope import Scope
from inductor_override.tuning_report import TuningReport


def override(min_sms: int = 0, *, isolate: bool = False, **inductor_config: Any) -> Scope:
    """A scope in which the SM threshold of Inductor's GEMM autotuning is yours.

    Use it with `with`, or as a decorator of a function or a coroutine function. It can be nested,
    entered again, and left in any order; what it changed is put back exactly, the hook on
    `torch._inductor.utils.is_big_gpu` included, when the last scope of the process has ended.

    What is compiled in the scope keeps its code after it. What was compiled before keeps its own:
    open the scope around the first call of the compiled function. A function that was compiled in
    the scope and is compiled again after it, for another shape, is compiled without the override.

    Until torch 2.11 Inductor's options are process-wide, and so is an open scope. From 2.12 on
    they are per thread (and per asyncio task).

    Args:
        min_sms: 0 lets every GPU through, N lets a GPU through that has at least N SMs.
        isolate: reset Dynamo on entry and when the scope is left, so that nothing compiled
            outside is used inside and nothing compiled inside is used after. For A/B experiments.
        **inductor_config: other options of `torch._inductor.config` for the same scope.

    Raises:
        TypeError, ValueError: `min_sms` is not an int >= 0, `isolate` is not a bool, or there is no
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


def enable(min_sms: int | None = None, **inductor_config: Any) -> None:
    """Set the threshold for the whole process, all threads, until `disable`.

    Args:
        min_sms: as for `override`. None makes the option available (to `config.patch`, to
            `torch.compile(options=)`), takes back the number of an earlier `enable` and leaves the
            decision to the environment variable if it is set, else to torch.
        **inductor_config: not allowed; named here so that the message says what to write.

    Raises:
        TypeError, ValueError: `min_sms` is not an int >= 0, or another option was given.
        UnsupportedTorchError: this torch has another shape than any known. Nothing changed.
    """
    if inductor_config:
        name, value = next(iter(inductor_config.items()))
        raise TypeError(
            "enable() sets the threshold alone. For other options of the whole process write "
            f"torch._inductor.config.{name} = {value!r}, for a block "
            f"override(..., {name}={value!r})"
        )
    value, set_by = None if min_sms is None else check_min_sms(min_sms), "enable()"
    if min_sms is None:
        found = read_environment()
        value, set_by = found.min_sms, ENV_OPTION
        for problem in found.problems:
            say_once(problem)
    else:
        _say_switch_problem()
    if switched_off():
        say_once(f"enable() does nothing: {ENV_DISABLE}=1")
        return
    if value is None:
        installation.hold("enable", process_wide=(TORCH_DECIDES, None))
    else:
        installation.hold("enable", process_wide=(value, set_by))
        _say_if_assigned(value)


def disable() -> None:
    """Take back `enable`, `options`, the environment variable and `run --set`.

    Open scopes stay open. With no scope open, torch is as it was: `is_big_gpu` is the object that
    it was, the config has the options that it had. Call it while no other thread compiles: a graph
    that is compiled at that moment may be kept under a key with the threshold and be torch's.
    """
    on_import.state.stop()
    installation.release_all_but_scopes()


def options(mode: str | None = None, *, min_sms: int = 0, **inductor_config: Any) -> dict[str, Any]:
    """Options for one model: `torch.compile(model, options=options(mode="max-autotune"))`.

    `torch.compile` takes either `mode` or `options`; this gives the options of a mode, the
    threshold, and further options in one dict. The threshold holds for forward and backward of
    that model and for nothing else. The option is made available until `disable`. In another
    process `torch.compile` knows the dict only after `enable()` there.

    Args:
        mode: a mode of `torch.compile`, such as "max-autotune".
        min_sms: as for `override`.
        **inductor_config: other options of `torch._inductor.config`.

    Raises:
        TypeError, ValueError: `min_sms` is not an int >= 0, or there is no such mode or option,
            or an option's value is of another kind than the present one, or `torch.compile` would
            refuse it.
        UnsupportedTorchError: this torch has another shape than any known. Nothing changed.
    """
    value = check_min_sms(min_sms)
    further = check_inductor_options(inductor_config, _config())
    chosen = {**_options_of_mode(mode), **further}
    if further:
        check_for_torch_compile(chosen)
    _say_switch_problem()
    if switched_off():
        say_once(f"options() leaves {OPTION} out: {ENV_DISABLE}=1")
        return chosen
    installation.hold("options")
    config, selection = _config(), installation.selection
    switches = selection.patch.autotune_switches if selection else ()
    if not any(chosen.get(name, getattr(config, name, False)) for name in switches):
        say_once(
            f"options(mode={mode!r}, min_sms={value}) does not switch max-autotune on, and the "
            "config has it off: unless you add it to the dict, nothing asks the gate. Use "
            "options(mode='max-autotune'), or add max_autotune_gemm=True"
        )
    return {**chosen, OPTION: value}


def report() -> TuningReport:
    """What was compiled and tuned in this process while the package was installed.

    In scopes, and under `enable`, `options` and the environment variable; also after `disable`.
    The figures are torch's own; before torch 2.6 it does not tell what its tuner measured.
    """
    return TuningReport.of(installation.counts)


def _config() -> Any:
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


def _say_switch_problem() -> None:
    if problem := switch_problem():
        say_once(problem)


def _say_if_assigned(value: int) -> None:
    store, scopes = installation.store, installation.scopes
    if store is None or scopes is None or scopes.here():
        return
    now = store.min_sms()
    if now != value:
        say(
            f"enable(min_sms={value}) does not reach this thread: "
            f"torch._inductor.config.{OPTION} was assigned {now!r} here, and an assigned value "
            f"comes before enable() and before {ENV_OPTION}"
        )
