"""What torch calls at the end of `import torch`, through the `torch.backends` entry point (2.5 on).

Every user of torch in this environment pays for it, so it imports next to nothing and only waits.
"""

from __future__ import annotations


def activate() -> None:
    """Have the environment's value apply as soon as torch imports Inductor. Never raises."""
    from inductor_override.install import on_import

    on_import.wait()
