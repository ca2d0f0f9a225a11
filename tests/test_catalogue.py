"""A GPU is found by the name that a person types."""

from __future__ import annotations

import pytest

from inductor_override import catalogue


def test_every_gpu_is_found_by_its_full_name():
    for gpu in catalogue.all_gpus():
        assert catalogue.find(gpu.name) is gpu


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("RTX 3060", "NVIDIA GeForce RTX 3060"),
        ("rtx3060", "NVIDIA GeForce RTX 3060"),
        ("3060", "NVIDIA GeForce RTX 3060"),
        ("  GeForce  rtx-3060 ", "NVIDIA GeForce RTX 3060"),
        ("3060ti", "NVIDIA GeForce RTX 3060 Ti"),
        ("RTX 4070 Ti SUPER", "NVIDIA GeForce RTX 4070 Ti SUPER"),
        ("rtx 3060 laptop", "NVIDIA GeForce RTX 3060 Laptop GPU"),
        ("RTX 3050 6GB", "NVIDIA GeForce RTX 3050 (6 GB)"),
        ("T4", "Tesla T4"),
        ("nvidia l4", "NVIDIA L4"),
        ("V100", "Tesla V100-SXM2-16GB"),
        ("A100 80GB", "NVIDIA A100-SXM4-80GB"),
        ("a2000", "NVIDIA RTX A2000"),
        ("agx orin", "Jetson AGX Orin 64GB"),
        ("DGX Spark", "NVIDIA GB10"),
        # As torch.cuda.get_device_name() prints them:
        ("NVIDIA A100-SXM4-40GB MIG 3g.20gb", "NVIDIA A100 MIG 3g"),
        ("NVIDIA A100 80GB PCIe MIG 1g.10gb", "NVIDIA A100 MIG 1g"),
        ("NVIDIA RTX A2000 12GB", "NVIDIA RTX A2000"),
    ],
)
def test_a_short_or_sloppy_name_finds_the_model(typed, name):
    assert catalogue.find(typed).name == name


def test_the_numbers_are_those_of_the_file():
    gpu = catalogue.find("RTX 3060")
    assert (gpu.sms, gpu.compute_capability, gpu.capability) == (28, (8, 6), "8.6")
    assert gpu.shared_memory_optin == 101376
    assert gpu.source == "printed-properties"


def test_no_two_gpus_have_one_name_and_every_number_is_plausible():
    gpus = catalogue.all_gpus()
    assert len({gpu.name for gpu in gpus}) == len(gpus) == 74
    assert all(1 <= gpu.sms <= 200 for gpu in gpus)
    assert all((7, 0) <= gpu.compute_capability <= (12, 1) for gpu in gpus)
    assert all(64 <= gpu.shared_memory_optin / 1024 <= 228 for gpu in gpus)


def test_a_name_of_several_gpus_says_which():
    with pytest.raises(catalogue.UnknownGpuError) as caught:
        catalogue.find("H100")
    assert caught.value.candidates == ("NVIDIA H100 PCIe", "NVIDIA H100 80GB HBM3")
    assert "could be any of: NVIDIA H100 PCIe, NVIDIA H100 80GB HBM3" in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "near"),
    [("RTX 3065", "NVIDIA GeForce RTX 3060"), ("RXT 4090", "NVIDIA GeForce RTX 4090")],
)
def test_an_unknown_name_brings_the_nearest(typed, near):
    with pytest.raises(catalogue.UnknownGpuError) as caught:
        catalogue.find(typed)
    assert near in caught.value.candidates
    assert len(caught.value.candidates) <= 3
    assert repr(typed) in str(caught.value)


@pytest.mark.parametrize("typed", ["", "NVIDIA", "zzzzzzzz", "显卡"])
def test_a_name_without_any_likeness_is_unknown_too(typed):
    with pytest.raises(catalogue.UnknownGpuError, match="is known"):
        catalogue.find(typed)
