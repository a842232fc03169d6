"""How steep discriminators become with spectral norm and gradient penalties, their cost, and their effect."""
