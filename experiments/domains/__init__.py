"""A classifier for a domain without labels: what domain adaptation adds to learning from the source alone."""
