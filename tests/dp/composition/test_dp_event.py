import dp_accounting
import pytest

from dp.accounting.sliding_window import CellNoise
from dp.composition.dp_event import WindowedGaussianDpEvent, training_event
from dp.mechanisms.window_sampling import WindowSampling


def test_a_training_is_an_event_of_dp_accounting() -> None:
    sampling = WindowSampling(2688, 512, 252, 5, 23.0)
    event = training_event(sampling)
    assert isinstance(event, dp_accounting.SelfComposedDpEvent)
    assert event.count == 252
    assert event.event == WindowedGaussianDpEvent(5, 512 / 2688, 23.0)
    both = training_event(WindowSampling(2688, 512, 252, 5, 23.0, CellNoise(16.0, 16)))
    assert both.events[0] == event
    assert both.events[1].noise_multiplier == pytest.approx(4.0)


def test_accountants_that_do_not_know_it_say_so() -> None:
    """Nothing takes the event for something cheaper."""
    event = training_event(WindowSampling(2688, 512, 252, 5, 23.0))
    for accountant in (dp_accounting.rdp.RdpAccountant(), dp_accounting.pld.PLDAccountant()):
        assert not accountant.supports(event)
