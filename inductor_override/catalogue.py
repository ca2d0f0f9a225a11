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

_BRANDS = frozenset({"nvidia", "geforce", "tesla", "gpu", "generation", "edition"})
_LISTED = 8  # names in a message, at most
_FAMILIES = frozenset({"rtx", "gtx", "jetson"})

# What a GPU is sold as, where its own properties print another name.
_ALIASES = {"dgxspark": "NVIDIA GB10", "spark": "NVIDIA GB10"}


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

    An exact model wins over longer names that contain it: "RTX 3060" is not "RTX 3060 Ti". Of a MIG
    slice ("NVIDIA A100-SXM4-40GB MIG 3g.20gb") the number of its compute slices counts, and a size
    of memory where the model has no row of its own for it ("NVIDIA RTX A2000 12GB") does not.

    Raises:
        UnknownGpuError: none or several match; it holds the names to choose from.
    """
    if slice_of := re.fullmatch(r"(.*\bA100\b.*?) MIG (\d)g\.\d+gb", name.strip(), re.IGNORECASE):
        name = f"A100 MIG {slice_of[2]}g"
    try:
        return _find(name)
    except UnknownGpuError as unknown:
        without_memory = re.sub(r"\s\d+\s?GB$", "", name.strip(), flags=re.IGNORECASE)
        if unknown.ambiguous or without_memory == name.strip():
            raise
        try:
            return _find(without_memory)
        except UnknownGpuError:
            raise unknown from None


def _find(name: str) -> Gpu:
    wanted = _tokens(name)
    key = "".join(wanted)
    gpus = all_gpus()
    if key in _ALIASES:
        return next(gpu for gpu in gpus if gpu.name == _ALIASES[key])
    for spelling in (_key, _short_key):
        exact = [gpu for gpu in gpus if spelling(gpu) == key]
        if len(exact) == 1:
            return exact[0]
    containing = [gpu for gpu in gpus if wanted and set(wanted) <= set(_tokens(gpu.name))]
    if len(containing) == 1:
        return containing[0]
    if containing:
        raise UnknownGpuError(name, tuple(gpu.name for gpu in containing), ambiguous=True)
    raise UnknownGpuError(name, _nearest(key))


def _nearest(key: str) -> tuple[str, ...]:
    names: dict[str, str] = {}
    for gpu in all_gpus():
        names.setdefault(_short_key(gpu), gpu.name)
        names[_key(gpu)] = gpu.name
    close = difflib.get_close_matches(key, names, n=6, cutoff=0.5)
    return tuple(dict.fromkeys(names[match] for match in close))[:3]


def _tokens(name: str) -> list[str]:
    words = re.findall(r"[a-z0-9]+", name.lower())
    return [word for word in words if word not in _BRANDS]


def _key(gpu: Gpu) -> str:
    return "".join(_tokens(gpu.name))


def _short_key(gpu: Gpu) -> str:
    return "".join(token for token in _tokens(gpu.name) if token not in _FAMILIES)


def _capability(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)
