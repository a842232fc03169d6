"""The bilinear game: which optimisers find its solution, and how fast."""
