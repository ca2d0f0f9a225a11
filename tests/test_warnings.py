"""What has no effect is said, at the user's own line."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any, cast

import pytest
from this_torch import VALUES_PER_THREAD

import inductor_override as io
from inductor_override import NoEffectWarning


def here() -> int:
    return sys._getframe(1).f_lineno


def a_with_block() -> int:
    with io.override(min_sms=0):
        return here() - 1


def nested() -> int:
    with io.override(min_sms=0):
        with io.override(min_sms=1):
            line = here() - 2
    return line


def an_exit_stack() -> int:
    with ExitStack() as stack:
        line = here() - 1
        stack.enter_context(io.override(min_sms=0))
    return line


def an_exit_stack_that_is_closed() -> int:
    stack = ExitStack()
    stack.enter_context(io.override(min_sms=0))
    stack.close()
    return here() - 1


def an_async_exit_stack() -> int:
    async def main() -> int:
        async with AsyncExitStack() as stack:
            line = here() - 1
            stack.enter_context(io.override(min_sms=0))
        return line

    return asyncio.run(main())


def an_exit_by_hand() -> int:
    scope = io.override(min_sms=0).__enter__()
    scope.__exit__(None, None, None)
    return here() - 1


def an_isolated_one() -> int:
    with io.override(min_sms=0, isolate=True):
        return here() - 1


def a_function() -> int:
    line = here() + 2

    @io.override(min_sms=0)
    def step() -> None:
        pass

    step()
    return line


def a_coroutine() -> int:
    line = here() + 2

    @io.override(min_sms=0)
    async def step() -> None:
        pass

    asyncio.run(step())
    return line


def a_method() -> int:
    class Thing:
        line = here() + 2

        @io.override(min_sms=0)
        def step(self) -> None:
            pass

    Thing().step()
    return Thing.line


@pytest.mark.parametrize(
    "use",
    [
        *(a_with_block, nested, an_exit_stack, an_exit_stack_that_is_closed, an_async_exit_stack),
        *(an_exit_by_hand, an_isolated_one, a_function, a_coroutine, a_method),
    ],
    ids=lambda use: use.__name__,
)
def test_nothing_compiled_warns_at_the_users_line(use: Callable[[], int]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        line = use()
    said = [warning for warning in caught if warning.category is NoEffectWarning]
    assert {warning.filename for warning in said} == {__file__}
    assert line in {warning.lineno for warning in said}
    assert len(said) == 1 + (use is nested)
    assert "no graph was compiled" in str(said[0].message)
    assert "isolate=True" in str(said[0].message)
    assert ("per thread" in str(said[0].message)) is VALUES_PER_THREAD


def test_a_scope_that_was_never_entered_warns_where_it_was_made() -> None:
    """Not where it is dropped, which may be in someone else's code."""

    def make() -> int:
        scope = io.override(min_sms=0)
        assert scope.consulted == 0
        return here() - 2

    with pytest.warns(NoEffectWarning, match="was not entered") as caught:
        line = make()
    assert [(w.filename, w.lineno) for w in caught] == [(__file__, line)]
    assert "with override(...):" in str(caught[0].message)


def test_a_scope_that_decorates_or_was_left_is_dropped_in_silence() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        io.override(min_sms=0)(lambda: None)
        with io.override(min_sms=0):
            pass
        gc.collect()
    assert ["no graph was compiled" in str(warning.message) for warning in caught] == [True]


@pytest.mark.same_everywhere
def test_a_copy_that_was_never_entered_warns_where_it_was_made(tmp_path: Path) -> None:
    """Also at the bottom of the stack."""
    program = tmp_path / "program.py"
    program.write_text(
        "import copy, pickle, inductor_override as io\n"
        "with io.override(max_autotune=True) as s: import torch\n"
        "again = copy.deepcopy(s)\n"
        "del again\n"
        "again = pickle.loads(pickle.dumps(s))\n"
        "del again\n"
    )
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=300, check=True
    )
    assert f"{program}:3: NoEffectWarning" in done.stderr
    assert f"{program}:5: NoEffectWarning" in done.stderr


def test_it_is_said_at_the_end_of_the_process_too(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import inductor_override as io\nscope = io.override(min_sms=0)\n")
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=300, check=True
    )
    assert f"{program}:2: NoEffectWarning: override(min_sms=0) was not entered" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_decorated_function_that_never_compiles_warns_at_its_own_line() -> None:
    @io.override(min_sms=0)
    def step() -> None:
        pass

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            step()
    [one] = [c for c in caught if c.category is NoEffectWarning]
    assert one.filename == __file__
    assert one.lineno == cast(Any, step).__wrapped__.__code__.co_firstlineno


@pytest.mark.same_everywhere
@pytest.mark.slow
def test_a_scope_that_is_dropped_while_it_is_open_stays_open_and_says_so(tmp_path: Path) -> None:
    """A finalizer runs at any time, in any thread: it changes nothing."""
    program = tmp_path / "program.py"
    program.write_text(
        "import gc, threading, inductor_override as io\n"
        "io.enable(min_sms=2)\n"
        "class Cycle:\n"
        "    def __init__(self):\n"
        "        self.me, self.scope = self, io.override(min_sms=3)\n"
        "        self.scope.__enter__()\n"
        "Cycle()\n"
        "from inductor_override.install.installation import installation\n"
        "held = installation.lock\n"
        "with held:\n"
        "    gc.collect()\n"
        "print(io.status().min_sms, io.status().scopes_open)\n"
        "with io.override(min_sms=5, max_autotune=True): print(io.status().min_sms)\n"
        "print(io.status().min_sms, io.status().scopes_open)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore::UserWarning", str(program)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout.split() == ["3", "1", "5", "3", "1"]
    assert f"{program}:5: RuntimeWarning" in done.stderr
    assert "entered and never left" in done.stderr
    assert "it stays open in this process" in done.stderr
