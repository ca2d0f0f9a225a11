"""The GPUs that the command line knows by name, from `data/gpus.csv`.

Names are matched forgivingly: case, spaces, punctuation and the words that people leave out
("NVIDIA", "GeForce", "Tesla", "RTX") do not matter: "RTX 3060", "rtx3060" and "3060" are one GPU.
"""

from __future__ import annotations

import csv
import difflib
import functools
import re
from dataclasses import dataclass
from importlib import resources

_IGNORED = frozenset(
    {"nvidia", "geforce", "tesla", "grid", "gpu", "generation", "edition", "with", "design"}
)
_FAMILIES = frozenset({"rtx", "gtx", "jetson"})
_LISTED = 8  # names in a message, at most

# What a name may have besides the words of a row: a size of memory ("12GB"), or which share of a
# GPU's time and memory a virtual machine has ("NVIDIA A10-24Q"); all SMs are there in either case.
_SIZE = re.compile(r"\d+gb|\d+[abcq]")


@dataclass(frozen=True)
class Gpu:
    """One GPU, as CUDA describes it.

    Attributes:
        name: what `torch.cuda.get_device_name()` prints, or the vendor's name for it.
        sms: number of streaming multiprocessors.
        compute_capability: (major, minor).
        shared_memory_optin: most shared memory that one block may ask for, in bytes.
        source: where the numbers are from: "printed-properties" or "vendor-spec".
    """

    name: str
    sms: int
    compute_capability: tuple[int, int]
    shared_memory_optin: int
    source: str

    @property
    def capability(self) -> str:
        """The compute capability as it is written, such as "8.6"."""
        return "{}.{}".format(*self.compute_capability)


# CUDA Programming Guide, appendix on compute capabilities: "Maximum amount of shared memory per
# thread block", for those who name a GPU by its numbers.
SHARED_MEMORY_OPTIN = {
    **dict.fromkeys([(7, 0), (7, 2)], 96 << 10),
    (7, 5): 64 << 10,
    **dict.fromkeys([(8, 0), (8, 7)], 163 << 10),
    **dict.fromkeys([(8, 6), (8, 9), (12, 0), (12, 1)], 99 << 10),
    **dict.fromkeys([(9, 0), (10, 0), (10, 3), (11, 0)], 227 << 10),
}


class UnknownGpuError(LookupError):
    """No GPU of that name is known, or several are.

    Attributes:
        name: what was asked for.
        candidates: the names that come nearest, best first; all that match, if several do.
        ambiguous: whether several match.
    """

    def __init__(self, name: str, candidates: tuple[str, ...], *, ambiguous: bool = False) -> None:
        self.name = name
        self.candidates = candidates
        self.ambiguous = ambiguous
        listed = ", ".join(candidates[:_LISTED])
        if ambiguous and len(candidates) > _LISTED:
            message = (
                f"{name!r} could be any of {len(candidates)}, such as {listed}: give more of the "
                'name, in quotes where it has blanks ("RTX 3060")'
            )
        elif ambiguous:
            message = f"{name!r} could be any of: {listed}"
        elif candidates:
            message = f"no GPU named {name!r} is known; the nearest names are: {listed}"
        else:
            message = f"no GPU named {name!r} is known"
        super().__init__(message)


@functools.cache
def all_gpus() -> tuple[Gpu, ...]:
    """Every GPU of the catalogue, in the order of the file."""
    text = resources.files("inductor_override").joinpath("data/gpus.csv").read_text("utf-8")
    return tuple(
        Gpu(
            name=row["name"],
            sms=int(row["sms"]),
            compute_capability=_capability(row["compute_capability"]),
            shared_memory_optin=int(row["shared_memory_per_block_optin"]),
            source=row["source"],
        )
        for row in csv.DictReader(text.splitlines())
    )


def find(name: str) -> Gpu:
    """The GPU called `name`, such as `torch.cuda.get_device_name()` prints it.

    An exact model wins over longer names that contain it: "RTX 3060" is not "RTX 3060 Ti". Where
    NVIDIA gave one name to several GPUs, the plain row is the usual card and the other rows say in
    brackets what is different ("NVIDIA GeForce RTX 3050 (6 GB)").

    A size of memory does not matter where the model has no row of its own for it ("RTX 3060 12GB").
    Of a MIG slice ("NVIDIA A100-SXM4-40GB MIG 3g.20gb+me") only the words count that its row has
    ("NVIDIA A100 MIG 3g"). A name that fits several rows of the same numbers is the first of them.

    Raises:
        UnknownGpuError: none or several match; it holds the names to choose from.
    """
    words = _words(name)
    for found in (_exact(words), _containing(words), _contained(words)):
        if len({(gpu.sms, gpu.compute_capability) for gpu in found}) == 1:
            return found[0]
        if found:
            raise UnknownGpuError(name, tuple(gpu.name for gpu in found), ambiguous=True)
    raise UnknownGpuError(name, _nearest("".join(words)))


def _exact(words: list[str]) -> list[Gpu]:
    return [gpu for gpu in all_gpus() if "".join(words) in _keys(gpu)]


def _containing(words: list[str]) -> list[Gpu]:
    """The GPUs whose names have all of `words`; MIG slices only if "MIG" is one of them."""
    wanted = set(words)
    return [
        gpu
        for gpu in all_gpus()
        if wanted
        and wanted <= (own := set(_words(gpu.name)))
        and ("mig" in wanted or "mig" not in own)
    ]


def _contained(words: list[str]) -> list[Gpu]:
    """The GPUs whose whole names are in `words`, where what else is there does not matter."""
    found = []
    for gpu in all_gpus():
        own = _words(gpu.name)
        rest = set(words) - set(own)
        if set(_without_family(own)) <= set(words) and (
            "mig" in own or all(_SIZE.fullmatch(word) for word in rest)
        ):
            found.append(gpu)
    return found


def _nearest(key: str) -> tuple[str, ...]:
    names = {spelling: gpu.name for gpu in all_gpus() for spelling in _keys(gpu)}
    close = difflib.get_close_matches(key, names, n=6, cutoff=0.5)
    return tuple(dict.fromkeys(names[match] for match in close))[:3]


def _words(name: str) -> list[str]:
    # "12 GB" is one word, as "12GB" is; so is "1c.3g", a part of a MIG slice, which is not a "3g".
    text = re.sub(r"(?<=\d) gb\b", "gb", name.lower())
    words = re.findall(r"\dc\.\dg|rtx|gtx|[a-z0-9]+", text)
    return [word for word in words if word not in _IGNORED]


def _without_family(words: list[str]) -> list[str]:
    return words[1:] if words[0] in _FAMILIES else words


def _keys(gpu: Gpu) -> tuple[str, str]:
    words = _words(gpu.name)
    return "".join(words), "".join(_without_family(words))


def _capability(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)
