"""The contribution of each part of a style-based generator: mapping, mixing, noise, growing and path length."""
