"""Small faults put into a source file, one at a time: flipped signs, dropped terms, last steps only."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Change = Callable[[Any], None]
COMPARED: dict[type, tuple[type, ...]] = {
    ast.LtE: (ast.Lt, ast.Gt), ast.Lt: (ast.LtE, ast.Gt), ast.GtE: (ast.Gt, ast.Lt),
    ast.Gt: (ast.GtE, ast.Lt), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
COMPUTED: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}  # fmt: skip
NAMES = {
    "amax": "amin", "amin": "amax", "max": "min", "min": "max", "maximum": "minimum",
    "minimum": "maximum", "all": "any", "any": "all", "argmax": "argmin", "argmin": "argmax",
    "isfinite": "isnan", "inf": "nan",
}  # fmt: skip
REDUCED = ("amax", "amin", "any", "all")


class Mutant(NamedTuple):
    """A source with one fault: in which line of the original, that line, what was done to it."""

    number: int
    line: str
    what: str
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    """Yield the source with every fault that can be put into it, one each.

    Docstrings, annotations, decorators and the words of errors stay as they are.
    """
    lines = source.splitlines()
    tree = ast.parse(source)
    skipped = _beside_the_point(tree)
    for index, node in enumerate(ast.walk(tree)):
        if id(node) in skipped:
            continue
        for place, what, change in _changes(node):
            whole = copy.deepcopy(tree)
            change(next(n for i, n in enumerate(ast.walk(whole)) if i == index))
            text = ast.unparse(ast.fix_missing_locations(whole))
            yield Mutant(place.lineno, lines[place.lineno - 1].strip(), what, text)


def _changes(node: Any) -> Iterator[tuple[Any, str, Change]]:
    """Yield ways to spoil one node in place, each with the node that tells the line."""
    place = node.target if isinstance(node, ast.comprehension) else node
    yield from ((place, what, change) for what, change in _spoilt(node))
    yield from _dropped(node)


def _spoilt(node: Any) -> Iterator[tuple[str, Change]]:
    """Yield ways to change what an expression says."""
    if isinstance(node, ast.Compare):
        for other in COMPARED[type(node.ops[0])]:
            yield f"{_name(node.ops[0])} to {other.__name__}", _put("ops", [other(), *node.ops[1:]])
    elif isinstance(node, ast.BoolOp):
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield f"{_name(node.op)} to {other.__name__}", _put("op", other())
    elif isinstance(node, ast.UnaryOp):
        again = ast.UnaryOp(ast.USub() if isinstance(node.op, ast.USub) else node.op, node.operand)
        yield f"{_name(node.op)} dropped", _put("operand", again)
    elif isinstance(node, ast.BinOp) and type(node.op) in COMPUTED:
        other = COMPUTED[type(node.op)]
        yield f"{_name(node.op)} to {other.__name__}", _put("op", other())
        if isinstance(node.op, ast.Add):
            nothing = ast.BinOp(node.right, ast.Mult(), ast.Constant(0))
            yield "what is added dropped", _put("right", nothing)
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield f"{node.attr} to {NAMES[node.attr]}", _put("attr", NAMES[node.attr])
    elif isinstance(node, ast.Call):
        yield from _last_only(node)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield f"{node.value} to {not node.value}", _put("value", not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield f"{node.value} to {node.value + 1}", _put("value", node.value + 1)
    elif isinstance(node, ast.comprehension):
        first = ast.Subscript(
            ast.Call(ast.Name("list", ast.Load()), [node.iter], []),
            ast.Slice(None, ast.Constant(1)), ast.Load(),
        )  # fmt: skip
        yield f"only the first of {ast.unparse(node.iter)}", _put("iter", first)


def _last_only(node: ast.Call) -> Iterator[tuple[str, Change]]:
    """A reduction over a dimension that looks at its last entry alone."""
    dims = [k.value for k in node.keywords if k.arg == "dim"]
    if isinstance(node.func, ast.Attribute) and node.func.attr in REDUCED and dims:
        func = ast.Attribute(node.func.value, "select", ast.Load())
        args = [dims[0], ast.Constant(-1)]

        def change(call: ast.Call) -> None:
            call.func, call.args, call.keywords = func, args, []

        yield f"only the last of {node.func.attr}", change


def _dropped(node: Any) -> Iterator[tuple[Any, str, Change]]:
    """Statements left out: changes of state, bare calls, refusals."""
    for field in ("body", "orelse"):
        block = getattr(node, field, None)
        for place, line in enumerate(block if isinstance(block, list) else ()):
            assigned = isinstance(line, ast.Assign) and any(
                isinstance(t, ast.Attribute | ast.Subscript) for t in line.targets
            )
            called = isinstance(line, ast.Expr) and isinstance(line.value, ast.Call)
            if assigned or called or isinstance(line, ast.AugAssign | ast.Raise):
                rest = [*block[:place], ast.Pass(), *block[place + 1 :]]
                yield line, f"`{ast.unparse(line)[:50]}` left out", _put(field, rest)


def _put(field: str, value: Any) -> Change:
    return lambda node: setattr(node, field, copy.deepcopy(value))


def _name(operator: Any) -> str:
    return type(operator).__name__


def _beside_the_point(tree: ast.AST) -> set[int]:
    """Return the nodes that are about people or types, not about what is done."""
    apart: list[ast.AST] = []
    for node in ast.walk(tree):
        for field in ("annotation", "returns"):
            found = getattr(node, field, None)
            apart += [found] if isinstance(found, ast.AST) else []
        apart += getattr(node, "decorator_list", [])
        apart += [node.exc] if isinstance(node, ast.Raise) and node.exc else []
        apart += [node] if isinstance(node, ast.JoinedStr) else []
    return {id(inner) for part in apart for inner in ast.walk(part)}
