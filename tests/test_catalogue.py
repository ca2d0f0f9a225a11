"""A GPU is found by the name that a person types."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from inductor_override import catalogue
from inductor_override.cli import main


def test_every_gpu_is_found_by_its_full_name() -> None:
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
        ("rtx3060 12gb", "NVIDIA GeForce RTX 3060"),
        ("3060 12 GB", "NVIDIA GeForce RTX 3060"),
        ("RTX 3080 12GB", "NVIDIA GeForce RTX 3080 (12 GB)"),
        ("3050 laptop 6GB", "NVIDIA GeForce RTX 3050 6GB Laptop GPU"),
        ("rtx 2070 max-q", "NVIDIA GeForce RTX 2070 with Max-Q Design"),
        ("GTX 1650 laptop", "NVIDIA GeForce GTX 1650 (laptop)"),
        ("agx orin 64gb", "Jetson AGX Orin 64GB"),
        ("Jetson AGX Thor", "Jetson AGX Thor (T5000)"),
        ("DGX Spark", "NVIDIA GB10 (DGX Spark)"),
        ("A30 MIG 2g", "NVIDIA A30 MIG 2g"),
    ],
)
def test_a_short_or_sloppy_name_finds_the_model(typed: str, name: str) -> None:
    assert catalogue.find(typed).name == name


PRINTED = """
    Tesla V100-SXM2-16GB = 80, 7.0
    Tesla V100-SXM2-32GB = 80, 7.0
    Tesla V100-PCIE-16GB = 80, 7.0
    Tesla V100S-PCIE-32GB = 80, 7.0
    NVIDIA TITAN V = 80, 7.0
    TITAN RTX = 72, 7.5
    Tesla T4 = 40, 7.5
    GeForce GTX 1650 = 14, 7.5
    NVIDIA GeForce GTX 1650 Ti with Max-Q Design = 16, 7.5
    NVIDIA GeForce GTX 1650 SUPER = 20, 7.5
    NVIDIA GeForce GTX 1660 = 22, 7.5
    NVIDIA GeForce GTX 1660 SUPER = 22, 7.5
    NVIDIA GeForce GTX 1660 Ti = 24, 7.5
    NVIDIA GeForce RTX 2060 SUPER = 34, 7.5
    GeForce RTX 2070 with Max-Q Design = 36, 7.5
    NVIDIA GeForce RTX 2070 Super with Max-Q Design = 40, 7.5
    NVIDIA GeForce RTX 2080 SUPER = 48, 7.5
    Quadro RTX 4000 = 36, 7.5
    Quadro RTX 5000 = 48, 7.5
    Quadro RTX 6000 = 72, 7.5
    NVIDIA Quadro RTX 8000 = 72, 7.5
    NVIDIA T400 4GB = 6, 7.5
    NVIDIA T500 = 14, 7.5
    NVIDIA T600 Laptop GPU = 14, 7.5
    NVIDIA T1000 8GB = 14, 7.5
    A100-SXM4-40GB = 108, 8.0
    NVIDIA A100-PCIE-40GB = 108, 8.0
    NVIDIA A100 80GB PCIe = 108, 8.0
    NVIDIA A100-SXM-64GB = 124, 8.0
    NVIDIA A800 80GB PCIe = 108, 8.0
    NVIDIA A30 = 56, 8.0
    NVIDIA A10G = 80, 8.6
    NVIDIA A10-24Q = 72, 8.6
    NVIDIA RTXA6000-48Q = 84, 8.6
    NVIDIA GeForce RTX 2050 = 16, 8.6
    NVIDIA GeForce RTX 3050 Laptop GPU = 16, 8.6
    NVIDIA GeForce RTX 3050 4GB Laptop GPU = 20, 8.6
    NVIDIA GeForce RTX 3050 6GB Laptop GPU = 20, 8.6
    NVIDIA GeForce RTX 3050Ti Laptop GPU = 20, 8.6
    NVIDIA GeForce RTX 3070 Ti Laptop GPU = 46, 8.6
    NVIDIA GeForce RTX 3080 Ti Laptop GPU = 58, 8.6
    NVIDIA RTX A1000 = 18, 8.6
    NVIDIA RTX A1000 Laptop GPU = 16, 8.6
    NVIDIA RTX A1000 6GB Laptop GPU = 20, 8.6
    NVIDIA RTX A2000 12GB = 26, 8.6
    NVIDIA RTX A2000 8GB Laptop GPU = 20, 8.6
    NVIDIA RTX A3000 12GB Laptop GPU = 32, 8.6
    NVIDIA RTX A4500 = 56, 8.6
    NVIDIA RTX A5500 Laptop GPU = 58, 8.6
    NVIDIA GeForce RTX 4080 Laptop GPU = 58, 8.9
    NVIDIA GeForce RTX 4090 Laptop GPU = 76, 8.9
    NVIDIA GeForce RTX 4090 D = 114, 8.9
    NVIDIA L20 = 92, 8.9
    NVIDIA RTX 2000 Ada Generation = 22, 8.9
    NVIDIA RTX 3500 Ada Generation Laptop GPU = 40, 8.9
    NVIDIA RTX 4000 Ada Generation = 48, 8.9
    NVIDIA RTX 4000 Ada Generation Laptop GPU = 58, 8.9
    NVIDIA RTX 5000 Ada Generation = 100, 8.9
    NVIDIA RTX 5880 Ada Generation = 110, 8.9
    NVIDIA H100 PCIe = 114, 9.0
    NVIDIA H100 80GB HBM3 = 132, 9.0
    NVIDIA H100 NVL = 132, 9.0
    NVIDIA H200 NVL = 132, 9.0
    NVIDIA H800 = 132, 9.0
    NVIDIA H20 = 78, 9.0
    NVIDIA GH200 480GB = 132, 9.0
    NVIDIA B200 = 148, 10.0
    NVIDIA GB200 = 152, 10.0
    NVIDIA B300 SXM6 AC = 148, 10.3
    NVIDIA GB300 = 152, 10.3
    NVIDIA Thor = 20, 11.0
    NVIDIA GeForce RTX 5060 Laptop GPU = 26, 12.0
    NVIDIA GeForce RTX 5070 Ti Laptop GPU = 46, 12.0
    NVIDIA GeForce RTX 5090 D v2 = 170, 12.0
    NVIDIA GeForce RTX 5090 Laptop GPU = 82, 12.0
    NVIDIA RTX PRO 2000 Blackwell = 34, 12.0
    NVIDIA RTX PRO 4500 Blackwell = 82, 12.0
    NVIDIA RTX PRO 5000 72GB Blackwell = 110, 12.0
    NVIDIA RTX PRO 5000 Blackwell Generation Laptop GPU = 82, 12.0
    NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition = 188, 12.0
    NVIDIA GB10 = 48, 12.1
    NVIDIA A30 MIG 1g.6gb = 14, 8.0
    NVIDIA A30 MIG 4g.24gb = 56, 8.0
    NVIDIA A100-SXM4-40GB MIG 1g.5gb+me = 14, 8.0
    NVIDIA A100-SXM4-40GB MIG 3g.20gb = 42, 8.0
    NVIDIA A100 80GB PCIe MIG 1g.10gb = 14, 8.0
    NVIDIA H100 80GB HBM3 MIG 1g.10gb+me = 16, 9.0
    NVIDIA H100 80GB HBM3 MIG 1g.20gb = 26, 9.0
    NVIDIA H100 80GB HBM3 MIG 3g.40gb = 60, 9.0
    NVIDIA H100 PCIe MIG 3g.40gb = 46, 9.0
    NVIDIA H100 NVL MIG 2g.24gb = 32, 9.0
    NVIDIA H200 NVL MIG 1g.18gb = 16, 9.0
    NVIDIA GH200 480GB MIG 3g.48gb = 60, 9.0
    NVIDIA B200 MIG 1g.45gb = 30, 10.0
    NVIDIA RTX PRO 6000 Blackwell Server Edition MIG 2g.48gb+gfx = 94, 12.0
"""


@pytest.mark.parametrize("line", PRINTED.strip().splitlines())
def test_what_torch_prints_is_accepted(line: str) -> None:
    name, numbers = line.strip().split(" = ")
    gpu = catalogue.find(name)
    assert f"{gpu.sms}, {gpu.capability}" == numbers


def test_the_numbers_are_those_of_the_file() -> None:
    gpu = catalogue.find("RTX 3060")
    assert (gpu.sms, gpu.compute_capability, gpu.capability) == (28, (8, 6), "8.6")
    assert gpu.shared_memory_optin == 101376
    assert gpu.source == "printed-properties"


def test_no_two_gpus_have_one_name_and_every_number_is_plausible() -> None:
    gpus = catalogue.all_gpus()
    assert len({gpu.name for gpu in gpus}) == len(gpus) == 273
    assert all(1 <= gpu.sms <= 200 for gpu in gpus)
    assert all((7, 0) <= gpu.compute_capability <= (12, 1) for gpu in gpus)
    for gpu in gpus:
        assert gpu.shared_memory_optin == catalogue.SHARED_MEMORY_OPTIN[gpu.compute_capability]
        assert gpu.source in {"printed-properties", "vendor-spec"}


def test_a_name_of_several_gpus_says_which() -> None:
    with pytest.raises(catalogue.UnknownGpuError) as caught:
        catalogue.find("H100")
    names = ("NVIDIA H100 PCIe", "NVIDIA H100 80GB HBM3", "NVIDIA H100 NVL")
    assert caught.value.candidates == names
    assert f"could be any of: {', '.join(names)}" in str(caught.value)


@pytest.mark.parametrize(
    ("printed", "sms"), [("Orin", {4, 8, 14, 16}), ("Xavier", {6, 8}), ("AGX Orin", {14, 16})]
)
def test_what_several_jetsons_print_names_every_one(printed: str, sms: set[int]) -> None:
    with pytest.raises(catalogue.UnknownGpuError) as caught:
        catalogue.find(printed)
    assert caught.value.ambiguous
    candidates = [catalogue.find(name) for name in caught.value.candidates]
    assert {gpu.sms for gpu in candidates} == sms
    assert all(gpu.name.startswith("Jetson") for gpu in candidates)
    assert all(gpu.name in str(caught.value) for gpu in candidates)


def test_which_of_several_mig_slices_is_not_guessed() -> None:
    with pytest.raises(catalogue.UnknownGpuError) as caught:
        catalogue.find("H100 MIG 3g")
    assert {catalogue.find(name).sms for name in caught.value.candidates} == {46, 60}


@pytest.mark.parametrize(
    "printed",
    [
        "NVIDIA A100-SXM4-40GB MIG 1c.3g.20gb",  # a part of a slice has fewer SMs than the slice
        "NVIDIA B200 MIG 3g.90gb",
        "NVIDIA GeForce RTX 3050 A Laptop GPU",
        "NVIDIA RTX A4000H",
        "NVIDIA H20 NVL16",
    ],
)
def test_a_longer_name_than_any_known_is_not_taken_for_a_shorter_one(printed: str) -> None:
    with pytest.raises(catalogue.UnknownGpuError, match="the nearest names are: NVIDIA") as caught:
        catalogue.find(printed)
    assert not caught.value.ambiguous
    assert 1 <= len(caught.value.candidates) <= 3


@pytest.mark.parametrize(
    ("typed", "near"),
    [("RTX 3065", "NVIDIA GeForce RTX 3060"), ("RXT 4090", "NVIDIA GeForce RTX 4090")],
)
def test_an_unknown_name_brings_the_nearest(typed: str, near: str) -> None:
    with pytest.raises(catalogue.UnknownGpuError) as caught:
        catalogue.find(typed)
    assert near in caught.value.candidates
    assert len(caught.value.candidates) <= 3
    assert repr(typed) in str(caught.value)


@pytest.mark.parametrize("typed", ["", "NVIDIA", "zzzzzzzz", "显卡"])
def test_a_name_without_any_likeness_is_unknown_too(typed: str) -> None:
    with pytest.raises(catalogue.UnknownGpuError, match="is known"):
        catalogue.find(typed)


def test_the_list_of_gpus_can_be_narrowed_by_words() -> None:
    shown = CliRunner().invoke(main, ["gpus", "4060", "ti"]).output
    assert "RTX 4060 Ti" in shown
    assert "RTX 3060" not in shown
    refused = CliRunner().invoke(main, ["gpus", "no-such"])
    assert (refused.exit_code, "no GPU is known" in refused.output) == (2, True)
