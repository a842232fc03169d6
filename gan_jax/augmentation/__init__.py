"""What the discriminator is shown: DiffAugment, ADA, instance noise."""
