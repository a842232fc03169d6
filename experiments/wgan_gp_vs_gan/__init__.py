"""The non-saturating GAN against WGAN-GP with the same networks: quality, its trace in the losses, and robustness."""
