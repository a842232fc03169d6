"""Self-contained HTML pages: one file each, without external resources."""
