"""Operators that compute number by number."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from edge_i2i.gate.facts import (
    ANY,
    BYTES,
    FLOATS,
    NUMBERS,
    WHOLES,
    Fact,
    Given,
    Outcome,
    Rule,
    RuleError,
    Rules,
    broadcast,
    gives,
)
from edge_i2i.gate.onnx_file import ELEMENT_TYPES


def _unary(dtypes: frozenset[str]) -> Rule:
    def rule(given: Given) -> Outcome:
        x = given.input(0, dtypes)
        return gives(x.dtype, x.shape)

    return rule


def _joined(dtypes: frozenset[str], result: str | None = None) -> Rule:
    """All inputs are of one type and stretch to one shape."""

    def rule(given: Given) -> Outcome:
        facts = given.same(None, dtypes)
        return gives(result or facts[0].dtype, broadcast(*(fact.shape for fact in facts)))

    return rule


def _divide(given: Given) -> Outcome:
    """Whole numbers are divided by what is in the file and not by zero: that ends the process."""
    x, y = given.same(2, NUMBERS)
    if x.dtype in WHOLES and (y.known is None or not np.all(y.known > 0)):
        raise RuleError("divides whole numbers by what may be zero")
    return gives(x.dtype, broadcast(x.shape, y.shape))


def _clip(given: Given) -> Outcome:
    x = given.input(0, NUMBERS | BYTES)
    for index in (1, 2):
        limit = given.optional(index)
        if limit is not None and (limit.dtype != x.dtype or limit.shape != ()):
            raise RuleError("has a limit that is not one number of its input's type")
        if limit is not None and limit.known is not None and np.isnan(limit.known):
            raise RuleError("has a limit that is no number")
    return gives(x.dtype, x.shape)


def _cast(given: Given) -> Outcome:
    x = given.input(0)
    to = ELEMENT_TYPES.get(given.whole("to", 0), "")
    if to not in ANY:
        raise RuleError("casts to a type that is not allowed")
    return gives(to, x.shape)


def _where(given: Given) -> Outcome:
    condition = given.input(0, frozenset({"bool"}))
    x, y = given.input(1, NUMBERS | BYTES), given.input(2)
    if x.dtype != y.dtype:
        raise RuleError("reads inputs of different types")
    return gives(x.dtype, broadcast(condition.shape, x.shape, y.shape))


def _slope(given: Given) -> Outcome:
    x, slope = given.same(2, FLOATS)
    if broadcast(x.shape, slope.shape) != x.shape:
        raise RuleError("has a slope of another shape than its input")
    return gives(x.dtype, x.shape)


def _identity(given: Given) -> Outcome:
    x = given.input(0)
    return Outcome((Fact(x.dtype, x.shape, x.known),))


_FLOAT_FUNCTIONS = (
    "Ceil Elu Erf Exp Floor LeakyRelu Log Reciprocal Relu Round Sigmoid Softplus Sqrt Tanh HardSigmoid HardSwish Gelu"
)
_TRUTH = frozenset({"bool"})

RULES: Rules = MappingProxyType(
    {
        **dict.fromkeys(_FLOAT_FUNCTIONS.split(), _unary(FLOATS)),
        **dict.fromkeys(("Abs", "Neg", "Sign"), _unary(NUMBERS)),
        **dict.fromkeys(("Add", "Sub", "Mul"), _joined(NUMBERS)),
        **dict.fromkeys(("Max", "Min"), _joined(NUMBERS)),
        **dict.fromkeys(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"), _joined(NUMBERS, "bool")),
        **dict.fromkeys(("And", "Or"), _joined(_TRUTH)),
        "Not": _unary(_TRUTH),
        "Pow": _joined(FLOATS),
        "Cast": _cast,
        "Clip": _clip,
        "Div": _divide,
        "Identity": _identity,
        "PRelu": _slope,
        "Where": _where,
    }
)
"""The rules by operator."""
