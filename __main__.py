"""`python -m autobertc` is `autobertc`."""

from autobertc.cli.main import main

main()
