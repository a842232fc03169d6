"""Real, generated, and real and generated images as training data of a classifier with few labels."""
