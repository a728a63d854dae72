"""Where a file can be mutated, and what it then reads: one small fault for each place.

A fault is of one of these kinds:

    comparison   a < b        a <= b          the bound moves by one, or the sense turns
    arithmetic   a + b        a - b           a sign, a unit
    logic        a and b      a or b
    negation     not a        a
    constant     60.0         61.0            True becomes False; texts are left alone
    statement    a.b(c)       pass            a call for its effect, or an assignment to what outlives the function

Docstrings, annotations and imports are no places. Text between `{` and `}` of an f-string is none either: Python 3.11
misplaces it.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
}
ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
}
UNREAD = {"decorator_list", "annotation", "returns", "type_comment"}
"""Fields of syntax nodes that hold no place."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: `new` stands where the bytes from `start` to `end` stood."""

    file: str
    kind: str
    line: int
    start: int
    end: int
    new: str
    before: str
    after: str

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.new.encode() + source[self.end :]


class Source:
    """A file's bytes, and where its syntax nodes stand in them."""

    def __init__(self, root: Path, file: str) -> None:
        self.file = file
        self.data = (root / file).read_bytes()
        self.tree = ast.parse(self.data)
        self.starts = [0]
        for line in self.data.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self.starts[node.lineno - 1] + node.col_offset, self.starts[node.end_lineno - 1] + node.end_col_offset

    def between(self, left: ast.expr, right: ast.expr, operator: str) -> tuple[int, int]:
        """Where an operator stands between its operands; brackets and comments may stand there too."""
        start, end = self.span(left)[1], self.span(right)[0]
        gap = re.sub(rb"#[^\n]*", lambda comment: b" " * len(comment[0]), self.data[start:end])
        found = re.search(rb"\s+".join(re.escape(word.encode()) for word in operator.split()), gap)
        assert found is not None, (self.file, left.lineno, operator)
        return start + found.start(), start + found.end()

    def lines(self, start: int, end: int, new: str) -> tuple[int, str, str]:
        """(line number, the lines of a span, the same lines with the fault), spaces as one."""
        first = self.data.rfind(b"\n", 0, start) + 1
        last = self.data.find(b"\n", end)
        last = len(self.data) if last < 0 else last
        before = self.data[first:last].decode()
        after = self.data[first:start].decode() + new + self.data[end:last].decode()
        return self.data.count(b"\n", 0, start) + 1, " ".join(before.split()), " ".join(after.split())


def mutants_of(source: Source) -> Iterator[Mutant]:
    """Every mutant of a file, in no particular order."""
    for node in read_by_tests(source.tree):
        for kind, start, end, new in faults_of(source, node):
            line, before, after = source.lines(start, end, new)
            yield Mutant(source.file, kind, line, start, end, new, before, after)


def read_by_tests(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below one whose fault a test could notice."""
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
        return
    yield node
    for name, value in ast.iter_fields(node):
        if name in UNREAD:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from read_by_tests(child)


def faults_of(source: Source, node: ast.AST) -> Iterator[tuple[str, int, int, str]]:
    """(kind, start, end, new text) of the faults that one node offers."""
    match node:
        case ast.Compare(left, operators, others):
            for one, operator, other in zip([left, *others], operators, others, strict=False):
                old, new = COMPARISONS[type(operator)]
                yield "comparison", *source.between(one, other, old), new
        case ast.BinOp(left, operator, right) if type(operator) in ARITHMETIC and not is_text(left, right):
            old, new = ARITHMETIC[type(operator)]
            yield "arithmetic", *source.between(left, right, old), new
        case ast.BoolOp(operator, values):
            old, new = ("and", "or") if isinstance(operator, ast.And) else ("or", "and")
            for one, other in pairwise(values):
                yield "logic", *source.between(one, other, old), new
        case ast.UnaryOp(ast.Not(), operand):
            start, end = source.span(operand)
            yield "negation", *source.span(node), f"({source.data[start:end].decode()})"
        case ast.Constant(bool(value)):
            yield "constant", *source.span(node), str(not value)
        case ast.Constant(int(value) | float(value)):
            yield "constant", *source.span(node), repr(value + 1)
        case ast.Expr(ast.Call() | ast.Await(ast.Call())) | ast.AugAssign():
            yield "statement", *source.span(node), "pass"
        case ast.Assign(targets) if all(isinstance(target, ast.Attribute | ast.Subscript) for target in targets):
            yield "statement", *source.span(node), "pass"


def is_text(*operands: ast.expr) -> bool:
    """Whether one of the operands of a sum is seen to be no number: its fault would be a TypeError, which proves nothing."""
    return any(
        isinstance(operand, ast.JoinedStr | ast.List | ast.Tuple | ast.ListComp)
        or (isinstance(operand, ast.Constant) and isinstance(operand.value, str | bytes))
        for operand in operands
    )
