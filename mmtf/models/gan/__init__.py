"""Adversarially learned inference [C]: two players, factorized and joint discriminators; `PAPER.md` maps the equations."""
