//! `maint page`

use anyhow::Result;
use maint::internal::page::languages;
use maint::state::PageSettings;
use maint::{Error, State};
use serde_json::json;

use crate::args::{Page, PageSet, PageSetting};
use crate::exit::Exit;
use crate::report;
use crate::session::Session;
use crate::text::{Text, padded, say};

pub(crate) fn run(session: &Session, args: &Page) -> Result<Exit> {
    match args {
        Page::Show => show(session),
        Page::Set(args) => {
            let given = [&args.title, &args.contact, &args.status_url, &args.language];
            if given.into_iter().all(Option::is_none) {
                return Err(Error::invalid_with(
                    "nothing is named that could be set",
                    "give `--title`, `--contact`, `--status-url` or `--language`",
                )
                .into());
            }
            let done = change(session, |state| set(&mut state.page, args))?;
            let unspoken = args.language.as_deref().filter(|tag| {
                let primary = tag.split('-').next().unwrap_or_default();
                !languages().iter().any(|known| known == tag || *known == primary)
            });
            if let Some(tag) = unspoken {
                session.output.note(say!(
                    "the built-in page does not speak `{}`, and stays in English around your messages; it speaks {}",
                    tag,
                    languages().join(", ")
                ));
            }
            Ok(done)
        }
        Page::Unset(args) => change(session, |state| {
            for setting in &args.settings {
                match setting {
                    PageSetting::Title => state.page.title = None,
                    PageSetting::Contact => state.page.contact = None,
                    PageSetting::StatusUrl => state.page.status_url = None,
                    PageSetting::Language => state.page.language = None,
                }
            }
        }),
    }
}

fn set(page: &mut PageSettings, args: &PageSet) {
    for (setting, given) in [
        (&mut page.title, &args.title),
        (&mut page.contact, &args.contact),
        (&mut page.status_url, &args.status_url),
        (&mut page.language, &args.language),
    ] {
        if given.is_some() {
            setting.clone_from(given);
        }
    }
}

fn change(session: &Session, change: impl Fn(&mut State)) -> Result<Exit> {
    let site = session.site()?;
    let applied = session.apply(&site, false, |state, _| {
        change(state);
        state.page.validate()
    })?;
    let page = &applied.after.page;
    let object = report::object(&site, &applied, session.clock.now(), json!({ "page": page }));
    let unchanged: Text =
        if applied.changes.is_empty() { "unchanged:\n".into() } else { Text::default() };
    let text = say!("{}{}{}", unchanged, in_words(page), report::written(&applied));
    session.output.done(&text, &object)?;
    Ok(Exit::Done)
}

fn show(session: &Session) -> Result<Exit> {
    let page = session.site()?.state()?.page;
    session.output.answer(&in_words(&page), &json!({ "page": page }))?;
    Ok(Exit::Done)
}

fn in_words(page: &PageSettings) -> Text {
    let mut text = Text::default();
    for (name, value, default) in [
        ("title", &page.title, "that of the page"),
        ("contact", &page.contact, "none"),
        ("status-url", &page.status_url, "none"),
        ("language", &page.language, "en"),
        ("template", &page.template, "the built-in page"),
    ] {
        let name = padded(name, 10);
        text += if let Some(value) = value {
            say!("{}  {}\n", name, value)
        } else {
            say!("{}  ({})\n", name, default)
        };
    }
    text
}
