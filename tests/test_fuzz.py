"""Whatever a user types, or whatever a file holds: one line, never a traceback."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_recommend import result_of

from inductor_override.cli import main
from inductor_override.comparison import Comparison
from inductor_override.request.environment import read_environment

texts = st.text(max_size=30) | st.from_regex(r"[-+0-9.xXeE_]{1,12}", fullmatch=True)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
quick = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def said(*arguments: str) -> Result:
    """What the command line says; fails where it shows a traceback."""
    done = CliRunner().invoke(main, list(arguments))
    assert done.exception is None or isinstance(done.exception, SystemExit), arguments
    assert "Traceback" not in done.output
    return done


@pytest.mark.parametrize(
    "command",
    [
        ("explain", "--gpu"),
        ("explain", "--shape"),
        ("explain", "--dtype"),
        ("explain", "--module"),
        ("explain", "--sms", "28", "--capability"),
        ("compare", "--arm"),
        ("compare", "--budget"),
        ("compare", "--min-effect"),
        ("compare", "--suite"),
        ("compare", "--metric"),
        ("doctor", "--gpu"),
        ("doctor", "--mode"),
        ("run", "--report"),
        ("run", "--min-sms"),
        ("recommend",),
    ],
    ids=" ".join,
)
@quick
@given(texts)
def test_the_command_line(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)  # "a.json" is a file that may be written
    # The last word is wrong in each command, so that nothing is ever carried out.
    done = said(*command, text, *(["--no-such-option"] if command[0] != "recommend" else []))
    assert done.exit_code == 2


@quick
@given(st.dictionaries(st.sampled_from(["MIN_SMS", "DISABLE", "SETTINGS"]), texts))
def test_the_environment(found: dict[str, str]) -> None:
    names = {
        "MIN_SMS": "TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS",
        "DISABLE": "INDUCTOR_OVERRIDE_DISABLE",
        "SETTINGS": "INDUCTOR_OVERRIDE_SETTINGS",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, text in found.items():
            if "\0" in text or any("\ud800" <= each <= "\udfff" for each in text):
                return
            patch.setenv(names[name], text)
        read = read_environment()
    assert read.min_sms is None or read.min_sms >= -1
    assert all(
        problem.count("\n") == 0 or "\n" in "".join(found.values()) for problem in read.problems
    )


RESULT = json.loads(
    json.dumps(Comparison(result_of([0.9, 1.1], ["stock", "min_sms=0", "mode=default"])).to_dict())
)


@settings(quick, max_examples=300)
@given(st.data())
def test_a_result_file_in_which_something_is_wrong(tmp_path: Path, data: st.DataObject) -> None:
    found = copy.deepcopy(RESULT)
    place = found
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if not isinstance(inner, (dict, list)) or not inner or data.draw(st.booleans()):
            break
        place = inner
    if data.draw(st.booleans()):
        place[key] = data.draw(values)
    else:
        del place[key]
    file = tmp_path / "result.json"
    file.write_text(json.dumps(found))
    for arguments in (["recommend", str(file)], ["compare", "--from", str(file)]):
        assert said(*arguments).exit_code in (0, 2, 4, 5, 6)


@quick
@given(st.text(max_size=60) | st.binary(max_size=40))
def test_a_result_file_that_is_none(tmp_path: Path, text: str | bytes) -> None:
    file = tmp_path / "result.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    assert said("recommend", str(file)).exit_code == 2


@pytest.mark.parametrize(
    "body",
    [
        "raise ValueError('two\\nlines')",
        "import no_such_module",
        "def build(:",
        "build = 3",
        "def build(): return None",
        "def build(): raise SystemExit(3)",
        "def build(): return 1 / 0",
        "class build: pass",
        "",
    ],
)
def test_a_module_in_which_something_is_wrong(tmp_path: Path, body: str) -> None:
    (tmp_path / "model.py").write_text(body + "\n")
    done = subprocess.run(
        [sys.executable, "-m", "inductor_override", "explain", "--module", "model.py:build"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback (most recent call last)" not in done.stdout
    assert done.stderr.startswith("error: ")
