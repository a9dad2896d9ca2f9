//! What Runscope's reply to a message says, where its status is a success:
//! `{"data":[{"status":"success","error":null,"warning":null,…}],"meta":{…}}`. Texts in it are not
//! passed on: they may repeat what was sent.

use super::super::attempt::Trouble;
use super::super::failure::{Failure, Rejection};
use super::super::http::ReplyBody;
use serde::Deserialize;
use std::fmt;

/// What stands for the code of an error that has none.
const NO_CODE: i64 = 0;

/// The message was taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Fully,
    Doubtfully(Doubt),
}

/// Why it is not certain that all is well.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The receiver warns, with this code.
    Warning(i64),
    /// The reply is not what the API replies.
    Unknown,
}

impl fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Warning(code) => write!(formatter, "the receiver warns (code {code})"),
            Self::Unknown => {
                formatter.write_str("the reply does not say what became of it: check api_endpoint")
            }
        }
    }
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    data: Option<Vec<Item>>,
    #[serde(default)]
    error: Option<Envelope>,
}

/// What became of one message.
#[derive(Deserialize)]
struct Item {
    status: String,
    #[serde(default)]
    error: Option<Problem>,
    #[serde(default)]
    warning: Option<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    code: Option<i64>,
}

/// An error of the whole request, with a status of its own inside.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    status: Option<u16>,
}

/// Judges the body of a reply with a status of success.
pub(super) fn judge(body: &ReplyBody) -> Result<Taken, Trouble> {
    let bytes = match body {
        ReplyBody::Whole(bytes) => bytes,
        ReplyBody::TooLong => return Ok(Taken::Doubtfully(Doubt::Unknown)),
        // What it would have said is not known, and a double can be told by its id.
        ReplyBody::Cut => return Err(later("its reply was cut")),
        ReplyBody::Late => return Err(later("its reply took too long")),
    };
    let Ok(reply) = serde_json::from_slice::<Reply>(bytes) else {
        return Ok(Taken::Doubtfully(Doubt::Unknown));
    };
    match (reply.error, reply.data.unwrap_or_default().into_iter().next()) {
        (Some(error), _) => Err(of_envelope(&error)),
        (None, Some(item)) => of_item(item),
        (None, None) => Ok(Taken::Doubtfully(Doubt::Unknown)),
    }
}

fn of_item(item: Item) -> Result<Taken, Trouble> {
    let code = |problem: Option<Problem>| problem.and_then(|it| it.code).unwrap_or(NO_CODE);
    match item.status.as_str() {
        "success" => Ok(Taken::Fully),
        "warning" => Ok(Taken::Doubtfully(Doubt::Warning(code(item.warning)))),
        "error" => Err(Trouble::Rejected { reason: Rejection::Item(code(item.error)) }),
        _ => Ok(Taken::Doubtfully(Doubt::Unknown)),
    }
}

/// The status inside counts as if it were that of the reply: of a record that is invalid nothing
/// else can be hoped for, everything else may be better later.
fn of_envelope(error: &Envelope) -> Trouble {
    match error.status {
        Some(status @ (400 | 413 | 422)) => Trouble::Rejected { reason: Rejection::Status(status) },
        Some(status) => Trouble::Later { error: Failure::Status(status), wait: None },
        None => later("its reply holds an error"),
    }
}

fn later(what: &str) -> Trouble {
    Trouble::Later { error: Failure::Http(what.to_owned()), wait: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(reply: &str) -> Result<Taken, Trouble> {
        judge(&ReplyBody::Whole(reply.as_bytes().to_vec()))
    }

    /// The reply in the reference, with the misspelt key that Runscope's schema has.
    #[test]
    fn success() {
        let reply = r#"{"data":[{"status":"success","uuid":"u","unique_identifier":null,
            "error":null,"warning":null}],
            "meta":{"succcess_count":1,"warning_count":0,"error_count":0}}"#;
        assert_eq!(judged(reply).unwrap(), Taken::Fully);
    }

    #[test]
    fn an_item_with_an_error_is_rejected_with_its_code() {
        for (error, code) in [(r#"{"code":1042,"message":"secret"}"#, 1042), ("null", 0), ("{}", 0)]
        {
            let reply = format!(r#"{{"data":[{{"status":"error","error":{error}}}]}}"#);
            let Err(Trouble::Rejected { reason }) = judged(&reply) else { panic!("{error}") };
            assert_eq!(reason, Rejection::Item(code));
            assert!(!reason.to_string().contains("secret"));
        }
    }

    #[test]
    fn a_warning_is_a_success() {
        let reply = r#"{"data":[{"status":"warning","warning":{"code":7,"message":"m"}}]}"#;
        assert_eq!(judged(reply).unwrap(), Taken::Doubtfully(Doubt::Warning(7)));
    }

    #[test]
    fn whoever_answers_something_else_took_it_as_far_as_can_be_known() {
        for reply in ["", "OK", "{}", "[]", r#"{"data":[]}"#, r#"{"data":[{"status":"odd"}]}"#] {
            assert_eq!(judged(reply).unwrap(), Taken::Doubtfully(Doubt::Unknown), "{reply}");
        }
        assert_eq!(judge(&ReplyBody::TooLong).unwrap(), Taken::Doubtfully(Doubt::Unknown));
    }

    #[test]
    fn a_reply_that_breaks_off_leaves_it_open() {
        for body in [ReplyBody::Cut, ReplyBody::Late] {
            assert!(matches!(judge(&body), Err(Trouble::Later { .. })), "{body:?}");
        }
    }

    #[test]
    fn an_error_of_the_whole_request_is_judged_by_its_own_status() {
        let with = |status: &str| judged(&format!(r#"{{"data":null,"error":{{{status}}}}}"#));
        assert!(matches!(with(r#""status":400"#), Err(Trouble::Rejected { .. })));
        assert!(matches!(with(r#""status":503"#), Err(Trouble::Later { .. })));
        assert!(matches!(with(""), Err(Trouble::Later { .. })));
    }
}
