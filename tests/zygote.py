"""Processes for tests that would each import torch first: forked from one that has.

    with Zygote("import torch, torch._inductor.compile_fx") as zygote:
        done = zygote.run("print(torch.__version__)", TORCHINDUCTOR_CACHE_DIR="/tmp/x")

Each `run` is a process of its own, with its own environment variables, output and exit status. What
it has not is a fresh `import torch`: tests of that start a Python of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

_SERVER = """
import json, os, sys, traceback
exec(sys.argv[1])
for line in sys.stdin:
    request = json.loads(line)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for number, name in ((1, "stdout"), (2, "stderr")):
                os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT), number)
            os.environ.clear()
            os.environ.update(request["environment"])
            sys.argv = ["-c", *request["arguments"]]
            exec(compile(request["code"], "<string>", "exec"), {"__name__": "__main__"})
            status = 0
        except SystemExit as end:
            status = end.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Zygote:
    """A process that has run `preparation`, and forks for each `run`."""

    def __init__(self, preparation: str, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER, preparation],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self, code: str, *arguments: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            paths = {name: str(Path(folder, name)) for name in ("stdout", "stderr")}
            request = {
                "code": code,
                "arguments": arguments,
                "environment": {**os.environ, **environment},
                **paths,
            }
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            status = int(self._process.stdout.readline())
            said = {name: Path(path).read_text() for name, path in paths.items()}
        return subprocess.CompletedProcess(code, status, **said)

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
