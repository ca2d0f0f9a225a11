"""What torch calls at the end of `import torch`, through the `torch.backends` entry point (2.5 on).

Every user of torch in this environment pays for it, so it looks at the environment and, where none
of our variables is set, imports nothing.
"""

from __future__ import annotations

import os

from inductor_override._names import ENV_DISABLE, ENV_OPTION, ENV_SETTINGS


def activate() -> None:
    """Arrange for the environment's value to be in force. Never raises."""
    if any(os.environ.get(name) for name in (ENV_OPTION, ENV_SETTINGS, ENV_DISABLE)):
        from inductor_override._environment import arrange

        arrange()
