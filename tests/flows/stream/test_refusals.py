"""A command that is stopped says so, whatever the engine made of it; other faults are not hidden."""

from __future__ import annotations

import pytest
import typer

from flows.cli.options import errors


class TerminationSignal(BaseException):
    """What Prefect raises on SIGTERM."""


@pytest.mark.parametrize("cause", [KeyboardInterrupt(), TerminationSignal()])
def test_a_stopped_command_says_what_holds(
    cause: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    late = ConnectionError("the engine went first")
    late.__context__ = cause
    with pytest.raises(typer.Exit) as end, errors():
        raise late
    assert end.value.exit_code == 130
    assert "what was charged stays charged" in capsys.readouterr().err


def test_a_fault_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), errors():
        _ = 1 / 0
