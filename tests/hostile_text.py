"""Text that should do something to who shows it, and what a command's own output may do."""

from __future__ import annotations

import re

# Conceals what follows, sets the title, clears the screen, rings, moves the line's start, reverses, is rich's
# markup, closes markup that was never opened, is an emoji's name, a tag character, a C1 control, a new line.
TEXT = (
    "\x1b[8m\x1b]0;owned\x07\x1b[2J\r\u202ereversed[bold red]x[/bold red][/x]:smile:"
    "\U000e0041\x9b5m\u200b\nHALTED"
)
# No UTF-8, then the same.
RAW = b"\xff\xfe\xc3" + TEXT.encode()
# What colours and weights look like; nothing else may leave.
COLOURS = re.compile(r"\x1b\[(?:0|1|2|3[0-7]|4[0-7])(?:;(?:1|2|3[0-7]|4[0-7]))*m")
