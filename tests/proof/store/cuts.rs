//! Cuts the power at every moment of a recorded trace, and judges what may remain.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::disk::{Disk, Files, Image};
use crate::env::is_temporary;
use crate::trace::Call;

pub(crate) const STATE: &str = "state.json";
pub(crate) const BACKUP: &str = "state.json.bak";

/// The calls by which a whole file appears or goes.
const NAMING: [&str; 7] =
    ["rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat"];

/// What may remain of a site if the power fails at any moment of a command.
pub(crate) struct Survivors {
    /// The number of cuts.
    pub(crate) moments: usize,
    /// Every site that may be found afterwards.
    pub(crate) sites: BTreeSet<Files>,
}

/// Whether each state, backup and template that may remain is whole, either from before
/// or newly put there, and after the end only the new one.
pub(crate) fn survives(calls: &[Call], dir: &Path, before: &Files) -> Result<Survivors, String> {
    let command = calls.first().ok_or("nothing was traced")?.process;
    let mut whole = Whole::of(calls, dir, before);
    let mut disk = Disk::new(dir, before);
    let mut seen = BTreeSet::new();
    let mut survivors = Survivors { moments: 0, sites: BTreeSet::new() };
    for call in calls {
        whole.is_over |= call.process == command && call.name == "exit_group";
        if !disk.run(call) && !whole.is_over {
            continue;
        }
        survivors.moments += 1;
        for image in disk.after_a_cut() {
            // After the end, what was fine before may be too old.
            if whole.is_over || seen.insert(image.clone()) {
                let site = whole.judged(&disk, &image).map_err(|why| format!("{why}, {call:?}"))?;
                survivors.sites.insert(site);
            }
        }
        if whole.is_over {
            break;
        }
    }
    Ok(survivors)
}

/// What may be whole under a name: the earlier content, and what was put there.
struct Whole {
    known: BTreeMap<String, BTreeSet<Vec<u8>>>,
    missing: BTreeSet<String>,
    /// What is there at the end, and must be from then on.
    new: Files,
    is_over: bool,
}

impl Whole {
    fn of(calls: &[Call], dir: &Path, before: &Files) -> Self {
        let mut known: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for (name, bytes) in before {
            known.entry(name.clone()).or_default().insert(bytes.clone());
        }
        let mut missing = BTreeSet::new();
        let mut disk = Disk::new(dir, before);
        for call in calls {
            disk.run(call);
            // Names are whole from the start, and a file only once it gets its own name.
            if call.is(&NAMING) {
                for name in call.paths().iter().filter_map(|path| disk.name(Path::new(path))) {
                    match disk.read(&name) {
                        Some(bytes) => drop(known.entry(name).or_default().insert(bytes.to_vec())),
                        None => drop(missing.insert(name)),
                    }
                }
            }
        }
        let new = known
            .keys()
            .filter(|name| [STATE, BACKUP].contains(&name.as_str()) || is_template(name));
        let new = new.filter_map(|name| Some((name.clone(), disk.read(name)?.to_vec())));
        let new: Files = new.collect();
        for (name, bytes) in &new {
            known.entry(name.clone()).or_default().insert(bytes.clone());
        }
        missing.extend([STATE, BACKUP].map(str::to_owned));
        missing.retain(|name| !before.contains_key(name) || is_template(name));
        Self { known, missing, new, is_over: false }
    }

    /// The files of an image, if each is one of those allowed.
    fn judged(&self, disk: &Disk, image: &Image) -> Result<Files, String> {
        let site = disk.files(image);
        let names = self.known.keys().filter(|name| is_template(name)).map(String::as_str);
        for name in names.chain([STATE, BACKUP]) {
            match site.get(name) {
                Some(bytes) if !self.known.get(name).is_some_and(|all| all.contains(bytes)) => {
                    return Err(format!("`{name}` is neither old nor new"));
                }
                None if !self.missing.contains(name) && self.known.contains_key(name) => {
                    return Err(format!("`{name}` is neither old nor new, but missing"));
                }
                _ => {}
            }
        }
        let lost = self.new.iter().find(|(name, bytes)| site.get(*name) != Some(*bytes));
        if let Some((name, _)) = lost.filter(|_| self.is_over) {
            return Err(format!("`{name}` was acknowledged and may be lost"));
        }
        Ok(site)
    }
}

fn is_template(name: &str) -> bool {
    name.starts_with("templates/") && !is_temporary(&name["templates/".len()..])
}
