//! `maint flag`, and flags as the other verbs show them.
