"""The service: answers from the store, to who has the token, whatever is thrown at it."""

import datetime
from pathlib import Path

import httpx
import pandas as pd
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok

from data.store import Database, Forecast, Run, append_forecasts, append_run, open_store
from flows.errors import SetupError
from flows.service.app import make_app
from flows.service.docs import page
from flows.service.guard import LARGEST_BODY, LONGEST_QUERY, token
from flows.settings import Home

TOKEN = "a-token-of-tests-0123456789"
OLD, RUN = "0" * 32, "f" * 32


def frame(value: float) -> pd.DataFrame:
    times = pd.date_range("2024-03-01 10:00", periods=2, freq="30min", name="time")
    return pd.DataFrame({"north": [value, value + 1], "süd/1": [7.0, 8.0]}, times)


def filled(folder: Path) -> Database:
    store = open_store(f"sqlite:///{folder / 'store.db'}")
    for hour, run in ((9, OLD), (10, RUN)):
        made = Forecast(
            run,
            datetime.datetime(2024, 3, 1, hour),
            frame(float(hour)),
            "input",
            "user-day",
            1.0,
            1e-7,
            frame(0.0),
            frame(99.0),
        )
        append_forecasts(store, "city", made)
    statement = {"text": "(1, 1e-07)-differential privacy ...", "epsilon": 1.0}
    document = {"statement": statement, "report": "/a/path/of/this/machine"}
    append_run(store, Run(RUN, "city", datetime.datetime(2024, 3, 1), document))
    return store


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    return TestClient(make_app(filled(tmp_path), TOKEN))


def get(client: TestClient, path: str, **headers: str) -> httpx.Response:
    return client.get(path, headers={"Authorization": f"Bearer {TOKEN}", **headers})


def test_the_latest_forecast_with_intervals_and_its_whole_promise(client: TestClient) -> None:
    answer = get(client, "/v1/forecasts?stream=city")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["run"], found["made_at"]) == (RUN, "2024-03-01T10:00:00")
    assert found["privacy"] == {
        "mechanism": "input",
        "unit": "user-day",
        "epsilon": 1.0,
        "delta": 1e-7,
        "neighbours": "add or remove the records of one unit",
    }
    assert found["values"][0] == {
        "time": "2024-03-01T10:00:00",
        "region": "north",
        "forecast": 10.0,
        "low": 0.0,
        "high": 99.0,
    }
    one = get(client, "/v1/forecasts?stream=city&region=s%C3%BCd%2F1").json()["values"]
    assert [value["forecast"] for value in one] == [7.0, 8.0]
    assert get(client, "/v1/streams").json() == {"streams": ["city"]}


def test_the_statement_and_nothing_else_of_a_run(client: TestClient) -> None:
    answer = get(client, f"/v1/statements/{RUN}")
    assert answer.json()["statement"]["epsilon"] == 1.0
    assert "machine" not in answer.text


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/v1/forecasts?stream=town", 404, "no forecasts of that stream"),
        ("/v1/forecasts?stream=city&region=west", 404, "no such region"),
        ("/v1/forecasts", 422, "stream"),
        ("/v1/forecasts?stream=" + "x" * 500, 422, "400"),
        ("/v1/forecasts?stream=" + "x" * (LONGEST_QUERY + 1), 414, "longer"),
        (f"/v1/statements/{'a' * 32}", 404, "no run"),
        ("/v1/statements/latest", 422, "pattern"),
        ("/v1/statements/..%2F..%2Fsecret", 404, "Not Found"),
        ("/v1/panels", 404, "Not Found"),
    ],
)
def test_bad_requests_are_told_why(client: TestClient, path: str, status: int, said: str) -> None:
    answer = get(client, path)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


def test_huge_and_odd_bodies(client: TestClient) -> None:
    head = {"Authorization": f"Bearer {TOKEN}"}
    answer = client.request("GET", "/v1/streams", headers=head, content=b"x" * (LARGEST_BODY + 1))
    assert answer.status_code == 413
    chunks = client.request("GET", "/v1/streams", headers=head, content=iter([b"x", b"y"]))
    assert chunks.status_code == 411
    for verb in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(verb, "/v1/streams", headers=head).status_code == 405


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
    ],
)
def test_without_the_token_nothing(client: TestClient, given: str | None) -> None:
    for path in ("/v1/streams", "/v1/forecasts?stream=city", f"/v1/statements/{RUN}"):
        answer = client.get(path, headers={} if given is None else {"Authorization": given})
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert TOKEN not in answer.text
        assert "token" in answer.json()["detail"]
    assert client.get("/health").json() == {"status": "ok", "store": True}


def test_a_store_that_is_gone_is_said_so_without_its_address(tmp_path: Path) -> None:
    store = filled(tmp_path)
    client = TestClient(make_app(store, TOKEN))
    (tmp_path / "store.db").unlink()
    answer = get(client, "/v1/forecasts?stream=city")
    assert answer.status_code == 503
    assert "store.db" not in answer.text
    assert client.get("/health").status_code == 503


def test_tokens_come_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VEILCAST_API_TOKEN_FILE", raising=False)
    made, path = token(Home(tmp_path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert token(Home(tmp_path)) == (made, path)
    monkeypatch.setenv("VEILCAST_API_TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(SetupError, match="No such file"):
        token(Home(tmp_path))
    (tmp_path / "none").write_text("short")
    with pytest.raises(SetupError, match="at least 16"):
        token(Home(tmp_path))


def test_the_documentation_names_every_call_and_loads_nothing(client: TestClient) -> None:
    answer = client.get("/docs")
    document = client.get("/openapi.json").json()
    for path in document["paths"]:
        assert path in answer.text
    assert answer.text == page(document)
    assert "http" not in answer.text.replace("https://", "x") or "src=" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.filterwarnings("ignore:Do not use the .random. module")  # schemathesis does, at times
def test_whatever_is_thrown_at_it(tmp_path: Path) -> None:
    app = make_app(filled(tmp_path), TOKEN)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    seen: set[int] = set()

    for operation in schema.get_all_operations():
        assert isinstance(operation, Ok)
        test = operation.ok().as_strategy()

        @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=test)
        def thrown(case: schemathesis.Case) -> None:
            answer = case.call(headers={"Authorization": f"Bearer {TOKEN}"})
            seen.add(answer.status_code)
            assert answer.status_code < 500
            case.validate_response(answer)  # status, headers and body are what the schema announces

        thrown()
    assert 200 in seen
    assert seen & {404, 422}
