"""What is made of a trained run: samples, translations, walks through the latents, projections."""
