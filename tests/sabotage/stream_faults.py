"""Faults of streams whose counts share offsets: what is charged, what is kept, and how long."""

from __future__ import annotations

from tests.sabotage.fault import Fault

GROUPS, FREE = "tests/dp/release/test_stream_groups.py", "tests/dp/ledger/test_groups.py"
SEEDS, COST = "tests/dp/release/test_stream_seeds.py", "tests/dp/release/test_stream_cost.py"

STREAMS = (
    Fault(
        "the later pieces of a group are free without the first",
        "dp/ledger/ledger.py",
        "            groups.check(session, charge, family.names)\n",
        "",
        (
            f"{FREE}::test_a_piece_must_be_what_its_group_was_charged_for",
            f"{FREE}::test_a_group_must_be_committed_before_its_pieces",
        ),
        quick=True,
    ),
    Fault(
        "intervals of a group drawn twice for nothing",
        "dp/ledger/groups.py",
        "        if start < last and first < end:\n",
        "        if False:\n",
        (f"{FREE}::test_a_piece_must_lie_within_its_group_and_be_new",),
    ),
    Fault(
        "an offset drawn anew for each piece",
        "dp/release/stream_groups.py",
        "offsets_of(noise, unseal(sealed, secret)))\n",
        "offsets_of(noise, unseal(sealed_seed(), secret)))\n",
        (f"{GROUPS}::test_all_counts_of_a_day_carry_one_offset_and_other_days_another",),
    ),
    Fault(
        "the first piece is charged for itself alone",
        "dp/release/stream_groups.py",
        "charge = replace(charge, period=period, event=",
        "charge = replace(charge, event=",
        (f"{GROUPS}::test_the_first_piece_is_charged_for_the_day",),
    ),
    Fault(
        "shorter units are charged for the first piece alone",
        "dp/release/stream_groups.py",
        ', "observed": slots}',
        "}",
        (f"{COST}::test_shorter_and_longer_units_pay_for_what_is_released",),
    ),
    Fault(
        "a seed kept after its group",
        "dp/ledger/seeds.py",
        "    if over:\n",
        "    if False:\n",
        (
            f"{SEEDS}::test_the_seed_is_destroyed_with_its_group",
            f"{SEEDS}::test_killed_at_any_step",
        ),
        quick=True,
    ),
    Fault(
        "the database keeps the seed itself",
        "dp/mechanisms/kept_offsets.py",
        'return Seed(hmac.new(secret, b"offsets of a group " + sealed, hashlib.sha256).digest())',
        "return Seed(sealed)",
        (f"{SEEDS}::test_the_database_alone_does_not_give_the_offsets",),
    ),
    Fault(
        "offsets of another secret",
        "dp/release/stream_groups.py",
        "    _check_secret(ledger, group, secret)\n",
        "",
        (f"{SEEDS}::test_another_secret_draws_no_other_offsets",),
    ),
    Fault(
        "a running stream changes to shared offsets within a day",
        "flows/stream/release.py",
        'independent=independent or privacy.noise == "independent",',
        'independent=privacy.noise == "independent",',
        (
            "tests/flows/stream/test_shared_offsets.py"
            "::test_a_stream_that_began_with_independent_noise_goes_on_with_it",
        ),
    ),
)
