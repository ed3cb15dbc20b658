"""VISA records: written during a run, and replayed without instruments."""
