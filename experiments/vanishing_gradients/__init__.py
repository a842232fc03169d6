"""The gradient of a generator as its discriminator improves, with three losses."""
