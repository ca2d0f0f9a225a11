"""The scope object: a context manager, a decorator, and what was seen while it was open."""

from __future__ import annotations

import functools
import html
import inspect
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from types import CodeType, TracebackType
from typing import Any, TypeVar, cast

from inductor_override.errors import NoEffectWarning
from inductor_override.install.installation import installation
from inductor_override.messages import log_line, say_once
from inductor_override.open_scopes import Counts, Entry, opened_here
from inductor_override.request.environment import switch_problem, switched_off
from inductor_override.request.names import OPTION
from inductor_override.tuning_report import TuningReport, why_nothing_opened
from inductor_override.users_code import check_decorated, users_frame

F = TypeVar("F", bound=Callable[..., Any])
_warned: dict[Any, Any] = {}
"""Where it was said already, for warnings' own bookkeeping."""


class Scope:
    """One override. Can be entered again, nested, and shared between threads and tasks.

    Attributes:
        consulted: how often torch asked the gate while this scope was open.
        passed: how often the answer was yes.
        graphs_compiled: graphs that Inductor compiled, or took from its caches, in this scope;
            backward graphs too, once for each time that they are compiled on their own.
    """

    def __init__(self, values: dict[str, Any], *, isolate: bool) -> None:
        self._values = values
        self._isolate = isolate
        self._open: list[Entry] = []
        self._counts = Counts()
        self._used = False
        self._warned: dict[Any, Any] = {}
        frame, _ = users_frame()
        self._made_at = frame.f_code.co_filename, frame.f_lineno

    def __reduce__(self) -> Any:
        """A copy, and one in another process, is a scope of its own that has not been entered."""
        return functools.partial(Scope, isolate=self._isolate), (self._values,)

    def __del__(self) -> None:
        """Warn about a scope that was never entered or never left. Changes nothing.

        A collection may come at any time, in any thread.
        """
        if getattr(self, "_made_at", None) is None:
            return
        if self._open:
            message = (
                f"{self!r} was entered and never left, and nothing refers to it any more: it stays "
                "open in this process. Use `with override(...):`, or enable(...) for the process"
            )
            self._warn_where_made(RuntimeWarning, message)
        elif not self._used:
            message = (
                f"{self!r} was not entered, so it had no effect. Write `with override(...):` "
                "around the first call of the compiled function, or enable(...) for the process"
            )
            self._warn_where_made(NoEffectWarning, message)

    @property
    def consulted(self) -> int:
        return self._counts.consulted

    @property
    def passed(self) -> int:
        return self._counts.passed

    @property
    def graphs_compiled(self) -> int:
        return self._counts.graphs

    def report(self) -> TuningReport:
        """What was compiled and tuned in this scope so far, from torch's own figures."""
        return TuningReport.of(self._counts)

    def __repr__(self) -> str:
        given = dict(self._values)
        min_sms = given.pop(OPTION)
        extra = "".join(f", {name}={value!r}" for name, value in given.items())
        return f"override(min_sms={min_sms}{', isolate=True' if self._isolate else ''}{extra})"

    def _repr_html_(self) -> str:
        return f"<code>{html.escape(repr(self))}</code>{self.report()._repr_html_()}"

    def __enter__(self) -> Scope:
        self._used = True
        entry = Entry(self._values, self._counts)
        off = switched_off()
        if problem := switch_problem():
            say_once(problem)
        if self._isolate and not off:
            _reset_dynamo()
        try:
            self._open.append(entry)
            if not off:
                installation.hold("scope", entry).open(entry)
            return self
        except BaseException:
            self._leave(entry)
            raise

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exit(failed=exc_type is not None)

    def __call__(self, function: F) -> F:
        """Open the scope for each call of `function`, a plain or a coroutine function.

        What is returned has this scope, with its counters, as its attribute `scope`.

        Raises:
            TypeError: anything else: a class, a module, a generator function.
        """
        self._used = True
        if isinstance(function, (staticmethod, classmethod)):
            return cast(F, type(function)(self(function.__func__)))
        check_decorated(function)
        calls = _Calls(self, getattr(inspect.unwrap(function), "__code__", None))

        decorated: Any

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def decorated(*args: Any, **kwargs: Any) -> Any:
                with calls:
                    return await function(*args, **kwargs)

        else:

            @functools.wraps(function)
            def decorated(*args: Any, **kwargs: Any) -> Any:
                with calls:
                    return function(*args, **kwargs)

        decorated.scope = self
        return cast(F, decorated)

    def _exit(self, *, failed: bool, decorates: CodeType | None = None) -> None:
        entry = self._entry_to_leave()
        scopes = entry.opened_in
        here = self._leave(entry)
        if scopes is None:
            return
        if self._isolate:
            _reset_dynamo()
        if not here:
            self._warn(
                RuntimeWarning,
                f"{self!r} was left where it was not entered: in another thread or task. From "
                "torch 2.12 on Inductor keeps its options per thread, and the other options of "
                "this scope keep their values where it was entered, until a graph is compiled "
                "under an override there. Leave a scope where it was entered",
                decorates,
            )
        elif not failed:
            self._say_if_without_effect(entry, scopes.store.per_context, decorates)

    def _entry_to_leave(self) -> Entry:
        """The youngest entry of this context; where it has none, the youngest of all."""
        with installation.lock:
            entries = [entry for entry in self._open if not entry.closed]
            if not entries:
                raise RuntimeError(f"{self!r} is left, but it is not open")
            here = opened_here()
            entry = next((e for e in reversed(here) if e in entries), entries[-1])
            entry.closed = True
            return entry

    def _leave(self, entry: Entry) -> bool:
        """Take back what entering did, as far as it did it. Can be called again."""
        try:
            return entry.opened_in is None or entry.opened_in.close(entry)
        finally:
            installation.release("scope", entry)
            with suppress(ValueError):
                self._open.remove(entry)

    def _say_if_without_effect(
        self, entry: Entry, per_context: bool, decorates: CodeType | None
    ) -> None:
        counts = entry.counts.since(entry.before)
        if counts.graphs or counts.consulted:
            log_line(lambda: f"{self!r}: {TuningReport.of(counts).line()}")
            if why := why_nothing_opened(counts):
                say_once(f"{self!r}: graphs were compiled, {why}", key=f"{self!r} {why}")
            return
        if decorates is not None and self.graphs_compiled:
            return  # a decorated function compiles at its first calls, not at each
        per_thread = (
            " From torch 2.12 on Inductor's options are per thread: open the scope in the thread "
            "that compiles."
            if per_context
            else ""
        )
        self._warn(
            NoEffectWarning,
            f"{self!r} ended and no graph was compiled in it, so it had no effect. torch.compile "
            "compiles at the first call of its function, not before; what is compiled already "
            "keeps its code; and a function in which torch.compile finds nothing to compile runs "
            "as it is. Make the first call in the scope, or use override(..., isolate=True)."
            f"{per_thread}",
            decorates,
        )

    def _warn(self, category: type[Warning], message: str, decorates: CodeType | None) -> None:
        """Warn at the line of the user's that ended the scope, or at the decorated function."""
        if decorates is not None:
            where = (decorates.co_filename, decorates.co_firstlineno)
            warnings.warn_explicit(message, category, *where, registry=self._warned)
            return
        _, level = users_frame()
        warnings.warn(message, category, stacklevel=level)

    def _warn_where_made(self, category: type[Warning], message: str) -> None:
        try:
            warnings.warn_explicit(message, category, *self._made_at, registry=_warned)
        except Exception:  # at the end of the process some of what is used may be gone
            if not sys.is_finalizing():
                raise


class _Calls:
    """The scope around the calls of a function that it decorates, whose code is `decorates`."""

    def __init__(self, scope: Scope, decorates: CodeType | None) -> None:
        self._scope, self._decorates = scope, decorates

    def __enter__(self) -> None:
        self._scope.__enter__()

    def __exit__(self, exc_type: type[BaseException] | None, *exception: object) -> None:
        self._scope._exit(failed=exc_type is not None, decorates=self._decorates)


def _reset_dynamo() -> None:
    import torch._dynamo

    torch._dynamo.reset()
