//! `maint init`

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use maint::doctor::{Level, examine};
use maint::site::{DIRECTORY, Surroundings};
use maint::store::{self, Options, Purpose};
use maint::{Error, Site};
use serde_json::json;

use crate::args::Init;
use crate::exit::Exit;
use crate::output::printable;
use crate::report;
use crate::session::Session;

/// A framework, by a file that gives it away and a word in that file.
struct Framework {
    name: &'static str,
    file: &'static str,
    word: &'static str,
    lines: &'static str,
}

/// The more particular ones first.
const FRAMEWORKS: [Framework; 6] = [
    Framework {
        name: "Django",
        file: "manage.py",
        word: "django",
        lines: "pip install maint, and in settings.py:\n\
            \n    INSTALLED_APPS += [\"maint.django\"]\
            \n    MIDDLEWARE += [\"maint.django.middleware.MaintenanceModeMiddleware\"]",
    },
    Framework { name: "FastAPI", file: "pyproject.toml", word: "fastapi", lines: ASGI },
    Framework { name: "FastAPI", file: "requirements.txt", word: "fastapi", lines: ASGI },
    Framework { name: "Flask", file: "pyproject.toml", word: "flask", lines: WSGI },
    Framework { name: "Flask", file: "requirements.txt", word: "flask", lines: WSGI },
    Framework {
        name: "axum",
        file: "Cargo.toml",
        word: "axum",
        lines: "cargo add maint --no-default-features --features tower, and around the router:\n\
            \n    .layer(maint::tower::MaintenanceLayer::open(None)?)",
    },
];

const WSGI: &str = "pip install maint, and around the application:\n\
    \n    app.wsgi_app = maint.wsgi.MaintenanceMiddleware(app.wsgi_app)";
const ASGI: &str = "pip install maint, and where the application is made:\n\
    \n    app.add_middleware(maint.asgi.MaintenanceMiddleware)";

pub(crate) fn run(session: &Session, args: &Init) -> Result<Exit> {
    let dir = place(session, args)?;
    let site = Site::at(&dir);
    let is_new = !dir.exists();
    site.create(session.keep_root())?;
    let applied = session.write(|options| {
        let options = Options { purpose: Purpose::Create, ..options.clone() };
        store::update(&site, &options, |state, _| {
            if let Some(user) = &args.web_user {
                state.web_user = Some(user.clone());
            }
            Ok(())
        })
    })?;
    for finding in examine(&site, &Surroundings::current(), None, session.clock.now()) {
        if finding.level != Level::Note {
            session.output.warn(&[finding.message]);
        }
    }
    let project = dir.parent().unwrap_or(Path::new("/"));
    let framework = recognise(project);
    let more = json!({ "new": is_new, "framework": framework.map(|framework| framework.name) });
    let object = report::object(&site, &applied, session.clock.now(), more);
    let made = if is_new { "made the site" } else { "unchanged: there is a site at" };
    let made = if !is_new && !applied.changes.is_empty() { "changed the site" } else { made };
    let mut text = format!("{made} {}\n", printable(&dir.display().to_string()));
    if let Some(framework) = framework {
        text += &format!(
            "\nThis looks like {}. Once that part of maint is released (it is not yet):\n{}\n",
            framework.name, framework.lines
        );
    }
    text += &format!(
        "\nOther users and services find it by `{}={}`.\nTry it: maint on -m 'Back at noon', maint status, maint off\n",
        maint::site::VARIABLE,
        printable(&dir.display().to_string())
    );
    session.output.done(&text, &object)?;
    Ok(Exit::Done)
}

/// `--site` names the site itself, the argument its project.
fn place(session: &Session, args: &Init) -> Result<PathBuf> {
    let here = std::env::current_dir()
        .map_err(|cause| Error::invalid(format!("no working directory: {cause}")))?;
    let dir = match (session.given_site(), &args.dir) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid("`--site` and DIR both say where; give one of them").into());
        }
        (Some(site), None) => {
            // An existing directory is looked at as carefully as by any other verb.
            if here.join(site).exists() {
                Site::discover(Some(site))?.dir().to_owned()
            } else {
                here.join(site)
            }
        }
        (None, Some(project)) if project.file_name().is_some_and(|name| name == DIRECTORY) => {
            here.join(project)
        }
        (None, Some(project)) if !here.join(project).is_dir() => {
            return Err(Error::invalid_with(
                format!("`{}` is not a directory", project.display()),
                format!("make it first: `mkdir -p {}`", project.display()),
            )
            .into());
        }
        (None, Some(project)) => here.join(project).join(DIRECTORY),
        (None, None) => here.join(DIRECTORY),
    };
    Ok(dir)
}

fn recognise(project: &Path) -> Option<&'static Framework> {
    FRAMEWORKS.iter().find(|framework| {
        fs::read_to_string(project.join(framework.file))
            .is_ok_and(|text| text.to_lowercase().contains(framework.word))
    })
}
