"""`python -m pairs_bt.cli`."""

from pairs_bt.cli.commands import main

main()
