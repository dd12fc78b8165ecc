//! With which status a request is answered.

use std::sync::Arc;

use jiff::Timestamp;
use maint::State;
use maint::gate::Decision;
use maint::internal::page::{Pages, SiteDefaults, Templates};
use maint::request::RequestParts;

/// The status of the answer; `None` if the app answers.
pub(super) fn status(
    state: &State,
    decision: Decision<'_>,
    request: &RequestParts,
    now: Timestamp,
) -> Option<u16> {
    let Decision::Blocked(Some(name)) = decision else { return None };
    // No template changes the status, so none is read.
    let templates = Arc::new(Templates::empty());
    let site = SiteDefaults::new(None, &state.page, &templates);
    let pages = Pages::new(name, state.windows.get(&**name)?, &site, &mut Vec::new());
    Some(pages.reply(request, now).status())
}
