//! A link with a bypass token: `https://example.com/?maint_bypass=maint_…`.
//!
//! The answer sends the visitor on to the same place without the token, so that
//! it ends up neither in the browser's history nor in a `Referer`. A cookie
//! carries the token from then on.

use jiff::Timestamp;

use super::plan::Plan;
use crate::page::Reply;
use crate::request::Request;
use crate::request::cookie::{COOKIE, HOST_COOKIE, PARAMETER};
use crate::request::field::is_loopback;
use crate::request::place::{parameters, place};

/// The answer to a request by a link with a valid token.
pub(super) fn follow(plan: &Plan, request: &impl Request, now: Timestamp) -> Option<Reply> {
    if !plan.has_tokens() {
        return None;
    }
    let query = request.query()?;
    if !matches!(request.method(), "GET" | "HEAD") {
        return None;
    }
    let mut tokens = parameters(query).filter_map(token_of);
    let (token, expires_at) = tokens
        .find_map(|token| plan.token(token, now).map(|(_, expires_at)| (token, expires_at)))?;
    let kept = parameters(query).filter(|parameter| token_of(parameter).is_none());
    let place = place(request.path(), kept);
    Some(Reply::see_other(place, cookie(request, token, expires_at, now)))
}

fn token_of(parameter: &[u8]) -> Option<&str> {
    let value = parameter.strip_prefix(PARAMETER.as_bytes())?.strip_prefix(b"=")?;
    str::from_utf8(value).ok()
}

fn cookie(
    request: &impl Request,
    token: &str,
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> String {
    // If unknown, assume encryption: the token must not travel in the clear. On a
    // loopback address only some browsers accept `Secure`.
    let is_secure = request.is_https().unwrap_or_else(|| !request.host().is_some_and(is_loopback));
    let (name, secure) = if is_secure { (HOST_COOKIE, "; Secure") } else { (COOKIE, "") };
    let age = expires_at.map_or_else(String::new, |end| {
        format!("; Max-Age={}", end.duration_since(now).as_secs().max(1))
    });
    format!("{name}={token}; Path=/; HttpOnly; SameSite=Lax{secure}{age}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::request::RequestParts;
    use crate::state::bypass;

    const TOKEN: &str = "maint_0123456789abcdef0123456789abcdef01234567";

    fn plan() -> Plan {
        let state = json!({
            "version": 1, "revision": 1,
            "bypass": {
                "b1": {"sha256": bypass::digest(TOKEN), "expires_at": "2026-11-22T04:00:00Z"},
            },
        });
        Plan::new(&serde_json::from_value(state).unwrap()).unwrap()
    }

    fn followed(request: &RequestParts) -> Option<Reply> {
        follow(&plan(), request, "2026-11-22T03:00:00Z".parse().unwrap())
    }

    fn get(target: &str) -> RequestParts {
        RequestParts { host: Some("example.com".to_owned()), ..RequestParts::new("GET", target) }
    }

    #[test]
    fn requirement_46_a_link_leads_to_the_clean_path_with_a_cookie() {
        let reply = followed(&get(&format!("/shop/7?a=1&{PARAMETER}={TOKEN}&b=2"))).unwrap();
        assert_eq!(reply.status(), 303);
        let header = |name: &str| reply.header(name).unwrap();
        assert_eq!(header("location"), "/shop/7?a=1&b=2");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(
            header("set-cookie"),
            format!(
                "__Host-maint_bypass={TOKEN}; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=3600"
            )
        );
        let reply = followed(&get(&format!("/?{PARAMETER}={TOKEN}"))).unwrap();
        assert_eq!(reply.header("location").unwrap(), "/");
        assert_eq!(reply.header("retry-after"), None);
    }

    #[test]
    fn requirement_46_no_link_leads_to_another_host() {
        for path in [
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/%2f/evil.example",
            "/%5cevil.example",
            "https://evil.example/",
            "evil.example",
            "/;//evil.example",
            "/.//evil.example",
            "/x/..//evil.example",
            "/\t/evil.example",
            "/a\r\nSet-Cookie: x=1",
            "",
        ] {
            let reply = followed(&get(&format!("{path}?{PARAMETER}={TOKEN}"))).unwrap();
            assert_eq!(reply.header("location").unwrap(), "/", "{path:?}");
        }
        let reply = followed(&get(&format!("/a?x=\r\ny&{PARAMETER}={TOKEN}"))).unwrap();
        assert_eq!(reply.header("location").unwrap(), "/a");
    }

    #[test]
    fn requirement_47_only_a_good_token_in_a_get_is_followed() {
        let link = format!("/?{PARAMETER}={TOKEN}");
        assert!(followed(&get(&link)).is_some());
        assert!(followed(&RequestParts { method: "POST".to_owned(), ..get(&link) }).is_none());
        for target in ["/", "/?", "/?maint_bypass", "/?maint_bypass=", "/?maint_bypass=maint_0"] {
            assert!(followed(&get(target)).is_none(), "{target}");
        }
        let late = "2026-11-22T04:00:00Z".parse().unwrap();
        assert!(follow(&plan(), &get(&link), late).is_none(), "expired");
    }

    #[test]
    fn requirement_44_the_cookie_is_for_encrypted_connections_unless_there_is_none() {
        let link = format!("/?{PARAMETER}={TOKEN}");
        let cookie = |host: &str, is_https| {
            let request = RequestParts { host: Some(host.to_owned()), is_https, ..get(&link) };
            followed(&request).unwrap().header("set-cookie").unwrap()
        };
        for (host, is_https, is_secure) in [
            ("example.com", None, true),
            ("example.com", Some(true), true),
            ("example.com", Some(false), false),
            ("localhost:8000", None, false),
            ("127.0.0.1", None, false),
            ("[::1]:8000", None, false),
            ("localhost:8000", Some(true), true),
            ("localhost.evil.example", None, true),
        ] {
            let cookie = cookie(host, is_https);
            assert_eq!(cookie.contains("; Secure"), is_secure, "{host} {is_https:?}");
            assert_eq!(cookie.starts_with("__Host-"), is_secure, "{host} {is_https:?}");
        }
    }
}
