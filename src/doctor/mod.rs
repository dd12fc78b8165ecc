//! What would go wrong with a site, and the fix.
//!
//! The examination only looks: it writes nothing, takes no lock, and works on a
//! site that is missing, unreadable or broken. It judges permissions from mode
//! bits and access lists rather than by trying, so that root gets the same
//! findings as everybody else.

mod content;
mod finding;
mod flags;
mod fleet;
mod labels;
mod links;
mod loads;
mod patient;
mod permissions;
mod place;
mod records;
mod schedule;
mod templates;
mod tracked;
mod words;

use jiff::Timestamp;

use crate::load;
use crate::site::{Environment, Site};
use patient::Patient;

pub use finding::{Finding, Level};
pub use loads::missing;

/// A check looks for one kind of trouble and adds what it finds.
type Check = fn(&Patient<'_>, &mut Vec<Finding>);

/// Every check.
const CHECKS: &[Check] = &[
    place::directory,
    place::file_system,
    place::room,
    place::temporary_directory,
    place::user_directory,
    place::passed_over,
    place::release_directory,
    place::public_directory,
    place::variable,
    place::other_sites,
    tracked::files,
    links::target,
    links::planted,
    links::mount_point,
    links::names,
    permissions::writable,
    permissions::replaceable,
    permissions::sticky,
    permissions::special_bits,
    permissions::readers,
    permissions::writers,
    permissions::caller,
    permissions::lock,
    labels::access_lists,
    labels::security_labels,
    content::state,
    content::version,
    content::backup,
    content::clock,
    content::unknown_parts,
    records::history,
    content::leftovers,
    templates::in_use,
    templates::mistakes,
    templates::edited,
    templates::passed_over,
    loads::missed,
    schedule::ended,
    schedule::endless,
    schedule::late,
    schedule::expired,
    schedule::status,
    schedule::redirects,
    schedule::open_rules,
    schedule::shadowed_rules,
    flags::declared,
    flags::in_step,
    flags::seen,
    flags::unattended,
    fleet::followed,
    fleet::secrets,
];

/// Examines a site and returns what it finds, the worst first.
///
/// `web_user` is the user that the web server runs as, or else the one that the
/// state names. Without either, it is a user who owns nothing and is in no group.
#[must_use]
pub fn examine(
    site: &Site,
    around: &Environment,
    web_user: Option<&str>,
    now: Timestamp,
) -> Vec<Finding> {
    let (files, loaded) = match site.files() {
        Ok(files) => {
            let loaded = load::load(&files.state);
            (Some(files), loaded)
        }
        Err(error) => (None, Err(error)),
    };
    let (state, trouble) = match loaded {
        Ok(loaded) => (loaded.map(|loaded| loaded.state), None),
        Err(error) => (None, Some(error)),
    };
    let patient = Patient { site, around, named_user: web_user, now, files, state, trouble };
    let mut findings = Vec::new();
    for check in CHECKS {
        check(&patient, &mut findings);
    }
    findings.sort_by_key(|finding| finding.level);
    findings
}
