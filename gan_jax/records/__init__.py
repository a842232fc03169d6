"""What a run leaves in its directory: metrics, pictures, descriptions, and files written whole or not at all."""
