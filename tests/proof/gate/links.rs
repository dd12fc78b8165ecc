//! Requirement 46: a link with a token leads to the clean path on this host, and the
//! token is never written down.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use maint::gate::Answer;

use crate::bypass::{cookie, parts, with_token};
use crate::env::{MAINT, OPENED, at, get, reply, until};
use crate::say::figure;

#[test]
fn requirement_46_a_token_is_in_no_log_and_no_argument() {
    let (site, gate, token) = with_token();
    let link = get(&format!("/a?{}={token}", maint::internal::request::PARAMETER));
    let answer = gate.current().at(at(OPENED)).answer(&link);
    assert!(
        reply(gate.current().at(at(OPENED)).answer(&link))
            .header("set-cookie")
            .unwrap()
            .contains(&token)
    );
    let mut said =
        format!("{answer:?} {gate:?} {:?}", gate.current().at(at(OPENED)).answer(&cookie(&token)));
    site.replace(&format!("{{ {token} "));
    assert!(matches!(gate.current().at(at(OPENED)).answer(&cookie(&token)), Answer::Pass(_)));
    site.put(2, &parts(&token));
    let _ = gate.revision();

    let mut check = Command::new(MAINT)
        .arg("--site")
        .arg(&site.dir)
        .args(["check", "/", "--token-stdin", "--at", OPENED, "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = check.stdin.take().unwrap();
    stdin.write_all(token.as_bytes()).unwrap();
    let of_process = |file: &str| {
        let path = format!("/proc/{}/{file}", check.id());
        String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
    };
    // The command waits for the rest of the token, which leaves time to look at it.
    until("its arguments", || of_process("cmdline").contains("--token-stdin"));
    said += &of_process("cmdline");
    said += &of_process("environ");
    drop(stdin);
    let done = check.wait_with_output().unwrap();
    assert!(done.status.success(), "it lets through: {done:?}");
    said += &String::from_utf8_lossy(&[done.stdout, done.stderr].concat());
    for entry in fs::read_dir(&site.dir).unwrap() {
        said += &fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
    }
    assert!(said.contains("token-stdin") && said.contains("303"), "nothing was looked at");
    assert!(!said.contains(&token), "{said}");
    // The report of a broken state may name its place, and not quote its text.
    let told = site.told().join("\n");
    assert!(!told.contains(&token), "{told}");
    figure(&format!(
        "the token is 0 times in {} bytes of logs, outputs, arguments, environment and files",
        said.len() + told.len()
    ));
}

/// Paths of links that would send a browser to another host.
const LEADING_AWAY: [&str; 14] = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/./\\evil.example",
    "https://evil.example/",
    "https:evil.example",
    "//evil.example/%2f..",
    "//user@evil.example/a",
    "/%2f/evil.example",
    "/%5cevil.example",
    "javascript:alert(1)",
];

/// Whether a browser leaves the host for this: it drops tabs and line ends, and takes
/// `\` for `/` (<https://url.spec.whatwg.org/#concept-basic-url-parser>).
fn leads_away(place: &str) -> bool {
    let plain: String = place.chars().filter(|c| !matches!(c, '\t' | '\r' | '\n')).collect();
    let slashes = plain.replace('\\', "/");
    slashes.starts_with("//") || !slashes.starts_with('/')
}

#[test]
fn requirement_46_no_link_leads_to_another_host() {
    let (_site, gate, token) = with_token();
    let (mut away, mut naively) = (Vec::new(), 0);
    for path in LEADING_AWAY {
        let link = get(&format!("{path}?{}={token}", maint::internal::request::PARAMETER));
        let reply = reply(gate.current().at(at(OPENED)).answer(&link));
        assert_eq!(reply.status(), 303, "{path:?}");
        let place = reply.header("location").unwrap();
        away.extend(leads_away(&place).then_some(path));
        // A redirect to the path as it came.
        naively += u32::from(leads_away(path));
    }
    assert_eq!(away, [""; 0]);
    assert!(naively >= 10, "these paths cannot show the fault");
    figure(&format!(
        "{0} of {0} links stay on this host; sent on as they came, {naively} would leave it",
        LEADING_AWAY.len()
    ));
}
