"""The rotation of a DCGAN: eigenvalues of the game along its training."""
