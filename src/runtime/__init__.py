"""What the server stands on, chosen by settings."""
