//! Checks of what `ls -l` does not show: access lists and security labels.

use std::path::Path;

use super::finding::Finding;
use super::patient::Patient;
use super::permissions::template_files;
use super::words::{tick, word};
use crate::access::ACCESS_LIST;
use crate::sys;

pub(super) fn access_lists(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    const DEFAULT_LIST: &str = "system.posix_acl_default";
    let Some(files) = &patient.files else {
        return;
    };
    let has = |path: &Path, name| sys::attribute(path, name).is_some();
    let (state, backup) = (files.state.as_path(), files.backup.as_path());
    if state.exists() && has(backup, ACCESS_LIST) && !has(state, ACCESS_LIST) {
        findings.push(
            Finding::warning(
                "access-list-lost",
                format!("{} has an access list that {} lost", tick(backup), tick(state)),
            )
            .fixed_by(format!("`getfacl {} | setfacl --set-file=- {}`", word(backup), word(state)))
            .at(state),
        );
    }
    for path in [state, files.directory()] {
        if has(path, ACCESS_LIST) || has(path, DEFAULT_LIST) {
            findings.push(
                Finding::note(
                    "access-list",
                    format!("{} has an access list, which `ls -l` does not show", tick(path)),
                )
                .fixed_by(format!("to see it: `getfacl {}`", word(path)))
                .at(path),
            );
        }
    }
}

pub(super) fn security_labels(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(files) = &patient.files else {
        return;
    };
    let templates = template_files(patient);
    for path in [&files.state].into_iter().chain(&templates) {
        let Some(directory) = path.parent() else {
            continue;
        };
        if let (Some(own), Some(usual)) = (label_type(path), label_type(directory))
            && own != usual
        {
            findings.push(
                Finding::warning(
                    "selinux-type",
                    format!(
                        "{} has SELinux type `{own}`, not `{usual}` as its directory",
                        tick(path)
                    ),
                )
                .fixed_by(format!(
                    "if the web server cannot read it: `restorecon -v {}`",
                    word(path)
                ))
                .at(path),
            );
        }
    }
}

fn label_type(path: &Path) -> Option<String> {
    type_of_label(&sys::attribute(path, "security.selinux")?)
}

/// The third part of `user:role:type:level`.
fn type_of_label(label: &[u8]) -> Option<String> {
    let label = std::str::from_utf8(label).ok()?.trim_end_matches('\0');
    label.split(':').nth(2).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirement_30_the_type_is_the_third_part_of_a_label() {
        let label = b"system_u:object_r:httpd_sys_content_t:s0\0";
        assert_eq!(type_of_label(label).as_deref(), Some("httpd_sys_content_t"));
        assert_eq!(type_of_label(b"_"), None, "a label of another security module");
    }
}
