"""Parts that networks share: fast convolutions, linear layers, normalisation, initialisers, resampling."""
