"""Infrastructure shared by all commands.

command.py     parameters, errors and exit codes
flags.py       command-line flags made from parameters, and `--help`
messages.py    output on stderr and stdout
progress.py    progress bars on terminals, progress lines in logs
files.py       atomic file writes
interrupts.py  Ctrl-C, SIGTERM and a closed terminal
workers.py     worker processes
registries.py  names and properties of styles, networks and formats, for `--help`
remarks.py     remarks on readable but unusual pictures
"""
