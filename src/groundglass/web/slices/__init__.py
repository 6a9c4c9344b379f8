"""A study slice by slice: pixels, lung outline and heat, read in a process of its own."""
