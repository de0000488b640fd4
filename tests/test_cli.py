"""Every command: exit codes, errors of one sentence, whole files, progress, and interruptions."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.command import INTERRUPTED, WRONG_USE, run_command
from cli.files import atomic, sweep
from cli.messages import MAX_MESSAGE_LENGTH, warn
from cli.progress import LOG_INTERVAL, progress
from cli.workers import interrupts_held
from crnn_reader.errors import UserError
from parameter import Parameters
from tests.processes import LIMIT, finished, interrupt_import, started

ROOT = Path(__file__).parents[1]


class Flags(Parameters):
    """Parameters of a command for these tests."""

    count: int = 1


def code_of(command: Callable[[Flags], int], *argv: str) -> object:
    with pytest.raises(SystemExit) as stop:
        run_command(command, Flags, list(argv))
    return stop.value.code


def raising(error: BaseException) -> Callable[[Flags], int]:
    def command(_: Flags) -> int:
        raise error

    return command


def test_a_command_returns_its_exit_code() -> None:
    assert code_of(lambda flags: flags.count, "--count", "0") == 0
    assert code_of(lambda flags: flags.count) == 1


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (UserError("x.png is no list: give a list"), 2, "error: x.png is no list: give a list\n"),
        (OSError(errno.ENOSPC, "full", "a.csv"), 2, "no space left to write a.csv"),
        (OSError(errno.ENOSPC, "full"), 2, "no space left to write the output"),
        (PermissionError(errno.EACCES, "denied", "a.csv"), 2, "no permission for a.csv"),
        (NotADirectoryError(errno.ENOTDIR, "not", "a/b"), 2, "a/b is not a folder: choose another path"),
        (OSError(errno.ENAMETOOLONG, "long", "aaa"), 2, "the name aaa is too long"),
        (OSError(errno.ELOOP, "loop", "aaa"), 2, "error: aaa: "),
        (OSError(errno.EIO, "device", "aaa"), 2, "error: aaa: "),
        (UserError("a\x1b[31m\nb.png is no list"), 2, "error: a\\x1b[31m\\nb.png is no list\n"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_failures_end_in_one_sentence(
    error: BaseException, code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(raising(error)) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err
    assert captured.err.count("\n") == 1


def test_wrong_flags_end_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(lambda flags: 0, "--count", "many") == 2
    assert code_of(lambda flags: 0, "--colour", "red") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "many" in lines[0]
    assert "--colour" in lines[1]


@pytest.mark.parametrize("error", [RuntimeError("defect"), OSError(errno.EIO, "device"), ValueError("defect")])
def test_a_defect_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        run_command(raising(error), Flags, [])


def test_too_little_memory_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run_command(raising(MemoryError()), Flags, [])
    assert stop.value.code == WRONG_USE
    assert capsys.readouterr().err.startswith("error: there is not enough memory: ")


def test_a_closed_pipe_is_no_failure() -> None:
    program = (
        "import parameter\nfrom cli.command import run_command\n"
        "class Flags(parameter.Parameters): pass\n"
        "def command(flags):\n"
        "    for number in range(100_000): print(number)\n"
        "    return 0\n"
        "run_command(command, Flags, [])\n"
    )
    pipe = subprocess.PIPE
    with started([sys.executable, "-c", program], stdout=pipe, stderr=pipe, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "0\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 0


def test_atomic_replaces_a_file_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.csv"
    with atomic(path) as part:
        part.write_text("first")
        assert part.suffix == ".csv"
        assert not path.exists()
    assert path.read_text() == "first"

    def fail_half_way() -> None:
        with atomic(path) as part:
            part.write_text("second")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


def test_atomic_names_the_user_s_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full") as caught, atomic(tmp_path / "a.csv") as part:
        raise OSError(errno.ENOSPC, "full", str(part))
    assert caught.value.filename == str(tmp_path / "a.csv")


def test_atomic_keeps_links_and_refuses_folders(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    with atomic(tmp_path / "link") as part:
        part.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"
    with pytest.raises(IsADirectoryError), atomic(tmp_path):
        pytest.fail("the block must not start")


def test_atomic_makes_folders_whole(tmp_path: Path) -> None:
    def make(name: str) -> None:
        with atomic(tmp_path / "out") as part:
            part.mkdir()
            (part / name).touch()
            (part / name).rename(part / "all")

    with pytest.raises(OSError, match="File name too long"):
        make(300 * "x")
    assert list(tmp_path.iterdir()) == []
    make("some")
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["out", "all"]


@pytest.mark.skipif(os.name == "nt", reason="modes are those of POSIX")
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o640, 0o400, 0o777])
def test_atomic_keeps_the_mode_of_what_it_replaces(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")
    path.chmod(mode)
    with atomic(path) as part:
        part.write_text("new")
        # Until it is complete, other users cannot read it.
        assert part.stat().st_mode & 0o077 == 0
    assert (path.read_text(), path.stat().st_mode & 0o7777) == ("new", mode)


@pytest.mark.skipif(os.name == "nt", reason="modes are those of POSIX")
def test_atomic_gives_new_files_the_usual_mode(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic(tmp_path / "a.csv") as part:
            part.write_text("new")
    finally:
        os.umask(before)
    assert (tmp_path / "a.csv").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_atomic_keeps_owner_and_group(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")
    os.chown(path, 12345, 23456)
    with atomic(path) as part:
        part.write_text("new")
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


@pytest.mark.parametrize("name", [255 * "a", 251 * "a" + ".csv", "a." + 253 * "b", 85 * "가", "a\nb\t.csv"])
def test_atomic_takes_any_name_that_the_file_system_takes(tmp_path: Path, name: str) -> None:
    for text in ("first", "second"):
        with atomic(tmp_path / name) as part:
            part.write_text(text)
        assert (tmp_path / name).read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_temporary_names_cannot_be_guessed(tmp_path: Path) -> None:
    names = set()
    for _ in range(20):
        with atomic(tmp_path / "a.csv") as part:
            part.write_text("new")
            names.add(part.name)
    assert len(names) == 20


KILLED = """
import os, sys
from cli.files import atomic
for name in ("a.csv", "b.npz"):
    part = atomic(os.path.join(sys.argv[1], name)).__enter__()
    part.write_text("half")
part = atomic(os.path.join(sys.argv[1], "folder")).__enter__()
part.mkdir()
(part / "half").write_text("half")
print("written", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.name == "nt", reason="there, who is alive cannot be asked")
def test_temporary_files_of_killed_processes_are_removed_by_the_next_and_other_files_stay(tmp_path: Path) -> None:
    others = [".crnn-kit-notes", ".a.csv.4711.partial", ".crnn-kit-0123abcd-1-0123456789abcdef.partial.csv"]
    for name in others:
        (tmp_path / name).write_text("of others, or of another machine")

    def left() -> list[str]:
        return sorted(path.name for path in tmp_path.iterdir() if path.name not in [*others, "next.csv"])

    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    pipe = subprocess.PIPE
    with started(command, stdin=pipe, stdout=pipe, cwd=ROOT) as process:
        assert process.stdout
        assert process.stdout.readline() == "written\n"
        assert len(left()) == 3
        sweep(tmp_path)
        # The process is still alive.
        assert len(left()) == 3
        process.kill()
        process.wait()
    write = "import sys\nfrom cli.files import atomic\nwith atomic(sys.argv[1]) as part: part.write_text('next')"
    finished([sys.executable, "-c", write, str(tmp_path / "next.csv")], cwd=ROOT, check=True)
    assert left() == []
    assert all((tmp_path / name).exists() for name in others)


def test_an_error_about_another_file_does_not_name_the_output(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="device") as caught, atomic(tmp_path / "a.csv"):
        raise OSError(errno.EIO, "device")
    assert caught.value.filename is None


@pytest.mark.skipif(os.name == "nt", reason="devices are files on POSIX systems only")
def test_atomic_leaves_devices_in_place() -> None:
    with atomic(os.devnull) as part:
        part.write_text("gone")
    assert Path(os.devnull).is_char_device()


def test_progress_in_a_log_is_one_line_per_interval(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with progress("reading", 4000) as advance:
        advance(10)
        assert capsys.readouterr().err == ""
        now += LOG_INTERVAL + 5
        advance(1990)
        assert capsys.readouterr().err == "reading: 2,000 of 4,000, 0:20 left, 100 pictures/s\n"
        now += LOG_INTERVAL + 5
        advance(0, 3000)
    assert capsys.readouterr().err == "reading: 2,000 of 3,000, 0:20 left, 50 pictures/s\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_progress_bar_does_not_write_to_stdout(tmp_path: Path) -> None:
    import pty

    terminal, stderr = pty.openpty()
    # A title may contain a path with markup and control characters.
    script = (
        "from cli.progress import progress\nwith progress('making [/b] \\x1b[2J', 3) as advance:\n"
        "    print('result')\n    advance(3)\n"
    )
    done = finished([sys.executable, "-c", script], stderr=stderr, cwd=ROOT, check=True)
    os.close(stderr)
    os.close(terminal)
    assert done.stdout == "result\n"


def test_a_pipe_is_written_to_and_not_replaced() -> None:
    script = "from cli.files import atomic\nwith atomic('/dev/stdout') as path: path.write_text('table')\n"
    done = finished([sys.executable, "-c", script], cwd=ROOT, check=True)
    assert done.stdout == "table"


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows cannot hold signals back")
def test_an_interrupt_is_delayed_and_does_not_reach_processes_started_meanwhile() -> None:
    said = []

    def interrupted() -> None:
        with interrupts_held():
            command = [sys.executable, "-c", "import json; print('done')"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
                child.send_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
                said.append(child.communicate(timeout=LIMIT)[0])

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert said == ["done\n"]


# Ctrl-C, and SIGTERM, at any time


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["errno", "parameter", "pydantic", "argparse", "cv2"])
@pytest.mark.parametrize("command", ["prediction.py DB/samples", "-m dataset DB/samples"])
def test_an_interruption_during_an_import_is_one_sentence(
    command: str, module: str, number: int, tmp_path: Path
) -> None:
    interrupt_import(module, number, tmp_path)
    done = finished(
        [sys.executable, *command.split()],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == (INTERRUPTED, "")
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("interrupted: "), done.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
@pytest.mark.parametrize(
    "what",
    [
        "raise_signal(SIGINT)",
        "raise_signal(SIGTERM)",
        # A closed terminal; nohup ignores it.
        "raise_signal(SIGHUP) if callable(getsignal(SIGHUP)) else raise_signal(SIGTERM)",
        "[raise_signal(SIGINT) for _ in range(3)]",
        # A library that is interrupted may raise any error.
        "exec('try: raise_signal(SIGINT)\\nexcept BaseException: raise ImportError(1)')",
        "exec('class A:\\n  def __del__(self): raise_signal(SIGINT)\\nA()\\nimport time\\ntime.sleep(20)')",
        "atexit.register(raise_signal, SIGINT) and raise_signal(SIGINT)",
    ],
)
def test_an_interruption_of_a_command_is_one_sentence(what: str, tmp_path: Path) -> None:
    # A script in the folder of the kit counts as a command.
    story = f"""
import sys
sys.modules["__main__"].__file__ = {str(ROOT / "story.py")!r}
import parameter, atexit
from cli import interrupts
from cli.command import run_command
from signal import *
class Flags(parameter.Parameters): pass
def command(flags):
    {what}
    return 0
run_command(command, Flags, [])
"""
    done = finished([sys.executable, "-c", story], cwd=ROOT)
    assert (done.returncode, done.stdout) == (INTERRUPTED, "")
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("interrupted: "), done.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_importing_the_kit_does_not_change_signal_handlers() -> None:
    story = "import signal, crnn_reader\nprint(signal.getsignal(2) is signal.default_int_handler, signal.getsignal(15))"
    done = finished([sys.executable, "-c", story], cwd=ROOT, check=True)
    assert done.stdout.split() == ["True", "0"] or "SIG_DFL" in done.stdout


@pytest.mark.parametrize("command", ["training.py", "-m dataset DB/samples", "-m generate_captcha"])
def test_a_command_without_its_packages_ends_in_one_sentence(command: str) -> None:
    # -S hides the installed packages.
    done = finished([sys.executable, "-S", *command.split()], cwd=ROOT)
    assert done.returncode == WRONG_USE
    assert done.stderr.count("\n") == 1 and sys.executable in done.stderr
    assert "start.py" in done.stderr and "activate" in done.stderr


def test_a_long_message_keeps_its_beginning_and_end(capsys: pytest.CaptureFixture[str]) -> None:
    warn("left out " + "x" * 100_000 + ": file name too long")
    line = capsys.readouterr().err
    assert line.startswith("left out xxx") and line.endswith("xxx: file name too long\n")
    assert len(line) <= MAX_MESSAGE_LENGTH


def test_commands_print_the_log_of_the_packages_once_and_in_order() -> None:
    script = (
        "import logging\n"
        "from cli.command import run_command; from cli.messages import warn\n"
        "from tests.test_cli import Flags\n"
        "def command(flags):\n"
        # As some libraries do when they are imported.
        "    logging.basicConfig(level=logging.ERROR)\n"
        "    logging.getLogger('dataset.cache').warning('one: 100 %s')\n"
        "    warn('two')\n"
        "    logging.getLogger('model.training.run_folder').info('three\\r')\n"
        "    logging.getLogger('PIL').warning('not the kit')\n"
        "    return 0\n"
        "run_command(command, Flags, [])"
    )
    done = finished([sys.executable, "-c", script], cwd=ROOT, check=True)
    assert done.stderr == "one: 100 %s\ntwo\nthree\\r\n"


def test_programs_that_import_the_packages_see_warnings(tmp_path: Path) -> None:
    """Also in a process that they start, and information if they ask for it."""
    lists = [tmp_path / f"{name}.txt" for name in ("here", "spawned")]
    for path in lists:
        path.write_text("missing.png\tA\u200b1\n")
    script = (
        "import multiprocessing, sys; from pathlib import Path; from dataset import collect\n"
        "collect(sys.argv[1])\n"
        "process = multiprocessing.get_context('spawn').Process(target=collect, args=sys.argv[2:])\n"
        "process.start(); process.join()\n"
    )
    done = finished([sys.executable, "-c", script, *map(str, lists)], cwd=ROOT, check=True)
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == list(map(str, lists))


def test_a_full_disk_for_the_log_is_ignored(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no device that is always full")
    script = (
        "from cli.command import run_command; from cli.messages import print_line, warn\n"
        "from tests.test_cli import Flags\n"
        "def command(flags): warn('one moment'); print_line('done'); return 0\n"
        "run_command(command, Flags, [])"
    )
    with open("/dev/full", "w") as full:
        done = finished([sys.executable, "-c", script], stderr=full, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "done\n")


def test_a_closed_pipe_for_the_log_does_not_end_the_work() -> None:
    script = (
        "from cli.command import run_command; from cli.messages import print_line, warn\n"
        "from tests.test_cli import Flags\n"
        "def command(flags): warn('epoch 1'); warn('epoch 2'); print_line('done'); return 1\n"
        "run_command(command, Flags, [])"
    )
    read, write = os.pipe()
    os.close(read)
    done = finished([sys.executable, "-c", script], stderr=write, cwd=ROOT)
    os.close(write)
    assert (done.returncode, done.stdout) == (1, "done\n")


def test_a_closed_stdin_is_empty() -> None:
    script = (
        "import sys; from cli.command import run_command; from tests.test_cli import Flags\n"
        "run_command(lambda flags: len(sys.stdin.read()), Flags, [])"
    )
    command = f"exec {sys.executable} -c '{script}' <&-"
    assert finished(command, shell=True, cwd=ROOT).returncode == 0
