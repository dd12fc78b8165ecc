//! Words as a POSIX shell reads them.

/// Quotes a word for a shell, in single quotes where it needs them.
///
/// ```
/// assert_eq!(maint::internal::word("deploy-42"), "deploy-42");
/// assert_eq!(maint::internal::word("it's"), r"'it'\''s'");
/// ```
#[must_use]
pub fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn words_are_quoted_only_where_a_shell_needs_it() {
        for (text, quoted) in [
            ("on", "on"),
            ("/srv/app-1/.maint", "/srv/app-1/.maint"),
            ("Back at noon", "'Back at noon'"),
            ("/static/**", "'/static/**'"),
            ("o'clock; rm", r"'o'\''clock; rm'"),
            ("", "''"),
            ("$HOME", "'$HOME'"),
            ("~", "'~'"),
        ] {
            assert_eq!(word(text), quoted);
        }
    }
}
