"""The dynamics of games: vector field, eigenvalues, paths and conditioning, as pure functions over any game."""
