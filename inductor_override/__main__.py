"""`python -m inductor_override` is the `inductor-override` command."""

from __future__ import annotations

from inductor_override.cli import main

if __name__ == "__main__":
    main(prog_name="python -m inductor_override")
