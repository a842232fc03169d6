"""The files of a run: metrics, pictures, descriptions, and atomic writes."""
