"""Ctrl-C, SIGTERM and a closed terminal (SIGHUP) in a command: one sentence and exit code 130, at any time.

Every command imports this module first. In a command it then has three stages:

    starting    nothing has begun, and packages are being imported, which may do anything with an exception: the process
                ends in the handler
    running     KeyboardInterrupt, as usual (:func:`begin`)
    ended       the exit code is known: nothing more is heard (:func:`end`)

Anywhere else, as in a program that imports `crnn_reader`, signals are left alone.
"""

from __future__ import annotations

# No more imports: until the first handler is there, an interruption is a traceback.
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from types import FrameType
    from typing import Any
else:
    # What is built in; `signal` itself imports half a dozen others.
    import _signal as signal

INTERRUPTED = 130

#: How to continue: until the command has begun, in one that leaves nothing half done, and in one that keeps its work.
_NOT_BEGUN = "nothing was done yet; run the same command again"
_STARTS_AGAIN = "the same command starts again from the beginning"
CONTINUES = "what is finished is kept; run the same command again to continue"

#: The environment variable by which a command that runs another says how to continue after an interruption.
REMEDY = "CRNN_KIT_REMEDY"

#: Windows has none.
_HANGUP = getattr(signal, "SIGHUP", None)

#: Seconds within which a second signal is the same interruption: a terminal, a shell and a wrapper may each send one.
SAME = 0.5

#: When the last one was heard, by time.monotonic().
_heard: float | None = None

_remedy = os.environ.get(REMEDY, _NOT_BEGUN)


def _is_command() -> bool:
    """Whether this process runs a script or package of this folder, as `python training.py` or `python -m dataset`."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    if script:
        return os.path.dirname(os.path.abspath(script)) == here
    # Of `-m` the interpreter imports the package first.
    name = sys.orig_argv[sys.orig_argv.index("-m") + 1] if "-m" in sys.orig_argv[:-1] else ""
    return bool(name) and os.path.exists(os.path.join(here, name.partition(".")[0], "__main__.py"))


def heard() -> bool:
    """Whether the user has interrupted: whatever is raised afterwards may come of that."""
    return _heard is not None


def sentence() -> str:
    """What to tell the user after an interruption."""
    return f"interrupted: {_remedy}"


def continue_by(remedy: str) -> None:
    """Set how to continue after an interruption; :func:`sentence` says it until the command ends."""
    global _remedy
    _remedy = os.environ.get(REMEDY, remedy)


def begin() -> None:
    """From here on an interruption is a KeyboardInterrupt in the main thread."""
    global _heard
    _heard = None
    continue_by(_STARTS_AGAIN)
    # SIGTERM comes from a time limit or a container that stops: keep finished work, as after Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) in (_end_at_once, signal.default_int_handler):
        signal.signal(signal.SIGINT, _interrupt)
    # nohup has it ignored.
    if _HANGUP and signal.getsignal(_HANGUP) in (_end_at_once, signal.SIG_DFL):
        signal.signal(_HANGUP, _interrupt)
    if is_command:
        sys.unraisablehook = _raised_in_vain


def end() -> None:
    """From here on an interruption changes nothing: the process is about to exit."""
    if is_command:
        for number in filter(None, (signal.SIGINT, signal.SIGTERM, _HANGUP)):
            signal.signal(number, signal.SIG_IGN)


def _end_at_once(_number: int, _frame: FrameType | None) -> None:
    os.write(2, sentence().encode() + b"\n")
    os._exit(INTERRUPTED)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    global _heard
    import time

    now, earlier = time.monotonic(), _heard
    _heard = now
    if earlier is None or now - earlier > SAME:
        raise KeyboardInterrupt


def _raised_in_vain(lost: Any) -> None:
    """A KeyboardInterrupt in a destructor or callback ends nothing: raise it once more, a moment later."""
    if issubclass(lost.exc_type, KeyboardInterrupt) and hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, _interrupt_again)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
    else:
        sys.__unraisablehook__(lost)


def _interrupt_again(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


is_command = _is_command()
if is_command and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end_at_once)
for _number in filter(None, (signal.SIGTERM, _HANGUP)):
    if is_command and signal.getsignal(_number) is signal.SIG_DFL:
        signal.signal(_number, _end_at_once)
