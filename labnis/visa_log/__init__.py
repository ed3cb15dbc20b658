"""VISA traffic: recorded in a file, and replayed from it."""
