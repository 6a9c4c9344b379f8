"""Jobs, one after the other: analysed in a process of its own, then delivered."""
