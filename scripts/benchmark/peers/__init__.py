"""Other software for the same task, each in a process of its own that does one round when it is told to."""
