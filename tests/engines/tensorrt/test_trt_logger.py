"""TensorRT's messages: sorted into errors, changed arithmetic, and the log."""

from __future__ import annotations

import logging

import pytest

from edge_i2i.engines.tensorrt.logger import MessageHub, MessageLog, Severity

# Word for word from the parsers of 10.3, of 10.13 and later with TensorRT-RTX, and for other types.
CHANGED = (
    "onnxOpImporters.cpp:1499: TensorRT doesn't support QuantizeLinear/DequantizeLinear with UINT8 zero_point. "
    "TensorRT will use INT8 instead.",
    "onnxOpImporters.cpp:1980: TensorRT supports QuantizeLinear/DequantizeLinear with UINT8 zero_point only on DLA "
    "(version >= 3.16). Defaulting to INT8 instead. To import as UINT8, set the kIMPORT_UINT8_QUANTIZATION flag.",
    "onnxOpImporters.cpp:1988: For zero_point with type int32 TensorRT will use INT8 instead.",
    "One or more weights outside the range of FLOAT was clamped",
)


@pytest.mark.parametrize("message", CHANGED)
def test_knows_the_warnings_after_which_the_numbers_differ(message: str) -> None:
    messages = MessageLog()
    messages.add(Severity.WARNING, message)
    messages.add(Severity.WARNING, message)
    assert messages.changed_arithmetic == (message, message)


def test_other_warnings_change_nothing() -> None:
    messages = MessageLog()
    messages.add(Severity.WARNING, "setHardwareCompatibilityLevel() is unsupported in TensorRT-RTX.")
    messages.add(Severity.INFO, CHANGED[0])
    assert messages.changed_arithmetic == ()


def test_errors_are_taken_once_and_not_repeated() -> None:
    messages = MessageLog()
    for severity, text in ((Severity.ERROR, "first"), (Severity.INTERNAL_ERROR, "second"), (Severity.ERROR, "first")):
        messages.add(severity, text)
    assert messages.take_errors() == "first\n  second"
    assert messages.take_errors() == "TensorRT gave no reason"


def test_a_flood_of_messages_is_bounded() -> None:
    messages = MessageLog()
    for number in range(10_000):
        messages.add(Severity.ERROR, str(number))
    assert len(messages.take_errors().splitlines()) == 200


def test_a_hub_tells_those_that_are_attached() -> None:
    hub, session = MessageHub(), MessageLog()
    hub.attach(session)
    with hub.attached(MessageLog()) as build:
        hub.add(Severity.ERROR, "both hear this")
    hub.detach(session)
    hub.detach(session)
    hub.add(Severity.ERROR, "nobody hears this")
    assert session.take_errors() == build.take_errors() == "both hear this"


def test_warnings_reach_the_log_and_errors_only_its_debug_level(caplog: pytest.LogCaptureFixture) -> None:
    hub = MessageHub()
    with caplog.at_level(logging.DEBUG, logger="edge_i2i"):
        hub.add(Severity.WARNING, "careful")
        hub.add(Severity.ERROR, "raised as an exception")
        hub.add(Severity.VERBOSE, "chatter")
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.WARNING, "careful"),
        (logging.DEBUG, "raised as an exception"),
    ]
