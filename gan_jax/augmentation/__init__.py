"""Augmentation of the discriminator's inputs: DiffAugment, ADA, instance noise."""
