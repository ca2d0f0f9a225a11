"""A model of the user's own: found and built with its inputs, on `meta` or on a device."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import inspect
import os
import sys
import sysconfig
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inductor_override.workload.errors import WorkloadError
from inductor_override.workload.inputs import META, placed

added_to_path: list[str] = []
"""Folders that Python did not search before a model was loaded from there."""
_FORM = "PACKAGE.MODULE:NAME or FILE.py:NAME"


@dataclass(frozen=True)
class Model:
    """A module and what its forward method is called with; all tensors are on one device."""

    module: Any
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    name: str = ""


def load(spec: str) -> Any:
    """Import what `PACKAGE.MODULE:NAME` or `FILE.py:NAME` names.

    Raises:
        WorkloadError: there is no such thing, or importing it fails.
    """
    where, colon, name = spec.rpartition(":")
    if not colon or not where or not name:
        raise WorkloadError(f"{spec!r} is not valid; allowed: {_FORM}")
    if not where.endswith(".py") and Path(where).is_file():
        raise WorkloadError(f"{where} is no file of Python; allowed: {_FORM}")
    with _UsersCode(f"importing {where} failed"):
        module = _module(where)
    found = module
    for part in name.split("."):
        found = getattr(found, part, None)
        if found is None:
            names = ", ".join(n for n, v in vars(module).items() if _is_model(v, module)) or "none"
            raise WorkloadError(f"{where} has no {name}; what it has of that kind: {names}")
    return found


def build(
    source: Any,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    dtype: str | None = None,
    train: bool = False,
    device: str = META,
) -> Model:
    """The model on a device, in the mode that is asked about.

    Args:
        source: a module, a class of modules, or a function that returns a module or
            `(module, args[, kwargs])`.
        args, kwargs: the inputs, tensors or TensorSpecs; those of the function if none are given.
        dtype: what floating-point parameters, and tensors among the inputs, are cast to; None
            leaves them. A TensorSpec says its own.
        device: `meta` takes no memory for weights, and leaves a given module as it is; any other
            device is where a given module is moved.

    Raises:
        WorkloadError: building fails, or inputs are missing.
    """
    import torch

    name = getattr(source, "__qualname__", type(source).__qualname__)
    made = source
    if not isinstance(source, torch.nn.Module):
        if not callable(source):
            raise WorkloadError(
                f"{name} is {type(source).__name__}, neither a torch.nn.Module nor a function that "
                "returns one"
            )
        with _UsersCode(f"{name}() raised an error"):
            made = _called(source, device)
    if isinstance(made, tuple) and 2 <= len(made) <= 3:
        made, given, given_kwargs = (*made, {})[:3]
        if not args and not kwargs:
            args, kwargs = given if isinstance(given, (tuple, list)) else (given,), given_kwargs
    if not isinstance(made, torch.nn.Module):
        raise WorkloadError(
            f"{name}() returned {type(made).__name__}; expected a torch.nn.Module, or a tuple of a "
            "module, its arguments, and perhaps its keyword arguments"
        )
    name = type(made).__qualname__
    if device == META:
        with _UsersCode(f"{name} cannot be copied without its weights"):
            module = _on_meta(made)
    else:
        module = _on_device(made, device)
    if dtype is not None:
        module = module.to(getattr(torch, dtype))
    module.train(train)
    to = getattr(torch, dtype) if dtype is not None else None
    inputs, named = (
        torch.utils._pytree.tree_map(lambda each: placed(each, to, device), given)
        for given in (args, kwargs or {})
    )
    if not inputs and not named:
        takes = inspect.signature(module.forward)
        needed = [p for p in takes.parameters.values() if p.default is p.empty]
        if any(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in needed):
            raise WorkloadError(
                f"{name} takes inputs, forward{takes}: give each with --input 'dtype[sizes]' (in "
                "Python as args), or return (model, args) from a function"
            )
    return Model(module, tuple(inputs), dict(named), name)


def users_frames(error: BaseException) -> str:
    """The traceback of an error, cut to the frames in files of the user's own.

    Where no frame is left, the innermost one that is not torch's.
    """
    own = str(Path(__file__).parent.parent)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((own, "<frozen"))
        and f"site-packages{os.sep}torch{os.sep}" not in frame.filename
    ]
    users = [frame for frame in frames if not _installed(frame.filename)]
    said = traceback.format_exception_only(type(error), error)
    return "".join([*traceback.format_list(users or frames[-1:]), *said]).rstrip()


def _installed(filename: str) -> bool:
    libraries = (sysconfig.get_path("stdlib"), "site-packages", "dist-packages")
    return any(each in filename for each in libraries)


class _UsersCode:
    """Turn whatever the user's code raises in the block into a WorkloadError."""

    def __init__(self, message: str) -> None:
        self._message = message

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, where: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, WorkloadError):
            raise WorkloadError(self._message, users_frames(error)) from None
        if isinstance(error, SystemExit):
            raise WorkloadError(
                f"{self._message}: it ended the process", users_frames(error)
            ) from None


def _called(source: Any, device: str) -> Any:
    import torch
    import torch._dynamo  # torch 2.6 cannot import it under a device context

    if device != META:
        return source()  # as the user does; what was made is moved afterwards
    try:
        with torch.device(META):
            return source()
    except (RuntimeError, NotImplementedError) as error:
        if META not in str(error):
            raise
        return source()  # it looks at values: then the weights take memory until they are moved


def _module(where: str) -> Any:
    path = Path(where)
    if path.suffix != ".py":
        if "" not in sys.path and str(Path.cwd()) not in sys.path:
            _add_to_path(Path.cwd())  # a console script does not have it
        return importlib.import_module(where)
    if not path.is_file():
        raise WorkloadError(f"there is no file {where}")
    # As `python FILE.py` does: what stands beside the file can be imported.
    _add_to_path(path.resolve().parent)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module


def _add_to_path(folder: Path) -> None:
    added_to_path.append(str(folder))
    sys.path.insert(0, str(folder))


def _is_model(value: Any, module: Any) -> bool:
    import torch

    if isinstance(value, torch.nn.Module):
        return True
    return callable(value) and getattr(value, "__module__", None) == module.__name__


def _on_device(module: Any, device: str) -> Any:
    if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
        raise WorkloadError(
            f"{type(module).__qualname__} was built on the meta device and has no weights: it "
            "cannot be run. Build it without torch.device('meta')"
        )
    return module.to(device)


def _on_meta(module: Any) -> Any:
    """A copy of the module whose parameters and buffers take no memory; the user's stays as is."""
    import torch

    tensors: dict[int, Any] = {}
    for tensor in (*module.parameters(), *module.buffers()):
        moved = tensor.detach().to("meta")
        if isinstance(tensor, torch.nn.Parameter):
            moved = torch.nn.Parameter(moved, requires_grad=tensor.requires_grad)
        tensors[id(tensor)] = moved
    return copy.deepcopy(module, tensors)
