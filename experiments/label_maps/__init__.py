"""SPADE, complete and without some of its losses, on painted landscapes and their label maps."""
