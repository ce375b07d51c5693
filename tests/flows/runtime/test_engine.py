import threading

import pytest

from data.errors import DataError
from flows.recipe.load import compose
from flows.runtime.engine import start_engine_for


@pytest.mark.parametrize("source", ["nowhere.csv", "nowhere.parquet", "postgresql://h/d", "."])
def test_no_server_is_started_for_a_source_that_is_not_there(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(self: threading.Thread) -> None:
        raise AssertionError("a server was started")

    values = compose(None, {"source.name": source}, [])
    monkeypatch.setattr(threading.Thread, "start", started)
    with pytest.raises(DataError, match=r"no file|unknown source"):
        start_engine_for(values)
