use maint::gate::Pass;

/// What stands at the top of a page while maintenance is to come. `languages`: what the visitor
/// reads, as `Accept-Language` says it.
pub(crate) fn banner(pass: &Pass, languages: &str) -> String {
    let Some(next) = &pass.next else { return String::new() };
    let time = |time: jiff::Timestamp| {
        format!("<time datetime=\"{time}\">{}</time>", time.strftime("%Y-%m-%d %H:%M UTC"))
    };
    let from = time(next.start);
    let until = next.end.map_or_else(String::new, |end| format!(" to {}", time(end)));
    let what = if next.is_read_only() {
        "You can look around, but not order"
    } else {
        "The shop is closed"
    };
    // It is text and not markup.
    let reason = next.reason_in(languages).unwrap_or_default();
    let reason = reason.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        r#"<aside class="maintenance"><p>{what} from {from}{until}. {reason}</p></aside>{SCRIPT}"#
    )
}

/// In each visitor's own zone and language. Without the script the times stay in UTC.
const SCRIPT: &str = r#"<script>
  for (const time of document.querySelectorAll(".maintenance time")) {
    const format = { weekday: "long", day: "numeric", month: "long", hour: "numeric", minute: "2-digit" };
    time.textContent = new Date(time.dateTime).toLocaleString([], format);
  }
</script>"#;
