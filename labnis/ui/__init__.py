"""What a person looks at: the terminal and figures."""
