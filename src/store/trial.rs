//! Trying out templates before they are put into use: the one place that does it.
//!
//! A trial can take long, so it happens before the lock is taken. Under the lock it is
//! only made sure that the files are still those that were tried, since another writer
//! could have changed or removed a template, or one that it builds on.

use std::collections::BTreeSet;
use std::fs;

use super::beside::{Beside, FileChange, TemplateFile};
use super::options::Purpose;
use crate::error::{Error, Result};
use crate::page::Templates;
use crate::site::Site;
use crate::state::State;
use crate::state::page::parse_file_name;

/// What was tried out.
pub(super) struct Trial<'a> {
    site: &'a Site,
    /// The templates of the site then; `None` if nothing was tried.
    files: Option<Templates>,
    /// Those that passed.
    passed: BTreeSet<String>,
}

impl<'a> Trial<'a> {
    /// Tries out the template file that changes together with the state, if any.
    pub(super) fn of_file(site: &'a Site, beside: Beside<'_>) -> Result<Self> {
        let files = match beside {
            Beside::Template(file) => {
                let files = read(site);
                try_file(&files, file)?;
                Some(files)
            }
            Beside::Nothing | Beside::Salvage => None,
        };
        Ok(Self { site, files, passed: BTreeSet::new() })
    }

    /// Tries out the templates that a change of the state puts into use as well.
    pub(super) fn of_state(
        mut self,
        purpose: Purpose,
        before: &State,
        after: &State,
    ) -> Result<Self> {
        let used = new_ones(purpose, before, after);
        if !used.is_empty() {
            let site = self.site;
            let files = self.files.get_or_insert_with(|| read(site));
            used.iter().try_for_each(|name| files.try_all(&site.templates(), name))?;
            self.passed = used;
        }
        Ok(self)
    }

    /// Whether a change needs nothing but what was tried out, and that is still there.
    pub(super) fn covers(&self, purpose: Purpose, before: &State, after: &State) -> bool {
        new_ones(purpose, before, after).is_subset(&self.passed)
            && self.files.as_ref().is_none_or(|files| *files == read(self.site))
    }
}

/// The templates that a change of the state puts into use: those of new and changed
/// windows, and that of the site if it changed. None if it restores or renews.
fn new_ones(purpose: Purpose, before: &State, after: &State) -> BTreeSet<String> {
    if matches!(purpose, Purpose::Restore | Purpose::Renew) {
        return BTreeSet::new();
    }
    let is_new = |name: &str| before.windows.get(name) != after.windows.get(name);
    let windows = after.windows.iter().filter(|(name, _)| is_new(name));
    let of_windows = windows.map(|(_, window)| &window.page);
    let of_site = (before.page.template != after.page.template).then_some(&after.page);
    of_windows.chain(of_site).filter_map(|page| page.template.clone()).collect()
}

/// Refuses a file that cannot be written: its name is wrong, or it is there already.
pub(super) fn refuse_file(file: &TemplateFile<'_>) -> Result<()> {
    if let FileChange::Write { replace: false, .. } = file.change
        && fs::symlink_metadata(file.path).is_ok()
    {
        return Err(Error::TemplateExists { file_name: file.name().to_owned() });
    }
    Ok(())
}

/// Tries out a template file that changes, and those that build on it.
fn try_file(before: &Templates, file: &TemplateFile<'_>) -> Result<()> {
    let file_name = file.name();
    let (name, format) = parse_file_name(file_name).ok_or_else(|| {
        let name = file_name.escape_debug();
        Error::invalid(format!("`{name}` cannot be the file name of a template"))
    })?;
    let mut after = before.clone();
    match file.change {
        FileChange::Write { text, .. } => {
            after.add(file_name.to_owned(), text.to_owned())?;
            after.try_out(name, format)?;
        }
        FileChange::Remove { files } => {
            after = files.iter().fold(after, |rest, file| rest.without(&file.file_name()));
        }
    }
    refuse_if_another_breaks(before, &after, name)
}

/// The usable templates of a site.
fn read(site: &Site) -> Templates {
    Templates::read(&site.templates()).0
}

/// Refuses a change of one template that breaks another, which builds on it and
/// was fine before.
fn refuse_if_another_breaks(before: &Templates, after: &Templates, changed: &str) -> Result<()> {
    for file_name in after.names() {
        let Some((name, format)) = parse_file_name(&file_name) else {
            continue;
        };
        if name == changed || before.try_out(name, format).is_err() {
            continue;
        }
        if let Err(error) = after.try_out(name, format) {
            return Err(Error::invalid_with(
                format!(
                    "the template `{file_name}` builds on `{changed}`, and would fail: {error}"
                ),
                format!("change `{file_name}` first"),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{PageSettings, WindowSettings};
    use crate::store::{Options, Purpose, add_template, preview, update};

    fn site() -> (tempfile::TempDir, Site) {
        let temp = tempfile::tempdir().unwrap();
        let site = Site::at(temp.path());
        (temp, site)
    }

    /// Opens the window `w` with a template, as a user of the library does.
    fn open(site: &Site, options: &Options<'_>, template: &str) -> Result<()> {
        let settings = WindowSettings::new().page(PageSettings::new().template(template));
        let open = |state: &mut State, stamp: crate::store::Stamp<'_>| {
            state.open_window("w", &settings, stamp).map(drop)
        };
        preview(site, options, open)?;
        update(site, options, open).map(drop)
    }

    fn is_unknown(done: &Result<()>) -> bool {
        matches!(done, Err(Error::Unknown { kind: "template", .. }))
    }

    #[expect(clippy::disallowed_methods, reason = "a template that somebody edits by hand")]
    fn edit(site: &Site, file_name: &str, text: &str) {
        fs::create_dir_all(site.templates()).unwrap();
        fs::write(site.templates().join(file_name), text).unwrap();
    }

    #[test]
    fn a_template_that_is_missing_or_broken_is_not_put_into_use() {
        let (_temp, site) = site();
        let options = Options::new("test");
        assert!(is_unknown(&open(&site, &options, "sorry")));
        edit(&site, "sorry.html", "{{ nobody_says_that }}");
        assert!(matches!(open(&site, &options, "sorry"), Err(Error::Invalid { .. })));
        let of_site = |state: &mut State| state.page.template = Some("sorry".to_owned());
        let used = update(&site, &options, |state, _| {
            of_site(state);
            Ok(())
        });
        assert!(matches!(used, Err(Error::Invalid { .. })));
        assert_eq!(site.state().unwrap(), State::default(), "nothing was written");
        edit(&site, "sorry.html", "{{ reason }}");
        open(&site, &options, "sorry").unwrap();
    }

    #[test]
    fn a_template_that_breaks_later_holds_no_other_change_up() {
        let (_temp, site) = site();
        let options = Options::new("test");
        add_template(&site, &options, "sorry.html", "{{ reason }}").unwrap();
        open(&site, &options, "sorry").unwrap();
        edit(&site, "sorry.html", "{% if %}");
        update(&site, &options, |state, stamp| {
            state.open_window("other", &WindowSettings::new(), stamp)
        })
        .unwrap();
        update(&site, &options, |state, stamp| state.close_window("w", stamp.now)).unwrap();
        assert!(open(&site, &options, "sorry").is_err(), "it is used anew");
    }

    #[test]
    fn requirement_63_a_template_that_changes_after_its_trial_is_tried_again() {
        let (_temp, site) = site();
        edit(&site, "sorry.html", "{{ reason }}");
        let runs = std::cell::Cell::new(0);
        let settings = WindowSettings::new().page(PageSettings::new().template("sorry"));
        let put = |replaced: &str| {
            runs.set(0);
            update(&site, &Options::new("test"), |state, stamp| {
                runs.set(runs.get() + 1);
                // The first run is before the trial, the second under the lock after it.
                if runs.get() == 2 {
                    edit(&site, "sorry.html", replaced);
                }
                state.open_window("w", &settings, stamp)
            })
        };
        assert!(matches!(put("{{ nobody_says_that }}"), Err(Error::Invalid { .. })));
        assert_eq!((site.state().unwrap(), runs.get()), (State::default(), 2));
        edit(&site, "sorry.html", "{{ reason }}");
        put("{{ title }}").unwrap();
        assert_eq!(runs.get(), 3);
    }

    #[test]
    fn requirement_63_a_trial_does_not_need_the_lock() {
        let (_temp, site) = site();
        update(&site, &Options::new("holder"), |state, stamp| {
            let options = Options::new("test").patience(std::time::Duration::ZERO);
            let put = |text| add_template(&site, &options, "sorry.html", text);
            let loops =
                "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
            assert!(matches!(put(loops), Err(Error::Invalid { .. })), "it was tried out");
            assert!(matches!(put("{{ reason }}"), Err(Error::Busy { .. })), "then it waits");
            state.open_window("w", &WindowSettings::new(), stamp)
        })
        .unwrap();
    }

    #[test]
    fn what_is_put_back_or_renewed_is_not_tried_out() {
        for purpose in [Purpose::Restore, Purpose::Renew] {
            let (_temp, site) = site();
            open(&site, &Options::new("test").purpose(purpose), "missing").unwrap();
            assert!(site.state().unwrap().windows.contains_key("w"), "{purpose:?}");
        }
    }
}
