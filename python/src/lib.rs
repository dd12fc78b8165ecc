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
mod servers;
mod site;

use maint::rules::{Kind, Matcher};
use pyo3::prelude::*;

/// `maint._maint`
#[pymodule]
mod _maint {
    use maint::gate::Pass as MaintPass;
    use pyo3::exceptions::PyValueError;
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

    #[pyfunction]
    fn parse_rule(kind: &str, value: &str) -> PyResult<String> {
        Ok(crate::rule(kind, value).map_err(PyValueError::new_err)?.to_string())
    }
}

/// An ignore rule that does not let everybody in, or why it is none.
fn rule(kind: &str, value: &str) -> Result<Matcher, String> {
    let sound = matcher(kind, value).and_then(|rule| rule.refuse_everything().map(|()| rule));
    sound.map_err(|cause| error::words(&cause))
}

/// What an ignore rule matches.
fn matcher(kind: &str, value: &str) -> maint::Result<Matcher> {
    let known = Kind::KNOWN.into_iter().find(|known| known.as_str() == kind);
    Matcher::parse(&known.unwrap_or_else(|| Kind::Unknown(kind.to_owned())), value)
}
