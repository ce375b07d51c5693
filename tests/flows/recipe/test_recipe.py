import os
from pathlib import Path

import pytest
import tomlkit

from flows.errors import UsageError
from flows.recipe.load import compose, load, override, recipe_folder
from flows.recipe.recipe import Recipe, from_dict


@pytest.mark.parametrize("path", sorted(recipe_folder().glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_that_come_along_are_whole(path: Path) -> None:
    recipe = from_dict(load(path.stem))
    assert from_dict(load(str(path))) == recipe
    assert from_dict(tomlkit.parse(recipe.to_toml()).unwrap()) == recipe


def test_defaults_promise_something_to_people() -> None:
    privacy = Recipe().privacy
    assert (privacy.mechanism, privacy.unit, privacy.delta) == ("input", "user", 1e-7)


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("privacy.epsilon=0", "epsilon=0"),
        ("privacy.epsilon=-1", "epsilon=-1"),
        ("privacy.epsilon=nan", "epsilon=nan"),
        ("privacy.delta=1", "delta=1"),
        ("privacy.delta=0", "delta=0"),
        ("privacy.epsilon=lots", "privacy.epsilon='lots'"),
        ("privacy.unit=person", "unit='person' is unknown; choose one of user"),
        ("privacy.mechanism=magic", "mechanism='magic' is unknown"),
        ("privacy.unit=interval-1", "choose user-interval"),
        ("privacy.unit=interval-0", "interval-0"),
        ("privacy.noise_multiplier=0", "noise_multiplier=0 gives no privacy at all"),
        ("privacy.noise_multiplier=30", "noise_multiplier is for mechanism=gradient"),
        ("privacy.protect_inputs=true", "protect_inputs is for mechanism=gradient"),
        ("source.max_count=0", "max_count=0"),
        ("source.regions_ever=0", "regions_ever=0 to be a whole number of at least 1"),
        ("source.regions_ever=two", "source.regions_ever='two'"),
        ("training.average=1", "average=1"),
        ("privacy.epsilom=1", "did you mean privacy.epsilon?"),
        ("privcy.epsilon=1", "did you mean privacy?"),
        ("privacy.cap_epsilon=0", "cap_epsilon=0"),
        ("privacy.weight=0", "weight=0"),
        ("model.name=transformer", "model='transformer' is unknown"),
        ("model.hidden=0", "hidden=0"),
        ("training.optimizer=adan", "did you mean 'adam'?"),
        ("training.epochs=0", "epochs=0"),
        ("epsilon=1", "section.field=value"),
        ("privacy", "section.field=value"),
    ],
)
def test_impossible_values_are_named(setting: str, named: str) -> None:
    with pytest.raises(UsageError) as error:
        compose(None, {}, [setting])
    assert named in str(error.value)


def test_a_mechanism_brings_its_regime_and_the_recipe_wins() -> None:
    plain, private = Recipe(), from_dict({"privacy": {"mechanism": "gradient"}})
    assert private.windows.lags < plain.windows.lags
    assert private.training.batch_size > plain.training.batch_size
    assert private.training.average is not None
    mine = {"privacy": {"mechanism": "gradient"}, "windows": {"lags": 9}}
    assert from_dict(mine).windows.lags == 9
    assert from_dict(mine).training == private.training
    assert from_dict(from_dict(mine).to_dict()) == from_dict(mine)
    assert from_dict({"privacy": {"mechanism": "input"}}) == plain
    with pytest.raises(UsageError, match=r"\[model\] must be a table"):
        from_dict({"privacy": {"mechanism": "gradient"}, "model": "gru"})


def test_options_win_over_settings_and_those_over_the_recipe() -> None:
    values = compose("demo", {"privacy.epsilon": 2.0, "model.name": None}, ["privacy.epsilon=3"])
    assert values["privacy"]["epsilon"] == 2.0
    assert values["model"]["name"] == "bigru"
    assert override({}, ["windows.seasonal=['1d']"]) == {"windows": {"seasonal": ["1d"]}}


def test_unknown_and_broken_recipes(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"no recipe 'nope'.*demo, frontier, gradient, optimizers, paris"
    ):
        load("nope")
    (tmp_path / "mine.toml").write_text("[privacy\nepsilon = 1")
    with pytest.raises(UsageError, match=r"mine\.toml"):
        load(str(tmp_path / "mine.toml"))


def test_passwords_do_not_stay_in_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VEILCAST_SOURCE_PASSWORD", raising=False)
    source = "postgresql://me:hunter2@host/db#counts"
    kept = compose(None, {"source.name": source}, [])["source"]["name"]
    assert "hunter2" not in kept
    assert os.path.expandvars(kept) == source
    assert "hunter2" not in from_dict({"source": {"name": source}}).to_toml()
    monkeypatch.delenv("VEILCAST_SOURCE_PASSWORD")
    for plain in ("a.csv", "sqlite:////data/x.db#t", "postgresql://me:${PW}@host/db#t"):
        assert from_dict({"source": {"name": plain}}).source.name == plain


def test_a_larger_batch_keeps_the_updates_and_scales_the_rate() -> None:
    small = {"optimizer": "sgd", "learning_rate": 0.01, "epochs": 5}
    larger = {**small, "batch_size": 256, "base_batch": 64}
    private = {"mechanism": "gradient", "unit": "interval-1"}
    plain = from_dict({"training": larger}).training
    assert (plain.epochs, plain.batch_size, plain.base_batch) == (20, 256, None)
    assert plain.learning_rate == pytest.approx(0.02)  # sampling noise: √4
    noised = from_dict({"training": larger, "privacy": private}).training
    assert noised.learning_rate == pytest.approx(0.04)  # noise of the mechanism: 4
    adam = from_dict({"training": {**larger, "optimizer": "adam"}, "privacy": private}).training
    assert adam.learning_rate == pytest.approx(0.01)  # divides by the noise already
    # what was adapted is not adapted again
    again = from_dict(from_dict({"training": larger}).to_dict())
    assert again.training == plain
    with pytest.raises(UsageError, match="smaller than base=512"):
        from_dict({"training": {**larger, "base_batch": 512}})


def test_ghost_batches_are_refused_under_gradient() -> None:
    assert from_dict({"model": {"ghost": 64}}).model.ghost == 64
    with pytest.raises(UsageError, match=r"clipping one bounds nothing"):
        from_dict(
            {"model": {"ghost": 64}, "privacy": {"mechanism": "gradient", "unit": "interval-1"}}
        )


def test_what_sections_say_together_has_no_empty_name() -> None:
    asked = {"privacy": {"mechanism": "gradient", "unit": "interval-1"}, "model": {"name": "blend"}}
    with pytest.raises(UsageError, match=r"^model\.name='blend' cannot be trained"):
        from_dict(asked)


def test_regions_of_a_unit_are_at_least_those_of_an_interval() -> None:
    assert compose(None, {}, [])["source"].get("regions_ever") is None
    both = ["source.regions_per_interval=2", "source.regions_ever=2"]
    recipe = from_dict(compose(None, {}, both))
    assert recipe.to_dict()["source"]["regions_ever"] == 2
    with pytest.raises(UsageError, match="regions_ever=2 to be at least 3"):
        compose(None, {}, [*both, "source.regions_per_interval=3"])
