//! Whether the bodies in records are those that nginx served: byte for byte up to the cap, and
//! with the whole length beyond it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::capture::{LARGE, SMALL};

/// What each record of one target has to say of its response's body.
struct Expected {
    target: String,
    length: u64,
    captured: u64,
    /// `text` or `base64`, and what stands there.
    key: &'static str,
    value: String,
}

/// Compares every record with the files in `folder` that nginx served; yields how many there are.
///
/// # Errors
/// When a record is of none of the files, or says anything else than its file.
pub(super) fn check(records: &Path, folder: &Path, cap: usize) -> Result<u64> {
    let expected = [
        Expected::text(&fs::read(folder.join(SMALL))?, cap)?,
        Expected::binary(&fs::read(folder.join(LARGE))?, cap)?,
    ];
    let mut count = 0;
    for line in BufReader::new(File::open(records)?).lines() {
        count += 1;
        let record: Value = serde_json::from_str(&line?)?;
        let found = |place: &str| record.pointer(place).cloned().unwrap_or_default();
        let target = found("/request/target");
        let target = target.as_str().unwrap_or_default();
        let file = expected.iter().find(|expected| target.starts_with(&expected.target));
        let file =
            file.with_context(|| format!("record {count} is of another target: {target}"))?;
        file.compare(&found("/response/body")).with_context(|| format!("record {count}"))?;
    }
    Ok(count)
}

impl Expected {
    fn text(bytes: &[u8], cap: usize) -> Result<Self> {
        let prefix = prefix(bytes, cap);
        let value = String::from_utf8(prefix.to_vec())?;
        Ok(Self::new(SMALL, bytes, prefix, "text", value))
    }

    fn binary(bytes: &[u8], cap: usize) -> Result<Self> {
        let prefix = prefix(bytes, cap);
        let value = base64(prefix)?;
        Ok(Self::new(LARGE, bytes, prefix, "base64", value))
    }

    fn new(file: &str, bytes: &[u8], prefix: &[u8], key: &'static str, value: String) -> Self {
        let (length, captured) = (bytes.len() as u64, prefix.len() as u64);
        Self { target: format!("/{file}?"), length, captured, key, value }
    }

    fn compare(&self, body: &Value) -> Result<()> {
        let number = |key: &str| body.get(key).and_then(Value::as_u64);
        ensure!(number("length") == Some(self.length), "length {:?}", number("length"));
        ensure!(number("captured") == Some(self.captured), "captured {:?}", number("captured"));
        ensure!(body.get("complete") == Some(&Value::Bool(true)), "the body is not complete");
        let is_same = body.get(self.key).and_then(Value::as_str) == Some(&self.value);
        ensure!(is_same, "`{}` is not what was served", self.key);
        Ok(())
    }
}

fn prefix(bytes: &[u8], cap: usize) -> &[u8] {
    bytes.get(..cap).unwrap_or(bytes)
}

/// As the program `base64` encodes it.
fn base64(bytes: &[u8]) -> Result<String> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(bytes)?;
    let mut command = Command::new("base64");
    command.arg("--wrap=0").arg(file.path()).stderr(Stdio::inherit());
    let output = command.output().context("starting base64")?;
    ensure!(output.status.success(), "base64 failed");
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(SMALL), "[1,2,3]").unwrap();
        fs::write(folder.path().join(LARGE), b"\xff\xfe\xfd\xfc").unwrap();
        folder
    }

    fn checked(target: &str, body: &Value, cap: usize) -> Result<u64> {
        let folder = folder();
        let records = folder.path().join("records");
        let record = json!({"request": {"target": target}, "response": {"body": body}});
        fs::write(&records, format!("{record}\n"))?;
        check(&records, folder.path(), cap)
    }

    #[test]
    fn what_was_served_passes_and_anything_else_does_not() {
        let whole = json!({"length": 7, "captured": 7, "complete": true, "text": "[1,2,3]"});
        assert_eq!(checked("/small.json?1", &whole, 100).unwrap(), 1);
        let cut = json!({"length": 4, "captured": 3, "complete": true, "base64": "//79"});
        assert_eq!(checked("/large.bin?1", &cut, 3).unwrap(), 1);
        assert!(checked("/large.bin?1", &cut, 4).is_err());
        assert!(checked("/other?1", &whole, 100).is_err());
        for (key, value) in
            [("length", json!(8)), ("complete", json!(false)), ("text", json!("[1,2,4]"))]
        {
            let mut wrong = whole.clone();
            wrong[key] = value;
            assert!(checked("/small.json?1", &wrong, 100).is_err(), "{key}");
        }
    }
}
