//! `magento`: Magento 2 looks for `var/.maintenance.flag` at every request.

use std::path::Path;

use crate::error::{Error, Result};
use crate::flags::definition::{Definition, Drive, Order};
use crate::flags::fact::Fact;
use crate::flags::flag::Kind;
use crate::flags::notice::Notice;
use crate::flags::piece::Piece;

pub(crate) static DEFINITION: Definition = Definition {
    kind: Kind::Magento,
    path: "the root",
    on: "`var/.maintenance.flag`, and `var/.maintenance.ip` before it",
    // Versions before 2.4.7 compare addresses alone.
    carries: &[Fact::Addresses],
    drive: Drive::Files { check, pieces, is_blank: |_| false },
};

fn check(root: &Path) -> Result<()> {
    let is_magento = root.join("bin/magento").is_file() || root.join("app/etc").is_dir();
    let reason = if !is_magento {
        "there is neither `bin/magento` nor `app/etc`"
    } else if !root.join("var").is_dir() {
        "there is no directory `var`"
    } else {
        return Ok(());
    };
    Err(Error::Refused {
        path: root.to_owned(),
        reason: reason.to_owned(),
        hint: Some("name the root of the installation".to_owned()),
    })
}

fn pieces(order: &Order<'_>) -> Result<Vec<Piece>> {
    let var = order.flag.place()?.join("var");
    // Networks do no harm where they are not understood. A space or an empty list would.
    let networks = order.notice.map(Notice::networks).unwrap_or_default();
    let spelled = networks.iter().map(|network| {
        let is_single = network.prefix_len() == network.max_prefix_len();
        if is_single { network.addr().to_string() } else { network.to_string() }
    });
    let list = spelled.collect::<Vec<_>>().join(",");
    let addresses = (!list.is_empty()).then(|| list.into_bytes());
    Ok(vec![
        Piece::there(var.join(".maintenance.ip"), addresses),
        Piece::there(var.join(".maintenance.flag"), order.notice.map(|_| Vec::new())),
    ])
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::flags::flag::Flag;
    use crate::flags::tests::{Host, NOW, allow, mode, write};
    use crate::flags::{Found, Missing};
    use crate::state::WindowSettings;

    fn installed(folder: &Path) -> Flag {
        fs::create_dir_all(folder.join("app/etc")).unwrap();
        fs::create_dir(folder.join("var")).unwrap();
        Flag::new(Kind::Magento).at(folder)
    }

    fn file(host: &Host, name: &str) -> PathBuf {
        host.folder.join("var").join(name)
    }

    #[test]
    fn requirement_76_the_addresses_are_there_before_the_flag() {
        let host = Host::with(installed);
        let (ip, flag) = (file(&host, ".maintenance.ip"), file(&host, ".maintenance.flag"));
        host.on(&WindowSettings::new());
        assert_eq!(fs::read(&flag).unwrap(), b"");
        assert!(!ip.exists(), "an empty list would let the command line through");
        allow(&host, &["203.0.113.7", "10.0.0.0/8", "2001:DB8::7"]);
        assert_eq!(fs::read_to_string(&ip).unwrap(), "10.0.0.0/8,203.0.113.7,2001:db8::7");
        let lacks = host.look().lacks;
        assert_eq!((lacks[0].what, lacks[0].ids.len()), (Missing::Rules, 1), "the network");
        assert_eq!((mode(&ip), mode(&flag)), (0o644, 0o644));
        host.off();
        assert!(!ip.exists() && !flag.exists());
    }

    #[test]
    fn requirement_78_addresses_that_somebody_else_allowed_stay() {
        let host = Host::new();
        let flag = installed(&host.folder);
        let ip = file(&host, ".maintenance.ip");
        write(&ip, "198.51.100.1");
        let refused = host.add("it", flag.clone()).unwrap_err();
        assert!(refused.to_string().contains(".maintenance.ip"), "{refused}");
        fs::remove_file(&ip).unwrap();
        host.add("it", flag).unwrap();
        write(&ip, "198.51.100.1");
        let report = host.on(&WindowSettings::new());
        assert_eq!(report.flags[0].found, Found::SomebodyElses);
        assert!(file(&host, ".maintenance.flag").exists(), "it is down all the same");
        assert_eq!(fs::read(&ip).unwrap(), b"198.51.100.1");
        assert!(!host.sync(NOW).is_in_step());
    }

    #[test]
    fn a_folder_of_something_else_is_refused() {
        let host = Host::new();
        let add = || host.add("it", Flag::new(Kind::Magento).at(&host.folder));
        assert!(add().unwrap_err().to_string().contains("bin/magento"));
        fs::create_dir_all(host.folder.join("app/etc")).unwrap();
        assert!(add().unwrap_err().to_string().contains("`var`"));
        fs::create_dir(host.folder.join("var")).unwrap();
        add().unwrap();
    }
}
