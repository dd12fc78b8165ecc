"""The example project, for the tests and for real servers."""
