"""Asserts in the contract say what they compared, as those in test modules do."""

import pytest

pytest.register_assert_rewrite("contract", "contract_runs")
