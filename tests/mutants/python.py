"""Makes the mutants of a Python file: those of mutmut, at the top of a module and in a class as well.

mutmut's own runner calls a mutated copy of a function in the original's place. It leaves out what is not in a
function, and functions with a decorator: a brake that begins released, a table, a property, whatever a cache
keeps. So the changes are mutmut's, and each is written into a whole file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mutmut.mutation.file_mutation import create_mutations

from tests.mutants.mutant import Mutant

# These mutmut takes as they are.
_KEPT = {"classmethod", "staticmethod"}


def python_mutants(path: str, source: str) -> Iterator[Mutant]:
    plain = undecorated(source)
    module, mutations, *_ = create_mutations(path, plain)
    for each in mutations:
        mutated = module.deep_replace(each.original_node, each.mutated_node).code
        if _is_python(mutated):
            yield Mutant.of(path, plain, mutated)


def undecorated(source: str) -> str:
    """Return `source` with `f = decorator(f)` after each function in place of `@decorator` before it."""
    lines = source.splitlines()
    functions = [
        each
        for each in ast.walk(ast.parse(source))
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    for each in sorted(functions, key=lambda function: function.lineno, reverse=True):
        match each.decorator_list:
            case [decorator] if ast.unparse(decorator) not in _KEPT:
                decorated = f"{each.name} = {ast.unparse(decorator)}({each.name})  # pragma: no mutate"
                lines.insert(each.end_lineno or each.lineno, " " * each.col_offset + decorated)
                del lines[decorator.lineno - 1 : each.lineno - 1]
    return "\n".join(lines) + "\n"


def _is_python(source: str) -> bool:
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True
