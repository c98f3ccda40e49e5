"""What TensorBoard shows of a run beside scalars and panels: histograms, hyper-parameters, embeddings, profiles."""
