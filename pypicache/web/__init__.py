"""The HTTP edge: requests to the index and back; the only place that knows what goes on wires."""
