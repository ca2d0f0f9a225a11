"""The `inductor-override` command.

Each command is a file of its own here, which ends in one `click.command` function; it is added to
the group below.  Nothing in this package imports torch: a typing error is answered at once.
"""

from __future__ import annotations

import click

from inductor_override import __version__
from inductor_override.cli.compare import compare
from inductor_override.cli.doctor import doctor
from inductor_override.cli.errors import OneLineGroup
from inductor_override.cli.explain import explain
from inductor_override.cli.gpus import gpus
from inductor_override.cli.recommend import recommend
from inductor_override.cli.run import run
from inductor_override.cli.status import status


@click.group(cls=OneLineGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="inductor-override")
def main() -> None:
    """Your own SM threshold for TorchInductor's max-autotune gate.

    The gate stands before the Triton templates of matrix products and convolutions.
    """


main.add_command(compare)
main.add_command(doctor)
main.add_command(explain)
main.add_command(gpus)
main.add_command(recommend)
main.add_command(run)
main.add_command(status)
