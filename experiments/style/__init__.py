"""What each part of a style-based generator gives: mapping, mixing, noise, growing and path length."""
