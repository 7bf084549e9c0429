"""Other people's indexes: one mirror (`client`), replicas of one index (`mirrors`), the seam they share (`source`)."""
