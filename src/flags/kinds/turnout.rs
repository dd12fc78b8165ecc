//! `turnout`: the middleware of that name for Rack and Rails, by `tmp/maintenance.yml`.
//!
//! A file that it cannot read gives 500 for all, so everything in it is ASCII, and what Ruby may
//! understand in another way is left out.

use std::path::Path;

use crate::error::{Error, Result};
use crate::flags::definition::{Definition, Drive, Order};
use crate::flags::fact::Fact;
use crate::flags::flag::Kind;
use crate::flags::kinds::ruby;
use crate::flags::notice::Notice;
use crate::flags::piece::Piece;

pub(crate) static DEFINITION: Definition = Definition {
    kind: Kind::Turnout,
    path: "the root of the app",
    on: "`tmp/maintenance.yml`",
    carries: &[Fact::Reason, Fact::Paths, Fact::Networks, Fact::Status, Fact::RetryAfter],
    drive: Drive::Files { check, pieces, is_blank: |_| false },
};

fn check(root: &Path) -> Result<()> {
    let reason = if !root.join("config.ru").is_file() && !root.join("Gemfile").is_file() {
        "there is neither `config.ru` nor `Gemfile`"
    } else if !root.join("tmp").is_dir() {
        "there is no directory `tmp`"
    } else {
        return Ok(());
    };
    Err(Error::Refused {
        path: root.to_owned(),
        reason: reason.to_owned(),
        hint: Some("name the directory that the app is started in".to_owned()),
    })
}

fn pieces(order: &Order<'_>) -> Result<Vec<Piece>> {
    let path = order.flag.place()?.join("tmp/maintenance.yml");
    Ok(vec![Piece::there(path, order.notice.map(|notice| yaml(notice).into_bytes()))])
}

fn yaml(notice: &Notice<'_>) -> String {
    let mut text = String::new();
    if let Some(reason) = &notice.window.reason {
        text.push_str(&format!("reason: {}\n", quoted(&html(reason))));
    }
    let paths = notice.paths().iter().filter_map(ruby::path_regex).collect();
    let networks = notice.networks().iter().map(ToString::to_string).collect();
    for (name, entries) in [("allowed_paths", paths), ("allowed_ips", networks)] {
        push_list(&mut text, name, entries);
    }
    text.push_str(&format!("response_code: {}\n", notice.status()));
    text.push_str(&format!("retry_after: {}\n", notice.retry_after_seconds()));
    text
}

/// Also if it is empty: the app may have a default.
fn push_list(text: &mut String, name: &str, entries: Vec<String>) {
    text.push_str(name);
    text.push_str(if entries.is_empty() { ": []" } else { ":" });
    for entry in entries {
        text.push_str(&format!("\n  - {}", quoted(&entry)));
    }
    text.push('\n');
}

/// A text for a page of HTML, where turnout puts it as it is, each line in a paragraph. Ruby's
/// `gsub`, which it does that with, would obey a backslash.
fn html(text: &str) -> String {
    let mut page = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '<' | '>' | '&' | '"' | '\'' | '\\' | '{' | '}')
            || c.is_control() && c != '\n'
        {
            page.push_str(&format!("&#{};", u32::from(c)));
        } else {
            page.push(c);
        }
    }
    page
}

/// A double-quoted scalar of YAML (1.1, 5.6), in ASCII.
fn quoted(text: &str) -> String {
    let mut scalar = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => scalar.extend(['\\', c]),
            ' '..='~' => scalar.push(c),
            _ => scalar.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    scalar.push('"');
    scalar
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;
    use crate::flags::flag::Flag;
    use crate::flags::tests::{Host, NOW, allow, allow_paths, mode, write};
    use crate::flags::{Found, Missing};
    use crate::state::{PageSettings, WindowSettings};

    fn app(folder: &Path) -> Flag {
        write(&folder.join("Gemfile"), "");
        fs::create_dir(folder.join("tmp")).unwrap();
        Flag::new(Kind::Turnout).at(folder)
    }

    #[test]
    fn requirement_76_turnout_is_told_in_yaml_of_plain_ascii() {
        let host = Host::with(app);
        let file = host.folder.join("tmp/maintenance.yml");
        host.on(&WindowSettings::new());
        assert_eq!(
            fs::read_to_string(&file).unwrap(),
            "allowed_paths: []\nallowed_ips: []\nresponse_code: 503\nretry_after: 120\n"
        );
        allow(&host, &["10.0.0.0/8", "2001:db8::7"]);
        allow_paths(&host, &["/static/**", "re:/(?P<x>a)"]);
        let page = PageSettings { status: Some(429), ..PageSettings::default() };
        let report = host.on(&WindowSettings::new().reason("<b>Ü \\1\n\"{{x}}\"</b>").page(page));
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.is_ascii(), "{text}");
        assert!(
            text.starts_with(
                "reason: \"&#60;b&#62;\\U000000DC &#92;1\\U0000000A&#34;&#123;&#123;x&#125;&#125;&#34;\
                 &#60;/b&#62;\"\nallowed_paths:\n  - \"\\\\A(?!"
            ),
            "{text}"
        );
        assert!(
            text.ends_with(
                "\nallowed_ips:\n  - \"10.0.0.0/8\"\n  - \"2001:db8::7/128\"\n\
                 response_code: 429\nretry_after: 120\n"
            ),
            "{text}"
        );
        let lacks = &report.flags[0].lacks;
        assert_eq!((lacks.len(), lacks[0].what), (1, Missing::Rules), "{lacks:?}");
        assert_eq!(lacks[0].ids.len(), 1, "the expression that Ruby has no word for");
        assert_eq!(mode(&file), 0o644);
        host.off();
        assert!(!file.exists());
    }

    #[test]
    fn requirement_78_a_file_of_turnouts_own_task_stays() {
        let host = Host::with(app);
        let file = host.folder.join("tmp/maintenance.yml");
        write(&file, "---\nreason: mine\n");
        for report in [host.on(&WindowSettings::new()), host.off(), host.sync(NOW)] {
            assert_eq!(report.flags[0].found, Found::SomebodyElses);
        }
        assert_eq!(fs::read(&file).unwrap(), b"---\nreason: mine\n");
    }

    #[test]
    fn a_folder_of_something_else_is_refused() {
        let host = Host::new();
        let add = || host.add("it", Flag::new(Kind::Turnout).at(&host.folder));
        assert!(add().unwrap_err().to_string().contains("config.ru"));
        write(&host.folder.join("config.ru"), "");
        assert!(add().unwrap_err().to_string().contains("`tmp`"));
        fs::create_dir(host.folder.join("tmp")).unwrap();
        add().unwrap();
    }
}
