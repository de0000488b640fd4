"""What holds for all tests."""

from __future__ import annotations

import signal

# Started in the background by a shell, this process is deaf to Ctrl-C, and so would be the commands that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
