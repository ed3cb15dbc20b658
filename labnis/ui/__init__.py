"""User interface: the terminal and figures."""
