"""A user's own data: arrays, tables and folders of .npy files, brought into the form of every other data set."""
