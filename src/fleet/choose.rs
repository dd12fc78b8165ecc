//! Which engine answers for an address.

use super::address::{Address, Scheme};
#[cfg(not(feature = "fleet"))]
use super::engine::Failure;
use super::engine::{Engine, Outcome};
#[cfg(feature = "fleet")]
use super::etcd::Etcd;
use super::file::File;
#[cfg(feature = "fleet")]
use super::redis::Redis;
#[cfg(feature = "fleet")]
use super::relay::Relay;
use super::secret::Secret;

/// Opens the engine of an address. No connection is made yet.
///
/// # Errors
///
/// [`FailureKind::Protocol`](super::FailureKind::Protocol) if this build lacks that engine, [`FailureKind::Denied`](super::FailureKind::Denied) if a file
/// with a secret or a certificate cannot be used.
#[cfg_attr(
    not(feature = "fleet"),
    expect(clippy::needless_pass_by_value, reason = "no engine takes it")
)]
pub fn open(address: &Address, secret: Option<Secret>) -> Outcome<Box<dyn Engine>> {
    match &address.scheme {
        Scheme::File => Ok(Box::new(File::open(address))),
        #[cfg(feature = "fleet")]
        Scheme::Etcd => Ok(Box::new(Etcd::open(address, secret)?)),
        #[cfg(feature = "fleet")]
        Scheme::Redis | Scheme::Sentinel => Ok(Box::new(Redis::open(address, secret)?)),
        #[cfg(feature = "fleet")]
        Scheme::Relay => Ok(Box::new(Relay::open(address, secret.as_ref())?)),
        #[cfg(not(feature = "fleet"))]
        _ => {
            let _ = secret;
            Err(Failure::protocol("this build of maint has no engines")
                .with_hint("install one with the feature `fleet`, as the released ones are"))
        }
    }
}
