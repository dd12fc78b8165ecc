//! `/status`: what `maint status --json` says, without what is nobody else's business.
//!
//! Notes, actors, rules, tokens, addresses and paths of this machine stay here, and so does every
//! field that this version does not know.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::sites::{Served, Sites};
use crate::actor::Actor;
use crate::flags::Standing;
use crate::state::shown::{next_window, overall, window_object};
use crate::state::{Mirror, PageSettings, Window};

impl Sites {
    /// The object of one site, or of each by its name.
    pub(super) fn status(&self, name: Option<&str>) -> Option<Value> {
        let now = Timestamp::now();
        if let Some(served) = self.of(name) {
            return Some(served.status(now));
        }
        if name.is_some() {
            return None;
        }
        let sites: Map<String, Value> =
            self.each().map(|(name, served)| (name.to_owned(), served.status(now))).collect();
        Some(json!({ "sites": sites }))
    }
}

impl Served {
    fn status(&self, now: Timestamp) -> Value {
        let current = self.gate.current();
        let state = current.state();
        let found = self.last_found.look(&self.site, current.revision(), now);
        let windows: Vec<Value> =
            state.windows.iter().map(|(name, window)| public(name, window, now)).collect();
        json!({
            "name": state.name,
            "revision": state.revision,
            "state": overall(state, now),
            "readable": current.is_of_the_file(),
            "windows": windows,
            "next": next_window(state, now).map(|(name, window)| public(name, window, now)),
            "page": shown(&state.page),
            "seq": state.mirror.as_ref().map(|Mirror { sequence, .. }| sequence),
            "agent": found.has_agent,
            "flags": found.flags.as_deref().map(|flags| flags.iter().map(flag).collect::<Vec<_>>()),
        })
    }
}

/// A window as visitors may know it.
fn public(name: &str, window: &Window, now: Timestamp) -> Value {
    let mut window = window.clone();
    window.opened_by = Actor::default();
    window.extra.clear();
    window.scope.extra.clear();
    window.page = shown(&window.page);
    let mut object = window_object(name, &window, now);
    if let Some(object) = object.as_object_mut() {
        // It names the process that holds the window.
        object.remove("run");
        object.remove("opened_by");
    }
    object
}

/// Settings of the page, without the operator's mail address or telephone number.
fn shown(page: &PageSettings) -> PageSettings {
    PageSettings { contact: None, extra: Map::new(), ..page.clone() }
}

fn flag(flag: &Standing) -> Value {
    json!({
        "id": flag.id,
        "kind": flag.kind,
        "wanted": flag.wanted,
        "found": flag.found,
        "in_step": flag.in_step,
    })
}
