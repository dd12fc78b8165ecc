//! Caches never keep the page of a window, however eager they are.

use crate::app::{PUBLIC, Server, shop, without_our_headers};
use crate::fronts::{self, Front};
use crate::say::figure;
use crate::site::TestSite;
use crate::wire::Client;

const REQUESTS: usize = 1_000;

/// The requests: each of half as many paths twice, by different visitors.
fn targets(kind: &str) -> impl Iterator<Item = (String, [(&'static str, &'static str); 1])> {
    const ACCEPTED: [&str; 3] = ["text/html", "application/json", "text/plain"];
    (0..REQUESTS).map(move |number| {
        let path = format!("/{kind}/{}", number % (REQUESTS / 2));
        (path, [("Accept", ACCEPTED[number % 3])])
    })
}

/// How many answers are maint's, and how many come from the cache.
fn count(front: &Front, kind: &str) -> (usize, usize) {
    let mut client = Client::new(front.port);
    let (mut of_maint, mut kept) = (0, 0);
    for (number, (target, fields)) in targets(kind).enumerate() {
        let method = if number % 10 == 9 { "HEAD" } else { "GET" };
        let answer = client.ask(method, &target, &fields);
        of_maint += usize::from(answer.is_of_maint());
        kept += usize::from(answer.is_kept());
    }
    (of_maint, kept)
}

/// Each way to answer with a page: its name, and the command for it.
const PAGES: [(&str, &[&str]); 3] = [
    ("status-503", &["on"]),
    ("status-200", &["on", "--status", "200"]),
    ("redirect", &["on", "--redirect", "https://status.example/"]),
];

#[test]
fn requirement_49_no_cache_keeps_the_page() {
    let site = TestSite::new();
    let server = Server::new(shop(site.layer(), PUBLIC));
    for front in fronts::all(server.port) {
        for (kind, on) in PAGES {
            site.maint(on);
            let (of_maint, kept) = count(&front, kind);
            assert_eq!((of_maint, kept), (REQUESTS, 0), "{} {kind}, while down", front.name);
            assert_eq!(files(&front), 0, "{} {kind}: files in the cache", front.name);
            site.maint(&["off"]);
            let (of_maint, kept_up) = count(&front, kind);
            assert_eq!(of_maint, 0, "{} {kind}: pages after `off`", front.name);
            assert!(kept_up >= REQUESTS / 4, "{} {kind}: only {kept_up} were kept", front.name);
            clear(&front);
            figure(&format!(
                "{}, {kind}: {kept} of {REQUESTS} pages kept while down; after `off` \
                 {of_maint} pages in {REQUESTS} requests, {kept_up} answered by the cache",
                front.name
            ));
        }
    }
}

#[test]
fn requirement_57_a_page_that_does_not_say_no_store_is_found_in_the_caches() {
    let site = TestSite::new();
    let server = Server::new(without_our_headers(shop(site.layer(), PUBLIC), &[]));
    for front in fronts::all(server.port) {
        // Varnish by default keeps neither a 503 nor a 302.
        let pages = if front.name == "nginx" { &PAGES[..] } else { &PAGES[1..2] };
        for (kind, on) in pages {
            site.maint(on);
            let (_, kept) = count(&front, kind);
            site.maint(&["off"]);
            let (of_maint, _) = count(&front, kind);
            figure(&format!(
                "{}, {kind}, control without our header fields: {of_maint} pages in \
                 {REQUESTS} requests after `off`",
                front.name
            ));
            assert!(kept > 0 && of_maint > 0, "{} {kind}: nothing was kept", front.name);
        }
    }
}

/// The number of answers on nginx's disk.
fn files(front: &Front) -> usize {
    let Ok(folders) = std::fs::read_dir(front.dir.path().join("cache")) else { return 0 };
    let number = |folder: std::fs::DirEntry| std::fs::read_dir(folder.path()).unwrap().count();
    folders.map(|folder| number(folder.unwrap())).sum()
}

/// Removes the pages of the app from nginx's disk, so that those of maint would show.
fn clear(front: &Front) {
    if let Ok(folders) = std::fs::read_dir(front.dir.path().join("cache")) {
        for folder in folders {
            std::fs::remove_dir_all(folder.unwrap().path()).unwrap();
        }
    }
}
