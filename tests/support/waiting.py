"""Waiting for a condition, however slow the machine is."""

import time

LONG = 900.0  # seconds that nothing takes which is waited for


def until(true, running=(), seconds=LONG, saying=()):
    """Returns when it is so. Fails where one of the processes ends before that, or where it takes too long.

    Args: saying: a list that grows meanwhile, the last of which is said then.
    """
    end = time.monotonic() + seconds
    while not true():
        ended = [process.poll() for process in running if process.poll() is not None]
        assert not ended, f"a process ended with status {ended[0]}"
        assert time.monotonic() < end, f"not so after {seconds:.0f} seconds. {' '.join(saying[-1:])}"
        time.sleep(0.02)
