"""How well f-AnoGAN detects each digit, if it was trained on the others."""
