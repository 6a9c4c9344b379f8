"""Settings in TOML files: read into checked classes, and written out as files that explain them."""
