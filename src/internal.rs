//! What only the command and the Python package of this repository use. It is not
//! part of the public interface and may change in any release.

pub use crate::actor::owner_of;
pub use crate::error::describe;
pub use crate::shell::{base_name, recorded, word};
pub use crate::watch::{LOOK, pause};

pub mod agent {
    pub use crate::agent::Agent;
    pub use crate::store::agent::{Duty, FleetNote, Note, duty};
}

pub mod claim {
    pub use crate::store::claim::{Claim, Standing, standing, sweep};
}

pub mod doctor {
    pub use crate::doctor::{Finding, Level, examine, missing};
}

pub mod history {
    pub use crate::store::history::{PYTHON, Record, Revisions, backwards, read, shortened};
}

#[cfg(feature = "fleet")]
pub mod live {
    pub use crate::live::{
        ACCEPT, Answer, Asker, Outcome, Settings, Target, Unreached, Verdict, Wanted, What, judge,
        needs_second,
    };
}

pub mod load {
    pub use crate::load::read;
}

pub mod page {
    pub use crate::page::language::tags as languages;
    pub use crate::page::pages::{Pages, SiteDefaults, status_of_sending};
    pub use crate::page::render::{MAX_PAGE_SIZE, Templates, builtin, sample_window};
    pub use crate::page::reply::{MARK, REVISION};
}

pub mod request {
    pub use crate::request::client::address;
    pub use crate::request::cookie::{COOKIE, PARAMETER};
    pub use crate::request::field::is_loopback;
    pub use crate::request::host::is_host;
    pub use crate::request::path::PathForms;
    pub use crate::request::url::UrlParts;
}

pub mod rules {
    pub mod method {
        pub use crate::rules::method::{COMMON, parse};
    }

    pub mod network {
        pub use crate::rules::network::{normalised, parse};
    }
}

#[cfg(feature = "serve")]
pub mod serve {
    pub use crate::serve::{
        Access, Address, AgentCheck, Endpoint, Limits, Listener, Server, Users,
    };
}

pub mod state {
    pub use crate::state::bypass::{digest, generate};
    pub use crate::state::language::is_language;
    pub use crate::state::link::check_url;
    pub use crate::state::page::{
        validate_redirect, validate_retry_after, validate_status, validate_template_name,
    };
    pub use crate::state::shadow::behind_proxies;
    pub use crate::state::shown::{next_window, overall, window_object};
    pub use crate::state::window::validate_order;
    pub use crate::state::{by_number, lease_end, read};
}

pub mod template {
    pub use crate::page::template::{MAX_SIZE, Template, digest, find, list, read};
}

pub mod visible {
    pub use crate::visible::{json, visible, visible_lines};
}

pub mod time {
    pub use crate::time::{has_come, now, parse_duration, parse_time, parse_time_after};
    pub use crate::zone::Zone;
}
