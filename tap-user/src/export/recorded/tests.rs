use super::*;
use crate::export::Format;

const EXAMPLE: &str = include_str!("../../../tests/golden/native.json");

/// The golden record with one member replaced, on one line.
fn with(pointer: &str, value: serde_json::Value) -> Vec<u8> {
    let mut record: serde_json::Value = serde_json::from_str(EXAMPLE).unwrap();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    record.pointer_mut(parent).unwrap()[key] = value;
    serde_json::to_vec(&record).unwrap()
}

fn reason(line: &[u8]) -> String {
    read_record(line).unwrap_err().to_string()
}

#[test]
fn what_is_no_native_record_is_refused_with_the_reason() {
    assert_eq!(reason(b"{\"id\":"), "column 6: EOF while parsing a value");
    assert_eq!(reason(b"GET / HTTP/1.1"), "column 1: expected value");
    for other in [include_str!("../../../tests/golden/kong.json"), "{}", "[]", "1"] {
        assert!(reason(other.as_bytes()).starts_with("no native record:"), "{other}");
    }
    assert!(reason(&with("/newer", 1.into())).contains("unknown field `newer`"));
    assert!(reason(&with("/outcome", "lucky".into())).contains("unknown variant `lucky`"));
    assert_eq!(reason(&with("/outcome", "closed".into())), "`closed_by` is missing");
    assert_eq!(reason(&with("/outcome", "lost".into())), "`lost_cause` is missing");
    assert_eq!(reason(&with("/outcome", "abandoned".into())), "`abandoned_cause` is missing");
    let anomalies = serde_json::json!(["bad_luck"]);
    assert!(reason(&with("/request/anomalies", anomalies)).contains("`bad_luck` is unknown"));
    assert!(reason(&with("/time_of_day", 1.into())).contains("unknown field"));
    let late = with("/request/first_byte", "2600-01-01T00:00:00Z".into());
    assert!(reason(&late).contains("not between 1970 and 2554"), "{}", reason(&late));
}

#[test]
fn a_body_that_is_not_as_long_as_it_says_is_refused() {
    let shorter = with("/request/body/captured", 1.into());
    assert_eq!(reason(&shorter), "a body has 5 bytes and says that 1 were captured");
    let twice = with("/request/body/base64", "AA==".into());
    assert_eq!(reason(&twice), "a body has `text` and `base64`: there is one of them");
}

#[test]
fn names_in_records_are_those_that_are_read() {
    use crate::http::content::DecodingError;
    use crate::segment::{Abandonment, GapCause};
    fn read<T: serde::de::DeserializeOwned>(name: &str) -> Option<T> {
        serde_json::from_value(name.into()).ok()
    }
    for cause in [GapCause::IoUring, GapCause::OtherCall, GapCause::SnapLength, GapCause::Missed] {
        assert_eq!(read(cause.name()), Some(cause));
    }
    for cause in [Abandonment::CaptureEnded, Abandonment::TooManyPending, Abandonment::Idle] {
        assert_eq!(read(cause.name()), Some(cause));
    }
    for error in [DecodingError::UnsupportedCoding, DecodingError::ChecksumMismatch] {
        assert_eq!(read(error.name()), Some(error));
    }
}

/// Every prefix and every line with one byte changed is read or refused, and what is read can be
/// written.
#[test]
fn damaged_lines_do_no_harm() {
    let line = with("/id", "r".into());
    for end in 0..line.len() {
        assert!(read_record(&line[..end]).is_err());
    }
    for place in 0..line.len() {
        for byte in [b'"', b'0', b'}', b'n', 0xff] {
            let mut damaged = line.clone();
            damaged[place] = byte;
            if let Ok(observation) = read_record(&damaged) {
                for format in Format::ALL {
                    format.write(&observation, &mut Vec::new());
                }
            }
        }
    }
}
