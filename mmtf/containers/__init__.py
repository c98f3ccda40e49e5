"""What users keep their values in: tables, sparse matrices, lists; the same at every door, in training and in verbs."""
