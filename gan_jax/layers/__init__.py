"""Parts of networks: fast convolutions, linear layers, normalisation, initialisers, resampling."""
