"""What one named index can do: pages (`catalog`), files (`library`, `transfer`), and both together (`index`)."""
