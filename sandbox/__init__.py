"""Stand-ins of vendor systems over one shared little world; started with `python -m sandbox`."""
