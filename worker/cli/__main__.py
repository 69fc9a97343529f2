"""`python -m worker.cli` is `slotgen`."""

from worker.cli import main

main()
