"""Pages are tried in folders of their own, by one Prefect server for all of a worker."""

from collections.abc import Iterator

import pytest
from prefect.testing.utilities import prefect_test_harness


@pytest.fixture(scope="session")
def server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=180):
        yield
