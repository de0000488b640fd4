"""Fixtures and options for all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from cli.messages import print_log

# A shell that starts this process in the background makes it ignore Ctrl-C, and the processes that it starts would too.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Tests call functions of the packages and compare stderr, where commands print the log.
print_log()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz-minutes", type=float, help="minutes that each test of tests/fuzz takes (README.md there)")
    parser.addoption("--fuzz-seed", type=int, default=0, help="seed of the tests in tests/fuzz")


@pytest.fixture
def eager() -> Iterator[None]:
    """Let TensorFlow compute without graphs: tracing one takes longer than the few steps of most tests."""
    from model.backend import import_keras

    if import_keras().backend.backend() != "tensorflow":
        yield
        return
    import tensorflow

    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)
