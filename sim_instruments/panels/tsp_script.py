"""Runs TSP chunks: a generator that yields the times (s) that pass, so that a script can be halted between two steps.

There are no coroutines, metatables or environments.
"""

from collections.abc import Callable, Generator, Iterator, Sequence

from sim_instruments.panels import tsp_tree as tree
from sim_instruments.panels.scpi_values import ScpiError
from sim_instruments.panels.tsp_library import computed
from sim_instruments.panels.tsp_values import Object, Table, TspRuntimeError, Value, number_of, truth, type_of

__all__ = ["Script"]

# Time (s) that one statement takes (assumed).
STATEMENT = 100e-6


class _BreakError(Exception):
    """`break` ends a loop."""


class _ReturnError(Exception):
    """`return` ends a script."""


class Script:
    """One chunk that runs.

    Parameters
    ----------
    block
        Its statements.
    variables
        The global variables.
    report
        Takes what a statement is rejected with; most errors do not end a script.

    Attributes
    ----------
    line
        Line of the statement that runs.

    """

    def __init__(self, block: tree.Block, variables: Object, report: Callable[[ScpiError], None]) -> None:
        self._block = block
        self._globals = variables
        self._report = report
        self._scopes: list[dict[str, Value]] = []
        self.line = 1

    def steps(self) -> Iterator[float]:
        """Run it; each step is a time (s) to wait. Raises TspRuntimeError."""
        try:
            yield from self._run(self._block)
        except _ReturnError:
            return

    def _run(self, block: tree.Block) -> Generator[float, None, None]:
        self._scopes.append({})
        try:
            for statement in block:
                self.line = getattr(statement, "line", self.line)
                yield STATEMENT
                try:
                    yield from self._statement(statement)
                except ScpiError as error:
                    self._report(error)
        finally:
            self._scopes.pop()

    def _statement(self, statement: tree.Statement) -> Generator[float, None, None]:
        match statement:
            case tree.Call():
                yield from self._call(statement)
            case tree.Assign(targets, values):
                found = yield from self._all(values)
                for target, value in zip(targets, [*found, *[None] * len(targets)], strict=False):
                    yield from self._assign(target, value)
            case tree.Local(names, values):
                found = yield from self._all(values)
                self._scopes[-1].update(zip(names, [*found, *[None] * len(names)], strict=False))
            case tree.Do(body):
                yield from self._run(body)
            case tree.If(branches, otherwise):
                yield from self._run((yield from self._chosen(branches, otherwise)))
            case tree.Loop():
                yield from self._loop(statement)
            case tree.For():
                yield from self._for(statement)
            case tree.Break():
                raise _BreakError
            case tree.Return():
                raise _ReturnError

    def _chosen(
        self, branches: Sequence[tuple[tree.Expression, tree.Block]], otherwise: tree.Block
    ) -> Generator[float, None, tree.Block]:
        for condition, body in branches:
            if truth((yield from self._value(condition))):
                return body
        return otherwise

    def _loop(self, loop: tree.Loop) -> Generator[float, None, None]:
        try:
            while loop.until or truth((yield from self._value(loop.condition))):
                yield STATEMENT
                yield from self._run(loop.body)
                if loop.until and truth((yield from self._value(loop.condition))):
                    break
        except _BreakError:
            return

    def _for(self, loop: tree.For) -> Generator[float, None, None]:
        bounds = yield from self._all((loop.start, loop.stop, loop.step))
        numbers = [number_of(bound) for bound in bounds[:3]]
        if any(number is None for number in numbers):
            raise TspRuntimeError("`for' initial value must be a number")
        value, stop, step = (float(number or 0.0) for number in numbers)
        try:
            while value <= stop if step >= 0 else value >= stop:
                yield STATEMENT
                self._scopes.append({loop.name: value})
                try:
                    yield from self._run(loop.body)
                finally:
                    self._scopes.pop()
                value += step
        except _BreakError:
            return

    def _assign(self, target: tree.Expression, value: Value) -> Generator[float, None, None]:
        if isinstance(target, tree.Name):
            scope = next((scope for scope in reversed(self._scopes) if target.name in scope), None)
            if scope is None:
                self._globals.set(target.name, value)
            else:
                scope[target.name] = value
        elif isinstance(target, tree.Index):
            owner = yield from self._owner(target)
            key = yield from self._value(target.key)
            owner.set(key, value)

    # --- expressions ----------------------------------------------------------------------------------------------

    def _all(self, expressions: Sequence[tree.Expression]) -> Generator[float, None, list[Value]]:
        """The values of a list: the last expression gives all of its results, the others one each."""
        found: list[Value] = []
        for number, expression in enumerate(expressions, start=1):
            if isinstance(expression, tree.Call) and number == len(expressions):
                found.extend((yield from self._call(expression)))
            else:
                found.append((yield from self._value(expression)))
        return found

    def _value(self, expression: tree.Expression) -> Generator[float, None, Value]:
        match expression:
            case tree.Constant(value):
                return value
            case tree.Name(name):
                scope = next((scope for scope in reversed(self._scopes) if name in scope), None)
                return self._globals.get(name) if scope is None else scope[name]
            case tree.TableOf(items):
                return (yield from self._table(items))
        return (yield from self._computed(expression))

    def _computed(self, expression: tree.Expression) -> Generator[float, None, Value]:
        match expression:
            case tree.Index():
                owner = yield from self._owner(expression)
                return owner.get((yield from self._value(expression.key)))
            case tree.Call():
                results = yield from self._call(expression)
                return results[0] if results else None
            case tree.Unary(sign, operand):
                return self._unary(sign, (yield from self._value(operand)))
            case tree.Binary("and" | "or" as sign, left, right):
                first = yield from self._value(left)
                return first if truth(first) == (sign == "or") else (yield from self._value(right))
            case tree.Binary(sign, left, right):
                first = yield from self._value(left)
                return computed(sign, first, (yield from self._value(right)))
        return None

    def _table(self, items: Sequence[tuple[tree.Expression | None, tree.Expression]]) -> Generator[float, None, Table]:
        found, position = Table(), 0
        for key, value in items:
            position += key is None
            at = float(position) if key is None else (yield from self._value(key))
            found.set(at, (yield from self._value(value)))
        return found

    @staticmethod
    def _unary(sign: str, value: Value) -> Value:
        if sign == "not":
            return not truth(value)
        number = number_of(value)
        if number is None:
            raise TspRuntimeError(f"attempt to perform arithmetic on a {type_of(value)} value")
        return -number

    def _owner(self, index: tree.Index) -> Generator[float, None, Object]:
        owner = yield from self._value(index.object)
        if not hasattr(owner, "get") or not hasattr(owner, "set"):
            raise TspRuntimeError(f"attempt to index {_described(index.object)} (a {type_of(owner)} value)")
        found: Object = owner
        return found

    def _call(self, call: tree.Call) -> Generator[float, None, Sequence[Value]]:
        function = yield from self._value(call.function)
        if not callable(function):
            raise TspRuntimeError(f"attempt to call {_described(call.function)} (a {type_of(function)} value)")
        arguments = yield from self._all(call.arguments)
        results: Sequence[Value] = yield from function(arguments)
        return results


def _described(expression: tree.Expression) -> str:
    """What a message calls the expression."""
    match expression:
        case tree.Name(name):
            return f"global `{name}'"
        case tree.Index(_, tree.Constant(str() as key)):
            return f"field `{key}'"
    return "a value"
