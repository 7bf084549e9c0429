"""Keeping bytes: files by their digest (`blobs`, `disk`), pages with their age (`pages`), links by their path (`links`)."""
