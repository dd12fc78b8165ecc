//! Holds the documentation against the command.
