"""Tests on a real GPU: `make test-gpu`. Elsewhere all of them are skipped, with the reason."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest
import torch


def why_not() -> str | None:
    """Why these tests cannot run here; None if they can."""
    if not torch.cuda.is_available():
        return "needs a CUDA GPU, and there is none here"
    if torch.cuda.get_device_capability() < (8, 0):
        return "needs compute capability 8.0: below it Triton makes no Tensor Core code"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = why_not()
    for item in items:
        item.add_marker(pytest.mark.gpu)
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def fresh_caches() -> Iterator[str]:
    """Caches that nobody has filled."""
    import torch._dynamo
    import torch._inductor.codecache

    folder = tempfile.mkdtemp(prefix="inductor-override-gpu-")
    before = {
        name: os.environ.get(name) for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
    }
    os.environ |= dict.fromkeys(before, folder)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    torch._inductor.codecache.PyCodeCache.cache_clear()
    yield folder
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    shutil.rmtree(folder, ignore_errors=True)
