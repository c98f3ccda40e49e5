"""What every model here has, whatever trains it: encoders and decoders around a shared and private codes, and its verbs."""
