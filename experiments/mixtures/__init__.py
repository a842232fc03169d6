"""The tables of papers on mode collapse: mixtures of Gaussians at the published networks and protocols."""
