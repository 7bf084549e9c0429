"""Care of the cache: carried, filled, looked over and cleaned; by commands, on the bare directory or in a running daemon."""
