"""Variational autoencoders: one paper, one objective, one file. docs/equations/vae.md finds each equation."""
