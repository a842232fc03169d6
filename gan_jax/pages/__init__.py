"""Pages for people: one HTML file each, with all that it shows inside, so that it opens from a disk years later."""
