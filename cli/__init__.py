"""How every command runs.

command.py     flags, errors and exit codes
messages.py    lines on stderr and stdout
progress.py    bars, and lines in logs
files.py       files that are written whole or not at all
interrupts.py  Ctrl-C, SIGTERM and a closed terminal
workers.py     worker processes
"""
