"""The mirror: a source file has its test beside the others of its room, or an entry that says where."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("data", "dp", "models", "flows")
SMALL = 25
"""Lines; a file that is no longer is tested with what uses it."""

TESTED_IN = {
    "data/events/test_counting": "data/events/order",
    "data/events/test_neighbours": "data/events/connect data/events/declared data/events/places",
    "data/events/test_read": """data/events/config data/events/contribution data/events/regions
        data/events/columns data/events/sightings""",
    "data/events/test_records": "data/events/clock data/events/header data/events/lines",
    "data/events/test_refused": "data/events/checks",
    "data/store/test_store": """data/store/checks data/store/database data/store/forecasts
        data/store/panels data/store/raw data/store/raw_tables data/store/runs data/store/tables""",
    "data/test_credentials": "data/sources/credentials",
    "data/test_findings": "data/raw_rules",
    "data/test_identity": "data/sources/identity",
    "data/test_newcomer": "data/load",
    "data/test_sources": """data/sources/city data/sources/csv data/sources/paris data/sources/parquet
        data/sources/shape data/sources/sql data/sources/synthetic""",
    "data/test_sources_refused": "data/sources/files data/sources/table",
    "data/test_validate": "data/rules",
    "data/test_windows": "data/calendar data/clean data/panel data/split",
    "dp/audit/test_audit": "dp/audit/bounds dp/audit/counts dp/audit/gradients dp/audit/guesses",
    "dp/clipping/test_arbitrary": "dp/clipping/rounding",
    "dp/clipping/test_clipping": """dp/clipping/gradients dp/clipping/gru dp/clipping/layernorm
        dp/clipping/layers dp/clipping/linear dp/clipping/lstm dp/clipping/recurrent dp/clipping/support
        dp/clipping/tape dp/clipping/unrolled""",
    "dp/clipping/test_stack": "dp/clipping/stacked_pass dp/clipping/workspace",
    "dp/composition/test_unit_conversion": "dp/unit/period dp/unit/time_grid",
    "dp/ledger/test_datasets": "dp/ledger/accounts dp/ledger/identity",
    "dp/ledger/test_ledger": """dp/budget dp/charge dp/ledger/entries dp/ledger/log dp/ledger/place
        dp/ledger/refusal dp/ledger/tables dp/ledger/totals dp/ledger/values dp/ledger/verify""",
    "dp/mechanisms/test_scale": "dp/permit",
    "dp/private/test_training": "dp/private/noise_proof",
    "dp/release/test_panel": "dp/release/idempotent",
    "dp/release/test_stream": "dp/release/stream_entries",
    "dp/release/test_stream_seeds": "dp/ledger/seeds dp/mechanisms/kept_offsets",
    "dp/statement/test_statement": """dp/statement/caveats dp/statement/clock dp/statement/counts
        dp/statement/disclosed dp/statement/training dp/statement/wording""",
    "dp/unit/test_privacy_unit": "dp/unit/contribution",
    "flows/arcolezi/test_study": """flows/arcolezi/accounts flows/arcolezi/honest flows/arcolezi/protocol
        flows/arcolezi/published flows/arcolezi/report""",
    "flows/audit/test_attacks": """dp/audit/keys flows/audit/attacks/accounts flows/audit/attacks/attempt
        flows/audit/attacks/disguises flows/audit/attacks/files flows/audit/attacks/keys
        flows/audit/attacks/poison flows/audit/attacks/promise""",
    "flows/audit/test_audit": """flows/audit/counts flows/audit/figure flows/audit/training
        flows/cli/audit flows/cli/render/audit""",
    "flows/budget/test_accounts": "flows/cli/budget flows/cli/render/budget",
    "flows/cli/test_help": "flows/cli/app flows/cli/options flows/deploy/deployments",
    "flows/compare/test_backtest": "flows/cli/compare flows/cli/render/compare",
    "flows/forecasting/test_forecast": """flows/forecasting/figure flows/forecasting/saved_run
        models/metrics/interval models/metrics/mase models/metrics/smape""",
    "flows/pipeline/dpsgd/test_run": "flows/pipeline/fit",
    "flows/pipeline/dpsgd/test_train": "flows/pipeline/dpsgd/plan",
    "flows/pipeline/test_events": "flows/pipeline/read flows/planning/contribution_bound",
    "flows/pipeline/test_guarantee": "flows/pipeline/steps",
    "flows/pipeline/test_train": """flows/cli/data flows/cli/render/data flows/cli/render/run
        flows/cli/render/terminal flows/cli/runs flows/cli/train flows/pipeline/check
        flows/pipeline/evaluate flows/pipeline/figures flows/pipeline/record flows/pipeline/report
        flows/pipeline/completed flows/runtime/templates flows/tracking/summary flows/tracking/tracker
        flows/tracking/view""",
    "flows/planning/test_planning": "flows/cli/plan flows/planning/expected_error",
    "flows/planning/test_region_bound": "flows/planning/histograms",
    "flows/recipe/test_recipe": "flows/recipe/defaults flows/recipe/load flows/recipe/sections",
    "flows/service/test_service": "flows/service/answers flows/service/app flows/service/guard",
    "flows/stream/test_ingest": "flows/stream/period",
    "flows/stream/test_stream": """flows/jobs flows/runtime/notify flows/stream/arrivals
        flows/stream/champion flows/stream/forecast flows/stream/release flows/stream/retrain""",
    "flows/stream/test_two_streams": "flows/stream/names",
    "flows/sweep/test_flow": """flows/cli/render/sweep flows/cli/sweep flows/sweep/cost
        flows/sweep/figure flows/sweep/grid flows/sweep/learning_rates flows/sweep/page
        flows/sweep/record""",
    "flows/sweep/test_lost": "flows/runtime/result_cache flows/sweep/worker",
    "flows/test_losses": "flows/runtime/progress flows/settings",
    "flows/test_notebook": "data/plot",
    "flows/tracking/test_pyfunc_model": "flows/tracking/model_registry flows/tracking/pyfunc_package",
    "models/heads/test_heads": "models/heads/families models/heads/poisson models/heads/sparse",
    "models/metrics/test_metrics": "models/metrics/mae models/metrics/region models/metrics/rmse",
    "models/nets/test_recurrent": "models/nets/gru models/nets/lstm",
    "models/optimizers/test_first_order": """models/optimizers/adabelief models/optimizers/adamp
        models/optimizers/base models/optimizers/diffgrad models/optimizers/sgdp""",
    "models/optimizers/test_private_forms": """models/optimizers/private/adabelief
        models/optimizers/private/adam models/optimizers/private/adamp
        models/optimizers/private/diffgrad models/optimizers/private/sgdp""",
    "models/solvers/test_solvers": """models/solvers/accelerated models/solvers/gns
        models/solvers/penalties models/solvers/prox_cg""",
    "models/tabular/test_tabular": """models/batch models/blend models/tabular/base
        models/tabular/fourier models/tabular/ridge models/tabular/trees""",
    "models/test_checkpoint": "models/registry",
    "models/test_conformal": "models/backtest",
    "models/test_forecaster": "models/config models/forecasters models/predict",
    "models/training/test_stacked": "models/training/memory",
    "models/training/test_train": """models/device models/training/config models/training/epochs
        models/training/losses models/training/updates""",
    "stack/test_stack": """flows/cli/deploy flows/cli/render/deploy
        flows/cli/stack flows/deploy/heartbeats flows/service/run flows/stack/places flows/stack/pool
        flows/stack/postgres flows/stack/processes flows/stack/stack flows/stack/tables""",
}
"""Test files, and what they test although its name is another: what several files share is one idea,
one oracle or one set of parameters, and is tested together."""

UNTESTED = {
    "flows/stream/replay": "feeds a table for demonstrations; nothing reads what it returns",
    "flows/tracking/ui": "starts MLflow's own server and waits for it to end",
}


def name_of(path: Path) -> str:
    """Path below the repository without its suffix."""
    return path.relative_to(ROOT).with_suffix("").as_posix()


SOURCES = {
    name_of(path): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if "migrations"
    not in path.relative_to(ROOT).as_posix()  # run by each test that opens a database
}
QUOTED = re.compile(rf"({'|'.join(PACKAGES)})(\.\w+)+(:\w+)?$")
LISTED = [source for sources in TESTED_IN.values() for source in sources.split()]


def mirrored(source: str) -> bool:
    """Whether a source file has a test of its own name."""
    folder, _, name = source.rpartition("/")
    return (ROOT / "tests" / folder / f"test_{name}.py").exists()


def test_a_source_file_has_a_test_or_an_entry() -> None:
    expected = {
        source
        for source, path in SOURCES.items()
        if not path.name.startswith("__")
        and len(path.read_text().splitlines()) > SMALL
        and not mirrored(source)
    }
    entries = {*LISTED, *UNTESTED}
    assert expected - entries == set(), "files without a test: write one, or say where it is"
    assert entries - expected == set(), "stale entries: renamed, small by now, or with a test"


def test_no_source_file_is_listed_twice() -> None:
    entries = [*LISTED, *UNTESTED]
    assert sorted(entries) == sorted(set(entries))


@cache
def imports_of(path: Path) -> frozenset[str]:
    """Source files that a file imports, also inside functions, by a name in quotes or by `-m flows`."""
    text = path.read_text()
    modules = {"flows.__main__"} if re.search(r'"-m",\s+"flows"', text) else set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            modules |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Constant) and QUOTED.match(str(node.value)):
            words = re.split(r"[.:]", str(node.value))
            modules |= {".".join(words[:count]) for count in range(2, len(words) + 1)}
    places = {module.replace(".", "/") for module in modules}
    return frozenset(SOURCES) & (places | {f"{place}/__init__" for place in places})


@cache
def reached(source: str) -> frozenset[str]:
    """A source file and what it imports, in however many steps."""
    known, new = {source}, [source]
    while new:
        more = imports_of(SOURCES[new.pop()]) - known
        known |= more
        new += more
    return frozenset(known)


@pytest.mark.parametrize("test", TESTED_IN)
def test_a_test_reaches_what_it_is_listed_for(test: str) -> None:
    path = ROOT / "tests" / f"{test}.py"
    assert path.exists(), f"{test}: renamed?"
    within = frozenset[str]().union(*map(reached, imports_of(path)))
    assert set(TESTED_IN[test].split()) - within == set()
