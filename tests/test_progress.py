"""Lines and bars: what they say of the terms, how wide they are, and what a log file gets."""

import io
import sys
import time

import pytest

from mmtf import progress

TERMS = {"divergence": 1.25, "kl_private/digit": 0.5, "log_likelihood/word": -23.125, "loss": 10851.2}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("room", "shown"),
    [
        (None, "loss=10851 div=1.25 kl_s.digit=0.5 ll.word=-23.125"),
        (30, "loss=10851 div=1.25"),
        (19, "loss=10851 div=1.25"),
        (18, "loss=10851"),
        (3, ""),
    ],
)
def test_as_many_terms_as_fit_the_loss_first(room, shown):
    assert progress.fitting(TERMS, room) == shown


def test_an_epoch_s_line_has_rate_remaining_time_and_all_terms():
    """100 steps in 5 s are 20 a second; 2,300 more take 115 s."""
    line = progress.epoch_line(200, 2500, 100, 5.0, TERMS)
    assert line.startswith(
        "step 200/2500: 5.0 s, 20 steps/s, 01:55 remaining; loss 10851, divergence 1.25, kl_private/digit 0.5,"
    )
    assert all(name in line for name in TERMS)


def test_a_file_gets_whole_lines_every_so_many_seconds(monkeypatch):
    """No carriage returns; the lines of epochs stay and take the place of the next one."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(progress, "LINE_PAUSE", 0.0)
    with progress.bar(4, "work", "step", first=1) as bar:
        progress.show_terms(bar, TERMS)
        bar.update(1)
        bar.mininterval = 1000.0
        progress.say(bar, "epoch")
        progress.show_terms(bar, {"loss": 7.0})
        bar.update(1)
    lines = sys.stderr.getvalue().splitlines()
    assert "\r" not in sys.stderr.getvalue()
    assert [line.split(" [")[0] for line in lines] == ["work:  50% 2/4", "epoch", "work:  75% 3/4"]
    assert "loss=10851 div=1.25" in lines[0]


def test_nothing_is_said_of_work_that_was_not_begun(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress.bar(4, "work", "step"):
        pass
    with progress.bar(4, "short", "step", delay=60.0) as bar:
        bar.update(4)
    assert sys.stderr.getvalue() == ""


@pytest.mark.parametrize(("width", "fitting"), [(45, ""), (80, "loss=10851 div=1.25"), (140, "ll.word=-23.125")])
def test_a_terminal_gets_a_bar_that_fits_its_width(monkeypatch, width, fitting):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(progress, "BAR_PAUSE", 0.0)
    with progress.bar(2500, "", "step") as bar:
        bar.ncols, bar.dynamic_ncols = width, None
        for _ in range(3):
            time.sleep(0.01)
            progress.show_terms(bar, TERMS)
            bar.update(10)
        progress.say(bar, "epoch")
    said = sys.stderr.getvalue()
    assert "epoch\n" in said
    assert max(len(line) for line in said.replace("\r", "\n").splitlines()) <= width
    assert fitting in said
    assert ("loss" in said) == (width > 45)
    assert ("ll.word" in said) == (width == 140)
