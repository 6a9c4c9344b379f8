"""The sections of the table, each a module with `section(bench)`."""
