"""l-GAN and r-GAN on point clouds of furniture."""
