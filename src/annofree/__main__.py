"""`python -m annofree`."""

from annofree.cli.main import main

main()
