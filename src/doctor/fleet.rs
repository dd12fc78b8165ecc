//! Checks of the fleet: whether this host follows its engine, and what is risky about that.

use std::time::Duration;

use super::finding::Finding;
use super::patient::Patient;
use crate::fleet::{Address, Concern, Document, following};
use crate::identity::as_owner;
use crate::store::agent::{Duty, duty};

/// How long the engine is waited for.
const WITHIN: Duration = Duration::from_secs(3);

pub(super) fn followed(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let site = patient.site;
    let engine = match following(site) {
        Ok(None) => return,
        Ok(Some(engine)) => engine,
        Err(error) => {
            let message = format!("nobody can tell which store this site follows: {error}");
            let fix = "write its address into the file, or remove the file";
            let finding = Finding::problem("store-unusable", message).fixed_by(fix);
            findings.push(finding.at(&site.store_file()));
            return;
        }
    };
    let here = patient.state.as_ref().and_then(|state| state.mirror.as_ref());
    if here.is_none() && patient.trouble.is_none() {
        let message = "the site follows a store and has nothing of it yet";
        let fix = format!("run {}", patient.maint("agent"));
        findings.push(Finding::problem("store-not-mirrored", message).fixed_by(fix));
    }
    if !matches!(duty(site), Ok(Duty::Runs(_))) {
        let message = "no agent runs, so changes of the fleet do not come to this host";
        let fix = format!("run {}; contrib/systemd/ has a unit for it", patient.maint("agent"));
        findings.push(Finding::problem("store-unattended", message).fixed_by(fix));
    }
    let asked = as_owner(site, || {
        let failed = |failure| engine.failed(failure);
        let mut open = engine.open().map_err(failed)?;
        let there = open.load(WITHIN).map_err(failed)?;
        Ok((there, open.examine(WITHIN).map_err(failed)?))
    });
    let (there, concerns) = match asked {
        Ok(asked) => asked,
        Err(error) => {
            let finding = Finding::problem("store-away", error.to_string());
            findings.push(match error.hint() {
                Some(hint) => finding.fixed_by(hint),
                None => finding,
            });
            return;
        }
    };
    // Plain text is a finding of its own, also while the engine is away.
    let others = concerns.into_iter().filter(|concern| !concern.code.ends_with("-plain-text"));
    findings.extend(others.map(of_concern));
    let Some(there) = there else {
        let message = "the store has no document of this site; this host keeps what it has";
        let fix = format!("{} puts that there again", patient.maint("store import"));
        findings.push(Finding::problem("store-empty", message).fixed_by(fix));
        return;
    };
    let name = &engine.address.site;
    match Document::from_json(&there.document).and_then(|document| {
        document.check(name, here)?;
        Ok(document)
    }) {
        Err(odd) => {
            let message = format!("this host keeps what it has, since {odd}");
            findings.push(Finding::problem("store-odd", message));
        }
        Ok(document) if here.is_some_and(|here| here.sequence < document.sequence) => {
            let message = format!(
                "this host lags: it has revision {}, and the fleet {}",
                patient.state.as_ref().map_or(0, |state| state.revision),
                document.state.revision
            );
            findings.push(Finding::warning("store-lags", message));
        }
        Ok(_) => {}
    }
}

/// Passwords in a file that others may read are refused when the engine is opened.
pub(super) fn secrets(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Ok(Some(engine)) = following(patient.site) else { return };
    let Address { user, password_file, is_tls, .. } = &engine.address;
    if user.is_some() && password_file.is_none() {
        let message = "the store is asked as a user whose password no file holds, so the agent \
                       needs it in its environment";
        let fix = "write it into a file with mode 0600, and add `?password-file=FILE`";
        findings.push(Finding::note("store-password", message).fixed_by(fix));
    }
    if !is_tls && !engine.address.is_local() && !engine.address.endpoints.is_empty() {
        let message = "what goes to and from the store can be read and changed on the way";
        let fix = "use TLS: `etcds://`, `rediss://`";
        findings.push(Finding::warning("store-plain", message).fixed_by(fix));
    }
}

fn of_concern(concern: Concern) -> Finding {
    Finding::warning(concern.code, concern.message).fixed_by(concern.fix)
}
