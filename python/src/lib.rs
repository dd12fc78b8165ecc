//! The module `maint._maint`: the library of the root for Python.
//!
//! What Python's `help()` shows is the documentation here, and
//! `pysrc/maint/_maint.pyi` repeats it with the types; a test holds the two
//! together. Nothing is decided here: a request of WSGI, ASGI or Django becomes
//! a [`maint::request::Request`], and an answer becomes an object.

mod answer;
mod asked;
mod clock;
mod error;
mod functions;
mod gate;
mod json;
mod options;
mod private;
mod rules;
mod servers;
mod site;

/// The part in Rust: the library that the command and Rust servers use.
#[pyo3::pymodule]
mod _maint {
    use maint::gate::Pass as MaintPass;
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::answer::{Pass, Reply, Upcoming};
    #[pymodule_export]
    use crate::asked::{Request, User};
    #[pymodule_export]
    use crate::error::{
        Busy, Conflict, Corrupt, MaintError, NotApplied, StoreError, Unreadable, Unsynced,
        UsageError,
    };
    #[pymodule_export]
    use crate::gate::Gate;
    #[pymodule_export]
    use crate::rules::parse_rule;
    #[pymodule_export]
    use crate::site::{Change, Site};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::error::set_defaults(module.py())?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("PRIVATE", MaintPass::CACHE_CONTROL)?;
        // For the package alone: `add` would put them into `__all__`.
        module.setattr("freeze", wrap_pyfunction!(crate::clock::freeze, module)?)?;
        let validate = wrap_pyfunction!(crate::options::validate_options, module)?;
        module.setattr("validate_options", validate)?;
        let known = wrap_pyfunction!(crate::options::known_language, module)?;
        module.setattr("known_language", known)?;
        let private = wrap_pyfunction!(crate::private::keep_private, module)?;
        module.setattr("keep_private", private)
    }

    /// Whether some caches obey a header field rather than `Cache-Control`.
    ///
    /// `name`: the name of the field in lower case.
    #[pyfunction]
    fn overrides_cache_control(name: &str) -> bool {
        MaintPass::overrides_cache_control(name)
    }
}
