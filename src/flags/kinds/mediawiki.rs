//! `mediawiki`: the file of `$wgReadOnlyFile`, which refuses edits while it has content.

use crate::error::Result;
use crate::flags::definition::{Definition, Drive, Order};
use crate::flags::fact::Fact;
use crate::flags::flag::Kind;
use crate::flags::kinds::parent::check_parent;
use crate::flags::piece::Piece;

pub(crate) static DEFINITION: Definition = Definition {
    kind: Kind::Mediawiki,
    path: "the file of `$wgReadOnlyFile`",
    on: "the reason; pages can be read and not edited",
    carries: &[Fact::Reason, Fact::ReadOnly],
    // An empty file is the same to it as none.
    drive: Drive::Files { check: check_parent, pieces, is_blank: <[u8]>::is_empty },
};

/// What stands there without a reason.
const REASON: &str = "The wiki is in maintenance.";

fn pieces(order: &Order<'_>) -> Result<Vec<Piece>> {
    let path = order.flag.place()?.to_owned();
    let bytes = order.notice.map(|notice| {
        let reason = notice.window.reason.as_deref().filter(|reason| !reason.trim().is_empty());
        reason.unwrap_or(REASON).as_bytes().to_vec()
    });
    Ok(vec![Piece::there(path, bytes)])
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;
    use crate::flags::flag::Flag;
    use crate::flags::tests::{Host, mode, write};
    use crate::flags::{Found, Missing};
    use crate::state::{Scope, WindowSettings};

    fn host() -> Host {
        Host::with(|folder| Flag::new(Kind::Mediawiki).at(folder.join("lock")))
    }

    #[test]
    fn requirement_76_a_wiki_is_told_the_reason_and_never_nothing() {
        let host = host();
        let lock = host.folder.join("lock");
        host.on(&WindowSettings::new());
        assert_eq!(fs::read_to_string(&lock).unwrap(), REASON, "an empty file would be off");
        host.on(&WindowSettings::new().reason("Bücher ziehen um"));
        assert_eq!(fs::read_to_string(&lock).unwrap(), "Bücher ziehen um");
        assert_eq!(mode(&lock), 0o644, "what it cannot read does not lock it");
        host.off();
        assert!(!lock.exists());
    }

    #[test]
    fn requirement_81_a_wiki_follows_read_only_windows_and_no_other_part() {
        let host = host();
        let lock = host.folder.join("lock");
        let read_only = Scope::new().read_only(true);
        assert_eq!(host.on(&WindowSettings::new().scope(read_only)).flags[0].lacks, []);
        assert!(lock.exists());
        host.off();
        let part = Scope::new().paths(["/wiki/**"]).unwrap();
        let lacks = host.on(&WindowSettings::new().scope(part)).flags[0].lacks.clone();
        assert_eq!(lacks[0].what, Missing::Scope);
        assert!(!lock.exists());
    }

    #[test]
    fn requirement_78_a_lock_of_somebody_else_stays_and_an_empty_file_is_nobodys() {
        let host = host();
        let lock = host.folder.join("lock");
        write(&lock, "");
        assert!(host.on(&WindowSettings::new()).is_in_step());
        host.off();
        write(&lock, "The database is being moved");
        assert_eq!(host.look().found, Found::SomebodyElses);
        assert!(!host.on(&WindowSettings::new()).is_in_step());
        assert_eq!(fs::read(&lock).unwrap(), b"The database is being moved");
    }
}
