"""The scope object: a context manager, a decorator, and what was seen while it was open."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from types import CodeType, FrameType, TracebackType
from typing import Any, TypeVar, cast

from inductor_override._errors import NoEffectWarning
from inductor_override._installation import installation
from inductor_override._names import OPTION
from inductor_override._notices import say_once
from inductor_override._open_scopes import Entry, OpenScopes, Seen, who_runs
from inductor_override._option import switched_off

F = TypeVar("F", bound=Callable[..., Any])
_warned: dict[Any, Any] = {}
"""Where it was said already, for warnings' own bookkeeping."""


class Scope:
    """One override. Can be entered again, nested, and shared between threads.

    Attributes:
        consulted: how often torch asked the gate while this scope was open.
        passed: how often the answer was yes.
        graphs_compiled: graphs that Inductor compiled, or took from its caches, in this scope.
    """

    def __init__(self, values: dict[str, Any], *, isolate: bool) -> None:
        self._values = values
        self._isolate = isolate
        self._lock = threading.RLock()
        self._open: list[Entry] = []
        self._seen = Seen()
        self._decorates: CodeType | None = None
        self._warned: dict[Any, Any] = {}
        self._used = False
        # Of the caller. Not the frame itself: it would keep the caller's objects alive.
        made_by, _ = _users_frame()
        self._made_in, self._made_at = made_by.f_code, made_by.f_lasti

    def __reduce__(self) -> Any:
        """A copy, and one in another process, is a scope of its own that has not been entered."""
        return functools.partial(Scope, isolate=self._isolate), (self._values,)

    def __del__(self) -> None:
        """End what is open still, and warn about `override(...)` on a line of its own."""
        if getattr(self, "_made_at", None) is None:
            return
        if self._open and not sys.is_finalizing():
            here = all([self._end(entry) for entry in tuple(self._open)])
            self._warn(
                RuntimeWarning,
                f"{self!r} was entered and not left, and nothing refers to it any more: it ends "
                f"here. {'' if here else _ELSEWHERE}Use `with override(...):`, or enable(...) for "
                "the process",
            )
        elif not self._used:
            self._say_never_entered()

    def _say_never_entered(self) -> None:
        code = self._made_in
        try:
            warnings.warn_explicit(
                f"{self!r} was not entered, so it had no effect. Write `with override(...):` "
                "around the first call of the compiled function, or enable(...) for the process",
                NoEffectWarning,
                code.co_filename,
                _line_of(code, self._made_at),
                registry=_warned,
            )
        except Exception:  # at the end of the process some of what is used may be gone
            if not sys.is_finalizing():
                raise

    @property
    def consulted(self) -> int:
        return self._seen.consulted

    @property
    def passed(self) -> int:
        return self._seen.passed

    @property
    def graphs_compiled(self) -> int:
        return self._seen.graphs

    def __repr__(self) -> str:
        given = dict(self._values)
        min_sms = given.pop(OPTION)
        extra = "".join(f", {name}={value!r}" for name, value in given.items())
        return f"override(min_sms={min_sms}{', isolate=True' if self._isolate else ''}{extra})"

    def __enter__(self) -> Scope:
        self._used = True
        entry = Entry(self._values, self._seen)
        if self._isolate and not switched_off():
            _reset_dynamo()
        try:
            self._open.append(entry)
            if not switched_off():
                entry.opened_in = installation.hold("scope", entry)
                entry.opened_in.open(entry)
            return self
        except BaseException:
            self._end(entry)
            raise

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        entry = self._mine()
        scopes = entry.opened_in
        try:
            here = self._end(entry)
        except BaseException:
            self._end(entry)  # an interrupt: what it stopped is done all the same
            raise
        if scopes is None:
            return
        if self._isolate:
            _reset_dynamo()
        if not here:
            self._warn(
                RuntimeWarning,
                f"{self!r} was left where it was not entered. {_ELSEWHERE}Leave a scope where it "
                "was entered",
            )
        elif exc_type is None:
            self._say_if_without_effect(entry, scopes)

    def __call__(self, function: F) -> F:
        """Open the scope for each call of `function`, a plain or a coroutine function.

        Raises:
            TypeError: anything else: a class, a module, a generator function.
        """
        self._used = True
        if isinstance(function, (staticmethod, classmethod)):
            return cast(F, type(function)(self(function.__func__)))
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{function.__qualname__} is a generator: the scope would be open in its caller "
                "too, between two values. Open it inside, with `with`"
            )
        if getattr(function, "__globals__", {}).get("__name__") == "contextlib":
            raise TypeError(
                f"{function.__qualname__} makes a context manager: the scope would be open while "
                "it is made, not in its `with` block. Open it inside, with `with`"
            )
        if not inspect.isroutine(function):
            raise TypeError(
                f"override() decorates functions, not {type(function).__name__} objects. For one "
                "model use torch.compile(model, options=inductor_override.options(...))"
            )
        scope = Scope(self._values, isolate=self._isolate)
        scope._used = True
        scope._decorates = getattr(inspect.unwrap(function), "__code__", None)

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def in_scope_async(*args: Any, **kwargs: Any) -> Any:
                with scope:
                    return await function(*args, **kwargs)

            return cast(F, in_scope_async)

        @functools.wraps(function)
        def in_scope(*args: Any, **kwargs: Any) -> Any:
            with scope:
                return function(*args, **kwargs)

        return cast(F, in_scope)

    def _mine(self) -> Entry:
        with self._lock:
            entries = [entry for entry in self._open if not entry.leaving]
            if not entries:
                raise RuntimeError(f"{self!r} is left, but it is not open")
            entry = entries[-1]
            if len(entries) > 1:
                # They are alike in values: only who entered tells them apart.
                runner = who_runs()
                entry = next((e for e in reversed(entries) if e.runner == runner), entry)
            entry.leaving = True
            return entry

    def _end(self, entry: Entry) -> bool:
        """Take back what entering did, as far as it did it. Can be called again."""
        scopes = entry.opened_in
        try:
            return scopes is None or scopes.close(entry)
        except BaseException:
            if scopes is not None:
                scopes.close(entry)  # an interrupt; after the next line it would be too late
            raise
        finally:
            installation.let_go("scope", entry)
            with suppress(ValueError):
                self._open.remove(entry)

    def _say_if_without_effect(self, entry: Entry, scopes: OpenScopes) -> None:
        seen = entry.seen
        if seen.graphs or seen.consulted:
            if why := _why_nothing_asked(seen):
                say_once(f"{self!r}: {seen.graphs} graph(s) compiled, {why}")
            return
        if self._decorates is not None and self.graphs_compiled:
            return  # a decorated function compiles at its first calls, not at each
        per_thread = (
            " From torch 2.12 on Inductor's options are per thread: open the scope in the thread "
            "that compiles."
            if scopes.store.per_context
            else ""
        )
        self._warn(
            NoEffectWarning,
            f"{self!r} ended and no graph was compiled in it, so it had no effect. torch.compile "
            "compiles at the first call of its function, not before, and what is compiled already "
            "keeps its code: make the first call in the scope, or use override(..., "
            f"isolate=True).{per_thread}",
        )

    def _warn(self, category: type[Warning], message: str) -> None:
        """Warn at the line of the user's that ended the scope, or at the decorated function."""
        code = self._decorates
        if code is not None:
            where = (code.co_filename, code.co_firstlineno)
            warnings.warn_explicit(message, category, *where, registry=self._warned)
            return
        _, level = _users_frame()
        warnings.warn(message, category, stacklevel=level)


_ELSEWHERE = (
    "It was entered in another thread or task: from torch 2.12 on Inductor keeps its options per "
    "thread, and further options of this scope keep their values there until it compiles under "
    "an override again. "
)


_BETWEEN = {__name__, f"{__package__}._api", "contextlib", "copy", "pickle"}
"""Modules that may be between a user's line and us."""


def _users_frame() -> tuple[FrameType, int]:
    """The innermost frame that is a user's, and its stack level for the caller of this."""
    frame, level = sys._getframe(2), 2
    while frame.f_globals.get("__name__") in _BETWEEN and frame.f_back is not None:
        frame, level = frame.f_back, level + 1
    return frame, level


def _line_of(code: CodeType, instruction: int) -> int:
    lines = [line for start, end, line in code.co_lines() if start <= instruction < end and line]
    return lines[0] if lines else code.co_firstlineno


def _why_nothing_asked(seen: Seen) -> str | None:
    """None: the gate was asked, or the graphs may have come from torch's caches."""
    if seen.consulted:
        return None
    if not seen.autotuned:
        return (
            "none with max-autotune, so nothing asked the gate. Use torch.compile(..., "
            "mode='max-autotune'), or add max_autotune_gemm=True to the override"
        )
    if seen.devices == {"cpu"}:
        return "all with inputs on the CPU, but the gate is asked for GPUs only"
    return None


def _reset_dynamo() -> None:
    import torch._dynamo

    torch._dynamo.reset()
