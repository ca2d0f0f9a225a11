"""Which patch module serves which torch, by version and by shape."""

from __future__ import annotations

import csv
import functools
import types
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import torch
import torch._inductor.compile_fx as compile_fx
import torch._inductor.config as config
import torch._inductor.utils as utils
from conftest import Snapshot
from internals import select as patches
from this_torch import (
    GATE_TAKES_DEVICE,
    RELEASE,
    THREADS_KEEP_COPIES,
    VALUES_PER_THREAD,
)

import inductor_override as io
from inductor_override import UnsupportedTorchError
from inductor_override.install import on_import
from inductor_override.patches.contract import Patch
from inductor_override.request.names import CONFIG

with (Path(patches.__file__).parents[1] / "data" / "releases.csv").open(newline="") as rows:
    EXPECTED = {
        cast(tuple[int, int], patches.release_of(row["torch"])): row["patch_module"]
        for row in csv.DictReader(rows)
    }
LAST = max(EXPECTED)
KNOWN = f"2.0 to {LAST[0]}.{LAST[1]}"


def name(patch: Patch | None) -> str | None:
    return patch.name if patch else None


def test_every_release_has_exactly_one_module() -> None:
    for release, expected in EXPECTED.items():
        fitting = [p for p in patches.PATCHES if p.first <= release <= p.last]
        assert [name(p) for p in fitting] == [expected]
        assert name(patches.serving(f"{release[0]}.{release[1]}.1")) == expected
    assert patches.serving("1.13.1") is None
    assert patches.serving(f"{LAST[0]}.{LAST[1] + 1}.0") is None
    assert patches.known_range() == KNOWN


@pytest.mark.parametrize(
    ("version", "release"),
    [
        ("2.9.1", (2, 9)),
        ("2.9.1+cu128", (2, 9)),
        ("2.10.0", (2, 10)),
        ("2.16.0.dev20261101+cu130", (2, 16)),
        ("2.7.0a0+7c8ec84dab.nv25.03", (2, 7)),
        ("2.9.0a0+git1a2b3c4", (2, 9)),
        ("2", (2, 0)),
        ("parrot", None),
    ],
)
def test_release_of(version: str, release: tuple[int, int] | None) -> None:
    assert patches.release_of(version) == release


def test_the_rows_of_each_module() -> None:
    for patch in patches.PATCHES:
        roles = ["gate", "compile"] + ["graph"] * (patch.first >= (2, 6))
        assert [row.role for row in patch.targets] == roles
        assert all(
            row.upstream.startswith("https://github.com/pytorch/pytorch/") for row in patch.targets
        )
        # What the environment variable waits for, without importing the patch modules.
        assert {row.owner for row in patch.targets} == {*on_import._AWAITED} - {CONFIG}


def test_this_torch_selects_its_module(ask: Callable[[], bool]) -> None:
    assert io.status().patch_module == EXPECTED[RELEASE]
    io.enable(min_sms=0)
    assert io.status().patch_module == EXPECTED[RELEASE]
    assert io.status().live


def test_what_the_module_says_of_this_torch_is_so(set_sms: Callable[[int], None]) -> None:
    """The stock threshold of the data, against torch's own function."""
    patch = patches.serving(torch.__version__)
    assert patch is not None
    device = torch.device("cuda", 0) if GATE_TAKES_DEVICE else 0
    threshold = patch.stock_min_sms["cuda"]
    for sms, passes in ((threshold - 1, False), (threshold, True)):
        set_sms(sms)
        assert utils.is_big_gpu(device) is passes
        assert patch.count_sms(device) == sms
    fitting = [other.store for other in patches.PATCHES if other.store.fits(config)]
    assert set(fitting) == {patch.store}
    assert patch.store.per_context is (VALUES_PER_THREAD)


# Altered copies of the real modules -----------------------------------------------------------


Change = Callable[[types.SimpleNamespace], None]


def altered(change: Change) -> tuple[types.ModuleType, dict[str, types.ModuleType]]:
    """Copies of the real config, utils and compile_fx, changed in one respect."""
    copies = types.SimpleNamespace(
        utils=types.ModuleType(utils.__name__),
        compile_fx=types.ModuleType(compile_fx.__name__),
        config=types.ModuleType(config.__name__),
    )
    for copy, real in (
        (copies.utils, utils),
        (copies.compile_fx, compile_fx),
        (copies.config, config),
    ):
        vars(copy).update(vars(real))
    copies.config.__class__ = type(config)
    change(copies)
    return copies.config, {m.__name__: m for m in (copies.utils, copies.compile_fx)}


def rename_gate(copies: types.SimpleNamespace) -> None:
    copies.utils.is_large_gpu = vars(copies.utils).pop("is_big_gpu")


def new_parameter(copies: types.SimpleNamespace) -> None:
    real = vars(copies.utils)["is_big_gpu"].__wrapped__

    @functools.cache
    def is_big_gpu(index_or_device: object, strict: object) -> None: ...

    is_big_gpu.__wrapped__.__module__ = is_big_gpu.__module__ = real.__module__
    copies.utils.is_big_gpu = is_big_gpu


CONSUMERS = {name for patch in patches.PATCHES for name in patch.consumers}


def no_consumer(copies: types.SimpleNamespace) -> None:
    for one in CONSUMERS:
        vars(copies.utils).pop(one, None)


def consumer_asks_another(copies: types.SimpleNamespace) -> None:
    for one in CONSUMERS:
        setattr(copies.utils, one, lambda *args: another_gate(*args))  # type: ignore[name-defined]  # noqa: F821


def new_store(copies: types.SimpleNamespace) -> None:
    vars(copies.config)["_config"] = types.MappingProxyType(dict(config._config))


def no_compile_fx(copies: types.SimpleNamespace) -> None:
    del copies.compile_fx.compile_fx


CHANGES = [
    (rename_gate, "has no is_big_gpu"),
    (new_parameter, r"is_big_gpu takes \(index_or_device, strict\), expected"),
    (no_consumer, "that asks is_big_gpu"),
    (consumer_asks_another, "replaced by .*, which does not ask is_big_gpu"),
    (new_store, "the config does not keep its values as"),
    (no_compile_fx, "has no compile_fx"),
]


@pytest.mark.parametrize("version", [torch.__version__, "2.99.0.dev20261101", "parrot"])
@pytest.mark.parametrize(("change", "difference"), CHANGES)
def test_another_shape_is_refused_with_what_differs(
    change: Change, difference: str, version: str
) -> None:
    with pytest.raises(UnsupportedTorchError, match=difference) as caught:
        patches.select(version, *altered(change))
    assert caught.value.torch_version == version
    assert caught.value.known == KNOWN
    assert caught.value.differences


def test_all_that_differs_is_listed() -> None:
    def change(copies: types.SimpleNamespace) -> None:
        rename_gate(copies)
        no_compile_fx(copies)

    with pytest.raises(UnsupportedTorchError) as caught:
        patches.select(torch.__version__, *altered(change))
    assert len(caught.value.differences) == 2


@pytest.mark.parametrize("version", ["2.98.0.dev20261101", "2.98.0a0+git1a2b3c4", "2.99.0"])
def test_an_unknown_torch_of_a_known_shape_is_used_and_said(version: str) -> None:
    if not THREADS_KEEP_COPIES:
        with pytest.raises(UnsupportedTorchError, match="is not supported") as caught:
            patches.select(version, *altered(lambda copies: None))
        assert caught.value.differences
        return
    selection = patches.select(version, *altered(lambda copies: None))
    assert name(selection.patch) == patches.PATCHES[-1].name
    assert f"torch {version} is not known" in (selection.note or "")


@pytest.mark.parametrize("suffix", ["", "+cu128", "a0+7c8ec84dab.nv25.03", "a0+git1a2b3c4"])
def test_vendor_builds_count_by_release_and_shape(suffix: str) -> None:
    version = f"{RELEASE[0]}.{RELEASE[1]}.0{suffix}"
    selection = patches.select(version, *altered(lambda copies: None))
    assert name(selection.patch) == EXPECTED[RELEASE]
    assert selection.note is None


def test_a_vendor_build_of_another_release_goes_by_its_shape() -> None:
    """2.6.0a0 builds of some vendors have the gate of 2.5, for one."""
    other = "2.6.0a0+df5bbc09d1.nv24.12" if RELEASE != (2, 6) else "2.5.0a0+e000cf0ad9.nv24.10"
    selection = patches.select(other, *altered(lambda copies: None))
    assert not patches.shape_differences(selection.patch, config, {})
    assert "has the shape that" in (selection.note or "")


def test_older_than_the_first_is_refused() -> None:
    with pytest.raises(UnsupportedTorchError, match="older than the first"):
        patches.select("1.13.1", *altered(lambda copies: None))


def test_the_error_reaches_the_user_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, no_trace: Snapshot
) -> None:
    gate = vars(utils).pop("is_big_gpu")
    try:
        for entry in (lambda: io.enable(min_sms=0), io.options, io.override(min_sms=0).__enter__):
            with pytest.raises(
                UnsupportedTorchError, match=f"torch {torch.__version__}".replace("+", r"\+")
            ):
                entry()
    finally:
        utils.is_big_gpu = gate
    assert no_trace.differences() == []


def test_an_option_of_torchs_own_of_that_name_is_left_to_the_user(no_trace: Snapshot) -> None:
    """Stood in for by adding one, as a torch to come might have it."""
    patch = patches.serving(torch.__version__)
    assert patch is not None
    store = patch.store(config)
    store.add(41)
    try:
        gate = vars(utils)["is_big_gpu"]
        with pytest.raises(UnsupportedTorchError, match="inductor-override is not needed"):
            io.enable(min_sms=5)
        assert config.max_autotune_gemm_min_sms == 41
        assert vars(utils)["is_big_gpu"] is gate
        assert "an option max_autotune_gemm_min_sms of its own" in (io.status().problem or "")
    finally:
        store.remove()
