"""Rule: whatever comes in ends in a right answer or in a UserError; nothing else, no hang, no NaN in metrics.json.

MMTF_FUZZ_CASES=10000 draws so many inputs, MMTF_FUZZ_FIRST says from which on.
"""

import collections
import os
import warnings

import fuzz_doors as doors
import pytest

CASES, FIRST = int(os.environ.get("MMTF_FUZZ_CASES", 500)), int(os.environ.get("MMTF_FUZZ_FIRST", 0))


@pytest.mark.slow
def test_fuzz_input_is_answered_rightly_or_refused_with_reasons(tmp_path):
    ended, wrong = collections.Counter(), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(FIRST, FIRST + CASES):
            try:
                ended[doors.case(seed, tmp_path)] += 1
            except doors.WrongError as error:
                wrong.append(str(error)[:400])
    print(dict(ended))
    assert wrong == []
    # A harness whose inputs are all refused would find nothing.
    for door in doors.DOORS:
        assert ended[door.__name__, "accepted"] > 0.1 * sum(n for (d, _), n in ended.items() if d == door.__name__), door
