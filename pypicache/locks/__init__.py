"""Lock files as text: what they link to, and the same links by another name. Pure, as `simple` is."""
