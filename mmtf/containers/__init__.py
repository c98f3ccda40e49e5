"""Read what users keep their values in, tables, sparse matrices and lists, alike in training and in verbs."""
