"""What a SavedModel answers and what lies beside it: signatures, warm-up requests, a model card, TensorFlow Lite files."""
