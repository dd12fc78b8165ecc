//! The module `maint._maint`: the library of the root for Python.
//!
//! `pysrc/maint/_maint.pyi` documents what Python sees. Nothing is decided here:
//! a request of WSGI, ASGI or Django becomes a [`maint::request::Request`], and
//! an answer becomes an object.

mod answer;
mod asked;
mod clock;
mod error;
mod functions;
mod gate;
mod rules;
mod servers;
mod site;

/// `maint._maint`
#[pyo3::pymodule]
mod _maint {
    use maint::gate::Pass as MaintPass;
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::answer::{Pass, Reply};
    #[pymodule_export]
    use crate::asked::{Request, User};
    #[pymodule_export]
    use crate::clock::freeze;
    #[pymodule_export]
    use crate::error::MaintError;
    #[pymodule_export]
    use crate::gate::Gate;
    #[pymodule_export]
    use crate::rules::parse_rule;
    #[pymodule_export]
    use crate::site::{Change, Site};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("PRIVATE", MaintPass::CACHE_CONTROL)
    }

    #[pyfunction]
    fn is_overruling(name: &str) -> bool {
        MaintPass::is_overruling(name)
    }
}
