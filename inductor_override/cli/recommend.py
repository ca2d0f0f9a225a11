"""`inductor-override recommend`: the line for a script, from a result file of compare."""

from __future__ import annotations

import json
from pathlib import Path

import click

from inductor_override.cli.errors import CannotError, in_words_of_a_file
from inductor_override.comparison.errors import ComparisonError
from inductor_override.comparison.recommend import recommend as recommended
from inductor_override.comparison.result import read


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the same as JSON.")
def recommend(file: Path, as_json: bool) -> None:
    """What a result FILE of compare says to do: the threshold and the options, or nothing."""
    try:
        with in_words_of_a_file(file):
            found = recommended(read(file))
    except ComparisonError as error:
        raise CannotError(str(error)) from None
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
        return
    click.echo(found.text)
    if found.python:
        click.echo(f"\nIn the script:\n\n{_indented(found.python)}")
    if found.environment:
        click.echo(f"\nFor a program that is not edited:\n\n{_indented(found.environment)}")
    for remark in found.remarks:
        click.echo(f"\nNote: {remark}.")


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
