"""pypicache: a cache between pip, uv, poetry, PDM and the package index they use."""

__version__ = "0.1.0.dev0"
