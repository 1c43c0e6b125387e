"""What runs: the application, its wiring and the command line."""
