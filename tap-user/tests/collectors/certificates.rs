//! Certificates made with openssl.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The name that collectors' certificates are for.
pub(crate) const NAME: &str = "collector.test";

/// An authority, and what it signed.
#[derive(Debug)]
pub(crate) struct Authority {
    folder: PathBuf,
    name: String,
}

impl Authority {
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let authority = Self { folder: folder.to_owned(), name: name.to_owned() };
        authority.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
             -subj /CN={name} -addext keyUsage=critical,keyCertSign \
             -keyout {name}.key -out {name}.pem"
        ));
        authority
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.pem", self.name))
    }

    /// Signs a certificate; yields its file and that of its key.
    pub(crate) fn sign(&self, name: &str, host: &str, days: i32) -> (PathBuf, PathBuf) {
        let authority = &self.name;
        let extensions = format!("subjectAltName=DNS:{host}\nbasicConstraints=CA:FALSE\n");
        fs::write(self.folder.join(format!("{name}.ext")), extensions).unwrap();
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={host} \
             -keyout {name}.key -out {name}.csr"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key \
             -CAcreateserial -days {days} -extfile {name}.ext -out {name}.pem"
        ));
        let file = |ending: &str| self.folder.join(format!("{name}.{ending}"));
        (file("pem"), file("key"))
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new(super::openssl::PROGRAM)
            .args(arguments.split_whitespace())
            .current_dir(&self.folder)
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {words}");
    }
}
