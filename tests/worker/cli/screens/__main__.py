"""`python -m tests.worker.cli.screens`: takes the screens anew; look at what has changed."""

from tests.worker.cli.screens.night import FOLDER, WIDTHS, play

for width in WIDTHS:
    (FOLDER / f"{width}.txt").write_text(play(width), "utf-8")
