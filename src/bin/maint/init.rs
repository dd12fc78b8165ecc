//! `maint init`

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use maint::fleet::Address;
use maint::internal::doctor::{Level, examine};
use maint::internal::page::builtin;
use maint::page::Format;
use maint::site::{DIRECTORY, Environment, VARIABLE};
use maint::store::{self, Applied, Joined, Origin, Purpose, Winner};
use maint::{Error, Site, State};
use serde_json::json;

use crate::args::{Init, Wins};
use crate::exit::Exit;
use crate::report;
use crate::session::Session;
use crate::store as store_verb;
use crate::text::{Text, lossy, say};

/// A framework, recognised by a file and a word in it.
struct Framework {
    name: &'static str,
    file: &'static str,
    word: &'static str,
    lines: &'static str,
}

/// The more specific ones first.
const FRAMEWORKS: [Framework; 7] = [
    Framework {
        name: "Django",
        file: "manage.py",
        word: "django",
        lines: "pip install CLONE/python, where CLONE is a clone of its repository (it is not\n\
            on PyPI yet), and in settings.py:\n\
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
        // The README says how to clone it.
        lines: "cargo add maint --path CLONE --no-default-features --features tower, where\n\
            CLONE is a clone of its repository (it is not on crates.io yet), and around the\n\
            router:\n\
            \n    .layer(maint::tower::MaintenanceLayer::open(None)?)",
    },
    Framework {
        name: "actix-web",
        file: "Cargo.toml",
        word: "actix-web",
        lines: "cargo add maint --path CLONE --no-default-features --features actix, where\n\
            CLONE is a clone of its repository (it is not on crates.io yet), and around the\n\
            app:\n\
            \n    .wrap(maint::actix::Maintenance::open(None)?)",
    },
];

const WSGI: &str = "pip install CLONE/python, where CLONE is a clone of its repository (it is not\n\
    on PyPI yet), and around the application:\n\
    \n    import maint.wsgi\
    \n    app.wsgi_app = maint.wsgi.MaintenanceMiddleware(app.wsgi_app)";
const ASGI: &str = "pip install CLONE/python, where CLONE is a clone of its repository (it is not\n\
    on PyPI yet), and where the application is made:\n\
    \n    import maint.asgi\
    \n    app.add_middleware(maint.asgi.MaintenanceMiddleware, gate=maint.Gate())";

/// The template that a site begins with: the built-in page, to be changed.
const STARTER: &str = "starter";

pub(crate) fn run(session: &Session, args: &Init) -> Result<Exit> {
    let dir = place(session, args)?;
    let site = Site::at(&dir);
    let is_new = !dir.exists();
    let change = |state: &mut State| {
        if let Some(name) = &args.name {
            state.name = Some(name.trim().to_owned()).filter(|name| !name.is_empty());
        }
        if let Some(user) = &args.web_user {
            state.web_user = Some(user.trim().to_owned()).filter(|user| !user.is_empty());
        }
    };
    // What is refused later is refused before anything is made.
    let mut wanted = State::default();
    change(&mut wanted);
    wanted.validate()?;
    store::create(&site)?;
    let store = session.named_store()?;
    if store.is_none() && session.given_store()?.is_some() {
        session.output.note("`MAINT_STORE` is set; with `--store` the site would follow it");
    }
    let joined = store.map(|address| join(session, &site, &address, args.wins)).transpose()?;
    let starter = begin(session, &site)?;
    let mut applied = session.write(|options| {
        let options = options.clone().purpose(Purpose::Create);
        store::update(&site, &options, |state, _| {
            change(state);
            Ok(())
        })
    })?;
    let has_starter = starter.is_some();
    if let Some(first) = starter {
        applied.is_written |= first.is_written;
        applied.changes.splice(0..0, first.changes);
    }
    if let Some(joined) = &joined {
        applied.is_written |= joined.origin != Origin::Unchanged;
        session.output.error_text(&store_verb::concerns_text(&joined.concerns));
    }
    // What is risky about the engine is said already, and the agent comes next.
    let is_said = |code: &str| {
        let concerns = joined.iter().flat_map(|joined| &joined.concerns);
        code == "store-unattended" || concerns.into_iter().any(|concern| concern.code == code)
    };
    for finding in examine(&site, &Environment::current(), None, session.clock.now()) {
        if finding.level != Level::Note && !is_said(finding.code) {
            session.output.warn(&[finding.message]);
        }
    }
    let project = dir.parent().unwrap_or(Path::new("/"));
    let framework = recognise(project);
    let file = site.templates().join(format!("{STARTER}.{}", Format::Html));
    let more = json!({
        "new": is_new,
        "name": applied.after.name,
        "web_user": applied.after.web_user,
        "template": has_starter.then(|| lossy(&file)),
        "framework": framework.map(|framework| framework.name),
        "origin": joined.as_ref().map(|joined| origin_word(joined.origin)),
        "concerns": joined.iter().flat_map(|joined| &joined.concerns).map(store_verb::concern_object).collect::<Vec<_>>(),
    });
    let object = report::object(&site, &applied, session.clock.now(), more);
    let made = if is_new { "made the site" } else { "unchanged: there is a site at" };
    let made = if !is_new && applied.is_written { "changed the site" } else { made };
    let mut text = say!("{} {}\n", made, dir.display());
    if args.web_user.is_some() {
        text += match &applied.after.web_user {
            Some(user) => say!("the web server runs as `{}`\n", user),
            None => "no user of the web server is stored\n".into(),
        };
    }
    if let (Some(joined), Some(store)) = (&joined, &applied.store) {
        text += joined_text(joined.origin, store);
        text += report::headline(&applied.after, session.clock.now()) + "\n";
    }
    if let Some(framework) = framework {
        text += say!("\nThis looks like {}.\n{}\n", framework.name, Text::from(framework.lines));
    }
    if has_starter {
        text += say!(
            "\nVisitors get the built-in page. To change it, edit its copy `{}`:\n\
             \n    maint template edit {}\
             \n    maint template preview {}\
             \n    maint template use {}\n",
            STARTER,
            STARTER,
            STARTER,
            STARTER
        );
    }
    text += say!(
        "\nOther users and services find the site by `{}={}`.\nTry it: maint on -m 'Back at noon', maint status, maint off\n",
        VARIABLE,
        dir.display()
    );
    session.output.done(&text, &object)?;
    Ok(Exit::Done)
}

/// Makes the site follow an engine. Where both have a state, a person is asked whose it is to be.
fn join(session: &Session, site: &Site, address: &Address, wins: Option<Wins>) -> Result<Joined> {
    let winner = |wins: Wins| match wins {
        Wins::Store => Winner::Store,
        Wins::Site => Winner::Site,
    };
    let try_join = |wins: Option<Wins>| {
        session.ask(|options| store::join(site, options, address, wins.map(winner)))
    };
    match try_join(wins) {
        Err(Error::Conflict { message, hint: Some(_) }) if wins.is_none() => {
            let hint = "`--wins store` or `--wins site` says whose state the fleet gets";
            let question = say!("{}\nWhose state is the fleet to get? [store/site] ", message);
            match session.output.ask(&question).as_deref() {
                Some("store") => Ok(try_join(Some(Wins::Store))?),
                Some("site") => Ok(try_join(Some(Wins::Site))?),
                _ => Err(Error::conflict_with(message, hint).into()),
            }
        }
        other => Ok(other?),
    }
}

fn origin_word(origin: Origin) -> &'static str {
    match origin {
        Origin::Unchanged => "unchanged",
        Origin::Site => "site",
        Origin::Store => "store",
        Origin::Replaced => "replaced",
    }
}

fn joined_text(origin: Origin, store: &str) -> Text {
    let text = say!("it follows {}\n", store);
    text + match origin {
        Origin::Unchanged => "",
        Origin::Site => "the fleet begins with the state of this site\n",
        Origin::Store => "this site has the state of the fleet now\n",
        Origin::Replaced => "the fleet has the state of this site now, on every host\n",
    } + "`maint agent` keeps this host up to date; contrib/systemd/ has a unit for it\n"
}

/// Writes the first state of a site together with the starter; `None` if there
/// is a state, so that a starter that was removed or edited stays so.
fn begin(session: &Session, site: &Site) -> Result<Option<Applied<()>>> {
    let is_begun = || Ok::<_, Error>(site.state()?.revision > 0);
    if is_begun()? {
        return Ok(None);
    }
    let file_name = format!("{STARTER}.{}", Format::Html);
    let put = session
        .write(|options| store::add_template(site, options, &file_name, builtin(Format::Html)));
    match put {
        Ok(applied) => Ok(Some(applied)),
        // Somebody else began at the same time, or brought a template of that name.
        Err(Error::TemplateExists { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// `--site` and `MAINT_SITE` name the site itself, as for every other verb; the argument
/// names its project.
fn place(session: &Session, args: &Init) -> Result<PathBuf> {
    let here = std::env::current_dir()
        .map_err(|cause| Error::invalid(format!("no working directory: {cause}")))?;
    let variable = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    let named = session.given_site().or(variable.as_deref());
    let dir = match (named, &args.dir) {
        (Some(_), Some(_)) if session.given_site().is_some() => {
            return Err(Error::invalid("`--site` and DIR both say where; give one of them").into());
        }
        (Some(site), Some(project)) => {
            let dir = inside(&here, project)?;
            let is_same = match (dir.canonicalize(), here.join(site).canonicalize()) {
                (Ok(one), Ok(other)) => one == other,
                _ => dir == here.join(site),
            };
            if !is_same {
                return Err(Error::invalid_with(
                    format!(
                        "`{VARIABLE}` names `{}`, where every other verb would look, and not `{}`",
                        site.display(),
                        dir.display()
                    ),
                    format!("leave out DIR, or begin with `env -u {VARIABLE} maint init …`"),
                )
                .into());
            }
            dir
        }
        (Some(site), None) => {
            // An existing directory is checked as by any other verb.
            if here.join(site).exists() {
                Site::discover(session.given_site())?.dir().to_owned()
            } else {
                here.join(site)
            }
        }
        (None, Some(project)) => inside(&here, project)?,
        (None, None) => here.join(DIRECTORY),
    };
    Ok(dir)
}

/// The site of a project.
fn inside(here: &Path, project: &Path) -> Result<PathBuf> {
    if project.file_name().is_some_and(|name| name == DIRECTORY) {
        return Ok(here.join(project));
    }
    if !here.join(project).is_dir() {
        return Err(Error::invalid_with(
            format!("`{}` is not a directory", project.display()),
            format!("make it first: `mkdir -p {}`", project.display()),
        )
        .into());
    }
    Ok(here.join(project).join(DIRECTORY))
}

fn recognise(project: &Path) -> Option<&'static Framework> {
    FRAMEWORKS.iter().find(|framework| {
        fs::read_to_string(project.join(framework.file))
            .is_ok_and(|text| text.to_lowercase().contains(framework.word))
    })
}
