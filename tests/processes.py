"""Start processes in tests. One that hangs is killed, and the failure shows its output and its stacks."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from crnn_reader.errors import UserError

#: Seconds after which a process counts as hanging: several times what it takes on a slow machine.
LIMIT = 200.0
#: A command as subprocess takes it.
Command = Sequence[str | os.PathLike[str]] | str
#: Seconds that a process has to print the stacks of its threads.
STACKS_LIMIT = 10.0


def _popen(command: Command, **options: Any) -> subprocess.Popen[str]:
    # A process group can be killed as a whole; faulthandler prints stacks at SIGABRT.
    environment = {**(options.pop("env", None) or os.environ), "PYTHONFAULTHANDLER": "1"}
    return subprocess.Popen(command, env=environment, text=True, start_new_session=True, **options)


def _send(process: subprocess.Popen[str], number: int) -> None:
    """Send a signal to a process and those that it started."""
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)
        else:
            process.kill()


def _listed(process: subprocess.Popen[str]) -> str:
    """Those that are left of a process and its child processes, with their states, as `ps` prints them."""
    if os.name == "nt":
        return "not listed on Windows"
    columns = "pid,ppid,stat,etime,time,wchan:30,args"
    return subprocess.run(
        ["ps", "-o", columns, "--sid", str(process.pid)], capture_output=True, text=True, check=False
    ).stdout


def _last_words(process: subprocess.Popen[str]) -> str:
    """Kill a process; returns its output that has not been read yet."""
    _send(process, signal.SIGABRT)
    for number in (signal.SIGTERM if os.name == "nt" else signal.SIGKILL, None):
        try:
            return "\n".join(said for said in process.communicate(timeout=STACKS_LIMIT) if said)
        except (subprocess.TimeoutExpired, ValueError):
            # A ValueError where the test has closed a pipe.
            if number is not None:
                _send(process, number)
    return "nothing that can be read"


def refuse_killed_workers(stream: Iterator[object]) -> None:
    """Kill the processes that make the batches of `stream`, and expect a sentence about that instead of a batch."""
    before = set(multiprocessing.active_children())
    next(stream)
    workers = set(multiprocessing.active_children()) - before
    assert workers
    for worker in workers:
        worker.kill()
    with pytest.raises(UserError, match=r"a worker process was killed .*--resume"):
        list(stream)


def finished(
    command: Command,
    *,
    seconds: float = LIMIT,
    input: str | None = None,
    check: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and capture its output as text.

    Raises AssertionError with its output if it has not ended after `seconds`.
    """
    if input is not None:
        options["stdin"] = subprocess.PIPE
    process = _popen(command, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})
    try:
        out, errors = process.communicate(input, timeout=seconds)
    except subprocess.TimeoutExpired:
        said = _last_words(process)
        raise AssertionError(f"{command} did not end within {seconds} seconds; it said:\n{said}") from None
    except BaseException:
        _last_words(process)
        raise
    assert not check or process.returncode == 0, f"{command} ended with {process.returncode}; it said:\n{out}\n{errors}"
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


@contextlib.contextmanager
def started(command: Command, *, seconds: float = LIMIT, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a process during a block; at the end of the block, it and its child processes are killed.

    After `seconds` they are killed earlier, so that the block does not wait forever. Then, and if the block fails,
    AssertionError has the output of the process.
    """
    process, late, left = _popen(command, **options), threading.Event(), list[str]()

    def abort() -> None:
        late.set()
        left.append(_listed(process))
        _send(process, signal.SIGABRT)
        if not ended.wait(STACKS_LIMIT):
            _send(process, signal.SIGKILL if os.name != "nt" else signal.SIGTERM)

    ended, watch = threading.Event(), threading.Timer(seconds, abort)
    watch.daemon = True
    watch.start()
    try:
        yield process
    except Exception as error:
        said = _last_words(process)
        took = f" within {seconds} seconds" if late.is_set() else ""
        raise AssertionError(f"{command} did not do what was expected{took}; it said:\n{said}") from error
    finally:
        ended.set()
        watch.cancel()
        _send(process, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
        process.wait(STACKS_LIMIT)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
    assert not late.is_set(), f"{command} did not end within {seconds} seconds; of its processes were left:\n{left[0]}"


def free_port() -> int:
    """A free port of this machine."""
    with socket.socket() as listening:
        listening.bind(("", 0))
        return int(listening.getsockname()[1])


def interrupt_import(module: str, number: int, folder: Path) -> None:
    """Write a file to `folder` that sends signal `number` to a process when it imports `module`.

    The folder must be in PYTHONPATH of the process.
    """
    # Python imports a module of this name when it starts. It has imported errno by then.
    (folder / "sitecustomize.py").write_text(
        "import os, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        f"            os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "sys.modules.pop('errno', None)\n"
    )
