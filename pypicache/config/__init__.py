"""Configuration: what can be set (`schema`), and how YAML becomes it (`load`)."""
