//! The configuration of a proxy that asks `maint serve` about each request.

use std::net::SocketAddr;

use maint::Error;

use super::quote::socket;
use super::text::replaced;
use crate::args::Software;

/// What the text of each software says.
pub(super) struct Asked<'a> {
    pub(super) address: &'a str,
    /// The field that tells who is logged in.
    pub(super) user: Option<&'a str>,
    /// The field that tells the user's groups.
    pub(super) groups: Option<&'a str>,
}

enum Place<'a> {
    Unix(&'a str),
    Tcp(SocketAddr),
}

/// The configuration that asks.
pub(super) fn of(software: Software, asked: &Asked<'_>) -> Result<String, Error> {
    let source = source(software)?;
    let place = place(software, asked.address)?;
    let server = match (software, &place) {
        (Software::Caddy, Place::Unix(path)) => format!("unix/{path}"),
        (_, Place::Unix(path)) => format!("unix:{path}"),
        (_, Place::Tcp(address)) => address.to_string(),
    };
    let (kind, path, ip, port, authority) = match place {
        Place::Unix(path) => ("unix", path, String::new(), String::new(), "maint".to_owned()),
        Place::Tcp(at) => ("tcp", "", at.ip().to_string(), at.port().to_string(), at.to_string()),
    };
    let user = field(asked.user)?;
    let groups = field(asked.groups)?;
    let names = [
        ("@ADDRESS@", asked.address.to_owned()),
        ("@SERVER@", server),
        ("@PATH@", path.to_owned()),
        ("@IP@", ip),
        ("@PORT@", port),
        ("@AUTHORITY@", authority),
        ("@LOWER_USER@", user.to_ascii_lowercase()),
        ("@LOWER_GROUPS@", groups.to_ascii_lowercase()),
        ("@USER@", user.to_owned()),
        ("@GROUPS@", groups.to_owned()),
    ];
    let source = source.replace("@ASK@\n", include_str!("endpoint/nginx.ask"));
    let mut text = String::new();
    let mut is_meant = true;
    for line in source.lines() {
        match line.strip_prefix("#?").map(str::trim) {
            Some("") => is_meant = true,
            Some("nobody") => is_meant = user.is_empty(),
            Some("user") => is_meant = !user.is_empty(),
            Some("groups") => is_meant = !groups.is_empty(),
            Some(other) => is_meant = other == kind,
            None if is_meant => text += &(replaced(line, &names) + "\n"),
            None => {}
        }
    }
    Ok(text)
}

fn source(software: Software) -> Result<&'static str, Error> {
    match software {
        Software::Nginx => Ok(include_str!("endpoint/nginx.conf")),
        Software::Caddy => Ok(include_str!("endpoint/Caddyfile")),
        Software::Traefik => Ok(include_str!("endpoint/traefik.yml")),
        Software::Envoy => Ok(include_str!("endpoint/envoy.yml")),
        Software::Haproxy => Ok(include_str!("endpoint/haproxy.cfg")),
        Software::Apache
        | Software::Varnish
        | Software::Lighttpd
        | Software::Systemd
        | Software::Kubernetes => Err(Error::invalid_with(
            format!("{} asks no endpoint", software.name()),
            "nginx, caddy, traefik, envoy and haproxy do; everything else obeys a flag",
        )),
    }
}

fn place(software: Software, text: &str) -> Result<Place<'_>, Error> {
    let Some(path) = text.strip_prefix("unix:") else {
        let address = text.parse().map_err(|_| {
            Error::invalid_with(
                format!("`{text}` is no address of an endpoint"),
                "write it like `unix:/run/maint/serve.sock` or `127.0.0.1:8504`",
            )
        })?;
        return Ok(Place::Tcp(address));
    };
    if matches!(software, Software::Traefik | Software::Haproxy) {
        return Err(Error::invalid_with(
            format!("{} asks no Unix socket", software.name()),
            "let the endpoint listen at `127.0.0.1:8504` as well",
        ));
    }
    socket(software, path).map(Place::Unix)
}

/// The name of a field, which stands in a configuration as it is.
fn field(name: Option<&str>) -> Result<&str, Error> {
    let name = name.unwrap_or_default();
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Ok(name);
    }
    Err(Error::invalid_with(
        format!("`{name}` is no name of a field that each proxy knows"),
        "write it with letters, digits and `-`, like `Remote-User`",
    ))
}
