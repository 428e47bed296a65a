"""`python -m valor_data` is `valor-data`."""

from valor_data.cli import main

main()
