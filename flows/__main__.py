"""`python -m flows`: the same as the command `veilcast`."""

from flows.cli.app import main

main()
