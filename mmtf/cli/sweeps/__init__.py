"""Many runs: grids of flags, and all that a published table lacks, each run in a process of its own."""
