"""Kinds of examples: what a shape means, and how examples that are no images are shown as images."""
