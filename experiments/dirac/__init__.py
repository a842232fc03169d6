"""The Dirac-GAN: which training methods converge."""
