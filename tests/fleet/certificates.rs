//! Certificates for a test, made by openssl(1).

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::say::skip;

/// Authorities and what they signed, in a directory of their own. Each `NAME` is two files,
/// `NAME.pem` and `NAME.key`.
pub(crate) struct Certificates {
    temp: TempDir,
}

impl Certificates {
    /// Two authorities: `ca` and `other`. `None` and a word about it without openssl.
    pub(crate) fn make() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            skip("openssl is not installed");
            return None;
        }
        let made = Self { temp: tempfile::tempdir().unwrap() };
        for name in ["ca", "other"] {
            made.openssl(&[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "30",
                "-subj",
                &format!("/CN=authority {name}"),
                "-keyout",
                &format!("{name}.key"),
                "-out",
                &format!("{name}.pem"),
            ]);
        }
        Some(made)
    }

    /// Signs a certificate by `ca`: for these names (`DNS:localhost,IP:127.0.0.1`), for so many days
    /// from now, and with this subject.
    #[expect(clippy::disallowed_methods, reason = "the configuration of another program")]
    pub(crate) fn sign(&self, name: &str, subject: &str, names: &str, days: i32) -> &Self {
        self.openssl(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            subject,
            "-keyout",
            &format!("{name}.key"),
            "-out",
            &format!("{name}.csr"),
        ]);
        let extensions = self.temp.path().join(format!("{name}.ext"));
        let text = format!("subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n");
        std::fs::write(&extensions, text).unwrap();
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &format!("{name}.csr"),
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            &days.to_string(),
            "-extfile",
            &format!("{name}.ext"),
            "-out",
            &format!("{name}.pem"),
        ]);
        self
    }

    /// Signs one that was valid in 2020.
    #[expect(clippy::disallowed_methods, reason = "the configuration of another program")]
    pub(crate) fn sign_expired(&self, name: &str, names: &str) -> &Self {
        self.sign(name, "/O=maint", names, 30);
        let text = "[ca]\ndefault_ca=here\n[here]\ndatabase=index\nserial=serial\nnew_certs_dir=.\n\
            default_md=sha256\npolicy=any\n[any]\norganizationName=optional\n";
        std::fs::write(self.temp.path().join("config"), text).unwrap();
        std::fs::write(self.temp.path().join("index"), "").unwrap();
        std::fs::write(self.temp.path().join("serial"), "1000").unwrap();
        self.openssl(&[
            "ca",
            "-batch",
            "-notext",
            "-config",
            "config",
            "-in",
            &format!("{name}.csr"),
            "-cert",
            "ca.pem",
            "-keyfile",
            "ca.key",
            "-startdate",
            "20200101000000Z",
            "-enddate",
            "20210101000000Z",
            "-extfile",
            &format!("{name}.ext"),
            "-out",
            &format!("{name}.pem"),
        ]);
        self
    }

    fn openssl(&self, arguments: &[&str]) {
        let output =
            Command::new("openssl").args(arguments).current_dir(self.temp.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {}: {said}", arguments.join(" "));
    }

    /// A file of these.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// Where they are.
    pub(crate) fn directory(&self) -> &Path {
        self.temp.path()
    }
}
