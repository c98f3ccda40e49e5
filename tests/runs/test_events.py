"""Events of steps that will be done again are gone from the files, and no others."""

import tensorflow as tf

from mmtf.runs import events


def write(logs, suffix, steps):
    writer = tf.summary.create_file_writer(str(logs), filename_suffix=suffix)
    for step in steps:
        with writer.as_default(step=step):
            tf.summary.scalar(f"value{suffix}", 10.0 * step)
    writer.close()


def test_later_events_and_half_written_ones_go(tmp_path):
    write(tmp_path, "", range(1, 6))
    write(tmp_path, ".panels", (2, 4))
    write(tmp_path, ".kept", (1, 3))
    kept = next(tmp_path.glob("*.kept"))
    before = kept.stat()
    broken = next(tmp_path.glob("*.panels"))
    broken.write_bytes(broken.read_bytes()[:-7])
    assert events.drop_after(tmp_path, 3) == 3  # of steps 4 and 5, and the half one
    assert events.read_scalars(tmp_path) == {
        "value": ([1, 2, 3], [10.0, 20.0, 30.0]),
        "value.panels": ([2], [20.0]),
        "value.kept": ([1, 3], [10.0, 30.0]),
    }
    assert (kept.stat().st_ino, kept.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert len(list(tmp_path.iterdir())) == 3
    assert events.drop_after(tmp_path, 3) == 0


def test_without_logs_there_is_nothing_to_do(tmp_path):
    assert events.drop_after(tmp_path / "logs", 3) == 0
