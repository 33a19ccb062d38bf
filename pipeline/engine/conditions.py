"""The part of CEL that kfp emits for dsl.If, Elif and Else, parsed and evaluated here; nothing is handed to `eval`.

Grammar: `||`, `&&`, `!`, comparisons, parentheses, literals, `inputs.parameter_values['x']`, `int()`, `double()`,
`string()`, `bool()`. As in CEL, `&&` and `||` ignore an error on one side when the other side decides.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pipeline.engine.values import ValueProblem, as_text

_TOKEN = re.compile(
    r"\s*(?:(?P<input>inputs\.parameter_values\[(?P<quote>['\"])(?P<name>.*?)(?P=quote)\])"
    r"|(?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<sign>&&|\|\||==|!=|<=|>=|[<>!()]))"
)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_WORDS = {"true": True, "false": False, "null": None}

Expression = Callable[[Mapping[str, Any]], Any]


def holds(text: str, parameters: Mapping[str, Any]) -> bool:
    """Evaluates a condition over the parameters of its task.

    Raises:
        ValueProblem: outside the grammar, an unknown parameter, operands that cannot be compared, or no boolean.
    """
    result = _Parser(text).parse()(parameters)
    if not isinstance(result, bool):
        raise ValueProblem(f"condition {text!r} gives {result!r}, not true or false")
    return result


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0

    def parse(self) -> Expression:
        expression = self._either()
        if self._at < len(self._tokens):
            raise self._problem()
        return expression

    def _problem(self) -> ValueProblem:
        rest = self._tokens[self._at][1] if self._at < len(self._tokens) else "its end"
        return ValueProblem(
            f"condition {self._text!r} cannot be read at {rest}; kfp's dsl.If emits comparisons, &&, || and !"
        )

    def _take(self, *signs: str) -> str:
        if self._at < len(self._tokens) and self._tokens[self._at][0] == "sign" and self._tokens[self._at][1] in signs:
            self._at += 1
            return str(self._tokens[self._at - 1][1])
        return ""

    def _either(self) -> Expression:
        left = self._both()
        while self._take("||"):
            left = _decided_by(True, left, self._both())
        return left

    def _both(self) -> Expression:
        left = self._comparison()
        while self._take("&&"):
            left = _decided_by(False, left, self._comparison())
        return left

    def _comparison(self) -> Expression:
        left = self._unary()
        sign = self._take("==", "!=", "<=", ">=", "<", ">")
        if not sign:
            return left
        right = self._unary()
        return lambda p: _compare(sign, left(p), right(p))

    def _unary(self) -> Expression:
        if self._take("!"):
            inner = self._unary()
            return lambda p: not _boolean(inner(p))
        if self._take("("):
            return self._closed(self._either())
        return self._operand()

    def _closed(self, inner: Expression) -> Expression:
        if not self._take(")"):
            raise self._problem()
        return inner

    def _operand(self) -> Expression:
        if self._at >= len(self._tokens):
            raise self._problem()
        kind, value = self._tokens[self._at]
        if kind == "sign" or (kind == "word" and value not in _WORDS and value not in _CASTS):
            raise self._problem()
        self._at += 1
        if kind == "input":
            return lambda p: _lookup(p, str(value))
        if kind == "word" and value in _CASTS:
            return self._cast(str(value))
        return lambda _: _WORDS[str(value)] if kind == "word" else value

    def _cast(self, name: str) -> Expression:
        if not self._take("("):
            raise self._problem()
        inner = self._closed(self._either())
        return lambda p: _casted(name, inner(p))


def _tokens(text: str) -> Iterator[tuple[str, Any]]:
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueProblem(f"condition {text!r} cannot be read at {text[at : at + 20]!r}")
        at = match.end()
        if match["input"]:
            yield "input", match["name"]
        elif match["number"]:
            yield "number", float(match["number"]) if re.search(r"[.eE]", match["number"]) else int(match["number"])
        elif match["text"] is not None:
            yield "text", _ESCAPE.sub(lambda m: _ESCAPES.get(m[1], m[1]), match["text"][1:-1])
        else:
            yield ("word", match["word"]) if match["word"] else ("sign", match["sign"])


def _lookup(parameters: Mapping[str, Any], name: str) -> Any:
    if name not in parameters:
        raise ValueProblem(f"a condition reads parameter {name!r}, which its task does not have")
    return parameters[name]


def _decided_by(decisive: bool, left: Expression, right: Expression) -> Expression:
    def evaluate(parameters: Mapping[str, Any]) -> bool:
        try:
            if _boolean(left(parameters)) is decisive:
                return decisive
        except ValueProblem:
            if _boolean(right(parameters)) is decisive:
                return decisive
            raise
        return _boolean(right(parameters))

    return evaluate


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueProblem(f"{value!r} stands where a condition needs true or false")
    return value


def _compare(sign: str, left: Any, right: Any) -> bool:
    if sign in ("==", "!="):
        same = left == right and isinstance(left, bool) == isinstance(right, bool)
        return same if sign == "==" else not same
    number = (int, float)
    both_numbers = isinstance(left, number) and isinstance(right, number) and not isinstance(left, bool | type(None))
    if not (both_numbers or (isinstance(left, str) and isinstance(right, str))):
        raise ValueProblem(f"{left!r} {sign} {right!r} compares values of different kinds")
    ordered: dict[str, bool] = {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}
    return ordered[sign]


def _casted(name: str, value: Any) -> Any:
    try:
        return _CASTS[name](value)
    except (TypeError, ValueError, KeyError):
        raise ValueProblem(f"{name}({value!r}) has no value") from None


_CASTS: dict[str, Callable[[Any], Any]] = {
    "int": lambda v: int(v),
    "double": lambda v: float(v),
    "string": lambda v: as_text(v),
    "bool": lambda v: {"true": True, "false": False}[str(v).lower()],
}
