"""How much gradient a generator gets from a discriminator that is better and better, under three losses."""
