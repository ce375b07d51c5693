"""Deliberate faults, each a small change of the source, and the tests that must notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: what is broken.
        file: where, from the root of the repository.
        old: text that occurs once in it.
        new: text in its place.
        tests: that must pass without the fault, and of which one must fail with it.
        quick: whether continuous integration tries it every time.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    quick: bool = False


AUDIT, ORDER = "tests/dp/test_audit.py", "tests/trust/test_before_the_noise.py"
PRIVATE, COUNTS = "tests/dp/test_private.py", "tests/dp/test_mechanisms.py"
RELEASE, CLIPPING = "tests/dp/test_release.py", "tests/dp/clipping/test_clipping.py"
ARBITRARY = "tests/dp/clipping/test_arbitrary.py"
_DRAWN = "return np.reshape(noise(counts.ravel().tolist()), counts.shape)"
_NOISE = "noised = clipped.cpu().double() + self._randomness.normal(clipped, std)"
_KEY = "self._start(secrets.token_bytes(KEY_BYTES) if key is None else key)"
RANDOM, TOLD = "tests/dp/test_randomness.py", "tests/flows/test_losses.py"
_FACTORS = "factors = bounds / torch.maximum(norms, bounds)"

FAULTS = (
    Fault(
        "noise removed (counts)", "dp/mechanisms.py", _DRAWN, "return counts.copy()",
        (f"{COUNTS}::test_noise_has_the_law_that_is_accounted",), quick=True,
    ),
    Fault(
        "noise removed (gradients)", "dp/private.py", _NOISE, "noised = clipped.clone()",
        (f"{PRIVATE}::test_an_honest_run_proves_its_noise",), quick=True,
    ),
    Fault(
        "noise removed (gradients), seen by the audit", "dp/private.py", _NOISE,
        "noised = clipped.clone()",
        (f"{AUDIT}::test_a_private_training_keeps_its_claim",),
    ),
    Fault(
        "noise at half (counts)", "dp/mechanisms.py", _DRAWN,
        _DRAWN.replace("noise(", "measurement(sigma / 2)("),
        (f"{COUNTS}::test_noise_has_the_law_that_is_accounted",),
    ),
    Fault(
        "noise at half (gradients)", "dp/private.py", "std = self.noise_multiplier * self.max_grad_norm",
        "std = self.noise_multiplier * self.max_grad_norm / 2",
        (
            f"{PRIVATE}::test_every_coordinate_gets_noise_of_the_deviation_accounted_for",
            f"{PRIVATE}::test_an_honest_run_proves_its_noise",
        ),
    ),
    Fault(
        "clipping removed", "dp/clipping/gradients.py",
        _FACTORS, "factors = torch.ones_like(norms)",
        (f"{PRIVATE}::test_clipping_bounds_what_one_window_can_do",), quick=True,
    ),
    Fault(
        "clipping removed, seen by the audit", "dp/clipping/gradients.py",
        _FACTORS, "factors = torch.ones_like(norms)",
        (f"{AUDIT}::test_a_private_training_keeps_its_claim",),
    ),
    Fault(
        "clipping per batch instead of per sample", "dp/clipping/gradients.py",
        _FACTORS,
        "factors = bounds / torch.maximum(norms.mean(dim=1, keepdim=True), bounds)\n"
        "    factors = factors.expand_as(norms).contiguous()",
        (f"{CLIPPING}::test_one_sample_never_moves_the_sum_by_more_than_the_clip",
         f"{CLIPPING}::test_zero_gradients_and_one_huge_sample"),
    ),
    Fault(
        "non-finite samples kept in the sum", "dp/clipping/gradients.py",
        "                if bool(lost.any()):\n", "                if False:\n",
        (f"{ARBITRARY}::test_what_is_not_finite_counts_for_nothing",), quick=True,
    ),
    Fault(
        "non-finite samples given a factor of 0 and no more", "dp/clipping/gradients.py",
        "                    tape.forget(lost)\n", "",
        (f"{ARBITRARY}::test_what_is_not_finite_counts_for_nothing",),
    ),
    Fault(
        "norms lost in rounding", "dp/clipping/gradients.py",
        "_factors((squared + rounding).sqrt(), clips)", "_factors(norms, clips)",
        (f"{ARBITRARY}::test_large_terms_that_cancel_do_not_hide_a_norm",),
    ),
    Fault(
        "sampler shuffled instead of Poisson", "dp/sampling.py",
        "            yield torch.nonzero(randomness.uniform(self.windows) < self.rate).flatten()",
        "            yield torch.argsort(randomness.uniform(self.windows))[: self.batch]",
        ("tests/dp/test_sampling.py::test_every_window_is_drawn_independently_at_the_rate",
         f"{PRIVATE}::test_an_honest_run_proves_its_noise"),
    ),
    Fault(
        "sensitivity without the nested region", "data/sources/paris.py",
        "regions_per_interval=2)", "regions_per_interval=1)",
        (f"{ORDER}::test_the_published_data_set_counts_a_person_twice",),
    ),
    Fault(
        "sensitivity without regions at all", "dp/unit.py", "math.sqrt(self.cells)",
        "math.sqrt(self.intervals)", ("tests/dp/test_unit.py::test_the_bound_is_reached",),
    ),
    Fault(
        "repair before noise (counts)", "flows/privatise.py",
        "    release = release_counts(\n        panel.counts,",
        "    from data.clean import fill_gaps\n\n    release = release_counts(\n"
        "        fill_gaps(panel).counts,",
        (f"{ORDER}::test_noise_goes_on_observed_counts_and_repair_waits",),
    ),
    Fault(
        "repair before noise (gradients)", "flows/steps.py",
        'repair = recipe.privacy.mechanism != "gradient"', "repair = True",
        (f"{ORDER}::test_a_private_training_reads_no_repaired_count",),
    ),
    Fault(
        "scaler from raw data", "dp/scale.py",
        "    noised = discrete_gaussian(np.bincount(index, minlength=len(_EDGES)), sigma).astype(float)",
        "    noised = np.bincount(index, minlength=len(_EDGES)).astype(float)",
        ("tests/dp/test_scale.py::test_every_histogram_gets_the_noise_accounted_for",
         f"{ORDER}::test_the_scaler_sees_noised_histograms_and_nothing_else"),
    ),
    Fault(
        "scaler from raw quantiles, past the histograms", "flows/private_run.py",
        "    return scale.estimate(training_counts(prepared), plan.sampling.aside, permit, "
        "width=plan.width)",
        "    raw = training_counts(prepared)\n    import numpy as np\n\n"
        "    ends = np.nanquantile(raw, [0.16, 0.5, 0.84], axis=0)\n"
        "    return Scale(tuple(ends[1]), tuple(ends[2] - ends[0]), tuple(ends[2] - ends[0]))",
        (f"{ORDER}::test_the_scaler_sees_noised_histograms_and_nothing_else",),
    ),
    Fault(
        "noise reused over two intervals", "dp/mechanisms.py",
        "        noised[observed] = discrete_gaussian(whole, self.sigma, self)",
        "        drawn = discrete_gaussian(whole[::2], self.sigma, self) - whole[::2]\n"
        "        noised[observed] = whole + np.repeat(drawn, 2, axis=0)[: len(whole)]",
        (f"{ORDER}::test_noise_is_fresh_in_every_interval_and_region",),
    ),
    Fault(
        "key of the noise cut to 32 bits", "dp/randomness.py", _KEY,
        "self._start(((secrets.token_bytes(KEY_BYTES) if key is None else key)[-4:]).rjust(KEY_BYTES))",
        (f"{RANDOM}::test_keys_that_agree_in_their_low_bits_differ",
         f"{RANDOM}::test_every_bit_of_the_key_counts"), quick=True,
    ),
    Fault(
        "32 bits asked of the system", "dp/randomness.py", _KEY,
        _KEY.replace("secrets.token_bytes(KEY_BYTES)", "secrets.token_bytes(4).rjust(KEY_BYTES)"),
        (f"{RANDOM}::test_the_key_is_whole_and_from_the_operating_system",),
    ),
    Fault(
        "another generator in a training", "dp/private.py",
        "super().__init__(sampling, clip, Generator(None if seed is None else seed.value))",
        "super().__init__(sampling, clip, Generator(_KNOWN))",
        (f"{PRIVATE}::test_a_training_draws_from_its_seed_or_from_a_key_of_its_own",),
    ),
    Fault(
        "a fork goes on with its parent's key", "dp/randomness.py",
        "        if self._process == _process():\n", "        if True:\n",
        (f"{RANDOM}::test_a_fork_never_draws_what_its_parent_draws",),
    ),
    Fault(
        "noise rounded before it is added", "dp/private.py", _NOISE,
        "noised = clipped + self._randomness.normal(clipped, std).to(clipped)",
        (f"{PRIVATE}::test_noise_is_added_before_it_is_rounded",),
    ),
    Fault(
        "training loss kept and told", "dp/private.py",
        "            self.apply(model, optimizer, self._clipper(lambda: loss(model, batch)))\n"
        "            return\n",
        "            found = self._clipper(lambda: loss(model, batch))\n"
        "            self.apply(model, optimizer, found)\n"
        "            return found.losses.mean()\n",
        (f"{TOLD}::test_no_loss_is_kept_or_told",),
    ),
    Fault(
        "losses of earlier releases told", "flows/gradient.py",
        'Epoch(**{**epoch, "loss": None})', "Epoch(**epoch)",
        (f"{TOLD}::test_losses_of_earlier_releases_are_dropped",),
    ),
    Fault(
        "a run fails on its losses", "dp/private.py",
        "        self.draws.used(len(found.losses))\n",
        "        self.draws.used(len(found.losses))\n"
        "        if not bool(torch.isfinite(found.losses).all()):\n"
        "            raise ArithmeticError('a loss is not finite')\n",
        (f"{TOLD}::test_a_private_run_fails_on_its_weights_alone",),
    ),
    Fault(
        "seed of the noise logged", "dp/randomness.py",
        "        self._process = _process()\n",
        "        self._process = _process()\n        import logging\n\n"
        "        logging.getLogger(__name__).debug('key %s', key.hex())\n",
        (f"{ORDER}::test_no_seed_is_told_or_kept",), quick=True,
    ),
    Fault(
        "sigma from the classical formula, under the exact claim", "dp/accounting.py",
        "    return high\n\n\ndef smallest_epsilon",
        "    classical = math.sqrt(2 * math.log(1.25 / budget.delta)) / budget.epsilon\n"
        "    return bound.sensitivity * classical\n\n\ndef smallest_epsilon",
        ("tests/dp/test_accounting.py::test_calibrated_sigma_keeps_the_budget",
         f"{ORDER}::test_the_statement_names_the_noise_that_was_drawn"),
    ),
    Fault(
        "noise before the charge is committed",
        "dp/once.py",
        "    return ledger.commit(entry, mark)",
        "    from dp.permit import _LEDGER\n\n"
        "    return Permit(entry.id, entry.key, entry.event, by=_LEDGER)",
        (f"{RELEASE}::test_the_charge_is_committed_before_the_noise",),
    ),
    Fault(
        "a retry draws fresh noise",
        "dp/once.py",
        'if entry.state != "released"\n        }',
        'if entry.state != "nothing"\n        }',
        (f"{RELEASE}::test_the_same_request_returns_the_same_release",),
    ),
    Fault(
        "caps are not looked at", "dp/ledger/accounts.py",
        "if not all(total.plus(event).within(cap) for total in totals.largest(touched.values())):",
        "if not touched:",
        (f"{RELEASE}::test_past_the_cap_nothing_is_drawn",),
    ),
)  # fmt: skip
