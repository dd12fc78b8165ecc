//! Errors of the library as exceptions: each kind is a class.

use maint::internal::visible::visible;
use maint::{Error, ErrorKind};
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(
    maint,
    MaintError,
    PyException,
    "Something failed: what, where and why.

Its subclasses are the kinds of failure. State and files are as they
were, except after `Unsynced`.

`code`: the kind in one word, the same as in the command's JSON.
`path`: the file or directory concerned, as text, or `None`.
`errno`: the operating system's error number, errno(3), or `None`.
`hint`: what to run, read or write instead, or `None`; the message ends
with it."
);
create_exception!(
    maint,
    UsageError,
    MaintError,
    "A wrong value, an unknown name, or no usable site: code `usage`."
);
create_exception!(
    maint,
    NotApplied,
    MaintError,
    "An operation failed, and the state is as it was: code `not_applied`."
);
create_exception!(
    maint,
    Busy,
    MaintError,
    "Another writer held the lock for too long: code `busy`."
);
create_exception!(
    maint,
    Conflict,
    MaintError,
    "The state was not as expected, and is as it was: code `conflict`.

`losses`: what `Site.on` with `replace=False` would lose, a list of
dicts with `setting`, `before` and `after`; `None` after other failures."
);
create_exception!(
    maint,
    Unsynced,
    MaintError,
    "The change holds, but a power cut could undo it: code `unsynced`."
);
create_exception!(
    maint,
    Unreadable,
    MaintError,
    "The state exists but cannot be read: code `unreadable`."
);
create_exception!(
    maint,
    Corrupt,
    MaintError,
    "The state makes no sense, or is of a newer version: code `corrupt`."
);

create_exception!(
    maint,
    StoreError,
    MaintError,
    "The engine of a fleet is away, or did not confirm: code `store`."
);

/// Gives the classes what their instances have, so that tests of apps can raise them.
pub(crate) fn set_defaults(py: Python<'_>) -> PyResult<()> {
    let base = py.get_type::<MaintError>();
    for name in ["path", "errno", "hint"] {
        base.setattr(name, py.None())?;
    }
    py.get_type::<Conflict>().setattr("losses", py.None())?;
    for (class, kind) in [
        (py.get_type::<UsageError>(), ErrorKind::Usage),
        (py.get_type::<NotApplied>(), ErrorKind::NotApplied),
        (py.get_type::<Busy>(), ErrorKind::Busy),
        (py.get_type::<Conflict>(), ErrorKind::Conflict),
        (py.get_type::<Unsynced>(), ErrorKind::Unsynced),
        (py.get_type::<Unreadable>(), ErrorKind::Unreadable),
        (py.get_type::<Corrupt>(), ErrorKind::Corrupt),
        (py.get_type::<StoreError>(), ErrorKind::Store),
    ] {
        class.setattr("code", kind.as_str())?;
    }
    Ok(())
}

/// An error as an exception, with everything that a program may want to know.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let (kind, text) = (error.kind(), words(error));
    let exception = match kind {
        ErrorKind::Usage => UsageError::new_err(text),
        ErrorKind::NotApplied => NotApplied::new_err(text),
        ErrorKind::Busy => Busy::new_err(text),
        ErrorKind::Conflict => Conflict::new_err(text),
        ErrorKind::Unsynced => Unsynced::new_err(text),
        ErrorKind::Unreadable => Unreadable::new_err(text),
        ErrorKind::Corrupt => Corrupt::new_err(text),
        ErrorKind::Store => StoreError::new_err(text),
        _ => MaintError::new_err(text),
    };
    let value = exception.value(py);
    let path = error.path().map(|path| path.display().to_string());
    // An exception takes any attribute, so these cannot fail.
    let _ = value.setattr("code", kind.as_str());
    let _ = value.setattr("path", path);
    let _ = value.setattr("errno", error.errno());
    let _ = value.setattr("hint", error.hint());
    exception
}

/// An error with its hint in one line.
pub(crate) fn words(error: &Error) -> String {
    match error.hint() {
        // An exception ends up in a log or on a terminal; its other text is visible already.
        Some(hint) => format!("{error}; {}", visible(&hint)),
        None => error.to_string(),
    }
}
