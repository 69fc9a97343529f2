"""Whether a line is of a program: a `#` above it is then a comment, and no heading."""

import re

_LONGEST_LINE = 300  # of code; also bounds what the patterns may try
_SURELY = re.compile(
    r"(?:if|elif|for|while|def|class|with|try|except|else)\b.*:[ \t]*(?:#.*)?"
    r"|(?:import|from)[ \t]+\w[\w.]*(?:[ \t]+(?:import|as)\b.*)?"
    r"|return\b(?:[ \t]+[\w.\[\]()+*/-]+)?"
    r"|[a-z_][\w.]*\(.*\)[ \t]*;?[ \t]*(?:(?:#|//).*)?"
    r"|[a-z_]\w*(?:\[[^\]]*\])?[ \t]*(?:[-+*/]|//)?=[ \t]*(?:[\"'\[{(].*|[a-z_]\w*\(.*|-?\d[\d.]*[ \t]*#.*)"
    r"|[^;]*[()=\[+][^;]*;[ \t]*(?://.*)?|.*[)\w][ \t]*\{|\}.*"
    r"|(?:SELECT|INSERT|UPDATE|DELETE|WHILE|FOR|IF|OUTPUT|INPUT|PRINT|PROCEDURE|FUNCTION|DECLARE)\b.*"
    r"|[A-Za-z_][\w.]*(?:[ \t]*=[ \t]*[\w.]+)?\(.*[({\[,]"
    r"|[A-Z][A-Z0-9_]*=\S.*|(?:if|while|for)\b.*;[ \t]*(?:then|do)|fi|done|#!.*"
    r"|(?:echo|cd|ls|mkdir|chmod|pip|sudo|python3?)[ \t].*"
)
_ASSIGNMENT = re.compile(
    r"[a-z_]\w*(?:\[[^\]]*\])?[ \t]*(?:[-+*/]|//)?(?:=|<-|:=)[ \t]*[^=\s].*", re.IGNORECASE
)


def is_surely_code(line: str) -> bool:
    """Whether `line` can hardly be anything else."""
    return len(line) <= _LONGEST_LINE and _SURELY.fullmatch(line) is not None


def is_code(line: str) -> bool:
    """Whether `line` may be code; `x = 5` is an equation elsewhere."""
    return is_surely_code(line) or (len(line) <= _LONGEST_LINE and _ASSIGNMENT.fullmatch(line) is not None)
