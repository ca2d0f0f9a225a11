"""Seven runners on a real torch: the steps of the property tests, and what can be seen of them."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar
from unittest import mock

import conftest
import torch
import torch._inductor.config as config
import torch._inductor.utils as utils
import wrapt
from conftest import Snapshot
from internals import CONSUMER, as_when_a_compile_begins
from lifecycle_model import EXTRA, MIN_SMS
from this_torch import CONSUMER_TAKES_DTYPES, THREADS_KEEP_COPIES, VALUES_PER_THREAD

import inductor_override as io

NAMES = {MIN_SMS: "max_autotune_gemm_min_sms", EXTRA: "epilogue_fusion"}
THREADS, TASKS = ("thread a", "thread b"), ("task a", "task b")
CONTEXTS = ("context a", "context b")
"""In the main thread, and no asyncio tasks: as those of trio, or callbacks with `context=`."""
RUNNERS = ("main", *THREADS, *TASKS, *CONTEXTS)
PER_CONTEXT = VALUES_PER_THREAD
STOCK = vars(utils)["is_big_gpu"]


if THREADS_KEEP_COPIES:

    def export() -> Any:
        return config.save_config_portable(readonly_values=True)

elif hasattr(config, "save_config_portable"):

    def export() -> Any:
        return config.save_config_portable()

else:

    def export() -> Any:
        return pickle.loads(config.save_config())


T = TypeVar("T")
Order = tuple[Callable[[], Any], asyncio.Future[Any]]
"""A call for a task, and where its result goes."""
PLAIN, WRAPPERS = ("yes", "no"), ("passing wrapper", "yes wrapper")


class World:
    """The real thing: this torch, this package, and the seven runners."""

    def __init__(self) -> None:
        self.before = Snapshot()
        self.known = {id(STOCK): (STOCK, "stock")}
        self.scopes: dict[int, io.Scope] = {}
        self.patches: dict[int, Any] = {}
        self.entered: list[tuple[AbstractContextManager[object], str]] = []
        self.layout = mock.Mock(device=torch.device("cuda", 0), dtype=torch.float16)
        self.loop = asyncio.new_event_loop()
        self.threads = {name: ThreadPoolExecutor(1) for name in THREADS}
        self.contexts = {name: contextvars.copy_context() for name in CONTEXTS}
        self.inboxes: dict[str, asyncio.Queue[Order]] = {name: asyncio.Queue() for name in TASKS}
        self.tasks = [self.loop.create_task(self._worker(q)) for q in self.inboxes.values()]
        # Torch asks the gate only with max_autotune on.
        self.autotuning = {r: config.patch({"max_autotune": True}) for r in self._contexts()}
        for runner, patch in self.autotuning.items():
            self._enter(patch, runner)

    def _enter(self, what: AbstractContextManager[object], runner: str) -> None:
        self.run(runner, what.__enter__)
        self.entered.append((what, runner))

    def _leave(self, what: AbstractContextManager[object], runner: str, *raised: object) -> None:
        mine = [i for i, e in enumerate(self.entered) if e == (what, runner)]
        every = [i for i, e in enumerate(self.entered) if e[0] is what]
        del self.entered[(mine or every)[-1]]
        swallowed = self.run(runner, what.__exit__, *raised or (None, None, None))
        assert not swallowed, "an exception would be lost"

    @staticmethod
    def _contexts() -> tuple[str, ...]:
        return RUNNERS if PER_CONTEXT else ("main",)

    @staticmethod
    async def _worker(inbox: asyncio.Queue[Order]) -> None:
        while True:
            function, done = await inbox.get()
            try:
                done.set_result(function())
            except Exception as error:
                done.set_exception(error)

    def run(self, runner: str, function: Callable[..., T], *args: object) -> T:
        def call() -> T:
            return function(*args)

        if runner == "main":
            return call()
        if runner in self.threads:
            return self.threads[runner].submit(call).result(timeout=60)

        if runner in self.contexts:
            return self.contexts[runner].run(call)

        async def hand_over() -> T:
            done: asyncio.Future[T] = self.loop.create_future()
            await self.inboxes[runner].put((call, done))
            return await done

        return self.loop.run_until_complete(hand_over())

    def enter(self, name: int, runner: str, values: dict[str, Any]) -> None:
        if name not in self.scopes:
            extra = {NAMES[EXTRA]: values[EXTRA]} if EXTRA in values else {}
            self.scopes[name] = io.override(min_sms=values[MIN_SMS], **extra)
        self._enter(self.scopes[name], runner)

    def leave(self, name: int, runner: str, *, error: bool) -> None:
        try:
            raise ZeroDivisionError
        except ZeroDivisionError as raised:
            how = (type(raised), raised, raised.__traceback__) if error else ()
            self._leave(self.scopes[name], runner, *how)

    def patch(self, name: int, runner: str, values: dict[str, Any]) -> None:
        options = {NAMES[k]: v for k, v in values.items()}
        self.patches[name] = config.patch(options)
        self._enter(self.patches[name], runner)

    def unpatch(self, name: int, runner: str) -> None:
        self._leave(self.patches.pop(name), runner)

    def enable(self, runner: str, value: int | None) -> None:
        self.run(runner, io.enable, value)

    def disable(self, runner: str) -> None:
        self.run(runner, io.disable)

    def options(self, runner: str, value: int) -> None:
        given = self.run(runner, lambda: io.options(min_sms=value))
        assert given == {NAMES[MIN_SMS]: value}

    def assign(self, who: str) -> None:
        if who == "stock":
            utils.is_big_gpu = STOCK
            return
        if who in PLAIN:

            def newcomer(index_or_device: object = 0) -> bool:
                return who == "yes"

        else:

            def wrapper(wrapped: Any, instance: object, args: Any, kwargs: Any) -> Any:
                return True if who == "yes wrapper" else wrapped(*args, **kwargs)

            newcomer = wrapt.FunctionWrapper(utils.is_big_gpu, wrapper)
        self.known[id(newcomer)] = (newcomer, who)
        utils.is_big_gpu = newcomer

    def set_sms(self, count: int) -> None:
        conftest._sms = count
        conftest._forget()
        STOCK.cache_clear()

    def ask(self, runner: str) -> bool:
        """As lowering asks, in a compile."""
        asking = (self.layout,) if not CONSUMER_TAKES_DTYPES else (self.layout, [torch.float16])

        def answer() -> bool:
            as_when_a_compile_begins()
            found: bool = vars(utils)[CONSUMER](*asking)
            return found

        return self.run(runner, answer)

    def at_the_gate(self) -> tuple[list[str], int]:
        """Who stands there, lowest first, and how many layers of ours."""
        found, ours, target = [], 0, vars(utils)["is_big_gpu"]
        while target is not None:
            if id(target) in self.known:
                found.append(self.known[id(target)][1])
            else:
                ours += 1
                assert type(target).__module__.startswith("inductor_override"), target
            target = target.__wrapped__ if isinstance(target, wrapt.FunctionWrapper) else None
        return found[::-1], ours

    def look(self, runner: str) -> dict[str, object]:
        def read() -> dict[str, object]:
            return {
                "present": NAMES[MIN_SMS] in config._config,
                MIN_SMS: io.status().min_sms,
                EXTRA: getattr(config, NAMES[EXTRA]),
            }

        return self.run(runner, read)

    def in_the_cache_key(self, runner: str) -> list[object]:
        """As the FX graph cache's key has it: from 2.13 on out of a dict that each thread keeps."""

        def read() -> list[object]:
            in_key = export()
            return [in_key.get(NAMES[key]) for key in (MIN_SMS, EXTRA)]

        return self.run(runner, read)

    def counted(self, name: int) -> tuple[int, int]:
        return self.scopes[name].consulted, self.scopes[name].passed

    def close(self) -> None:
        """Leave all that is open, as must be also where a step has failed."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.loop.close)
            stack.callback(self._end_runners)
            utils.is_big_gpu = STOCK
            io.enable()
            for what, runner in reversed(self.entered):
                self.run(runner, what.__exit__, None, None, None)
            io.disable()
            assert vars(utils)["is_big_gpu"] is STOCK
            assert self.before.differences() == []

    def _end_runners(self) -> None:
        for task in self.tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*self.tasks, return_exceptions=True))
        for pool in self.threads.values():
            pool.shutdown()
