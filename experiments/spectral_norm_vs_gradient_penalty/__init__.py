"""How steep discriminators become under spectral norm and gradient penalties, at what cost and to what end."""
