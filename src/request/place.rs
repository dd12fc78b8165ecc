//! Where a visitor is sent to: always a path on the same host.

use super::path::PathForms;

/// The parameters of a query, as they were sent.
pub(crate) fn parameters(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    query.split(|&byte| byte == b'&')
}

/// A path with the parameters of a query that are to stay. What could lead a browser to
/// another host becomes `/`, and what is not printable ASCII is left out.
pub(crate) fn place<'q>(path: &[u8], kept: impl IntoIterator<Item = &'q [u8]>) -> String {
    let is_plain = |text: &[u8]| text.iter().all(u8::is_ascii_graphic);
    // `//evil.example` and the like are ambiguous, and lead a browser elsewhere.
    let is_safe = path.starts_with(b"/") && is_plain(path) && !PathForms::new(path).is_ambiguous();
    let mut place =
        if is_safe { String::from_utf8_lossy(path).into_owned() } else { "/".to_owned() };
    let kept = kept.into_iter().filter(|parameter| !parameter.is_empty() && is_plain(parameter));
    for (number, parameter) in kept.enumerate() {
        place.push(if number == 0 { '?' } else { '&' });
        place.push_str(&String::from_utf8_lossy(parameter));
    }
    place
}
