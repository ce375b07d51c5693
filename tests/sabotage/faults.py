"""Deliberate faults, each a small change of the source, and the tests that must notice."""

from __future__ import annotations

from tests.sabotage.account_faults import ACCOUNTS
from tests.sabotage.fault import Fault
from tests.sabotage.offset_faults import OFFSETS
from tests.sabotage.region_faults import REGIONS
from tests.sabotage.run_faults import RUNS
from tests.sabotage.stream_faults import STREAMS

AUDIT, ORDER = "tests/dp/audit/test_audit.py", "tests/trust/test_before_the_noise.py"
PRIVATE, COUNTS = "tests/dp/private/test_training.py", "tests/dp/mechanisms/test_count_noise.py"
RELEASE, CLIPPING = "tests/dp/release/test_panel.py", "tests/dp/clipping/test_clipping.py"
FINDINGS, NEIGHBOURS = "tests/data/test_findings.py", "tests/data/events/test_neighbours.py"
ARBITRARY = "tests/dp/clipping/test_arbitrary.py"
STATEMENT = "tests/dp/statement/test_statement.py"
DISCRETE = "tests/dp/mechanisms/discrete"
_MANY = "_added(sample(counts.size, sigma), counts.ravel())"
_DRAWN = "return np.reshape(noise(counts.ravel().tolist()), counts.shape)"
_NOISE = "noised = clipped.cpu().double() + self._randomness.normal(clipped, std)"
_KEY = "self._start(secrets.token_bytes(KEY_BYTES) if key is None else key)"
RANDOM, TOLD = "tests/dp/mechanisms/test_randomness.py", "tests/flows/test_losses.py"
_FACTORS = "factors = bounds / torch.maximum(norms, bounds)"

FAULTS = (
    Fault(
        "noise removed (counts)",
        "dp/mechanisms/count_noise.py",
        _DRAWN,
        "return counts.copy()",
        (f"{COUNTS}::test_noise_has_the_law_that_is_accounted",),
        quick=True,
    ),
    Fault(
        "noise removed (gradients)",
        "dp/private/training.py",
        _NOISE,
        "noised = clipped.clone()",
        (f"{PRIVATE}::test_an_honest_run_proves_its_noise",),
        quick=True,
    ),
    Fault(
        "noise removed (gradients), seen by the audit",
        "dp/private/training.py",
        _NOISE,
        "noised = clipped.clone()",
        (f"{AUDIT}::test_a_private_training_keeps_its_claim",),
    ),
    Fault(
        "noise at half (counts)",
        "dp/mechanisms/count_noise.py",
        _DRAWN,
        _DRAWN.replace("noise(", "measurement(sigma / 2)("),
        (f"{COUNTS}::test_noise_has_the_law_that_is_accounted",),
    ),
    Fault(
        "noise removed (many counts)",
        "dp/mechanisms/count_noise.py",
        _MANY,
        "counts.ravel().copy()",
        (f"{COUNTS}::test_noise_has_the_law_that_is_accounted",),
    ),
    Fault(
        "noise at half (many counts)",
        "dp/mechanisms/count_noise.py",
        _MANY,
        _MANY.replace("sigma", "sigma / 2"),
        (f"{COUNTS}::test_noise_has_the_law_that_is_accounted",),
    ),
    Fault(
        "one threshold of the table off by a little",
        "dp/mechanisms/discrete/table.py",
        "return result.reshape(-1)[:-1]  # without 0 itself",
        "result[-2] += np.uint64(1 << 17)\n    return result.reshape(-1)[:-1]",
        (f"{DISCRETE}/test_table.py::test_every_threshold_is_within_the_proven_error",),
        quick=True,
    ),
    Fault(
        "thresholds trusted beyond what is proven",
        "dp/mechanisms/discrete/table.py",
        "error = 28 * 2**10 + (law.size >> finer) + 3",
        "error = 2",
        (f"{DISCRETE}/test_table.py::test_every_threshold_is_within_the_proven_error",),
    ),
    Fault(
        "words near a threshold decided without more of them",
        "dp/mechanisms/discrete/table.py",
        "return np.where(sure, last + 1 - index, -1)",
        "return last + 1 - index",
        (
            f"{DISCRETE}/test_sampler.py::test_words_at_a_threshold_are_decided_exactly",
            f"{DISCRETE}/test_table.py::test_magnitudes_are_those_of_a_plain_search",
        ),
        quick=True,
    ),
    Fault(
        "words on a threshold decided by 64 bits",
        "dp/mechanisms/discrete/exact.py",
        "if sums.above(found)[1] <= lowest and (found == 0 or highest <= sums.above(found - 1)[0]):",
        "if True:",
        (f"{DISCRETE}/test_exact.py::test_words_on_a_threshold_are_decided_by_the_next_ones",),
    ),
    Fault(
        "the law ends with the table",
        "dp/mechanisms/discrete/table.py",
        "sure = (index > 0) & (folded - lower > np.uint64(self.error))",
        "sure = (index == 0) | (folded - lower > np.uint64(self.error))",
        (f"{DISCRETE}/test_sampler.py::test_a_sample_is_the_inverse_of_the_distribution_function",),
    ),
    Fault(
        "every position of a stream is extended by the same words",
        "dp/mechanisms/discrete/words.py",
        ' + position.to_bytes(8, "big")',
        "",
        (f"{DISCRETE}/test_words.py::test_further_words_are_no_part_of_any_stream",),
    ),
    Fault(
        "noise at half (gradients)",
        "dp/private/training.py",
        "std = self.noise_multiplier * self.max_grad_norm",
        "std = self.noise_multiplier * self.max_grad_norm / 2",
        (
            f"{PRIVATE}::test_every_coordinate_gets_noise_of_the_deviation_accounted_for",
            f"{PRIVATE}::test_an_honest_run_proves_its_noise",
        ),
    ),
    Fault(
        "clipping removed",
        "dp/clipping/gradients.py",
        _FACTORS,
        "factors = torch.ones_like(norms)",
        (f"{PRIVATE}::test_clipping_bounds_what_one_window_can_do",),
        quick=True,
    ),
    Fault(
        "clipping removed, seen by the audit",
        "dp/clipping/gradients.py",
        _FACTORS,
        "factors = torch.ones_like(norms)",
        (f"{AUDIT}::test_a_private_training_keeps_its_claim",),
    ),
    Fault(
        "clipping per batch instead of per sample",
        "dp/clipping/gradients.py",
        _FACTORS,
        "factors = bounds / torch.maximum(norms.mean(dim=1, keepdim=True), bounds)\n"
        "    factors = factors.expand_as(norms).contiguous()",
        (
            f"{CLIPPING}::test_one_sample_never_moves_the_sum_by_more_than_the_clip",
            f"{CLIPPING}::test_zero_gradients_and_one_huge_sample",
        ),
    ),
    Fault(
        "non-finite samples kept in the sum",
        "dp/clipping/gradients.py",
        "                if bool(lost.any()):\n",
        "                if False:\n",
        (f"{ARBITRARY}::test_what_is_not_finite_counts_for_nothing",),
        quick=True,
    ),
    Fault(
        "non-finite samples given a factor of 0 and no more",
        "dp/clipping/gradients.py",
        "                    tape.forget(lost)\n",
        "",
        (f"{ARBITRARY}::test_what_is_not_finite_counts_for_nothing",),
    ),
    Fault(
        "norms lost in rounding",
        "dp/clipping/gradients.py",
        "_factors((squared + rounding).sqrt(), clips)",
        "_factors(norms, clips)",
        (f"{ARBITRARY}::test_large_terms_that_cancel_do_not_hide_a_norm",),
    ),
    Fault(
        "sampler shuffled instead of Poisson",
        "dp/mechanisms/window_sampling.py",
        "            yield torch.nonzero(randomness.uniform(self.windows) < self.rate).flatten()",
        "            yield torch.argsort(randomness.uniform(self.windows))[: self.batch]",
        (
            "tests/dp/mechanisms/test_window_sampling.py::test_every_window_is_drawn_independently_at_the_rate",
            f"{PRIVATE}::test_an_honest_run_proves_its_noise",
        ),
    ),
    Fault(
        "sensitivity without the nested region",
        "data/sources/paris.py",
        "regions_per_interval=2,",
        "regions_per_interval=1,",
        (f"{ORDER}::test_the_published_data_set_counts_a_person_twice",),
    ),
    Fault(
        "sensitivity without regions at all",
        "dp/unit/contribution.py",
        "math.sqrt(self.cells)",
        "math.sqrt(self.intervals)",
        ("tests/dp/unit/test_privacy_unit.py::test_the_bound_is_reached",),
    ),
    Fault(
        "repair before noise (counts)",
        "flows/pipeline/privatise.py",
        "    release = release_counts(\n        panel.counts,",
        "    from data.clean import fill_gaps\n\n    release = release_counts(\n"
        "        fill_gaps(panel).counts,",
        (f"{ORDER}::test_noise_goes_on_observed_counts_and_repair_waits",),
    ),
    Fault(
        "repair before noise (gradients)",
        "flows/pipeline/steps.py",
        'repair = recipe.privacy.mechanism != "gradient"',
        "repair = True",
        (f"{ORDER}::test_a_private_training_reads_no_repaired_count",),
    ),
    Fault(
        "scaler from raw data",
        "dp/mechanisms/scale.py",
        "    noised = discrete_gaussian(np.bincount(index, minlength=len(_EDGES)), sigma).astype(float)",
        "    noised = np.bincount(index, minlength=len(_EDGES)).astype(float)",
        (
            "tests/dp/mechanisms/test_scale.py::test_every_histogram_gets_the_noise_accounted_for",
            f"{ORDER}::test_the_scaler_sees_noised_histograms_and_nothing_else",
        ),
    ),
    Fault(
        "scaler from raw quantiles, past the histograms",
        "flows/pipeline/dpsgd/run.py",
        "    return scale.estimate(\n        training_counts(prepared), plan.sampling.side_release, "
        "permit, width=plan.width\n    )",
        "    raw = training_counts(prepared)\n    import numpy as np\n\n"
        "    ends = np.nanquantile(raw, [0.16, 0.5, 0.84], axis=0)\n"
        "    return Scale(tuple(ends[1]), tuple(ends[2] - ends[0]), tuple(ends[2] - ends[0]))",
        (f"{ORDER}::test_the_scaler_sees_noised_histograms_and_nothing_else",),
    ),
    Fault(
        "noise reused over two intervals",
        "dp/mechanisms/count_noise.py",
        "        noised[observed] = discrete_gaussian(whole, self.sigma, self)",
        "        drawn = discrete_gaussian(whole[::2], self.sigma, self) - whole[::2]\n"
        "        noised[observed] = whole + np.repeat(drawn, 2, axis=0)[: len(whole)]",
        (f"{ORDER}::test_noise_is_fresh_in_every_interval_and_region",),
    ),
    Fault(
        "key of the noise cut to 32 bits",
        "dp/mechanisms/randomness.py",
        _KEY,
        "self._start(((secrets.token_bytes(KEY_BYTES) if key is None else key)[-4:]).rjust(KEY_BYTES))",
        (
            f"{RANDOM}::test_keys_that_agree_in_their_low_bits_differ",
            f"{RANDOM}::test_every_bit_of_the_key_counts",
        ),
        quick=True,
    ),
    Fault(
        "32 bits asked of the system",
        "dp/mechanisms/randomness.py",
        _KEY,
        _KEY.replace("secrets.token_bytes(KEY_BYTES)", "secrets.token_bytes(4).rjust(KEY_BYTES)"),
        (f"{RANDOM}::test_the_key_is_whole_and_from_the_operating_system",),
    ),
    Fault(
        "another generator in a training",
        "dp/private/training.py",
        "super().__init__(sampling, clip, Generator(None if seed is None else seed.value))",
        "super().__init__(sampling, clip, Generator(_KNOWN))",
        (f"{PRIVATE}::test_a_training_draws_from_its_seed_or_from_a_key_of_its_own",),
    ),
    Fault(
        "a fork goes on with its parent's key",
        "dp/mechanisms/randomness.py",
        "        if self._process == _process():\n",
        "        if True:\n",
        (f"{RANDOM}::test_a_fork_never_draws_what_its_parent_draws",),
    ),
    Fault(
        "noise rounded before it is added",
        "dp/private/training.py",
        _NOISE,
        "noised = clipped + self._randomness.normal(clipped, std).to(clipped)",
        (f"{PRIVATE}::test_noise_is_added_before_it_is_rounded",),
    ),
    Fault(
        "training loss kept and told",
        "dp/private/training.py",
        "            self.apply(model, optimizer, self._clipper(lambda: loss(model, batch)))\n"
        "            return\n",
        "            found = self._clipper(lambda: loss(model, batch))\n"
        "            self.apply(model, optimizer, found)\n"
        "            return found.losses.mean()\n",
        (f"{TOLD}::test_no_loss_is_kept_or_told",),
    ),
    Fault(
        "losses of earlier releases told",
        "flows/pipeline/dpsgd/train.py",
        'Epoch(**{**epoch, "loss": None})',
        "Epoch(**epoch)",
        (f"{TOLD}::test_losses_of_earlier_releases_are_dropped",),
    ),
    Fault(
        "a run fails on its losses",
        "dp/private/training.py",
        "        self.draws.used(len(clipped.losses))\n",
        "        self.draws.used(len(clipped.losses))\n"
        "        if not bool(torch.isfinite(clipped.losses).all()):\n"
        "            raise ArithmeticError('a loss is not finite')\n",
        (f"{TOLD}::test_a_private_run_fails_on_its_weights_alone",),
    ),
    Fault(
        "seed of the noise logged",
        "dp/mechanisms/randomness.py",
        "        self._process = _process()\n",
        "        self._process = _process()\n        import logging\n\n"
        "        logging.getLogger(__name__).debug('key %s', key.hex())\n",
        (f"{ORDER}::test_no_seed_is_told_or_kept",),
        quick=True,
    ),
    Fault(
        "sigma from the classical formula, under the exact claim",
        "dp/accounting/gaussian.py",
        "    return high\n\n\ndef smallest_epsilon",
        "    classical = math.sqrt(2 * math.log(1.25 / budget.delta)) / budget.epsilon\n"
        "    return bound.sensitivity * classical\n\n\ndef smallest_epsilon",
        (
            "tests/dp/accounting/test_gaussian.py::test_calibrated_sigma_keeps_the_budget",
            f"{ORDER}::test_the_statement_names_the_noise_that_was_drawn",
        ),
    ),
    Fault(
        "noise before the charge is committed",
        "dp/release/idempotent.py",
        "    return ledger.commit(entry, mark, keep=seeds.keep, over=seeds.begun)",
        "    from dp.permit import _LEDGER\n\n"
        "    return Permit(entry.id, entry.key, entry.event, by=_LEDGER)",
        (f"{RELEASE}::test_the_charge_is_committed_before_the_noise",),
    ),
    Fault(
        "a retry draws fresh noise",
        "dp/release/idempotent.py",
        'if entry.state != "released"\n        }',
        'if entry.state != "nothing"\n        }',
        (f"{RELEASE}::test_the_same_request_returns_the_same_release",),
    ),
    Fault(
        "caps are not looked at",
        "dp/ledger/accounts.py",
        "if not all(total.within(cap) for total in (*full, *totals.largest(apart.values()))):",
        "if not touched:",
        (f"{RELEASE}::test_past_the_cap_nothing_is_drawn",),
    ),
    Fault(
        "findings read off counts in a private run",
        "data/validate.py",
        "        if values and len(names) > 1:",
        "        if len(names) > 1:",
        (f"{FINDINGS}::test_what_a_run_may_tell_does_not_depend_on_any_count",),
        quick=True,
    ),
    Fault(
        "regions read off private events",
        "data/events/read.py",
        "with_regions(place, events, config, known.regions, look=look)",
        "with_regions(place, events, config, None, look=look)",
        (f"{NEIGHBOURS}::test_one_person_more_changes_counts_within_the_bound_and_nothing_else",),
    ),
    Fault(
        "period read off private events",
        "data/events/read.py",
        "    start, end = known.start, known.end\n    if look:",
        "    start = end = None\n    if True:",
        (f"{NEIGHBOURS}::test_one_person_more_changes_counts_within_the_bound_and_nothing_else",),
    ),
    Fault(
        "undeclared regions and period let through",
        "data/events/read.py",
        "    if not look:\n        require(known, source)",
        "    look = look or bool(known.missing)",
        (f"{NEIGHBOURS}::test_what_is_not_declared_is_refused_before_anything_is_opened",),
    ),
    Fault(
        "events cut over intervals for interval-w",
        "flows/pipeline/read.py",
        "return Limits(PrivacyUnit.USER.value, None, regions, weight)",
        "most = recipe.privacy.intervals_per_unit\n"
        "        return Limits(PrivacyUnit.USER.value, most, regions, weight)",
        ("tests/flows/pipeline/test_interval_units.py::test_other_intervals_keep_their_counts",),
    ),
    Fault(
        "interval-w with a cut let through",
        "flows/recipe/sections.py",
        "isinstance(parse_unit(self.unit), IntervalUnit) and self.intervals_per_unit is not None",
        "self.intervals_per_unit == 0",
        ("tests/flows/pipeline/test_interval_units.py::test_a_cut_over_intervals_is_refused",),
        quick=True,
    ),
    Fault(
        "types of a CSV file guessed from all rows",
        "data/events/connect.py",
        '"all_varchar": True',
        '"all_varchar": False',
        (f"{NEIGHBOURS}::test_text_of_csv_stays_what_it_is",),
    ),
    Fault(
        "one odd time refuses private events",
        "data/events/clock.py",
        "if kind.is_string() and place.loose and not look:",
        "if False:",
        ("tests/data/events/test_records.py::test_a_field_of_a_csv_file_leaves_out_its_record",),
        quick=True,
    ),
    Fault(
        "one broken line refuses a private CSV file",
        "data/events/connect.py",
        "    if not look:\n        return connection, read_lines(connection, place, files), True\n",
        "",
        ("tests/data/events/test_records.py::test_a_line_that_is_no_record_leaves_out_itself",),
    ),
    Fault(
        "credentials shown",
        "data/sources/credentials.py",
        'return f"{dialect}://{address.host}{port}{address.path}{table}"',
        "return source",
        ("tests/data/test_credentials.py::test_no_password_is_shown_or_kept",),
    ),
    Fault(
        "credentials kept (query of a URL)",
        "data/sources/credentials.py",
        'return setting if harmless else f"{name}={hide(value, plain)}"',
        "return setting",
        ("tests/data/test_credentials.py::test_no_password_is_shown_or_kept",),
    ),
    Fault(
        "two names of one table",
        "data/sources/identity.py",
        "schema = before[-1] if before else default",
        'schema = before[-1] if before else ""',
        ("tests/data/test_identity.py::test_many_spellings_of_a_table_are_one",),
    ),
    Fault(
        "stream key without the stream's name",
        "dp/release/stream_entries.py",
        'return release_key(secret, {"one stream": stream, **piece})',
        'return release_key(secret, {"stream": names[0], **piece})',
        ("tests/dp/release/test_stream.py::test_two_streams_of_one_data_set_share_no_release",),
    ),
    Fault(
        "stream recovers another stream's releases",
        "dp/release/stream_entries.py",
        "        and stream_of(entry) in (stream, *earlier)\n",
        "",
        (
            "tests/flows/stream/test_two_streams.py"
            "::test_a_release_that_was_not_written_down_is_its_own_stream_s",
        ),
    ),
    Fault(
        "kept result found by recipe alone",
        "flows/runtime/result_cache.py",
        '_UNNAMED = ("home", "on_epoch", "label")',
        '_UNNAMED = ("home", "on_epoch", "label", "panel", "counts")',
        ("tests/flows/sweep/test_lost.py::test_a_file_that_changed_has_no_kept_results",),
    ),
    Fault(
        "retry that pays again",
        "dp/release/idempotent.py",
        "if not requests[place].again and (lost := _lost(ledger, requests[place])) is not None:",
        "if (lost := None) is not None:",
        ("tests/flows/sweep/test_lost.py::test_counts_whose_noise_was_lost_are_not_noised_again",),
    ),
    Fault(
        "a stream promises what other releases can break",
        "dp/statement/counts.py",
        "of all that this stream alone may ever release about one unit",
        "whatever is released before or after",
        (f"{STATEMENT}::test_a_stream_says_what_other_releases_and_a_cap_do_to_it",),
    ),
    Fault(
        "a statement keeps silent about what has no noise",
        "dp/statement/disclosed.py",
        "which intervals were observed and which are missing (outages), and the calendar",
        "the calendar",
        (f"{STATEMENT}::test_unprotected_quantities_are_named",),
    ),
    Fault(
        "an attacker is said to need more releases than would do",
        "dp/statement/identification.py",
        "math.ceil((_SURE / separation) ** 2)",
        "math.ceil((2 * _SURE / separation) ** 2)",
        (
            "tests/dp/statement/test_identification.py::"
            "test_releases_needed_are_those_of_the_most_powerful_test",
        ),
    ),
    Fault(
        "an exported deployment names the machine's folders",
        "flows/budget/deployment_registry.py",
        r'return re.split(r"[/\\]", dataset.rstrip("/\\"))[-1] or dataset',
        "return dataset",
        (
            "tests/flows/budget/test_deployment_registry.py::"
            "test_names_are_without_machine_paths_and_slugs_are_unique",
        ),
    ),
    *ACCOUNTS,
    *OFFSETS,
    *REGIONS,
    *RUNS,
    *STREAMS,
)
