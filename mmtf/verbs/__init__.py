"""What one does with an experiment: train, evaluate, export. Each reads and writes a run directory."""
