//! `maint doctor`

use anyhow::Result;
use maint::internal::doctor::{Finding, Level, examine};
use maint::site::Environment;
use maint::{Error, Site};
use serde_json::json;

use crate::args::Doctor;
use crate::exit::Exit;
use crate::session::Session;
use crate::text::{DIM, GREEN, RED, Text, YELLOW, lossy, paint, say};

pub(crate) fn run(session: &Session, args: &Doctor) -> Result<Exit> {
    let site = match Site::discover(session.given_site()) {
        Ok(site) => site,
        // A named site that is missing is a finding too.
        Err(error) => match (&error, session.given_site()) {
            (Error::NotASite { .. }, Some(path)) => Site::at(path),
            _ => return Err(error.into()),
        },
    };
    let findings =
        examine(&site, &Environment::current(), args.web_user.as_deref(), session.clock.now());
    let problems = findings.iter().filter(|finding| finding.level == Level::Problem).count();
    let object =
        json!({ "site": lossy(site.dir()), "healthy": problems == 0, "findings": findings });
    let mut text: Text = findings.iter().map(one).collect();
    text += match (problems, findings.len()) {
        (0, 0) => say!("{} nothing is wrong with {}\n", paint(GREEN, "●"), site.dir().display()),
        (0, _) => say!("{} no problem with {}\n", paint(GREEN, "●"), site.dir().display()),
        (1, _) => say!("{} one problem with {}\n", paint(RED, "●"), site.dir().display()),
        (many, _) => say!("{} {} problems with {}\n", paint(RED, "●"), many, site.dir().display()),
    };
    session.output.done(&text, &object)?;
    Ok(if problems == 0 { Exit::Done } else { Exit::No })
}

fn one(finding: &Finding) -> Text {
    let level = match finding.level {
        Level::Problem => paint(RED, "problem"),
        Level::Warning => paint(YELLOW, "warning"),
        Level::Note => paint(DIM, "note"),
    };
    let mut text = say!("{}: {}\n", level, finding.message);
    if let Some(fix) = &finding.fix {
        text += say!("  fix: {}\n", fix);
    }
    text
}
