//! Where the token of a bypass link goes, behind a cache.

use std::fs;
use std::sync::{Arc, Mutex};

use axum::extract::Request;
use axum::middleware::{Next, from_fn};

use crate::app::{PUBLIC, Server, shop};
use crate::fronts;
use crate::say::figure;
use crate::site::TestSite;
use crate::wire::Client;

const LINKS: usize = 50;

#[test]
fn requirement_46_after_the_link_the_token_is_in_no_url() {
    let site = TestSite::new();
    site.maint(&["on"]);
    let token = site.token();
    let arrived = Arc::new(Mutex::new(Vec::new()));
    let record = arrived.clone();
    let app = shop(site.layer(), PUBLIC).layer(from_fn(move |request: Request, next: Next| {
        record.lock().unwrap().push(request.uri().to_string());
        next.run(request)
    }));
    let server = Server::new(app);
    let Some(front) = fronts::nginx(server.port) else { return };
    let (mut tester, mut public) = (Client::new(front.port), Client::new(front.port));
    let mut given_away = 0;
    for number in 0..LINKS {
        let clean = format!("/link/{number}?a=1&b=2");
        let followed = tester.get(&format!("{clean}&maint_bypass={token}"), &[]);
        assert_eq!((followed.status, followed.header("location")), (303, Some(clean.as_str())));
        assert_eq!(followed.header("referrer-policy"), Some("no-referrer"));
        assert!(!followed.is_kept());
        let cookie = followed.header("set-cookie").unwrap().split(';').next().unwrap();
        assert_eq!(cookie, format!("__Host-maint_bypass={token}"));
        for _ in 0..2 {
            let seen = public.get(&clean, &[]);
            let is_page = seen.status == 503 && seen.is_of_maint();
            given_away += usize::from(!is_page || seen.header("set-cookie").is_some());
        }
        let seen = tester.get(&clean, &[("Cookie", cookie)]);
        assert!(seen.status == 200 && !seen.is_of_maint(), "{seen:?}");
    }
    assert_eq!(given_away, 0, "the public got the answer of a link");

    let holds = |text: &&String| text.contains(&token);
    let arrived = arrived.lock().unwrap();
    let urls = arrived.iter().filter(holds).count();
    assert_eq!((arrived.len(), urls), (4 * LINKS, LINKS), "{arrived:?}");
    let log = |name: &str| fs::read_to_string(front.dir.path().join(name)).unwrap();
    let lines = |name: &str| log(name).lines().filter(|line| line.contains(&token)).count();
    let (usual, paths) = (lines("usual.log"), lines("paths.log"));
    figure(&format!(
        "of {} requests the app's server saw the token in the URL of {urls}, the {LINKS} \
         links; nginx's usual access log has it in {usual} lines, the links again, a log of \
         `$uri` in {paths}",
        arrived.len()
    ));
    assert_eq!((usual, paths), (LINKS, 0), "{}", log("usual.log"));
}
