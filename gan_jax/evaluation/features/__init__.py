"""Feature extractors: what looks at the images for the metrics."""
