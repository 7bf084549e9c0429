"""The commands, one module each; `pypicache.cli` lists them and imports only the one that is called."""
