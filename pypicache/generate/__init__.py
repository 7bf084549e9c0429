"""Files that are written for people to keep: a first configuration, and what services and proxies need."""
