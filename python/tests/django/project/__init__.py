"""The example project, which the tests ask and servers can run."""
