"""Outputs of a trained run: samples, translations, walks through the latent space, inversions."""
