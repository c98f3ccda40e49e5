"""The ELBO family: one paper, one objective, one file; `PAPER.md` maps equations to functions and tests."""
