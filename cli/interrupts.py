"""Handle Ctrl-C, SIGTERM and a closed terminal (SIGHUP): print one sentence and exit with code 130, at any time.

Every command imports this module first. A signal is then handled in one of three ways:

    while starting    the handler ends the process. Packages are being imported, and they might catch an exception.
    while running     the handler raises KeyboardInterrupt (after :func:`begin`)
    while ending      the signal is ignored, because the exit code is already known (after :func:`end`)

In other programs, such as one that imports `crnn_reader`, signal handlers do not change.
"""

from __future__ import annotations

# Import nothing else here: until the first handler is installed, an interruption prints a traceback.
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from types import FrameType
    from typing import Any
else:
    # The built-in module. `signal` would import half a dozen others.
    import _signal as signal

INTERRUPTED = 130

#: How to continue: before the command began, in a command that starts over, and in a command that keeps finished work.
_NOT_BEGUN = "nothing was done yet; run the same command again"
_STARTS_AGAIN = "the same command starts again from the beginning"
CONTINUES = "what is finished is kept; run the same command again to continue"

#: Environment variable with the advice on how to continue. Set by a command that runs another one.
REMEDY = "CRNN_KIT_REMEDY"

#: None on Windows.
_HANGUP = getattr(signal, "SIGHUP", None)

#: A second signal within this many seconds is the same interruption: terminal, shell and wrapper may each send one.
SAME_INTERRUPT_SECONDS = 0.5

#: Time of the last signal, by time.monotonic(). None if there was none.
_interrupted_at: float | None = None

_remedy = os.environ.get(REMEDY, _NOT_BEGUN)


def _is_command() -> bool:
    """Whether this process runs a command of this kit, such as `python training.py` or `python -m dataset`."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    if script:
        return os.path.dirname(os.path.abspath(script)) == here
    # With `-m`, the package is imported before `__main__` gets a file.
    name = sys.orig_argv[sys.orig_argv.index("-m") + 1] if "-m" in sys.orig_argv[:-1] else ""
    return bool(name) and os.path.exists(os.path.join(here, name.partition(".")[0], "__main__.py"))


def was_interrupted() -> bool:
    """Whether the user has interrupted the command. Any later exception may be a consequence."""
    return _interrupted_at is not None


def sentence() -> str:
    """The message for the user after an interruption."""
    return f"interrupted: {_remedy}"


def continue_by(remedy: str) -> None:
    """Set the advice that :func:`sentence` gives on how to continue. The environment variable takes precedence."""
    global _remedy
    _remedy = os.environ.get(REMEDY, remedy)


def begin() -> None:
    """From here on, an interruption raises KeyboardInterrupt in the main thread."""
    global _interrupted_at
    _interrupted_at = None
    continue_by(_STARTS_AGAIN)
    # SIGTERM comes from a time limit or a stopping container. Keep finished work, as after Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) in (_end_at_once, signal.default_int_handler):
        signal.signal(signal.SIGINT, _interrupt)
    # nohup sets SIGHUP to be ignored: leave that as it is.
    if _HANGUP and signal.getsignal(_HANGUP) in (_end_at_once, signal.SIG_DFL):
        signal.signal(_HANGUP, _interrupt)
    if is_command:
        sys.unraisablehook = _handle_unraisable


def end() -> None:
    """From here on, interruptions are ignored, because the process is about to exit."""
    if is_command:
        for number in filter(None, (signal.SIGINT, signal.SIGTERM, _HANGUP)):
            signal.signal(number, signal.SIG_IGN)


def _end_at_once(_number: int, _frame: FrameType | None) -> None:
    os.write(2, sentence().encode() + b"\n")
    os._exit(INTERRUPTED)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    global _interrupted_at
    import time

    now, earlier = time.monotonic(), _interrupted_at
    _interrupted_at = now
    if earlier is None or now - earlier > SAME_INTERRUPT_SECONDS:
        raise KeyboardInterrupt


def _handle_unraisable(lost: Any) -> None:
    """Raise a KeyboardInterrupt again shortly after Python swallowed it in a destructor or callback."""
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
