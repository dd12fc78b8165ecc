//! The forms of a request path that patterns look at.

use std::borrow::Cow;
use std::cell::OnceCell;

/// How many readings an ambiguous path may have before it counts as any path.
const MAX_READINGS: usize = 64;

/// An ambiguous path longer than this, in bytes, counts as any path.
const MAX_AMBIGUOUS: usize = 2 * 1024;

/// How many bytes all readings together may have before the path counts as any. The
/// longer a path is, the fewer readings it may have: without these three limits the
/// cost of a hostile path would have no bound.
const MAX_MADE: usize = 16 * 1024;

/// A request path, decoded once, and whether servers could disagree on it.
///
/// A path is **ambiguous** if, as sent, it has a dot segment, `//`, `\`, `;`, `#`,
/// an encoded slash, dot, backslash, semicolon, percent sign or NUL, a broken
/// escape, a control character, or bytes that are not UTF-8 once decoded; or if it
/// does not begin with `/`, as in the absolute form (RFC 9112, 3.2.2).
#[derive(Clone, Debug)]
pub struct PathForms<'r> {
    raw: &'r [u8],
    plain: Cow<'r, [u8]>,
    is_clear: bool,
    /// Made on demand: only an ambiguous path that meets a scope needs them.
    readings: OnceCell<Readings>,
}

/// What servers may take an ambiguous path for.
#[derive(Clone, Debug)]
enum Readings {
    /// One of these.
    Several(Vec<Vec<u8>>),
    /// There are too many to list.
    Any,
}

impl<'r> PathForms<'r> {
    /// Reads a path as it was sent. A `?` and what follows it are ignored.
    #[must_use]
    pub fn new(raw: &'r [u8]) -> Self {
        if is_plain(raw) {
            let plain = Cow::Borrowed(raw);
            return Self { raw, plain, is_clear: true, readings: OnceCell::new() };
        }
        Self::of_any(raw)
    }

    fn of_any(raw: &'r [u8]) -> Self {
        let raw = raw.split(|&byte| byte == b'?').next().unwrap_or_default();
        let raw = if raw.is_empty() { b"/" } else { raw };
        let (plain, has_clear_escapes) = decode(raw);
        let text = std::str::from_utf8(&plain);
        let is_clear = has_clear_escapes
            && plain.starts_with(b"/")
            && !raw.contains(&b'#')
            && text.is_ok_and(|text| !text.contains(|c: char| c.is_control() || "\\;".contains(c)))
            && !plain.windows(2).any(|pair| pair == b"//")
            && !segments(&plain).any(|segment| matches!(segment, b"." | b".."));
        Self { raw, plain: plain.into(), is_clear, readings: OnceCell::new() }
    }

    /// Whether servers could disagree on what the path means.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        !self.is_clear
    }

    /// The decoded path; `None` if it is ambiguous.
    #[must_use]
    pub fn clear(&self) -> Option<&[u8]> {
        self.is_clear.then_some(&*self.plain)
    }

    /// Whether some server may read the path as one that is meant. A path with too
    /// many readings counts as meant, so use it where yes is the safe answer.
    pub fn is_any(&self, is_meant: impl Fn(&[u8]) -> bool) -> bool {
        if self.is_clear {
            return is_meant(&self.plain);
        }
        match self.readings.get_or_init(|| readings(self.raw)) {
            Readings::Several(readings) => readings.iter().any(|reading| is_meant(reading)),
            Readings::Any => true,
        }
    }
}

/// Whether a path is clear at a glance, as most are: every byte stands for itself, no
/// segment begins with a dot, and only the last may be empty.
pub(crate) fn is_plain(path: &[u8]) -> bool {
    // Without an early exit, the compiler checks several bytes in one step.
    let is_odd =
        |byte: u8| !byte.is_ascii_graphic() | matches!(byte, b'%' | b'?' | b'#' | b'\\' | b';');
    let has_odd = path.iter().fold(false, |odd, &byte| odd | is_odd(byte));
    let mut pairs = path.iter().zip(path.get(1..).unwrap_or_default());
    let is_apart = |(&one, &next): (&u8, &u8)| one == b'/' && matches!(next, b'/' | b'.');
    path.starts_with(b"/") && !has_odd && !pairs.any(is_apart)
}

/// Something that a server may do to a path before using it: whether it could change
/// this one, at a glance, and what it makes of it.
type Step = (fn(&[u8]) -> bool, fn(&[u8]) -> Vec<u8>);

const STEPS: [Step; 8] = [
    (|path| path.contains(&b'%'), |path| decode(path).0),
    (|path| path.contains(&b'\\'), with_slashes),
    (|path| path.contains(&b';'), without_parameters),
    (|path| has_pair(path, *b"//"), without_empty_segments),
    (|path| has_pair(path, *b"/."), without_dot_segments),
    (|path| path.contains(&0), |path| before(path, 0)),
    (|path| path.contains(&b'#'), |path| before(path, b'#')),
    (|path| path.ends_with(b"/"), without_final_slash),
];

/// Lists what servers may make of a path: they may take each of the steps above or
/// not, in any order, and more than once.
fn readings(raw: &[u8]) -> Readings {
    // A target that does not begin with `/` is not a path but may contain one, and
    // servers differ in where it begins: `http://a/b`, `http:/b`.
    if raw.len() > MAX_AMBIGUOUS || !raw.starts_with(b"/") {
        return Readings::Any;
    }
    let mut readings = vec![raw.to_vec()];
    let (mut next, mut made) = (0, raw.len());
    while let Some(reading) = readings.get(next).cloned() {
        for (_, step) in STEPS.iter().filter(|(could_change, _)| could_change(&reading)) {
            let other = step(&reading);
            made += other.len();
            if made > MAX_MADE || readings.len() > MAX_READINGS {
                return Readings::Any;
            }
            // Few are known, and most differ in length, which is compared first.
            if !readings.contains(&other) {
                readings.push(other);
            }
        }
        next += 1;
    }
    if readings.len() > MAX_READINGS { Readings::Any } else { Readings::Several(readings) }
}

/// Whether a path has two bytes side by side.
fn has_pair(path: &[u8], pair: [u8; 2]) -> bool {
    path.windows(2).any(|window| window == pair)
}

/// `/a\b` as `/a/b`.
fn with_slashes(path: &[u8]) -> Vec<u8> {
    path.iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect()
}

/// `/a/` as `/a`.
fn without_final_slash(path: &[u8]) -> Vec<u8> {
    path.strip_suffix(b"/").filter(|rest| !rest.is_empty()).unwrap_or(path).to_vec()
}

/// What stands before a byte.
fn before(path: &[u8], end: u8) -> Vec<u8> {
    path.split(|&byte| byte == end).next().unwrap_or_default().to_vec()
}

fn join<'s>(segments: impl IntoIterator<Item = &'s [u8]>) -> Vec<u8> {
    let mut path = Vec::new();
    for segment in segments {
        path.push(b'/');
        path.extend_from_slice(segment);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    path
}

/// `/a;x=1/b` as `/a/b` (RFC 3986, 3.3, leaves the meaning of parameters open).
fn without_parameters(path: &[u8]) -> Vec<u8> {
    join(
        segments(path)
            .map(|segment| segment.split(|&byte| byte == b';').next().unwrap_or_default()),
    )
}

/// `//a///b/` as `/a/b/`.
fn without_empty_segments(path: &[u8]) -> Vec<u8> {
    let mut kept = join(segments(path).filter(|segment| !segment.is_empty()));
    if path.ends_with(b"/") && !kept.ends_with(b"/") {
        kept.push(b'/');
    }
    kept
}

/// `/a/./b/../c` as `/a/c` (RFC 3986, 5.2.4).
fn without_dot_segments(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut ends_open = false;
    for segment in segments(path) {
        ends_open = matches!(segment, b"." | b"..");
        match segment {
            b"." => {}
            b".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    let mut path = join(kept);
    if ends_open && !path.ends_with(b"/") {
        path.push(b'/');
    }
    path
}

/// The segments of a path that begins with `/`.
pub(crate) fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.strip_prefix(b"/").unwrap_or(path).split(|&byte| byte == b'/')
}

/// Decodes percent escapes once (RFC 3986, 2.1). The flag is `false` if one of them is
/// broken, or stands for a character that changes how the rest is read.
fn decode(raw: &[u8]) -> (Vec<u8>, bool) {
    let mut plain = Vec::with_capacity(raw.len());
    let mut is_clear = true;
    let mut rest = raw;
    while let Some((&byte, tail)) = rest.split_first() {
        let decoded = (byte == b'%').then(|| tail.get(..2).and_then(hexadecimal)).flatten();
        if let Some(decoded) = decoded {
            is_clear &= !matches!(decoded, b'/' | b'.' | b'\\' | b';' | b'%' | 0);
            plain.push(decoded);
            rest = &tail[2..];
        } else {
            is_clear &= byte != b'%';
            plain.push(byte);
            rest = tail;
        }
    }
    (plain, is_clear)
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let value = |digit: u8| char::from(digit).to_digit(16);
    let number = value(digits[0])? * 16 + value(digits[1])?;
    u8::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a path is ambiguous, and could be taken for another.
    fn could_be(raw: &str, other: &str) -> bool {
        let forms = PathForms::new(raw.as_bytes());
        forms.is_ambiguous() && forms.is_any(|form| form == other.as_bytes())
    }

    #[test]
    fn requirement_41_clear_paths_are_decoded_once() {
        for (raw, clear) in [
            ("/", "/"),
            ("", "/"),
            ("/health", "/health"),
            ("/health/", "/health/"),
            ("/%61dmin", "/admin"),
            ("/a%20b", "/a b"),
            ("/caf%C3%A9", "/caf\u{e9}"),
            ("/a?b=/c", "/a"),
            ("/...", "/..."),
            ("/a.b", "/a.b"),
        ] {
            let forms = PathForms::new(raw.as_bytes());
            assert_eq!(forms.clear(), Some(clear.as_bytes()), "{raw}");
        }
    }

    #[test]
    fn requirement_41_shapes_that_servers_read_differently_are_ambiguous() {
        for (raw, other) in [
            ("/a/../b", "/b"),
            ("/a/./b", "/a/b"),
            ("/a/..", "/"),
            ("/a/.", "/a/"),
            ("//a", "/a"),
            ("/a//b", "/a/b"),
            ("/a/;x/b", "/a/b"),
            ("/a;x=1/b", "/a/b"),
            ("/a/..;/b", "/b"),
            ("/a\\b", "/a/b"),
            ("/a%2fb", "/a/b"),
            ("/a%2Fb", "/a/b"),
            ("/a%5cb", "/a/b"),
            ("/%2e%2e/b", "/b"),
            ("/a/%2e%2e/b", "/b"),
            ("/a%252fb", "/a/b"),
            ("/a%25%32%66b", "/a/b"),
            ("/a%00.html", "/a"),
            ("/a%3bx", "/a"),
            ("/a#", "/a"),
            ("/a#.css", "/a"),
            ("/a/../b#/c", "/b"),
            ("http://example.com/a", "/a"),
            ("http:/a", "/a"),
            ("/a%0ab", "/a\nb"),
            ("/a\tb", "/a\tb"),
            ("/a%", "/a%"),
            ("/a%zz", "/a%zz"),
            ("/a%2", "/a%2"),
            ("a", "/a"),
            ("*", "/*"),
        ] {
            assert!(could_be(raw, other), "{raw} as {other}");
        }
        assert!(PathForms::new(b"/a%ff").is_ambiguous(), "not UTF-8");
        assert!(PathForms::new(b"/a%c0%afb").is_ambiguous(), "an overlong slash");
    }

    #[test]
    fn requirement_41_no_stage_at_which_a_server_may_stop_is_left_out() {
        for raw in [
            "/x/../admin/%252e%252e/y",
            "/x/../admin/..;/y",
            "/x/../admin/..\\y",
            "/x/../admin/%2e%2e%5cy",
            "/x/../admin//../y",
            "//admin/..;/y",
            "//admin/%252e%252e/y",
            "/x%00/../admin/y",
            "/admin%00x",
            "/admin;a/y",
            "/%2561dmin/y",
        ] {
            let forms = PathForms::new(raw.as_bytes());
            let is_admin = |form: &[u8]| form == b"/admin" || form.starts_with(b"/admin/");
            assert!(forms.is_ambiguous() && forms.is_any(is_admin), "{raw}");
        }
    }

    #[test]
    fn an_ambiguous_path_elsewhere_stays_elsewhere() {
        for raw in ["/api/group%2Fproject", "/about//team", "/app;jsessionid=1/x", "/a%20b%25"] {
            let forms = PathForms::new(raw.as_bytes());
            assert!(forms.is_ambiguous(), "{raw}");
            assert!(!forms.is_any(|form| form.starts_with(b"/shop")), "{raw}");
        }
    }

    #[test]
    fn requirement_41_a_path_that_cannot_be_thought_through_counts_as_any() {
        let deep = format!("/x%{}2fadmin", "25".repeat(200));
        let long = format!("/x//{}", "a".repeat(MAX_AMBIGUOUS));
        let wild = "/a;b/..\\%2e%2e//./%252f;c".repeat(20);
        for raw in [deep, long, wild] {
            assert!(
                PathForms::new(raw.as_bytes()).is_any(|form| form == b"/no-such-form"),
                "{raw:.60}"
            );
        }
    }

    /// Paths of all lengths that have as many readings as they can.
    fn hostile() -> Vec<String> {
        let parts = ["/a;b/..\\%2e%2e//./%252f;c", "/%252e%252e", "/a;x//..;/%5c", "//", "/%00#;"];
        let ends = ["", ";", "/", "%2f", "#"];
        let lengths = [64, 200, 400, 800, 1_000, 1_600, 2_000, MAX_AMBIGUOUS];
        let of_length = |part: &str, end: &str, length: usize| {
            let few = format!("/{}{part}{end}", "x".repeat(length - part.len() - end.len() - 1));
            let many = part.repeat(length / part.len());
            [few, many]
        };
        let mut paths = Vec::new();
        for (part, end) in parts.iter().flat_map(|part| ends.map(|end| (part, end))) {
            paths.extend(lengths.into_iter().flat_map(|length| of_length(part, end, length)));
        }
        paths
    }

    #[test]
    fn requirement_41_the_work_for_a_hostile_path_is_bounded_whatever_its_length() {
        let mut most = 0;
        for path in hostile() {
            if let Readings::Several(readings) = readings(path.as_bytes()) {
                let bytes = readings.iter().map(Vec::len).sum::<usize>();
                assert!(bytes <= MAX_MADE && readings.len() <= MAX_READINGS, "{path:.60}");
                most = most.max(bytes);
            }
        }
        assert!(most > MAX_MADE / 4, "{most}: no path comes near the limit");
    }

    #[test]
    fn requirement_41_long_paths_with_one_oddity_are_thought_through() {
        let tail = "/a-segment-of-a-long-path".repeat(60);
        for head in ["/about/", "/x/../about", "/about;jsessionid=1", "/%61bout%2f"] {
            let path = format!("{head}{tail}");
            let forms = PathForms::new(path.as_bytes());
            assert!(forms.is_ambiguous() && path.len() > 1_500, "{head}");
            assert!(!forms.is_any(|form| form.starts_with(b"/shop")), "{head}");
        }
    }

    proptest::proptest! {
        #[test]
        fn requirement_41_no_step_leads_out_of_the_readings(
            raw in r"/([a-b%./;#\\\x00]|%2e|%2f|%5c|%25|%00|%3b|//|/\.\./){0,8}",
        ) {
            if let Readings::Several(all) = readings(raw.as_bytes()) {
                for (reading, (could_change, step)) in
                    all.iter().flat_map(|reading| STEPS.map(|step| (reading, step)))
                {
                    let other = step(reading);
                    proptest::prop_assert!(all.contains(&other), "{reading:?} to {other:?}");
                    proptest::prop_assert!(could_change(reading) || other == *reading);
                }
            }
        }

        #[test]
        fn requirement_41_a_glance_sees_what_a_closer_look_does(raw in "/?[ -~/./a]{0,12}") {
            let (glance, look) = (PathForms::new(raw.as_bytes()), PathForms::of_any(raw.as_bytes()));
            proptest::prop_assert_eq!(glance.clear(), look.clear());
        }

        #[test]
        fn requirement_41_a_clear_path_has_no_other_reading(raw in "(/[a-z.%0-9;\\\\]{0,5}){1,5}") {
            let forms = PathForms::new(raw.as_bytes());
            if let Some(clear) = forms.clear() {
                proptest::prop_assert_eq!(without_dot_segments(clear), clear.to_vec());
                proptest::prop_assert_eq!(without_parameters(clear), clear.to_vec());
                proptest::prop_assert_eq!(without_empty_segments(clear), clear.to_vec());
                proptest::prop_assert_eq!(decode(clear).0, clear.to_vec());
            }
        }
    }
}
